/*
 * What a kind of engine implements. engine.c checks names and arguments once, for all kinds, and
 * then calls these; each function does what engine.h says of its namesake.
 *
 * A kind embeds the plain structs below as the first member of its own.
 */
#ifndef LIFEBOAT_STACK_ENGINE_ENGINE_KIND_H
#define LIFEBOAT_STACK_ENGINE_ENGINE_KIND_H

#include "stack/engine/engine.h"
#include "stack/engine/engine_hold.h"

/* ERR_CONFIG unless engine_volume_name_is_valid. */
int engine_volume_name_check(const char *name, struct err *err) MUST_USE;

struct engine_ops {
	/* NULL: as engine.h says of an engine that has nothing to say. */
	int (*address)(struct engine *e, const char *component, const char *host, char **ret,
		       struct err *err);
	int (*describe)(struct engine *e, const char *component, json_t **ret, struct err *err);
	int (*volume_describe)(struct engine *e, const char *volume, json_t **ret, struct err *err);
	int (*holdings)(struct engine *e, json_t **ret, struct err *err);
	int (*volume_of)(struct engine *e, const char *component, const char *path,
			 const char *configured, char **ret, struct err *err);
	int (*adopt)(struct engine *e, const char *component, const json_t *runtime,
		     struct err *err);
	bool keeps_names;

	int (*volume_exists)(struct engine *e, const char *name, bool *ret, struct err *err);
	int (*volume_create)(struct engine *e, const char *name, const struct volume_spec *spec,
			     struct err *err);
	int (*volume_remove)(struct engine *e, const char *name, struct err *err);
	int (*volume_finish)(struct engine *e, const char *name, struct err *err);
	int (*sweep)(struct engine *e, bool dry_run, struct strlist *ret, struct err *err);
	int (*volume_write)(struct engine *e, const char *name, struct tree_writer **ret,
			    struct err *err);
	int (*volume_read)(struct engine *e, const char *name, tree_fn *fn, void *ctx,
			   struct err *err);
	int (*volume_free_bytes)(struct engine *e, uint64_t *ret, struct err *err);
	const char *(*volume_where)(struct engine *e, const char *name);

	int (*server_file)(struct engine *e, const char *component, const char *path,
			   struct source **ret, struct archive_entry **ret_entry, struct err *err);
	int (*server_tree)(struct engine *e, const char *component, const char *folder, tree_fn *fn,
			   void *ctx, struct err *err);
	int (*server_free_bytes)(struct engine *e, const char *component, const char *path,
				 uint64_t *ret, struct err *err);

	int (*tool_find)(struct engine *e, const struct tool *t, char **ret, struct err *err);
	int (*tool_source)(struct engine *e, const struct tool *t, struct source **ret,
			   struct err *err);
	int (*tool_sink)(struct engine *e, const struct tool *t, struct sink **ret,
			 struct err *err);
	int (*tool_run)(struct engine *e, const struct tool *t, struct buf *out, struct deadline d,
			struct err *err);

	int (*server_new)(struct engine *e, const char *component, unsigned major,
			  struct server **ret, struct err *err);

	const struct promote_ops *promote; /* engine_promote.h; NULL: production can't be moved */

	/* NULL: it has no services. */
	int (*hold)(struct engine *e, const char *service, enum hold_how how, struct hold **ret,
		    struct err *err);

	void (*free)(struct engine *e);
};

struct engine {
	const struct engine_ops *ops;
};

/* The kinds. */
int engine_local_open(const struct engine_opts *opts, struct engine **ret, struct err *err)
    MUST_USE;
int engine_docker_open(const struct engine_opts *opts, struct engine **ret, struct err *err)
    MUST_USE;

struct tree_writer_ops {
	/* The entry's names have been checked; a hard link's content is NULL. */
	int (*add)(struct tree_writer *t, struct archive_entry *entry, struct source *content,
		   struct err *err);
	/* `len` is UINT64_MAX where it is not known. Missing parents are made. */
	int (*stream)(struct tree_writer *t, const char *name, unsigned mode, struct source *from,
		      uint64_t len, struct err *err);
	int (*close)(struct tree_writer *t, struct err *err);
	void (*free)(struct tree_writer *t);
};

struct tree_writer {
	const struct tree_writer_ops *ops;
};

struct server_ops {
	int (*volume_path)(struct server *s, const char *volume, char **ret, struct err *err);
	int (*start)(struct server *s, const struct server_spec *spec, struct err *err);
	int (*check)(struct server *s, struct err *err);
	/* NULL: there is no health check. */
	int (*wait_healthy)(struct server *s, struct deadline d, struct err *err);
	const char *(*log_tail)(struct server *s);
	int (*stop)(struct server *s, int64_t grace_ms, struct err *err);
	int (*leave)(struct server *s, struct err *err);
	void (*free)(struct server *s);
};

struct server {
	const struct server_ops *ops;
	const char *host;       /* the kind's memory, until it is freed */
	const char *door;       /* likewise */
	const char *peer;       /* likewise, or NULL */
	const char *socket_dir; /* likewise */
	const char *work_dir;
	unsigned port;
	long pid; /* 0 while it does not run */
};

#endif

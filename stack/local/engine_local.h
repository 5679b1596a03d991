/*
 * Inside the local engine: what its files share.
 *
 * Layout of the marks, beside the volumes and never in them (an image's entry point may refuse a
 * volume with unknown files):
 *   VOLUMES/.lifeboat/NAME.json          who made volume NAME, for what, and whether it is finished
 *   VOLUMES/.lifeboat/work/ID.json       work folder of a server, and its process
 *   VOLUMES/.lifeboat/work/ID.lock       held (flock) by a living run; marks name it as their maker
 */
#ifndef LIFEBOAT_STACK_LOCAL_ENGINE_LOCAL_H
#define LIFEBOAT_STACK_LOCAL_ENGINE_LOCAL_H

#include "base/child.h"
#include "base/json.h"
#include "stack/engine/engine_kind.h"

struct engine_local {
	struct engine base;
	char *stack, *run_id, *purpose;
	char *volumes_dir;    /* absolute */
	struct identity user; /* that servers run as; ours when we are not root */
	bool switches_user;
	char *where;     /* engine_volume_where's answer */
	char *lock_name; /* of this run, once it has made something */
	char *lock_path;
	int lock_fd;          /* -1 until then */
	struct strlist tools; /* "PATH\nMAJOR" of what has been asked for its version */
};

/* NULL when servers run as we do. */
const struct identity *local_identity(const struct engine_local *e);
int local_volume_path(const struct engine_local *e, const char *name, char **ret, struct err *err)
    MUST_USE;
/* ERR_DENIED when the servers' user can't get into `folder`. */
int local_check_reach(const struct engine_local *e, const char *folder, struct err *err) MUST_USE;

/* ---- marks (engine_local_mark.c) ---- */

/* Holds this run's lock, making it and the folder of marks when needed. */
int mark_begin(struct engine_local *e, struct err *err) MUST_USE;
/* Lets it go. */
void mark_end(struct engine_local *e);
/* {"stack","run","purpose","maker","pid","created"}: a new reference. */
int mark_new(struct engine_local *e, json_t **ret, struct err *err) MUST_USE;
/* Durably, in place of what was there. `folder` is "" or "work/". */
int mark_write(struct engine_local *e, const char *folder, const char *name, const json_t *mark,
	       struct err *err) MUST_USE;
/* ERR_ABSENT, ERR_CORRUPT. */
int mark_read(struct engine_local *e, const char *folder, const char *name, json_t **ret,
	      struct err *err) MUST_USE;
int mark_remove(struct engine_local *e, const char *folder, const char *name, struct err *err)
    MUST_USE;
/* Is the run that made it still at work? True in doubt. */
bool mark_maker_lives(struct engine_local *e, const json_t *mark);
/* What tells a folder from a later one of the same name. */
int mark_put_identity(json_t *mark, const char *folder, struct err *err) MUST_USE;
bool mark_is_of(const json_t *mark, const char *folder);

/* A process as it is told from a later one with the same number. */
int mark_put_process(json_t *mark, long pid, struct err *err) MUST_USE;
/* *ret_pid is 0 when that can't be told from here. */
bool mark_process_lives(const json_t *mark, long *ret_pid);

/* ---- engine_local_sweep.c ---- */
/* The mark of a volume of ours, a new reference; ERR_DENIED "… was not made here: REFUSAL". */
int local_own_mark(struct engine_local *e, const char *name, const char *path, const char *refusal,
		   json_t **ret, struct err *err) MUST_USE;
int local_volume_remove(struct engine *base, const char *name, struct err *err) MUST_USE;
int local_sweep(struct engine *base, bool dry_run, struct strlist *ret, struct err *err) MUST_USE;

/* ---- engine_local_tools.c ---- */
int local_tool_find(struct engine *base, const struct tool *t, char **ret, struct err *err)
    MUST_USE;
int local_tool_source(struct engine *base, const struct tool *t, struct source **ret,
		      struct err *err) MUST_USE;
int local_tool_sink(struct engine *base, const struct tool *t, struct sink **ret, struct err *err)
    MUST_USE;
int local_tool_run(struct engine *base, const struct tool *t, struct buf *out, struct deadline d,
		   struct err *err) MUST_USE;

/* ---- engine_local_server.c ---- */
int local_server_new(struct engine *base, const char *component, unsigned major,
		     struct server **ret, struct err *err) MUST_USE;

#endif

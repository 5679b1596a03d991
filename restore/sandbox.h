/*
 * The sandbox: fresh volumes, the servers on them, and what is known about both. Inside restore/.
 *
 * A part is one kind of component: it checks that it can be restored, loads its volume, boots its
 * server as production runs it, proves it, and can break one thing for the negative control.
 * sandbox_free stops every server and removes every volume that was not kept.
 */
#ifndef LIFEBOAT_RESTORE_SANDBOX_H
#define LIFEBOAT_RESTORE_SANDBOX_H

#include "restore/restore.h"
#include "stack/postgres/postgres.h"
#include "storage/archive/reader.h"

struct sandbox {
	const struct restore_job *job;
	const char *suffix; /* of volume names */
	struct reader *reader;
	const json_t *manifest; /* borrowed from the reader */
	struct strlist volumes; /* names of those made, in order */
	json_t *volume_list;    /* for the result */
	struct server *postgres, *redis, *pgbouncer;
	struct strlist load_errors; /* statements of the dump that failed; the proof tells them */
	char *postgres_hba;         /* what the sandbox's server runs with */
	size_t postgres_hba_own;    /* bytes of it that let the agent in */
	struct strlist tablespaces; /* volumes of PostgreSQL's tablespaces, in order */
	char *postgres_conf;        /* what it runs on instead of its own; NULL: its own */
	char *postgres_outside;     /* volume of its files from elsewhere; NULL: there is none */
	int64_t redis_loaded_ms;    /* wall clock when Redis began to load */
	char redis_password[33]; /* of our own user on the sandbox's Redis; empty: there is none */
	uint64_t loaded_bytes, expected_bytes;
	const char *loading;
	json_t *tables; /* of the manifest: what the job's one table is; NULL: not yet known */
	bool keep;
};

int sandbox_open(const struct restore_job *job, const char *suffix, struct sandbox **ret,
		 struct err *err) MUST_USE;
void sandbox_free(struct sandbox *sb);
DEFINE_CLEANUP(struct sandbox, sandbox_free)

/* "<volume>_<suffix>" as a new string. */
int sandbox_volume_name(const struct sandbox *sb, const char *volume, char **ret, struct err *err)
    MUST_USE;
/* Creates it and remembers it for clean-up and for the result. `path`: see struct volume_spec.
 * *ret is a new string. */
int sandbox_volume(struct sandbox *sb, const char *component, const char *volume, const char *path,
		   char **ret, struct err *err) MUST_USE;
/* The same for what production has in no volume of that name: files from elsewhere, tablespaces.
 * `caution`: see struct volume_spec. */
int sandbox_beside(struct sandbox *sb, const char *component, const char *volume, const char *path,
		   const char *caution, char **ret, struct err *err) MUST_USE;
bool sandbox_wants(const struct sandbox *sb, const char *name);
/* Tells the engine how production ran it. An image that is not here becomes an obstacle. */
int sandbox_adopt(struct sandbox *sb, const char *component, const json_t *section, json_t *plan,
		  bool *ret_adopted, struct err *err) MUST_USE;
/* A stream of the archive, with progress. */
int sandbox_stream(struct sandbox *sb, const char *name, struct source **ret, struct err *err)
    MUST_USE;
/* Bytes [offset, offset + len) of it: reader_range. */
int sandbox_range(struct sandbox *sb, const char *name, uint64_t offset, uint64_t len,
		  struct source **ret, struct err *err) MUST_USE;
/* A small member as a whole; ERR_ABSENT. Appends. */
int sandbox_member(struct sandbox *sb, const char *name, struct buf *out, struct err *err) MUST_USE;
/* Whose the unpacked files are: as the archive says, or the user's that servers run as (for files
 * that were read through a server, which told no owner). */
enum unpack_owner { UNPACK_AS_ARCHIVED, UNPACK_SERVERS };
/* Puts the members below `prefix` into an open volume, without the prefix. */
int sandbox_unpack(struct sandbox *sb, const char *prefix, enum unpack_owner owner,
		   struct tree_writer *to, struct err *err) MUST_USE;
/* Unpacks the component's files from outside of its volume ("<component>/outside/") into a volume
 * of their own. *ret NULL: there are none. */
int sandbox_outside(struct sandbox *sb, const char *component, const char *volume, char **ret,
		    struct err *err) MUST_USE;
/* For pg_wait_ready and redisdoor_wait_ready: ctx is the server. */
int sandbox_alive(void *server, struct err *err) MUST_USE;
struct deadline sandbox_ready_deadline(const struct sandbox *sb);
/* Is there next to no room left where its volumes are? */
bool sandbox_is_full(const struct sandbox *sb);
/* Adds to a timeout what the server said last: that is most often the reason. Always -1. */
int sandbox_not_ready(struct server *s, struct err *err) MUST_USE;

struct part {
	const char *name;
	/* Adds to {"volumes","obstacles"}; makes nothing. */
	int (*plan)(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err);
	int (*load)(struct sandbox *sb, const json_t *section, struct err *err);
	int (*boot)(struct sandbox *sb, const json_t *section, struct err *err);
	int (*prove)(struct sandbox *sb, const json_t *section, struct report *r, struct err *err);
	/* Changes one thing and proves again: the report must now say failed. *ret_done false:
	 * there was nothing to change. NULL: has no control of its own. */
	int (*control)(struct sandbox *sb, const json_t *section, struct report *r, bool *ret_done,
		       struct err *err);
};
extern const struct part part_postgres, part_redis, part_pgbouncer, part_volumes;
enum { PARTS = 4 };
extern const struct part *const parts[PARTS];

/* ---- plan ---- */
int plan_volume(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		struct err *err) MUST_USE;
/* One that production has no counterpart of: sandbox_beside will make it. */
int plan_beside(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		struct err *err) MUST_USE;
/* The one that sandbox_outside will make, if any. */
int plan_outside(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		 struct err *err) MUST_USE;
int plan_obstacle(json_t *plan, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

/* ---- PostgreSQL, shared by its files ---- */
/* Connection string of the sandbox's server for its bootstrap superuser. New string. */
int load_postgres_url(struct sandbox *sb, const json_t *section, char **ret, struct err *err)
    MUST_USE;
/* The same for tools that run beside that server: their environment. pg_tool_env_done. */
int load_postgres_env(struct sandbox *sb, const json_t *section, struct strlist *ret,
		      struct err *err) MUST_USE;
int load_postgres(struct sandbox *sb, const json_t *section, struct err *err) MUST_USE;
/* The job's one table instead of the whole database. */
int load_postgres_table(struct sandbox *sb, const json_t *section, const json_t *db,
			const char *const *env, struct err *err) MUST_USE;
int boot_postgres(struct sandbox *sb, const json_t *section, struct err *err) MUST_USE;
int prove_postgres(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
    MUST_USE;
int control_postgres(struct sandbox *sb, const json_t *section, struct report *r, bool *ret_done,
		     struct err *err) MUST_USE;
/* Is this database of the manifest part of the job? */
bool restore_wants_database(const struct sandbox *sb, const char *name);
/* And this table: of one table alone known once it is loaded. */
bool restore_wants_table(const struct sandbox *sb, const char *schema, const char *name);

/* ---- Redis, shared by its files ---- */
struct redisdoor;
/* The sandbox's server, once it answers and has loaded. */
int load_redis_connect(struct sandbox *sb, struct redisdoor **ret, struct err *err) MUST_USE;
/* Is there a login with the application's own user and password? */
int load_redis_login(struct sandbox *sb, struct err *err) MUST_USE;
int prove_redis(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
    MUST_USE;
int control_redis(struct sandbox *sb, const json_t *section, struct report *r, bool *ret_done,
		  struct err *err) MUST_USE;

/* The user's own SQL. */
int prove_checks(struct sandbox *sb, struct report *r, struct err *err) MUST_USE;

#endif

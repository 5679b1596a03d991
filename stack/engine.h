/*
 * An engine has volumes and runs servers: `local` (folders and host binaries) or `docker`.
 * Snapshot and restore speak to this interface and don't know which one they use.
 *
 *  volumes   named; a fresh one is made, filled, used by one server, left or removed
 *  files     of a running production server, by the path that the server itself sees
 *  tools     the server's own programs (pg_dump, pg_restore, initdb), of its own major version: as
 *            a source (stdout; its end means exit status 0) or a sink (stdin; close means 0)
 *  servers   throw-away ones on a volume, reachable by the agent alone
 *
 * Everything an engine makes carries the run's id, and is removed on failure.
 */
#ifndef LIFEBOAT_STACK_ENGINE_H
#define LIFEBOAT_STACK_ENGINE_H

#include <archive_entry.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

struct engine_opts {
	const char *kind;        /* "local" */
	const char *stack;       /* name of the stack, for labels */
	const char *volumes_dir; /* local: the folder in which each volume is a folder */
	const char *run_as;      /* local: user that servers run as when we are root */
	const char *run_id;      /* of this job; stands in the mark of all that it makes */
	const char *purpose;     /* "restore" or "drill": what volumes are made for; NULL: none */
};

struct engine;
int engine_open(const struct engine_opts *opts, struct engine **ret, struct err *err) MUST_USE;
void engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine, engine_free)

/* ---- trees: files with their attributes, libarchive's entry as the currency ---- */

/* Called per file: first for "." (the root folder itself, for its owner and mode), then folders
 * before what is in them, names relative to the tree's root, without a leading slash; `content` is
 * NULL for what has none. A sparse file's holes read as zeros and are recorded in the entry. */
typedef int tree_fn(void *ctx, struct archive_entry *entry, struct source *content,
		    struct err *err);

struct tree_writer; /* fills a fresh volume */
/* Names that escape the volume ("..", a leading "/", through a symbolic link) are ERR_CORRUPT.
 * Owner, mode, times, links, xattrs and holes are put back (owner: as root only). Borrows both. */
int tree_writer_add(struct tree_writer *t, struct archive_entry *entry, struct source *content,
		    struct err *err) MUST_USE;
/* A regular file from memory, owned by the volume's user. */
int tree_writer_file(struct tree_writer *t, const char *name, unsigned mode, const void *data,
		     size_t len, struct err *err) MUST_USE;
/* A regular file of unknown length from a source (not taken), owned by the volume's user. */
int tree_writer_stream(struct tree_writer *t, const char *name, unsigned mode, struct source *from,
		       struct err *err) MUST_USE;
/* Everything is on the disk, fsynced. */
int tree_writer_close(struct tree_writer *t, struct err *err) MUST_USE;
void tree_writer_free(struct tree_writer *t);
DEFINE_CLEANUP(struct tree_writer, tree_writer_free)

/* ---- volumes ---- */

/* Letters, digits, '_', '.', '-'; not beginning with a dot or dash; at most 200 bytes. */
bool engine_volume_name_is_valid(const char *name);
int engine_volume_exists(struct engine *e, const char *name, bool *ret, struct err *err) MUST_USE;
/* A new, empty volume, owned by the user that servers run as. ERR_EXISTS if the name is taken. */
int engine_volume_create(struct engine *e, const char *name, struct err *err) MUST_USE;
/* Only volumes that engine_volume_create made in this process or that carry our mark: others are
 * refused. Absent is fine. */
int engine_volume_remove(struct engine *e, const char *name, struct err *err) MUST_USE;
/* It is complete and stays: from now on a sweep leaves it alone. */
int engine_volume_finish(struct engine *e, const char *name, struct err *err) MUST_USE;
/* Removes what killed runs left behind: volumes of drills, volumes of restores that were not
 * finished, work folders of servers that are gone; never what a living run uses. One line for each
 * is added to `ret` (may be NULL): "volume 'hdms_x' of drill 2026…"; a dry run only lists. */
int engine_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err) MUST_USE;
int engine_volume_write(struct engine *e, const char *name, struct tree_writer **ret,
			struct err *err) MUST_USE;
int engine_volume_read(struct engine *e, const char *name, tree_fn *fn, void *ctx, struct err *err)
    MUST_USE;
int engine_volume_free_bytes(struct engine *e, uint64_t *ret, struct err *err) MUST_USE;
/* Where a person finds it: a path, or "volume hdms_postgres_data". Borrowed until the next call. */
const char *engine_volume_where(struct engine *e, const char *name);

/* ---- files of production servers ---- */

/* A file as the server `component` ("redis", "pgbouncer", "postgres") names it. One descriptor:
 * a rename over it while we read changes nothing. ERR_ABSENT. *ret_entry (may be NULL) has size,
 * mode, owner and times; archive_entry_free it. */
int engine_server_file(struct engine *e, const char *component, const char *path,
		       struct source **ret, struct archive_entry **ret_entry, struct err *err)
    MUST_USE;
int engine_server_tree(struct engine *e, const char *component, const char *folder, tree_fn *fn,
		       void *ctx, struct err *err) MUST_USE;
/* Free bytes of the file system that holds `path`. */
int engine_server_free_bytes(struct engine *e, const char *component, const char *path,
			     uint64_t *ret, struct err *err) MUST_USE;

/* ---- tools ---- */

#define TOOL_VOLUME "{volume}"

struct tool {
	const char *component; /* whose tool: "postgres" */
	unsigned major;        /* of the server: 15. 0 where it does not matter */
	const char *name;      /* "pg_dump" */
	/* Arguments after the name; NULL-terminated. One that is TOOL_VOLUME becomes the path at
	 * which the tool finds `volume`. */
	const char *const *argv;
	const char *const *env; /* "NAME=value"; NULL or NULL-terminated */
	const char *volume;     /* volume that it works on, or NULL */
	bool as_server;         /* run as the user that servers run as */
	int64_t idle_ms;        /* a silence longer than this is ERR_TIMEOUT; negative: none */
};
/* Where the tool is, for `check`. ERR_ABSENT names the package to install. free(). */
int engine_tool_find(struct engine *e, const struct tool *t, char **ret, struct err *err) MUST_USE;
int engine_tool_source(struct engine *e, const struct tool *t, struct source **ret, struct err *err)
    MUST_USE;
int engine_tool_sink(struct engine *e, const struct tool *t, struct sink **ret, struct err *err)
    MUST_USE;
/* To its end; stdout into `out` (may be NULL). */
int engine_tool_run(struct engine *e, const struct tool *t, struct buf *out, struct deadline d,
		    struct err *err) MUST_USE;

/* ---- throw-away servers ---- */

struct server_spec {
	const char *volume; /* its data; postgres: PGDATA; pgbouncer: NULL */
	/* postgres: `-c` pairs "name=value"; redis: directives "name value"; pgbouncer: the text of
	 * the ini file to run on is settings[0], then pairs of name and text of further files in
	 * the work folder. NULL-terminated. Address, port, socket folder, pid and log file are
	 * added by the engine (pgbouncer: they must be in the text), and a PostgreSQL is kept from
	 * archiving, subscribing and waiting for standbys. */
	const char *const *settings;
	/* postgres: text of the pg_hba.conf to use instead of the volume's; NULL: the volume's. */
	const char *hba;
	bool leave_running; /* it can outlive us (restore --up): see server_leave */
};

/*
 *  1. engine_server_new       reserves a port and a work folder; nothing runs
 *  2. server_start            starts it; does not wait until it is ready: the component's own door
 *                             does that by asking
 *  3. server_stop             then server_start again for a restart: port and work folder stay
 *     server_free             at any time
 */
struct server;
/* `component`: "postgres", "redis", "pgbouncer"; `major`: 15; 0 where it does not matter. */
int engine_server_new(struct engine *e, const char *component, unsigned major, struct server **ret,
		      struct err *err) MUST_USE;
int server_start(struct server *s, const struct server_spec *spec, struct err *err) MUST_USE;
/* How the agent reaches it: 127.0.0.1 and a port; and, for postgres, a socket folder (mode 0700).
 */
const char *server_host(const struct server *s);
unsigned server_port(const struct server *s);
const char *server_socket_dir(const struct server *s);
/* Folder for sockets, pid and log files, as the server itself sees it; its user's, mode 0700. */
const char *server_work_dir(const struct server *s);
long server_pid(const struct server *s); /* 0 while it does not run */
/* 0 while it runs; else ERR_FAILED with the last lines of its log. */
int server_check(struct server *s, struct err *err) MUST_USE;
/* The last lines of its log, for messages. Borrowed until the next call. */
const char *server_log_tail(struct server *s);
/* Clean shutdown (postgres: fast; redis: SIGTERM, which saves nothing when it was started with
 * `save ""`), at most `grace_ms`, then ERR_TIMEOUT and it is killed. Not running is fine. */
int server_stop(struct server *s, int64_t grace_ms, struct err *err) MUST_USE;
/* Commits a server started with leave_running: it stays, and so does its work folder (sockets,
 * log); server_free then only forgets it. */
int server_leave(struct server *s, struct err *err) MUST_USE;
/* Kills what still runs and removes its work folder, unless server_leave said otherwise. */
void server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free)

/* ---- for the kinds ---- */
/* see engine_ops in stack/engine_kind.h */

#endif

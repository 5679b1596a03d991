/*
 * An engine has volumes and runs servers: `local` (folders and host binaries) or `docker`.
 * Snapshot and restore speak to this interface and don't know which one they use.
 *
 *  production  its servers: where they are reached, their files by the path that they themselves
 *              see, how they run (image, user, mounts), for the manifest
 *  volumes     named; a fresh one is made, filled, used by one server, left or removed
 *  tools       the server's own programs (pg_dump, pg_restore, initdb), of its own major version:
 * as a source (stdout; its end means exit status 0) or a sink (stdin; close means 0) servers
 * throw-away ones on a volume, reachable by the agent alone
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
#include "base/json.h"

/* Of one component; docker only. */
struct engine_service {
	const char *component; /* "postgres" */
	const char *service;   /* its name in the Compose project */
	const char *image;     /* to restore with, whatever the manifest says; NULL: as it says */
};

struct engine_opts {
	const char *kind;        /* "local" or "docker" */
	const char *stack;       /* name of the stack, for labels */
	const char *volumes_dir; /* local: the folder in which each volume is a folder */
	const char *run_as;      /* local: user that servers run as when we are root */
	const char *run_id;      /* of this job; stands in the mark of all that it makes */
	const char *purpose;     /* "restore" or "drill": what volumes are made for; NULL: none */
	const char *docker_host; /* docker: NULL: $DOCKER_HOST or the usual socket */
	const char *project;     /* docker: Compose project; NULL: the stack's name */
	const char *client;      /* docker: where PostgreSQL's tools run: "auto", "exec", "host" */
	const struct engine_service
	    *services; /* docker: those not listed are called as the component */
	size_t service_count;
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

/* ---- production ---- */

/* Where the agent reaches the server that a connection string calls `host`: *ret is an address for
 * it, or NULL where the name is to be used as it is. ERR_ABSENT: the component's server is not
 * there, or does not run. A new string. */
int engine_address(struct engine *e, const char *component, const char *host, char **ret,
		   struct err *err) MUST_USE;
/* How a component runs, for the manifest's "runtime" (docs/manifest.md): image, user, mounts, names
 * on its networks, health check; no environment, nothing secret. *ret is NULL where the engine has
 * nothing to say. New. */
int engine_describe(struct engine *e, const char *component, json_t **ret, struct err *err)
    MUST_USE;
/* The same for a plain volume: which container has it, and where. */
int engine_volume_describe(struct engine *e, const char *volume, json_t **ret, struct err *err)
    MUST_USE;
/* The volume's name in the engine: of the one in which `component` has `path` (both NULL: a plain
 * volume), which the configuration calls `configured`. A new string. */
int engine_volume_of(struct engine *e, const char *component, const char *path,
		     const char *configured, char **ret, struct err *err) MUST_USE;

/* A file as the server `component` ("redis", "pgbouncer", "postgres") names it. One descriptor:
 * a rename over it while we read changes nothing. ERR_ABSENT. *ret_entry (may be NULL) has size,
 * mode, owner and times; archive_entry_free it. */
int engine_server_file(struct engine *e, const char *component, const char *path,
		       struct source **ret, struct archive_entry **ret_entry, struct err *err)
    MUST_USE;
int engine_server_tree(struct engine *e, const char *component, const char *folder, tree_fn *fn,
		       void *ctx, struct err *err) MUST_USE;
/* Free bytes of the file system that holds `path`; UINT64_MAX: nobody can tell. An error: files
 * there can't be read from here. */
int engine_server_free_bytes(struct engine *e, const char *component, const char *path,
			     uint64_t *ret, struct err *err) MUST_USE;

/* ---- restoring ---- */

/* How production ran a component, out of the manifest (NULL: the archive does not say; production's
 * own server is the model then). Comes before anything of that component is asked for, made or
 * started. ERR_ABSENT: what it ran on (the image) is not here. */
int engine_adopt(struct engine *e, const char *component, const json_t *runtime, struct err *err)
    MUST_USE;
/* Do the names by which production's servers know each other lead to the sandbox's servers? Then
 * restored configuration works unchanged. */
bool engine_keeps_names(const struct engine *e);

/* ---- volumes ---- */

/* Letters, digits, '_', '.', '-'; not beginning with a dot or dash; at most 200 bytes. */
bool engine_volume_name_is_valid(const char *name);
int engine_volume_exists(struct engine *e, const char *name, bool *ret, struct err *err) MUST_USE;
/* What a fresh volume is for. */
struct volume_spec {
	const char *component; /* as told to engine_adopt: "postgres", "volume media" */
	/* Where its server has its data, as production's does: PGDATA, Redis's dir, the folder of
	 * pgbouncer.ini. NULL: the volume's root. What is written, read and used as data is
	 * relative to it. */
	const char *path;
	/* What `promote` asks for later; each may be NULL. */
	const char *of;      /* production's volume whose place it can take */
	const char *backup;  /* id of the backup that fills it */
	const char *caution; /* why production should not run on it: "holds one database alone" */
};
/* A new, empty volume, owned by the user that servers run as. ERR_EXISTS if the name is taken. */
int engine_volume_create(struct engine *e, const char *name, const struct volume_spec *spec,
			 struct err *err) MUST_USE;
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
	bool sandbox;           /* it works on what is restored, not on production */
	unsigned port;          /* production's postgres: the port that it listens on itself */
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
	const char *volume; /* its data; postgres: PGDATA; pgbouncer: NULL, or its folder */
	/* Further volumes that it must see, at server_volume_path; NULL or NULL-terminated. */
	const char *const *others;
	unsigned port; /* production's; used where engine_keeps_names says so. 0: the usual one */
	/* pgbouncer, where engine_keeps_names: path of the ini file to run on, instead of settings.
	 */
	const char *config;
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
/* How the agent reaches it: an address and a port, known once it was started. */
const char *server_host(const struct server *s);
unsigned server_port(const struct server *s);
/* The same for the agent's libpq: a folder with the server's socket that only we can enter, or an
 * address. Known before the start. */
const char *server_door(const struct server *s);
/* Where server_door is an address: the address that the server sees us come from, and nobody else;
 * NULL: we come by its socket. */
const char *server_peer(const struct server *s);
/* Folder of its socket as tools beside it see it. */
const char *server_socket_dir(const struct server *s);
/* Where the server sees `volume`, which stands in its spec. New string. */
int server_volume_path(struct server *s, const char *volume, char **ret, struct err *err) MUST_USE;
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

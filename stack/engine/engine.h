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
#ifndef LIFEBOAT_STACK_ENGINE_ENGINE_H
#define LIFEBOAT_STACK_ENGINE_ENGINE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"
#include "base/json.h"
#include "stack/engine/server.h"
#include "stack/engine/tree_writer.h"

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
/* What production writes to, as far as the engine can see it without asking a server: a new array
 * of
 * {"kind", "name"}, and of a container's also "service", "image", "at" (where it sees it) and
 * "component" (null where the service is none). Kinds: "volume", "anonymous volume", "folder". What
 * restores made is not among them. */
int engine_holdings(struct engine *e, json_t **ret, struct err *err) MUST_USE;
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

/* ---- throw-away servers: stack/engine/server.h ---- */

/* `component`: "postgres", "redis", "pgbouncer"; `major`: 15; 0 where it does not matter. */
int engine_server_new(struct engine *e, const char *component, unsigned major, struct server **ret,
		      struct err *err) MUST_USE;

/* ---- for the kinds ---- */
/* see engine_ops in stack/engine/engine_kind.h */

#endif

/*
 * The docker engine, shared by its own files.
 *
 *  engine_docker.c          open, free, the table of operations, free space
 *  engine_docker_stack.c    finds production: containers by Compose's labels, volumes, files of its
 *                           servers
 *  engine_docker_names.c    the names and addresses by which production's servers are reached
 *  engine_docker_describe.c what the manifest says of how production runs
 *  engine_docker_adopt.c    how a restored component is to run: its image and user
 *  engine_docker_tools.c    pg_dump in production's container, initdb and pg_restore beside the
 *                           restored volumes
 *  engine_docker_run.c      the run: its mark, labels, whether its maker lives; the sweep
 *  engine_docker_spec.c     what all our containers have in common; helpers that never run
 *  engine_docker_hold.c     pausing and stopping production's containers, always undone
 *  engine_docker_volume.c   fresh volumes: made, finished, removed
 *  engine_docker_furnish.c  the first files of a fresh volume
 *  engine_docker_files.c    volumes filled and read
 *  engine_docker_network.c  the sandbox's network
 *  engine_docker_groups.c   further groups of a server's user
 *  engine_docker_server.c   the sandbox's servers
 *  engine_docker_boot.c     how their containers are made
 *
 * Everything made carries labels of ours only, never Compose's: Compose 5.2 looks volumes up by
 * label. Labels of a thing can't be changed later, so what is unfinished is told by one mark for
 * the whole run: an empty volume "lifeboat-run-<run id>", made before anything else and removed
 * when all that the run made is finished or gone. What carries the run id of a mark whose maker is
 * dead is left over; what carries one without a mark is finished and stays.
 */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_H

#include "stack/docker/docker.h"
#include "stack/compose/engine_docker_stack.h"
#include "stack/engine/engine_kind.h"

#define LABEL_STACK   "org.lifeboat.stack"   /* name of the stack */
#define LABEL_RUN     "org.lifeboat.run"     /* run id */
#define LABEL_KIND    "org.lifeboat.kind"    /* "run", "volume", "server", "helper", "network" */
#define LABEL_PURPOSE "org.lifeboat.purpose" /* "restore", "drill" */
#define LABEL_FOR     "org.lifeboat.for"     /* the component */
#define LABEL_NONCE   "org.lifeboat.nonce"   /* random: is the volume that the daemon gave ours? */
#define LABEL_OF      "org.lifeboat.of"      /* production's volume whose place it can take */
#define LABEL_BACKUP  "org.lifeboat.backup"  /* id of the backup that it was filled from */
#define LABEL_CAUTION "org.lifeboat.caution" /* why production should not run on it */
#define LABEL_IMAGE   "org.lifeboat.image"   /* image of the component that it was filled for */
#define LABEL_HOLD    "org.lifeboat.hold"    /* of a hold's mark: "pause" or "stop" */
#define LABEL_NAME    "org.lifeboat.name"    /* and the container's, for people */
#define LABEL_MAKER   "org.lifeboat.maker"   /* the process: see run_init */

/* How a component runs, in production or after the manifest; what engine_adopt was told. */
struct docker_component {
	char *name; /* "postgres", "volume media" */
	/* As engine_describe makes it. Volumes and servers use, where they are there:
	 *  "mounts"        [{"type": "volume" or "bind", "name", "destination"}]
	 *  "aliases"       ["postgres", …]: names on its networks
	 *  "working_dir"   text; absent: the image's
	 *  "memory_bytes"  its limit; absent or 0: none
	 *  "shm_bytes"     size of /dev/shm; absent or 0: the daemon's
	 *  "health"        Config.Healthcheck as the daemon tells it: {"Test", "Interval", …} */
	json_t *runtime;
	char *image; /* id of the image that is here */
	unsigned uid, gid;
};

/* A volume that this run made. */
struct docker_volume {
	char *name;
	const struct docker_component *component;
	char *target; /* where helper and server containers mount it */
	char *path;   /* of the data in a container: target, or below it */
	bool finished;
};

struct engine_docker {
	struct engine base;
	struct docker *d;
	char *stack, *project, *run_id, *purpose, *client;
	struct {
		char *component, *service, *image;
	} services[8];
	size_t service_count;
	json_t *containers; /* of the project, running or not: cached answer of /containers/json */
	struct docker_component components[32];
	size_t component_count;
	struct docker_volume volumes[64];
	size_t volume_count;
	bool marked;          /* the run's mark is there */
	char *self;           /* id of our own container; NULL: we are a program of the host */
	char *network;        /* id of the sandbox's network, once it is made */
	uint32_t subnet;      /* its first address (host byte order) */
	unsigned subnet_bits; /* length of its prefix */
	unsigned addresses;   /* how many of it were given away */
	unsigned helpers;     /* how many were made: their names are numbered */
	char *self_peer;      /* our own address on it, where we are a container */
	struct docker_server *servers; /* of this run, until they are freed */
	char *where;                   /* for engine_volume_where */
	bool keeps_servers;            /* some were left running: network and all stay */
	char *maker;                   /* us, for LABEL_MAKER */
	unsigned holds;                /* how many were made */
	bool exec_allowed;             /* and that it is so was asked */
	bool exec_refused;    /* production's containers let nobody in: the host's tools are used */
	bool on_host_network; /* our own container has the host's addresses */
	struct strlist found; /* "IMAGE\nMAJOR\nNAME\nPATH": tools that were looked for in images */
	struct strlist host_tools; /* of host_tools.h */
};

/* ---- engine_docker_tools.c ---- */

int docker_tool_find(struct engine *e, const struct tool *t, char **ret, struct err *err) MUST_USE;
int docker_tool_source(struct engine *e, const struct tool *t, struct source **ret, struct err *err)
    MUST_USE;
int docker_tool_sink(struct engine *e, const struct tool *t, struct sink **ret, struct err *err)
    MUST_USE;
int docker_tool_run(struct engine *e, const struct tool *t, struct buf *out, struct deadline d,
		    struct err *err) MUST_USE;

/* ---- engine_docker_run.c ---- */

/* Says who we are; once, when the engine is opened. */
int run_init(struct engine_docker *e, struct err *err) MUST_USE;
/* Before anything is made; often. */
int run_mark(struct engine_docker *e, struct err *err) MUST_USE;
/* After each volume that is finished, and at the end: removes the mark, unless something unfinished
 * is left. When all volumes in e->volumes are finished, that is the moment in which they are to
 * stay, all of them: servers of this run that stand still, and the network if none runs, are
 * removed just before. When there is no volume (left), any container or network of the run keeps
 * the mark. What was removed must be gone from e->volumes. Often. */
int run_unmark(struct engine_docker *e, struct err *err) MUST_USE;
/* A new folder of this run on the host, ours alone (mode 0700): ".../lifeboat-<run id>-NAME". The
 * sweep knows where to look. ERR_EXISTS. New string; dir_remove it when done. */
int run_folder(struct engine_docker *e, const char *name, char **ret, struct err *err) MUST_USE;
/* {"org.lifeboat.run": …} for a new thing; `component` may be NULL. New, or NULL: no memory. */
json_t *run_labels(const struct engine_docker *e, const char *kind, const char *component,
		   struct err *err);
int docker_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err) MUST_USE;

/* ---- engine_docker_hold.c ---- */

int docker_service_hold(struct engine *e, const char *service, enum hold_how how, struct hold **ret,
			struct err *err) MUST_USE;

/* ---- engine_docker_spec.c ---- */

/* The body of POST /containers/create that all our containers share: image and user of the
 * component, our labels, these volumes at their targets (NULL-terminated names; others at
 * /lifeboat/<name>), no network, no restart, no published ports, no health check, pulling nothing.
 * "Entrypoint" is the caller's: the image's own never runs. Call run_mark before the POST. New. */
int docker_container_spec(struct engine_docker *e, const char *kind,
			  const struct docker_component *c, const char *const *volumes,
			  json_t **ret, struct err *err) MUST_USE;

/* ---- engine_docker_volume.c ---- */

int docker_volume_exists(struct engine *e, const char *name, bool *ret, struct err *err) MUST_USE;
int docker_volume_create(struct engine *e, const char *name, const struct volume_spec *spec,
			 struct err *err) MUST_USE;
int docker_volume_remove(struct engine *e, const char *name, struct err *err) MUST_USE;
int docker_volume_finish(struct engine *e, const char *name, struct err *err) MUST_USE;
/* One that this run made; NULL: it did not. */
const struct docker_volume *docker_volume_find(const struct engine_docker *e, const char *name);
/* ---- engine_docker_files.c ---- */

int docker_volume_write(struct engine *e, const char *name, struct tree_writer **ret,
			struct err *err) MUST_USE;
int docker_volume_read(struct engine *e, const char *name, tree_fn *fn, void *ctx, struct err *err)
    MUST_USE;

/* ---- engine_docker_server.c ---- */

int docker_server_new(struct engine *e, const char *component, unsigned major, struct server **ret,
		      struct err *err) MUST_USE;
/* The container on which sandbox tools of `component` run now; NULL: none does. Borrowed. */
const char *docker_server_container(const struct engine_docker *e, const char *component);

/* ---- engine_docker_network.c ---- */

/* Takes us off it and removes it, unless servers were left on it. */
int docker_network_remove(struct engine_docker *e, struct err *err) MUST_USE;

#endif

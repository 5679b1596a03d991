/*
 * What carries our labels in Docker, who made it, and whether that one still works.
 */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_SWEEP_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_SWEEP_H

#include "stack/compose/engine_docker.h"

/* ---- engine_docker_things.c ---- */

enum thing_type { THING_CONTAINER, THING_NETWORK, THING_VOLUME };

struct docker_thing {
	enum thing_type type;
	bool runs; /* of a container */
	char *id;  /* of a volume: its name */
	char *name;
	char *run, *kind, *purpose, *maker;
	json_t *labels;
};
/* Of this stack, marks excepted; containers before networks before volumes. */
struct docker_things {
	struct docker_thing *items;
	size_t count;
};
void docker_things_done(struct docker_things *t);
/* `run`: of that run alone; NULL: of all. `ret` is empty. */
int docker_things_list(struct engine_docker *e, const char *run, struct docker_things *ret,
		       struct err *err) MUST_USE;
/* The marks of runs ("run") or holds ("hold"). */
int docker_marks_list(struct engine_docker *e, const char *kind, struct docker_things *ret,
		      struct err *err) MUST_USE;
/* Removes it, a container by force and with its nameless volumes, a network after its members were
 * disconnected. Absent is fine. */
int docker_thing_remove(struct engine_docker *e, const struct docker_thing *t, struct err *err)
    MUST_USE;

/* ---- engine_docker_run.c ---- */

enum maker_state {
	MAKER_LIVES,
	MAKER_DEAD,
	MAKER_UNKNOWN /* a process that can't be seen from here */
};
int docker_maker_state(struct engine_docker *e, const char *maker, enum maker_state *ret,
		       struct err *err) MUST_USE;
/* An empty volume with these labels (taken; NULL: `err` says why) and a nonce. ERR_EXISTS. */
int docker_mark_make(struct engine_docker *e, const char *name, json_t *labels, struct err *err)
    MUST_USE;
/* ---- engine_docker_hold.c ---- */

/* Lets go on what the mark of a hold names, and removes the mark. */
int docker_hold_undo(struct engine_docker *e, const struct docker_thing *mark, struct err *err)
    MUST_USE;

/* ---- engine_docker_run.c ---- */

/* Where run_folder makes folders, the preferred one first. */
int docker_run_bases(struct strlist *ret, struct err *err) MUST_USE;

#endif

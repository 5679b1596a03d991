/*
 * Promotion in the docker engine, shared by its own files.
 *
 *  engine_docker_promote.c        what there is to move to; the steps; old volumes
 *  engine_docker_promote_plan.c   what would happen
 *  engine_docker_promote_users.c  who uses production's volumes, in the order of their stop
 *  engine_docker_promote_mark.c   the marks, and undoing what a dead promotion left
 *  engine_docker_promote_copy.c   contents of one volume into another, by a helper container
 *  engine_docker_promote_serve.c  stopping, starting, waiting for health
 *  engine_docker_promote_fast.c   the override file, and Compose
 *
 * A mark is an empty volume whose labels tell all: "lifeboat-promote-<id>" from before the first
 * stop to the commit, with the plan; "lifeboat-promote-<id>-saved" once every copy of production's
 * volumes is complete. Without the second, production's volumes were not touched. Whoever removes
 * the first one commits. A volume that a promotion kept counts as complete when there is no mark of
 * that promotion.
 */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_PROMOTE_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_PROMOTE_H

#include "stack/compose/engine_docker.h"
#include "stack/engine/engine_promote.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define COMPOSE_VOLUME  "com.docker.compose.volume"

/* The id of the promotion that made it. Not LABEL_RUN: the sweep of dead runs goes by that one, and
 * what a promotion kept must never be taken for its leftovers. */
#define LABEL_PROMOTION "org.lifeboat.promotion"
#define LABEL_PLAN      "org.lifeboat.plan" /* of a mark and of a record: the plan, as JSON */

/* Kinds of LABEL_KIND. */
#define KIND_PROMOTE "promote"       /* the mark */
#define KIND_SAVED   "promote-saved" /* the second mark */
#define KIND_CLAIM   "promote-claim" /* of the one who takes a dead promotion back */
#define KIND_BEFORE  "before"        /* production's volume as it was */
#define KIND_SWITCH  "switch"        /* the record of a fast promotion, with its plan */

extern const struct promote_ops docker_promote_ops;

/* ---- engine_docker_promote.c ---- */

/* All volumes of our stack that carry a label of LABEL_KIND. New. */
int promote_volumes(struct engine_docker *e, json_t **ret, struct err *err) MUST_USE;
/* One label of a volume, container or network as the daemon lists it; "": it has none. */
const char *promote_label(const json_t *thing, const char *name);
/* {"org.lifeboat.stack", "….promotion", "….kind"} of this promotion. New. */
int promote_labels(const struct engine_docker *e, const json_t *plan, const char *kind,
		   json_t **ret, struct err *err) MUST_USE;
/* A volume that nobody has made: asked for first, recognised by a random label. Takes `labels`.
 * ERR_EXISTS. */
int promote_make_volume(struct engine_docker *e, const char *name, json_t *labels, struct err *err)
    MUST_USE;
/* *ret NULL: there is none. New. */
int promote_find_volume(struct engine_docker *e, const char *name, json_t **ret, struct err *err)
    MUST_USE;
static inline const char *plan_str(const json_t *o, const char *key)
{
	return json_str_or(o, key, "");
}
static inline bool plan_is_fast(const json_t *plan)
{
	return plan_str(plan, "mode")[0] == 'f';
}

/* ---- engine_docker_promote_plan.c ---- */

int promote_plan(struct engine *e, const struct promotion_spec *spec, json_t **ret, struct err *err)
    MUST_USE;

/* ---- engine_docker_promote_users.c ---- */

/* Fills "services" and "servers" of a plan that has its volumes. ERR_EXISTS: somebody else uses
 * one. */
int promote_plan_users(struct engine_docker *e, const json_t *containers, json_t *plan,
		       struct err *err) MUST_USE;
/* All containers there are, as /containers/json tells them. New. */
int promote_containers(struct engine_docker *e, json_t **ret, struct err *err) MUST_USE;
bool promote_mounts(const json_t *container, const char *volume);
/* Does it run, or is it paused or about to run again? */
bool promote_holds(const json_t *container);
/* A container of a service of our project, and not of `docker compose run`. */
bool promote_is_service(const struct engine_docker *e, const json_t *container);

/* ---- engine_docker_promote_mark.c ---- */

int promote_begin(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_mark_saved(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_commit(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_undo(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err) MUST_USE;

/* ---- engine_docker_promote_copy.c ---- */

/* Empties `to` and fills it with what is in `from`. `what`: for messages. */
int promote_copy(struct engine_docker *e, const json_t *plan, const char *from, const char *to,
		 struct err *err) MUST_USE;
/* Bytes in each of `volumes` (names), in their order, into `ret`. */
int promote_measure(struct engine_docker *e, const json_t *plan, const char *const *volumes,
		    size_t count, uint64_t *ret, struct err *err) MUST_USE;
/* Helpers of a dead promotion: they would go on copying. */
int promote_end_helpers(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_save(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
int promote_move(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* Production's volumes as they were before promote_move. */
int promote_move_back(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;

/* ---- engine_docker_promote_serve.c ---- */

/* Every container of the project that runs and mounts one of the volumes; and restored servers. */
int promote_stop(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* ERR_EXISTS: a container runs that mounts a volume which is written to or read now. */
int promote_check_free(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* Those that ran when the plan was made. One that is gone is left out. */
int promote_start(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* Until all of them are healthy. */
int promote_wait(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* Does each of them mount the volume that it is to mount? */
int promote_check_mounts(struct engine_docker *e, const json_t *plan, bool undone, struct err *err)
    MUST_USE;

/* ---- engine_docker_promote_fast.c ---- */

/* Adds "override" to the plan, or says why it can't be done. */
int promote_fast_plan(struct engine_docker *e, const struct promotion_spec *spec, json_t *plan,
		      struct err *err) MUST_USE;
/* Is there a program that can do it? ERR_ABSENT says what to run by hand. */
int promote_fast_check(struct engine_docker *e, const json_t *plan, struct err *err) MUST_USE;
/* The override file becomes what the plan says (undo: what it was), and Compose makes the affected
 * services anew. */
int promote_fast_switch(struct engine_docker *e, const json_t *plan, bool undo, struct err *err)
    MUST_USE;

#endif

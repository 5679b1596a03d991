/*
 * Promotion: production moves to other volumes of its stack, and can go back. The story is told in
 * restore/promote.c; here are the steps that touch production. Only some kinds of engine have them.
 *
 *  1. engine_promotion_sources   what production can move to
 *  2. engine_promotion_plan      who uses production's volumes, what would stop, what is copied
 *                                where; refuses what can't be done. Changes nothing
 *  3. engine_promotion(e, PROMOTION_BEGIN, plan, …) and the other steps in their order
 *  4. PROMOTION_COMMIT, or PROMOTION_UNDO at any time after the begin
 *
 * The begin leaves a mark with the plan in the engine itself. As long as it is there and its maker
 * is dead, engine_sweep undoes the promotion: whatever became of us, production comes back to where
 * it was, unless the commit was reached.
 */
#ifndef LIFEBOAT_STACK_ENGINE_ENGINE_PROMOTE_H
#define LIFEBOAT_STACK_ENGINE_ENGINE_PROMOTE_H

#include "stack/engine/engine.h"

/* Newest first: [{"kind": "restore" or "promotion", "run": id of the run that made it,
 *  "backup": id or null, "suffix": tail of its volumes' names,
 *  "fast": was that promotion one by override file, "volumes": [{"component", "name",
 *  "of": production's volume, or null, "caution": text or null}]}]. A promotion's volumes are those
 * that it kept of before. What is unfinished is not among them. New. */
int engine_promotion_sources(struct engine *e, json_t **ret, struct err *err) MUST_USE;

struct promotion_spec {
	const char *id;          /* of this promotion: a run id */
	const json_t *source;    /* one of engine_promotion_sources */
	const char *const *only; /* components and labels of volumes; NULL: all */
	bool fast;               /* by an override file of Compose's, without copying */
	const char *override;    /* its path; NULL: in the project's own folder */
	int64_t ready_ms;        /* how long a service may take until it is healthy */
};
/* {"id", "kind": "promote" or "rollback", "mode": "copy" or "fast", "ready_ms",
 *  "volumes": [{"component", "of", "from", "before" (text or null), "exists", "bytes",
 *               "from_bytes"}],
 *  "services": [{"service", "container", "name", "running", "rank"}] in the order of their stop,
 *  "servers": names of restored servers that still run on the volumes and end now,
 *  "left_out": names of restored volumes that production has no place for,
 *  "needs_bytes", "free_bytes", "image": what copies; "override": {…}, with mode fast}.
 * ERR_EXISTS: a container outside of the project uses a volume. New. */
int engine_promotion_plan(struct engine *e, const struct promotion_spec *spec, json_t **ret,
			  struct err *err) MUST_USE;

enum promotion_step {
	PROMOTION_BEGIN,  /* ERR_LOCKED: another one is under way */
	PROMOTION_STOP,   /* services that use the volumes; nobody holds them then */
	PROMOTION_SAVE,   /* production's volumes are copied, each into its "before" */
	PROMOTION_MOVE,   /* and get the new contents */
	PROMOTION_START,  /* what was stopped */
	PROMOTION_SETTLE, /* until all are healthy, and mount what they are to mount */
	PROMOTION_COMMIT, /* it counts: the mark goes */
	PROMOTION_UNDO    /* the old state comes back, as far as it was left */
};
/* `plan` is engine_promotion_plan's. */
int engine_promotion(struct engine *e, enum promotion_step step, const json_t *plan,
		     struct err *err) MUST_USE;

/* Brings the old state back where a promotion was cut short; a dry run only lists. One line for
 * each is added to `ret`. Part of engine_sweep, before anything else of it. */
int engine_promotion_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err)
    MUST_USE;

/* Volumes that promotions before the newest `keep` ones left: one name for each is added to `ret`;
 * a dry run only lists. */
int engine_promotion_prune(struct engine *e, size_t keep, bool dry_run, struct strlist *ret,
			   struct err *err) MUST_USE;

/* ---- for the kinds: engine_ops.promote; NULL where there is none ---- */

struct promote_ops {
	int (*sources)(struct engine *e, json_t **ret, struct err *err);
	int (*plan)(struct engine *e, const struct promotion_spec *spec, json_t **ret,
		    struct err *err);
	int (*step)(struct engine *e, enum promotion_step step, const json_t *plan,
		    struct err *err);
	int (*prune)(struct engine *e, size_t keep, bool dry_run, struct strlist *ret,
		     struct err *err);
	int (*sweep)(struct engine *e, bool dry_run, struct strlist *ret, struct err *err);
};

#endif

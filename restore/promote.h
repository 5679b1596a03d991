/*
 * A promotion: production moves to the volumes that a restore left, or back to those of before.
 *
 *  1. fill a struct promote_job
 *  2. promote_run(&job, &report, err)
 *
 * Production's services stop, its volumes are copied aside, get the new contents, and the services
 * start again; when they are not healthy then, or when anything else fails, the old state comes
 * back at once. If we are killed, the next engine_sweep brings it back. Nothing is deleted: not the
 * restored volumes, and not what production had, so that a rollback can be rolled back too.
 */
#ifndef LIFEBOAT_RESTORE_PROMOTE_H
#define LIFEBOAT_RESTORE_PROMOTE_H

#include "base/json.h"
#include "stack/engine/engine.h"

struct promote_job {
	struct engine *engine;
	const char *id; /* of this promotion */
	bool back;      /* a rollback: to what the newest promotion kept */
	/* Which restore: the tail of its volumes' names, or the beginning of its backup's id; NULL:
	 * the newest one. A rollback: the beginning of a promotion's id; NULL: the newest. */
	const char *which;
	const char *const *only; /* components and labels of volumes; NULL: all */
	bool fast;               /* by an override file, without copying */
	const char *override;    /* its path; NULL: in the project's folder */
	bool force;              /* also to volumes that carry a caution */
	bool dry_run;            /* the plan alone */
	int64_t ready_ms;
	/* As the application has them: each is tried when its server runs again. NULL: none. */
	const char *postgres_url, *redis_url, *pgbouncer_url;
	int64_t connect_timeout_ms;
	/* Is this to be done? 0: yes. Sees the plan. */
	int (*confirm)(void *ctx, const json_t *plan, struct err *err);
	void (*say)(void *ctx, const char *what); /* what is done now */
	void *ctx;
};

/* *ret: the plan (engine_promote.h) with "data_from" (text), "data_age_ms", "downtime_ms", and
 * "logins": components whose servers took the application's password. A new reference.
 * -1: the old state is there, unless the message says otherwise. */
int promote_run(const struct promote_job *job, json_t **ret, struct err *err) MUST_USE;

#endif

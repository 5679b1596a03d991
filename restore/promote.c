#include "restore/promote.h"

#include <stdio.h>
#include <string.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/fault.h"
#include "restore/promote_impl.h"
#include "stack/engine/engine_promote.h"

static void say(const struct promote_job *job, const char *what)
{
	if (job->say != NULL)
		job->say(job->ctx, what);
}

static int step(const struct promote_job *job, enum promotion_step which, const char *fault,
		const json_t *plan, struct err *err)
{
	/* A signal between two steps is a signal too. */
	if (cancel_check(err) < 0 || engine_promotion(job->engine, which, plan, err) < 0)
		return -1;
	return fault_point(fault, err);
}

/* ---- the age of what production moves to ---- */

/* Ids begin with the time: "20261123T020000Z-3f9c". */
static bool time_of_id(const char *id, int64_t *ret_ms)
{
	int year, month, day, hour, minute, second;
	if (sscanf(id, "%4d%2d%2dT%2d%2d%2dZ", &year, &month, &day, &hour, &minute, &second) != 6)
		return false;
	int64_t days = civil_to_days((struct civil){.year = year, .month = month, .day = day});
	*ret_ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
	return true;
}

static int put_age(json_t *plan, struct err *err)
{
	const char *backup = json_str_or(plan, "backup", json_str_or(plan, "source", ""));
	char text[CLOCK_TEXT_BYTES];
	int64_t taken;
	if (!time_of_id(backup, &taken))
		return 0;
	if (json_put(plan, "data_from", json_string(clock_rfc3339(taken, text)), err) < 0)
		return -1;
	return json_put(plan, "data_age_ms", json_integer(clock_wall_ms() - taken), err);
}

/* ---- plan ---- */

static int make_plan(const struct promote_job *job, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *sources = NULL;
	CLEANUP(json_freep) json_t *plan = NULL;
	const json_t *source;
	if (engine_promotion_sources(job->engine, &sources, err) < 0 ||
	    promote_choose(job, sources, &source, err) < 0)
		return -1;
	struct promotion_spec spec = {.id = job->id,
				      .source = source,
				      .only = job->only,
				      /* What was done by an override file is taken back by it. */
				      .fast = job->fast ||
					      json_is_true(json_object_get(source, "fast")),
				      .override = job->override,
				      .ready_ms = job->ready_ms};
	if (engine_promotion_plan(job->engine, &spec, &plan, err) < 0 || put_age(plan, err) < 0)
		return -1;
	*ret = plan;
	plan = NULL;
	return 0;
}

/* ---- the way back ---- */

/* Also after a signal: production must not be left standing. */
static int undo(const struct promote_job *job, const json_t *plan, struct err *why)
{
	struct err worse = ERR_INIT;
	cancel_hold();
	say(job, "bringing the old state back");
	int rc = engine_promotion(job->engine, PROMOTION_UNDO, plan, &worse);
	cancel_release();
	if (rc == 0) {
		if (why->hint[0] == '\0')
			err_hint(why, "The old state is back.");
		return err_wrap(why, "production was moved back");
	}
	err_hint(why,
		 "The next start of Lifeboat tries again; what production had is in the volumes "
		 "that end in _before_%s, if there are such.",
		 job->id);
	return err_wrap(why, "the old state could not be brought back (%.600s), after", worse.msg);
}

/* ---- the story ---- */

static int carry_out(const struct promote_job *job, json_t *plan, struct err *err)
{
	int64_t stopped = clock_monotonic_ms();
	if (fault_point("promote-begun", err) < 0)
		return -1;
	say(job, "stopping what uses the volumes");
	if (step(job, PROMOTION_STOP, "promote-stopped", plan, err) < 0)
		return -1;
	say(job, "copying production's volumes aside");
	if (step(job, PROMOTION_SAVE, "promote-marked", plan, err) < 0)
		return -1;
	say(job, "moving to the new contents");
	if (step(job, PROMOTION_MOVE, "promote-moved", plan, err) < 0)
		return -1;
	say(job, "starting the services");
	if (step(job, PROMOTION_START, "promote-started", plan, err) < 0)
		return -1;
	say(job, "waiting until they are healthy");
	if (step(job, PROMOTION_SETTLE, "promote-settled", plan, err) < 0 ||
	    promote_log_in(job, plan, err) < 0)
		return -1;
	if (json_put(plan, "downtime_ms", json_integer(clock_monotonic_ms() - stopped), err) < 0)
		return -1;
	if (cancel_check(err) < 0)
		return -1;
	return engine_promotion(job->engine, PROMOTION_COMMIT, plan, err);
}

int promote_run(const struct promote_job *job, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	if (make_plan(job, &plan, err) < 0)
		return -1;
	if (!job->dry_run) {
		if (job->confirm(job->ctx, plan, err) < 0 ||
		    engine_promotion(job->engine, PROMOTION_BEGIN, plan, err) < 0)
			return -1;
		if (carry_out(job, plan, err) < 0)
			return undo(job, plan, err);
	}
	*ret = plan;
	plan = NULL;
	return 0;
}

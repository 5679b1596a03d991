#include "agent/daemon/agenda.h"

#include "base/err.h"

enum {
	SECOND_MS = 1000,
	/* Later than this is no longer "on time". */
	ON_TIME_MS = 60 * SECOND_MS,
	HOUR_MS = 3600 * SECOND_MS,
	/* A clock that goes back by more was wrong before. */
	WOBBLE_MS = 3 * HOUR_MS
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t floor_s(int64_t ms)
{
	return ms / SECOND_MS - (ms % SECOND_MS < 0);
}

/* The first time of the schedule after `ms`, as it is written. */
static int64_t next_ms(const struct agenda *a, enum job_kind kind, int64_t ms)
{
	return cron_next(&a->rules[kind].cron, a->opts.zone, floor_s(ms)) * SECOND_MS;
}

int64_t agenda_next_ms(const struct agenda *a, enum job_kind kind, int64_t now_ms)
{
	if (!a->rules[kind].scheduled)
		return AGENDA_NEVER;
	int64_t from = later(a->entries[kind].handled_ms, now_ms - a->opts.delay_ms);
	return next_ms(a, kind, from) + a->opts.delay_ms;
}

int64_t agenda_delay_ms(const char *seed, int64_t jitter_ms)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
	for (; *seed != '\0'; seed++)
		hash = (hash ^ (unsigned char)*seed) * UINT64_C(1099511628211);
	hash ^= hash >> 32;
	return jitter_ms > 0 ? (int64_t)(hash % (uint64_t)(jitter_ms + 1)) : 0;
}

/* ---- looking ---- */

/* What was written down by a clock that has gone back since. */
static void stand_clock(struct agenda *a, enum job_kind kind, int64_t now_ms)
{
	struct agenda_entry *e = &a->entries[kind];
	int64_t wobble = a->rules[kind].cron.follows_elapsed ? ON_TIME_MS : WOBBLE_MS;
	int64_t farthest = later(a->opts.retry_wait_ms, HOUR_MS);
	if (e->handled_ms - now_ms > wobble)
		e->handled_ms = now_ms;
	e->since_ms = earlier(e->since_ms, now_ms);
	e->success_ms = earlier(e->success_ms, now_ms);
	e->overdue_since_ms = earlier(e->overdue_since_ms, now_ms);
	if (e->retry_ms - now_ms > farthest)
		e->retry_ms = now_ms + farthest;
}

/* Times of the schedule that have come: the newest of them waits from now on. */
static void admit(struct agenda *a, enum job_kind kind, int64_t now_ms, struct agenda_look *ret)
{
	struct agenda_entry *e = &a->entries[kind];
	int64_t until = now_ms - a->opts.delay_ms;
	int64_t oldest = until - later(a->opts.catch_up_ms, ON_TIME_MS) - SECOND_MS;
	int64_t from = later(e->handled_ms, oldest), newest = 0;
	for (int64_t t = next_ms(a, kind, from); t <= until; t = next_ms(a, kind, t))
		newest = t;
	if (newest != 0) {
		e->handled_ms = newest;
		e->due_ms = newest;
		e->trigger = until - newest > ON_TIME_MS ? JOB_BY_CATCH_UP : JOB_BY_SCHEDULE;
		e->retry_ms = 0;
	} else if (from > e->handled_ms) {
		int64_t missed = next_ms(a, kind, e->handled_ms);
		if (missed <= from)
			ret->missed_ms[kind] = missed;
		e->handled_ms = from;
	}
	ret->wake_ms = earlier(ret->wake_ms, agenda_next_ms(a, kind, now_ms));
}

static void watch_overdue(struct agenda *a, enum job_kind kind, int64_t now_ms,
			  struct agenda_look *ret)
{
	struct agenda_entry *e = &a->entries[kind];
	/* While it runs it has its deadline, and what is caught up in this moment needs no alarm.
	 */
	if (a->opts.overdue_ms <= 0 || e->overdue_since_ms != 0 || a->running == kind ||
	    (e->due_ms != 0 && a->running == JOB_KINDS))
		return;
	int64_t limit = next_ms(a, kind, later(e->since_ms, e->success_ms)) + a->opts.delay_ms +
			a->opts.overdue_ms;
	if (now_ms < limit) {
		ret->wake_ms = earlier(ret->wake_ms, limit);
		return;
	}
	e->overdue_since_ms = limit;
	ret->overdue[kind] = true;
}

/* The one that has waited longest. */
static void choose(struct agenda *a, int64_t now_ms, struct agenda_look *ret)
{
	int64_t best = AGENDA_NEVER;
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		struct agenda_entry *e = &a->entries[k];
		int64_t at = AGENDA_NEVER;
		if (e->due_ms != 0)
			at = e->due_ms;
		else if (e->retry_ms != 0 && e->retry_ms <= now_ms)
			at = e->retry_ms;
		else if (e->retry_ms != 0)
			ret->wake_ms = earlier(ret->wake_ms, e->retry_ms);
		if (at < best) {
			best = at;
			ret->run = k;
		}
	}
	if (a->running != JOB_KINDS)
		ret->run = JOB_KINDS;
}

void agenda_look(struct agenda *a, int64_t now_ms, struct agenda_look *ret)
{
	*ret = (struct agenda_look){.run = JOB_KINDS, .wake_ms = AGENDA_NEVER};
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		stand_clock(a, k, now_ms);
		if (!a->rules[k].scheduled)
			continue;
		admit(a, k, now_ms, ret);
		watch_overdue(a, k, now_ms, ret);
	}
	choose(a, now_ms, ret);
}

void agenda_resume(struct agenda *a, int64_t now_ms, struct agenda_look *ret)
{
	*ret = (struct agenda_look){.run = JOB_KINDS, .wake_ms = now_ms};
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		struct agenda_entry *e = &a->entries[k];
		if (e->due_ms != 0 && now_ms - e->due_ms > a->opts.catch_up_ms) {
			ret->missed_ms[k] = e->due_ms;
			e->due_ms = 0;
		}
		if (e->due_ms != 0)
			e->trigger = JOB_BY_CATCH_UP;
		if (a->rules[k].scheduled && e->since_ms == 0)
			agenda_reschedule(a, k, now_ms);
	}
}

void agenda_reschedule(struct agenda *a, enum job_kind kind, int64_t now_ms)
{
	struct agenda_entry *e = &a->entries[kind];
	e->since_ms = now_ms;
	e->handled_ms = now_ms - a->opts.delay_ms;
	e->due_ms = 0;
	e->overdue_since_ms = 0;
	if (a->rules[kind].scheduled)
		return;
	/* Nothing would ever end what it has left. */
	e->retry_ms = 0;
	e->failures = 0;
	e->failing_since_ms = 0;
}

bool agenda_request(struct agenda *a, enum job_kind kind, int64_t now_ms)
{
	struct agenda_entry *e = &a->entries[kind];
	if (a->running == kind || e->due_ms != 0)
		return false;
	e->due_ms = now_ms;
	e->trigger = JOB_BY_SIGNAL;
	e->retry_ms = 0;
	return true;
}

/* ---- runs ---- */

void agenda_began(struct agenda *a, enum job_kind kind, int64_t now_ms)
{
	struct agenda_entry *e = &a->entries[kind];
	bool retry = e->due_ms == 0;
	if (!retry) {
		e->run_due_ms = e->trigger == JOB_BY_SIGNAL ? 0 : e->due_ms;
		e->attempts = 0;
	}
	e->run_trigger = retry ? JOB_BY_RETRY : e->trigger;
	e->run_began_ms = now_ms;
	e->run_attempt = ++e->attempts;
	e->due_ms = 0;
	e->retry_ms = 0;
	a->running = kind;
}

/* Is another try worth it? A wrong configuration stays wrong, and a drill that failed has told what
 * it is for. */
static bool is_retried(enum job_kind kind, enum job_outcome outcome, int exit_status)
{
	if (exit_status == err_exit_status(ERR_USAGE) || exit_status == err_exit_status(ERR_CONFIG))
		return false;
	return outcome == JOB_LOCKED || exit_status == err_exit_status(ERR_UNREACHABLE) ||
	       kind == JOB_BACKUP || kind == JOB_COPY;
}

static void plan_retry(struct agenda *a, enum job_kind kind, int64_t now_ms, uint64_t random)
{
	struct agenda_entry *e = &a->entries[kind];
	if (e->run_attempt > a->opts.retries || e->due_ms != 0)
		return;
	int64_t cap = later(a->opts.retry_wait_ms, HOUR_MS), wait = a->opts.retry_wait_ms;
	for (unsigned i = 1; i < e->run_attempt && wait < cap; i++)
		wait = earlier(2 * wait, cap);
	/* Half of it is left to chance, so that many hosts don't come back together. */
	int64_t at = now_ms + wait / 2 + (int64_t)(random % (uint64_t)(wait / 2 + 1));
	/* The schedule's own next run is as good. */
	if (at < agenda_next_ms(a, kind, now_ms))
		e->retry_ms = at;
}

static void recover(struct agenda_entry *e, struct agenda_end *ret)
{
	*ret = (struct agenda_end){.recovered = e->failures > 0 || e->overdue_since_ms != 0,
				   .was_overdue = e->overdue_since_ms != 0,
				   .failures = e->failures,
				   .failing_since_ms = e->failing_since_ms};
	e->failures = 0;
	e->failing_since_ms = e->overdue_since_ms = 0;
}

/* A backup has reached all stores, so one that was away for a copy is there again. Where copying
 * has no schedule, nothing else would bring it what it lacks, or end its failure. */
static void owe_copy(struct agenda *a, int64_t now_ms)
{
	struct agenda_entry *copy = &a->entries[JOB_COPY];
	if (a->rules[JOB_COPY].scheduled || copy->failures == 0 || copy->due_ms != 0)
		return;
	copy->retry_ms = now_ms;
	copy->attempts = 0;
	copy->run_due_ms = 0;
}

void agenda_ended(struct agenda *a, enum job_kind kind, int64_t now_ms, enum job_outcome outcome,
		  int exit_status, uint64_t random, struct agenda_end *ret)
{
	struct agenda_entry *e = &a->entries[kind];
	*ret = (struct agenda_end){0};
	a->running = JOB_KINDS;
	if (outcome == JOB_SUCCEEDED) {
		recover(e, ret);
		e->success_ms = e->run_began_ms;
		if (kind == JOB_BACKUP)
			owe_copy(a, now_ms);
		return;
	}
	if (outcome == JOB_CANCELLED) {
		/* It is still owed; the next start catches up. */
		if (e->due_ms == 0 && e->run_trigger != JOB_BY_SIGNAL) {
			e->due_ms = e->run_due_ms != 0 ? e->run_due_ms : e->run_began_ms;
			e->trigger = JOB_BY_CATCH_UP;
		}
		return;
	}
	/* That another host does it is no failure. */
	if (outcome != JOB_LOCKED && e->failures++ == 0)
		e->failing_since_ms = e->run_began_ms;
	if (is_retried(kind, outcome, exit_status))
		plan_retry(a, kind, now_ms, random);
}

void agenda_copy_instead(struct agenda *a)
{
	struct agenda_entry *backup = &a->entries[JOB_BACKUP], *copy = &a->entries[JOB_COPY];
	backup->success_ms = backup->run_began_ms;
	if (backup->retry_ms != 0 && copy->retry_ms == 0) {
		copy->retry_ms = backup->retry_ms;
		copy->attempts = backup->attempts;
		copy->run_due_ms = 0;
	}
	backup->retry_ms = 0;
}

void agenda_copied(struct agenda *a, struct agenda_end *ret)
{
	struct agenda_entry *backup = &a->entries[JOB_BACKUP];
	*ret = (struct agenda_end){0};
	/* A run that failed has succeeded only by agenda_copy_instead. */
	if (backup->failures > 0 && backup->success_ms == backup->run_began_ms)
		recover(backup, ret);
}

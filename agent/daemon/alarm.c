#include "agent/daemon/alarm.h"

#include <stdlib.h>
#include <string.h>
#include "agent/config/config_notify.h"
#include "agent/daemon/notice.h"
#include "agent/daemon/state.h"
#include "agent/report/overview.h"

/* What may be wrong: two things of each job, two of their own, and a refused configuration. */
enum { FAILING, OVERDUE = JOB_KINDS, SUSPICIOUS = 2 * JOB_KINDS, UNPROVEN, REFUSED, SLOTS };

struct condition {
	int64_t since_ms; /* 0: all is well */
	json_t *facts;    /* of the run that made it so, or that ended it; NULL */
};

struct told {
	char *label;
	int64_t at_ms[SLOTS]; /* 0: it does not know */
};

struct alarms {
	struct condition conditions[SLOTS]; /* UNPROVEN: since the last proof */
	struct told *told;
	size_t told_count;
};

/* ---- life ---- */

int alarms_new(int64_t now_ms, struct alarms **ret, struct err *err)
{
	struct alarms *a = mem_zalloc(sizeof *a, "alarms", err);
	if (a == NULL)
		return -1;
	a->conditions[UNPROVEN].since_ms = now_ms;
	*ret = a;
	return 0;
}

static void forget_told(struct alarms *a)
{
	for (size_t i = 0; i < a->told_count; i++)
		free(a->told[i].label);
	free(a->told);
	a->told = NULL;
	a->told_count = 0;
}

void alarms_free(struct alarms *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		json_decref(a->conditions[i].facts);
	forget_told(a);
	free(a);
}

static struct told *told_find(struct alarms *a, const char *label)
{
	struct err ignored = ERR_INIT;
	for (size_t i = 0; i < a->told_count; i++)
		if (strcmp(a->told[i].label, label) == 0)
			return &a->told[i];
	struct told *grown = mem_grow(a->told, a->told_count, sizeof *grown, "alarms", &ignored);
	if (grown == NULL)
		return NULL;
	a->told = grown;
	struct told fresh = {0};
	if (str_dup(label, &fresh.label, &ignored) < 0)
		return NULL;
	a->told[a->told_count] = fresh;
	return &a->told[a->told_count++];
}

void alarms_keep(struct alarms *a, const struct config_notify *all, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < a->told_count; i++) {
		size_t n = 0;
		while (n < count && strcmp(all[n].label, a->told[i].label) != 0)
			n++;
		if (n < count)
			a->told[kept++] = a->told[i];
		else
			free(a->told[i].label);
	}
	a->told_count = kept;
}

/* ---- what happens ---- */

static void set_facts(struct condition *c, const json_t *facts)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)facts);
	/* The job's own document is long, and nobody asks for it any more. */
	if (copy != NULL)
		json_object_del(copy, "result");
	json_decref(c->facts);
	c->facts = copy;
}

static void raise_it(struct condition *c, int64_t now_ms, const json_t *facts)
{
	if (c->since_ms == 0)
		c->since_ms = now_ms;
	set_facts(c, facts);
}

static void end_it(struct condition *c, const json_t *facts)
{
	c->since_ms = 0;
	set_facts(c, facts);
}

/* It is over, and nobody needs to hear of it: the schedule is gone, or the state was lost. */
static void drop(struct alarms *a, size_t slot)
{
	a->conditions[slot].since_ms = 0;
	for (size_t i = 0; i < a->told_count; i++)
		a->told[i].at_ms[slot] = 0;
}

/* A run that was cancelled says nothing; one that found a lock will be tried again. */
static bool is_failure(const json_t *run)
{
	enum job_outcome outcome = job_outcome_find(json_str_or(run, "outcome", NULL));
	bool again = json_str_or(run, "retry_at", NULL) != NULL;
	return outcome != JOB_OUTCOMES && outcome != JOB_SUCCEEDED && outcome != JOB_CANCELLED &&
	       !(outcome == JOB_LOCKED && again);
}

static enum alarm_event heed_end(struct alarms *a, const struct daemon_event *e)
{
	const json_t *suspicious =
	    json_object_get(json_object_get(e->facts, "result"), "suspicious");
	enum alarm_event what = ALARM_EVENTS;
	if (e->job >= JOB_KINDS)
		return what;
	if (e->job == JOB_BACKUP && json_is_true(suspicious))
		raise_it(&a->conditions[SUSPICIOUS], e->wall_ms, e->facts);
	else if (e->job == JOB_BACKUP && json_is_false(suspicious))
		end_it(&a->conditions[SUSPICIOUS], e->facts);
	if (is_failure(e->facts)) {
		raise_it(&a->conditions[FAILING + e->job], e->wall_ms, e->facts);
		return ALARM_FAILURE;
	}
	if (job_outcome_find(json_str_or(e->facts, "outcome", NULL)) != JOB_SUCCEEDED)
		return what;
	end_it(&a->conditions[FAILING + e->job], e->facts);
	end_it(&a->conditions[OVERDUE + e->job], e->facts);
	if (e->job == JOB_DRILL) {
		a->conditions[UNPROVEN].since_ms = e->wall_ms;
		set_facts(&a->conditions[UNPROVEN], e->facts);
	}
	return ALARM_SUCCESS;
}

/* Mostly known from the run itself; that of a backup which lacked its copies alone is not. */
static void heed_recovery(struct alarms *a, const struct daemon_event *e)
{
	const size_t slots[] = {FAILING + (size_t)e->job, OVERDUE + (size_t)e->job};
	for (size_t i = 0; e->job < JOB_KINDS && i < sizeof slots / sizeof *slots; i++)
		if (a->conditions[slots[i]].since_ms != 0)
			end_it(&a->conditions[slots[i]], e->facts);
}

/* How things stand, where the daemon knows it better than we remember. */
static void heed_status(struct alarms *a, const struct daemon_event *e)
{
	const json_t *jobs = json_object_get(e->facts, "jobs");
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		const json_t *job = json_object_get(jobs, job_kind_name(k));
		const json_t *last = json_object_get(job, "last");
		struct condition *overdue = &a->conditions[OVERDUE + k];
		if (!json_is_true(json_object_get(job, "overdue"))) {
			drop(a, OVERDUE + k);
		} else if (overdue->since_ms == 0) {
			CLEANUP(json_freep)
			json_t *facts = json_pack("{s:s}", "job", job_kind_name(k));
			raise_it(overdue, e->wall_ms, facts);
		}
		if (json_u64_or(job, "failures", 0) == 0)
			drop(a, FAILING + k);
		else if (a->conditions[FAILING + k].since_ms == 0 && is_failure(last))
			raise_it(&a->conditions[FAILING + k], e->wall_ms, last);
	}
	const json_t *drill = json_object_get(jobs, job_kind_name(JOB_DRILL));
	int64_t proof_ms = overview_time(json_object_get(drill, "last_success"), "ended");
	if (proof_ms > a->conditions[UNPROVEN].since_ms)
		a->conditions[UNPROVEN].since_ms = proof_ms;
}

enum alarm_event alarms_heed(struct alarms *a, const struct daemon_event *e)
{
	switch (e->kind) {
	case DAEMON_STARTED:
	case DAEMON_RELOADED:
		end_it(&a->conditions[REFUSED], NULL);
		heed_status(a, e);
		break;
	case DAEMON_REFUSED:
		raise_it(&a->conditions[REFUSED], e->wall_ms, e->facts);
		break;
	case DAEMON_JOB_BEGAN:
		return ALARM_START;
	case DAEMON_JOB_ENDED:
		return heed_end(a, e);
	case DAEMON_OVERDUE:
		if (e->job < JOB_KINDS)
			raise_it(&a->conditions[OVERDUE + e->job], e->wall_ms, e->facts);
		break;
	case DAEMON_RECOVERED:
		heed_recovery(a, e);
		break;
	case DAEMON_MISSED: /* overdue is what comes of it */
	case DAEMON_STOPPING:
		break;
	}
	return ALARM_EVENTS;
}

enum alarm_event alarms_ping(const struct config_notify *n, enum alarm_event e, enum job_kind job)
{
	bool proof = strcmp(n->after, "proof") == 0;
	enum job_kind alive = proof ? JOB_DRILL : JOB_BACKUP;
	if (e == ALARM_EVENTS || (n->events & 1U << e) == 0)
		return ALARM_EVENTS;
	/* Without a backup there will be no proof either. */
	if (job == alive || (job == JOB_BACKUP && e == ALARM_FAILURE))
		return e;
	return ALARM_EVENTS;
}

/* ---- what is to be told ---- */

static enum alarm_event event_of(size_t slot)
{
	return slot == UNPROVEN     ? ALARM_UNPROVEN
	       : slot == SUSPICIOUS ? ALARM_SUSPICIOUS
	       : slot == REFUSED    ? ALARM_FAILURE
	       : slot >= OVERDUE    ? ALARM_OVERDUE
				    : ALARM_FAILURE;
}

/* Whose recovery ends it; JOB_KINDS: that of the configuration. */
static enum job_kind job_of(size_t slot)
{
	return slot == UNPROVEN     ? JOB_DRILL
	       : slot == SUSPICIOUS ? JOB_BACKUP
	       : slot == REFUSED    ? JOB_KINDS
				    : (enum job_kind)(slot % JOB_KINDS);
}

static bool is_raised(const struct alarms *a, const struct config_notify *n, size_t slot,
		      int64_t now_ms)
{
	int64_t since = a->conditions[slot].since_ms;
	return slot == UNPROVEN ? now_ms - since > n->unproven_after_ms : since != 0;
}

static bool wants(const struct config_notify *n, enum alarm_event e)
{
	return (n->events & 1U << e) != 0;
}

static bool is_reminder(const struct config_notify *n, const struct told *t, size_t slot,
			int64_t now_ms)
{
	return n->remind_ms > 0 && wants(n, event_of(slot)) &&
	       now_ms - t->at_ms[slot] >= n->remind_ms;
}

/* Tells what has begun or goes on. */
static bool next_raised(struct alarms *a, const struct config_notify *n, struct told *t,
			const char *stack, int64_t now_ms, json_t **ret)
{
	for (size_t slot = 0; slot < SLOTS; slot++) {
		bool before = t->at_ms[slot] != 0;
		if (!is_raised(a, n, slot, now_ms) || (before && !is_reminder(n, t, slot, now_ms)))
			continue;
		t->at_ms[slot] = now_ms;
		if (!wants(n, event_of(slot)))
			continue;
		struct notice_opts opts = {.event = event_of(slot),
					   .job = job_of(slot),
					   .stack = stack,
					   .facts = a->conditions[slot].facts,
					   .since_ms = a->conditions[slot].since_ms,
					   .now_ms = now_ms,
					   .reminder = before};
		*ret = notice_new(&opts);
		return *ret != NULL;
	}
	return false;
}

/* Tells that all is well with a job again, once nothing of it is wrong any more. */
static bool next_recovered(struct alarms *a, const struct config_notify *n, struct told *t,
			   const char *stack, int64_t now_ms, json_t **ret)
{
	for (enum job_kind k = 0; k <= JOB_KINDS; k++) {
		const json_t *facts = NULL;
		int64_t told_ms = 0;
		bool well = true;
		for (size_t slot = 0; slot < SLOTS; slot++) {
			if (job_of(slot) != k)
				continue;
			well = well && !is_raised(a, n, slot, now_ms);
			if (t->at_ms[slot] == 0)
				continue;
			facts = a->conditions[slot].facts;
			told_ms = t->at_ms[slot];
		}
		if (told_ms == 0 || !well)
			continue;
		for (size_t slot = 0; slot < SLOTS; slot++)
			if (job_of(slot) == k)
				t->at_ms[slot] = 0;
		if (!wants(n, ALARM_RECOVERY))
			continue;
		struct notice_opts opts = {.event = ALARM_RECOVERY,
					   .job = k,
					   .stack = stack,
					   .facts = facts,
					   .now_ms = now_ms};
		*ret = notice_new(&opts);
		return *ret != NULL;
	}
	return false;
}

/* What was noted by a clock that has gone back since: else nobody would be told before that time
 * has come again. */
static void stand_clock(struct alarms *a, struct told *t, int64_t now_ms)
{
	for (size_t slot = 0; slot < SLOTS; slot++) {
		if (a->conditions[slot].since_ms > now_ms)
			a->conditions[slot].since_ms = now_ms;
		if (t->at_ms[slot] > now_ms)
			t->at_ms[slot] = now_ms;
	}
}

bool alarms_next(struct alarms *a, const struct config_notify *n, const char *stack, int64_t now_ms,
		 json_t **ret)
{
	struct told *t = told_find(a, n->label);
	if (t != NULL)
		stand_clock(a, t, now_ms);
	return t != NULL && (next_raised(a, n, t, stack, now_ms, ret) ||
			     next_recovered(a, n, t, stack, now_ms, ret));
}

int64_t alarms_due(const struct alarms *a, const struct config_notify *n, int64_t now_ms)
{
	const struct told *t = NULL;
	int64_t due = INT64_MAX;
	for (size_t i = 0; i < a->told_count; i++)
		if (strcmp(a->told[i].label, n->label) == 0)
			t = &a->told[i];
	for (size_t slot = 0; slot < SLOTS; slot++) {
		int64_t at = INT64_MAX;
		if (slot == UNPROVEN && !is_raised(a, n, slot, now_ms))
			at = a->conditions[slot].since_ms + n->unproven_after_ms + 1;
		else if (!is_raised(a, n, slot, now_ms))
			continue;
		else if (t == NULL || t->at_ms[slot] == 0)
			at = now_ms;
		else if (n->remind_ms > 0 && wants(n, event_of(slot)))
			at = t->at_ms[slot] + n->remind_ms;
		due = at < due ? at : due;
	}
	return due;
}

/* ---- as JSON ---- */

static void slot_name(size_t slot, char out[64])
{
	if (slot == REFUSED)
		snprintf(out, 64, "refused");
	else if (slot >= SUSPICIOUS)
		snprintf(out, 64, "%s", alarm_event_name(event_of(slot)));
	else
		snprintf(out, 64, "%s/%s", alarm_event_name(event_of(slot)),
			 job_kind_name(job_of(slot)));
}

json_t *alarms_document(const struct alarms *a)
{
	char name[64];
	CLEANUP(json_freep) json_t *conditions = json_object();
	CLEANUP(json_freep) json_t *told = json_object();
	struct err ignored = ERR_INIT;
	for (size_t slot = 0; slot < SLOTS; slot++) {
		const struct condition *c = &a->conditions[slot];
		slot_name(slot, name);
		if (c->since_ms != 0 || c->facts != NULL)
			if (json_put(conditions, name,
				     json_pack("{s:I, s:O?}", "since_ms", (json_int_t)c->since_ms,
					       "facts", c->facts),
				     &ignored) < 0)
				return NULL;
	}
	for (size_t i = 0; i < a->told_count; i++) {
		CLEANUP(json_freep) json_t *slots = json_object();
		for (size_t slot = 0; slot < SLOTS; slot++) {
			slot_name(slot, name);
			if (a->told[i].at_ms[slot] != 0 &&
			    json_put(slots, name, json_integer(a->told[i].at_ms[slot]), &ignored) <
				0)
				return NULL;
		}
		if (json_put(told, a->told[i].label, json_incref(slots), &ignored) < 0)
			return NULL;
	}
	return json_pack("{s:O, s:O}", "conditions", conditions, "told", told);
}

void alarms_restore(struct alarms *a, const json_t *doc)
{
	char name[64];
	const char *label;
	json_t *slots;
	for (size_t slot = 0; slot < SLOTS; slot++) {
		slot_name(slot, name);
		const json_t *c = json_object_get(json_object_get(doc, "conditions"), name);
		uint64_t since = json_u64_or(c, "since_ms", 0);
		json_t *facts = json_object_get(c, "facts");
		if (c == NULL || since > INT64_MAX / 2 || (slot == UNPROVEN && since == 0))
			continue;
		a->conditions[slot].since_ms = (int64_t)since;
		json_decref(a->conditions[slot].facts);
		a->conditions[slot].facts = json_is_object(facts) ? json_incref(facts) : NULL;
	}
	json_object_foreach(json_object_get((json_t *)(uintptr_t)doc, "told"), label, slots)
	{
		struct told *t = told_find(a, label);
		for (size_t slot = 0; t != NULL && slot < SLOTS; slot++) {
			slot_name(slot, name);
			uint64_t at = json_u64_or(slots, name, 0);
			t->at_ms[slot] = at <= INT64_MAX / 2 ? (int64_t)at : 0;
		}
	}
}

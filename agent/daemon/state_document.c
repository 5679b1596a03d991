/* How things stand, as one JSON document. */
#include <unistd.h>
#include "agent/daemon/state.h"
#include "base/clock.h"

json_t *state_time(int64_t ms)
{
	char text[CLOCK_TEXT_BYTES];
	return ms > 0 && ms != AGENDA_NEVER ? json_string(clock_rfc3339(ms, text)) : json_null();
}

/* What read_entry in state.c reads. */
static json_t *agenda_facts(const struct agenda_entry *e, const char *plan)
{
	return json_pack(
	    "{s:s?, s:o, s:o, s:o, s:s, s:o, s:i, s:o, s:o, s:s, s:i, s:o, s:i, s:o, s:o}", "plan",
	    plan, "since", state_time(e->since_ms), "handled", state_time(e->handled_ms), "due",
	    state_time(e->due_ms), "trigger", job_trigger_name(e->trigger), "retry",
	    state_time(e->retry_ms), "attempts", (int)e->attempts, "run_began",
	    state_time(e->run_began_ms), "run_due", state_time(e->run_due_ms), "run_trigger",
	    job_trigger_name(e->run_trigger), "run_attempt", (int)e->run_attempt, "success",
	    state_time(e->success_ms), "failures", (int)e->failures, "failing_since",
	    state_time(e->failing_since_ms), "overdue_since", state_time(e->overdue_since_ms));
}

static json_t *or_null(json_t *value)
{
	return value != NULL ? json_incref(value) : json_null();
}

static json_t *job_facts(const struct state *s, const struct state_facts *f, enum job_kind k)
{
	const struct agenda_entry *e = &f->agenda->entries[k];
	return json_pack("{s:s?, s:o, s:o, s:b, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "schedule",
			 f->config->schedule.cron[k], "next",
			 state_time(agenda_next_ms(f->agenda, k, f->now_ms)), "retry_at",
			 state_time(e->retry_ms), "overdue", e->overdue_since_ms != 0,
			 "overdue_since", state_time(e->overdue_since_ms), "failures",
			 (int)e->failures, "failing_since", state_time(e->failing_since_ms), "last",
			 or_null(s->last[k]), "last_success", or_null(s->last_success[k]), "counts",
			 or_null(s->counts[k]), "agenda", agenda_facts(e, s->plans[k]));
}

static int put_jobs(const struct state *s, const struct state_facts *f, json_t *doc,
		    struct err *err)
{
	CLEANUP(json_freep) json_t *jobs = json_object();
	for (enum job_kind k = 0; k < JOB_KINDS; k++)
		if ((f->agenda->rules[k].scheduled || s->last[k] != NULL ||
		     f->agenda->running == k || f->agenda->entries[k].run_began_ms != 0) &&
		    json_put(jobs, job_kind_name(k), job_facts(s, f, k), err) < 0)
			return -1;
	return json_put(doc, "jobs", json_incref(jobs), err);
}

int state_document(const struct state *s, const struct state_facts *f, json_t **ret,
		   struct err *err)
{
	const char *zone = f->config->timezone != NULL ? f->config->timezone : "UTC";
	CLEANUP(json_freep)
	json_t *doc =
	    json_pack("{s:i, s:o, s:I, s:o, s:o, s:o, s:O?, s:[], s:o, s:o, s:o}", "version", 1,
		      "stack", json_text_value(f->config->stack.name), "pid", (json_int_t)getpid(),
		      "started", state_time(f->started_ms), "config",
		      json_text_value(f->config->path), "loaded", state_time(f->loaded_ms),
		      "refused", f->refused, "notifiers", "timezone", json_text_value(zone),
		      "state_dir", json_text_value(s->dir), "running", or_null(s->running));
	CLEANUP(json_freep) json_t *warnings = json_array();
	if (doc == NULL)
		return err_nomem(err, "the state");
	for (size_t i = 0; i < f->warnings->count; i++)
		if (json_push(warnings, json_text_value(f->warnings->items[i]), err) < 0)
			return -1;
	if (json_put(doc, "warnings", json_incref(warnings), err) < 0 ||
	    put_jobs(s, f, doc, err) < 0 ||
	    json_put(doc, "history", json_incref(s->history), err) < 0)
		return -1;
	*ret = doc;
	doc = NULL;
	return 0;
}

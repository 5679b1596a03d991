#include "agent/daemon/run.h"

#include "agent/daemon/state.h"
#include "storage/catalog.h"

/* Longer messages are in the log; the history keeps hundreds of them. */
enum { MESSAGE_BYTES = 600 };

int run_new(enum job_kind kind, const struct agenda_entry *e, pid_t pid, json_t **ret,
	    struct err *err)
{
	char id[32];
	if (catalog_new_id(e->run_began_ms, id, err) < 0)
		return -1;
	json_t *run = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:I}", "run", id, "job",
				job_kind_name(kind), "trigger", job_trigger_name(e->run_trigger),
				"attempt", (int)e->run_attempt, "due", state_time(e->run_due_ms),
				"began", state_time(e->run_began_ms), "pid", (json_int_t)pid);
	if (run == NULL)
		return err_nomem(err, "a run");
	*ret = run;
	return 0;
}

const char *run_backup(enum job_kind kind, const json_t *result)
{
	return kind == JOB_BACKUP || kind == JOB_DRILL ? json_str_or(result, "id", NULL) : NULL;
}

static json_t *text_or_null(const char *text)
{
	char part[MESSAGE_BYTES + 1];
	if (text == NULL)
		return json_null();
	snprintf(part, sizeof part, "%s", text);
	return json_text_value(part);
}

static json_t *error_facts(const struct supervise_end *end)
{
	if (end->outcome == JOB_SUCCEEDED)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "code", text_or_null(end->code), "message",
			 text_or_null(end->error), "hint", text_or_null(end->hint));
}

int run_finish(json_t *run, enum job_kind kind, const struct agenda_entry *e, int64_t now_ms,
	       int64_t took_ms, const struct supervise_end *end, struct err *err)
{
	json_object_del(run, "pid");
	if (json_put(run, "ended", state_time(now_ms), err) < 0 ||
	    json_put(run, "duration_ms", json_integer(took_ms), err) < 0 ||
	    json_put(run, "outcome", json_string(job_outcome_name(end->outcome)), err) < 0 ||
	    json_put(run, "exit_status",
		     end->exit_status >= 0 ? json_integer(end->exit_status) : json_null(),
		     err) < 0 ||
	    json_put(run, "signal", text_or_null(end->signal), err) < 0 ||
	    json_put(run, "error", error_facts(end), err) < 0 ||
	    json_put(run, "backup", text_or_null(run_backup(kind, end->result)), err) < 0)
		return -1;
	return json_put(run, "retry_at", state_time(e->retry_ms), err);
}

json_t *run_with_result(const json_t *run, const json_t *result)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)run);
	json_t *value = result != NULL ? json_copy((json_t *)(uintptr_t)result) : json_null();
	if (copy == NULL || json_object_set_new(copy, "result", value) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

#include "agent/around.h"

#include "agent/app.h"
#include "agent/daemon/hook.h"
#include "agent/daemon/run.h"
#include "base/log.h"

static int run_hook(const char *command, const struct hook_facts *f, int64_t timeout_ms,
		    struct err *err)
{
	CLEANUP(child_freep) struct child *c = NULL;
	if (hook_start(command, f, &c, err) < 0 || hook_end(c, deadline_in(timeout_ms), err) < 0)
		return err_wrap(err, "hook %s_%s", f->outcome == NULL ? "before" : "after",
				job_kind_name(f->job));
	return 0;
}

static const char *outcome_of(int done, const struct err *err)
{
	if (done == 0)
		return job_outcome_name(JOB_SUCCEEDED);
	if (err->code == ERR_CANCELLED)
		return job_outcome_name(JOB_CANCELLED);
	if (err->code == ERR_UNVERIFIED)
		return job_outcome_name(JOB_UNVERIFIED);
	if (err->code == ERR_LOCKED)
		return job_outcome_name(JOB_LOCKED);
	return job_outcome_name(JOB_FAILED);
}

int around_run(struct app *app, int (*run)(struct app *app, struct err *err), struct err *err)
{
	enum job_kind kind = job_kind_find(cli_command(app->cli)->name);
	if (kind == JOB_KINDS || app->config == NULL)
		return run(app, err);
	const struct config_hook *hook = &app->config->hook;
	struct hook_facts facts = {.job = kind, .stack = app->config->stack.name};
	int64_t began = clock_monotonic_ms();
	int done = 0;
	if (hook->before[kind] != NULL)
		done = run_hook(hook->before[kind], &facts, hook->timeout_ms, err);
	if (done == 0)
		done = run(app, err);
	if (hook->after[kind] == NULL)
		return done;
	facts.outcome = outcome_of(done, err);
	facts.error = done < 0 ? err->msg : NULL;
	facts.backup = run_backup(kind, output_document(app->out));
	facts.duration_ms = clock_monotonic_ms() - began;
	struct err ignored = ERR_INIT;
	/* Also when the job was cancelled: this is the end of it. */
	cancel_hold();
	if (run_hook(hook->after[kind], &facts, hook->timeout_ms, &ignored) < 0)
		log_line(LOG_WARN, "%s", ignored.msg);
	cancel_release();
	return done;
}

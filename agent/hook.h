/*
 * The user's commands before and after a job ([hook] in agent.conf).
 *
 *  hook_around(app, run, err)      a command with its hooks, in the job's own process
 *  hook_start(command, &facts, …)  one of them, for the daemon: after a job that was killed and
 *                                  could not run it itself
 *
 * Each is run by `sh -c`, with its output on our stderr and the facts in its environment.
 */
#ifndef LIFEBOAT_AGENT_HOOK_H
#define LIFEBOAT_AGENT_HOOK_H

#include "agent/daemon/jobs.h"
#include "base/child.h"

struct app;

struct hook_facts {
	enum job_kind job;
	const char *stack;
	const char *outcome; /* NULL before the job, as all that follows */
	const char *error, *backup;
	int64_t duration_ms;
};

/* Names of the variables that a hook finds, NULL-terminated. */
extern const char *const hook_variables[];

/* What `run` returns and sets, unless the hook before it fails: then `run` is not called. Commands
 * that are no job, and jobs without hooks, are just run. */
int hook_around(struct app *app, int (*run)(struct app *app, struct err *err), struct err *err)
    MUST_USE;

int hook_start(const char *command, const struct hook_facts *facts, struct child **ret,
	       struct err *err) MUST_USE;

#endif

/*
 * The user's commands before and after a job ([hook] in agent.conf). A job runs its own
 * (agent/around.h); the daemon runs the one after a job that was killed and could not.
 */
#ifndef LIFEBOAT_AGENT_DAEMON_HOOK_H
#define LIFEBOAT_AGENT_DAEMON_HOOK_H

#include "agent/config/jobs.h"
#include "base/child.h"

struct hook_facts {
	enum job_kind job;
	const char *stack;
	const char *outcome; /* NULL before the job, as all that follows */
	const char *error, *backup;
	int64_t duration_ms;
};

/* `command` by `sh -c`, with its output on our stderr and the facts in its environment. */
int hook_start(const char *command, const struct hook_facts *facts, struct child **ret,
	       struct err *err) MUST_USE;
/* As child_wait. What it said on stderr is in the message of its failure, else on our stderr too.
 */
int hook_end(struct child *c, struct deadline d, struct err *err) MUST_USE;

#endif

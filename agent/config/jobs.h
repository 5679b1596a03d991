/* The kinds of job that a schedule may start; the names are those of the commands, of the keys in
 * [schedule] and of everything that is said and written about them. */
#ifndef LIFEBOAT_AGENT_CONFIG_JOBS_H
#define LIFEBOAT_AGENT_CONFIG_JOBS_H

#include "base/attr.h"

/* In the order in which they go when several are due at the same moment. */
enum job_kind { JOB_BACKUP, JOB_COPY, JOB_DRILL, JOB_VERIFY, JOB_PRUNE, JOB_KINDS };

/* How a job ended. */
enum job_outcome {
	JOB_SUCCEEDED,  /* "success": exit status 0 */
	JOB_FAILED,     /* "failure" */
	JOB_UNVERIFIED, /* "unverified": could not verify, exit status 2 */
	JOB_LOCKED,     /* "locked": somebody else holds the lock, exit status 75 */
	JOB_CANCELLED,  /* "cancelled": the daemon was told to end */
	JOB_TIMED_OUT,  /* "timeout": not done by its deadline */
	JOB_CRASHED,    /* "crashed": a signal ended it that was not ours */
	JOB_LOST,       /* "lost": the daemon itself ended without a word while it ran */
	JOB_OUTCOMES
};

/* Why it was started. */
enum job_trigger {
	JOB_BY_SCHEDULE, /* "schedule" */
	JOB_BY_CATCH_UP, /* "catch-up": its time passed while the daemon was not there */
	JOB_BY_RETRY,    /* "retry" */
	JOB_BY_SIGNAL,   /* "signal": SIGUSR1 */
	JOB_TRIGGERS
};

/* "backup", …; never NULL. */
const char *job_kind_name(enum job_kind kind);
const char *job_outcome_name(enum job_outcome outcome);
const char *job_trigger_name(enum job_trigger trigger);
/* By name; JOB_KINDS, JOB_OUTCOMES, JOB_TRIGGERS when there is none. `name` may be NULL. */
enum job_kind job_kind_find(const char *name);
enum job_outcome job_outcome_find(const char *name);
enum job_trigger job_trigger_find(const char *name);

#endif

/*
 * One job as a child process: this very program with the job's command, its JSON document read from
 * its stdout, its time limited. Never blocks.
 *
 *  1. supervise_start(&opts, &s, err)
 *  2. poll supervise_fds, at the latest until supervise_due; then supervise_step, also after
 *     SIGCHLD, until it says that the job has ended
 *  3. supervise_end(s)      how it ended; supervise_free
 *
 * A job at its deadline, or one that is cancelled, gets SIGTERM and `stop_ms` to clean up, then its
 * process group is killed. Whatever is left in the group is killed when it has ended; what a killed
 * job has left elsewhere is told to end, and killed if it does not.
 */
#ifndef LIFEBOAT_AGENT_DAEMON_SUPERVISE_H
#define LIFEBOAT_AGENT_DAEMON_SUPERVISE_H

#include <poll.h>
#include <sys/types.h>
#include "agent/config/jobs.h"
#include "base/clock.h"
#include "base/json.h"

enum { SUPERVISE_FDS = 2 };

struct supervise_opts {
	enum job_kind kind;
	const char *config_path;
	int config_fd; /* the accepted text of agent.conf */
	int64_t deadline_ms, stop_ms;
};

struct supervised;
int supervise_start(const struct supervise_opts *opts, struct supervised **ret, struct err *err)
    MUST_USE;
void supervise_free(struct supervised *s); /* kills what still runs */
DEFINE_CLEANUP(struct supervised, supervise_free)

pid_t supervise_pid(const struct supervised *s);
/* Fills fds[0..SUPERVISE_FDS); closed ones are -1. */
void supervise_fds(const struct supervised *s, struct pollfd *fds);
struct deadline supervise_due(const struct supervised *s);
/* Reads what there is, enforces limits. True once it has ended. */
bool supervise_step(struct supervised *s);
/* SIGTERM now; called again: SIGKILL. */
void supervise_cancel(struct supervised *s);

struct supervise_end {
	enum job_outcome outcome;
	int exit_status;      /* -1 when a signal ended it */
	const char *signal;   /* "KILL", or NULL; borrowed */
	const json_t *result; /* its document, or NULL; borrowed */
	const char *error;    /* one message where the outcome is not success; borrowed */
	const char *code;     /* as in docs/exit-status.md: "unreachable" */
	const char *hint;     /* or NULL */
};
/* After supervise_step said true; the same each time. */
void supervise_end(struct supervised *s, struct supervise_end *ret);

/* The last 8 KiB of its stderr. Borrowed. */
const char *supervise_said(struct supervised *s);

#endif

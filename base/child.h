/*
 * Child processes that never outlive us and never fail in silence.
 *
 *  1. child_start(&(struct child_opts){.argv = …, .pipe_stdout = true}, &child, err)
 *  2. child_read / child_write             block with a deadline; stderr is drained meanwhile
 *  3. child_wait(child, deadline, err)     0 only if it exited 0; the error carries its last words
 *     child_free(child)                    without wait: kills its process group and reaps it
 *
 * The end of its output is not success: only child_wait knows (see source_child in flow/).
 * Unless `outlives` is set, the kernel kills the child when we die, whatever we die of; for the
 * kernel "we" is the thread that started it, so start children from a thread that stays.
 * Pipes belong to the child object; descriptors passed in opts stay the caller's.
 */
#ifndef LIFEBOAT_BASE_CHILD_H
#define LIFEBOAT_BASE_CHILD_H

#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/clock.h"

/* A user that a child runs as. */
struct identity {
	uid_t uid;
	gid_t gid;
	char name[64];
};
/* By name. ERR_ABSENT. */
int identity_find(const char *user, struct identity *ret, struct err *err) MUST_USE;

struct child_opts {
	const char *const *argv; /* argv[0] is searched in PATH if it has no slash */
	const char *program;     /* what to run under the name argv[0]; NULL: argv[0] */
	const char *const *env;  /* "NAME=value" sets, "NAME" unsets; the rest is inherited */
	const char *cwd;
	const struct identity *run_as; /* with its supplementary groups; NULL: as we are */
	bool pipe_stdin, pipe_stdout;  /* else stdin_fd, stdout_fd */
	int stdin_fd, stdout_fd;       /* 0: /dev/null */
	int stderr_fd;                 /* 0: kept for the message */
	int death_signal;              /* sent by the kernel when we die; 0: SIGKILL */
	bool outlives;                 /* a session of its own, and it stays when we go */
	int pass_fds[4]; /* stay open in the child under the same numbers; 0-terminated */
};

struct child;
int child_start(const struct child_opts *opts, struct child **ret, struct err *err) MUST_USE;

/* *ret_n == 0: it closed its output. Returns what there is, not `cap` bytes. */
int child_read(struct child *c, void *buf, size_t cap, size_t *ret_n, struct deadline d,
	       struct err *err) MUST_USE;
/* All of `len`. A child that stopped reading: ERR_FAILED (ask child_wait why). */
int child_write(struct child *c, const void *data, size_t len, struct deadline d, struct err *err)
    MUST_USE;
void child_close_stdin(struct child *c);

/* 0: exited with status 0. ERR_FAILED "'pg_dump' exited with status 1: <last lines of stderr>" or
 * "was killed by SIGKILL". ERR_TIMEOUT, ERR_CANCELLED: it still runs. */
int child_wait(struct child *c, struct deadline d, struct err *err) MUST_USE;
/* True while it runs; reaps it when not. Never blocks. */
bool child_running(struct child *c);
void child_signal(struct child *c, int signal_number);
/* Signals, waits for `grace_ms`, then kills. 0 once it is gone, whatever its status. */
void child_stop(struct child *c, int signal_number, int64_t grace_ms);
void child_free(struct child *c);
DEFINE_CLEANUP(struct child, child_free)
/* Forgets an `outlives` child without killing it. */
void child_leave(struct child *c);

pid_t child_pid(const struct child *c);
/* Once it is reaped: as waitpid(2) gives it. */
int child_status(const struct child *c);
/* Our ends of its stdout and stderr, -1 where there is none or it is closed: for a poll of one's
 * own. They stay the child object's. */
void child_fds(const struct child *c, int *ret_out, int *ret_errs);
/* The last 8 KiB of stderr. */
const char *child_stderr(struct child *c);

/* From now on, processes whose parent died become ours when one of our children started them. Call
 * child_reap_orphans after each SIGCHLD: it reaps those that have ended, and none that has a child
 * object. */
int child_adopt_orphans(struct err *err) MUST_USE;
void child_reap_orphans(void);
/* When a process began, on a clock of the kernel's; -1 when it is gone. */
long long child_birth(pid_t pid);
/* Signals the orphans that began at `since` (a child_birth) or later, or with 0 only looks for
 * them. Reaps those that have ended; how many still run. */
int child_signal_orphans(long long since, int signal_number);
/* Kills and reaps them, with all that they have started. */
void child_kill_orphans(long long since);

/* Start, append all output to `out` (may be NULL), wait. On failure `out` is as it was. */
int child_run(const struct child_opts *opts, struct buf *out, struct deadline d, struct err *err)
    MUST_USE;

#endif

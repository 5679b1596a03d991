#include "agent/daemon/supervise.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "agent/config/config.h"
#include "agent/output/format.h"
#include "base/child.h"

enum {
	RESULT_MAX_BYTES = 1 << 20,
	READ_BYTES = 16384,
	/* For what a killed job has left. PostgreSQL, killed in its turn, would leave shared
	 * memory that nobody ever frees; told to end, it takes a moment for it. */
	ORPHANS_MS = 5000
};

struct supervised {
	enum job_kind kind;
	struct child *child;
	pid_t pid;
	long long birth;
	int64_t deadline_ms, stop_ms;
	struct deadline due; /* of what comes next: TERM, then KILL; of what it left: KILL */
	bool termed, killed, timed_out, cancelled;
	bool orphaned; /* it has ended, what it left has not */
	bool output_ended, too_much, ended;
	struct buf output;
	json_t *result;
	char error[ERR_MSG_BYTES];
};

/* The words after the program's own name. */
static const char *const *arguments_of(enum job_kind kind)
{
	static const char *const backup[] = {"backup", NULL}, *const copy[] = {"copy", NULL},
				 *const drill[] = {"drill", NULL},
				 *const verify[] = {"verify", "--all", NULL},
				 *const prune[] = {"prune", NULL};
	static const char *const *const all[JOB_KINDS] = {backup, copy, drill, verify, prune};
	return all[kind];
}

int supervise_start(const struct supervise_opts *o, struct supervised **ret, struct err *err)
{
	CLEANUP(supervise_freep) struct supervised *s = mem_zalloc(sizeof *s, "a job", err);
	const char *argv[12] = {"lifeboat", "-c", o->config_path, "--json", "--quiet"};
	const char *const *words = arguments_of(o->kind);
	char held[64];
	if (s == NULL)
		return -1;
	for (size_t i = 0; words[i] != NULL; i++)
		argv[5 + i] = words[i];
	snprintf(held, sizeof held, CONFIG_FD_VARIABLE "=%d", o->config_fd);
	/* The manager talks to the daemon, not to its jobs. */
	const char *const env[] = {held, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", NULL};
	struct child_opts opts = {.argv = argv,
				  .program = "/proc/self/exe",
				  .env = env,
				  .pipe_stdout = true,
				  /* If the daemon is killed its job still cleans up. */
				  .death_signal = SIGTERM,
				  .pass_fds = {o->config_fd}};
	buf_init(&s->output, RESULT_MAX_BYTES);
	s->kind = o->kind;
	s->deadline_ms = o->deadline_ms;
	s->stop_ms = o->stop_ms;
	s->due = deadline_in(o->deadline_ms);
	if (child_start(&opts, &s->child, err) < 0)
		return -1;
	s->pid = child_pid(s->child);
	s->birth = child_birth(s->pid);
	*ret = s;
	s = NULL;
	return 0;
}

void supervise_free(struct supervised *s)
{
	if (s == NULL)
		return;
	if (s->orphaned && !s->ended)
		child_kill_orphans(s->birth);
	child_free(s->child);
	buf_done(&s->output);
	json_decref(s->result);
	free(s);
}

pid_t supervise_pid(const struct supervised *s)
{
	return s->pid;
}

void supervise_fds(const struct supervised *s, struct pollfd *fds)
{
	int out, errs;
	child_fds(s->child, &out, &errs);
	fds[0] = (struct pollfd){.fd = s->output_ended || s->orphaned ? -1 : out, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = s->orphaned ? -1 : errs, .events = POLLIN};
}

struct deadline supervise_due(const struct supervised *s)
{
	return s->ended || (s->killed && !s->orphaned) ? DEADLINE_NEVER : s->due;
}

/* ---- its output ---- */

/* Never waits. What is beyond the limit is read and forgotten, so that the job does not block. */
static void read_output(struct supervised *s)
{
	char part[READ_BYTES];
	while (!s->output_ended) {
		struct err err = ERR_INIT;
		size_t n = 0;
		if (child_read(s->child, part, sizeof part, &n, deadline_in(0), &err) < 0) {
			s->output_ended = err.code != ERR_TIMEOUT;
			return;
		}
		s->output_ended = n == 0;
		s->too_much = s->too_much || buf_append(&s->output, part, n, &err) < 0;
	}
}

/* ---- its end ---- */

static void kill_group(struct supervised *s)
{
	/* The leader is not reaped yet, so the number is still this group's. */
	kill(-s->pid, SIGKILL);
}

/* Has it ended? Looked at without reaping. */
static bool is_over(const struct supervised *s)
{
	siginfo_t who = {.si_pid = 0};
	return waitid(P_PID, (id_t)s->pid, &who, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       who.si_pid == s->pid;
}

static void enforce(struct supervised *s)
{
	if (s->killed || deadline_left_ms(s->due) > 0)
		return;
	if (s->termed) {
		s->killed = true;
		kill_group(s);
		return;
	}
	s->timed_out = true;
	s->termed = true;
	s->due = deadline_in(s->stop_ms);
	child_signal(s->child, SIGTERM);
}

/* Those of what it started that were in groups of their own: it would have ended them itself. */
static bool end_orphans(struct supervised *s)
{
	if (child_signal_orphans(s->birth, 0) > 0) {
		if (deadline_left_ms(s->due) > 0)
			return false;
		child_kill_orphans(s->birth);
	}
	return true;
}

bool supervise_step(struct supervised *s)
{
	if (s->ended)
		return true;
	if (!s->orphaned) {
		read_output(s);
		if (!is_over(s)) {
			enforce(s);
			return false;
		}
		kill_group(s);
		read_output(s);
		if (child_running(s->child))
			return false;
		if (WIFSIGNALED(child_status(s->child))) {
			s->orphaned = true;
			s->due = deadline_in(ORPHANS_MS);
			child_signal_orphans(s->birth, SIGTERM);
		}
	}
	s->ended = !s->orphaned || end_orphans(s);
	return s->ended;
}

void supervise_cancel(struct supervised *s)
{
	if (s->ended)
		return;
	if (s->orphaned) {
		s->due = deadline_in(0);
		return;
	}
	if (s->termed) {
		s->due = deadline_in(0);
		enforce(s);
		return;
	}
	s->cancelled = true;
	s->termed = true;
	s->due = deadline_in(s->stop_ms);
	child_signal(s->child, SIGTERM);
}

static enum job_outcome outcome_of(const struct supervised *s, const struct supervise_end *e)
{
	if (e->exit_status == 0)
		return JOB_SUCCEEDED;
	if (s->cancelled)
		return JOB_CANCELLED;
	if (s->timed_out)
		return JOB_TIMED_OUT;
	if (e->exit_status < 0)
		return JOB_CRASHED;
	if (e->exit_status == err_exit_status(ERR_UNVERIFIED))
		return JOB_UNVERIFIED;
	return e->exit_status == err_exit_status(ERR_LOCKED) ? JOB_LOCKED : JOB_FAILED;
}

/* The last thing that it said, in one line of text. */
static const char *last_words(struct supervised *s)
{
	const char *said = child_stderr(s->child), *line = strrchr(said, '\n');
	const char *found = line != NULL ? line + 1 : said;
	static const char ours[] = "lifeboat: error: ";
	for (const char *at = said; (at = strstr(at, ours)) != NULL; at += sizeof ours - 1)
		found = at + sizeof ours - 1;
	return found;
}

static void say_error(struct supervised *s, struct supervise_end *e)
{
	const json_t *error = json_object_get(e->result, "error");
	char limit[FORMAT_BYTES];
	const char *message = json_str_or(error, "message", NULL), *words = last_words(s);
	e->code = json_str_or(error, "code", err_code_name(ERR_FAILED));
	e->hint = json_str_or(error, "hint", NULL);
	if (message == NULL)
		message = words;
	int len = (int)strcspn(message, "\n");
	if (e->outcome == JOB_TIMED_OUT) {
		e->code = err_code_name(ERR_TIMEOUT);
		snprintf(s->error, sizeof s->error, "not done after %s, its deadline%s",
			 format_duration(s->deadline_ms, limit),
			 s->killed ? "; it did not end when told to, and was killed" : "");
	} else if (e->outcome == JOB_CANCELLED) {
		e->code = err_code_name(ERR_CANCELLED);
		snprintf(s->error, sizeof s->error, "cancelled because lifeboat run was ended%s",
			 s->killed ? "; it did not end when told to, and was killed" : "");
	} else if (e->outcome == JOB_CRASHED) {
		snprintf(s->error, sizeof s->error, "its process was killed by SIG%s%s%.*s",
			 e->signal, len > 0 ? ": " : "", len, message);
	} else if (len > 0) {
		snprintf(s->error, sizeof s->error, "%.*s", len, message);
	} else {
		snprintf(s->error, sizeof s->error, "exit status %d without a word",
			 e->exit_status);
	}
	e->error = s->error;
}

void supervise_end(struct supervised *s, struct supervise_end *ret)
{
	struct err ignored = ERR_INIT;
	int status = child_status(s->child);
	if (s->result == NULL && !s->too_much && s->output.len > 0 &&
	    json_parse(buf_text(&s->output), s->output.len, &s->result, &ignored) < 0)
		s->result = NULL;
	buf_done(&s->output);
	struct supervise_end e = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
				  .result = s->result};
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		e.signal = name != NULL ? name : "?";
	}
	e.outcome = outcome_of(s, &e);
	if (e.outcome != JOB_SUCCEEDED)
		say_error(s, &e);
	*ret = e;
}

const char *supervise_said(struct supervised *s)
{
	return child_stderr(s->child);
}

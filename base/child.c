#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STDERR_KEPT = 8192, PIPE_BYTES = 1 << 20 };

struct child {
	pid_t pid; /* 0 once reaped */
	int status;
	int in, out, errs; /* our ends, -1 when closed */
	struct buf stderr_tail;
	char *name;
	bool outlives;
};

int identity_find(const char *user, struct identity *ret, struct err *err)
{
	struct passwd pw, *found = NULL;
	char space[4096];
	int rc = getpwnam_r(user, &pw, space, sizeof space, &found);
	if (found == NULL) {
		if (rc != 0)
			return err_sys(err, ERR_ABSENT, rc, "user '%s'", user);
		return err_set(err, ERR_ABSENT, "there is no user '%s'", user);
	}
	*ret = (struct identity){.uid = pw.pw_uid, .gid = pw.pw_gid};
	strncpy(ret->name, user, sizeof ret->name - 1);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What a starting child tells its parent when it can't run the program. */
struct start_failure {
	int sys_errno;
	char step[32];
};

static _Noreturn void fail_start(int report, const char *step)
{
	struct start_failure f = {.sys_errno = errno};
	strncpy(f.step, step, sizeof f.step - 1);
	ssize_t ignored = write(report, &f, sizeof f);
	(void)ignored;
	_exit(127);
}

static bool is_passed(const struct child_opts *o, int fd)
{
	for (size_t i = 0; i < 4 && o->pass_fds[i] > 0; i++)
		if (o->pass_fds[i] == fd)
			return true;
	return false;
}

/* Runs in the child, between fork and exec. */
static _Noreturn void become(const struct child_opts *o, int in, int out, int errs, int report,
			     pid_t parent)
{
	if (setpgid(0, 0) < 0 || (o->outlives && setsid() < 0 && errno != EPERM))
		fail_start(report, "setsid");
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errs, 2) < 0)
		fail_start(report, "dup2");
	for (size_t i = 0; i < 4 && o->pass_fds[i] > 0; i++)
		if (fcntl(o->pass_fds[i], F_SETFD, 0) < 0)
			fail_start(report, "descriptor");
	/* Libraries may have left descriptors without close-on-exec. */
	for (int fd = 3; fd < 1024; fd++)
		if (fd != report && !is_passed(o, fd))
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	const int reset[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD};
	for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
		signal(reset[i], SIG_DFL);
	for (size_t i = 0; o->env != NULL && o->env[i] != NULL; i++) {
		char *assignment = strdup(o->env[i]);
		if (assignment == NULL || putenv(assignment) != 0)
			fail_start(report, "environment");
	}
	if (o->run_as != NULL && o->run_as->uid != geteuid()) {
		if (initgroups(o->run_as->name, o->run_as->gid) < 0 || setgid(o->run_as->gid) < 0 ||
		    setuid(o->run_as->uid) < 0)
			fail_start(report, "change of user");
	}
	if (o->cwd != NULL && chdir(o->cwd) < 0)
		fail_start(report, "chdir");
	/* After the change of user, which clears it. The parent may have died before it was set. */
	if (!o->outlives) {
		prctl(PR_SET_PDEATHSIG, o->death_signal != 0 ? o->death_signal : SIGKILL);
		if (getppid() != parent)
			_exit(127);
	}
	execvp(o->argv[0], (char *const *)(uintptr_t)o->argv);
	fail_start(report, "exec");
}

static int make_pipe(int ends[2], bool wanted, int flags, struct err *err)
{
	if (!wanted)
		return 0;
	if (pipe2(ends, O_CLOEXEC | flags) < 0)
		return err_sys(err, ERR_IO, errno, "pipe");
	return 0;
}

int child_start(const struct child_opts *o, struct child **ret, struct err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, errs[2] = {-1, -1}, report[2] = {-1, -1};
	int null = -1, rc = -1;
	CLEANUP(child_freep) struct child *c = mem_zalloc(sizeof *c, "a child process", err);
	if (c == NULL)
		return -1;
	c->in = c->out = c->errs = -1;
	c->outlives = o->outlives;
	buf_init(&c->stderr_tail, STDERR_KEPT * 2);
	const char *slash = strrchr(o->argv[0], '/');
	if (str_dup(slash != NULL ? slash + 1 : o->argv[0], &c->name, err) < 0)
		return -1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) {
		err_sys(err, ERR_IO, errno, "can't open '/dev/null'");
		goto done;
	}
	if (make_pipe(in, o->pipe_stdin, 0, err) < 0 ||
	    make_pipe(out, o->pipe_stdout, 0, err) < 0 ||
	    make_pipe(errs, o->stderr_fd == 0, 0, err) < 0 || make_pipe(report, true, 0, err) < 0)
		goto done;
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(err, ERR_FAILED, errno, "can't start '%s'", c->name);
		goto done;
	}
	if (pid == 0)
		become(o,
		       o->pipe_stdin     ? in[0]
		       : o->stdin_fd > 0 ? o->stdin_fd
					 : null,
		       o->pipe_stdout     ? out[1]
		       : o->stdout_fd > 0 ? o->stdout_fd
					  : null,
		       o->stderr_fd > 0 ? o->stderr_fd : errs[1], report[1], parent);
	setpgid(pid, pid); /* in both: nobody may signal the group before it exists */
	c->pid = pid;
	close_fd(&report[1]);
	struct start_failure f = {0};
	ssize_t n;
	do
		n = read(report[0], &f, sizeof f);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof f) {
		err_sys(err, f.sys_errno == ENOENT ? ERR_ABSENT : ERR_FAILED, f.sys_errno,
			"can't start '%s' (%s)", o->argv[0], f.step);
		goto done;
	}
	c->in = in[1], c->out = out[0], c->errs = errs[0];
	in[1] = out[0] = errs[0] = -1;
	int *ours[] = {&c->in, &c->out, &c->errs};
	for (size_t i = 0; i < 3; i++)
		if (*ours[i] >= 0)
			fcntl(*ours[i], F_SETFL, fcntl(*ours[i], F_GETFL) | O_NONBLOCK);
	/* A large pipe saves context switches on streams of gigabytes; a refusal costs nothing. */
	if (c->out >= 0)
		fcntl(c->out, F_SETPIPE_SZ, PIPE_BYTES);
	if (c->in >= 0)
		fcntl(c->in, F_SETPIPE_SZ, PIPE_BYTES);
	*ret = c;
	c = NULL;
	rc = 0;
done:
	close_fd(&null);
	for (int i = 0; i < 2; i++) {
		close_fd(&in[i]);
		close_fd(&out[i]);
		close_fd(&errs[i]);
		close_fd(&report[i]);
	}
	return rc;
}

/* Reads what stderr has; keeps the end of it. */
static void drain_stderr(struct child *c)
{
	struct err ignored = ERR_INIT;
	while (c->errs >= 0) {
		if (c->stderr_tail.len >= STDERR_KEPT)
			buf_consume(&c->stderr_tail, c->stderr_tail.len - STDERR_KEPT / 2);
		if (buf_reserve(&c->stderr_tail, 4096, &ignored) < 0)
			return;
		ssize_t n = read(c->errs, c->stderr_tail.data + c->stderr_tail.len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* nothing at the moment */
		if (n == 0) {
			close_fd(&c->errs);
			return;
		}
		c->stderr_tail.len += (size_t)n;
		c->stderr_tail.data[c->stderr_tail.len] = 0;
	}
}

/* Waits for `fd` while keeping stderr drained, so that a talkative child never blocks on it. */
static int wait_with_stderr(struct child *c, int fd, short events, struct deadline d,
			    struct err *err)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = fd, .events = events},
				      {.fd = c->errs, .events = POLLIN}};
		if (wait_poll(p, 2, d, err) < 0)
			return err_wrap(err, "'%s'", c->name);
		if (p[1].revents != 0)
			drain_stderr(c);
		if (p[0].revents != 0 || fd < 0)
			return 0;
	}
}

int child_read(struct child *c, void *buf, size_t cap, size_t *ret_n, struct deadline d,
	       struct err *err)
{
	for (;;) {
		if (c->out < 0) {
			*ret_n = 0;
			return 0;
		}
		ssize_t n = read(c->out, buf, cap);
		if (n > 0) {
			*ret_n = (size_t)n;
			return cancel_check(err);
		}
		if (n == 0)
			close_fd(&c->out);
		else if (errno == EAGAIN) {
			if (wait_with_stderr(c, c->out, POLLIN, d, err) < 0)
				return -1;
		} else if (errno != EINTR)
			return err_sys(err, ERR_IO, errno, "can't read from '%s'", c->name);
	}
}

int child_write(struct child *c, const void *data, size_t len, struct deadline d, struct err *err)
{
	const char *p = data;
	while (len > 0) {
		if (c->in < 0)
			return err_set(err, ERR_FAILED, "'%s' no longer reads", c->name);
		ssize_t n = write(c->in, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
			if (cancel_check(err) < 0)
				return -1;
		} else if (errno == EAGAIN) {
			if (wait_with_stderr(c, c->in, POLLOUT, d, err) < 0)
				return -1;
		} else if (errno == EPIPE) {
			close_fd(&c->in);
		} else if (errno != EINTR)
			return err_sys(err, ERR_IO, errno, "can't write to '%s'", c->name);
	}
	return 0;
}

void child_close_stdin(struct child *c)
{
	close_fd(&c->in);
}

bool child_running(struct child *c)
{
	drain_stderr(c);
	if (c->pid == 0)
		return false;
	int status;
	pid_t got = waitpid(c->pid, &status, WNOHANG);
	if (got != c->pid)
		return true;
	c->status = status;
	c->pid = 0;
	drain_stderr(c);
	return false;
}

const char *child_stderr(struct child *c)
{
	drain_stderr(c);
	while (c->stderr_tail.len > 0 && c->stderr_tail.data[c->stderr_tail.len - 1] == '\n')
		c->stderr_tail.data[--c->stderr_tail.len] = 0;
	return buf_text(&c->stderr_tail);
}

int child_wait(struct child *c, struct deadline d, struct err *err)
{
	/* stderr closes when the child and its children are gone, but a grandchild may keep it
	 * open: so the pid is asked at growing intervals, and stderr only makes it quick. */
	int64_t pause = 1;
	while (child_running(c)) {
		struct deadline soon = deadline_min(d, deadline_in(pause));
		struct pollfd p = {.fd = c->errs, .events = POLLIN};
		struct err why = ERR_INIT;
		if (wait_poll(&p, c->errs >= 0 ? 1 : 0, soon, &why) < 0 &&
		    (why.code != ERR_TIMEOUT || deadline_left_ms(d) == 0)) {
			*err = why;
			return err_wrap(err, "'%s'", c->name);
		}
		if (pause < 50)
			pause *= 2;
	}
	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0)
		return 0;
	const char *said = child_stderr(c);
	if (strlen(said) > ERR_MSG_BYTES / 2)
		said += strlen(said) - ERR_MSG_BYTES / 2;
	if (WIFSIGNALED(c->status)) {
		const char *name = sigabbrev_np(WTERMSIG(c->status));
		return err_set(err, ERR_FAILED, "'%s' was killed by SIG%s%s%s", c->name,
			       name != NULL ? name : "?", said[0] ? ": " : "", said);
	}
	return err_set(err, ERR_FAILED, "'%s' exited with status %d%s%s", c->name,
		       WEXITSTATUS(c->status), said[0] ? ": " : "", said);
}

void child_signal(struct child *c, int signal_number)
{
	if (child_running(c))
		kill(c->pid, signal_number);
}

void child_stop(struct child *c, int signal_number, int64_t grace_ms)
{
	struct err ignored = ERR_INIT;
	child_signal(c, signal_number);
	cancel_hold();
	if (child_wait(c, deadline_in(grace_ms), &ignored) < 0 && child_running(c)) {
		kill(-c->pid, SIGKILL);
		if (child_wait(c, DEADLINE_NEVER, &ignored) < 0)
			err_clear(&ignored); /* that it was killed is what we wanted */
	}
	cancel_release();
}

void child_free(struct child *c)
{
	if (c == NULL)
		return;
	if (child_running(c)) {
		kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			continue;
		c->pid = 0;
	}
	child_leave(c);
}

void child_leave(struct child *c)
{
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->errs);
	buf_done(&c->stderr_tail);
	free(c->name);
	free(c);
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_run(const struct child_opts *opts, struct buf *out, struct deadline d, struct err *err)
{
	struct child_opts o = *opts;
	o.pipe_stdout = out != NULL;
	CLEANUP(child_freep) struct child *c = NULL;
	if (child_start(&o, &c, err) < 0)
		return -1;
	for (size_t n = 1; out != NULL && n > 0;) {
		if (buf_reserve(out, 4096, err) < 0)
			return err_wrap(err, "output of '%s'", c->name);
		if (child_read(c, out->data + out->len, 4096, &n, d, err) < 0)
			return -1;
		out->len += n;
		out->data[out->len] = 0;
	}
	return child_wait(c, d, err);
}

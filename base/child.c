#include "base/child_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Reads what stderr has; keeps the end of it. A few reads at a time, so that a child that never
 * stops complaining does not keep us from its output. */
static void drain_stderr(struct child *c)
{
	for (int reads = 0; c->errs >= 0 && reads < 16; reads++) {
		ssize_t n = read(c->errs, c->tail + c->tail_len, CHILD_STDERR_READ);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* nothing at the moment */
		if (n == 0)
			close_fd(&c->errs);
		c->tail_len += (size_t)n;
		if (c->tail_len > CHILD_STDERR_KEPT) {
			size_t gone = c->tail_len - CHILD_STDERR_KEPT;
			memmove(c->tail, c->tail + gone, CHILD_STDERR_KEPT);
			c->tail_len = CHILD_STDERR_KEPT;
		}
		c->tail[c->tail_len] = '\0';
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

/* Who waits for a stream in poll is woken for every page that is written to the pipe, and on a busy
 * machine each of those costs writer and reader two changes of context. So once a child is known to
 * stream, what it writes is let gather for a moment; its pipe holds several such moments. */
enum { STREAM_BYTES = 1 << 20, GATHER_NS = 1000000 };

static void let_gather(const struct child *c)
{
	if (c->read_bytes >= STREAM_BYTES)
		nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
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
			c->read_bytes += (uint64_t)n;
			return cancel_check(err);
		}
		if (n == 0)
			close_fd(&c->out);
		else if (errno == EAGAIN) {
			let_gather(c);
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
	child_list_remove(c);
	c->status = status;
	c->pid = 0;
	drain_stderr(c);
	return false;
}

const char *child_stderr(struct child *c)
{
	drain_stderr(c);
	while (c->tail_len > 0 && c->tail[c->tail_len - 1] == '\n')
		c->tail[--c->tail_len] = '\0';
	return c->tail;
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
		child_list_remove(c);
		c->pid = 0;
	}
	child_leave(c);
}

void child_leave(struct child *c)
{
	child_list_remove(c);
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->errs);
	free(c->name);
	free(c);
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_status(const struct child *c)
{
	return c->status;
}

void child_fds(const struct child *c, int *ret_out, int *ret_errs)
{
	*ret_out = c->out;
	*ret_errs = c->errs;
}

/* Appends all of its output, up to the buffer's maximum. */
static int read_output(struct child *c, struct buf *out, struct deadline d, struct err *err)
{
	for (;;) {
		/* At the maximum one byte more is asked for, so that "full" and "too much" differ.
		 */
		size_t room = out->max - out->len, n;
		char extra[1];
		if (room > 4096)
			room = 4096;
		if (buf_reserve(out, room, err) < 0 ||
		    child_read(c, room > 0 ? (char *)out->data + out->len : extra,
			       room > 0 ? room : 1, &n, d, err) < 0)
			return -1;
		if (n == 0)
			return 0;
		if (room == 0)
			return err_set(err, ERR_LIMIT, "output of '%s' is larger than %zu bytes",
				       c->name, out->max);
		out->len += n;
		out->data[out->len] = 0;
	}
}

int child_run(const struct child_opts *opts, struct buf *out, struct deadline d, struct err *err)
{
	struct child_opts o = *opts;
	o.pipe_stdout = out != NULL;
	CLEANUP(child_freep) struct child *c = NULL;
	if (child_start(&o, &c, err) < 0)
		return -1;
	size_t before = out != NULL ? out->len : 0;
	if ((out == NULL || read_output(c, out, d, err) == 0) && child_wait(c, d, err) == 0)
		return 0;
	if (out != NULL)
		buf_cut(out, before);
	return -1;
}

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t clock_monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#ifdef LIFEBOAT_FAULTS
int64_t clock_offset_ms(void)
{
	const char *path = getenv(CLOCK_OFFSET_VARIABLE);
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32] = "";
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	return n > 0 ? strtoll(text, NULL, 10) : 0;
}
#else
int64_t clock_offset_ms(void)
{
	return 0;
}
#endif

int64_t clock_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + clock_offset_ms();
}

struct deadline deadline_in(int64_t ms)
{
	int64_t now = clock_monotonic_ms();
	/* What the clock will never show is never too. */
	return ms < 0 || ms > INT64_MAX - now ? DEADLINE_NEVER : (struct deadline){now + ms};
}

struct deadline deadline_min(struct deadline a, struct deadline b)
{
	return a.at_ms < b.at_ms ? a : b;
}

int64_t deadline_left_ms(struct deadline d)
{
	if (d.at_ms == INT64_MAX)
		return INT64_MAX;
	int64_t now = clock_monotonic_ms();
	return d.at_ms > now ? d.at_ms - now : 0;
}

/* Years beyond four digits do not occur: the clock is the host's. */
static void to_utc(int64_t wall_ms, struct tm *ret)
{
	time_t seconds = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
	if (gmtime_r(&seconds, ret) == NULL)
		*ret = (struct tm){.tm_mday = 1, .tm_year = 70};
}

char *clock_rfc3339(int64_t wall_ms, char out[CLOCK_TEXT_BYTES])
{
	struct tm tm;
	to_utc(wall_ms, &tm);
	strftime(out, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

char *clock_basic(int64_t wall_ms, char out[CLOCK_TEXT_BYTES])
{
	struct tm tm;
	to_utc(wall_ms, &tm);
	strftime(out, CLOCK_TEXT_BYTES, "%Y%m%dT%H%M%SZ", &tm);
	return out;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms, struct err *err)
{
	struct tm tm = {0};
	char again[CLOCK_TEXT_BYTES] = "";
	int64_t ms = 0;
	/* strptime takes a 31 February, spaces and signs: what counts is that the time is written
	 * back the same. */
	if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL) {
		ms = (int64_t)timegm(&tm) * 1000;
		clock_rfc3339(ms, again);
	}
	if (again[0] == '\0' || strcmp(again, text) != 0)
		return err_set(err, ERR_CORRUPT, "'%.40s' is not a time like 2026-11-23T02:00:00Z",
			       text);
	*ret_wall_ms = ms;
	return 0;
}

/* The flag is a pipe that becomes readable and stays so: poll() sees it without a race. */
static int cancel_pipe[2] = {-1, -1};
/* Lock-free, so that the handler may set it and threads may read it. */
static atomic_int cancel_signal;
static atomic_int cancel_holds;

void cancel_request(int signal_number)
{
	int saved = errno;
	int none = 0;
	if (atomic_compare_exchange_strong(&cancel_signal, &none, signal_number) &&
	    cancel_pipe[1] >= 0) {
		ssize_t ignored = write(cancel_pipe[1], "", 1);
		(void)ignored;
	}
	errno = saved;
}

int cancel_install(struct err *err)
{
	if (cancel_pipe[0] < 0 && pipe2(cancel_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, ERR_IO, errno, "pipe for signals");
	struct sigaction act = {.sa_handler = cancel_request};
	sigemptyset(&act.sa_mask);
	const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], &act, NULL) < 0)
			return err_sys(err, ERR_IO, errno, "handler of signal %d", signals[i]);
	/* A reader that goes away is an error of write(2), not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int cancel_check(struct err *err)
{
	int number = atomic_load(&cancel_signal);
	if (number == 0 || atomic_load(&cancel_holds) > 0)
		return 0;
	const char *name = sigabbrev_np(number);
	return err_set(err, ERR_CANCELLED, "cancelled by SIG%s", name != NULL ? name : "?");
}

void cancel_hold(void)
{
	atomic_fetch_add(&cancel_holds, 1);
}

void cancel_release(void)
{
	atomic_fetch_sub(&cancel_holds, 1);
}

int wait_poll(struct pollfd *fds, size_t count, struct deadline d, struct err *err)
{
	struct pollfd all[8];
	if (count > 7)
		return err_set(err, ERR_LIMIT, "can't wait for %zu descriptors", count);
	for (;;) {
		if (cancel_check(err) < 0)
			return -1;
		if (count > 0)
			memcpy(all, fds, count * sizeof *fds);
		bool held = atomic_load(&cancel_holds) > 0;
		all[count] = (struct pollfd){.fd = held ? -1 : cancel_pipe[0], .events = POLLIN};
		int64_t left = deadline_left_ms(d);
		/* A day at a time: poll takes an int. */
		int n = poll(all, (nfds_t)count + 1, left > 86400000 ? 86400000 : (int)left);
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, errno, "poll");
		if (cancel_check(err) < 0)
			return -1;
		bool ready = false;
		for (size_t i = 0; n > 0 && i < count; i++) {
			fds[i].revents = all[i].revents;
			ready = ready || all[i].revents != 0;
		}
		if (ready)
			return 0;
		if (deadline_left_ms(d) == 0)
			return err_set(err, ERR_TIMEOUT, "timed out");
	}
}

int wait_fd(int fd, short events, struct deadline d, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};
	return wait_poll(&p, 1, d, err);
}

int wait_ms(int64_t ms, struct err *err)
{
	struct err why = ERR_INIT;
	if (wait_poll(NULL, 0, deadline_in(ms), &why) < 0 && why.code != ERR_TIMEOUT) {
		*err = why;
		return -1;
	}
	return 0;
}

/*
 * Time, deadlines and cancellation: every wait in the program has an end.
 *
 * Deadlines are points on the monotonic clock, so a wall clock that jumps moves none of them.
 * Cancellation is one flag for the process: cancel_install makes SIGTERM, SIGINT and SIGHUP set it;
 * every wait_fd wakes up with ERR_CANCELLED, callers unwind, and unwinding aborts and cleans up.
 */
#ifndef LIFEBOAT_BASE_CLOCK_H
#define LIFEBOAT_BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>
#include "base/err.h"

struct deadline {
	int64_t at_ms; /* on the monotonic clock */
};
#define DEADLINE_NEVER ((struct deadline){INT64_MAX})

/* `ms` from now; a negative `ms` means never. */
struct deadline deadline_in(int64_t ms);
/* The earlier of two. */
struct deadline deadline_min(struct deadline a, struct deadline b);
/* Milliseconds left: 0 when passed, INT64_MAX when never. */
int64_t deadline_left_ms(struct deadline d);

int64_t clock_monotonic_ms(void);
/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);
/* How far clock_wall_ms is ahead of the system's clock: 0, but in builds with LIFEBOAT_FAULTS what
 * the file that LIFEBOAT_CLOCK_OFFSET names says, in milliseconds. */
int64_t clock_offset_ms(void);
#define CLOCK_OFFSET_VARIABLE "LIFEBOAT_CLOCK_OFFSET"

enum { CLOCK_TEXT_BYTES = 32 };
/* "2026-11-23T02:00:00Z" (RFC 3339, whole seconds, UTC) into `out`. Returns out. */
char *clock_rfc3339(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);
/* "20261123T020000Z" (ISO 8601 basic) into `out`. Returns out. */
char *clock_basic(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);
/* Reads what clock_rfc3339 writes. ERR_CORRUPT for anything else. */
int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms, struct err *err) MUST_USE;

/* Installs the handlers. Once, in main, before any thread. */
int cancel_install(struct err *err) MUST_USE;
/* What a handler does; also for tests. Async-signal-safe. */
void cancel_request(int signal_number);
/* 0, or -1 with ERR_CANCELLED "cancelled by SIGTERM". Cheap: call it in loops. */
int cancel_check(struct err *err) MUST_USE;
/* While held, waits ignore the flag: for cleaning up after a cancelled job. Nests. */
void cancel_hold(void);
void cancel_release(void);

/* Waits until `fd` is ready for `events` (POLLIN, POLLOUT). 0 ready; -1 with ERR_TIMEOUT or
 * ERR_CANCELLED. Hang-ups and errors on the fd count as ready: the next read or write says which.
 */
int wait_fd(int fd, short events, struct deadline d, struct err *err) MUST_USE;
/* Sleeps, unless cancelled. */
int wait_ms(int64_t ms, struct err *err) MUST_USE;

struct pollfd;
/* poll(2) on up to 7 fds plus the cancel flag; the same errors as wait_fd. */
int wait_poll(struct pollfd *fds, size_t count, struct deadline d, struct err *err) MUST_USE;

#endif

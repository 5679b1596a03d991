/*
 * Trying again: exponential back-off with full jitter, so that many agents that were turned away
 * together don't come back together.
 *
 *  struct retry r = {.retries = 5};
 *  while (ask(…, err) < 0)
 *          if (!retry_again(&r, err))
 *                  return -1;
 */
#ifndef LIFEBOAT_BASE_RETRY_H
#define LIFEBOAT_BASE_RETRY_H

#include <stdint.h>
#include "base/err.h"

enum { RETRY_BASE_MS = 200, RETRY_CAP_MS = 20000 };

struct retry {
	unsigned retries;        /* after the first try */
	int64_t base_ms, cap_ms; /* 0: RETRY_BASE_MS, RETRY_CAP_MS */
	int64_t least_ms;        /* the server said "not before" (Retry-After); for the next wait */
	unsigned failed;         /* tries so far; set to 0 after progress to begin anew */
	int stop_fd;             /* readable: the wait ends as a cancelled one; 0: none */
	/* NULL: wait_ms. Tests bring their own. */
	int (*wait)(int64_t ms, struct err *err);
};

/* After a failure. True when it is worth another try: `err` is retryable and not all tries are used
 * up; the wait is then over and `err` cleared. False: `err` says why the last try failed and how
 * many there were, or that the wait was cancelled. */
bool retry_again(struct retry *r, struct err *err) MUST_USE;

/* The wait after `failed` tries (1: the first has failed): anything from 0 to
 * min(cap, base * 2^(failed - 1)), as `random` has it. Pure. */
int64_t retry_delay_ms(unsigned failed, int64_t base_ms, int64_t cap_ms, uint64_t random);

#endif

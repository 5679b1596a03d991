/*
 * What wakes the daemon: signals, and the wall clock reaching a time or being set.
 *
 *  1. wake_open                blocks the signals and has them as a descriptor instead
 *  2. wake_at(w, wall_ms)      before each sleep
 *  3. poll(w->signals, w->timer); wake_take when one of them is readable
 */
#ifndef LIFEBOAT_AGENT_DAEMON_WAKE_H
#define LIFEBOAT_AGENT_DAEMON_WAKE_H

#include <stdint.h>
#include "base/err.h"

struct wake {
	int signals, timer; /* descriptors; -1 */
};

struct wake_signals {
	unsigned stop;   /* how many TERM or INT */
	int stop_signal; /* the first of them */
	bool reload, backup;
};

int wake_open(struct wake *w, struct err *err) MUST_USE;
void wake_done(struct wake *w);
/* By the clock of clock_wall_ms. A timer that ran or a clock that was set makes `timer` readable.
 */
void wake_at(struct wake *w, int64_t wall_ms);
/* Takes what has come and adds it to *ret; also clears the timer. */
void wake_take(struct wake *w, struct wake_signals *ret);

#endif

/* What tests of the agenda share: a clock that the test drives, and an agenda by it. */
#ifndef LIFEBOAT_TESTS_AGENDA_DESK_H
#define LIFEBOAT_TESTS_AGENDA_DESK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "agent/daemon/agenda.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24 * (int64_t)HOUR)

struct desk {
	struct agenda a;
	struct agenda_look look;
	struct agenda_end end;
	struct zone *zone;
	int64_t now;
};

static inline int64_t at(const char *text)
{
	struct tm tm = {0};
	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * SECOND;
}

static inline void schedule(struct desk *d, enum job_kind kind, const char *text)
{
	struct err err = ERR_INIT;
	d->a.rules[kind].scheduled = true;
	assert_int_equal(cron_parse(text, &d->a.rules[kind].cron, &err), 0);
}

static inline void begin(struct desk *d, const char *zone, const char *now)
{
	struct err err = ERR_INIT;
	*d = (struct desk){.now = at(now)};
	assert_int_equal(zone_load(zone, &d->zone, &err), 0);
	d->a.running = JOB_KINDS;
	d->a.opts = (struct agenda_opts){.zone = d->zone,
					 .catch_up_ms = 6 * HOUR,
					 .overdue_ms = 2 * HOUR,
					 .retries = 3,
					 .retry_wait_ms = 5 * MINUTE};
}

static inline void start(struct desk *d)
{
	agenda_resume(&d->a, d->now, &d->look);
}

static inline enum job_kind look_at(struct desk *d, int64_t now)
{
	d->now = now;
	agenda_look(&d->a, now, &d->look);
	return d->look.run;
}

static inline enum job_kind look(struct desk *d, const char *now)
{
	return look_at(d, at(now));
}

static inline void run(struct desk *d, enum job_kind kind, int64_t took, enum job_outcome outcome)
{
	assert_int_equal(d->look.run, kind);
	agenda_began(&d->a, kind, d->now);
	d->now += took;
	agenda_ended(&d->a, kind, d->now, outcome, outcome == JOB_SUCCEEDED ? 0 : 1, UINT64_MAX / 2,
		     &d->end);
}

static inline void done(struct desk *d)
{
	zone_free(d->zone);
}

#define assert_time(ms, text) assert_int_equal(ms, at(text))

#endif

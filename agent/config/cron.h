/*
 * Times of day as crontab(5) writes them: "0 2 * * *", "@daily".
 *
 *  1. cron_parse("30 2 * * mon-fri", &cron, err)   a plain struct: nothing to free
 *  2. cron_next(&cron, zone, after_s)              as often as wanted
 *
 * Five fields: minute 0-59, hour 0-23, day of the month 1-31, month 1-12 or jan-dec, day of the
 * week 0-7 or sun-sat (0 and 7 are Sunday). Each is *, a number, a range a-b, any of these with a
 * step a-b/n, or a list of such with commas. @hourly, @daily, @midnight, @weekly, @monthly and
 * @yearly stand for all five.
 *
 * Where neither day field begins with *, a day matches when either does; else both must. So it is
 * in the cron of P. Vixie, which Linux distributions carry.
 *
 * When clocks change: a schedule whose hour field begins with * follows elapsed time, so "0 * * *
 * *" runs once in every hour that passes, twice in an hour that comes twice. Any other names times
 * of the day: one that the clock skips runs at the first moment after the gap, one that comes twice
 * runs the first time only.
 */
#ifndef LIFEBOAT_AGENT_CONFIG_CRON_H
#define LIFEBOAT_AGENT_CONFIG_CRON_H

#include <stdint.h>
#include "base/zone.h"

struct cron {
	uint64_t minutes; /* bit n: minute n */
	uint32_t hours, days;
	uint16_t months;
	uint8_t weekdays;     /* bit 0: Sunday */
	bool either_day;      /* a day of the month or of the week is enough */
	bool follows_elapsed; /* the hour is free */
};

/* ERR_CONFIG names the field and what is allowed there, or says that such a day never comes. */
int cron_parse(const char *text, struct cron *ret, struct err *err) MUST_USE;

/* The first moment after `after_s` (seconds since 1970 UTC) that matches. There always is one. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_s);

#endif

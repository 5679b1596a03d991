#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "agent/config/cron.h"

static struct cron parsed(const char *text)
{
	struct cron c;
	struct err err = ERR_INIT;
	if (cron_parse(text, &c, &err) < 0)
		fail_msg("'%s': %s", text, err.msg);
	return c;
}

/* ---- reading ---- */

static void cron_parse__the_same_in_other_words__is_the_same(void **state)
{
	static const char *const same[][2] = {
	    {"@daily", "0 0 * * *"},
	    {"@midnight", "0 0 * * *"},
	    {"@HOURLY", "0 * * * *"},
	    {"@weekly", "0 0 * * 7"},
	    {"@monthly", "0 0 1 * *"},
	    {"@yearly", "0 0 1 1 *"},
	    {"@annually", "0 0 1 JAN *"},
	    {"  5\t4  *  * *  ", "5 4 * * *"},
	    {"0 0 * jan,FEB,mar *", "0 0 * 1-3 *"},
	    {"0 0 * * mon-fri", "0 0 * * 1-5"},
	    {"0 0 * * sat-sun", "0 0 * * 0,6"},
	    {"0 0 * * fri-7", "0 0 * * fri,sat,sun"},
	    {"0 0 * * mon-sun", "0 0 * * 0,1,2,3,4,5,6"},
	    {"0 0 * * sun-sun", "0 0 * * 0"},
	    {"5-5 0 * * *", "5 0 * * *"},
	    {"*/1 0 * * *", "* 0 * * *"},
	    {"*/20 * * * *", "0,20,40 * * * *"},
	    {"10-20/5 * * * *", "10,15,20 * * * *"},
	    {"0-59 0 * * *", "* 0 * * *"},
	    {"*/1000 0 * * *", "0 0 * * *"},
	    {"05 04 01 01 *", "5 4 1 1 *"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		struct cron a = parsed(same[i][0]), b = parsed(same[i][1]);
		if (a.minutes != b.minutes || a.hours != b.hours || a.days != b.days ||
		    a.months != b.months || a.weekdays != b.weekdays ||
		    a.either_day != b.either_day || a.follows_elapsed != b.follows_elapsed)
			fail_msg("'%s' is not '%s'", same[i][0], same[i][1]);
	}
}

static void cron_parse__mistakes__are_named(void **state)
{
	static const char *const cases[][3] = {
	    {"", "the schedule '' has no minute", "five fields: minute, hour,"},
	    {"0 2 * *", "the schedule '0 2 * *' has no day of the week", "0 2 * * * is every day"},
	    {"0 2 * * * root", "the schedule '0 2 * * * root' has more than five fields",
	     "what runs is said by the key"},
	    {"60 2 * * *", "the minute '60' is none", "allowed are *, 0 to 59, ranges"},
	    {"0 24 * * *", "the hour '24' is none", "0 to 23"},
	    {"0 0 0 * *", "the day of the month '0' is none", "1 to 31"},
	    {"0 0 * 13 *", "the month '13' is none", "1 to 12 or jan to dec"},
	    {"0 0 * jam *", "the month 'jam' is none", "jan to dec"},
	    {"0 0 * january *", "the month 'january' is none", "jan to dec"},
	    {"0 0 * * 8", "the day of the week '8' is none", "0 and 7 are Sunday"},
	    {"0 0 * * mon-", "the day of the week 'mon-' is none", "sun to sat"},
	    {"5-1 * * * *", "the minute '5-1' has a range that goes backwards", NULL},
	    {"5/10 * * * *", "the minute '5/10' has a step without a range", NULL},
	    {"*/0 * * * *", "the minute '*/0' has a step that is no number from 1", NULL},
	    {"*/ * * * *", "the minute '*/' has a step that is no number from 1", NULL},
	    {"1,,2 * * * *", "the minute '1,,2' is none", NULL},
	    {"1, * * * *", "the minute '1,' is none", NULL},
	    {"** * * * *", "the minute '**' is none", NULL},
	    {"-1 * * * *", "the minute '-1' is none", NULL},
	    {"99999999999 * * * *", "the minute '99999999999' is none", NULL},
	    {"0 0 31 feb *", "the schedule '0 0 31 feb *' never comes",
	     "none of its months has such a day"},
	    {"0 0 31 4,6,9,11 *", "never comes", NULL},
	    {"@dayly", "'@dayly' is not a schedule", "did you mean @daily?"},
	    {"@reboot", "'@reboot' is not a schedule", "allowed are @hourly, @daily"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cron c = {.minutes = 42};
		struct err err = ERR_INIT;
		assert_int_equal(cron_parse(cases[i][0], &c, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_int_equal(c.minutes, 42);
		if (strstr(err.msg, cases[i][1]) == NULL ||
		    (cases[i][2] != NULL && strstr(err.hint, cases[i][2]) == NULL))
			fail_msg("'%s': '%s' (%s)", cases[i][0], err.msg, err.hint);
	}
	char longest[400];
	struct cron c;
	struct err err = ERR_INIT;
	memset(longest, '1', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(cron_parse(longest, &c, &err), -1);
	assert_string_equal(err.msg, "a schedule of more than 256 characters");
	memset(longest, ' ', 256);
	memcpy(longest, "0 2 * * *", 9);
	longest[256] = '\0';
	assert_int_equal(cron_parse(longest, &c, &err), 0);
}

/* ---- single answers ---- */

static int64_t utc(const char *text)
{
	struct tm tm = {0};
	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (int64_t)timegm(&tm);
}

static void cron_next__around_clock_changes__is_this_moment(void **state)
{
	/* All in UTC. Berlin goes forward 2026-03-29 01:00 and back 2026-10-25 01:00. */
	static const char *const cases[][4] = {
	    /* named times: right after the gap; once only */
	    {"Europe/Berlin", "30 2 * * *", "2026-03-28 12:00:00", "2026-03-29 01:00:00"},
	    {"Europe/Berlin", "30 2 * * *", "2026-03-29 01:00:00", "2026-03-30 00:30:00"},
	    {"Europe/Berlin", "0,15,30 2 * * *", "2026-03-29 00:59:59", "2026-03-29 01:00:00"},
	    {"Europe/Berlin", "0,15,30 2 * * *", "2026-03-29 01:00:00", "2026-03-30 00:00:00"},
	    {"Europe/Berlin", "30 2 * * *", "2026-10-24 23:00:00", "2026-10-25 00:30:00"},
	    {"Europe/Berlin", "30 2 * * *", "2026-10-25 00:30:00", "2026-10-26 01:30:00"},
	    {"Europe/Berlin", "0 3 * * *", "2026-10-25 00:30:00", "2026-10-25 02:00:00"},
	    /* elapsed time: every hour that passes */
	    {"Europe/Berlin", "30 * * * *", "2026-03-29 00:30:00", "2026-03-29 01:30:00"},
	    {"Europe/Berlin", "30 * * * *", "2026-10-25 00:30:00", "2026-10-25 01:30:00"},
	    /* half an hour, on the other side */
	    {"Australia/Lord_Howe", "15 2 * * *", "2026-10-03 15:00:00", "2026-10-03 15:30:00"},
	    {"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:00:00", "2026-04-04 14:45:00"},
	    {"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:45:00", "2026-04-05 15:15:00"},
	    /* a day that never was */
	    {"Pacific/Apia", "0 12 30 12 *", "2011-12-29 12:00:00", "2011-12-30 10:00:00"},
	    {"Pacific/Apia", "0 * 30 12 *", "2011-12-29 12:00:00", "2012-12-29 10:00:00"},
	    /* midnight that the clock skips */
	    {"America/Havana", "0 0 * * *", "2026-03-08 00:00:00", "2026-03-08 05:00:00"},
	    /* far away */
	    {"UTC", "0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"},
	    {"UTC", "0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
	    {"UTC", "0 * 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
	    /* both days must match where one begins with *, else either does */
	    {"UTC", "0 0 13 * fri", "2026-01-01 00:00:00", "2026-01-02 00:00:00"},
	    {"UTC", "0 0 */13 * fri", "2026-01-03 00:00:00", "2026-02-27 00:00:00"},
	    /* seconds don't count; the moment itself is over */
	    {"UTC", "5 * * * *", "2026-01-01 00:04:59", "2026-01-01 00:05:00"},
	    {"UTC", "5 * * * *", "2026-01-01 00:05:00", "2026-01-01 01:05:00"},
	    {"UTC", "5 0 * * *", "2026-01-01 00:04:59", "2026-01-01 00:05:00"},
	    {"UTC", "5 0 * * *", "2026-01-01 00:05:00", "2026-01-02 00:05:00"},
	    /* before 1970 */
	    {"UTC", "0 3 * * *", "1969-12-30 05:00:00", "1969-12-31 03:00:00"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct zone *z = NULL;
		struct err err = ERR_INIT;
		struct cron c = parsed(cases[i][1]);
		char text[32];
		assert_int_equal(zone_load(cases[i][0], &z, &err), 0);
		time_t next = (time_t)cron_next(&c, z, utc(cases[i][2]));
		struct tm tm;
		gmtime_r(&next, &tm);
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
		zone_free(z);
		if (strcmp(text, cases[i][3]) != 0)
			fail_msg("'%s' in %s after %s: %s, not %s", cases[i][1], cases[i][0],
				 cases[i][2], text, cases[i][3]);
	}
}

/* ---- a year against a second, plain implementation ---- */

/* It knows nothing of bits and jumps: it lives through the year minute by minute, with the C
 * library's clock, and asks functions written by hand whether the schedule is meant. */
static bool every_night(const struct tm *t)
{
	return t->tm_hour == 2 && t->tm_min == 30;
}

static bool quarters_at_two(const struct tm *t)
{
	return t->tm_hour == 2 && t->tm_min % 15 == 0;
}

static bool midnight(const struct tm *t)
{
	return t->tm_hour == 0 && t->tm_min == 0;
}

static bool workdays(const struct tm *t)
{
	return t->tm_wday >= 1 && t->tm_wday <= 5 && t->tm_hour >= 9 && t->tm_hour <= 17 &&
	       t->tm_min == 5;
}

static bool sundays_or_the_first(const struct tm *t)
{
	return (t->tm_wday == 0 || t->tm_mday == 1) && t->tm_hour == 1 && t->tm_min == 59;
}

static bool sundays_on_odd_days(const struct tm *t)
{
	return t->tm_wday == 0 && t->tm_mday % 2 == 1 && t->tm_hour == 3 && t->tm_min == 0;
}

static bool summer_months(const struct tm *t)
{
	return t->tm_mon >= 2 && t->tm_mon <= 9 && t->tm_mday == 31 && t->tm_hour == 23 &&
	       t->tm_min == 45;
}

static bool every_hour(const struct tm *t)
{
	return t->tm_min == 10;
}

static bool every_third_hour(const struct tm *t)
{
	return t->tm_hour % 3 == 0 && t->tm_min == 40;
}

static bool minutes_of_mondays(const struct tm *t)
{
	return t->tm_wday == 1 && t->tm_min % 20 == 0;
}

static const struct {
	const char *text;
	bool (*matches)(const struct tm *);
	bool elapsed;
} schedules[] = {
    {"30 2 * * *", every_night, false},
    {"*/15 2 * * *", quarters_at_two, false},
    {"@daily", midnight, false},
    {"5 9-17 * * mon-fri", workdays, false},
    {"59 1 1 * sun", sundays_or_the_first, false},
    {"0 3 */2 * 7", sundays_on_odd_days, false},
    {"45 23 31 mar-oct *", summer_months, false},
    {"10 * * * *", every_hour, true},
    {"40 */3 * * *", every_third_hour, true},
    {"*/20 * * * mon", minutes_of_mondays, true},
};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

/* What the clock shows in one minute of the year, and all that it shows for the first time: after a
 * gap more than one, in an hour that comes again nothing. */
struct minute {
	int64_t local;
	struct tm now;
	struct tm reached[26 * 60];
	size_t count;
};

static void live_a_minute(struct minute *m, int64_t farthest, int64_t local)
{
	time_t at = (time_t)local;
	/* Within the hour the C library has nothing to add. */
	if (local == m->local + 60 && m->now.tm_min < 59)
		m->now.tm_min++;
	else
		gmtime_r(&at, &m->now);
	m->local = local;
	m->count = 0;
	for (int64_t l = farthest + 60; l < local; l += 60) {
		at = (time_t)l;
		gmtime_r(&at, &m->reached[m->count++]);
	}
	if (local > farthest)
		m->reached[m->count++] = m->now;
}

static bool fires(size_t i, const struct minute *m)
{
	if (schedules[i].elapsed)
		return schedules[i].matches(&m->now);
	for (size_t k = 0; k < m->count; k++)
		if (schedules[i].matches(&m->reached[k]))
			return true;
	return false;
}

static void live_through_a_year(const char *name)
{
	static struct minute minute;
	struct zone *z = NULL;
	struct err err = ERR_INIT;
	struct cron crons[SCHEDULES];
	int64_t next[SCHEDULES], begin = utc("2026-01-01 00:00:00"), farthest = INT64_MIN;
	size_t count = 0;
	struct tm tm = {0};
	assert_int_equal(zone_load(name, &z, &err), 0);
	setenv("TZ", name, 1);
	tzset();
	for (size_t i = 0; i < SCHEDULES; i++) {
		crons[i] = parsed(schedules[i].text);
		next[i] = cron_next(&crons[i], z, begin - 1);
	}
	for (int64_t t = begin; t < begin + 366 * 86400; t += 60) {
		time_t at = (time_t)t;
		/* Clocks change at full quarters. */
		if (t % 900 == 0)
			localtime_r(&at, &tm);
		int64_t local = t + tm.tm_gmtoff;
		live_a_minute(&minute, farthest == INT64_MIN ? local - 60 : farthest, local);
		for (size_t i = 0; i < SCHEDULES; i++) {
			bool fired = next[i] == t;
			if (fired != fires(i, &minute))
				fail_msg("'%s' in %s at %lld: %s", schedules[i].text, name,
					 (long long)t, fired ? "fires" : "is silent");
			if (fired) {
				next[i] = cron_next(&crons[i], z, t);
				count++;
			}
		}
		farthest = local > farthest ? local : farthest;
	}
	assert_true(count > 8000);
	zone_free(z);
	unsetenv("TZ");
	tzset();
}

static void cron_next__a_year_in_many_zones__fires_as_the_reference_does(void **state)
{
	static const char *const zones[] = {"UTC",
					    "Europe/Berlin",
					    "America/New_York",
					    "Australia/Lord_Howe",
					    "Asia/Kathmandu",
					    "America/Sao_Paulo",
					    "Africa/Casablanca"};
	(void)state;
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
		live_through_a_year(zones[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cron_parse__the_same_in_other_words__is_the_same),
	    cmocka_unit_test(cron_parse__mistakes__are_named),
	    cmocka_unit_test(cron_next__around_clock_changes__is_this_moment),
	    cmocka_unit_test(cron_next__a_year_in_many_zones__fires_as_the_reference_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

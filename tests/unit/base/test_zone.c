#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/civil.h"
#include "base/file.h"
#include "base/zone.h"
#include "base/zone_rule.h"

/* The C library's own answer; this program has one thread. */
static int64_t system_offset(int64_t unix_s)
{
	struct tm tm;
	time_t t = (time_t)unix_s;
	assert_non_null(localtime_r(&t, &tm));
	return tm.tm_gmtoff;
}

static void offset__many_zones_and_times__is_what_the_c_library_says(void **state)
{
	static const char *const names[] = {
	    "Europe/Berlin",  "Europe/Dublin",   "America/New_York",    "America/St_Johns",
	    "Asia/Kolkata",   "Asia/Kathmandu",  "Australia/Lord_Howe", "Pacific/Apia",
	    "America/Havana", "Pacific/Chatham", "Africa/Casablanca",   "America/Nuuk",
	    "Asia/Gaza",      "Etc/GMT+12",      "America/Sao_Paulo",   "Africa/Monrovia"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct err err = ERR_INIT;
		struct zone *z = NULL;
		assert_int_equal(zone_load(names[i], &z, &err), 0);
		setenv("TZ", names[i], 1);
		tzset();
		/* 1950 to 2110 in steps that hit every hour of the day and every season; nobody's
		 * clock showed seconds of offset after 1972. */
		for (int64_t t = -INT64_C(631152000); t < INT64_C(4417977600); t += 86413 * 5)
			if (zone_offset_s(z, t) != system_offset(t))
				fail_msg("%s at %lld: %lld, not %lld", names[i], (long long)t,
					 (long long)zone_offset_s(z, t),
					 (long long)system_offset(t));
		zone_free(z);
	}
	unsetenv("TZ");
	tzset();
}

static void offset__around_each_change__turns_in_that_second(void **state)
{
	static const struct {
		const char *zone;
		int64_t change;
		int64_t before, after;
	} cases[] = {
	    {"Europe/Berlin", 1774746000, 3600, 7200}, /* 2026-03-29 01:00 UTC */
	    {"Europe/Berlin", 1792890000, 7200, 3600}, /* 2026-10-25 01:00 UTC */
	    {"Europe/Berlin", 2140045200, 7200, 3600}, /* 2037-10-25: the last change in the file */
	    {"Europe/Berlin", 3983475600, 3600, 7200}, /* 2096-03-25: by the rule alone */
	    {"Australia/Lord_Howe", 1775314800, 39600, 37800},
	    {"America/New_York", 1772953200, -18000, -14400},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct zone *z = NULL;
		setenv("TZ", cases[i].zone, 1);
		tzset();
		assert_int_equal(zone_load(cases[i].zone, &z, &err), 0);
		for (int64_t d = -2; d < 2; d++) {
			assert_int_equal(zone_offset_s(z, cases[i].change + d),
					 system_offset(cases[i].change + d));
		}
		assert_int_equal(zone_offset_s(z, cases[i].change - 1), cases[i].before);
		assert_int_equal(zone_offset_s(z, cases[i].change), cases[i].after);
		zone_free(z);
	}
	unsetenv("TZ");
	tzset();
}

static void load__utc_and_null__need_no_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct zone *z = NULL;
	assert_int_equal(zone_load(NULL, &z, &err), 0);
	assert_int_equal(zone_offset_s(z, 1795399200), 0);
	zone_free(z);
	assert_int_equal(zone_load("UTC", &z, &err), 0);
	assert_int_equal(zone_offset_s(z, -1), 0);
	zone_free(z);
}

static void load__no_zone__is_a_configuration_error(void **state)
{
	static const char *const wrong[] = {
	    "", "Europe/Berln", "Europe", "../../../etc/passwd", "/etc/x", "a b", "tzdata.zi"};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		struct zone *z = NULL;
		char expected[100];
		snprintf(expected, sizeof expected, "'%s' is not a time zone", wrong[i]);
		assert_int_equal(zone_load(wrong[i], &z, &err), -1);
		assert_null(z);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(err.msg, expected);
		assert_string_equal(err.hint, "'timedatectl list-timezones' lists them: "
					      "Europe/Berlin, UTC, …");
	}
}

static void parse__cut_at_every_length__is_corrupt(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(file_read_all("/usr/share/zoneinfo/Europe/Berlin", &b, &err), 0);
	for (size_t len = 0; len < b.len; len++) {
		struct zone *z = NULL;
		/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
		uint8_t *copy = malloc(len > 0 ? len : 1);
		memcpy(copy, b.data, len);
		assert_int_equal(zone_parse(copy, len, &z, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_null(z);
		free(copy);
	}
	buf_done(&b);
}

static void parse__every_byte_changed__never_reads_beyond(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(file_read_all("/usr/share/zoneinfo/Europe/Berlin", &b, &err), 0);
	uint8_t *copy = malloc(b.len);
	for (size_t i = 0; i < b.len; i++) {
		static const uint8_t masks[] = {0xff, 0x80, 0x01};
		for (size_t m = 0; m < sizeof masks; m++) {
			struct zone *z = NULL;
			memcpy(copy, b.data, b.len);
			copy[i] ^= masks[m];
			if (zone_parse(copy, b.len, &z, &err) == 0) {
				int64_t offset = zone_offset_s(z, INT64_C(1795399200));
				assert_true(offset >= -26 * 3600 && offset <= 26 * 3600);
			}
			zone_free(z);
		}
	}
	free(copy);
	buf_done(&b);
}

static void rule__right_ones__give_the_offset(void **state)
{
	/* Noon UTC of 15 January and 15 July 2026. */
	enum { JANUARY = 1768478400, JULY = 1784116800 };
	static const struct {
		const char *text;
		int64_t january, july;
	} cases[] = {
	    {"CET-1CEST,M3.5.0,M10.5.0/3", 3600, 7200},
	    {"EST5EDT,M3.2.0,M11.1.0", -18000, -14400},
	    {"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600},
	    {"AEST-10AEDT,M10.1.0,M4.1.0/3", 39600, 36000},
	    {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 39600, 37800},
	    {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, -3600},
	    {"UTC0", 0, 0},
	    {"<+0530>-5:30", 19800, 19800},
	    {"XYZ3EDT4,0/0,J365/23", -14400, -14400},
	    {"AAA0BBB,J60/0,J300/0", 0, 3600},
	    {"AAA0BBB,59/0,299/0", 0, 3600},
	    {"EET-2EEST,M3.4.4/50,M10.4.4/50", 7200, 10800},
	    {"AAA+5:30:15", -19815, -19815},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct zone_rule r;
		assert_int_equal(zone_rule_parse(cases[i].text, &r, &err), 0);
		assert_int_equal(zone_rule_offset_s(&r, JANUARY), cases[i].january);
		assert_int_equal(zone_rule_offset_s(&r, JULY), cases[i].july);
	}
}

static void rule__wrong_ones__are_corrupt(void **state)
{
	static const char *const wrong[] = {"",
					    "CE-1",
					    "CET",
					    "<CET-1",
					    "<>-1",
					    "CET-25",
					    "CET-1:60",
					    "CET-1CEST",
					    "CET-1CEST,M3.5.0",
					    "CET-1CEST,M13.5.0,M10.5.0",
					    "CET-1CEST,M3.0.0,M10.5.0",
					    "CET-1CEST,M3.5.7,M10.5.0",
					    "CET-1CEST,J0,J1",
					    "CET-1CEST,J366,J1",
					    "CET-1CEST,366,1",
					    "CET-1CEST,M3.5.0/168,M10.5.0",
					    "CET-1CEST,M3.5.0,M10.5.0x",
					    "CET-1CEST,M3.5,M10.5.0",
					    "CET-0001",
					    "CET-1CEST,"};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		struct zone_rule r;
		char expected[100];
		snprintf(expected, sizeof expected, "'%s' is not a rule for a time zone", wrong[i]);
		assert_int_equal(zone_rule_parse(wrong[i], &r, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, expected);
	}
}

static void civil__every_day_of_a_thousand_years__agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t day = -200000; day < 200000; day += 3) {
		struct tm tm;
		char text[32], expected[32];
		time_t t = (time_t)(day * 86400);
		int64_t year;
		int week;
		assert_non_null(gmtime_r(&t, &tm));
		struct civil c = civil_of_days(day);
		assert_int_equal(c.year, tm.tm_year + 1900);
		assert_int_equal(c.month, tm.tm_mon + 1);
		assert_int_equal(c.day, tm.tm_mday);
		assert_int_equal(civil_to_days(c), day);
		assert_int_equal(civil_weekday(day), tm.tm_wday);
		civil_iso_week(day, &year, &week);
		strftime(expected, sizeof expected, "%G-W%V", &tm);
		snprintf(text, sizeof text, "%lld-W%02d", (long long)year, week);
		assert_string_equal(text, expected);
	}
	assert_true(civil_is_leap(2000) && civil_is_leap(2024) && !civil_is_leap(2100));
	assert_int_equal(civil_floor_div(-1, 7), -1);
	assert_int_equal(civil_floor_div(-7, 7), -1);
	assert_int_equal(civil_floor_div(6, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offset__many_zones_and_times__is_what_the_c_library_says),
	    cmocka_unit_test(offset__around_each_change__turns_in_that_second),
	    cmocka_unit_test(load__utc_and_null__need_no_file),
	    cmocka_unit_test(load__no_zone__is_a_configuration_error),
	    cmocka_unit_test(parse__cut_at_every_length__is_corrupt),
	    cmocka_unit_test(parse__every_byte_changed__never_reads_beyond),
	    cmocka_unit_test(rule__right_ones__give_the_offset),
	    cmocka_unit_test(rule__wrong_ones__are_corrupt),
	    cmocka_unit_test(civil__every_day_of_a_thousand_years__agrees_with_the_c_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

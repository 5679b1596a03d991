#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "storage/retention.h"

static int64_t at(const char *rfc3339)
{
	struct err err = ERR_INIT;
	int64_t ms = 0;
	assert_int_equal(clock_parse_rfc3339(rfc3339, &ms, &err), 0);
	return ms;
}

static struct retention_item item(const char *time, enum proof proof)
{
	struct retention_item i = {.proof = proof};
	i.taken_ms = at(time);
	return i;
}

/* Plans and compares; a reason of NULL means "goes". */
static void assert_plan(const char *keep, const char *zone, const char *now,
			struct retention_item *items, const char *const *reasons, size_t count)
{
	struct err err = ERR_INIT;
	struct retention_rules rules;
	assert_int_equal(retention_parse(keep, &rules, &err), 0);
	assert_int_equal(retention_plan(&rules, zone, at(now), items, count, &err), 0);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(items[i].reason,
				    reasons[i] != NULL ? reasons[i] : "no rule keeps it");
		assert_int_equal(items[i].keep, reasons[i] != NULL);
	}
}

/* ---- parsing ---- */

static void parse__all_rules__are_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct retention_rules r;
	assert_int_equal(
	    retention_parse("last 3, hourly 24,daily 7 ,\tweekly 4, monthly 12, yearly "
			    "2, within 30d, min 5\n",
			    &r, &err),
	    0);
	assert_int_equal(r.last, 3);
	assert_int_equal(r.hourly, 24);
	assert_int_equal(r.daily, 7);
	assert_int_equal(r.weekly, 4);
	assert_int_equal(r.monthly, 12);
	assert_int_equal(r.yearly, 2);
	assert_int_equal(r.min, 5);
	assert_int_equal(r.within_ms, INT64_C(30) * 86400 * 1000);
	assert_true(r.any);
	assert_int_equal(retention_parse("within 36h", &r, &err), 0);
	assert_int_equal(r.within_ms, INT64_C(36) * 3600 * 1000);
	assert_int_equal(r.last, 0);
	assert_int_equal(retention_parse("within 100000w", &r, &err), 0);
	assert_int_equal(r.within_ms, INT64_C(100000) * 7 * 86400 * 1000);
}

static void parse__nothing__is_no_rule(void **state)
{
	static const char *const nothing[] = {NULL, "", "  \t\n"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct err err = ERR_INIT;
		struct retention_rules r = {.any = true, .last = 9};
		assert_int_equal(retention_parse(nothing[i], &r, &err), 0);
		assert_false(r.any);
		assert_int_equal(r.last, 0);
	}
}

static void parse__wrong_words__are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"lasst 3", "'lasst 3' is not a rule"},
	    {"3 last", "'3 last' is not a rule"},
	    {"last 3 daily 7", "'last 3 daily 7' has something after its number"},
	    {"last", "'last' needs a number from 1 to 100000"},
	    {"last, 3", "'last' needs a number from 1 to 100000"},
	    {"last 0", "'last 0' needs a number from 1 to 100000"},
	    {"last -1", "'last -1' needs a number from 1 to 100000"},
	    {"last 100001", "'last 100001' needs a number from 1 to 100000"},
	    {"last 99999999999999999999", "'last 99999999999999999999' needs a number from 1 "
					  "to 100000"},
	    {"last 3x", "'last 3x' has something after its number"},
	    {"last 3, last 3", "'last 3' is the second of its kind"},
	    {"within 30", "'within 30' needs a time: 36h, 30d or 8w"},
	    {"within 30 d", "'within 30 d' needs a time: 36h, 30d or 8w"},
	    {"within 30m", "'within 30m' needs a time: 36h, 30d or 8w"},
	    {"within 30days", "'within 30days' needs a time: 36h, 30d or 8w"},
	    {"within 1d, within 2d", "'within 2d' is the second of its kind"},
	    {"within d", "'within d' needs a number from 1 to 100000"},
	    {"last 3,", "'' stands where a rule should be"},
	    {",last 3", "'' stands where a rule should be"},
	    {"last 3,,daily 2", "'' stands where a rule should be"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct retention_rules r = {.last = 77};
		assert_int_equal(retention_parse(cases[i].text, &r, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(err.msg, cases[i].message);
		assert_string_equal(err.hint,
				    "Rules are last N, hourly N, daily N, weekly N, monthly N, "
				    "yearly N, within 30d (h, d or w) and min N, with commas "
				    "between them.");
		assert_int_equal(r.last, 77);
	}
}

static void parse__min_alone__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct retention_rules r;
	assert_int_equal(retention_parse("min 3", &r, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "'min 3' alone does not say what may go");
	assert_string_equal(err.hint, "'last 3' keeps the newest 3.");
	assert_int_equal(retention_parse("min 3, within 1d", &r, &err), 0);
}

/* ---- examples ---- */

static void plan__no_rules__keeps_everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct retention_rules none = {.any = false};
	struct retention_item items[] = {item("2001-01-01T00:00:00Z", PROOF_FAILED),
					 item("2026-01-01T00:00:00Z", PROOF_NONE)};
	assert_int_equal(retention_plan(&none, NULL, 0, items, 2, &err), 0);
	assert_true(items[0].keep && items[1].keep);
	assert_string_equal(items[0].reason, "there are no rules");
	assert_int_equal(retention_plan(&none, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(retention_plan(&(struct retention_rules){.any = true, .last = 1}, NULL, 0,
					NULL, 0, &err),
			 0);
}

static void plan__last_and_daily__say_why(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2026-11-20T02:00:00Z", PROOF_PASSED), item("2026-11-21T02:00:00Z", PROOF_PASSED),
	    item("2026-11-22T02:00:00Z", PROOF_PASSED), item("2026-11-22T14:00:00Z", PROOF_PASSED),
	    item("2026-11-23T02:00:00Z", PROOF_PASSED)};
	static const char *const reasons[] = {NULL, "daily 2026-11-21", NULL,
					      "last 2, daily 2026-11-22",
					      "newest, newest proven, last 2, daily 2026-11-23"};
	assert_plan("last 2, daily 3", NULL, "2026-11-23T03:00:00Z", items, reasons, 5);
}

static void plan__buckets__are_named_after_their_time(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2026-12-31T10:20:00Z", PROOF_PASSED), item("2027-01-01T00:30:00Z", PROOF_PASSED),
	    item("2027-01-03T23:59:59Z", PROOF_PASSED), item("2027-01-04T00:00:00Z", PROOF_PASSED)};
	static const char *const weekly[] = {NULL, NULL, "weekly 2026-W53",
					     "newest, newest proven, weekly 2027-W01"};
	static const char *const monthly[] = {"monthly 2026-12", NULL, NULL,
					      "newest, newest proven, monthly 2027-01"};
	static const char *const yearly[] = {"yearly 2026", NULL, NULL,
					     "newest, newest proven, yearly 2027"};
	static const char *const hourly[] = {NULL, "hourly 2027-01-01 00:00",
					     "hourly 2027-01-03 23:00",
					     "newest, newest proven, hourly 2027-01-04 00:00"};
	assert_plan("weekly 9", NULL, "2027-01-05T00:00:00Z", items, weekly, 4);
	assert_plan("monthly 9", NULL, "2027-01-05T00:00:00Z", items, monthly, 4);
	assert_plan("yearly 2", NULL, "2027-01-05T00:00:00Z", items, yearly, 4);
	assert_plan("hourly 3", NULL, "2027-01-05T00:00:00Z", items, hourly, 4);
}

static void plan__unproven_since_weeks__the_proven_stay(void **state)
{
	(void)state;
	/* Drills stopped passing; the daily backups go on. */
	struct retention_item items[] = {
	    item("2026-11-01T02:00:00Z", PROOF_PASSED), item("2026-11-02T02:00:00Z", PROOF_PASSED),
	    item("2026-11-10T02:00:00Z", PROOF_NONE),   item("2026-11-20T02:00:00Z", PROOF_NONE),
	    item("2026-11-21T02:00:00Z", PROOF_FAILED), item("2026-11-22T02:00:00Z", PROOF_FAILED),
	    item("2026-11-23T02:00:00Z", PROOF_FAILED)};
	static const char *const reasons[] = {
	    "last 2", "newest proven, last 2", "last 2", "newest untested, last 2", NULL,
	    "last 2", "newest, last 2"};
	assert_plan("last 2", NULL, "2026-11-23T03:00:00Z", items, reasons, 7);
}

static void plan__a_day_with_one_proven__is_represented_by_it(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2026-11-20T01:00:00Z", PROOF_PASSED), item("2026-11-20T02:00:00Z", PROOF_PASSED),
	    item("2026-11-20T03:00:00Z", PROOF_NONE),   item("2026-11-20T04:00:00Z", PROOF_FAILED),
	    item("2026-11-21T01:00:00Z", PROOF_NONE),   item("2026-11-21T02:00:00Z", PROOF_FAILED),
	    item("2026-11-22T00:00:00Z", PROOF_NONE)};
	static const char *const reasons[] = {
	    NULL, "newest proven, daily 2026-11-20", NULL, NULL, "daily 2026-11-21",
	    NULL, "newest, daily 2026-11-22"};
	assert_plan("daily 9", NULL, "2026-11-23T03:00:00Z", items, reasons, 7);
}

static void plan__suspicious_though_proven__evicts_nobody(void **state)
{
	(void)state;
	struct retention_item items[] = {item("2026-11-20T01:00:00Z", PROOF_PASSED),
					 item("2026-11-21T01:00:00Z", PROOF_PASSED),
					 item("2026-11-22T01:00:00Z", PROOF_NONE)};
	items[1].suspicious = true;
	static const char *const reasons[] = {"newest proven, last 1", "newest proven",
					      "newest, last 1"};
	assert_plan("last 1", NULL, "2026-11-23T03:00:00Z", items, reasons, 3);
}

static void plan__pinned_and_in_use__stay(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2020-01-01T00:00:00Z", PROOF_FAILED), item("2020-01-02T00:00:00Z", PROOF_NONE),
	    item("2020-01-03T00:00:00Z", PROOF_PASSED), item("2026-11-22T01:00:00Z", PROOF_PASSED)};
	items[0].pinned = true;
	items[1].in_use = true;
	static const char *const reasons[] = {"pinned", "in use", NULL,
					      "newest, newest proven, last 1"};
	assert_plan("last 1", NULL, "2026-11-23T03:00:00Z", items, reasons, 4);
}

static void plan__within__counts_from_now(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2026-11-20T02:59:59Z", PROOF_NONE), item("2026-11-20T03:00:00Z", PROOF_NONE),
	    item("2026-11-22T02:00:00Z", PROOF_NONE), item("2027-01-01T00:00:00Z", PROOF_NONE)};
	static const char *const reasons[] = {NULL, "within 3d", "within 3d", "newest, within 3d"};
	assert_plan("within 3d", NULL, "2026-11-23T03:00:00Z", items, reasons, 4);
	static const char *const hours[] = {NULL, NULL, "within 25h", "newest, within 25h"};
	assert_plan("within 25h", NULL, "2026-11-23T03:00:00Z", items, hours, 4);
}

static void plan__everything_is_old__min_keeps_some(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2020-01-01T00:00:00Z", PROOF_NONE), item("2020-01-02T00:00:00Z", PROOF_NONE),
	    item("2020-01-03T00:00:00Z", PROOF_NONE), item("2020-01-04T00:00:00Z", PROOF_FAILED),
	    item("2020-01-05T00:00:00Z", PROOF_FAILED)};
	static const char *const reasons[] = {NULL, "min 2", "newest untested", NULL, "newest"};
	assert_plan("within 3d, min 2", NULL, "2026-11-23T03:00:00Z", items, reasons, 5);
}

static void plan__a_long_reason__is_cut_at_a_rule(void **state)
{
	(void)state;
	struct retention_item items[] = {item("2026-11-22T01:00:00Z", PROOF_PASSED)};
	items[0].pinned = items[0].in_use = true;
	static const char *const reasons[] = {"pinned, in use, newest, newest proven, last 3, "
					      "hourly 2026-11-22 01:00, daily 2026-11-22, min 1"};
	struct err err = ERR_INIT;
	struct retention_rules rules;
	assert_int_equal(retention_parse("last 3, hourly 2, daily 2, weekly 2, monthly 2, yearly 2",
					 &rules, &err),
			 0);
	assert_int_equal(retention_plan(&rules, NULL, 0, items, 1, &err), 0);
	assert_memory_equal(items[0].reason, reasons[0], 85);
	assert_true(strlen(items[0].reason) < sizeof items[0].reason);
}

/* ---- time zones ---- */

static void plan__days__are_those_of_the_zone(void **state)
{
	(void)state;
	/* 23:30 and 00:30 in Berlin; in UTC the same day. */
	struct retention_item items[] = {item("2026-11-21T22:30:00Z", PROOF_PASSED),
					 item("2026-11-21T23:30:00Z", PROOF_PASSED)};
	static const char *const utc[] = {NULL, "newest, newest proven, daily 2026-11-21"};
	static const char *const berlin[] = {"daily 2026-11-21",
					     "newest, newest proven, daily 2026-11-22"};
	assert_plan("daily 9", NULL, "2026-11-23T03:00:00Z", items, utc, 2);
	assert_plan("daily 9", "Europe/Berlin", "2026-11-23T03:00:00Z", items, berlin, 2);
}

static void plan__clocks_go_back__the_hour_that_comes_twice_is_two(void **state)
{
	(void)state;
	struct retention_item items[] = {
	    item("2026-10-25T00:10:00Z", PROOF_PASSED), item("2026-10-25T00:50:00Z", PROOF_PASSED),
	    item("2026-10-25T01:10:00Z", PROOF_PASSED), item("2026-10-25T01:50:00Z", PROOF_PASSED)};
	static const char *const reasons[] = {NULL, "hourly 2026-10-25 02:00", NULL,
					      "newest, newest proven, hourly 2026-10-25 02:00"};
	assert_plan("hourly 9", "Europe/Berlin", "2026-11-23T03:00:00Z", items, reasons, 4);
}

static void plan__the_day_of_25_hours__is_one_day(void **state)
{
	(void)state;
	/* 25 October 2026 in Berlin: from 22:00 UTC the day before, for 25 hours. */
	struct retention_item items[] = {
	    item("2026-10-24T21:59:59Z", PROOF_PASSED), item("2026-10-24T22:00:00Z", PROOF_PASSED),
	    item("2026-10-25T22:59:59Z", PROOF_PASSED), item("2026-10-25T23:00:00Z", PROOF_PASSED)};
	static const char *const reasons[] = {"daily 2026-10-24", NULL, "daily 2026-10-25",
					      "newest, newest proven, daily 2026-10-26"};
	assert_plan("daily 9", "Europe/Berlin", "2026-11-23T03:00:00Z", items, reasons, 4);
}

static void plan__clocks_go_back_over_midnight__the_day_that_comes_again_is_one(void **state)
{
	(void)state;
	/* St. John's, 7 November 2010: at 00:01 it was 23:01 of the day before again. */
	struct retention_item items[] = {
	    item("2010-11-07T02:00:00Z", PROOF_PASSED), item("2010-11-07T02:30:30Z", PROOF_PASSED),
	    item("2010-11-07T02:45:00Z", PROOF_PASSED), item("2010-11-07T05:00:00Z", PROOF_PASSED)};
	static const char *const reasons[] = {NULL, NULL, "daily 2010-11-06",
					      "newest, newest proven, daily 2010-11-07"};
	assert_plan("daily 9", "America/St_Johns", "2026-11-23T03:00:00Z", items, reasons, 4);
}

static void plan__an_unknown_zone__is_an_error_and_touches_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct retention_rules rules = {.last = 1, .any = true};
	struct retention_item items[] = {item("2026-11-22T01:00:00Z", PROOF_PASSED)};
	items[0].keep = false;
	assert_int_equal(retention_plan(&rules, "Europe/Berln", 0, items, 1, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "'Europe/Berln' is not a time zone");
	assert_false(items[0].keep);
	assert_string_equal(items[0].reason, "");
}

/* ---- properties ---- */

enum { MANY = 60, ROUNDS = 4000 };

static uint64_t state_of_chance = 20261123;

static unsigned chance(unsigned below)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return (unsigned)(state_of_chance >> 33) % below;
}

static const char *const zones[] = {NULL, "Europe/Berlin", "America/St_Johns", "Pacific/Apia"};

static size_t random_items(struct retention_item *items)
{
	static const int64_t spans[] = {90000000, INT64_C(2592000000), INT64_C(94608000000)};
	size_t count = chance(MANY + 1);
	/* Times differ, so that "newest" has one answer. */
	int64_t base = at("2026-09-01T00:00:00Z"), span = spans[chance(3)];
	for (size_t i = 0; i < count; i++) {
		items[i] = (struct retention_item){.proof = (enum proof)chance(4)};
		items[i].taken_ms =
		    base + (int64_t)(chance(100000)) * (span / 100000) * 1000 / 1000;
		items[i].taken_ms = items[i].taken_ms / 1000 * 1000 + (int64_t)i;
		items[i].pinned = chance(20) == 0;
		items[i].suspicious = chance(8) == 0;
		items[i].in_use = chance(30) == 0;
	}
	return count;
}

static unsigned maybe(unsigned below)
{
	return chance(2) == 0 ? 0 : 1 + chance(below);
}

static struct retention_rules random_rules(void)
{
	struct retention_rules r = {.last = maybe(5),
				    .hourly = maybe(10),
				    .daily = maybe(10),
				    .weekly = maybe(6),
				    .monthly = maybe(6),
				    .yearly = maybe(3),
				    .within_ms = (int64_t)maybe(60) * 86400000,
				    .any = true};
	return r;
}

static void plan(const struct retention_rules *r, const char *zone, struct retention_item *items,
		 size_t count)
{
	struct err err = ERR_INIT;
	assert_int_equal(retention_plan(r, zone, at("2026-11-23T00:00:00Z"), items, count, &err),
			 0);
}

static int rank(const struct retention_item *i)
{
	if (i->suspicious || i->proof == PROOF_FAILED)
		return 2;
	return i->proof == PROOF_PASSED ? 0 : 1;
}

static void property__what_must_never_go__stays(void **state)
{
	(void)state;
	struct retention_item items[MANY];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = random_items(items), kept = 0;
		struct retention_rules r = random_rules();
		r.min = maybe(10);
		plan(&r, zones[chance(4)], items, count);
		const struct retention_item *newest = NULL, *proven = NULL, *passed = NULL;
		for (size_t i = 0; i < count; i++) {
			const struct retention_item *it = &items[i];
			kept += it->keep;
			assert_true(it->keep || !(it->pinned || it->in_use));
			assert_int_equal(strcmp(it->reason, "no rule keeps it") != 0, it->keep);
			if (newest == NULL || it->taken_ms > newest->taken_ms)
				newest = it;
			if (rank(it) == 0 && (proven == NULL || it->taken_ms > proven->taken_ms))
				proven = it;
			if (it->proof == PROOF_PASSED &&
			    (passed == NULL || it->taken_ms > passed->taken_ms))
				passed = it;
		}
		assert_true(newest == NULL || newest->keep);
		assert_true(proven == NULL || proven->keep);
		assert_true(passed == NULL || passed->keep);
		assert_true(kept >= r.min || kept == count);
	}
}

/* With and without the lower ranks, the higher ones fare the same. */
static void property__a_lower_rank__never_evicts_a_higher_one(void **state)
{
	(void)state;
	struct retention_item all[MANY], some[MANY];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = random_items(all), n = 0;
		struct retention_rules r = random_rules();
		r.min = maybe(10);
		const char *zone = zones[chance(4)];
		int worst = (int)chance(2);
		for (size_t i = 0; i < count; i++)
			if (rank(&all[i]) <= worst)
				some[n++] = all[i];
		plan(&r, zone, all, count);
		plan(&r, zone, some, n);
		n = 0;
		for (size_t i = 0; i < count; i++)
			if (rank(&all[i]) <= worst)
				assert_int_equal(all[i].keep, some[n++].keep);
	}
}

static void property__pruned_twice__is_pruned_once(void **state)
{
	(void)state;
	struct retention_item items[MANY];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = random_items(items), n = 0;
		struct retention_rules r = random_rules();
		r.min = maybe(10);
		const char *zone = zones[chance(4)];
		plan(&r, zone, items, count);
		for (size_t i = 0; i < count; i++)
			if (items[i].keep)
				items[n++] = items[i];
		plan(&r, zone, items, n);
		for (size_t i = 0; i < n; i++)
			assert_true(items[i].keep);
	}
}

static void property__more_allowed__keeps_at_least_as_much(void **state)
{
	(void)state;
	struct retention_item few[MANY], more[MANY];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = random_items(few);
		struct retention_rules r = random_rules();
		const char *zone = zones[chance(4)];
		memcpy(more, few, sizeof more);
		plan(&r, zone, few, count);
		unsigned *const counts[] = {&r.last,   &r.hourly,  &r.daily,
					    &r.weekly, &r.monthly, &r.yearly};
		*counts[chance(6)] += 1 + chance(3);
		r.within_ms += chance(2) * INT64_C(86400000);
		plan(&r, zone, more, count);
		for (size_t i = 0; i < count; i++)
			assert_true(more[i].keep || !few[i].keep);
	}
}

static void property__another_order__is_the_same_plan(void **state)
{
	(void)state;
	struct retention_item items[MANY], mixed[MANY];
	size_t from[MANY];
	for (int round = 0; round < ROUNDS / 4; round++) {
		size_t count = random_items(items);
		struct retention_rules r = random_rules();
		r.min = maybe(10);
		const char *zone = zones[chance(4)];
		for (size_t i = 0; i < count; i++)
			from[i] = i;
		for (size_t i = count; i > 1; i--) {
			size_t j = chance((unsigned)i), swap = from[i - 1];
			from[i - 1] = from[j];
			from[j] = swap;
		}
		for (size_t i = 0; i < count; i++)
			mixed[i] = items[from[i]];
		plan(&r, zone, items, count);
		plan(&r, zone, mixed, count);
		for (size_t i = 0; i < count; i++)
			assert_string_equal(mixed[i].reason, items[from[i]].reason);
	}
}

/* The number of days, of all that have a backup, that are newer than the day of `it`. */
static unsigned newer_days(const struct retention_item *items, size_t count,
			   const struct retention_item *it, int worst)
{
	unsigned days = 0;
	for (size_t i = 0; i < count; i++) {
		bool first = rank(&items[i]) <= worst &&
			     items[i].taken_ms / 86400000 > it->taken_ms / 86400000;
		for (size_t j = 0; first && j < i; j++)
			first = rank(&items[j]) > worst ||
				items[j].taken_ms / 86400000 != items[i].taken_ms / 86400000;
		days += first;
	}
	return days;
}

/* "daily" against its definition, written the slow way. */
static void property__daily__is_its_definition(void **state)
{
	(void)state;
	struct retention_item items[MANY];
	for (int round = 0; round < ROUNDS / 4; round++) {
		size_t count = random_items(items);
		struct retention_rules r = {.daily = 1 + chance(8), .any = true};
		plan(&r, NULL, items, count);
		for (size_t i = 0; i < count; i++) {
			bool expected = false;
			for (int worst = 0; worst <= 2; worst++) {
				bool best = rank(&items[i]) <= worst;
				for (size_t j = 0; best && j < count; j++)
					best = items[j].taken_ms / 86400000 !=
						   items[i].taken_ms / 86400000 ||
					       rank(&items[j]) > rank(&items[i]) ||
					       (rank(&items[j]) == rank(&items[i]) &&
						items[j].taken_ms <= items[i].taken_ms);
				expected = expected || (best && newer_days(items, count, &items[i],
									   worst) < r.daily);
			}
			assert_int_equal(strstr(items[i].reason, "daily ") != NULL, expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__all_rules__are_read),
	    cmocka_unit_test(parse__nothing__is_no_rule),
	    cmocka_unit_test(parse__wrong_words__are_named),
	    cmocka_unit_test(parse__min_alone__is_refused),
	    cmocka_unit_test(plan__no_rules__keeps_everything),
	    cmocka_unit_test(plan__last_and_daily__say_why),
	    cmocka_unit_test(plan__buckets__are_named_after_their_time),
	    cmocka_unit_test(plan__unproven_since_weeks__the_proven_stay),
	    cmocka_unit_test(plan__a_day_with_one_proven__is_represented_by_it),
	    cmocka_unit_test(plan__suspicious_though_proven__evicts_nobody),
	    cmocka_unit_test(plan__pinned_and_in_use__stay),
	    cmocka_unit_test(plan__within__counts_from_now),
	    cmocka_unit_test(plan__everything_is_old__min_keeps_some),
	    cmocka_unit_test(plan__a_long_reason__is_cut_at_a_rule),
	    cmocka_unit_test(plan__days__are_those_of_the_zone),
	    cmocka_unit_test(plan__clocks_go_back__the_hour_that_comes_twice_is_two),
	    cmocka_unit_test(plan__the_day_of_25_hours__is_one_day),
	    cmocka_unit_test(plan__clocks_go_back_over_midnight__the_day_that_comes_again_is_one),
	    cmocka_unit_test(plan__an_unknown_zone__is_an_error_and_touches_nothing),
	    cmocka_unit_test(property__what_must_never_go__stays),
	    cmocka_unit_test(property__a_lower_rank__never_evicts_a_higher_one),
	    cmocka_unit_test(property__pruned_twice__is_pruned_once),
	    cmocka_unit_test(property__more_allowed__keeps_at_least_as_much),
	    cmocka_unit_test(property__another_order__is_the_same_plan),
	    cmocka_unit_test(property__daily__is_its_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

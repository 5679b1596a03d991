#include "tests/support/agenda_desk.h"

/* ---- on time ---- */

static void look__nothing_scheduled__never_wakes(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 00:00"), JOB_KINDS);
	assert_int_equal(d.look.wake_ms, AGENDA_NEVER);
	assert_int_equal(agenda_next_ms(&d.a, JOB_BACKUP, d.now), AGENDA_NEVER);
	done(&d);
}

static void look__a_new_schedule__owes_nothing_of_before(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 03:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 03:00"), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-02 02:00");
	assert_int_equal(look_at(&d, at("2026-01-02 02:00") - 1), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, HOUR, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_SCHEDULE);
	assert_time(d.a.entries[JOB_BACKUP].run_due_ms, "2026-01-02 02:00");
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-03 02:00");
	done(&d);
}

/* Sleeps exactly as long as the agenda says, through a year with both clock changes. */
static void look__a_year_of_sleeping_as_told__runs_each_time_once(void **state)
{
	static const char *const texts[] = {"30 2 * * *", "10 * * * *", "0 4 * * sun"};
	static const enum job_kind kinds[] = {JOB_BACKUP, JOB_COPY, JOB_DRILL};
	(void)state;
	struct desk d;
	int64_t expected[3];
	size_t runs = 0;
	begin(&d, "Europe/Berlin", "2026-01-01 00:00");
	d.a.opts.delay_ms = 7 * MINUTE;
	for (size_t i = 0; i < 3; i++) {
		schedule(&d, kinds[i], texts[i]);
		expected[i] = cron_next(&d.a.rules[kinds[i]].cron, d.zone,
					(d.now - d.a.opts.delay_ms) / SECOND);
	}
	start(&d);
	while (d.now < at("2027-01-01 00:00")) {
		agenda_look(&d.a, d.now, &d.look);
		for (enum job_kind k = 0; k < JOB_KINDS; k++)
			assert_true(!d.look.overdue[k] && d.look.missed_ms[k] == 0);
		if (d.look.run == JOB_KINDS) {
			assert_true(d.look.wake_ms > d.now);
			d.now = d.look.wake_ms;
			continue;
		}
		for (size_t i = 0; i < 3; i++) {
			if (kinds[i] != d.look.run)
				continue;
			assert_int_equal(d.a.entries[kinds[i]].due_ms, expected[i] * SECOND);
			expected[i] = cron_next(&d.a.rules[kinds[i]].cron, d.zone, expected[i]);
		}
		assert_true(d.now >= d.a.entries[d.look.run].due_ms + d.a.opts.delay_ms);
		run(&d, d.look.run, 12 * MINUTE, JOB_SUCCEEDED);
		runs++;
	}
	assert_int_equal(runs, 365 + 365 * 24 + 52);
	done(&d);
}

static void look__two_at_once__one_waits_for_the_other(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_PRUNE, "0 2 * * *");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	schedule(&d, JOB_VERIFY, "59 1 * * *");
	start(&d);
	/* The one that has waited longest, then in the order of kinds. */
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_VERIFY);
	agenda_began(&d.a, JOB_VERIFY, d.now);
	assert_int_equal(look(&d, "2026-01-01 02:30"), JOB_KINDS);
	agenda_ended(&d.a, JOB_VERIFY, d.now, JOB_SUCCEEDED, 0, 0, &d.end);
	assert_int_equal(look(&d, "2026-01-01 02:30"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 20 * HOUR, JOB_SUCCEEDED);
	/* Waiting for another job is not being missed, however long. */
	assert_int_equal(look_at(&d, d.now), JOB_PRUNE);
	assert_int_equal(d.look.missed_ms[JOB_PRUNE], 0);
	done(&d);
}

static void look__due_again_while_it_runs__runs_once_more(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "*/10 * * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 00:10"), JOB_BACKUP);
	agenda_began(&d.a, JOB_BACKUP, d.now);
	assert_int_equal(look(&d, "2026-01-01 00:20"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 00:30"), JOB_KINDS);
	agenda_ended(&d.a, JOB_BACKUP, d.now, JOB_SUCCEEDED, 0, 0, &d.end);
	assert_int_equal(look(&d, "2026-01-01 00:31"), JOB_BACKUP);
	assert_time(d.a.entries[JOB_BACKUP].due_ms, "2026-01-01 00:30");
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-01 00:33"), JOB_KINDS);
	done(&d);
}

/* ---- away ---- */

static void look__away_over_a_time__catches_up_once(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	/* Three nights long; the last one is five hours ago. */
	assert_int_equal(look(&d, "2026-01-03 07:00"), JOB_BACKUP);
	assert_time(d.a.entries[JOB_BACKUP].due_ms, "2026-01-03 02:00");
	assert_int_equal(d.look.missed_ms[JOB_BACKUP], 0);
	assert_false(d.look.overdue[JOB_BACKUP]);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_CATCH_UP);
	assert_int_equal(look(&d, "2026-01-03 07:02"), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-04 02:00");
	done(&d);
}

static void look__away_for_too_long__is_missed_and_said_once(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-03 08:01"), JOB_KINDS);
	assert_time(d.look.missed_ms[JOB_BACKUP], "2026-01-01 02:00");
	assert_true(d.look.overdue[JOB_BACKUP]);
	assert_time(d.look.wake_ms, "2026-01-04 02:00");
	assert_int_equal(look(&d, "2026-01-03 08:02"), JOB_KINDS);
	assert_int_equal(d.look.missed_ms[JOB_BACKUP], 0);
	assert_false(d.look.overdue[JOB_BACKUP]);
	done(&d);
}

static void look__no_catch_up__still_runs_what_is_a_little_late(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	d.a.opts.catch_up_ms = 0;
	start(&d);
	assert_int_equal(look_at(&d, at("2026-01-01 02:00") + 59 * SECOND), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_SCHEDULE);
	assert_int_equal(look(&d, "2026-01-02 02:05"), JOB_KINDS);
	assert_time(d.look.missed_ms[JOB_BACKUP], "2026-01-02 02:00");
	done(&d);
}

static void resume__a_cancelled_run__is_owed_within_the_limit(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 00:00");
		schedule(&d, JOB_BACKUP, "0 2 * * *");
		start(&d);
		assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_BACKUP);
		run(&d, JOB_BACKUP, 10 * MINUTE, JOB_CANCELLED);
		assert_int_equal(d.a.entries[JOB_BACKUP].failures, 0);
		d.now = at(late ? "2026-01-01 08:01" : "2026-01-01 07:59");
		start(&d);
		if (late) {
			assert_time(d.look.missed_ms[JOB_BACKUP], "2026-01-01 02:00");
			assert_int_equal(look_at(&d, d.now), JOB_KINDS);
		} else {
			assert_int_equal(look_at(&d, d.now), JOB_BACKUP);
			run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
			assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_CATCH_UP);
		}
		done(&d);
	}
}

static void reschedule__another_time__owes_nothing_of_the_past(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 14 * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 12:00"), JOB_KINDS);
	schedule(&d, JOB_BACKUP, "0 11 * * *");
	agenda_reschedule(&d.a, JOB_BACKUP, d.now);
	assert_int_equal(look(&d, "2026-01-01 12:00"), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-02 11:00");
	/* A failure is tried again by the new schedule too, but not without one. */
	look(&d, "2026-01-02 11:00");
	run(&d, JOB_BACKUP, 0, JOB_FAILED);
	schedule(&d, JOB_BACKUP, "0 12 * * *");
	agenda_reschedule(&d.a, JOB_BACKUP, d.now);
	assert_true(d.a.entries[JOB_BACKUP].retry_ms != 0);
	d.a.rules[JOB_BACKUP].scheduled = false;
	agenda_reschedule(&d.a, JOB_BACKUP, d.now);
	assert_int_equal(look(&d, "2026-01-03 12:00"), JOB_KINDS);
	assert_int_equal(d.look.wake_ms, AGENDA_NEVER);
	done(&d);
}

/* ---- a clock that jumps ---- */

static void look__clock_goes_back_over_a_run__does_not_run_again(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	schedule(&d, JOB_COPY, "15 * * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_COPY);
	run(&d, JOB_COPY, 0, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	/* A second back, as a time server does it: nothing at all. */
	assert_int_equal(look_at(&d, at("2026-01-01 02:00") - SECOND), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 02:15"), JOB_COPY);
	run(&d, JOB_COPY, 0, JOB_SUCCEEDED);
	assert_int_equal(look_at(&d, at("2026-01-01 02:15") - SECOND), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 02:15"), JOB_KINDS);
	/* Two hours back: the night was served; every hour goes on being an hour. */
	assert_int_equal(look(&d, "2026-01-01 00:30"), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-01 01:15");
	assert_int_equal(look(&d, "2026-01-01 01:15"), JOB_COPY);
	run(&d, JOB_COPY, 0, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_COPY);
	run(&d, JOB_COPY, 0, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_BACKUP);
	done(&d);
}

static void look__clock_was_wrong_by_a_year__goes_on_by_the_right_one(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2027-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	assert_int_equal(look(&d, "2027-01-01 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_FAILED);
	assert_true(d.a.entries[JOB_BACKUP].retry_ms > d.now);
	/* Back to now: the retry does not wait for a year, nor does the night. */
	assert_int_equal(look(&d, "2026-01-01 02:01"), JOB_KINDS);
	assert_true(d.look.wake_ms <= at("2026-01-01 03:01"));
	assert_int_equal(look(&d, "2026-01-01 03:01"), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-02 02:00");
	/* And forward again: like having been away. */
	assert_int_equal(look(&d, "2027-01-01 12:00"), JOB_KINDS);
	assert_time(d.look.missed_ms[JOB_BACKUP], "2026-01-02 02:00");
	assert_int_equal(look(&d, "2027-01-02 02:00"), JOB_BACKUP);
	done(&d);
}

static void look__clock_jumps_over_a_time__runs_it_once(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 01:59"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 03:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-01 01:59"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-01 03:05"), JOB_KINDS);
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_BACKUP);
	done(&d);
}

/* ---- failing ---- */

static void ended__backup_failed__is_tried_again_with_growing_waits(void **state)
{
	(void)state;
	struct desk d;
	int64_t before = 0;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 02:00");
	run(&d, JOB_BACKUP, 0, JOB_FAILED);
	for (unsigned attempt = 2; attempt <= 4; attempt++) {
		int64_t wait = d.a.entries[JOB_BACKUP].retry_ms - d.now;
		assert_true(wait >= 150 * SECOND && wait <= HOUR && wait >= before);
		before = wait;
		assert_int_equal(look_at(&d, d.now), JOB_KINDS);
		assert_int_equal(d.look.wake_ms, d.now + wait);
		assert_int_equal(look_at(&d, d.now + wait), JOB_BACKUP);
		run(&d, JOB_BACKUP, 0, JOB_CRASHED);
		assert_int_equal(d.a.entries[JOB_BACKUP].run_attempt, attempt);
		assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_RETRY);
		assert_time(d.a.entries[JOB_BACKUP].run_due_ms, "2026-01-01 02:00");
	}
	assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms, 0);
	assert_int_equal(d.a.entries[JOB_BACKUP].failures, 4);
	assert_time(d.a.entries[JOB_BACKUP].failing_since_ms, "2026-01-01 02:00");
	look(&d, "2026-01-01 05:00");
	assert_true(d.look.overdue[JOB_BACKUP]);
	/* The next night begins at the first attempt. */
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_attempt, 1);
	assert_true(d.end.recovered && d.end.was_overdue);
	assert_int_equal(d.end.failures, 4);
	assert_time(d.end.failing_since_ms, "2026-01-01 02:00");
	assert_int_equal(look(&d, "2026-01-03 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	assert_false(d.end.recovered);
	done(&d);
}

static void ended__what_another_try_can_not_help__is_not_tried(void **state)
{
	static const struct {
		enum job_kind kind;
		enum job_outcome outcome;
		int status;
		bool retried;
		unsigned failures;
	} cases[] = {
	    {JOB_BACKUP, JOB_FAILED, 1, true, 1},     {JOB_BACKUP, JOB_FAILED, 78, false, 1},
	    {JOB_BACKUP, JOB_FAILED, 64, false, 1},   {JOB_BACKUP, JOB_TIMED_OUT, -1, true, 1},
	    {JOB_COPY, JOB_LOST, -1, true, 1},        {JOB_DRILL, JOB_FAILED, 1, false, 1},
	    {JOB_DRILL, JOB_UNVERIFIED, 2, false, 1}, {JOB_DRILL, JOB_LOCKED, 75, true, 0},
	    {JOB_PRUNE, JOB_FAILED, 69, true, 1},     {JOB_VERIFY, JOB_FAILED, 1, false, 1},
	    {JOB_VERIFY, JOB_CRASHED, -1, false, 1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 00:00");
		schedule(&d, cases[i].kind, "0 2 * * *");
		start(&d);
		assert_int_equal(look(&d, "2026-01-01 02:00"), cases[i].kind);
		agenda_began(&d.a, cases[i].kind, d.now);
		agenda_ended(&d.a, cases[i].kind, d.now, cases[i].outcome, cases[i].status, 0,
			     &d.end);
		if ((d.a.entries[cases[i].kind].retry_ms != 0) != cases[i].retried ||
		    d.a.entries[cases[i].kind].failures != cases[i].failures)
			fail_msg("case %zu", i);
		done(&d);
	}
}

static void copy_instead__backup_is_safe__only_the_copy_is_tried_again(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 02:00");
	run(&d, JOB_BACKUP, MINUTE, JOB_FAILED);
	int64_t again = d.a.entries[JOB_BACKUP].retry_ms;
	agenda_copy_instead(&d.a);
	assert_int_equal(look_at(&d, again), JOB_COPY);
	run(&d, JOB_COPY, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_COPY].run_trigger, JOB_BY_RETRY);
	assert_int_equal(d.a.entries[JOB_BACKUP].failures, 1);
	agenda_copied(&d.a, &d.end);
	assert_true(d.end.recovered);
	assert_int_equal(d.end.failures, 1);
	assert_time(d.end.failing_since_ms, "2026-01-01 02:00");
	assert_int_equal(d.a.entries[JOB_BACKUP].failures, 0);
	assert_int_equal(look(&d, "2026-01-01 08:00"), JOB_KINDS);
	assert_false(d.look.overdue[JOB_BACKUP]);
	/* One that failed by itself has nothing of a copy. */
	look(&d, "2026-01-02 02:00");
	run(&d, JOB_BACKUP, MINUTE, JOB_FAILED);
	agenda_copied(&d.a, &d.end);
	assert_false(d.end.recovered);
	assert_int_equal(d.a.entries[JOB_BACKUP].failures, 1);
	done(&d);
}

static void copy_instead__given_up__is_owed_again_once_a_backup_reaches_all_stores(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	d.a.opts.retries = 1;
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 02:00");
	run(&d, JOB_BACKUP, MINUTE, JOB_FAILED);
	agenda_copy_instead(&d.a);
	assert_int_equal(look_at(&d, d.now + HOUR), JOB_COPY);
	run(&d, JOB_COPY, MINUTE, JOB_FAILED);
	assert_int_equal(look(&d, "2026-01-01 08:00"), JOB_KINDS);
	assert_int_equal(d.a.entries[JOB_COPY].failures, 1);
	/* Nobody has scheduled a copy: this one alone ends that failure. */
	assert_int_equal(look(&d, "2026-01-02 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(look_at(&d, d.now), JOB_COPY);
	run(&d, JOB_COPY, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_COPY].run_attempt, 1);
	assert_int_equal(d.a.entries[JOB_COPY].failures, 0);
	assert_true(d.end.recovered);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	/* With a schedule of its own it waits for its time. */
	schedule(&d, JOB_COPY, "0 4 * * *");
	d.a.entries[JOB_COPY].handled_ms = d.now;
	d.a.entries[JOB_COPY].failures = 1;
	assert_int_equal(look(&d, "2026-01-03 02:00"), JOB_BACKUP);
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	done(&d);
}

static void ended__next_time_comes_first__is_not_retried_before(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "*/2 * * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 00:02"), JOB_BACKUP);
	run(&d, JOB_BACKUP, SECOND, JOB_FAILED);
	assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms, 0);
	done(&d);
}

/* ---- overdue ---- */

static void look__never_run__is_overdue_once_and_recovers(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	assert_int_equal(look(&d, "2026-01-01 02:00"), JOB_BACKUP);
	agenda_began(&d.a, JOB_BACKUP, d.now);
	/* While it runs it is not overdue: it has its deadline. */
	look(&d, "2026-01-01 05:00");
	assert_false(d.look.overdue[JOB_BACKUP]);
	agenda_ended(&d.a, JOB_BACKUP, d.now, JOB_LOCKED, 75, 0, &d.end);
	look(&d, "2026-01-01 05:00");
	assert_true(d.look.overdue[JOB_BACKUP]);
	assert_time(d.a.entries[JOB_BACKUP].overdue_since_ms, "2026-01-01 04:00");
	look(&d, "2026-01-01 05:01");
	assert_false(d.look.overdue[JOB_BACKUP]);
	look(&d, "2026-01-01 06:01");
	run(&d, JOB_BACKUP, MINUTE, JOB_SUCCEEDED);
	assert_true(d.end.recovered && d.end.was_overdue);
	assert_int_equal(d.end.failures, 0);
	assert_int_equal(d.a.entries[JOB_BACKUP].overdue_since_ms, 0);
	/* It wakes in time to say so again. */
	d.a.rules[JOB_BACKUP].scheduled = true;
	look(&d, "2026-01-02 02:00");
	run(&d, JOB_BACKUP, MINUTE, JOB_UNVERIFIED);
	d.a.entries[JOB_BACKUP].retry_ms = 0;
	look_at(&d, d.now);
	assert_time(d.look.wake_ms, "2026-01-02 04:00");
	look(&d, "2026-01-02 04:00");
	assert_true(d.look.overdue[JOB_BACKUP]);
	done(&d);
}

static void look__overdue_off__never_says_so(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	d.a.opts.overdue_ms = 0;
	start(&d);
	look(&d, "2026-02-01 00:00");
	assert_false(d.look.overdue[JOB_BACKUP]);
	done(&d);
}

/* ---- asked for ---- */

static void request__now__runs_once_and_moves_no_schedule(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 01:00");
	d.a.entries[JOB_BACKUP].retry_ms = d.now + HOUR;
	assert_true(agenda_request(&d.a, JOB_BACKUP, d.now));
	assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms, 0);
	assert_false(agenda_request(&d.a, JOB_BACKUP, d.now));
	assert_int_equal(look_at(&d, d.now), JOB_BACKUP);
	agenda_began(&d.a, JOB_BACKUP, d.now);
	assert_false(agenda_request(&d.a, JOB_BACKUP, d.now));
	assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_SIGNAL);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_due_ms, 0);
	/* One that nobody scheduled is not owed. */
	agenda_ended(&d.a, JOB_BACKUP, d.now, JOB_CANCELLED, 1, 0, &d.end);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-01 02:00");
	/* Nor does it need a schedule. */
	assert_true(agenda_request(&d.a, JOB_DRILL, d.now));
	assert_int_equal(look_at(&d, d.now), JOB_DRILL);
	done(&d);
}

static void delay__of_a_host__is_constant_and_spread(void **state)
{
	(void)state;
	int quarters[4] = {0};
	for (int i = 0; i < 1000; i++) {
		char seed[32];
		snprintf(seed, sizeof seed, "host%d/hdms", i);
		int64_t delay = agenda_delay_ms(seed, HOUR);
		assert_true(delay >= 0 && delay <= HOUR);
		assert_int_equal(delay, agenda_delay_ms(seed, HOUR));
		quarters[delay * 4 / (HOUR + 1)]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(quarters[i], 180, 320);
	assert_int_equal(agenda_delay_ms("a", 0), 0);
	/* Of two milliseconds both are used. */
	int64_t sum = 0;
	for (char seed[2] = "a"; seed[0] <= 'z'; seed[0]++) {
		assert_in_range(agenda_delay_ms(seed, 1), 0, 1);
		sum += agenda_delay_ms(seed, 1);
	}
	assert_in_range(sum, 5, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(look__nothing_scheduled__never_wakes),
	    cmocka_unit_test(look__a_new_schedule__owes_nothing_of_before),
	    cmocka_unit_test(look__a_year_of_sleeping_as_told__runs_each_time_once),
	    cmocka_unit_test(look__two_at_once__one_waits_for_the_other),
	    cmocka_unit_test(look__due_again_while_it_runs__runs_once_more),
	    cmocka_unit_test(look__away_over_a_time__catches_up_once),
	    cmocka_unit_test(look__away_for_too_long__is_missed_and_said_once),
	    cmocka_unit_test(look__no_catch_up__still_runs_what_is_a_little_late),
	    cmocka_unit_test(resume__a_cancelled_run__is_owed_within_the_limit),
	    cmocka_unit_test(reschedule__another_time__owes_nothing_of_the_past),
	    cmocka_unit_test(look__clock_goes_back_over_a_run__does_not_run_again),
	    cmocka_unit_test(look__clock_was_wrong_by_a_year__goes_on_by_the_right_one),
	    cmocka_unit_test(look__clock_jumps_over_a_time__runs_it_once),
	    cmocka_unit_test(ended__backup_failed__is_tried_again_with_growing_waits),
	    cmocka_unit_test(ended__what_another_try_can_not_help__is_not_tried),
	    cmocka_unit_test(copy_instead__backup_is_safe__only_the_copy_is_tried_again),
	    cmocka_unit_test(
		copy_instead__given_up__is_owed_again_once_a_backup_reaches_all_stores),
	    cmocka_unit_test(ended__next_time_comes_first__is_not_retried_before),
	    cmocka_unit_test(look__never_run__is_overdue_once_and_recovers),
	    cmocka_unit_test(look__overdue_off__never_says_so),
	    cmocka_unit_test(request__now__runs_once_and_moves_no_schedule),
	    cmocka_unit_test(delay__of_a_host__is_constant_and_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The agenda to the millisecond: what happens at a limit and right behind it. */
#include "tests/support/agenda_desk.h"

static void look__at_the_limits__is_on_time_caught_up_or_missed(void **state)
{
	static const struct {
		int64_t late;
		enum job_kind run;
		enum job_trigger trigger;
	} cases[] = {{MINUTE, JOB_BACKUP, JOB_BY_SCHEDULE},
		     {MINUTE + 1, JOB_BACKUP, JOB_BY_CATCH_UP},
		     {6 * HOUR + SECOND - 1, JOB_BACKUP, JOB_BY_CATCH_UP},
		     {6 * HOUR + SECOND, JOB_KINDS, JOB_TRIGGERS}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 00:00");
		schedule(&d, JOB_BACKUP, "0 2 * * *");
		start(&d);
		assert_int_equal(look_at(&d, at("2026-01-01 02:00") + cases[i].late), cases[i].run);
		if (cases[i].run == JOB_KINDS)
			assert_time(d.look.missed_ms[JOB_BACKUP], "2026-01-01 02:00");
		else
			assert_int_equal(d.a.entries[JOB_BACKUP].trigger, cases[i].trigger);
		done(&d);
	}
}

static void resume__at_the_limit__is_still_owed_as_a_catch_up(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 08:00");
		schedule(&d, JOB_BACKUP, "0 2 * * *");
		d.a.entries[JOB_BACKUP] =
		    (struct agenda_entry){.since_ms = at("2025-12-01 00:00"),
					  .handled_ms = at("2026-01-01 02:00"),
					  .due_ms = at("2026-01-01 02:00"),
					  .trigger = JOB_BY_SCHEDULE};
		d.now += late;
		start(&d);
		assert_int_equal(d.look.missed_ms[JOB_BACKUP], late ? at("2026-01-01 02:00") : 0);
		assert_int_equal(look_at(&d, d.now), late ? JOB_KINDS : JOB_BACKUP);
		if (!late)
			assert_int_equal(d.a.entries[JOB_BACKUP].trigger, JOB_BY_CATCH_UP);
		done(&d);
	}
}

static void look__with_a_delay__everything_is_that_much_later(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 02:05");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	d.a.opts.delay_ms = 10 * MINUTE;
	/* The time of 02:00 comes to this host at 02:10 only. */
	assert_int_equal(agenda_next_ms(&d.a, JOB_BACKUP, d.now), at("2026-01-01 02:10"));
	start(&d);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-01 02:10");
	assert_int_equal(look(&d, "2026-01-01 02:10"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	assert_int_equal(look(&d, "2026-01-02 02:10"), JOB_BACKUP);
	run(&d, JOB_BACKUP, 0, JOB_UNVERIFIED);
	d.a.entries[JOB_BACKUP].retry_ms = 0;
	look_at(&d, at("2026-01-02 04:10") - 1);
	assert_false(d.look.overdue[JOB_BACKUP]);
	assert_time(d.look.wake_ms, "2026-01-02 04:10");
	look(&d, "2026-01-02 04:10");
	assert_true(d.look.overdue[JOB_BACKUP]);
	done(&d);
}

static void reschedule__what_was_owed__is_forgotten(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 12:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	d.a.opts.delay_ms = 10 * MINUTE;
	d.a.entries[JOB_BACKUP].due_ms = at("2026-01-01 02:00");
	d.a.entries[JOB_BACKUP].overdue_since_ms = at("2026-01-01 04:00");
	/* 11:55 of another schedule has not yet come to this host. */
	schedule(&d, JOB_BACKUP, "55 11 * * *");
	agenda_reschedule(&d.a, JOB_BACKUP, d.now);
	assert_int_equal(d.a.entries[JOB_BACKUP].due_ms, 0);
	assert_int_equal(d.a.entries[JOB_BACKUP].overdue_since_ms, 0);
	assert_int_equal(look_at(&d, d.now), JOB_KINDS);
	assert_time(d.look.wake_ms, "2026-01-01 12:05");
	done(&d);
}

static void reschedule__schedule_is_gone__nothing_fails_any_more(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 12:00");
	struct agenda_entry *e = &d.a.entries[JOB_VERIFY];
	*e = (struct agenda_entry){.failures = 2,
				   .failing_since_ms = at("2026-01-01 02:00"),
				   .retry_ms = at("2026-01-01 13:00")};
	struct agenda_entry failing = *e;
	schedule(&d, JOB_VERIFY, "0 3 * * *");
	agenda_reschedule(&d.a, JOB_VERIFY, d.now);
	assert_int_equal(e->failures, 2);
	assert_int_equal(e->retry_ms, failing.retry_ms);
	/* It will not run again: nobody could ever tell that it works. */
	d.a.rules[JOB_VERIFY].scheduled = false;
	agenda_reschedule(&d.a, JOB_VERIFY, d.now);
	assert_int_equal(e->failures, 0);
	assert_int_equal(e->failing_since_ms, 0);
	assert_int_equal(e->retry_ms, 0);
	done(&d);
}

static void look__clock_goes_back_by_the_limit__serves_nothing_twice(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 03:00");
		schedule(&d, JOB_BACKUP, "0 4 * * *");
		start(&d);
		look(&d, "2026-01-01 04:00");
		run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
		look_at(&d, at("2026-01-01 01:00") - more);
		/* By more than three hours it was a wrong clock. */
		assert_int_equal(look(&d, "2026-01-01 04:00"), more ? JOB_BACKUP : JOB_KINDS);
		done(&d);
	}
}

static void look__clock_goes_back__nothing_is_remembered_of_the_future(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2027-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	struct agenda_entry *e = &d.a.entries[JOB_BACKUP];
	start(&d);
	e->success_ms = at("2027-01-01 00:00");
	e->overdue_since_ms = at("2027-01-01 00:00");
	e->retry_ms = at("2026-01-01 01:00") + 1;
	look(&d, "2026-01-01 00:00");
	assert_time(e->since_ms, "2026-01-01 00:00");
	assert_time(e->success_ms, "2026-01-01 00:00");
	assert_time(e->overdue_since_ms, "2026-01-01 00:00");
	assert_time(e->retry_ms, "2026-01-01 01:00");
	done(&d);
}

/* Of each wait the second half is left to chance. */
static void ended__waits__double_up_to_an_hour(void **state)
{
	static const int64_t waits[] = {5 * MINUTE,  10 * MINUTE, 20 * MINUTE,
					40 * MINUTE, HOUR,        HOUR};
	(void)state;
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		const uint64_t half = (uint64_t)waits[i] / 2;
		for (int luck = 0; luck < 3; luck++) {
			struct desk d;
			begin(&d, "UTC", "2026-01-01 00:00");
			schedule(&d, JOB_BACKUP, "0 2 * * *");
			d.a.opts.retries = 9;
			d.now = at("2026-01-01 02:00");
			d.a.entries[JOB_BACKUP].attempts = (unsigned)i;
			agenda_began(&d.a, JOB_BACKUP, d.now);
			agenda_ended(&d.a, JOB_BACKUP, d.now, JOB_FAILED, 1,
				     luck == 0   ? 0
				     : luck == 1 ? half
						 : half + 1,
				     &d.end);
			assert_false(d.end.recovered || d.end.was_overdue);
			assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms - d.now,
					 luck == 1 ? waits[i] : waits[i] / 2);
			done(&d);
		}
	}
}

static void ended__one_failure_and_a_success__is_a_recovery(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 02:00");
	run(&d, JOB_BACKUP, 0, JOB_FAILED);
	assert_false(d.end.recovered);
	/* The clock jumps over the retry to the next night: it is the night that counts. */
	d.a.opts.overdue_ms = 0;
	d.a.running = JOB_DRILL;
	look(&d, "2026-01-02 02:00");
	assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms, 0);
	d.a.running = JOB_KINDS;
	look(&d, "2026-01-02 02:00");
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	assert_true(d.end.recovered && !d.end.was_overdue);
	assert_int_equal(d.end.failures, 1);
	done(&d);
}

static void ended__cancelled__is_owed_from_its_first_attempt(void **state)
{
	(void)state;
	struct desk d;
	begin(&d, "UTC", "2026-01-01 00:00");
	schedule(&d, JOB_BACKUP, "0 2 * * *");
	start(&d);
	look(&d, "2026-01-01 02:00");
	run(&d, JOB_BACKUP, 0, JOB_FAILED);
	look_at(&d, d.a.entries[JOB_BACKUP].retry_ms);
	run(&d, JOB_BACKUP, 0, JOB_CANCELLED);
	assert_time(d.a.entries[JOB_BACKUP].due_ms, "2026-01-01 02:00");
	assert_int_equal(d.a.entries[JOB_BACKUP].trigger, JOB_BY_CATCH_UP);
	look_at(&d, d.now);
	run(&d, JOB_BACKUP, 0, JOB_SUCCEEDED);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_attempt, 1);
	assert_int_equal(d.a.entries[JOB_BACKUP].run_trigger, JOB_BY_CATCH_UP);
	/* One whose time is not known is owed from when it began. */
	agenda_began(&d.a, JOB_BACKUP, at("2026-01-01 05:00"));
	d.a.entries[JOB_BACKUP].run_due_ms = 0;
	agenda_ended(&d.a, JOB_BACKUP, at("2026-01-01 05:01"), JOB_CANCELLED, 1, 0, &d.end);
	assert_time(d.a.entries[JOB_BACKUP].due_ms, "2026-01-01 05:00");
	done(&d);
}

static void ended__next_time_is_the_retry__is_not_retried(void **state)
{
	(void)state;
	for (int earlier = 0; earlier < 2; earlier++) {
		struct desk d;
		begin(&d, "UTC", "2026-01-01 00:00");
		schedule(&d, JOB_BACKUP, "0,10 2 * * *");
		start(&d);
		look(&d, "2026-01-01 02:00");
		agenda_began(&d.a, JOB_BACKUP, d.now);
		d.now = at("2026-01-01 02:05") - earlier;
		agenda_ended(&d.a, JOB_BACKUP, d.now, JOB_FAILED, 1, 150 * SECOND, &d.end);
		assert_int_equal(d.a.entries[JOB_BACKUP].retry_ms,
				 earlier ? at("2026-01-01 02:10") - 1 : 0);
		done(&d);
	}
}

static void copy_instead__a_copy_that_waits_already__keeps_its_own(void **state)
{
	(void)state;
	struct desk d;
	struct agenda_entry *backup = &d.a.entries[JOB_BACKUP], *copy = &d.a.entries[JOB_COPY];
	begin(&d, "UTC", "2026-01-01 00:00");
	*backup = (struct agenda_entry){.run_began_ms = 5, .retry_ms = 90, .attempts = 2};
	*copy = (struct agenda_entry){.retry_ms = 80, .attempts = 1, .run_due_ms = 7};
	agenda_copy_instead(&d.a);
	assert_int_equal(copy->retry_ms, 80);
	assert_int_equal(copy->attempts, 1);
	assert_int_equal(copy->run_due_ms, 7);
	assert_int_equal(backup->retry_ms, 0);
	assert_int_equal(backup->success_ms, 5);
	/* Nor is one planned where the backup would not be tried again. */
	copy->retry_ms = 0;
	agenda_copy_instead(&d.a);
	assert_int_equal(copy->retry_ms, 0);
	assert_int_equal(copy->run_due_ms, 7);
	backup->retry_ms = 90;
	agenda_copy_instead(&d.a);
	assert_int_equal(copy->retry_ms, 90);
	assert_int_equal(copy->attempts, 2);
	assert_int_equal(copy->run_due_ms, 0);
	done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(look__at_the_limits__is_on_time_caught_up_or_missed),
	    cmocka_unit_test(resume__at_the_limit__is_still_owed_as_a_catch_up),
	    cmocka_unit_test(look__with_a_delay__everything_is_that_much_later),
	    cmocka_unit_test(reschedule__what_was_owed__is_forgotten),
	    cmocka_unit_test(reschedule__schedule_is_gone__nothing_fails_any_more),
	    cmocka_unit_test(look__clock_goes_back_by_the_limit__serves_nothing_twice),
	    cmocka_unit_test(look__clock_goes_back__nothing_is_remembered_of_the_future),
	    cmocka_unit_test(ended__waits__double_up_to_an_hour),
	    cmocka_unit_test(ended__one_failure_and_a_success__is_a_recovery),
	    cmocka_unit_test(ended__cancelled__is_owed_from_its_first_attempt),
	    cmocka_unit_test(ended__next_time_is_the_retry__is_not_retried),
	    cmocka_unit_test(copy_instead__a_copy_that_waits_already__keeps_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

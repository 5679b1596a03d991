#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

/* Cancellation is for ever, so it happens in a process of its own; 0 is success. */
static void assert_in_process(int (*test)(void))
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		exit(test());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void deadline__never_and_past__have_their_ends(void **state)
{
	(void)state;
	assert_int_equal(deadline_left_ms(deadline_in(-1)), INT64_MAX);
	assert_int_equal(deadline_left_ms(deadline_in(INT64_MAX)), INT64_MAX);
	assert_int_equal(deadline_left_ms(DEADLINE_NEVER), INT64_MAX);
	assert_int_equal(deadline_left_ms(deadline_in(0)), 0);
	assert_int_equal(deadline_left_ms((struct deadline){INT64_MIN + 1}), 0);
	int64_t left = deadline_left_ms(deadline_in(100000));
	assert_true(left > 90000 && left <= 100000);
	struct deadline soon = deadline_in(5), late = deadline_in(5000);
	assert_int_equal(deadline_min(soon, late).at_ms, soon.at_ms);
	assert_int_equal(deadline_min(DEADLINE_NEVER, soon).at_ms, soon.at_ms);
}

static void text__of_times__is_rfc3339_and_basic(void **state)
{
	static const struct {
		int64_t ms;
		const char *rfc3339, *basic;
	} cases[] = {
	    {0, "1970-01-01T00:00:00Z", "19700101T000000Z"},
	    {999, "1970-01-01T00:00:00Z", "19700101T000000Z"},
	    {-1, "1969-12-31T23:59:59Z", "19691231T235959Z"},
	    {INT64_C(1795399200000), "2026-11-23T02:00:00Z", "20261123T020000Z"},
	    {INT64_C(951782400000), "2000-02-29T00:00:00Z", "20000229T000000Z"},
	    {INT64_C(253402300799999), "9999-12-31T23:59:59Z", "99991231T235959Z"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		char out[CLOCK_TEXT_BYTES];
		int64_t ms = 7;
		assert_string_equal(clock_rfc3339(cases[i].ms, out), cases[i].rfc3339);
		assert_int_equal(clock_parse_rfc3339(out, &ms, &err), 0);
		assert_true(cases[i].ms - ms >= 0 && cases[i].ms - ms < 1000);
		assert_string_equal(clock_basic(cases[i].ms, out), cases[i].basic);
	}
	char out[CLOCK_TEXT_BYTES];
	assert_true(strlen(clock_rfc3339(INT64_MAX, out)) < CLOCK_TEXT_BYTES);
	assert_true(strlen(clock_basic(INT64_MIN, out)) < CLOCK_TEXT_BYTES);
}

static void parse__anything_else__is_corrupt(void **state)
{
	static const char *const wrong[] = {"",
					    "yesterday",
					    "2026-11-23",
					    "2026-11-23T02:00:00",
					    "2026-11-23T02:00:00+00:00",
					    "2026-11-23T02:00:00Zx",
					    "2026-11-23t02:00:00z",
					    " 2026-11-23T02:00:00Z",
					    "2026-11-23T2:00:00Z",
					    "2026-11- 3T02:00:00Z",
					    "+026-11-23T02:00:00Z",
					    "2026-13-23T02:00:00Z",
					    "2026-02-29T02:00:00Z",
					    "2026-11-23T24:00:00Z",
					    "2026-11-23T02:00:60Z",
					    "2026-11-23T02:00:00.5Z"};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		int64_t ms = 7;
		char expected[100];
		snprintf(expected, sizeof expected, "'%s' is not a time like 2026-11-23T02:00:00Z",
			 wrong[i]);
		assert_int_equal(clock_parse_rfc3339(wrong[i], &ms, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, expected);
		assert_int_equal(ms, 7);
	}
}

static void wait__for_a_pipe__ready_hung_up_or_timed_out(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wait_fd(ends[0], POLLIN, deadline_in(0), &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "timed out");
	assert_int_equal(wait_fd(ends[0], POLLIN, deadline_in(5), &err), -1);
	assert_int_equal(wait_fd(ends[1], POLLOUT, DEADLINE_NEVER, &err), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(wait_fd(ends[0], POLLIN, DEADLINE_NEVER, &err), 0);
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[1]);
	assert_int_equal(wait_fd(ends[0], POLLIN, DEADLINE_NEVER, &err), 0);
	close(ends[0]);
	struct pollfd many[8] = {{.fd = -1}};
	assert_int_equal(wait_poll(many, 8, DEADLINE_NEVER, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(wait_ms(3, &err), 0);
	assert_int_equal(wait_ms(0, &err), 0);
}

static int cancel_by(int signal_number, const char *message)
{
	struct err err = ERR_INIT;
	int ends[2];
	if (cancel_install(&err) < 0 || cancel_check(&err) < 0 || pipe(ends) < 0)
		return 1;
	raise(signal_number);
	if (cancel_check(&err) == 0 || err.code != ERR_CANCELLED || strcmp(err.msg, message) != 0)
		return 2;
	if (wait_fd(ends[0], POLLIN, DEADLINE_NEVER, &err) == 0 || err.code != ERR_CANCELLED)
		return 3;
	if (wait_ms(100000, &err) == 0 || err.code != ERR_CANCELLED)
		return 4;
	/* The first signal is the one that is named. */
	cancel_request(SIGHUP);
	if (cancel_check(&err) == 0 || strcmp(err.msg, message) != 0)
		return 5;
	/* While held, everything works, and a wait does not spin on the flag. */
	cancel_hold();
	cancel_hold();
	if (cancel_check(&err) < 0 || wait_ms(2, &err) < 0)
		return 6;
	cancel_release();
	if (cancel_check(&err) < 0)
		return 7;
	cancel_release();
	return cancel_check(&err) == 0 ? 8 : 0;
}

static int cancel_by_term(void)
{
	return cancel_by(SIGTERM, "cancelled by SIGTERM");
}

static int cancel_by_int(void)
{
	return cancel_by(SIGINT, "cancelled by SIGINT");
}

/* A signal that comes in the middle of a wait ends it. */
static int cancel_in_a_wait(void)
{
	struct err err = ERR_INIT;
	int ready[2];
	char byte;
	if (cancel_install(&err) < 0 || pipe(ready) < 0)
		return 1;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		while (read(ready[0], &byte, 1) != 1)
			continue;
		kill(parent, SIGTERM);
		_exit(0);
	}
	if (write(ready[1], "!", 1) != 1)
		return 2;
	int rc = wait_ms(100000, &err);
	waitpid(pid, NULL, 0);
	return rc == -1 && err.code == ERR_CANCELLED ? 0 : 3;
}

/* Without handlers a test may ask for it, too; writes to a closed pipe do not kill. */
static int cancel_without_handlers(void)
{
	struct err err = ERR_INIT;
	int ends[2];
	cancel_request(SIGTERM);
	if (cancel_check(&err) == 0 || wait_ms(100000, &err) == 0)
		return 1;
	if (cancel_install(&err) < 0 || pipe(ends) < 0)
		return 2;
	close(ends[0]);
	return write(ends[1], "x", 1) == -1 ? 0 : 3;
}

static void cancel__by_a_signal__ends_every_wait(void **state)
{
	(void)state;
	assert_in_process(cancel_by_term);
	assert_in_process(cancel_by_int);
	assert_in_process(cancel_in_a_wait);
	assert_in_process(cancel_without_handlers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deadline__never_and_past__have_their_ends),
	    cmocka_unit_test(text__of_times__is_rfc3339_and_basic),
	    cmocka_unit_test(parse__anything_else__is_corrupt),
	    cmocka_unit_test(wait__for_a_pipe__ready_hung_up_or_timed_out),
	    cmocka_unit_test(cancel__by_a_signal__ends_every_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/retry.h"

static int64_t waited[16];
static unsigned waits;
static bool cancelled;

static int note_wait(int64_t ms, struct err *err)
{
	if (cancelled)
		return err_set(err, ERR_CANCELLED, "cancelled by SIGTERM");
	waited[waits++] = ms;
	return 0;
}

static int begin(void **state)
{
	(void)state;
	waits = 0;
	cancelled = false;
	return 0;
}

static struct err refusal(void)
{
	struct err err = ERR_INIT;
	err_set_message(&err, ERR_UNREACHABLE, "503 SlowDown");
	err.retryable = true;
	return err;
}

static void delay__grows_twofold__up_to_the_cap(void **state)
{
	static const int64_t most[] = {200, 400, 800, 1600, 3200, 5000, 5000};
	(void)state;
	for (unsigned i = 0; i < sizeof most / sizeof *most; i++) {
		assert_int_equal(retry_delay_ms(i + 1, 200, 5000, (uint64_t)most[i]), most[i]);
		assert_int_equal(retry_delay_ms(i + 1, 200, 5000, (uint64_t)most[i] + 1), 0);
		assert_int_equal(retry_delay_ms(i + 1, 200, 5000, 0), 0);
	}
}

static void delay__odd_arguments__stay_in_bounds(void **state)
{
	(void)state;
	assert_true(retry_delay_ms(UINT32_MAX, INT64_MAX / 2 + 1, INT64_MAX, UINT64_MAX) >= 0);
	assert_true(retry_delay_ms(100, 1, INT64_MAX, UINT64_MAX) >= 0);
	assert_int_equal(retry_delay_ms(0, 200, 5000, 200), 200);
	assert_int_equal(retry_delay_ms(3, 0, 0, 12345), 0);
	assert_true(retry_delay_ms(1, 9000, 5000, UINT64_MAX) <= 5000);
}

static void again__retryable__waits_as_often_as_allowed(void **state)
{
	(void)state;
	struct retry r = {.retries = 3, .base_ms = 10, .cap_ms = 20, .wait = note_wait};
	for (unsigned i = 0; i < 3; i++) {
		struct err err = refusal();
		assert_true(retry_again(&r, &err));
		assert_int_equal(err.code, ERR_NONE);
		assert_true(waited[i] <= (i == 0 ? 10 : 20));
	}
	struct err err = refusal();
	assert_false(retry_again(&r, &err));
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_string_equal(err.msg, "gave up after 4 tries: 503 SlowDown");
	assert_int_equal(waits, 3);
}

static void again__not_retryable__is_final_and_as_it_was(void **state)
{
	(void)state;
	struct retry r = {.retries = 3, .wait = note_wait};
	struct err err = refusal();
	err.retryable = false;
	assert_false(retry_again(&r, &err));
	assert_string_equal(err.msg, "503 SlowDown");
	assert_int_equal(waits, 0);
}

static void again__no_retries__says_nothing_of_tries(void **state)
{
	(void)state;
	struct retry r = {.wait = note_wait};
	struct err err = refusal();
	assert_false(retry_again(&r, &err));
	assert_string_equal(err.msg, "503 SlowDown");
}

static void again__told_not_before__waits_that_long_once(void **state)
{
	(void)state;
	struct retry r = {.retries = 3, .base_ms = 1, .least_ms = 7000, .wait = note_wait};
	struct err err = refusal();
	assert_true(retry_again(&r, &err));
	assert_int_equal(waited[0], 7000);
	err = refusal();
	assert_true(retry_again(&r, &err));
	assert_true(waited[1] <= 2);
}

static void again__cancelled_wait__is_that_error(void **state)
{
	(void)state;
	struct retry r = {.retries = 3, .wait = note_wait};
	struct err err = refusal();
	cancelled = true;
	assert_false(retry_again(&r, &err));
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(err.msg, "cancelled by SIGTERM");
	assert_false(err.retryable);
}

static void again__stopped__is_cancelled(void **state)
{
	(void)state;
	int stop = eventfd(0, EFD_CLOEXEC);
	struct retry r = {.retries = 3, .base_ms = 1, .stop_fd = stop};
	struct err err = refusal();
	assert_true(retry_again(&r, &err));
	assert_int_equal(eventfd_write(stop, 1), 0);
	r.base_ms = INT64_MAX / 2;
	err = refusal();
	assert_false(retry_again(&r, &err));
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(err.msg, "stopped");
	close(stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(delay__grows_twofold__up_to_the_cap),
	    cmocka_unit_test(delay__odd_arguments__stay_in_bounds),
	    cmocka_unit_test_setup(again__retryable__waits_as_often_as_allowed, begin),
	    cmocka_unit_test_setup(again__not_retryable__is_final_and_as_it_was, begin),
	    cmocka_unit_test_setup(again__no_retries__says_nothing_of_tries, begin),
	    cmocka_unit_test_setup(again__told_not_before__waits_that_long_once, begin),
	    cmocka_unit_test_setup(again__cancelled_wait__is_that_error, begin),
	    cmocka_unit_test(again__stopped__is_cancelled),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}

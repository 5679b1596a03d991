/* When a notice is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/daemon/notify_impl.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND };

static void pause__without_a_wish__is_up_to_ten_seconds_and_doubles(void **state)
{
	(void)state;
	assert_int_equal(notify_pause_ms(1, 0, 10 * SECOND), 10 * SECOND);
	assert_int_equal(notify_pause_ms(1, 0, 0), 0);
	assert_int_equal(notify_pause_ms(2, 0, 20 * SECOND), 20 * SECOND);
	assert_int_equal(notify_pause_ms(60, 0, HOUR), HOUR);
}

static void pause__receiver_asks_for_less__its_own_stays(void **state)
{
	(void)state;
	assert_int_equal(notify_pause_ms(9, 1 * SECOND, 2500 * SECOND), 2500 * SECOND);
	assert_int_equal(notify_pause_ms(1, 7 * SECOND, 8 * SECOND), 8 * SECOND);
}

static void pause__receiver_asks_for_more__is_what_it_asks_for_but_an_hour_at_most(void **state)
{
	(void)state;
	assert_int_equal(notify_pause_ms(1, 60 * SECOND, 8 * SECOND), 60 * SECOND);
	assert_int_equal(notify_pause_ms(1, 24 * (int64_t)HOUR, 8 * SECOND), HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pause__without_a_wish__is_up_to_ten_seconds_and_doubles),
	    cmocka_unit_test(pause__receiver_asks_for_less__its_own_stays),
	    cmocka_unit_test(
		pause__receiver_asks_for_more__is_what_it_asks_for_but_an_hour_at_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

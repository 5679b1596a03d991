#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/secret.h"

static void set__again_and_done__keeps_the_last(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct secret s = {0};
	assert_false(secret_is_set(&s));
	assert_string_equal(secret_text(&s), "");
	assert_int_equal(secret_set(&s, "one", &err), 0);
	assert_int_equal(secret_set(&s, "two", &err), 0);
	assert_true(secret_is_set(&s));
	assert_string_equal(secret_text(&s), "two");
	/* From itself, too. */
	assert_int_equal(secret_set(&s, s.text, &err), 0);
	assert_string_equal(secret_text(&s), "two");
	secret_done(&s);
	assert_false(secret_is_set(&s));
	secret_done(&s);
	secret_wipe(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set__again_and_done__keeps_the_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

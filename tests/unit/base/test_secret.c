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

static void masked__passwords_of_all_kinds__are_hidden(void **state)
{
	static const struct {
		const char *text, *masked;
	} cases[] = {
	    {"", ""},
	    {"plain text: no secret", "plain text: no secret"},
	    {"postgresql://user:S3@host:5432/db", "postgresql://user:***@host:5432/db"},
	    {"postgresql://user@host:5432/db", "postgresql://user@host:5432/db"},
	    {"postgresql://host:5432/db", "postgresql://host:5432/db"},
	    {"postgresql:///db", "postgresql:///db"},
	    {"redis://:S3@host/0", "redis://:***@host/0"},
	    {"redis://:@host/0", "redis://:***@host/0"},
	    /* Characters that should have been escaped. */
	    {"redis://:S3/S3@host/0", "redis://:***@host/0"},
	    {"redis://:S3?S3@host/0", "redis://:***@host/0"},
	    {"redis://:S3#S3@host/0", "redis://:***@host/0"},
	    {"redis://u:S3@S3:S3@host/0", "redis://u:***@host/0"},
	    {"postgresql://u:S3@h/db?password=S3&x=1", "postgresql://u:***@h/db?password=***&x=1"},
	    {"postgresql://h/db?sslpassword=S3&password=S3#f",
	     "postgresql://h/db?sslpassword=***&password=***"},
	    {"host=h password=S3 dbname=d", "host=h password=*** dbname=d"},
	    {"host=h PASSWORD = S3 dbname=d", "host=h PASSWORD = *** dbname=d"},
	    {"password='S3 S3' dbname=d", "password=*** dbname=d"},
	    {"password='S3\\'S3 S3' dbname=d", "password=*** dbname=d"},
	    {"password=S3\\ S3 dbname=d", "password=*** dbname=d"},
	    {"password=S3&S3 dbname=d", "password=*** dbname=d"},
	    {"password='S3", "password=***"},
	    {"password=S3\\", "password=***"},
	    {"password=", "password=***"},
	    {"PGPASSWORD=S3", "PGPASSWORD=***"},
	    {"the password is wrong", "the password is wrong"},
	    {"password", "password"},
	    {"from redis://:S3@a/0 to redis://:S3@b/1",
	     "from redis://:***@a/0 to redis://:***@b/1"},
	    {"://:S3@", "://:***@"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		char *masked = NULL;
		assert_int_equal(secret_masked(cases[i].text, &masked, &err), 0);
		assert_string_equal(masked, cases[i].masked);
		assert_null(strstr(masked, "S3"));
		free(masked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set__again_and_done__keeps_the_last),
	    cmocka_unit_test(masked__passwords_of_all_kinds__are_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

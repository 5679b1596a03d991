#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/names.h"

static const char *const known[] = {"backup", "list", "show", NULL, "restore", "prune", "status"};

static const char *nearest(const char *word)
{
	return names_nearest(word, known, sizeof known / sizeof known[0]);
}

static void names_distance__slips__are_counted(void **state)
{
	(void)state;
	assert_int_equal(names_distance("", ""), 0);
	assert_int_equal(names_distance("volume", "volume"), 0);
	assert_int_equal(names_distance("volum", "volume"), 1);
	assert_int_equal(names_distance("vloume", "volume"), 1);
	assert_int_equal(names_distance("VOLUME", "volume"), 0);
	assert_int_equal(names_distance("kitten", "sitting"), 3);
	assert_int_equal(names_distance("", "abc"), 3);
}

static void names_nearest__slip__finds_the_word(void **state)
{
	(void)state;
	assert_string_equal(nearest("bakcup"), "backup");
	assert_string_equal(nearest("restroe"), "restore");
	assert_string_equal(nearest("lst"), "list");
	assert_string_equal(nearest("rest"), "restore");
	assert_string_equal(nearest("Status"), "status");
}

static void names_nearest__nothing_near__is_null(void **state)
{
	(void)state;
	assert_null(nearest(""));
	assert_null(nearest("x"));
	assert_null(nearest("s")); /* the beginning of two */
	assert_null(nearest("elephant"));
	assert_null(
	    nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_distance__slips__are_counted),
	    cmocka_unit_test(names_nearest__slip__finds_the_word),
	    cmocka_unit_test(names_nearest__nothing_near__is_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

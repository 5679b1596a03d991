#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "storage/archive/member_name.h"

static void name__that_stays_inside__is_fine(void **state)
{
	(void)state;
	static const char *const fine[] = {"a", "a/b", "...", "a/..b", "a/.", ".x", "a b/\xFF"};
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
		assert_null(member_name_fault(fine[i]));
}

static void name__that_could_escape__is_at_fault(void **state)
{
	(void)state;
	assert_string_equal(member_name_fault(""), "is empty");
	assert_string_equal(member_name_fault("/etc/passwd"), "begins with '/'");
	assert_string_equal(member_name_fault("a//b"), "has an empty component");
	assert_string_equal(member_name_fault("a/"), "has an empty component");
	assert_string_equal(member_name_fault(".."), "has '..' in it");
	assert_string_equal(member_name_fault("../a"), "has '..' in it");
	assert_string_equal(member_name_fault("a/../b"), "has '..' in it");
	assert_string_equal(member_name_fault("a/.."), "has '..' in it");
	assert_string_equal(member_name_fault("."), "has a component '.'");
	assert_string_equal(member_name_fault("./a"), "has a component '.'");
	assert_string_equal(member_name_fault("a/./b"), "has a component '.'");
}

static void name__of_1024_bytes__is_the_longest(void **state)
{
	(void)state;
	char name[MEMBER_NAME_MAX + 2];
	memset(name, 'x', sizeof name);
	name[MEMBER_NAME_MAX + 1] = '\0';
	assert_string_equal(member_name_fault(name), "is longer than 1024 bytes");
	name[MEMBER_NAME_MAX] = '\0';
	assert_null(member_name_fault(name));
}

static void cleans_to(const char *given, const char *expected)
{
	struct err err = ERR_INIT;
	char *clean = NULL;
	assert_int_equal(member_name_clean(given, &clean, &err), 0);
	assert_string_equal(clean, expected);
	free(clean);
}

static void name__with_harmless_dots_and_slashes__is_cleaned(void **state)
{
	(void)state;
	cleans_to("a/b", "a/b");
	cleans_to("./a/./././b/", "a/b");
	cleans_to("a/.", "a/.");
	cleans_to("a/./", "a/.");
	cleans_to(".hidden/./x.", ".hidden/x.");
}

static void name__at_fault__is_not_cleaned(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char *clean = NULL;
	assert_int_equal(member_name_clean("a/../\x1B[2J", &clean, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "the member name 'a/../?[2J' has '..' in it");
	assert_null(clean);
}

static void name__that_is_long__is_cut_when_shown(void **state)
{
	(void)state;
	char name[500], shown[MEMBER_NAME_SHOWN_BYTES];
	memset(name, 'x', sizeof name);
	name[499] = '\0';
	member_name_shown(name, shown);
	assert_int_equal(strlen(shown), MEMBER_NAME_SHOWN_BYTES - 1);
	assert_string_equal(shown + MEMBER_NAME_SHOWN_BYTES - 4, "...");
	assert_string_equal(member_name_shown("abc", shown), "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(name__that_stays_inside__is_fine),
	    cmocka_unit_test(name__that_could_escape__is_at_fault),
	    cmocka_unit_test(name__of_1024_bytes__is_the_longest),
	    cmocka_unit_test(name__with_harmless_dots_and_slashes__is_cleaned),
	    cmocka_unit_test(name__at_fault__is_not_cleaned),
	    cmocka_unit_test(name__that_is_long__is_cut_when_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

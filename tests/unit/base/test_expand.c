#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/expand.h"

static const char *lookup(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "USER") == 0)
		return "hdms";
	if (strcmp(name, "PASSWORD") == 0)
		return "p@ss/w%rd#1:?$ ä";
	if (strcmp(name, "EMPTY") == 0)
		return "";
	return strcmp(name, "HOST") == 0 ? "db:5432" : NULL;
}

static void gives(const char *text, bool strict, bool url, const char *expected)
{
	struct expand_opts opts = {.lookup = lookup, .strict = strict, .url = url};
	struct err err = ERR_INIT;
	char *got = NULL;
	if (expand(text, &opts, &got, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	assert_string_equal(got, expected);
	free(got);
}

static void refused(const char *text, const char *message, const char *hint)
{
	struct expand_opts opts = {.lookup = lookup, .strict = true};
	struct err err = ERR_INIT;
	char *got = NULL;
	assert_int_equal(expand(text, &opts, &got, &err), -1);
	assert_null(got);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, message);
	assert_string_equal(err.hint, hint);
}

static void expand__every_form__gives_what_compose_gives(void **state)
{
	(void)state;
	gives("", true, false, "");
	gives("a ${USER} b", true, false, "a hdms b");
	gives("$$x$$", true, false, "$x$");
	gives("$${USER}", true, false, "${USER}");
	gives("${NONE:-d}${NONE-d}${EMPTY:-d}[${EMPTY-d}]${USER:-d}", true, false, "ddd[]hdms");
	gives("${USER:+y}${USER+y}[${EMPTY:+y}]${EMPTY+y}[${NONE+y}]", true, false, "yy[]y[]");
	gives("${USER:?m}${EMPTY?m}", true, false, "hdms");
	gives("${NONE:-${USER}}/${NONE:-}", true, false, "hdms/");
	gives("${NONE:-a}b}", true, false, "ab}");
}

static void expand__lenient__takes_bare_names_and_empty_ones(void **state)
{
	(void)state;
	gives("$USER-$NONE-${NONE}-$", false, false, "hdms---$");
	gives("pa$ss$!x$1", false, false, "pa$!x$1");
}

static void expand__strict__says_what_is_wrong(void **state)
{
	(void)state;
	refused("${NONE}", "${NONE} is not defined",
		"set NONE in the environment or in a file that env_file names");
	refused("${NONE:?}", "${NONE} is not defined",
		"set NONE in the environment or in a file that env_file names");
	refused("${NONE:?the database's name}", "${NONE}: the database's name", "");
	refused("a$b", "a '$' that is not part of ${NAME}", "write $$ for a dollar sign");
	refused("a$", "a '$' that is not part of ${NAME}", "write $$ for a dollar sign");
	refused("${USER", "'${' without its '}'", "");
	refused("${}", "'${' is not followed by a name", "");
	refused("${1}", "'${' is not followed by a name", "");
	refused("${USER/a/b}", "'${USER' is followed by neither '}' nor ':-'",
		"write ${USER} or ${USER:-default}");
	refused("${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}}",
		"${…} nested more than 8 deep", "");
}

static void expand__url__encodes_values_in_user_and_password_only(void **state)
{
	(void)state;
	gives("postgresql://${USER}:${PASSWORD}@${HOST}/${USER}", true, true,
	      "postgresql://hdms:p%40ss%2Fw%25rd%231%3A%3F%24%20%C3%A4@db:5432/hdms");
	gives("redis://:${NONE:-a@/b}@h:1/0?x=${HOST}", true, true,
	      "redis://:a%40%2Fb@h:1/0?x=db:5432");
	/* What is written out in the file is the user's own encoding. */
	gives("postgresql://u:a%40b$$@h/d", true, true, "postgresql://u:a%40b$@h/d");
	/* A whole URL from one variable is taken as it is; so is what follows the host. */
	gives("${HOST}", true, true, "db:5432");
	gives("${NONE:-postgresql://u:a%40b@h/d}", true, true, "postgresql://u:a%40b@h/d");
	gives("postgresql://h/d?x=a@${HOST}", true, true, "postgresql://h/d?x=a@db:5432");
}

static void expand_userinfo__urls__finds_its_bounds(void **state)
{
	(void)state;
	size_t from = 0, to = 0;
	assert_true(expand_userinfo("a://u:p@ss@h", &from, &to));
	assert_int_equal(from, 4);
	assert_int_equal(to, 10);
	assert_true(expand_userinfo("a://${X:-/@}@h", &from, &to));
	assert_int_equal(to, 12);
	assert_false(expand_userinfo("a://h/u@x", &from, &to));
	assert_false(expand_userinfo("u@h", &from, &to));
	assert_false(expand_userinfo("a://${X", &from, &to));
}

static void expand__too_long__is_refused(void **state)
{
	(void)state;
	char *text = malloc(EXPAND_MAX_BYTES + 2);
	memset(text, 'x', EXPAND_MAX_BYTES + 1);
	text[EXPAND_MAX_BYTES + 1] = '\0';
	refused(text, "longer than 65536 bytes", "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expand__every_form__gives_what_compose_gives),
	    cmocka_unit_test(expand__lenient__takes_bare_names_and_empty_ones),
	    cmocka_unit_test(expand__strict__says_what_is_wrong),
	    cmocka_unit_test(expand__url__encodes_values_in_user_and_password_only),
	    cmocka_unit_test(expand_userinfo__urls__finds_its_bounds),
	    cmocka_unit_test(expand__too_long__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/env_file.h"

static struct env_file *parsed(const char *text)
{
	struct env_file *e = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(env_file_new(&e, &err), 0);
	if (env_file_parse(e, text, strlen(text), ".env", &err) < 0)
		fail_msg("%s", err.msg);
	return e;
}

static void refused(const char *text, const char *message)
{
	struct err err = ERR_INIT;
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	assert_int_equal(env_file_new(&e, &err), 0);
	assert_int_equal(env_file_parse(e, text, strlen(text), ".env", &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, message);
}

static void env_file_parse__plain_values__are_what_compose_reads(void **state)
{
	(void)state;
	CLEANUP(env_file_freep)
	struct env_file *e = parsed("# database\n\nDB_USER=hdms\n  export DB_NAME = hdms_db \r\n"
				    "DB_PASSWORD=a=b#c;d&e # a comment\nEMPTY=\nYAML: yes\n"
				    "COMMENT= # nothing\nURL=postgresql://u:p@h:5432/d?a=b\n"
				    "exporter=x\nA.b-c=1\nLAST=end");
	assert_string_equal(env_file_get(e, "DB_USER"), "hdms");
	assert_string_equal(env_file_get(e, "DB_NAME"), "hdms_db");
	assert_string_equal(env_file_get(e, "DB_PASSWORD"), "a=b#c;d&e");
	assert_string_equal(env_file_get(e, "EMPTY"), "");
	assert_string_equal(env_file_get(e, "YAML"), "yes");
	assert_string_equal(env_file_get(e, "COMMENT"), "");
	assert_string_equal(env_file_get(e, "URL"), "postgresql://u:p@h:5432/d?a=b");
	assert_string_equal(env_file_get(e, "exporter"), "x");
	assert_string_equal(env_file_get(e, "A.b-c"), "1");
	assert_string_equal(env_file_get(e, "LAST"), "end");
	assert_null(env_file_get(e, "NONE"));
	assert_int_equal(env_file_count(e), 10);
	assert_string_equal(env_file_name(e, 0), "DB_USER");
}

static void env_file_parse__quotes__keep_what_is_inside(void **state)
{
	(void)state;
	CLEANUP(env_file_freep)
	struct env_file *e = parsed("U=x\nA='a # $U ${U} \\n \"' # comment\nB=\"a # b\"\n"
				    "C=\"l1\\nl2\\t\\\"q\\\" \\\\ \\$U ${U}\"\nD='Let\\'s go!'\n"
				    "E='two\nlines'\nF=\"\"\nG=it's\n");
	assert_string_equal(env_file_get(e, "A"), "a # $U ${U} \\n \"");
	assert_string_equal(env_file_get(e, "B"), "a # b");
	assert_string_equal(env_file_get(e, "C"), "l1\nl2\t\"q\" \\ $U x");
	assert_string_equal(env_file_get(e, "D"), "Let's go!");
	assert_string_equal(env_file_get(e, "E"), "two\nlines");
	assert_string_equal(env_file_get(e, "F"), "");
	assert_string_equal(env_file_get(e, "G"), "it's");
}

static void env_file_parse__variables__come_from_environment_and_above(void **state)
{
	(void)state;
	setenv("LB_TEST_OUTER", "outer", 1);
	unsetenv("LB_TEST_NONE");
	CLEANUP(env_file_freep)
	struct env_file *e = parsed("A=1\nB=$A-${A}-${X:-d}-$LB_TEST_OUTER\nLB_TEST_OUTER=inner\n"
				    "C=$LB_TEST_OUTER\nD=$$A`id`$(id)\nLB_TEST_OUTER\n"
				    "LB_TEST_NONE\nE=[$LB_TEST_NONE]\nA=2\n");
	assert_string_equal(env_file_get(e, "B"), "1-1-d-outer");
	assert_string_equal(env_file_get(e, "C"), "outer");
	assert_string_equal(env_file_get(e, "D"), "$A`id`$(id)");
	assert_string_equal(env_file_get(e, "LB_TEST_OUTER"), "outer");
	assert_null(env_file_get(e, "LB_TEST_NONE"));
	assert_string_equal(env_file_get(e, "E"), "[]");
	assert_string_equal(env_file_get(e, "A"), "2");
	unsetenv("LB_TEST_OUTER");
}

static void env_file_parse__mistakes__name_the_line_and_no_value(void **state)
{
	(void)state;
	refused("A=1\nmy secret\n", ".env:2: not NAME=value");
	refused("=x\n", ".env:1: not NAME=value");
	refused("\n\nA='x\n\n", ".env:3: the quote is never closed");
	refused("A=\"x\ny\" z\n", ".env:2: text after the closing quote");
	refused("A=1\nB=${A\n", ".env:2: '${' without its '}'");
	refused("B=${NO_SUCH_NAME:?give one}\n", ".env:1: ${NO_SUCH_NAME}: give one");
}

static void env_file_parse__line_numbers__count_lines_inside_quotes(void **state)
{
	(void)state;
	refused("A='1\n2\n3'\n# c\n!\n", ".env:5: not NAME=value");
	refused("A=\"1\\\n2\"\n!\n", ".env:3: not NAME=value");
}

static void env_file_parse__bounds__hold(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	assert_int_equal(env_file_new(&e, &err), 0);
	int done = 0;
	for (int i = 0; done == 0 && i < 5000; i++) {
		char line[32];
		int len = snprintf(line, sizeof line, "N%d=v\n", i);
		done = env_file_parse(e, line, (size_t)len, ".env", &err);
	}
	assert_int_equal(done, -1);
	assert_string_equal(err.msg, ".env:1: too many variables");
	assert_int_equal(env_file_parse(e, "A=\0", 3, ".env", &err), -1);
	assert_string_equal(err.msg, ".env: has bytes that are not text");
}

static void env_file_read__absent__says_so(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	assert_int_equal(env_file_new(&e, &err), 0);
	assert_int_equal(env_file_read(e, "/nonexistent/.env", &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(env_file_parse__plain_values__are_what_compose_reads),
	    cmocka_unit_test(env_file_parse__quotes__keep_what_is_inside),
	    cmocka_unit_test(env_file_parse__variables__come_from_environment_and_above),
	    cmocka_unit_test(env_file_parse__mistakes__name_the_line_and_no_value),
	    cmocka_unit_test(env_file_parse__line_numbers__count_lines_inside_quotes),
	    cmocka_unit_test(env_file_parse__bounds__hold),
	    cmocka_unit_test(env_file_read__absent__says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

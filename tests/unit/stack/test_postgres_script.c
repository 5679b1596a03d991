#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

static int note(void *ctx, const char *statement, struct err *err)
{
	return strlist_push(ctx, statement, err);
}

/* Cuts `sql`; `expected` is NULL-terminated. */
static void assert_cut(const char *sql, const char *const *expected)
{
	struct err err = ERR_INIT;
	CLEANUP(strlist_done) struct strlist found = {0};
	if (pg_script_split(sql, note, &found, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < found.count; i++) {
		assert_non_null(expected[i]);
		assert_string_equal(found.items[i], expected[i]);
	}
	assert_null(expected[found.count]);
}
#define CUT(sql, ...) assert_cut(sql, (const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(const char *sql, const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(strlist_done) struct strlist found = {0};
	assert_int_equal(pg_script_split(sql, note, &found, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, text);
}

static void pg_script_split__plain_statements__one_by_one(void **state)
{
	(void)state;
	CUT("SELECT 1;\n\nSELECT\t2 ;SELECT 3", "SELECT 1", "SELECT\t2", "SELECT 3");
	CUT(";;\n ; SELECT 1;;", "SELECT 1");
	assert_cut("", (const char *const[]){NULL});
	assert_cut(" \n-- nothing\n/* at /* all */ */\n", (const char *const[]){NULL});
}

static void pg_script_split__comments__not_the_end(void **state)
{
	(void)state;
	CUT("--\n-- Roles;\n--\n\nCREATE ROLE a;\n-- tail", "CREATE ROLE a");
	CUT("SELECT 1 -- one; 'two\n + 2;", "SELECT 1 -- one; 'two\n + 2");
	CUT("/* a; /* b; */ c; */SELECT /* ; */ 1;", "SELECT /* ; */ 1");
	CUT("SELECT 4 - 2 / 1;SELECT 2", "SELECT 4 - 2 / 1", "SELECT 2");
}

static void pg_script_split__quotes__not_the_end(void **state)
{
	(void)state;
	CUT("SELECT 'a;b''c;';SELECT 2", "SELECT 'a;b''c;'", "SELECT 2");
	CUT("SELECT 'a\\';SELECT 2", "SELECT 'a\\'", "SELECT 2");
	CUT("SELECT E'a\\';b''c\\\\';SELECT 2", "SELECT E'a\\';b''c\\\\'", "SELECT 2");
	CUT("SELECT e'\\'';SELECT 2", "SELECT e'\\''", "SELECT 2");
	CUT("SELECT type'a\\';SELECT 2", "SELECT type'a\\'", "SELECT 2");
	CUT("SELECT \"a;\"\"b\";SELECT 2", "SELECT \"a;\"\"b\"", "SELECT 2");
	CUT("SELECT U&\"d\\0061;\";SELECT 2", "SELECT U&\"d\\0061;\"", "SELECT 2");
	CUT("CREATE ROLE \"it's\";CREATE ROLE b", "CREATE ROLE \"it's\"", "CREATE ROLE b");
}

static void pg_script_split__dollar_quotes__not_the_end(void **state)
{
	(void)state;
	CUT("DO $$ a; ' $x$ b; $$;SELECT 2", "DO $$ a; ' $x$ b; $$", "SELECT 2");
	CUT("DO $x$ a; $$ ; $y$ $x$;SELECT 2", "DO $x$ a; $$ ; $y$ $x$", "SELECT 2");
	CUT("DO $größe$;$größe$;SELECT 2", "DO $größe$;$größe$", "SELECT 2");
	CUT("SELECT $1;SELECT a$b$c;SELECT 3", "SELECT $1", "SELECT a$b$c", "SELECT 3");
	CUT("SELECT 1$a;SELECT 2", "SELECT 1$a", "SELECT 2");
	CUT("SELECT $;SELECT 2", "SELECT $", "SELECT 2");
}

static void pg_script_split__parentheses_and_bodies__one_statement(void **state)
{
	(void)state;
	CUT("CREATE RULE r AS ON UPDATE TO t DO ALSO (SELECT 1; SELECT (2););SELECT 2",
	    "CREATE RULE r AS ON UPDATE TO t DO ALSO (SELECT 1; SELECT (2);)", "SELECT 2");
	CUT("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; "
	    "END;SELECT 2",
	    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; "
	    "END",
	    "SELECT 2");
	CUT("create or replace procedure f() begin atomic select 1; end;SELECT 2",
	    "create or replace procedure f() begin atomic select 1; end", "SELECT 2");
	CUT("BEGIN;CREATE TABLE t (a int);END;", "BEGIN", "CREATE TABLE t (a int)", "END");
	CUT("SELECT 1);SELECT 2", "SELECT 1)", "SELECT 2");
}

static void pg_script_split__lines_for_psql__known_ones_passed_over(void **state)
{
	(void)state;
	CUT("\\restrict Ab12\n\nSET a = 1;\n\\unrestrict Ab12\n", "SET a = 1");
	assert_refused("SELECT 1;\n\\connect template1\n",
		       "the script has a command for psql: '\\connect'");
	assert_refused("SELECT 1 \\restrict x\n;",
		       "the script has a command for psql: '\\restrict'");
	assert_refused("\\! touch /tmp/x", "the script has a command for psql: '\\!'");
}

static void pg_script_split__cut_script__says_where(void **state)
{
	(void)state;
	assert_refused("SELECT 1;SELECT 'abc",
		       "the script ends inside a quoted text of statement 'SELECT 'abc'");
	assert_refused("DO $a$ x", "the script ends inside a quoted text of statement 'DO $a$ x'");
	assert_refused("SELECT \"a",
		       "the script ends inside a quoted text of statement 'SELECT \"a'");
	assert_refused(
	    "ALTER ROLE a PASSWORD 'hush",
	    "the script ends inside a quoted text of statement 'ALTER ROLE a PASSWORD …'");
	assert_refused("SELECT 1 /* x", "the script ends in a comment");
}

static int fail_second(void *ctx, const char *statement, struct err *err)
{
	(void)statement;
	return ++*(int *)ctx == 2 ? err_set(err, ERR_FAILED, "second") : 0;
}

static void pg_script_split__statement_fails__stops_there(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int count = 0;
	assert_int_equal(pg_script_split("a;b;c", fail_second, &count, &err), -1);
	assert_int_equal(count, 2);
	assert_string_equal(err.msg, "second");
}

static void assert_brief(const char *statement, const char *expected)
{
	char out[PG_BRIEF_BYTES];
	assert_string_equal(pg_script_brief(statement, out), expected);
}

static void pg_script_brief__any_statement__one_short_line(void **state)
{
	(void)state;
	assert_brief("SELECT\n   1", "SELECT 1");
	assert_brief("CREATE ROLE a WITH LOGIN Password 'md5' VALID UNTIL 'x'",
		     "CREATE ROLE a WITH LOGIN Password …");
	assert_brief("x PASSWORD", "x PASSWORD");
	assert_brief("12345678901234567890123456789012345678901234567890123456789012345678901234567"
		     "890",
		     "12345678901234567890123456789012345678901234567890123456789012345678901234567"
		     "890");
	assert_brief("1234567890123456789012345678901234567890123456789012345678901234567890123456"
		     "789ßé",
		     "1234567890123456789012345678901234567890123456789012345678901234567890123456"
		     "789ß …");
	char out[PG_BRIEF_BYTES], emoji[4 * 200 + 1] = "";
	for (size_t i = 0; i < 200; i++)
		memcpy(emoji + 4 * i, "\xF0\x9F\x98\x80", 5);
	pg_script_brief(emoji, out);
	assert_int_equal(strlen(out), 80 * 4 + strlen(" …"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg_script_split__plain_statements__one_by_one),
	    cmocka_unit_test(pg_script_split__comments__not_the_end),
	    cmocka_unit_test(pg_script_split__quotes__not_the_end),
	    cmocka_unit_test(pg_script_split__dollar_quotes__not_the_end),
	    cmocka_unit_test(pg_script_split__parentheses_and_bodies__one_statement),
	    cmocka_unit_test(pg_script_split__lines_for_psql__known_ones_passed_over),
	    cmocka_unit_test(pg_script_split__cut_script__says_where),
	    cmocka_unit_test(pg_script_split__statement_fails__stops_there),
	    cmocka_unit_test(pg_script_brief__any_statement__one_short_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

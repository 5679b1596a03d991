#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

static void refused(const char *url, const char *text, const char *hint)
{
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	struct strlist env = {0};
	struct pg_opts opts = {.url = url};
	assert_int_equal(pg_connect(&opts, NULL, &p, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, text);
	assert_string_equal(err.hint, hint);
	assert_int_equal(pg_tool_env(&opts, &env, &err), -1);
	assert_string_equal(err.msg, text);
	assert_int_equal(env.count, 0);
	assert_null(strstr(err.msg, "hush"));
}

static void pg_url__wrong__says_what_without_the_password(void **state)
{
	(void)state;
	static const char form[] = "It looks like postgresql://user:password@host:5432/database, "
				   "with special characters of the password percent-encoded.";
	refused(NULL, "the url of PostgreSQL is empty", "");
	refused("", "the url of PostgreSQL is empty", "");
	refused("postgresql://u:hush%zz@h/db",
		"the url of PostgreSQL is wrong: '%' without two hexadecimal digits",
		"Write a '%' of the password as '%25'.");
	refused("postgresql://u:hu@sh@h/db", "the url of PostgreSQL is wrong: '@' in its host",
		"Write a '@' of the password as '%40'.");
	refused("user=u password=a hush b", "the url of PostgreSQL is wrong: missing ", form);
	refused("postgresql://u:hush@h/db?sslmod=require",
		"the url of PostgreSQL is wrong: invalid URI query parameter: \"sslmod\"", "");
	refused("usr=x password=hush",
		"the url of PostgreSQL is wrong: invalid connection option \"usr\"", "");
	refused("postgresql://u:hush@[::1/db",
		"the url of PostgreSQL is wrong: end of string reached when looking for matching ",
		form);
}

static void pg_url_item__lists__by_position(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		size_t index, count;
		const char *item;
	} cases[] = {
	    {"a", 0, 1, "a"},   {"a", 5, 1, "a"},  {"a,b,c", 0, 3, "a"},   {"a,b,c", 2, 3, "c"},
	    {"a,,c", 1, 3, ""}, {"a,b", 7, 2, ""}, {"5432", 1, 1, "5432"}, {"5432,", 1, 2, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *item = NULL;
		assert_int_equal(pg_url_items(cases[i].list), cases[i].count);
		assert_int_equal(pg_url_item(cases[i].list, cases[i].index, &item, &err), 0);
		assert_string_equal(item, cases[i].item);
	}
}

static bool has(const struct strlist *l, const char *item)
{
	return strlist_has(l, item);
}

static void pg_tool_env__url_with_everything__the_tools_environment(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	struct pg_opts opts = {.url = "postgresql://app:p%40ss%20w@db.example:6543/hdms_db?"
				      "sslmode=verify-full&sslrootcert=/etc/ca.pem&"
				      "options=-c%20search_path%3Dx&client_encoding=LATIN1",
			       .connect_timeout_ms = 20500};
	assert_int_equal(pg_tool_env(&opts, &env, &err), 0);
	assert_true(has(&env, "PGHOST=db.example"));
	assert_true(has(&env, "PGPORT=6543"));
	assert_true(has(&env, "PGUSER=app"));
	assert_true(has(&env, "PGPASSWORD=p@ss w"));
	assert_true(has(&env, "PGSSLMODE=verify-full"));
	assert_true(has(&env, "PGSSLROOTCERT=/etc/ca.pem"));
	assert_true(has(&env, "PGCONNECT_TIMEOUT=21"));
	assert_true(has(&env, "PGAPPNAME=lifeboat"));
	assert_true(has(&env, "PGTZ=UTC"));
	assert_true(has(&env, "PGDATABASE"));
	assert_true(has(&env, "PGSERVICE"));
	assert_true(has(&env, "PGHOSTADDR"));
	assert_true(has(&env, "PGCLIENTENCODING"));
	bool seen = false;
	for (size_t i = 0; i < env.count; i++)
		if (strncmp(env.items[i], "PGOPTIONS=", 10) == 0) {
			assert_memory_equal(
			    env.items[i], "PGOPTIONS=-c search_path=x -c statement_timeout=0 ", 50);
			assert_non_null(strstr(env.items[i], " -c bytea_output=hex "));
			seen = true;
		}
	assert_true(seen);
}

static void pg_tool_env__time_limits__whole_seconds(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *item;
	} cases[] = {{0, "PGCONNECT_TIMEOUT=20"},
		     {-1, "PGCONNECT_TIMEOUT=0"},
		     {1, "PGCONNECT_TIMEOUT=1"},
		     {3000, "PGCONNECT_TIMEOUT=3"}};
	for (size_t i = 0; i < 4; i++) {
		struct err err = ERR_INIT;
		CLEANUP(pg_tool_env_done) struct strlist env = {0};
		struct pg_opts opts = {.url = "service=prod hostaddr=10.0.0.1 application_name=me",
				       .connect_timeout_ms = cases[i].ms};
		assert_int_equal(pg_tool_env(&opts, &env, &err), 0);
		assert_true(has(&env, cases[i].item));
		assert_true(has(&env, "PGSERVICE=prod"));
		assert_true(has(&env, "PGHOSTADDR=10.0.0.1"));
		assert_true(has(&env, "PGAPPNAME=me"));
		assert_false(has(&env, "PGSERVICE"));
		assert_false(has(&env, "PGHOSTADDR"));
	}
}

static void pg_tool_env__password_of_a_key_file__refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct strlist env = {0};
	struct pg_opts opts = {.url = "host=h sslkey=/k sslpassword=hush"};
	assert_int_equal(pg_tool_env(&opts, &env, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(
	    err.msg, "the url of PostgreSQL has 'sslpassword', which can't be handed to pg_dump");
	assert_string_equal(err.hint, "Use a key file without a passphrase.");
}

static void pg_error_code__sqlstates__kinds(void **state)
{
	(void)state;
	static const struct {
		const char *sqlstate;
		enum err_code code;
		bool retryable;
	} cases[] = {
	    {"28P01", ERR_DENIED, false},     {"28000", ERR_DENIED, false},
	    {"42501", ERR_DENIED, false},     {"3D000", ERR_ABSENT, false},
	    {"42P01", ERR_ABSENT, false},     {"57P03", ERR_UNREACHABLE, true},
	    {"53300", ERR_UNREACHABLE, true}, {"53100", ERR_NOSPACE, false},
	    {"40P01", ERR_FAILED, true},      {"57014", ERR_TIMEOUT, false},
	    {"42710", ERR_EXISTS, false},     {"22012", ERR_FAILED, false},
	    {"08006", ERR_UNREACHABLE, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool retryable = !cases[i].retryable;
		assert_int_equal(pg_error_code(cases[i].sqlstate, &retryable), cases[i].code);
		assert_int_equal(retryable, cases[i].retryable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg_url__wrong__says_what_without_the_password),
	    cmocka_unit_test(pg_url_item__lists__by_position),
	    cmocka_unit_test(pg_tool_env__url_with_everything__the_tools_environment),
	    cmocka_unit_test(pg_tool_env__time_limits__whole_seconds),
	    cmocka_unit_test(pg_tool_env__password_of_a_key_file__refused),
	    cmocka_unit_test(pg_error_code__sqlstates__kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

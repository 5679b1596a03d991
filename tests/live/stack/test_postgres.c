/* Sessions and statements, on a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "tests/support/odd_server.h"

/* ---- sessions ---- */

static void pg_connect__role_with_evil_defaults__session_of_pg_dump(void **state)
{
	(void)state;
	static const char *const settings[][2] = {
	    {"statement_timeout", "0"},       {"lock_timeout", "0"},
	    {"idle_session_timeout", "0"},    {"idle_in_transaction_session_timeout", "0"},
	    {"DateStyle", "ISO, DMY"},        {"IntervalStyle", "postgres"},
	    {"bytea_output", "hex"},          {"TimeZone", "UTC"},
	    {"extra_float_digits", "3"},      {"search_path", ""},
	    {"quote_all_identifiers", "off"}, {"default_transaction_read_only", "off"},
	    {"client_encoding", "UTF8"},      {"row_security", "off"},
	    {"application_name", "lifeboat"},
	};
	CLEANUP(pg_freep) struct pg *p = connect_to(evil_url, NULL);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *is = NULL;
		ASSERT_OK(pg_valuef(p, &is, &err, "SHOW %s", settings[i][0]));
		if (strcmp(is, settings[i][1]) != 0)
			fail_msg("%s is '%s'", settings[i][0], is);
	}
	assert_int_equal(pg_server_version(p) / 10000, pg_server_major(p));
}

static void pg_connect__plain__no_settings(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = NULL;
	CLEANUP(freep) char *style = NULL, *zone = NULL;
	char url[256];
	/* Not the role of a millisecond. */
	live_postgres_url(&server, "reader", "reader", "odd", url, sizeof url);
	ASSERT_OK(pg_connect(&(struct pg_opts){.url = url, .plain = true}, NULL, &p, &err));
	ASSERT_OK(pg_value(p, "SHOW search_path", &style, &err));
	assert_string_equal(style, "\"$user\", public");
	ASSERT_OK(pg_value(p, "SHOW extra_float_digits", &zone, &err));
	assert_string_equal(zone, "1");
	bool pooled = true;
	ASSERT_OK(pg_is_pooled(p, &pooled, &err));
	assert_false(pooled);
	struct rows_digest d;
	assert_int_equal(pg_table_digest(p, "public", "parent", "", &d, &err), -1);
	assert_string_equal(err.msg, "table 'public.parent': through a pooler rows may print "
				     "differently");
}

static void refused(const char *url, const char *db, enum err_code code, const char *text,
		    const char *hint)
{
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	assert_int_equal(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, db, &p, &err),
	    -1);
	assert_string_equal(err.msg, text);
	assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, code);
	assert_null(p);
}

static void pg_connect__refused__says_who_where_and_why(void **state)
{
	(void)state;
	char url[256], text[512];
	live_postgres_url(&server, "postgres", "wrong", "odd", url, sizeof url);
	snprintf(text, sizeof text,
		 "can't connect to PostgreSQL at '127.0.0.1:%u' as 'postgres' (database 'odd'): "
		 "FATAL: password authentication failed for user \"postgres\" (28P01)",
		 server.port);
	refused(url, NULL, ERR_DENIED, text, "Check user and password in [postgres] url.");

	snprintf(text, sizeof text,
		 "can't connect to PostgreSQL at '127.0.0.1:%u' as 'postgres' (database 'gone'): "
		 "FATAL: database \"gone\" does not exist (3D000)",
		 server.port);
	refused(super_url, "gone", ERR_ABSENT, text,
		"Check the database's name in [postgres] url.");

	unsigned port = 0;
	CLEANUP(fd_closep) int closed = live_closed_port(&port);
	assert_true(closed >= 0);
	snprintf(url, sizeof url, "postgresql://app:hush@127.0.0.1:%u/db", port);
	snprintf(text, sizeof text,
		 "can't connect to PostgreSQL at '127.0.0.1:%u' as 'app' (database 'db'): "
		 "Connection refused Is the server running on that host and accepting TCP/IP "
		 "connections?",
		 port);
	refused(url, NULL, ERR_UNREACHABLE, text,
		"Check that the server runs, and host and port in [postgres] url.");

	snprintf(url, sizeof url, "postgresql://postgres@127.0.0.1:%u/odd", server.port);
	snprintf(text, sizeof text,
		 "can't connect to PostgreSQL at '127.0.0.1:%u' as 'postgres' (database 'odd'): "
		 "fe_sendauth: no password supplied",
		 server.port);
	refused(url, NULL, ERR_DENIED, text, "Put the password into [postgres] url.");
}

static void pg_connect__several_hosts__first_that_answers(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = NULL;
	char url[256];
	unsigned port = 0;
	CLEANUP(fd_closep) int closed = live_closed_port(&port);
	assert_true(closed >= 0);
	snprintf(url, sizeof url, "postgresql://postgres:secret@127.0.0.1:%u,127.0.0.1:%u/postgres",
		 port, server.port);
	ASSERT_OK(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, NULL, &p, &err));
	struct pg *none = NULL;
	snprintf(url, sizeof url, "host=127.0.0.1,127.0.0.1 port=%u user=u dbname=d", port);
	assert_int_equal(pg_connect(&(struct pg_opts){.url = url}, NULL, &none, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_true(err.retryable);
	assert_non_null(strstr(err.msg, "; and: can't connect to PostgreSQL at '127.0.0.1:"));
}

static void pg_connect__server_that_says_nothing__ends_in_time(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	char url[256];
	/* A listener whose queue takes the connection and never answers. */
	unsigned port = 0;
	CLEANUP(fd_closep) int silent = live_listen(&port);
	assert_true(silent >= 0);
	snprintf(url, sizeof url, "postgresql://app:hush@127.0.0.1:%u/db", port);
	int64_t before = clock_monotonic_ms();
	assert_int_equal(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 200}, NULL, &p, &err),
	    -1);
	assert_true(clock_monotonic_ms() - before < 10000);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "' as 'app' (database 'db'): no answer in time"));
	assert_null(strstr(err.msg, "hush"));
}

/* ---- statements ---- */

static void pg_query__error__message_state_detail_and_hint(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	assert_int_equal(pg_exec(p,
				 "DO $$ BEGIN RAISE EXCEPTION E'first\\n  second' USING ERRCODE = "
				 "'P7777', DETAIL = E'more\\nof it', HINT = 'try that'; END $$",
				 DEADLINE_NEVER, &err),
			 -1);
	assert_string_equal(err.msg, "first second (P7777), DETAIL: more of it");
	assert_string_equal(err.hint, "try that");
	assert_int_equal(err.code, ERR_FAILED);
	assert_int_equal(pg_exec(p, "COPY pg_catalog.pg_class TO STDOUT", DEADLINE_NEVER, &err),
			 -1);
	assert_string_equal(err.msg, "the statement copies data");
	assert_int_equal(pg_exec(p, "COPY public.escapes FROM STDIN", DEADLINE_NEVER, &err), -1);
	assert_string_equal(err.msg, "the statement copies data");
	CLEANUP(freep) char *one = NULL;
	assert_int_equal(pg_value(p, "SELECT 1 WHERE false", &one, &err), -1);
	assert_string_equal(err.msg, "one row was expected and 0 came");
	ASSERT_OK(pg_value(p, "SELECT 1", &one, &err));
	assert_string_equal(one, "1");
}

static void pg_query__deadline__cancelled_and_usable(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	CLEANUP(freep) char *one = NULL, *running = NULL;
	assert_int_equal(pg_exec(p, "SELECT pg_catalog.pg_sleep(1000)", deadline_in(100), &err),
			 -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "timed out");
	ASSERT_OK(pg_value(p, "SELECT 1", &one, &err));
	ASSERT_OK(pg_value(p,
			   "SELECT count(*) FROM pg_catalog.pg_stat_activity "
			   "WHERE query LIKE '%pg_sleep(1000)%' AND state = 'active' "
			   "AND pid <> pg_catalog.pg_backend_pid()",
			   &running, &err));
	assert_string_equal(running, "0");
	/* A server's own limit is a time limit, too. */
	assert_int_equal(pg_exec(p,
				 "BEGIN; SET LOCAL statement_timeout = 50; "
				 "SELECT pg_catalog.pg_sleep(1000)",
				 DEADLINE_NEVER, &err),
			 -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "canceling statement due to statement timeout (57014)");
}

/* In a process of its own: cancellation is for the whole process and for good. */
static void pg_query__cancelled__ends(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = ERR_INIT;
		struct pg *p = connect_to(super_url, "odd");
		if (cancel_install(&err) < 0)
			_exit(2);
		cancel_request(SIGTERM);
		int rc = pg_exec(p, "SELECT pg_catalog.pg_sleep(1000)", DEADLINE_NEVER, &err);
		bool right = rc < 0 && err.code == ERR_CANCELLED &&
			     strcmp(err.msg, "cancelled by SIGTERM") == 0;
		cancel_hold();
		struct rows_digest d;
		bool goes_on = pg_table_digest(p, "public", "wide", "(id, t)", &d, &err) == 0;
		cancel_release();
		/* In the midst of COPY, too. */
		right = right && goes_on &&
			pg_table_digest(p, "public", "wide", "(id, t)", &d, &err) < 0 &&
			err.code == ERR_CANCELLED;
		pg_free(p);
		_exit(right ? 0 : 1);
	}
	struct err err = ERR_INIT;
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	CLEANUP(freep) char *running = NULL;
	ASSERT_OK(pg_value(p,
			   "SELECT count(*) FROM pg_catalog.pg_stat_activity "
			   "WHERE query LIKE '%pg_sleep(1000)%' AND state = 'active' "
			   "AND pid <> pg_catalog.pg_backend_pid()",
			   &running, &err));
	assert_string_equal(running, "0");
}

static void pg_query__backend_killed__unreachable(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	CLEANUP(pg_freep) struct pg *killer = connect_to(super_url, "odd");
	CLEANUP(freep) char *pid = NULL, *done = NULL;
	ASSERT_OK(pg_value(p, "SELECT pg_catalog.pg_backend_pid()", &pid, &err));
	ASSERT_OK(pg_valuef(killer, &done, &err,
			    "SELECT pg_catalog.pg_terminate_backend(%s, 10000)", pid));
	assert_int_equal(pg_exec(p, "SELECT 1", DEADLINE_NEVER, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_true(err.retryable);
	assert_int_equal(pg_exec(p, "SELECT 1", DEADLINE_NEVER, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	struct rows_digest d;
	assert_int_equal(pg_table_digest(p, "public", "wide", "(id)", &d, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
}

static bool skips_bad(void *ctx, const char *statement)
{
	++*(int *)ctx;
	return strncmp(statement, "CREATE ROLE there", 17) == 0;
}

static void pg_script__errors__name_the_statement_and_no_password(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int seen = 0;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	ASSERT_OK(pg_script(p,
			    "\\restrict abc\n-- Roles\nCREATE ROLE there_is_none WITH NONSENSE;\n"
			    "SELECT 1;\n\\unrestrict abc\n",
			    skips_bad, &seen, &err));
	assert_int_equal(seen, 2);
	assert_int_equal(
	    pg_script(p, "SELECT 1;\nALTER ROLE nobody  PASSWORD 'hush';\n", NULL, NULL, &err), -1);
	assert_string_equal(err.msg, "statement 'ALTER ROLE nobody PASSWORD …': role \"nobody\" "
				     "does not exist (42704)");
	assert_int_equal(pg_script(p, "ALTER ROLE nobody PASSWORD hush;", NULL, NULL, &err), -1);
	assert_string_equal(err.msg,
			    "statement 'ALTER ROLE nobody PASSWORD …': syntax error (42601)");
}

/* ---- waiting ---- */

static int is_dead(void *ctx, struct err *err)
{
	return err_set(err, ERR_FAILED, "%s", (const char *)ctx);
}

static void pg_wait_ready__never_ready__says_why(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	char url[256], reason[] = "'postgres' exited with status 1", words[64];
	unsigned port = 0;
	CLEANUP(fd_closep) int closed = live_closed_port(&port);
	assert_true(closed >= 0);
	snprintf(url, sizeof url, "postgresql://app@127.0.0.1:%u/db", port);
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000};
	assert_int_equal(pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(150), &p, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	snprintf(words, sizeof words, "PostgreSQL is not ready: can't connect to PostgreSQL at");
	assert_memory_equal(err.msg, words, strlen(words));
	assert_int_equal(pg_wait_ready(&opts, NULL, is_dead, reason, deadline_in(60000), &p, &err),
			 -1);
	assert_string_equal(err.msg, reason);
	live_postgres_url(&server, "postgres", "wrong", "odd", url, sizeof url);
	assert_int_equal(pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(60000), &p, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
}

static void pg_wait_ready__by_the_socket__ready(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char url[256];
	CLEANUP(pg_freep) struct pg *p = NULL;
	live_postgres_socket_url(&server, "postgres", "postgres", url, sizeof url);
	struct pg_opts opts = {.url = url};
	ASSERT_OK(pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(60000), &p, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg_connect__role_with_evil_defaults__session_of_pg_dump),
	    cmocka_unit_test(pg_connect__plain__no_settings),
	    cmocka_unit_test(pg_connect__refused__says_who_where_and_why),
	    cmocka_unit_test(pg_connect__several_hosts__first_that_answers),
	    cmocka_unit_test(pg_connect__server_that_says_nothing__ends_in_time),
	    cmocka_unit_test(pg_query__error__message_state_detail_and_hint),
	    cmocka_unit_test(pg_query__deadline__cancelled_and_usable),
	    cmocka_unit_test(pg_query__cancelled__ends),
	    cmocka_unit_test(pg_query__backend_killed__unreachable),
	    cmocka_unit_test(pg_script__errors__name_the_statement_and_no_password),
	    cmocka_unit_test(pg_wait_ready__never_ready__says_why),
	    cmocka_unit_test(pg_wait_ready__by_the_socket__ready),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

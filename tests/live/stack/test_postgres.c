/* The door to PostgreSQL, on a real server. */
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
#include "base/flow/sink.h"
#include "base/flow/source.h"
#include "stack/postgres.h"
#include "tests/support/live_postgres.h"
#include "tests/support/odd_database.h"

static struct live_postgres server;
static char super_url[256], evil_url[256], reader_url[256], plain_url[256];

#define ASSERT_OK(call)                                                                            \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s", err.msg);                                                   \
	} while (0)

static struct pg *connect_to(const char *url, const char *db)
{
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	ASSERT_OK(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, db, &p, &err));
	return p;
}

static int set_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char *const settings[] = {"max_connections=20", "work_mem=5MB", NULL};
	if (live_postgres_start(&server, settings, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	live_postgres_url(&server, "postgres", "secret", "postgres", super_url, sizeof super_url);
	live_postgres_url(&server, "evil", "evil", "odd", evil_url, sizeof evil_url);
	live_postgres_url(&server, "reader", "reader", "odd", reader_url, sizeof reader_url);
	live_postgres_url(&server, "plain", "plain", "odd", plain_url, sizeof plain_url);
	CLEANUP(pg_freep) struct pg *p = NULL;
	struct pg_opts opts = {.url = super_url};
	if (pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(60000), &p, &err) < 0 ||
	    pg_exec(p, "CREATE DATABASE odd TEMPLATE template0", DEADLINE_NEVER, &err) < 0 ||
	    pg_exec(p, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
		    DEADLINE_NEVER, &err) < 0 ||
	    pg_script(p, odd_roles_sql, NULL, NULL, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	CLEANUP(pg_freep) struct pg *odd = connect_to(super_url, "odd");
	for (size_t i = 0; odd_database_sql[i] != NULL; i++)
		if (pg_script(odd, odd_database_sql[i], NULL, NULL, &err) < 0) {
			print_error("%s\n", err.msg);
			return -1;
		}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	live_postgres_stop(&server);
	return 0;
}

/* ---- dumps and digests ---- */

/* A real dump by the server's pg_dump, through the reader. */
static struct pgdump *dump_of(const char *url, const char *db)
{
	struct err err = ERR_INIT;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	char program[256];
	const char *argv[] = {live_postgres_tool(&server, "pg_dump", program, sizeof program),
			      "-Fc",
			      "-Z0",
			      "-d",
			      db,
			      NULL};
	struct child *child;
	struct source *from, *teed;
	struct sink *reader, *nowhere;
	struct pgdump *d = NULL;
	ASSERT_OK(
	    pg_tool_env(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, &env, &err));
	ASSERT_OK(pgdump_new(&d, &err));
	ASSERT_OK(pgdump_sink(d, &reader, &err));
	ASSERT_OK(child_start(&(struct child_opts){.argv = argv,
						   .env = (const char *const *)env.items,
						   .pipe_stdout = true},
			      &child, &err));
	ASSERT_OK(source_child(child, 60000, &from, &err));
	ASSERT_OK(source_tee(from, reader, &teed, &err));
	ASSERT_OK(sink_null(&nowhere, &err));
	int rc = flow_copy(teed, nowhere, NULL, &err);
	source_free(teed);
	sink_free(nowhere);
	ASSERT_OK(rc);
	return d;
}

static void compare_table(struct pg *p, const struct pgdump_entry *e)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *columns = NULL;
	struct rows_digest is = {0};
	char dumped[ROWS_DIGEST_BYTES], asked[ROWS_DIGEST_BYTES];
	ASSERT_OK(pgdump_copy_columns(e->copy, &columns, &err));
	ASSERT_OK(pg_table_digest(p, e->schema, e->tag, columns, &is, &err));
	rows_digest_hex(&e->data, dumped);
	rows_digest_hex(&is, asked);
	if (is.rows != e->data.rows || strcmp(dumped, asked) != 0)
		fail_msg("table '%s': dumped %llu rows %s, asked %llu rows %s", e->tag,
			 (unsigned long long)e->data.rows, dumped, (unsigned long long)is.rows,
			 asked);
}

static void compare_sequence(struct pg *p, const struct pgdump_entry *e)
{
	struct err err = ERR_INIT;
	int64_t value;
	bool called;
	CLEANUP(freep) char *schema = NULL, *name = NULL, *is = NULL, *must_be = NULL;
	ASSERT_OK(pgdump_sequence_value(e->definition, &value, &called, &err));
	ASSERT_OK(pg_quote_ident(p, e->schema, &schema, &err));
	ASSERT_OK(pg_quote_ident(p, e->tag, &name, &err));
	ASSERT_OK(pg_valuef(p, &is, &err, "SELECT last_value || ' ' || is_called FROM %s.%s",
			    schema, name));
	ASSERT_OK(
	    str_printf(&must_be, &err, "%lld %s", (long long)value, called ? "true" : "false"));
	assert_string_equal(is, must_be);
}

/* Everything in a dump of `dump_url` equals what a session of `ask_url` sees. */
static void compare(const char *dump_url, const char *ask_url, const char *db, size_t min_tables)
{
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = dump_of(dump_url, db);
	CLEANUP(pg_freep) struct pg *p = connect_to(ask_url, db);
	size_t count, tables = 0;
	struct rows_digest objects = {0}, dumped = {0};
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(e[i].desc, "TABLE DATA") == 0) {
			compare_table(p, &e[i]);
			tables++;
		} else if (strcmp(e[i].desc, "SEQUENCE SET") == 0) {
			compare_sequence(p, &e[i]);
		} else if (strcmp(e[i].desc, "BLOBS") == 0) {
			dumped.rows += e[i].data.rows;
			dumped.high +=
			    e[i].data.high + (dumped.low + e[i].data.low < dumped.low ? 1 : 0);
			dumped.low += e[i].data.low;
		}
	}
	assert_true(tables >= min_tables);
	ASSERT_OK(pg_large_objects_digest(p, &objects, &err));
	assert_int_equal(objects.rows, dumped.rows);
	assert_memory_equal(&objects, &dumped, sizeof objects);
}

static void pg_table_digest__odd_database__equals_the_dump(void **state)
{
	(void)state;
	compare(super_url, super_url, "odd", 20);
}

static void pg_table_digest__role_with_evil_defaults__equals_the_dump(void **state)
{
	(void)state;
	compare(evil_url, super_url, "odd", 20);
	compare(super_url, evil_url, "odd", 20);
}

static void pg_table_digest__database_in_latin1__equals_the_dump(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "latin");
	ASSERT_OK(pg_exec(
	    p,
	    "CREATE TABLE public.t (\"straße\" text); INSERT INTO public.t VALUES ('größe'), "
	    "(E'\\u00ff\\u00e9'), ('plain')",
	    DEADLINE_NEVER, &err));
	struct rows_digest is = {0}, must_be = {0};
	ASSERT_OK(pg_table_digest(p, "public", "t", "(\"straße\")", &is, &err));
	rows_digest_add(&must_be,
			"gr\xf6\xdf"
			"e",
			5);
	rows_digest_add(&must_be, "\xff\xe9", 2);
	rows_digest_add(&must_be, "plain", 5);
	assert_memory_equal(&is, &must_be, sizeof is);
	compare(super_url, super_url, "latin", 1);
}

static void pg_table_digest__configuration_of_an_extension__equals_the_dump(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	ASSERT_OK(pg_exec(p, "CREATE DATABASE config TEMPLATE template0", DEADLINE_NEVER, &err));
	CLEANUP(pg_freep) struct pg *config = connect_to(super_url, "config");
	/* As a script of hstore would have done it. */
	ASSERT_OK(pg_exec(config,
			  "CREATE EXTENSION hstore SCHEMA public;"
			  "CREATE TABLE public.kept (id int, \"is own\" bool, twice int GENERATED "
			  "ALWAYS AS (id * 2) STORED);"
			  "INSERT INTO public.kept VALUES (1, true), (2, false), (3, true);"
			  "CREATE TABLE public.whole (id int); INSERT INTO public.whole VALUES (7);"
			  "ALTER EXTENSION hstore ADD TABLE public.kept;"
			  "ALTER EXTENSION hstore ADD TABLE public.whole;"
			  "UPDATE pg_catalog.pg_extension SET extconfig = "
			  "ARRAY['public.whole'::regclass::oid, 'public.kept'::regclass::oid], "
			  "extcondition = ARRAY['', 'WHERE \"is own\"'] WHERE extname = 'hstore'",
			  DEADLINE_NEVER, &err));
	struct rows_digest d;
	ASSERT_OK(pg_table_digest(config, "public", "kept", "(id)", &d, &err));
	assert_int_equal(d.rows, 2);
	compare(super_url, super_url, "config", 2);
}

static void pg_table_digest__wrong_questions__errors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct rows_digest d = {.rows = 77};
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	assert_int_equal(pg_table_digest(p, "public", "gone", "", &d, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "table 'public.gone': relation \"public.gone\" does not exist "
				     "(42P01)");
	assert_int_equal(pg_table_digest(p, "public", "parent", "(nope)", &d, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "table 'public.parent': column \"nope\" of relation "
				     "\"parent\" does not exist (42703)");
	assert_int_equal(pg_table_digest(p, "public", "parent", "(id) TO PROGRAM 'true'", &d, &err),
			 -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "table 'public.parent': not a list of columns: '(id) TO "
				     "PROGRAM 'true''");
	assert_int_equal(d.rows, 77);
	/* The session goes on. */
	ASSERT_OK(pg_table_digest(p, "public", "one_null", "(t)", &d, &err));
	assert_int_equal(d.rows, 1);
}

static void pg_table_digest__row_security__refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct rows_digest d = {0};
	CLEANUP(pg_freep) struct pg *p = connect_to(plain_url, "odd");
	assert_int_equal(pg_table_digest(p, "public", "secured", "(owner)", &d, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg, "table 'public.secured': query would be affected by row-level "
				     "security policy for table \"secured\" (42501)");
	assert_int_equal(pg_table_digest(p, "public", "parent", "(id)", &d, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg,
			    "table 'public.parent': permission denied for table parent (42501)");
}

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
	assert_ptr_not_equal(pg_raw(p), NULL);
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

	unsigned port = live_free_port();
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
	snprintf(url, sizeof url, "postgresql://postgres:secret@127.0.0.1:%u,127.0.0.1:%u/postgres",
		 live_free_port(), server.port);
	ASSERT_OK(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, NULL, &p, &err));
	struct pg *none = NULL;
	snprintf(url, sizeof url, "host=127.0.0.1,127.0.0.1 port=%u user=u dbname=d",
		 live_free_port());
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

/* ---- descriptions ---- */

static const char *text_of(const json_t *j)
{
	static char *last;
	free(last);
	last = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
	return last;
}

static void pg_describe_server__superuser__everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	CLEANUP(json_freep) json_t *s = NULL;
	ASSERT_OK(pg_describe_server(p, &s, &err));
	assert_int_equal(json_u64_or(s, "server_version_num", 0), pg_server_version(p));
	assert_int_equal(json_u64_or(s, "major", 0), pg_server_major(p));
	assert_true(strlen(json_str_or(s, "system_identifier", "")) > 15);
	assert_string_equal(json_str_or(s, "bootstrap_role", ""), "postgres");
	assert_string_equal(json_str_or(s, "encoding", ""), "UTF8");
	assert_string_equal(json_str_or(s, "locale_provider", ""), "libc");
	assert_string_equal(json_str_or(s, "collate", ""), "C.UTF-8");
	assert_string_equal(json_str_or(s, "ctype", ""), "C.UTF-8");
	assert_true(json_is_null(json_object_get(s, "icu_locale")));
	assert_true(json_is_null(json_object_get(s, "icu_rules")));
	assert_true(json_is_boolean(json_object_get(s, "data_checksums")));
	assert_int_equal(json_u64_or(s, "wal_segment_bytes", 0), 16 << 20);
	assert_int_equal(json_u64_or(s, "block_bytes", 0), 8192);
	assert_true(json_is_false(json_object_get(s, "in_recovery")));
	assert_true(json_is_true(json_object_get(s, "is_superuser")));
	assert_int_equal(json_array_size(json_object_get(s, "missing")), 0);
	const char *settings = text_of(json_object_get(s, "settings"));
	assert_non_null(strstr(settings, "{\"name\":\"work_mem\",\"value\":\"5120\",\"source\":"
					 "\"command line\",\"file\":null}"));
	assert_non_null(strstr(settings, "\"name\":\"max_connections\",\"value\":\"20\""));
	/* In postgresql.conf, and hidden by our own session. */
	assert_non_null(strstr(settings, "\"name\":\"DateStyle\",\"value\":\"ISO, MDY\",\"source\":"
					 "\"configuration file\""));
	assert_non_null(strstr(settings, "\"name\":\"TimeZone\""));
	assert_null(strstr(settings, "\"name\":\"row_security\""));
}

static void pg_describe_server__evil_role__same_settings(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	CLEANUP(pg_freep) struct pg *e = connect_to(evil_url, NULL);
	CLEANUP(json_freep) json_t *by_super = NULL, *by_evil = NULL;
	ASSERT_OK(pg_describe_server(p, &by_super, &err));
	ASSERT_OK(pg_describe_server(e, &by_evil, &err));
	const json_t *a = json_object_get(by_super, "settings");
	const json_t *b = json_object_get(by_evil, "settings");
	assert_int_equal(json_array_size(a), json_array_size(b));
	/* The session is as it was. */
	CLEANUP(freep) char *path = NULL, *style = NULL;
	ASSERT_OK(pg_value(e, "SHOW search_path", &path, &err));
	ASSERT_OK(pg_value(e, "SHOW datestyle", &style, &err));
	assert_string_equal(path, "");
	assert_string_equal(style, "ISO, DMY");
}

static void pg_describe_server__plain_role__says_what_is_missing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(plain_url, NULL);
	CLEANUP(json_freep) json_t *s = NULL;
	ASSERT_OK(pg_describe_server(p, &s, &err));
	assert_true(json_is_null(json_object_get(s, "data_directory")));
	assert_true(json_is_false(json_object_get(s, "is_superuser")));
	const char *missing = text_of(json_object_get(s, "missing"));
	assert_string_equal(
	    missing, "[{\"what\":\"role passwords\",\"why\":\"this role can't read pg_authid; a "
		     "superuser can\"},{\"what\":\"configuration files\",\"why\":\"this role can't "
		     "read files through the server; a superuser can\"},{\"what\":\"server "
		     "settings\",\"why\":\"some are hidden from this role; a member of "
		     "pg_read_all_settings sees them\"}]");
}

static json_t *find_database(const json_t *all, const char *name)
{
	size_t i;
	json_t *db;
	json_array_foreach((json_t *)(uintptr_t)all, i, db)
	{
		if (strcmp(json_str_or(db, "name", ""), name) == 0)
			return db;
	}
	fail_msg("no database '%s'", name);
	return NULL;
}

static void pg_list_databases__all__with_their_properties(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	CLEANUP(json_freep) json_t *all = NULL;
	ASSERT_OK(pg_exec(p,
			  "CREATE DATABASE closed ALLOW_CONNECTIONS false CONNECTION LIMIT 7 "
			  "OWNER reader",
			  DEADLINE_NEVER, &err));
	ASSERT_OK(pg_list_databases(p, &all, &err));
	json_t *closed = find_database(all, "closed");
	assert_string_equal(json_str_or(closed, "owner", ""), "reader");
	assert_true(json_is_false(json_object_get(closed, "allow_connections")));
	assert_int_equal(json_u64_or(closed, "connection_limit", 0), 7);
	assert_string_equal(json_str_or(closed, "tablespace", ""), "pg_default");
	assert_true(json_u64_or(closed, "bytes", 0) > 1000000);
	json_t *latin = find_database(all, "latin");
	assert_string_equal(json_str_or(latin, "encoding", ""), "LATIN1");
	assert_string_equal(json_str_or(latin, "collate", ""), "C");
	assert_string_equal(json_str_or(latin, "locale_provider", ""), "libc");
	assert_true(json_is_true(json_object_get(find_database(all, "template1"), "is_template")));
	ASSERT_OK(pg_exec(p, "DROP DATABASE closed", DEADLINE_NEVER, &err));
}

static void pg_describe_database__odd_database__counted_and_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, "odd");
	CLEANUP(json_freep) json_t *db = json_object();
	ASSERT_OK(pg_describe_database(p, db, &err));
	assert_int_equal(json_u64_or(db, "large_objects", 0), 156);
	assert_int_equal(json_u64_or(db, "large_objects_unreadable", 9), 0);
	assert_int_equal(json_array_size(json_object_get(db, "row_security_tables")), 0);
	assert_int_equal(json_array_size(json_object_get(db, "unreadable_tables")), 0);
	assert_int_equal(json_array_size(json_object_get(db, "extensions")), 3);
	assert_string_equal(text_of(json_object_get(db, "counts")),
			    "{\"table\":21,\"index\":7,\"constraint\":6,\"trigger\":1,\"sequence\":"
			    "6,\"function\":13,\"view\":1,\"materialized_view\":1,\"type\":4,"
			    "\"policy\":1,\"rule\":1}");
	CLEANUP(json_freep) json_t *counts = NULL;
	ASSERT_OK(pg_count_objects(p, &counts, &err));
	assert_true(json_equal(json_object_get(counts, "counts"), json_object_get(db, "counts")));
}

static void pg_describe_database__roles_without_rights__named_tables(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *reader = connect_to(reader_url, "odd");
	CLEANUP(json_freep) json_t *db = json_object(), *other = json_object();
	ASSERT_OK(pg_describe_database(reader, db, &err));
	assert_string_equal(text_of(json_object_get(db, "row_security_tables")),
			    "[\"public.secured\"]");
	assert_int_equal(json_array_size(json_object_get(db, "unreadable_tables")), 0);
	assert_int_equal(json_u64_or(db, "large_objects_unreadable", 0), 156);
	CLEANUP(pg_freep) struct pg *plain = connect_to(plain_url, "odd");
	ASSERT_OK(pg_describe_database(plain, other, &err));
	const json_t *unreadable = json_object_get(other, "unreadable_tables");
	assert_int_equal(json_array_size(unreadable), 26);
	assert_non_null(strstr(text_of(unreadable), "\"public.parent\""));
	assert_null(strstr(text_of(unreadable), "\"public.secured\""));
}

static void pg_count_objects__restored_copy__same_counts(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	char dump[256], restore[256], file[256];
	snprintf(file, sizeof file, "%s/odd.dump", server.dir);
	ASSERT_OK(pg_tool_env(&(struct pg_opts){.url = evil_url}, &env, &err));
	const char *const *items = (const char *const *)env.items;
	ASSERT_OK(pg_exec(p, "CREATE DATABASE copy TEMPLATE template0", DEADLINE_NEVER, &err));
	const char *dump_argv[] = {live_postgres_tool(&server, "pg_dump", dump, sizeof dump),
				   "-Fc",
				   "-Z0",
				   "-d",
				   "odd",
				   "-f",
				   file,
				   NULL};
	const char *restore_argv[] = {
	    live_postgres_tool(&server, "pg_restore", restore, sizeof restore),
	    "--exit-on-error",
	    "-d",
	    "copy",
	    file,
	    NULL};
	ASSERT_OK(child_run(&(struct child_opts){.argv = dump_argv, .env = items}, NULL,
			    deadline_in(60000), &err));
	ASSERT_OK(child_run(&(struct child_opts){.argv = restore_argv, .env = items}, NULL,
			    deadline_in(60000), &err));
	CLEANUP(pg_freep) struct pg *odd = connect_to(super_url, "odd");
	CLEANUP(pg_freep) struct pg *copy = connect_to(super_url, "copy");
	CLEANUP(json_freep) json_t *a = NULL, *b = NULL;
	ASSERT_OK(pg_count_objects(odd, &a, &err));
	ASSERT_OK(pg_count_objects(copy, &b, &err));
	CLEANUP(freep) char *was = json_dumps(a, 0), *is = json_dumps(b, 0);
	assert_string_equal(was, is);
	/* And every row of it. */
	CLEANUP(pgdump_freep) struct pgdump *d = dump_of(super_url, "odd");
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(e[i].desc, "TABLE DATA") == 0)
			compare_table(copy, &e[i]);
}

/* ---- files ---- */

static void write_text(const char *name, const char *text)
{
	struct err err = ERR_INIT;
	char path[300];
	snprintf(path, sizeof path, "%s/data/%s", server.dir, name);
	ASSERT_OK(file_write_all(path, 0644, text, strlen(text), &err));
}

static void pg_list_config_files__includes__followed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	CLEANUP(json_freep) json_t *files = NULL;
	char path[300];
	struct buf text;
	buf_init(&text, 1 << 20);
	snprintf(path, sizeof path, "%s/data/postgresql.conf", server.dir);
	ASSERT_OK(file_read_all(path, &text, &err));
	CLEANUP(freep) char *whole = NULL;
	ASSERT_OK(str_printf(&whole, &err,
			     "%s\n# include 'no.conf'\nINCLUDE_DIR = 'conf.d'\ninclude_if_exists "
			     "'gone.conf'\ninclude '../outside.conf' # why not\n",
			     buf_text(&text)));
	snprintf(path, sizeof path, "%s/data/conf.d", server.dir);
	ASSERT_OK(dir_make(path, 0755, &err));
	write_text("conf.d/10.conf", "include 'it''s more'\n");
	write_text("conf.d/it's more", "include 'it''s more'\n");
	write_text("conf.d/20.conf", "");
	write_text("conf.d/.hidden.conf", "");
	write_text("conf.d/readme.txt", "");
	write_text("../outside.conf", "# nothing\n");
	write_text("admins", "postgres\n");
	write_text("postgresql.conf", whole);
	write_text("server.crt", "certificate");
	write_text("pg_hba.conf", "local all all trust\nhost \"all\" @admins,@admins 127.0.0.1/32 "
				  "trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
	buf_done(&text);
	ASSERT_OK(pg_list_config_files(p, &files, &err));
	static const char *const names[][2] = {
	    {"postgresql.conf", "config"},
	    {"conf.d/10.conf", "include"},
	    {"conf.d/it's more", "include"},
	    {"conf.d/20.conf", "include"},
	    {NULL, "include"},
	    {"postgresql.auto.conf", "auto"},
	    {"pg_hba.conf", "hba"},
	    {"admins", "include"},
	    {"pg_ident.conf", "ident"},
	    {"server.crt", "tls"},
	};
	if (json_array_size(files) != 10)
		fail_msg("%s", text_of(files));
	for (size_t i = 0; i < 10; i++) {
		const json_t *f = json_array_get(files, i);
		assert_string_equal(json_str_or(f, "role", ""), names[i][1]);
		if (names[i][0] != NULL)
			assert_string_equal(json_str_or(f, "inside", "?"), names[i][0]);
		else
			assert_true(json_is_null(json_object_get(f, "inside")));
	}
	struct buf out;
	buf_init(&out, 1 << 20);
	ASSERT_OK(pg_read_file(p, json_str_or(json_array_get(files, 9), "path", ""), &out, &err));
	assert_string_equal(buf_text(&out), "certificate");
	buf_done(&out);
}

static void pg_read_file__absent_denied_too_large__three_answers(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 1 << 20);
	CLEANUP(pg_freep) struct pg *p = connect_to(super_url, NULL);
	CLEANUP(pg_freep) struct pg *reader = connect_to(reader_url, NULL);
	assert_int_equal(pg_read_file(p, "/nowhere/x", &out, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "file '/nowhere/x' of the server does not exist");
	assert_int_equal(pg_read_file(reader, "/etc/passwd", &out, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg, "file '/etc/passwd' of the server: permission denied for "
				     "function pg_read_binary_file (42501)");
	CLEANUP(freep) char *zeros = calloc(1, (16 << 20) + 1);
	char path[300];
	snprintf(path, sizeof path, "%s/large", server.dir);
	ASSERT_OK(file_write_all(path, 0644, zeros, (16 << 20) + 1, &err));
	assert_int_equal(pg_read_file(p, path, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(pg_list_config_files(reader, &(json_t *){NULL}, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	buf_done(&out);
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
	unsigned port = live_free_port();
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
	    cmocka_unit_test(pg_table_digest__odd_database__equals_the_dump),
	    cmocka_unit_test(pg_table_digest__role_with_evil_defaults__equals_the_dump),
	    cmocka_unit_test(pg_table_digest__database_in_latin1__equals_the_dump),
	    cmocka_unit_test(pg_table_digest__configuration_of_an_extension__equals_the_dump),
	    cmocka_unit_test(pg_table_digest__wrong_questions__errors),
	    cmocka_unit_test(pg_table_digest__row_security__refused),
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
	    cmocka_unit_test(pg_describe_server__superuser__everything),
	    cmocka_unit_test(pg_describe_server__evil_role__same_settings),
	    cmocka_unit_test(pg_describe_server__plain_role__says_what_is_missing),
	    cmocka_unit_test(pg_list_databases__all__with_their_properties),
	    cmocka_unit_test(pg_describe_database__odd_database__counted_and_named),
	    cmocka_unit_test(pg_describe_database__roles_without_rights__named_tables),
	    cmocka_unit_test(pg_count_objects__restored_copy__same_counts),
	    cmocka_unit_test(pg_list_config_files__includes__followed),
	    cmocka_unit_test(pg_read_file__absent_denied_too_large__three_answers),
	    cmocka_unit_test(pg_wait_ready__never_ready__says_why),
	    cmocka_unit_test(pg_wait_ready__by_the_socket__ready),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

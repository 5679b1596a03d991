/* What a dump holds and what the server says: the same, for a database of odd things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/flow/sink.h"
#include "base/flow/source.h"
#include "tests/support/odd_server.h"

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
			rows_digest_merge(&dumped, &e[i].data);
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

	/* What is taken away is one of those that count. */
	bool removed;
	for (int left = 1; left >= 0; left--) {
		ASSERT_OK(pg_table_remove_row(config, "public", "kept", &removed, &err));
		assert_true(removed);
		ASSERT_OK(pg_table_digest(config, "public", "kept", "(id)", &d, &err));
		assert_int_equal(d.rows, left);
	}
	ASSERT_OK(pg_table_remove_row(config, "public", "kept", &removed, &err));
	assert_false(removed);
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
	struct rows_digest before = {0}, after = {0};
	for (size_t i = 0; i < count; i++) {
		if (strcmp(e[i].desc, "TABLE DATA") != 0)
			continue;
		if (!pgdump_loads_elsewhere(&e[i])) {
			compare_table(copy, &e[i]);
			continue;
		}
		/* Partitions by the hash of an enum: rows move among them, the sum stays. */
		struct rows_digest one = {0};
		assert_memory_equal(e[i].tag, "hashed_", 7);
		ASSERT_OK(pg_table_digest(copy, e[i].schema, e[i].tag, "(e, n)", &one, &err));
		rows_digest_merge(&before, &e[i].data);
		rows_digest_merge(&after, &one);
	}
	assert_int_equal(before.rows, 27);
	assert_memory_equal(&before, &after, sizeof before);
}

/* ---- a part of a dump ---- */

/* What a program prints. */
static void read_output(const char *const *argv, const char *const *env, struct buf *out)
{
	struct err err = ERR_INIT;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct child *child;
	ASSERT_OK(child_start(&(struct child_opts){.argv = argv, .env = env, .pipe_stdout = true},
			      &child, &err));
	ASSERT_OK(source_child(child, 60000, &from, &err));
	ASSERT_OK(sink_buf(out, &to, &err));
	ASSERT_OK(flow_copy(from, to, NULL, &err));
}

/* The rows of the one COPY in what pg_restore prints. */
static void digest_of_sql(const char *sql, const char *copy, struct rows_digest *ret)
{
	const char *at = strstr(sql, copy);
	assert_non_null(at);
	assert_null(strstr(at + 1, "\nCOPY "));
	for (at += strlen(copy); strncmp(at, "\\.\n", 3) != 0; at = strchr(at, '\n') + 1)
		rows_digest_add(ret, at, (size_t)(strchr(at, '\n') - at));
}

/* Each table of a real dump, cut out of it, is all that the real pg_restore finds in its part. */
static void pgdump_part__of_each_table__is_what_pg_restore_finds(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct buf whole;
	char dump[256], restore[256], file[256];
	size_t count, tables = 0;
	snprintf(file, sizeof file, "%s/part.dump", server.dir);
	buf_init(&whole, 64 << 20);
	ASSERT_OK(pg_tool_env(&(struct pg_opts){.url = super_url}, &env, &err));
	const char *dump_argv[] = {live_postgres_tool(&server, "pg_dump", dump, sizeof dump),
				   "-Fc",
				   "-Z0",
				   "-d",
				   "odd",
				   NULL};
	live_postgres_tool(&server, "pg_restore", restore, sizeof restore);
	/* By a pipe, as a restore does it: there is no seeking in that. */
	const char *restore_argv[] = {
	    "/bin/sh", "-c", "cat \"$1\" | \"$2\" --data-only -f -", "sh", file, restore, NULL};
	read_output(dump_argv, (const char *const *)env.items, &whole);
	ASSERT_OK(pgdump_new(&d, &err));
	ASSERT_OK(pgdump_sink(d, &to, &err));
	ASSERT_OK(sink_write(to, whole.data, whole.len, &err));
	ASSERT_OK(sink_close(to, &err));
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(e[i].desc, "TABLE DATA") != 0)
			continue;
		CLEANUP(buf_done) struct buf part, sql;
		struct rows_digest found = {0};
		buf_init(&part, 64 << 20);
		buf_init(&sql, 64 << 20);
		ASSERT_OK(pgdump_part(d, whole.data, &e[i].id, 1, &part, &err));
		ASSERT_OK(
		    buf_append(&part, whole.data + e[i].block_at, (size_t)e[i].block_bytes, &err));
		FILE *out = fopen(file, "wb");
		assert_int_equal(fwrite(part.data, 1, part.len, out), part.len);
		assert_int_equal(fclose(out), 0);
		read_output(restore_argv, (const char *const *)env.items, &sql);
		digest_of_sql(buf_text(&sql), e[i].copy, &found);
		assert_memory_equal(&found, &e[i].data, sizeof found);
		tables++;
	}
	assert_true(tables > 10);
	buf_done(&whole);
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
	    cmocka_unit_test(pg_count_objects__restored_copy__same_counts),
	    cmocka_unit_test(pgdump_part__of_each_table__is_what_pg_restore_finds),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* What a server says of itself, its databases and its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "tests/support/odd_server.h"

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
			    "{\"table\":24,\"index\":7,\"constraint\":6,\"trigger\":1,\"sequence\":"
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
	assert_int_equal(json_array_size(unreadable), 29);
	assert_non_null(strstr(text_of(unreadable), "\"public.parent\""));
	assert_null(strstr(text_of(unreadable), "\"public.secured\""));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg_describe_server__superuser__everything),
	    cmocka_unit_test(pg_describe_server__evil_role__same_settings),
	    cmocka_unit_test(pg_describe_server__plain_role__says_what_is_missing),
	    cmocka_unit_test(pg_list_databases__all__with_their_properties),
	    cmocka_unit_test(pg_describe_database__odd_database__counted_and_named),
	    cmocka_unit_test(pg_describe_database__roles_without_rights__named_tables),
	    cmocka_unit_test(pg_list_config_files__includes__followed),
	    cmocka_unit_test(pg_read_file__absent_denied_too_large__three_answers),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

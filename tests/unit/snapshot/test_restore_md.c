#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "snapshot/snapshot.h"

/* The text for a manifest that is written here with ' for ". */
static char *text_of(const char *components, const char *archive)
{
	struct err err = ERR_INIT;
	json_error_t why;
	char *json = NULL, *text = NULL;
	if (str_printf(&json, &err,
		       "{\"id\":\"20260102T030405Z-0a1b\",\"stack\":\"hdms\","
		       "\"started\":\"2026-01-02T03:04:05Z\",\"components\":{%s}}",
		       components) < 0)
		fail_msg("%s", err.msg);
	json_t *manifest = json_loads(json, 0, &why);
	if (manifest == NULL)
		fail_msg("%s: %s", why.text, json);
	if (restore_md_text(manifest, archive, &text, &err) < 0)
		fail_msg("%s", err.msg);
	json_decref(manifest);
	free(json);
	return text;
}

static void has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void has_not(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" is in:\n%s", part, text);
}

/* Each part, one after the other. */
static void in_order(const char *text, const char *const *parts)
{
	const char *at = text;
	for (size_t i = 0; parts[i] != NULL; i++) {
		const char *next = strstr(at, parts[i]);
		if (next == NULL)
			fail_msg("no \"%s\" where it belongs in:\n%s", parts[i], text);
		at = next + strlen(parts[i]);
	}
}

/* ---- the beginning ---- */

static void restore_md__nothing_taken__is_the_introduction_alone(void **state)
{
	(void)state;
	char *text = text_of("", "hdms.tar.zst");
	has(text, "backup `20260102T030405Z-0a1b` of the stack `hdms`, begun at "
		  "2026-01-02T03:04:05Z.");
	has(text, "set -eu\nARCHIVE=${ARCHIVE:-'hdms.tar.zst'}\n");
	has(text, "\nmember() { zstd -dcq \"$ARCHIVE\" | tar -xOf - --wildcards \"$1\"; }\n");
	has_not(text, "\n## ");
	free(text);
}

static void restore_md__encrypted__begins_with_age(void **state)
{
	(void)state;
	char *text = text_of("", "hdms.tar.zst.age");
	static const char *const parts[] = {
	    "zstd frames, encrypted by `age`: `age`, an identity that opens it, `zstd`, `tar` and",
	    "ARCHIVE=${ARCHIVE:-'hdms.tar.zst.age'}\n",
	    "mkdir -m 700 \"$RESTORED\"\n",
	    "  age -d -i \"${IDENTITY:-identity.txt}\" -o \"$RESTORED/archive.tar.zst\" "
	    "\"$ARCHIVE\"\n",
	    "zstd -tq \"$ARCHIVE\"",
	    "remove it in the end",
	    NULL};
	in_order(text, parts);
	free(text);
	text = text_of("", "hdms.tar.zst");
	has_not(text, "age -d");
	has(text, "It is a tar file in zstd frames: `zstd`, `tar` and");
	free(text);
}

static void restore_md__archive_name_with_a_quote__is_quoted_for_the_shell(void **state)
{
	(void)state;
	char *text = text_of("", "it's.tar.zst");
	has(text, "ARCHIVE=${ARCHIVE:-'it'\\''s.tar.zst'}\n");
	free(text);
}

static void restore_md__manifest_without_anything__has_question_marks(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *manifest = json_object();
	char *text = NULL;
	assert_int_equal(restore_md_text(manifest, "a", &text, &err), 0);
	has(text, "backup `?` of the stack `?`, begun at ?.");
	free(text);
	json_decref(manifest);
}

/* ---- PostgreSQL ---- */

#define SERVER_15                                                                                  \
	"\"server_version\":\"15.9\",\"major\":15,\"bootstrap_role\":\"hdms\","                    \
	"\"encoding\":\"UTF8\",\"collate\":\"C.UTF-8\",\"ctype\":\"de_DE.UTF-8\""

static void restore_md__libc_with_checksums__initdb_line_is_whole(void **state)
{
	(void)state;
	char *text = text_of("\"postgres\":{\"server\":{" SERVER_15
			     ",\"locale_provider\":\"libc\",\"data_checksums\":true},"
			     "\"databases\":[{\"name\":\"postgres\"},{\"name\":\"hdms_db\"}]}",
			     "a");
	has(text, "## PostgreSQL 15.9\n");
	has(text, "PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}\n");
	has(text, "\"$PGBIN/initdb\" -D \"$PGDATA\" --username='hdms' --encoding='UTF8' "
		  "--lc-collate='C.UTF-8' --lc-ctype='de_DE.UTF-8' --data-checksums "
		  ">\"$RESTORED/initdb.log\"\n");
	has(text, "export PGHOST=$SOCKET PGPORT=5432 PGUSER='hdms'\n");
	has(text, "member postgres/globals.sql | grep -vxF -e 'CREATE ROLE hdms;' -e 'CREATE ROLE "
		  "\"hdms\";' |\n");
	has(text, "member 'postgres/databases/hdms_db/dump/*' |\n"
		  "  \"$PGBIN/pg_restore\" --create --clean --if-exists --exit-on-error "
		  "--dbname='template1'\n");
	has_not(text, "locale-provider");
	has_not(text, "dropdb");
	free(text);
}

static void restore_md__icu__initdb_is_told_the_provider_and_the_locale(void **state)
{
	(void)state;
	char *text = text_of("\"postgres\":{\"server\":{" SERVER_15 ",\"locale_provider\":\"icu\","
			     "\"icu_locale\":\"de-u-co-phonebk\",\"data_checksums\":false}}",
			     "a");
	has(text, " --locale-provider='icu' --icu-locale='de-u-co-phonebk' >");
	has_not(text, "checksums");
	has_not(text, "dropdb");
	free(text);
}

static void restore_md__builtin_of_18_without_checksums__initdb_is_told_both(void **state)
{
	(void)state;
	char *text = text_of("\"postgres\":{\"server\":{\"server_version\":\"18.1\",\"major\":18,"
			     "\"locale_provider\":\"builtin\",\"icu_locale\":\"C.UTF-8\","
			     "\"data_checksums\":false}}",
			     "a");
	has(text, "/usr/lib/postgresql/18/bin");
	has(text, " --username='postgres' --encoding='UTF8' --lc-collate='C' --lc-ctype='C'"
		  " --locale-provider='builtin' --builtin-locale='C.UTF-8' --no-data-checksums >");
	has_not(text, "icu-locale");
	free(text);
}

static void restore_md__no_database_postgres__the_fresh_one_is_dropped(void **state)
{
	(void)state;
	char *text = text_of("\"postgres\":{\"server\":{" SERVER_15 "},"
			     "\"databases\":[{\"name\":\"hdms_db\"}]}",
			     "a");
	in_order(text, (const char *const[]){
			   "member 'postgres/databases/hdms_db/dump/*' |\n",
			   "\"$PGBIN/dropdb\" --maintenance-db=template1 postgres\n",
			   "\"$PGBIN/vacuumdb\" --all --analyze-only", "-w -m fast stop\n",
			   "--wildcards 'postgres/config/*' || true\n```\n", NULL});
	free(text);
}

static void restore_md__template1__comes_last_and_through_postgres(void **state)
{
	(void)state;
	char *text = text_of("\"postgres\":{\"server\":{" SERVER_15 "},\"databases\":["
			     "{\"name\":\"template1\"},{\"name\":\"a\"},{\"name\":\"postgres\"}]}",
			     "a");
	in_order(text,
		 (const char *const[]){"databases/a/dump/*' |\n", "--dbname='template1'\n",
				       "databases/postgres/dump/*' |\n", "--dbname='template1'\n",
				       "databases/template1/dump/*' |\n", "--dbname='postgres'\n",
				       "vacuumdb", NULL});
	free(text);
}

static void restore_md__odd_names__are_members_names_and_quoted(void **state)
{
	(void)state;
	char *text =
	    text_of("\"postgres\":{\"server\":{\"bootstrap_role\":\"o'neil\"},\"databases\":["
		    "{\"name\":\"it's\"},{\"name\":\".hid den\"},{\"name\":\"a/b%\\\"q\\\"\"},"
		    "{\"name\":\"b\u00fccher\"}]}",
		    "a");
	has(text, "--username='o'\\''neil' ");
	has(text, "member 'postgres/databases/it%27s/dump/*' |\n");
	has(text, "member 'postgres/databases/%2Ehid%20den/dump/*' |\n");
	has(text, "member 'postgres/databases/a%2Fb%25%22q%22/dump/*' |\n");
	has(text, "member 'postgres/databases/b%C3%BCcher/dump/*' |\n");
	free(text);
}

/* ---- Redis ---- */

static void restore_md__redis_without_aof__is_the_dump_alone(void **state)
{
	(void)state;
	char *text = text_of("\"redis\":{\"server\":{\"version\":\"7.0.15\",\"major\":7,\"config\":"
			     "{\"appendonly\":\"no\",\"dbfilename\":\"da'ta.rdb\"}}}",
			     "a");
	has(text, "## Redis 7.0.15\n\n```sh\nmkdir \"$RESTORED/redis\"\n"
		  "member 'redis/dump.rdb/*' >\"$RESTORED/redis/\"'da'\\''ta.rdb'\n```\n\n"
		  "Start `redis-server --dir \"$RESTORED/redis\"`.\n");
	has_not(text, "AOF");
	has_not(text, "appendonly");
	free(text);
}

static void restore_md__redis_6_with_aof__the_dump_is_the_append_only_file(void **state)
{
	(void)state;
	char *text = text_of("\"redis\":{\"server\":{\"version\":\"6.2.7\",\"major\":6,\"config\":"
			     "{\"appendonly\":\"yes\",\"appendfilename\":\"my.aof\"}}}",
			     "a");
	has(text, "cp \"$RESTORED/redis/\"'dump.rdb' \"$RESTORED/redis/\"'my.aof'\n```\n");
	has(text, "Start `redis-server --dir \"$RESTORED/redis\" --appendonly yes`.\n");
	has_not(text, "AOFDIR");
	free(text);
}

static void restore_md__redis_7_with_aof__a_base_and_its_manifest_are_made(void **state)
{
	(void)state;
	char *text = text_of("\"redis\":{\"server\":{\"version\":\"7.0.15\",\"major\":7,\"config\":"
			     "{\"appendonly\":\"yes\",\"appendfilename\":\"my.aof\","
			     "\"appenddirname\":\"logs\",\"dbfilename\":\"d.rdb\"}}}",
			     "a");
	in_order(text, (const char *const[]){
			   ">\"$RESTORED/redis/\"'d.rdb'\n", "AOF='my.aof'\n",
			   "AOFDIR=$RESTORED/redis/'logs'\nmkdir \"$AOFDIR\"\n",
			   "cp \"$RESTORED/redis/\"'d.rdb' \"$AOFDIR/$AOF.1.base.rdb\"\n",
			   "printf 'file %s.1.base.rdb seq 1 type b\\n' \"$AOF\" "
			   ">\"$AOFDIR/$AOF.manifest\"\n",
			   "*ignores* the dump file", "--appendonly yes`.\n", NULL});
	free(text);
}

static void restore_md__redis_with_aof_and_no_names__has_the_servers_defaults(void **state)
{
	(void)state;
	char *text = text_of("\"redis\":{\"server\":{\"config\":{\"appendonly\":\"yes\"}}}", "a");
	has(text, "## Redis ?\n");
	has(text, "AOF='appendonly.aof'\nAOFDIR=$RESTORED/redis/'appendonlydir'\n");
	free(text);
}

/* ---- the rest ---- */

static void restore_md__pgbouncer_and_volumes__have_their_own_folders(void **state)
{
	(void)state;
	char *text = text_of("\"pgbouncer\":{},\"volumes\":{\"media\":{\"volume\":\"m\"},"
			     "\"up_loads-2\":{}}",
			     "a");
	in_order(text, (const char *const[]){
			   "## PgBouncer\n\n```sh\nmkdir \"$RESTORED/pgbouncer\"\n",
			   "-C \"$RESTORED/pgbouncer\" --strip-components=2 --wildcards "
			   "'pgbouncer/config/*'\n```\n",
			   "## Volume `media`\n\n```sh\nmkdir \"$RESTORED/media\"\n",
			   "tar -xpf - -C \"$RESTORED/media\" --strip-components=2 --wildcards "
			   "'volumes/media/*'\n```\n",
			   "## Volume `up_loads-2`\n", "'volumes/up_loads-2/*'\n```\n", NULL});
	has_not(text, "## PostgreSQL");
	has_not(text, "## Redis");
	free(text);
}

/* ---- members' names ---- */

static void member_name__any_text__is_one_plain_component(void **state)
{
	(void)state;
	static const char *const cases[][2] = {{"plain_Name-1.2", "plain_Name-1.2"},
					       {"", ""},
					       {".", "%2E"},
					       {"..", "%2E."},
					       {"../x", "%2E.%2Fx"},
					       {"a.b", "a.b"},
					       {"%41", "%2541"},
					       {"a\nb", "a%0Ab"},
					       {"\xff", "%FF"},
					       {"a*?[", "a%2A%3F%5B"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		char *name = NULL;
		assert_int_equal(snapshot_member_name(cases[i][0], &name, &err), 0);
		assert_string_equal(name, cases[i][1]);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(restore_md__nothing_taken__is_the_introduction_alone),
	    cmocka_unit_test(restore_md__encrypted__begins_with_age),
	    cmocka_unit_test(restore_md__archive_name_with_a_quote__is_quoted_for_the_shell),
	    cmocka_unit_test(restore_md__manifest_without_anything__has_question_marks),
	    cmocka_unit_test(restore_md__libc_with_checksums__initdb_line_is_whole),
	    cmocka_unit_test(restore_md__icu__initdb_is_told_the_provider_and_the_locale),
	    cmocka_unit_test(restore_md__builtin_of_18_without_checksums__initdb_is_told_both),
	    cmocka_unit_test(restore_md__no_database_postgres__the_fresh_one_is_dropped),
	    cmocka_unit_test(restore_md__template1__comes_last_and_through_postgres),
	    cmocka_unit_test(restore_md__odd_names__are_members_names_and_quoted),
	    cmocka_unit_test(restore_md__redis_without_aof__is_the_dump_alone),
	    cmocka_unit_test(restore_md__redis_6_with_aof__the_dump_is_the_append_only_file),
	    cmocka_unit_test(restore_md__redis_7_with_aof__a_base_and_its_manifest_are_made),
	    cmocka_unit_test(restore_md__redis_with_aof_and_no_names__has_the_servers_defaults),
	    cmocka_unit_test(restore_md__pgbouncer_and_volumes__have_their_own_folders),
	    cmocka_unit_test(member_name__any_text__is_one_plain_component),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

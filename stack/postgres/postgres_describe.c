/*
 * What a server and its databases are, for the manifest and for making their like.
 *
 * Names in queries are bare: the session's search_path is empty, so they are pg_catalog's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* The locale of a row of pg_database, whose columns changed with 15, 16 and 17. */
static const char *locale_columns(const struct pg *p)
{
	int version = pg_server_version(p);
	if (version >= 170000)
		return "CASE datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' "
		       "ELSE 'libc' END AS locale_provider, datcollate::text AS \"collate\", "
		       "datctype::text AS ctype, datlocale AS icu_locale, "
		       "daticurules AS icu_rules, datcollversion AS collation_version";
	if (version >= 160000)
		return "CASE datlocprovider WHEN 'i' THEN 'icu' ELSE 'libc' END AS "
		       "locale_provider, datcollate::text AS \"collate\", datctype::text AS ctype, "
		       "daticulocale AS icu_locale, daticurules AS icu_rules, "
		       "datcollversion AS collation_version";
	if (version >= 150000)
		return "CASE datlocprovider WHEN 'i' THEN 'icu' ELSE 'libc' END AS "
		       "locale_provider, datcollate::text AS \"collate\", datctype::text AS ctype, "
		       "daticulocale AS icu_locale, NULL::text AS icu_rules, "
		       "datcollversion AS collation_version";
	return "'libc'::text AS locale_provider, datcollate::text AS \"collate\", "
	       "datctype::text AS ctype, NULL::text AS icu_locale, NULL::text AS icu_rules, "
	       "NULL::text AS collation_version";
}

/* ---- what this role can't take ---- */

static int add_missing(json_t *missing, const char *what, const char *why, struct err *err)
{
	return json_push(missing, json_pack("{s:s, s:s}", "what", what, "why", why), err);
}

static int list_missing(struct pg *p, json_t **ret, struct err *err)
{
	static const char sql[] =
	    "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT'), "
	    "  has_function_privilege("
	    "    'pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)', 'EXECUTE') "
	    "  AND pg_has_role('pg_read_all_settings', 'USAGE') "
	    "  AND (pg_has_role('pg_read_server_files', 'USAGE') OR starts_with("
	    "    (SELECT setting FROM pg_settings WHERE name = 'config_file'), "
	    "    (SELECT setting FROM pg_settings WHERE name = 'data_directory') || '/')), "
	    "  pg_has_role('pg_read_all_settings', 'USAGE'), "
	    "  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
	    "  OR NOT EXISTS (SELECT subname FROM pg_subscription)";
	CLEANUP(pg_clearp) PGresult *r = NULL;
	CLEANUP(json_freep) json_t *missing = json_array();
	if (missing == NULL)
		return err_nomem(err, "JSON");
	if (pg_query(p, sql, DEADLINE_NEVER, &r, err) < 0)
		return -1;
	if (!pg_field_is_true(r, 0, 0) &&
	    add_missing(missing, "role passwords",
			"this role can't read pg_authid; a superuser can", err) < 0)
		return -1;
	if (!pg_field_is_true(r, 0, 1) &&
	    add_missing(missing, "configuration files",
			"this role can't read files through the server; a superuser can", err) < 0)
		return -1;
	if (!pg_field_is_true(r, 0, 2) &&
	    add_missing(
		missing, "server settings",
		"some are hidden from this role; a member of pg_read_all_settings sees them",
		err) < 0)
		return -1;
	if (!pg_field_is_true(r, 0, 3) &&
	    add_missing(missing, "subscriptions", "pg_dump dumps them for a superuser only", err) <
		0)
		return -1;
	*ret = missing;
	missing = NULL;
	return 0;
}

/* ---- settings ---- */

/* Our session hides what postgresql.conf says of the settings that it sets itself: they are reset
 * inside of a transaction that is rolled back. What a role's own settings or the start packet still
 * hide is read from the files, which only superusers may, by default. */
static int read_settings(struct pg *p, json_t **ret, struct err *err)
{
	static const char visible[] =
	    "SELECT name, setting AS value, source, sourcefile AS file FROM pg_settings "
	    "WHERE source IN ('configuration file', 'command line', 'environment variable') "
	    "ORDER BY name COLLATE \"C\"";
	static const char hidden[] =
	    "SELECT DISTINCT ON (s.name) s.name, f.setting AS value, "
	    "'configuration file'::text AS source, f.sourcefile AS file "
	    /* A file may spell the name in any case. */
	    "FROM pg_file_settings f JOIN pg_settings s ON lower(s.name) = lower(f.name) "
	    "WHERE f.applied AND s.source NOT IN "
	    "('configuration file', 'command line', 'environment variable') "
	    "ORDER BY s.name, f.seqno DESC";
	static const char may_read_files[] =
	    "SELECT has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') "
	    "AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')";
	CLEANUP(json_freep) json_t *settings = NULL, *more = NULL;
	CLEANUP(freep) char *may = NULL;
	if (pg_json_all(p, visible, false, &settings, err) < 0 ||
	    pg_value(p, may_read_files, &may, err) < 0)
		return -1;
	if (may[0] == 't' && (pg_json_all(p, hidden, false, &more, err) < 0 ||
			      json_array_extend(settings, more) < 0))
		return err->code != ERR_NONE ? -1 : err_nomem(err, "JSON");
	*ret = settings;
	settings = NULL;
	return 0;
}

static int list_settings(struct pg *p, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *begin = NULL;
	json_t *settings = NULL;
	if (str_printf(&begin, err,
		       "BEGIN; RESET ALL; SELECT pg_catalog.set_config('search_path', '', true)%s",
		       pg_server_version(p) >= 170000 ? "; SET LOCAL transaction_timeout = 0"
						      : "") < 0 ||
	    pg_exec(p, begin, DEADLINE_NEVER, err) < 0)
		return -1;
	struct err ignored = ERR_INIT;
	int rc = read_settings(p, &settings, err);
	if (pg_exec(p, "ROLLBACK", DEADLINE_NEVER, rc == 0 ? err : &ignored) < 0 || rc < 0) {
		json_decref(settings);
		return -1;
	}
	*ret = settings;
	return 0;
}

/* ---- server ---- */

int pg_describe_server(struct pg *p, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *sql = NULL;
	CLEANUP(json_freep) json_t *server = NULL;
	json_t *settings = NULL, *missing = NULL;
	if (pg_server_major(p) < PG_OLDEST_MAJOR)
		return err_set(err, ERR_FAILED, "PostgreSQL %u is too old: %d to 18 are supported",
			       pg_server_major(p), PG_OLDEST_MAJOR);
	if (str_printf(&sql, err,
		       "SELECT current_setting('server_version') AS server_version, "
		       "current_setting('server_version_num')::int AS server_version_num, "
		       "current_setting('server_version_num')::int / 10000 AS major, "
		       "(SELECT system_identifier::text FROM pg_control_system()) "
		       "  AS system_identifier, "
		       "(SELECT setting FROM pg_settings WHERE name = 'data_directory') "
		       "  AS data_directory, "
		       "(SELECT rolname::text FROM pg_roles WHERE oid = 10) AS bootstrap_role, "
		       "t.*, current_setting('data_checksums') = 'on' AS data_checksums, "
		       "(SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') "
		       "  AS wal_segment_bytes, "
		       "current_setting('block_size')::int AS block_bytes, "
		       "pg_is_in_recovery() AS in_recovery, "
		       "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
		       "  AS is_superuser "
		       /* template0 is as initdb made it; it may have been dropped. */
		       "FROM (SELECT pg_encoding_to_char(encoding)::text AS encoding, %s "
		       "FROM pg_database ORDER BY datname = 'template0' DESC, "
		       "datname = 'template1' DESC, oid LIMIT 1) t",
		       locale_columns(p)) < 0 ||
	    pg_json_one(p, sql, &server, err) < 0 || list_settings(p, &settings, err) < 0 ||
	    json_put(server, "settings", settings, err) < 0 || list_missing(p, &missing, err) < 0 ||
	    json_put(server, "missing", missing, err) < 0)
		return err_wrap(err, "description of the server");
	*ret = server;
	server = NULL;
	return 0;
}

/* ---- databases ---- */

int pg_list_databases(struct pg *p, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *sql = NULL;
	CLEANUP(json_freep) json_t *databases = NULL;
	if (str_printf(&sql, err,
		       "SELECT datname::text AS name, pg_get_userbyid(datdba)::text AS owner, "
		       "pg_encoding_to_char(encoding)::text AS encoding, %s, "
		       "datistemplate AS is_template, "
		       /* -2: its DROP DATABASE was interrupted, nobody can connect. */
		       "datallowconn AND datconnlimit <> -2 AS allow_connections, "
		       "datconnlimit AS connection_limit, datconnlimit = -2 AS invalid, "
		       "(SELECT spcname::text FROM pg_tablespace WHERE oid = dattablespace) "
		       "  AS tablespace, "
		       "CASE WHEN has_database_privilege(oid, 'CONNECT') "
		       "  OR pg_has_role('pg_read_all_stats', 'USAGE') "
		       "THEN pg_database_size(oid) END AS bytes "
		       "FROM pg_database ORDER BY datname COLLATE \"C\"",
		       locale_columns(p)) < 0 ||
	    pg_json_all(p, sql, false, &databases, err) < 0)
		return err_wrap(err, "list of databases");
	*ret = databases;
	databases = NULL;
	return 0;
}

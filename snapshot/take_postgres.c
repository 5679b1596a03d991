/*
 * PostgreSQL: every database by pg_dump, globals by pg_dumpall, configuration files by the server.
 *
 * What the manifest says of tables, sequences and large objects is read out of the dump as it
 * streams past, so it is true of the very snapshot that the dump holds.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "snapshot/snapshot.h"

static bool is_part(const struct backup_job *job)
{
	return job->postgres != NULL;
}

/* pg_dump through a pooler in transaction mode returns 0 and breaks the application behind it. */
static int refuse_pooler(struct pg *pg, struct err *err)
{
	bool pooled;
	if (pg_is_pooled(pg, &pooled, err) < 0)
		return -1;
	if (!pooled)
		return 0;
	err_set(err, ERR_CONFIG, "the url leads to a connection pooler, not to PostgreSQL itself");
	return err_hint(err,
			"Point [postgres] url at the server (usually port 5432): a dump through a "
			"pooler is not one snapshot and disturbs its clients.");
}

/* Names what this role can't read, so that a gap is an error and not a smaller backup. */
static int refuse_gaps(const json_t *db, struct err *err)
{
	const char *name = json_str_or(db, "name", "?");
	const json_t *rls = json_object_get(db, "row_security_tables");
	const json_t *denied = json_object_get(db, "unreadable_tables");
	if (json_array_size(rls) > 0) {
		err_set(err, ERR_DENIED,
			"table '%s' of database '%s' is under row-level security, which hides rows "
			"from this role (%zu such tables)",
			json_string_value(json_array_get(rls, 0)), name, json_array_size(rls));
		return err_hint(err, "Back up as a superuser, or ALTER ROLE … BYPASSRLS.");
	}
	if (json_array_size(denied) > 0) {
		err_set(err, ERR_DENIED,
			"no right to read table '%s' of database '%s' (%zu such tables)",
			json_string_value(json_array_get(denied, 0)), name,
			json_array_size(denied));
		return err_hint(err,
				"GRANT pg_read_all_data TO the role, or back up as a superuser.");
	}
	return 0;
}

static int plan_database(struct snapshot *s, json_t *db, json_t *taken, json_t *skipped,
			 struct err *err)
{
	const char *name;
	bool allows;
	if (json_get_str(db, "name", &name, err) < 0 ||
	    json_get_bool(db, "allow_connections", &allows, err) < 0)
		return -1;
	/* template0 is PostgreSQL's own and never changes: initdb makes it again. */
	if (!allows)
		return strcmp(name, "template0") == 0
			   ? 0
			   : json_push(skipped, json_text_value(name), err);
	CLEANUP(pg_freep) struct pg *pg = NULL;
	if (pg_connect(s->job->postgres, name, &pg, err) < 0 ||
	    pg_describe_database(pg, db, err) < 0 || refuse_gaps(db, err) < 0)
		return err_wrap(err, "database '%s'", name);
	uint64_t hidden = json_u64_or(db, "large_objects_unreadable", 0);
	if (hidden > 0 &&
	    snapshot_warn(
		s, err,
		"database '%s': %llu large objects can't be read by this role and are not "
		"in this backup",
		name, (unsigned long long)hidden) < 0)
		return -1;
	s->expected_bytes += json_u64_or(db, "bytes", 0);
	return json_push(taken, json_incref(db), err);
}

/* The tools must be there and of the right version before anything is written. */
static int plan_tools(struct snapshot *s, unsigned major, struct err *err)
{
	static const char *const names[] = {"pg_dump", "pg_dumpall"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct tool t = {.component = "postgres", .major = major, .name = names[i]};
		CLEANUP(freep) char *where = NULL;
		if (engine_tool_find(s->job->engine, &t, &where, err) < 0)
			return -1;
	}
	return 0;
}

static int plan(struct snapshot *s, json_t *section, struct err *err)
{
	CLEANUP(pg_freep) struct pg *pg = NULL;
	json_t *server = NULL, *missing;
	CLEANUP(json_freep) json_t *all = NULL;
	json_t *databases = json_array(), *skipped = json_array();
	if (json_put(section, "databases", databases, err) < 0 ||
	    json_put(section, "skipped_databases", skipped, err) < 0)
		return -1;
	if (pg_connect(s->job->postgres, NULL, &pg, err) < 0 || refuse_pooler(pg, err) < 0 ||
	    pg_describe_server(pg, &server, err) < 0 ||
	    json_put(section, "server", server, err) < 0)
		return -1;
	if (snapshot_runtime(s, section, "postgres", json_str_or(server, "data_directory", NULL),
			     s->job->postgres_volume, err) < 0 ||
	    plan_tools(s, pg_server_major(pg), err) < 0 || pg_list_databases(pg, &all, err) < 0)
		return -1;
	size_t i;
	json_t *item;
	json_array_foreach(all, i, item)
	{
		if (plan_database(s, item, databases, skipped, err) < 0)
			return -1;
	}
	json_array_foreach(skipped, i, item)
	{
		if (snapshot_warn(s, err,
				  "database '%s' allows no connections and is not in this backup",
				  json_string_value(item)) < 0)
			return -1;
	}
	missing = json_object_get(server, "missing");
	json_array_foreach(missing, i, item)
	{
		if (snapshot_warn(s, err, "not taken: %s: %s", json_str_or(item, "what", "?"),
				  json_str_or(item, "why", "?")) < 0)
			return -1;
	}
	return 0;
}

/* ---- taking ---- */

static bool lacks(const json_t *server, const char *what)
{
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(server, "missing"), i, item)
	{
		if (strcmp(json_str_or(item, "what", ""), what) == 0)
			return true;
	}
	return false;
}

/* The port that the server itself listens on, whatever leads to it from here. */
static unsigned port_of(const json_t *server)
{
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(server, "settings"), i, item)
	{
		if (strcmp(json_str_or(item, "name", ""), "port") == 0)
			return (unsigned)strtoul(json_str_or(item, "value", ""), NULL, 10);
	}
	return 5432;
}

/* Of the database that pg_dumpall asks: else a default of the role's would decide. */
static const char *globals_encoding(const json_t *section)
{
	static const char *const asked[] = {"postgres", "template1"};
	const json_t *databases = json_object_get(section, "databases");
	size_t i;
	json_t *db;
	for (size_t k = 0; k < sizeof asked / sizeof *asked; k++)
		json_array_foreach(databases, i, db)
		{
			if (strcmp(json_str_or(db, "name", ""), asked[k]) == 0)
				return json_str_or(db, "encoding", "UTF8");
		}
	return "UTF8";
}

static int take_globals(struct snapshot *s, json_t *section, const char *const *env,
			struct err *err)
{
	const json_t *server = json_object_get(section, "server");
	bool passwords = !lacks(server, "role passwords");
	CLEANUP(freep) char *encoding = NULL;
	if (str_printf(&encoding, err, "--encoding=%s", globals_encoding(section)) < 0)
		return -1;
	const char *argv[] = {"--globals-only", encoding, "--no-password",
			      passwords ? NULL : "--no-role-passwords", NULL};
	struct tool t = {.component = "postgres",
			 .major = (unsigned)json_u64_or(server, "major", 0),
			 .name = "pg_dumpall",
			 .argv = argv,
			 .env = env,
			 .port = port_of(server),
			 .idle_ms = -1};
	struct buf sql;
	buf_init(&sql, (size_t)256 << 20);
	int rc = engine_tool_run(s->job->engine, &t, &sql, DEADLINE_NEVER, err);
	if (rc == 0)
		rc = snapshot_file(s, "postgres/globals.sql", buf_text(&sql), sql.len, err);
	/* It holds password hashes. */
	if (sql.data != NULL)
		explicit_bzero(sql.data, sql.len);
	buf_done(&sql);
	if (rc < 0)
		return err_wrap(err, "globals");
	return json_put(
	    section, "globals",
	    json_pack("{s:s, s:b}", "member", "postgres/globals.sql", "passwords", passwords), err);
}

static int take_config_file(struct snapshot *s, struct pg *pg, json_t *file, struct err *err)
{
	const char *path;
	if (json_get_str(file, "path", &path, err) < 0)
		return -1;
	struct buf content;
	buf_init(&content, (size_t)16 << 20);
	CLEANUP(freep) char *member = NULL;
	const char *inside = json_str_or(file, "inside", NULL);
	int rc = pg_read_file(pg, path, &content, err);
	if (rc < 0 && (err->code == ERR_ABSENT || err->code == ERR_DENIED)) {
		/* Named in a setting and not there (or not ours to read): a gap that is said. */
		err_clear(err);
		rc = snapshot_warn(s, err, "configuration file '%s' can't be read", path);
	} else if (rc == 0) {
		rc = str_printf(&member, err,
				inside != NULL ? "postgres/config/%s" : "postgres/outside%s",
				inside != NULL ? inside : path);
		if (rc == 0)
			rc = snapshot_file(s, member, buf_text(&content), content.len, err);
		if (rc == 0)
			rc = json_put(file, "member", json_text_value(member), err);
	}
	buf_done(&content);
	return rc;
}

static int take_config(struct snapshot *s, json_t *section, struct pg *pg, struct err *err)
{
	if (lacks(json_object_get(section, "server"), "configuration files"))
		return json_put(section, "config_files", json_array(), err);
	json_t *files = NULL;
	if (pg_list_config_files(pg, &files, err) < 0 ||
	    json_put(section, "config_files", files, err) < 0)
		return -1;
	size_t i;
	json_t *file;
	json_array_foreach(files, i, file)
	{
		if (take_config_file(s, pg, file, err) < 0)
			return -1;
	}
	return 0;
}

/* One table of the dump, for the manifest. */
static json_t *table_json(const struct pgdump_entry *e, struct err *err)
{
	char digest[ROWS_DIGEST_BYTES];
	CLEANUP(freep) char *columns = NULL;
	if (e->copy == NULL || pgdump_copy_columns(e->copy, &columns, err) < 0)
		return NULL;
	rows_digest_hex(&e->data, digest);
	json_t *t = json_pack("{s:I, s:s, s:I, s:I, s:I}", "rows", (json_int_t)e->data.rows,
			      "digest", digest, "bytes", (json_int_t)e->data_bytes, "block_at",
			      (json_int_t)e->block_at, "block_bytes", (json_int_t)e->block_bytes);
	if (t == NULL || json_put(t, "schema", json_text_value(e->schema), err) < 0 ||
	    json_put(t, "name", json_text_value(e->tag), err) < 0 ||
	    json_put(t, "columns", json_text_value(columns), err) < 0) {
		json_decref(t);
		return NULL;
	}
	/* Its rows may end in another partition of the same root; the root's name is what stands
	 * between "COPY " and the columns. */
	if (pgdump_loads_elsewhere(e)) {
		CLEANUP(freep) char *root = NULL;
		const char *name = e->copy + strlen("COPY ");
		const char *list = strstr(name, columns);
		size_t len = list != NULL ? (size_t)(list - name) : strcspn(name, "\n");
		if (str_dupn(name, len, &root, err) < 0 ||
		    json_put(t, "loaded_through", json_text_value(root), err) < 0) {
			json_decref(t);
			return NULL;
		}
	}
	return t;
}

static json_t *sequence_json(const struct pgdump_entry *e, struct err *err)
{
	int64_t value;
	bool called;
	if (e->definition == NULL || pgdump_sequence_value(e->definition, &value, &called, err) < 0)
		return NULL;
	json_t *q = json_pack("{s:I, s:b}", "value", (json_int_t)value, "called", called);
	if (q == NULL || json_put(q, "schema", json_text_value(e->schema), err) < 0 ||
	    json_put(q, "name", json_text_value(e->tag), err) < 0) {
		json_decref(q);
		return NULL;
	}
	return q;
}

/* One more object of this kind in {"INDEX": 12, …}. */
static int count_object(json_t *objects, const char *desc, struct err *err)
{
	uint64_t n = json_u64_or(objects, desc, 0);
	return json_put(objects, desc, json_integer((json_int_t)n + 1), err);
}

/* What the dump held, as it was seen passing by. */
static int note_contents(struct snapshot *s, json_t *db, const struct pgdump *dump, struct err *err)
{
	json_t *tables = json_array(), *sequences = json_array(), *objects = json_object();
	if (json_put(db, "dump_head_bytes", json_integer((json_int_t)pgdump_head_bytes(dump)),
		     err) < 0 ||
	    json_put(db, "tables", tables, err) < 0 ||
	    json_put(db, "sequences", sequences, err) < 0 ||
	    json_put(db, "objects", objects, err) < 0)
		return -1;
	size_t count;
	const struct pgdump_entry *entries = pgdump_entries(dump, &count);
	struct rows_digest blobs = {0};
	for (size_t i = 0; i < count; i++) {
		const struct pgdump_entry *e = &entries[i];
		int rc = 0;
		if (strcmp(e->desc, "TABLE DATA") == 0) {
			rc = json_push(tables, table_json(e, err), err);
			s->tables++;
			s->rows += e->data.rows;
		} else if (strcmp(e->desc, "SEQUENCE SET") == 0) {
			rc = json_push(sequences, sequence_json(e, err), err);
		} else if (strcmp(e->desc, "BLOBS") == 0) {
			rows_digest_merge(&blobs, &e->data);
		}
		if (rc < 0 || count_object(objects, e->desc, err) < 0)
			return -1;
	}
	char digest[ROWS_DIGEST_BYTES];
	rows_digest_hex(&blobs, digest);
	s->large_objects += blobs.rows;
	s->databases++;
	return json_put(db, "large_objects",
			json_pack("{s:I, s:s}", "count", (json_int_t)blobs.rows, "digest", digest),
			err);
}

static int take_database(struct snapshot *s, json_t *section, json_t *db, const char *const *env,
			 struct err *err)
{
	CLEANUP(freep)
	char *conninfo = NULL, *encoded = NULL, *stream = NULL, *lock_wait = NULL, *encoding = NULL;
	CLEANUP(pgdump_freep) struct pgdump *dump = NULL;
	const json_t *server = json_object_get(section, "server");
	const char *name = json_str_or(db, "name", "");
	char now[CLOCK_TEXT_BYTES];
	if (pg_conninfo_dbname(name, &conninfo, err) < 0 ||
	    snapshot_member_name(name, &encoded, err) < 0 ||
	    str_printf(&stream, err, "postgres/databases/%s/dump", encoded) < 0 ||
	    str_printf(&lock_wait, err, "--lock-wait-timeout=%lld",
		       (long long)s->job->lock_wait_ms) < 0 ||
	    /* For the same reason. */
	    str_printf(&encoding, err, "--encoding=%s", json_str_or(db, "encoding", "UTF8")) < 0)
		return -1;
	bool no_blobs = json_u64_or(db, "large_objects_unreadable", 0) > 0;
	const char *argv[] = {"-Fc",    "-Z0",      "--no-password", lock_wait,
			      encoding, "--dbname", conninfo,        no_blobs ? "--no-blobs" : NULL,
			      NULL};
	struct tool t = {.component = "postgres",
			 .major = (unsigned)json_u64_or(server, "major", 0),
			 .name = "pg_dump",
			 .argv = argv,
			 .env = env,
			 .port = port_of(server),
			 .idle_ms = -1};
	struct source *from;
	struct sink *reader;
	uint64_t bytes;
	s->taking = name;
	if (json_put(db, "started", json_string(clock_rfc3339(clock_wall_ms(), now)), err) < 0 ||
	    fault_point("pg_dump", err) < 0 || pgdump_new(&dump, err) < 0 ||
	    pgdump_sink(dump, &reader, err) < 0)
		return -1;
	if (engine_tool_source(s->job->engine, &t, &from, err) < 0) {
		sink_free(reader);
		return -1;
	}
	if (snapshot_stream(s, stream, from, reader, &bytes, err) < 0)
		return -1;
	if (json_put(db, "dump", json_text_value(stream), err) < 0 ||
	    json_put(db, "dump_client", json_text_value(pgdump_info(dump)->client_version), err) <
		0 ||
	    json_put(db, "finished", json_string(clock_rfc3339(clock_wall_ms(), now)), err) < 0)
		return -1;
	return note_contents(s, db, dump, err);
}

static int take(struct snapshot *s, json_t *section, struct err *err)
{
	CLEANUP(pg_freep) struct pg *pg = NULL;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	if (pg_connect(s->job->postgres, NULL, &pg, err) < 0 ||
	    pg_tool_env(s->job->postgres, &env, err) < 0)
		return -1;
	const char *const *env_items = (const char *const *)env.items;
	if (take_globals(s, section, env_items, err) < 0 || take_config(s, section, pg, err) < 0)
		return -1;
	size_t i;
	json_t *db;
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		if (take_database(s, section, db, env_items, err) < 0)
			return err_wrap(err, "database '%s'", json_str_or(db, "name", "?"));
	}
	return 0;
}

const struct component take_postgres = {
    .name = "postgres", .is_part = is_part, .plan = plan, .take = take};

/*
 * The proof of PostgreSQL: every table's rows and digest, every sequence, the large objects and the
 * number of objects of each kind, against what the dump held. And the control: one row less, and
 * the same comparison must notice.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "restore/sandbox.h"

static int connect_to(struct sandbox *sb, const json_t *section, const char *dbname,
		      struct pg **ret, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	if (load_postgres_url(sb, section, &url, err) < 0)
		return -1;
	return pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, dbname, ret,
			  err);
}

/* What the manifest says of a table, checked once for all who use it. */
struct expected_table {
	const char *schema, *name, *columns, *root; /* root NULL: it is loaded by its own name */
	struct rows_digest data;
};

static int read_table(const json_t *table, struct expected_table *ret, struct err *err)
{
	struct expected_table t = {.root = json_str_or(table, "loaded_through", NULL)};
	const char *digest;
	if (json_get_str(table, "schema", &t.schema, err) < 0 ||
	    json_get_str(table, "name", &t.name, err) < 0 ||
	    json_get_str(table, "columns", &t.columns, err) < 0 ||
	    json_get_str(table, "digest", &digest, err) < 0 ||
	    json_get_u64(table, "rows", &t.data.rows, err) < 0)
		return -1;
	if (rows_digest_parse(digest, &t.data) < 0)
		return err_set(err, ERR_CORRUPT, "'%.40s' is not a digest of rows", digest);
	if (!pgdump_columns_are_valid(t.columns))
		return err_set(err, ERR_CORRUPT, "'%.80s' is not a list of columns", t.columns);
	*ret = t;
	return 0;
}

static int compare_rows(const char *where, const struct rows_digest *expected,
			const struct rows_digest *found, struct report *r, struct err *err)
{
	char a[ROWS_DIGEST_BYTES], b[ROWS_DIGEST_BYTES];
	rows_digest_hex(expected, a);
	rows_digest_hex(found, b);
	if (report_compare_u64(r, "postgres", where, "rows", expected->rows, found->rows, err) < 0)
		return -1;
	return report_compare(r, "postgres", where, "digest of rows", a, b, err);
}

/* Asks the sandbox for a table's rows. *ret_there false: it is missing, which is reported. */
static int ask_table(struct pg *pg, const char *where, const struct expected_table *t,
		     struct rows_digest *ret, bool *ret_there, struct report *r, struct err *err)
{
	*ret_there = pg_table_digest(pg, t->schema, t->name, t->columns, ret, err) == 0;
	if (*ret_there)
		return 0;
	if (err->code != ERR_ABSENT)
		return err_wrap(err, "%s", where);
	err_clear(err);
	return report_compare(r, "postgres", where, "table", "there", "missing", err);
}

static int prove_table(struct pg *pg, const char *where_db, const struct expected_table *t,
		       struct report *r, struct err *err)
{
	CLEANUP(freep) char *where = NULL;
	struct rows_digest found = {0};
	bool there;
	if (str_printf(&where, err, "%s, table '%s.%s'", where_db, t->schema, t->name) < 0 ||
	    ask_table(pg, where, t, &found, &there, r, err) < 0)
		return -1;
	return there ? compare_rows(where, &t->data, &found, r, err) : 0;
}

/* Partitions that are loaded through one root: rows may have moved between them, so only the sum
 * over all of them is what it was. */
static int prove_root(struct pg *pg, const char *where_db, const json_t *tables, const char *root,
		      struct report *r, struct err *err)
{
	CLEANUP(freep) char *where = NULL;
	struct rows_digest expected = {0}, found = {0};
	size_t i;
	json_t *item;
	if (str_printf(&where, err, "%s, partitions of %s", where_db, root) < 0)
		return -1;
	json_array_foreach(tables, i, item)
	{
		struct expected_table t;
		struct rows_digest part = {0};
		bool there;
		if (read_table(item, &t, err) < 0)
			return -1;
		if (t.root == NULL || strcmp(t.root, root) != 0)
			continue;
		if (ask_table(pg, where, &t, &part, &there, r, err) < 0)
			return -1;
		rows_digest_merge(&expected, &t.data);
		rows_digest_merge(&found, &part);
	}
	return compare_rows(where, &expected, &found, r, err);
}

/* Is item `index` the first of those that are loaded through this root? */
static bool is_first_of_root(const json_t *tables, size_t index, const char *root)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(json_str_or(json_array_get(tables, i), "loaded_through", ""), root) == 0)
			return false;
	return true;
}

static int prove_tables(struct sandbox *sb, struct pg *pg, const char *where_db,
			const json_t *tables, struct report *r, struct err *err)
{
	size_t i;
	json_t *item;
	json_array_foreach(tables, i, item)
	{
		struct expected_table t;
		if (read_table(item, &t, err) < 0)
			return err_wrap(err, "%s, manifest", where_db);
		if (!restore_wants_table(sb, t.schema, t.name))
			continue;
		if (t.root == NULL ? prove_table(pg, where_db, &t, r, err) < 0
				   : is_first_of_root(tables, i, t.root) &&
					 prove_root(pg, where_db, tables, t.root, r, err) < 0)
			return -1;
	}
	return 0;
}

static int prove_sequence(struct pg *pg, const char *where_db, const json_t *sequence,
			  struct report *r, struct err *err)
{
	const char *schema, *name;
	CLEANUP(freep) char *where = NULL, *expected = NULL, *found = NULL, *qs = NULL, *qn = NULL;
	if (json_get_str(sequence, "schema", &schema, err) < 0 ||
	    json_get_str(sequence, "name", &name, err) < 0 ||
	    str_printf(&where, err, "%s, sequence '%s.%s'", where_db, schema, name) < 0 ||
	    pg_quote_ident(pg, schema, &qs, err) < 0 || pg_quote_ident(pg, name, &qn, err) < 0)
		return -1;
	long long value = json_integer_value(json_object_get(sequence, "value"));
	bool called = json_is_true(json_object_get(sequence, "called"));
	if (str_printf(&expected, err, "%lld %s", value, called ? "called" : "not called") < 0)
		return -1;
	struct err why = ERR_INIT;
	if (pg_valuef(
		pg, &found, &why,
		"SELECT last_value || CASE WHEN is_called THEN ' called' ELSE ' not called' END "
		"FROM %s.%s",
		qs, qn) < 0)
		return report_compare(r, "postgres", where, "sequence", "there", why.msg, err);
	return report_compare(r, "postgres", where, "value", expected, found, err);
}

static int prove_large_objects(struct pg *pg, const char *where_db, const json_t *db,
			       struct report *r, struct err *err)
{
	const json_t *expected = json_object_get(db, "large_objects");
	struct rows_digest found = {0};
	char digest[ROWS_DIGEST_BYTES];
	CLEANUP(freep) char *where = NULL;
	if (str_printf(&where, err, "%s, large objects", where_db) < 0 ||
	    pg_large_objects_digest(pg, &found, err) < 0 ||
	    report_compare_u64(r, "postgres", where, "count", json_u64_or(expected, "count", 0),
			       found.rows, err) < 0)
		return -1;
	rows_digest_hex(&found, digest);
	return report_compare(r, "postgres", where, "digest", json_str_or(expected, "digest", ""),
			      digest, err);
}

/* Reads a dump until its table of contents is known; the data that follows is not needed. */
static int read_contents(struct source *taken, struct pgdump **ret, struct err *err)
{
	CLEANUP(source_freep) struct source *from = taken;
	CLEANUP(pgdump_freep) struct pgdump *dump = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	uint8_t block[65536];
	size_t n, count = 0;
	if (pgdump_new(&dump, err) < 0 || pgdump_sink(dump, &to, err) < 0)
		return -1;
	do {
		if (source_read(from, block, sizeof block, &n, err) < 0 ||
		    sink_write(to, block, n, err) < 0)
			return -1;
		pgdump_entries(dump, &count);
	} while (n > 0 && count == 0);
	*ret = dump;
	dump = NULL;
	return 0;
}

/* The same question to the restored database that the backup put to the source. */
static int dump_contents(struct sandbox *sb, const json_t *section, const json_t *db,
			 struct pgdump **ret, struct err *err)
{
	CLEANUP(freep) char *conninfo = NULL, *encoding = NULL;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	if (pg_conninfo_dbname(json_str_or(db, "name", ""), &conninfo, err) < 0 ||
	    str_printf(&encoding, err, "--encoding=%s", json_str_or(db, "encoding", "UTF8")) < 0 ||
	    load_postgres_env(sb, section, &env, err) < 0)
		return -1;
	bool no_blobs = json_u64_or(db, "large_objects_unreadable", 0) > 0;
	const char *argv[] = {"-Fc",
			      "-Z0",
			      "--no-password",
			      encoding,
			      "--dbname",
			      conninfo,
			      no_blobs ? "--no-blobs" : NULL,
			      NULL};
	struct tool t = {.component = "postgres",
			 .major =
			     (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0),
			 .name = "pg_dump",
			 .argv = argv,
			 .env = (const char *const *)env.items,
			 .sandbox = true,
			 .idle_ms = -1};
	struct source *from;
	if (engine_tool_source(sb->job->engine, &t, &from, err) < 0)
		return -1;
	return read_contents(from, ret, err);
}

static uint64_t count_desc(const struct pgdump *dump, const char *desc)
{
	size_t count;
	uint64_t n = 0;
	const struct pgdump_entry *e = pgdump_entries(dump, &count);
	for (size_t i = 0; i < count; i++)
		n += strcmp(e[i].desc, desc) == 0;
	return n;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Names the objects of one kind that the archive's dump has and the restored database lacks. */
static int name_missing(struct sandbox *sb, const json_t *db, const char *where, const char *desc,
			const struct pgdump *found, struct report *r, struct err *err)
{
	CLEANUP(pgdump_freep) struct pgdump *archived = NULL;
	struct source *from;
	const char *stream;
	size_t n_archived, n_found;
	if (json_get_str(db, "dump", &stream, err) < 0 ||
	    reader_stream(sb->reader, stream, &from, err) < 0 ||
	    read_contents(from, &archived, err) < 0)
		return -1;
	const struct pgdump_entry *a = pgdump_entries(archived, &n_archived);
	const struct pgdump_entry *f = pgdump_entries(found, &n_found);
	for (size_t i = 0; i < n_archived; i++) {
		if (strcmp(a[i].desc, desc) != 0)
			continue;
		bool there = false;
		for (size_t k = 0; k < n_found && !there; k++)
			there = strcmp(f[k].desc, desc) == 0 && same_text(f[k].tag, a[i].tag) &&
				same_text(f[k].schema, a[i].schema);
		if (there)
			continue;
		CLEANUP(freep) char *what = NULL;
		if (str_printf(&what, err, "%s '%s%s%s'", desc, a[i].schema ? a[i].schema : "",
			       a[i].schema ? "." : "", a[i].tag) < 0 ||
		    report_compare(r, "postgres", where, what, "there", "missing", err) < 0)
			return -1;
	}
	return 0;
}

static int prove_objects(struct sandbox *sb, const json_t *section, const json_t *db,
			 const char *where, struct report *r, struct err *err)
{
	CLEANUP(pgdump_freep) struct pgdump *found = NULL;
	const char *desc;
	json_t *expected;
	json_t *objects = json_object_get(db, "objects");
	if (dump_contents(sb, section, db, &found, err) < 0)
		return err_wrap(err, "%s, list of objects", where);
	json_object_foreach(objects, desc, expected)
	{
		uint64_t want = (uint64_t)json_integer_value(expected);
		uint64_t have = count_desc(found, desc);
		if (have < want && name_missing(sb, db, where, desc, found, r, err) < 0)
			return -1;
		CLEANUP(freep) char *what = NULL;
		if (str_printf(&what, err, "number of %s entries", desc) < 0 ||
		    report_compare_u64(r, "postgres", where, what, want, have, err) < 0)
			return -1;
	}
	/* A kind that the source has none of. */
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(found, &count);
	for (size_t i = 0; i < count; i++) {
		if (json_object_get(objects, e[i].desc) != NULL)
			continue;
		CLEANUP(freep) char *what = NULL;
		if (str_printf(&what, err, "%s '%s'", e[i].desc, e[i].tag ? e[i].tag : "") < 0 ||
		    report_compare(r, "postgres", where, what, "absent", "there", err) < 0)
			return -1;
	}
	return 0;
}

static int prove_database(struct sandbox *sb, const json_t *section, const json_t *db,
			  struct report *r, struct err *err)
{
	CLEANUP(pg_freep) struct pg *pg = NULL;
	CLEANUP(freep) char *where = NULL;
	const char *name;
	size_t i;
	json_t *item;
	if (json_get_str(db, "name", &name, err) < 0 ||
	    str_printf(&where, err, "database '%s'", name) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (connect_to(sb, section, name, &pg, &why) < 0)
		return report_compare(r, "postgres", where, "connection", "accepted", why.msg, err);
	if (prove_tables(sb, pg, where, json_object_get(db, "tables"), r, err) < 0)
		return -1;
	/* Of one table alone, the rest of the database is not there to be compared. */
	if (sb->job->table != NULL)
		return 0;
	json_array_foreach(json_object_get(db, "sequences"), i, item)
	{
		if (prove_sequence(pg, where, item, r, err) < 0)
			return -1;
	}
	if (prove_large_objects(pg, where, db, r, err) < 0)
		return -1;
	return prove_objects(sb, section, db, where, r, err);
}

int prove_postgres(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
{
	size_t i;
	json_t *db;
	for (i = 0; i < sb->load_errors.count; i++)
		if (report_compare(r, "postgres", "load", "errors", "none",
				   sb->load_errors.items[i], err) < 0)
			return -1;
	json_array_foreach(json_object_get(section, "skipped_databases"), i, db)
	{
		if (report_note(r, err,
				"database '%s' allowed no connections and is not in the backup",
				json_string_value(db)) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		if (restore_wants_database(sb, json_str_or(db, "name", "")) &&
		    prove_database(sb, section, db, r, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the negative control ---- */

int control_postgres(struct sandbox *sb, const json_t *section, struct report *r, bool *ret_done,
		     struct err *err)
{
	size_t i, k;
	json_t *db, *table;
	*ret_done = false;
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		const char *name = json_str_or(db, "name", "");
		CLEANUP(pg_freep) struct pg *pg = NULL;
		CLEANUP(freep) char *where = NULL;
		if (!restore_wants_database(sb, name) ||
		    json_array_size(json_object_get(db, "tables")) == 0)
			continue;
		if (connect_to(sb, section, name, &pg, err) < 0 ||
		    str_printf(&where, err, "database '%s'", name) < 0)
			return -1;
		json_array_foreach(json_object_get(db, "tables"), k, table)
		{
			struct expected_table t;
			if (read_table(table, &t, err) < 0)
				return -1;
			*ret_done = t.data.rows > 0;
			if (*ret_done && !fault_skips("negative-control") &&
			    pg_table_remove_row(pg, t.schema, t.name, ret_done, err) < 0)
				return -1;
			if (!*ret_done)
				continue;
			return t.root == NULL ? prove_table(pg, where, &t, r, err)
					      : prove_root(pg, where, json_object_get(db, "tables"),
							   t.root, r, err);
		}
	}
	return 0;
}

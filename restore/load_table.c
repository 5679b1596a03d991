/*
 * One table of one database: the whole schema of the database (types, functions, empty tables), the
 * rows of this table, then its own keys and indexes. Foreign keys are left out: the tables that
 * they lead to stay empty.
 *
 * Of a large archive only three things are fetched: its tail, the dump's table of contents, and the
 * table's own blocks, which the manifest knows the places of. pg_restore gets them as a dump that
 * has nothing else in it. The SHA-256 of the whole dump says nothing of a part: the rows are held
 * against the digest in the manifest, here as they pass and once more by the proof.
 */
#include <stdlib.h>
#include <string.h>
#include "restore/sandbox.h"
#include "restore/table_pick.h"

/* Where the rows lie in the dump. */
struct block {
	uint64_t at, bytes;
};

struct table_load {
	struct sandbox *sb;
	const json_t *db;
	const char *stream;
	const char *const *env;
	unsigned major;
	struct buf head; /* of the dump: its header and table of contents */
	struct pgdump *dump;
	struct table_pick pick;
	struct block *blocks; /* pick.count, in the order of the dump */
};

static void load_done(struct table_load *l)
{
	buf_done(&l->head);
	pgdump_free(l->dump);
	table_pick_done(&l->pick);
	free(l->blocks);
}

/* ---- what there is in the dump ---- */

/* The beginning of a dump until its table of contents is known: all that is needed to make the
 * schema. Older manifests don't say how long it is. */
static int read_head(struct table_load *l, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct reader *r = l->sb->reader;
	uint64_t known = json_u64_or(l->db, "dump_head_bytes", 0);
	size_t n;
	if ((known > 0 ? reader_range(r, l->stream, 0, known, &from, err)
		       : reader_stream(r, l->stream, &from, err)) < 0 ||
	    pgdump_new(&l->dump, err) < 0 || pgdump_sink(l->dump, &to, err) < 0)
		return -1;
	do {
		if (buf_reserve(&l->head, 65536, err) < 0 ||
		    source_read(from, l->head.data + l->head.len, 65536, &n, err) < 0 ||
		    sink_write(to, l->head.data + l->head.len, n, err) < 0)
			return -1;
		l->head.len += n;
	} while (n > 0 && pgdump_head_bytes(l->dump) == 0);
	uint64_t found = pgdump_head_bytes(l->dump);
	if (found == 0 || (known > 0 && found != known))
		return err_set(err, ERR_CORRUPT,
			       "the dump's table of contents does not end where the manifest says");
	l->head.len = (size_t)found;
	return 0;
}

/* An older manifest: the blocks are found by reading the whole dump. */
static int find_all_blocks(struct table_load *l, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	pgdump_free(l->dump);
	l->dump = NULL;
	if (sandbox_stream(l->sb, l->stream, &from, err) < 0 || pgdump_new(&l->dump, err) < 0 ||
	    pgdump_sink(l->dump, &to, err) < 0 || flow_copy(from, to, NULL, err) < 0 ||
	    sink_close(to, err) < 0)
		return -1;
	/* What is cut out of the head later goes by the places that were found just now. */
	if (pgdump_head_bytes(l->dump) != l->head.len)
		return err_set(err, ERR_CORRUPT, "the dump is another than when it was read first");
	return 0;
}

static bool is_picked(const struct table_pick *p, int32_t id)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->ids[i] == id)
			return true;
	return false;
}

static bool says(const json_t *table, const char *key, const char *text)
{
	CLEANUP(json_freep) json_t *j = json_text_value(text);
	return json_equal(json_object_get(table, key), j);
}

/* What the manifest says of a table of the dump: without it the rows could not be proved. */
static int find_table(const struct table_load *l, const struct pgdump_entry *e, json_t **ret,
		      struct err *err)
{
	size_t i;
	json_t *table;
	if (e->schema == NULL || e->tag == NULL)
		return err_set(err, ERR_CORRUPT, "the dump has rows of a table without a name");
	json_array_foreach(json_object_get(l->db, "tables"), i, table)
	{
		if (says(table, "schema", e->schema) && says(table, "name", e->tag)) {
			*ret = table;
			return 0;
		}
	}
	return err_set(err, ERR_CORRUPT, "the manifest does not know the table '%s.%s' of the dump",
		       e->schema, e->tag);
}

static int compare_blocks(const void *a, const void *b)
{
	const struct block *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Where the picked tables' rows are, and which tables the proof has to look at. */
static int find_blocks(struct table_load *l, struct err *err)
{
	size_t count, n = 0;
	bool known = true;
	l->sb->tables = json_array();
	l->blocks = mem_zalloc(l->pick.count * sizeof *l->blocks, "the blocks of a table", err);
	if (l->sb->tables == NULL || l->blocks == NULL)
		return err_nomem(err, "the blocks of a table");
	const struct pgdump_entry *e = pgdump_entries(l->dump, &count);
	for (size_t i = 0; i < count; i++) {
		json_t *table;
		if (!is_picked(&l->pick, e[i].id))
			continue;
		if (find_table(l, &e[i], &table, err) < 0 ||
		    json_push(l->sb->tables, json_incref(table), err) < 0)
			return -1;
		l->blocks[n].at = json_u64_or(table, "block_at", 0);
		l->blocks[n].bytes = json_u64_or(table, "block_bytes", 0);
		known = known && l->blocks[n].bytes > 0;
		n++;
	}
	if (!known) {
		if (find_all_blocks(l, err) < 0)
			return -1;
		e = pgdump_entries(l->dump, &count);
		n = 0;
		for (size_t i = 0; i < count; i++)
			if (is_picked(&l->pick, e[i].id))
				l->blocks[n++] =
				    (struct block){.at = e[i].block_at, .bytes = e[i].block_bytes};
	}
	qsort(l->blocks, n, sizeof *l->blocks, compare_blocks);
	return 0;
}

/* ---- pg_restore ---- */

/* Takes `check` (NULL: none), which sees all bytes first. */
static int start_restore(struct table_load *l, const char *const *argv, struct sink *check,
			 struct sink **ret, struct err *err)
{
	CLEANUP(sink_freep) struct sink *seen = check;
	struct sink *tool;
	struct tool t = {.component = "postgres",
			 .major = l->major,
			 .name = "pg_restore",
			 .argv = argv,
			 .env = l->env,
			 .sandbox = true,
			 .idle_ms = -1};
	if (engine_tool_sink(l->sb->job->engine, &t, &tool, err) < 0)
		return -1;
	if (check == NULL) {
		*ret = tool;
		return 0;
	}
	seen = NULL;
	return sink_both(check, tool, ret, err);
}

/* It reads no further than it has to, and ends well: that is success here. */
static int ended_well(int rc, struct err *err)
{
	if (rc < 0 && err->code == ERR_CLOSED) {
		err_clear(err);
		return 0;
	}
	return rc;
}

static int make_schema(struct table_load *l, struct err *err)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	const char *const argv[] = {"--section=pre-data", "--create",         "--clean",
				    "--if-exists",        "--exit-on-error",  "--no-password",
				    "--dbname",           "dbname=template1", NULL};
	if (start_restore(l, argv, NULL, &to, err) < 0)
		return -1;
	int rc = sink_write(to, l->head.data, l->head.len, err);
	return ended_well(rc == 0 ? sink_close(to, err) : rc, err);
}

/* The blocks, those that lie one behind the other in one piece. */
static int send_blocks(struct table_load *l, struct sink *to, struct err *err)
{
	for (size_t i = 0; i < l->pick.count; i++) {
		CLEANUP(source_freep) struct source *from = NULL;
		struct block b = l->blocks[i];
		while (i + 1 < l->pick.count && l->blocks[i + 1].at == b.at + b.bytes)
			b.bytes += l->blocks[++i].bytes;
		if (sandbox_range(l->sb, l->stream, b.at, b.bytes, &from, err) < 0 ||
		    flow_copy(from, to, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* Is what came by what the manifest promised? */
static int compare_passed(const struct table_load *l, const struct pgdump *passed, struct err *err)
{
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(passed, &count);
	for (size_t i = 0; i < count; i++) {
		char digest[ROWS_DIGEST_BYTES];
		json_t *table;
		uint64_t rows;
		if (!e[i].has_data)
			continue;
		rows_digest_hex(&e[i].data, digest);
		if (find_table(l, &e[i], &table, err) < 0 ||
		    json_get_u64(table, "rows", &rows, err) < 0)
			return -1;
		if (e[i].data.rows != rows || !says(table, "digest", digest))
			return err_set(
			    err, ERR_CORRUPT,
			    "the rows of table '%s.%s' in the archive are not those that "
			    "the manifest lists",
			    e[i].schema, e[i].tag);
	}
	return 0;
}

static int fill_tables(struct table_load *l, struct err *err)
{
	CLEANUP(freep) char *conninfo = NULL;
	CLEANUP(buf_done) struct buf head;
	CLEANUP(pgdump_freep) struct pgdump *passed = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct sink *check;
	buf_init(&head, (size_t)1 << 30);
	if (pg_conninfo_dbname(json_str_or(l->db, "name", ""), &conninfo, err) < 0 ||
	    pgdump_part(l->dump, l->head.data, l->pick.ids, l->pick.count, &head, err) < 0 ||
	    pgdump_new(&passed, err) < 0 || pgdump_sink(passed, &check, err) < 0)
		return -1;
	const char *const argv[] = {"--data-only", "--exit-on-error", "--no-password",
				    "--dbname",    conninfo,          NULL};
	if (start_restore(l, argv, check, &to, err) < 0)
		return -1;
	int rc = sink_write(to, head.data, head.len, err);
	if (rc == 0)
		rc = send_blocks(l, to, err);
	if (rc == 0)
		rc = compare_passed(l, passed, err);
	return ended_well(rc == 0 ? sink_close(to, err) : rc, err);
}

/* ---- all of it ---- */

/* The tables' own keys and indexes, and where the sequences stood. */
static int load_rest(struct table_load *l, struct pg *pg, struct err *err)
{
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(l->dump, &count);
	for (size_t i = 0; i < count; i++) {
		bool wanted = false;
		if (table_pick_is_ours(&l->pick, &e[i], &wanted, err) < 0)
			return -1;
		wanted = wanted || strcmp(e[i].desc, "SEQUENCE SET") == 0;
		if (wanted && e[i].definition != NULL &&
		    pg_script(pg, e[i].definition, NULL, NULL, err) < 0)
			return err_wrap(err, "%s '%s'", e[i].desc, e[i].tag);
	}
	return 0;
}

int load_postgres_table(struct sandbox *sb, const json_t *section, const json_t *db,
			const char *const *env, struct err *err)
{
	CLEANUP(load_done) struct table_load l = {.sb = sb, .db = db, .env = env};
	CLEANUP(freep) char *url = NULL;
	CLEANUP(pg_freep) struct pg *pg = NULL;
	const char *name = json_str_or(db, "name", "");
	l.major = (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0);
	buf_init(&l.head, (size_t)1 << 30);
	sb->loading = name;
	if (json_get_str(db, "dump", &l.stream, err) < 0 || read_head(&l, err) < 0 ||
	    table_pick(l.dump, sb->job->table, &l.pick, err) < 0)
		return -1;
	if (l.pick.count == 0) {
		err_set(err, ERR_ABSENT, "database '%s' has no table '%s'", name, sb->job->table);
		return err_hint(err, "Name it as schema.table; `lifeboat show` lists all tables.");
	}
	if (find_blocks(&l, err) < 0 || make_schema(&l, err) < 0 || fill_tables(&l, err) < 0 ||
	    load_postgres_url(sb, section, &url, err) < 0 ||
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, name, &pg, err) <
		0)
		return -1;
	return load_rest(&l, pg, err);
}

/*
 * One table of one database: the whole schema of the database (types, functions, empty tables), the
 * rows of this table, then its own keys and indexes. Foreign keys are left out: the tables that
 * they lead to stay empty.
 */
#include <stdlib.h>
#include <string.h>
#include "restore/sandbox.h"

/* The beginning of a dump until its table of contents is known: all that is needed to make the
 * schema. */
static int read_head(struct sandbox *sb, const char *stream, struct buf *head, struct pgdump **ret,
		     struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(pgdump_freep) struct pgdump *dump = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	size_t n, count = 0;
	if (reader_stream(sb->reader, stream, &from, err) < 0 || pgdump_new(&dump, err) < 0 ||
	    pgdump_sink(dump, &to, err) < 0)
		return -1;
	do {
		if (buf_reserve(head, 65536, err) < 0 ||
		    source_read(from, head->data + head->len, 65536, &n, err) < 0 ||
		    sink_write(to, head->data + head->len, n, err) < 0)
			return -1;
		head->len += n;
		pgdump_entries(dump, &count);
	} while (n > 0 && count == 0);
	*ret = dump;
	dump = NULL;
	return 0;
}

static int run_restore(struct sandbox *sb, unsigned major, const char *const *argv,
		       const char *const *env, struct source *from, struct err *err)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct tool t = {.component = "postgres",
			 .major = major,
			 .name = "pg_restore",
			 .argv = argv,
			 .env = env,
			 .sandbox = true,
			 .idle_ms = -1};
	if (engine_tool_sink(sb->job->engine, &t, &to, err) < 0)
		return -1;
	if (flow_copy(from, to, NULL, err) == 0)
		return sink_close(to, err);
	/* It reads no further than it has to, and ends well: that is success here. */
	if (err->code != ERR_CLOSED)
		return -1;
	err_clear(err);
	return 0;
}

static const struct pgdump_entry *find_data(const struct sandbox *sb, const struct pgdump *dump)
{
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(dump, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(e[i].desc, "TABLE DATA") == 0 && e[i].schema != NULL &&
		    restore_wants_table(sb, e[i].schema, e[i].tag))
			return &e[i];
	return NULL;
}

/* Does this SQL of pg_dump's define something on the table of that quoted name? */
static bool is_about(const struct pgdump_entry *e, const char *table)
{
	size_t len = strlen(table);
	for (const char *at = e->definition; at != NULL && (at = strstr(at, table)) != NULL; at++) {
		const char *before = at - strlen(" ON ");
		bool index = at - e->definition >= 4 && strncmp(before, " ON ", 4) == 0;
		const char *only = at - strlen("ALTER TABLE ONLY ");
		bool key = only == e->definition && strncmp(only, "ALTER TABLE ONLY ", 17) == 0;
		if ((index && at[len] == ' ') || (key && at[len] == '\n'))
			return true;
	}
	return false;
}

/* The table's own keys and indexes, and where the sequences stood. */
static int load_rest(struct pg *pg, const struct pgdump *dump, const struct pgdump_entry *data,
		     struct err *err)
{
	CLEANUP(freep) char *columns = NULL, *table = NULL;
	size_t count, end;
	/* As pg_dump itself quotes it: between "COPY " and the columns. */
	if (pgdump_copy_columns(data->copy, &columns, err) < 0)
		return -1;
	const char *start = data->copy + strlen("COPY ");
	const char *list = columns[0] != '\0' ? strstr(start, columns) : strstr(start, " FROM ");
	end = list != NULL ? (size_t)(list - start) : strlen(start);
	while (end > 0 && start[end - 1] == ' ')
		end--;
	if (str_dupn(start, end, &table, err) < 0)
		return -1;
	const struct pgdump_entry *e = pgdump_entries(dump, &count);
	for (size_t i = 0; i < count; i++) {
		bool wanted =
		    strcmp(e[i].desc, "SEQUENCE SET") == 0 ||
		    ((strcmp(e[i].desc, "CONSTRAINT") == 0 || strcmp(e[i].desc, "INDEX") == 0) &&
		     is_about(&e[i], table));
		if (wanted && e[i].definition != NULL &&
		    pg_script(pg, e[i].definition, NULL, NULL, err) < 0)
			return err_wrap(err, "%s '%s'", e[i].desc, e[i].tag);
	}
	return 0;
}

int load_postgres_table(struct sandbox *sb, const json_t *section, const json_t *db,
			const char *const *env, struct err *err)
{
	CLEANUP(buf_done) struct buf head;
	CLEANUP(pgdump_freep) struct pgdump *dump = NULL;
	CLEANUP(source_freep) struct source *schema = NULL, *rows = NULL;
	CLEANUP(freep) char *conninfo = NULL, *url = NULL;
	CLEANUP(pg_freep) struct pg *pg = NULL;
	const char *name = json_str_or(db, "name", ""), *stream;
	unsigned major = (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0);
	buf_init(&head, (size_t)1 << 30);
	if (json_get_str(db, "dump", &stream, err) < 0 ||
	    read_head(sb, stream, &head, &dump, err) < 0)
		return -1;
	const struct pgdump_entry *data = find_data(sb, dump);
	if (data == NULL) {
		err_set(err, ERR_ABSENT, "database '%s' has no table '%s'", name, sb->job->table);
		return err_hint(err, "Name it as schema.table; `lifeboat show` lists all tables.");
	}
	const char *const make[] = {"--section=pre-data", "--create",         "--clean",
				    "--if-exists",        "--exit-on-error",  "--no-password",
				    "--dbname",           "dbname=template1", NULL};
	if (source_memory(head.data, head.len, &schema, err) < 0 ||
	    run_restore(sb, major, make, env, schema, err) < 0 ||
	    pg_conninfo_dbname(name, &conninfo, err) < 0)
		return -1;
	const char *const fill[] = {
	    "--data-only",     "--schema",      data->schema, "--table", data->tag,
	    "--exit-on-error", "--no-password", "--dbname",   conninfo,  NULL};
	if (sandbox_stream(sb, stream, &rows, err) < 0 ||
	    run_restore(sb, major, fill, env, rows, err) < 0 ||
	    load_postgres_url(sb, section, &url, err) < 0 ||
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, name, &pg, err) <
		0)
		return -1;
	return load_rest(pg, dump, data, err);
}

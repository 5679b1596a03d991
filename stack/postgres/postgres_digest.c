/* Rows, digests and large objects of a server as it stands: what a dump of it would hold. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "stack/postgres/postgres_impl.h"

/* ---- tables ---- */

/* Rows as they come; leaves the connection behind the end of COPY. */
static int read_copy(struct pg *p, struct rows_digest *rows, struct err *err)
{
	for (;;) {
		char *row;
		int n = PQgetCopyData(p->conn, &row, 1);
		if (n > 0) {
			/* One message is one row with its newline (protocol 3, CopyData). */
			rows_digest_add(rows, row, (size_t)n - (row[n - 1] == '\n'));
			PQfreemem(row);
			continue;
		}
		if (n == -1)
			return 0;
		if (n < 0)
			return pg_error_of_connection(p->conn, err);
		if (wait_fd(PQsocket(p->conn), POLLIN, DEADLINE_NEVER, err) < 0)
			return -1;
		if (PQconsumeInput(p->conn) == 0)
			return pg_error_of_connection(p->conn, err);
	}
}

/* Results until there are no more; the first error counts. */
static int end_copy(struct pg *p, struct err *err)
{
	int rc = 0;
	for (;;) {
		CLEANUP(pg_clearp) PGresult *r = NULL;
		if (pg_next_result(p, DEADLINE_NEVER, &r, err) < 0)
			return -1;
		if (r == NULL)
			return rc;
		if (rc == 0 && PQresultStatus(r) != PGRES_COMMAND_OK)
			rc = pg_error_of_result(p->conn, r, err);
	}
}

static int copy_out(struct pg *p, const char *sql, struct rows_digest *rows, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (pg_send(p, sql, DEADLINE_NEVER, err) < 0 ||
	    pg_next_result(p, DEADLINE_NEVER, &r, err) < 0) {
		pg_abandon(p);
		return -1;
	}
	if (PQresultStatus(r) != PGRES_COPY_OUT) {
		pg_error_of_result(p->conn, r, err);
		pg_abandon(p);
		return -1;
	}
	if (read_copy(p, rows, err) < 0) {
		pg_abandon(p);
		return -1;
	}
	return end_copy(p, err);
}

/* pg_dump dumps the rows of an extension's configuration table that the extension's own condition
 * selects: the others are made by CREATE EXTENSION. "" for any other table. */
static int find_condition(struct pg *p, const char *schema, const char *table, char **ret,
			  struct err *err)
{
	static const char sql[] =
	    "SELECT e.condition FROM (SELECT pg_catalog.unnest(extconfig) AS relation, "
	    "pg_catalog.unnest(extcondition) AS condition FROM pg_catalog.pg_extension) e "
	    "JOIN pg_catalog.pg_class c ON c.oid = e.relation "
	    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	    "WHERE n.nspname = $1 AND c.relname = $2";
	CLEANUP(pg_clearp) PGresult *r = NULL;
	const char *values[] = {schema, table};
	if (pg_query_params(p, sql, 2, values, false, DEADLINE_NEVER, &r, err) < 0)
		return -1;
	return str_dup(PQntuples(r) > 0 ? pg_field(r, 0, 0) : "", ret, err);
}

/* The statement that pg_dump would use (dumpTableData_copy in pg_dump.c). It prints rows in the
 * database's own encoding, and so must this. */
static int copy_statement(struct pg *p, const char *schema, const char *table, const char *columns,
			  char **ret, struct err *err)
{
	CLEANUP(freep) char *s = NULL, *t = NULL, *condition = NULL;
	const char *encoding = PQparameterStatus(p->conn, "server_encoding");
	if (encoding == NULL)
		encoding = "UTF8";
	if (pg_quote_ident(p, schema, &s, err) < 0 || pg_quote_ident(p, table, &t, err) < 0 ||
	    find_condition(p, schema, table, &condition, err) < 0)
		return -1;
	bool all = columns[0] == '\0';
	if (condition[0] == '\0')
		return str_printf(ret, err, "COPY %s.%s%s%s TO STDOUT WITH (ENCODING '%s')", s, t,
				  all ? "" : " ", columns, encoding);
	return str_printf(
	    ret, err, "COPY (SELECT %.*s FROM %s.%s %s) TO STDOUT WITH (ENCODING '%s')",
	    all ? 1 : (int)strlen(columns) - 2, all ? "*" : columns + 1, s, t, condition, encoding);
}

int pg_table_digest(struct pg *p, const char *schema, const char *table, const char *columns,
		    struct rows_digest *ret, struct err *err)
{
	CLEANUP(freep) char *sql = NULL;
	struct rows_digest rows = {0};
	if (p->plain || p->pooled)
		return err_set(err, ERR_FAILED,
			       "table '%s.%s': through a pooler rows may print differently", schema,
			       table);
	if (!pgdump_columns_are_valid(columns))
		return err_set(err, ERR_CORRUPT, "table '%s.%s': not a list of columns: '%.100s'",
			       schema, table, columns);
	if (copy_statement(p, schema, table, columns, &sql, err) < 0 ||
	    copy_out(p, sql, &rows, err) < 0)
		return err_wrap(err, "table '%s.%s'", schema, table);
	*ret = rows;
	return 0;
}

int pg_table_remove_row(struct pg *p, const char *schema, const char *table, bool *ret,
			struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	CLEANUP(freep) char *s = NULL, *t = NULL, *condition = NULL;
	/* As a replica: no trigger and no foreign key stands in the way. */
	if (pg_quote_ident(p, schema, &s, err) < 0 || pg_quote_ident(p, table, &t, err) < 0 ||
	    find_condition(p, schema, table, &condition, err) < 0 ||
	    pg_exec(p, "SET session_replication_role = replica", DEADLINE_NEVER, err) < 0 ||
	    pg_queryf(
		p, DEADLINE_NEVER, &r, err,
		"DELETE FROM ONLY %s.%s WHERE ctid = (SELECT ctid FROM ONLY %s.%s %s LIMIT 1)", s,
		t, s, t, condition) < 0)
		return err_wrap(err, "table '%s.%s'", schema, table);
	*ret = strcmp(PQcmdTuples(r), "1") == 0;
	return 0;
}

/* ---- large objects ---- */

enum {
	FIRST_BYTES = 64 << 10, /* of each object in a batch */
	BATCH = 64,
	NEXT_BYTES = 1 << 20 /* of the rest of a larger one */
};

struct objects {
	struct pg *pg;
	XXH3_state_t *state;
	struct rows_digest sum;
	uint32_t last; /* oid */
};

static uint32_t read_be32(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What follows the first FIRST_BYTES. */
static int read_rest(struct objects *o, uint32_t oid, struct err *err)
{
	char oid_text[16], offset_text[32];
	snprintf(oid_text, sizeof oid_text, "%u", oid);
	const char *values[] = {oid_text, offset_text};
	for (int64_t offset = FIRST_BYTES;;) {
		CLEANUP(pg_clearp) PGresult *r = NULL;
		snprintf(offset_text, sizeof offset_text, "%lld", (long long)offset);
		if (pg_query_params(o->pg, "SELECT pg_catalog.lo_get($1::oid, $2::bigint, 1048576)",
				    2, values, true, DEADLINE_NEVER, &r, err) < 0)
			return -1;
		int n = PQgetlength(r, 0, 0);
		XXH3_128bits_update(o->state, PQgetvalue(r, 0, 0), (size_t)n);
		if (n < NEXT_BYTES)
			return 0;
		offset += n;
	}
}

static int add_object(struct objects *o, const PGresult *r, int row, struct err *err)
{
	char prefix[16];
	uint32_t oid = read_be32(PQgetvalue(r, row, 0));
	int n = snprintf(prefix, sizeof prefix, "%u:", oid);
	XXH3_128bits_reset(o->state);
	XXH3_128bits_update(o->state, prefix, (size_t)n);
	XXH3_128bits_update(o->state, PQgetvalue(r, row, 1), (size_t)PQgetlength(r, row, 1));
	if (PQgetlength(r, row, 1) == FIRST_BYTES && read_rest(o, oid, err) < 0)
		return err_wrap(err, "large object %u", oid);
	XXH128_hash_t h = XXH3_128bits_digest(o->state);
	rows_digest_add_hash(&o->sum, h.low64, h.high64);
	o->last = oid;
	return 0;
}

static int read_objects(struct objects *o, struct err *err)
{
	static const char sql[] =
	    "SELECT m.oid, pg_catalog.lo_get(m.oid, 0, 65536) FROM (SELECT oid FROM "
	    "pg_catalog.pg_largeobject_metadata "
	    "WHERE oid > $1::oid ORDER BY oid LIMIT 64) m ORDER BY m.oid";
	for (;;) {
		CLEANUP(pg_clearp) PGresult *r = NULL;
		char last[16];
		snprintf(last, sizeof last, "%u", o->last);
		const char *values[] = {last};
		if (pg_query_params(o->pg, sql, 1, values, true, DEADLINE_NEVER, &r, err) < 0)
			return -1;
		for (int row = 0; row < PQntuples(r); row++)
			if (add_object(o, r, row, err) < 0)
				return -1;
		if (PQntuples(r) < BATCH)
			return 0;
	}
}

int pg_large_objects_digest(struct pg *p, struct rows_digest *ret, struct err *err)
{
	struct objects o = {.pg = p, .state = XXH3_createState()};
	if (o.state == NULL)
		return err_nomem(err, "a digest");
	/* One snapshot for all batches. */
	int rc = pg_exec(p, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", DEADLINE_NEVER, err);
	if (rc == 0) {
		struct err ignored = ERR_INIT;
		rc = read_objects(&o, err);
		if (pg_exec(p, "ROLLBACK", DEADLINE_NEVER, rc == 0 ? err : &ignored) < 0)
			rc = -1;
	}
	XXH3_freeState(o.state);
	if (rc < 0)
		return err_wrap(err, "large objects");
	*ret = o.sum;
	return 0;
}

/*
 * The door to PostgreSQL: what is asked by libpq. What is dumped and loaded goes through the
 * server's own tools (engine.h); this header only tells them how to connect.
 *
 *  1. pg_connect(&(struct pg_opts){.url = …, .connect_timeout_ms = 20000}, dbname, &pg, err)
 *  2. pg_query, pg_exec, pg_copy_rows …     every wait has a deadline and ends on cancellation
 *  3. pg_free
 *
 * A session is set up like pg_dump's, so that the two print the same text: ISO dates in UTC,
 * extra_float_digits 3, hex bytea, no time limits, row_security off.
 */
#ifndef LIFEBOAT_STACK_POSTGRES_POSTGRES_H
#define LIFEBOAT_STACK_POSTGRES_POSTGRES_H

#include <libpq-fe.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"
#include "stack/postgres/pgdump.h"

struct pg_opts {
	const char *url; /* postgresql://user:password@host:port/db?options, or "key=value …" */
	int64_t connect_timeout_ms;
	bool plain; /* no session settings: for a pooler in transaction mode */
};

struct pg;
/* `dbname` NULL: the one in the url. ERR_UNREACHABLE, ERR_DENIED (password), ERR_ABSENT (database),
 * ERR_CONFIG (the url). Messages name host, port and user, never the password. */
int pg_connect(const struct pg_opts *opts, const char *dbname, struct pg **ret, struct err *err)
    MUST_USE;
void pg_free(struct pg *p);
DEFINE_CLEANUP(struct pg, pg_free)

int pg_server_version(const struct pg *p); /* 150020 */
unsigned pg_server_major(const struct pg *p);

/* Is there a pooler in between? Compares the backend's pid with the one of the protocol. */
int pg_is_pooled(struct pg *p, bool *ret, struct err *err) MUST_USE;

/* One statement, simple protocol. *ret is to be PQclear'ed; may be NULL for pg_exec. The error has
 * the server's message, its SQLSTATE in parentheses, and "DETAIL" where there is one. */
int pg_query(struct pg *p, const char *sql, struct deadline d, PGresult **ret, struct err *err)
    MUST_USE;
int pg_queryf(struct pg *p, struct deadline d, PGresult **ret, struct err *err, const char *fmt,
	      ...) PRINTF_LIKE(5, 6) MUST_USE;
int pg_exec(struct pg *p, const char *sql, struct deadline d, struct err *err) MUST_USE;
/* The first column of the only row, a new string; NULL value gives "". */
int pg_value(struct pg *p, const char *sql, char **ret, struct err *err) MUST_USE;
int pg_valuef(struct pg *p, char **ret, struct err *err, const char *fmt, ...) PRINTF_LIKE(4, 5)
    MUST_USE;
static inline void pg_clearp(PGresult **r)
{
	PQclear(*r);
}

/* Quoting, new strings. */
int pg_quote_ident(struct pg *p, const char *name, char **ret, struct err *err) MUST_USE;
int pg_quote_literal(struct pg *p, const char *text, char **ret, struct err *err) MUST_USE;

/* Runs a script such as pg_dumpall writes: statements one by one, psql's backslash lines
 * (\restrict, \unrestrict) passed over, quotes and dollar quotes understood. `skip` (may be NULL)
 * says which statements to leave out. Without a connection
 * (p NULL) none is executed, and skip sees them all. The error names the statement (its first 80
 * characters, but nothing after PASSWORD). */
int pg_script(struct pg *p, const char *sql, bool (*skip)(void *ctx, const char *statement),
	      void *ctx, struct err *err) MUST_USE;

/* Rows and digest of a table as it stands: COPY schema.table columns TO STDOUT. */
int pg_table_digest(struct pg *p, const char *schema, const char *table, const char *columns,
		    struct rows_digest *ret, struct err *err) MUST_USE;
/* Takes one of the rows away that pg_table_digest reads; *ret false: there is none. */
int pg_table_remove_row(struct pg *p, const char *schema, const char *table, bool *ret,
			struct err *err) MUST_USE;
/* Count and digest of all large objects. */
int pg_large_objects_digest(struct pg *p, struct rows_digest *ret, struct err *err) MUST_USE;

/* Appends "keyword='value' " as libpq quotes it (PostgreSQL documentation, "Connection Strings").
 */
int pg_conninfo_put(struct buf *b, const char *keyword, const char *value, struct err *err)
    MUST_USE;
/* The host of a connection string, a new string; *ret NULL: it names none, or a socket. */
int pg_url_host(const char *url, char **ret, struct err *err) MUST_USE;
/* The same connection string, led to `address` whatever host it names. Holds the password: wipe
 * it. A new string. */
int pg_url_at(const char *url, const char *address, char **ret, struct err *err) MUST_USE;
/* A --dbname for tools: a database may be called "a=b" or "postgresql://", so a bare name won't
 * do. A new string. */
int pg_conninfo_dbname(const char *dbname, char **ret, struct err *err) MUST_USE;

/* Environment for pg_dump, pg_dumpall, pg_restore: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSL…,
 * PGCONNECT_TIMEOUT, PGAPPNAME, PGTZ=UTC, PGOPTIONS without time limits, and unset what would
 * mislead (PGSERVICE, PGDATABASE …). Holds the password: secret_wipe each item when done. */
int pg_tool_env(const struct pg_opts *opts, struct strlist *ret, struct err *err) MUST_USE;
void pg_tool_env_done(struct strlist *env);

/* ---- what a server is: asked once, written into the manifest (docs/manifest.md) ---- */

/* {"server_version", "server_version_num", "major", "system_identifier" (text), "data_directory",
 *  "bootstrap_role", "encoding", "locale_provider" ("libc", "icu", "builtin"), "collate", "ctype",
 *  "icu_locale", "icu_rules", "collation_version", "data_checksums", "wal_segment_bytes",
 *  "block_bytes", "in_recovery", "is_superuser", "settings": [{"name","value","source","file"} for
 *  all that configuration files, command line and environment set],
 *  "missing": ["role passwords", "configuration files", …]: what this role can't take, each as
 *  {"what","why"} }. Encoding and locale are template0's, so initdb's. What this role may not see
 *  is null. */
int pg_describe_server(struct pg *p, json_t **ret, struct err *err) MUST_USE;
/* [{"name","owner","encoding","collate","ctype","locale_provider","icu_locale","icu_rules",
 *   "collation_version","is_template","allow_connections","connection_limit","invalid","tablespace",
 *   "bytes", "extensions":[{"name","version"}],"large_objects":n}] ; what needs a connection to
 * each database is filled by pg_describe_database. A database whose DROP was interrupted is
 * "invalid" and allows no connections. */
int pg_list_databases(struct pg *p, json_t **ret, struct err *err) MUST_USE;
/* Fills "extensions", "large_objects", "large_objects_unreadable", "counts": {"table","index",
 * "constraint","trigger","sequence","function","view","materialized_view","type","policy","rule"}
 * (user objects), "row_security_tables": tables that this role can't dump because of policies, and
 * "unreadable_tables": tables and sequences that it has no right to read, as "schema.table". */
int pg_describe_database(struct pg *p, json_t *database, struct err *err) MUST_USE;
/* {"counts": …} alone, for the proof. */
int pg_count_objects(struct pg *p, json_t **ret, struct err *err) MUST_USE;
/* Configuration files and everything they include, TLS files: [{"path","role": "config" | "hba" |
 * "ident" | "auto" | "include" | "tls", "inside": path relative to the data directory or null}]. */
int pg_list_config_files(struct pg *p, json_t **ret, struct err *err) MUST_USE;
/* One file, read by the server itself. ERR_DENIED, ERR_ABSENT. At most 16 MiB. */
int pg_read_file(struct pg *p, const char *path, struct buf *out, struct err *err) MUST_USE;

/* Waits until a server that is starting accepts queries and is not the temporary one of an image's
 * entry point; `alive` (may be NULL) tells early when the process is gone. */
int pg_wait_ready(const struct pg_opts *opts, const char *dbname,
		  int (*alive)(void *ctx, struct err *err), void *ctx, struct deadline d,
		  struct pg **ret, struct err *err) MUST_USE;

#endif

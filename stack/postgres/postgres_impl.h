/* The inside of the door to PostgreSQL: shared by stack/postgres/postgres*.c alone. */
#ifndef LIFEBOAT_STACK_POSTGRES_POSTGRES_IMPL_H
#define LIFEBOAT_STACK_POSTGRES_POSTGRES_IMPL_H

#include "stack/postgres/postgres.h"

enum { PG_DEFAULT_TIMEOUT_MS = 20000, PG_OLDEST_MAJOR = 13 };

struct pg {
	PGconn *conn;
	bool plain;
	bool pooled, pooled_known;
};

/* ---- postgres_error.c ---- */

/* Sets err from a result that is an error; the connection says whether it was lost. Returns -1. */
int pg_error_of_result(const PGconn *conn, const PGresult *r, struct err *err);
/* The same for a call of libpq that failed without a result. Returns -1. */
int pg_error_of_connection(PGconn *conn, struct err *err);
/* For a connection that was not made; conn speaks PQERRORS_VERBOSE. Returns -1. */
int pg_error_of_login(PGconn *conn, bool plain, struct err *err);
/* What an SQLSTATE means to us; *ret_retryable may be set. */
enum err_code pg_error_code(const char *sqlstate, bool *ret_retryable);

/* ---- postgres_query.c ---- */

/* Starts a statement; flushes it. */
int pg_send(struct pg *p, const char *sql, struct deadline d, struct err *err) MUST_USE;
/* The next result of what was sent; *ret NULL: that was all. Does not look at its status. */
int pg_next_result(struct pg *p, struct deadline d, PGresult **ret, struct err *err) MUST_USE;
/* Cancels what runs and throws its results away, so that the connection can be used again. */
void pg_abandon(struct pg *p);
/* One statement with text parameters; results in text or binary. */
int pg_query_params(struct pg *p, const char *sql, int count, const char *const *values,
		    bool binary, struct deadline d, PGresult **ret, struct err *err) MUST_USE;

/* The text of a field, "" for NULL. */
const char *pg_field(const PGresult *r, int row, int column);
/* "t". */
bool pg_field_is_true(const PGresult *r, int row, int column);

/* ---- postgres_url.c ---- */

/* What is in a connection string; PQconninfoFree it through pg_url_freep, which wipes the password.
 * ERR_CONFIG without the password in the text. */
int pg_url_parse(const char *url, PQconninfoOption **ret, struct err *err) MUST_USE;
/* The value of an option, or NULL. */
const char *pg_url_get(const PQconninfoOption *options, const char *keyword);
void pg_url_freep(PQconninfoOption **options);
/* Item number `index` of a list with commas; the only item for every index. free(). */
int pg_url_item(const char *list, size_t index, char **ret, struct err *err) MUST_USE;
size_t pg_url_items(const char *list);

/* ---- postgres_json.c ---- */

/* A row as an object, by the names and types of its columns: bool, integers (int2, int4, int8,
 * oid), anything else as text; NULL is null. A new reference. */
int pg_json_row(const PGresult *r, int row, json_t **ret, struct err *err) MUST_USE;
/* The only row of a query. */
int pg_json_one(struct pg *p, const char *sql, json_t **ret, struct err *err) MUST_USE;
/* All rows of a query: an array of objects, or of plain values when `bare` (first column). */
int pg_json_all(struct pg *p, const char *sql, bool bare, json_t **ret, struct err *err) MUST_USE;

/* ---- postgres_script.c ---- */

/* Calls `each` for every statement of a script, without the semicolon and without comments before
 * it. ERR_CORRUPT for an unknown backslash line and for a quote or comment that never ends. */
int pg_script_split(const char *sql, int (*each)(void *ctx, const char *statement, struct err *err),
		    void *ctx, struct err *err) MUST_USE;
/* The statement's first 80 characters on one line, nothing after PASSWORD. */
enum { PG_BRIEF_BYTES = 96 * 4 };
char *pg_script_brief(const char *statement, char out[PG_BRIEF_BYTES]);

#endif

/* Statements, one at a time, each wait with a deadline. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* How long a cancelled statement may take to end before the connection is given up. */
enum { DRAIN_MS = 5000, RESEND_MS = 200 };

/* ---- the wire ---- */

static int flush(struct pg *p, struct deadline d, struct err *err)
{
	for (;;) {
		int rc = PQflush(p->conn);
		if (rc == 0)
			return 0;
		if (rc < 0)
			return pg_error_of_connection(p->conn, err);
		/* The server may wait for us to read before it reads on. */
		struct pollfd fd = {.fd = PQsocket(p->conn), .events = POLLIN | POLLOUT};
		if (wait_poll(&fd, 1, d, err) < 0)
			return -1;
		if ((fd.revents & POLLIN) && PQconsumeInput(p->conn) == 0)
			return pg_error_of_connection(p->conn, err);
	}
}

int pg_send(struct pg *p, const char *sql, struct deadline d, struct err *err)
{
	if (PQsendQuery(p->conn, sql) == 0)
		return pg_error_of_connection(p->conn, err);
	return flush(p, d, err);
}

int pg_next_result(struct pg *p, struct deadline d, PGresult **ret, struct err *err)
{
	while (PQisBusy(p->conn)) {
		if (wait_fd(PQsocket(p->conn), POLLIN, d, err) < 0)
			return -1;
		if (PQconsumeInput(p->conn) == 0)
			return pg_error_of_connection(p->conn, err);
	}
	*ret = PQgetResult(p->conn);
	return 0;
}

static void send_cancel(struct pg *p)
{
	char text[256];
	PGcancel *cancel = PQgetCancel(p->conn);
	if (cancel == NULL)
		return;
	PQcancel(cancel, text, sizeof text);
	PQfreeCancel(cancel);
}

/* Reads away what is left of a COPY. False: not all of it came in time, or ever will. */
static bool drain_copy(struct pg *p, struct deadline d)
{
	struct err ignored = ERR_INIT;
	char *row;
	int n;
	while ((n = PQgetCopyData(p->conn, &row, 1)) >= 0) {
		if (n > 0)
			PQfreemem(row);
		else if (wait_fd(PQsocket(p->conn), POLLIN, d, &ignored) < 0 ||
			 PQconsumeInput(p->conn) == 0)
			return false;
	}
	return true;
}

/* Reads away all results. False: not all of them came in time, or ever will. */
static bool drain(struct pg *p, struct deadline d)
{
	struct err ignored = ERR_INIT;
	for (;;) {
		CLEANUP(pg_clearp) PGresult *r = NULL;
		if (pg_next_result(p, d, &r, &ignored) < 0)
			return false;
		if (r == NULL)
			return true;
		if (PQresultStatus(r) == PGRES_COPY_OUT && !drain_copy(p, d))
			return false;
	}
}

void pg_abandon(struct pg *p)
{
	struct deadline end = deadline_in(DRAIN_MS);
	cancel_hold();
	/* A server that has not begun the statement yet forgets a request to cancel it: ask again.
	 */
	while (PQstatus(p->conn) == CONNECTION_OK && deadline_left_ms(end) != 0) {
		send_cancel(p);
		if (drain(p, deadline_min(end, deadline_in(RESEND_MS))))
			break;
	}
	cancel_release();
}

/* ---- statements ---- */

/* Is it the kind of result that a statement ends with? Others leave the connection in COPY. */
static bool is_complete(const PGresult *r)
{
	ExecStatusType s = PQresultStatus(r);
	return s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK || s == PGRES_EMPTY_QUERY;
}

static bool is_copy(const PGresult *r)
{
	ExecStatusType s = PQresultStatus(r);
	return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

/* All results of what was sent: the last one, or the first error. */
static int collect(struct pg *p, struct deadline d, PGresult **ret, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *last = NULL;
	bool failed = false;
	for (;;) {
		CLEANUP(pg_clearp) PGresult *r = NULL;
		if (pg_next_result(p, d, &r, err) < 0) {
			pg_abandon(p);
			return -1;
		}
		if (r == NULL)
			break;
		if (is_copy(r)) {
			if (PQresultStatus(r) == PGRES_COPY_IN)
				PQputCopyEnd(p->conn, "no data");
			pg_abandon(p);
			return err_set(err, ERR_FAILED, "the statement copies data");
		}
		if (!is_complete(r)) {
			if (!failed)
				pg_error_of_result(p->conn, r, err);
			failed = true;
			continue;
		}
		PQclear(last);
		last = r;
		r = NULL;
	}
	if (failed)
		return -1;
	if (last == NULL)
		return err_set(err, ERR_FAILED, "PostgreSQL gave no result");
	if (ret != NULL) {
		*ret = last;
		last = NULL;
	}
	return 0;
}

int pg_query(struct pg *p, const char *sql, struct deadline d, PGresult **ret, struct err *err)
{
	if (pg_send(p, sql, d, err) < 0) {
		pg_abandon(p);
		return -1;
	}
	return collect(p, d, ret, err);
}

int pg_exec(struct pg *p, const char *sql, struct deadline d, struct err *err)
{
	return pg_query(p, sql, d, NULL, err);
}

int pg_query_params(struct pg *p, const char *sql, int count, const char *const *values,
		    bool binary, struct deadline d, PGresult **ret, struct err *err)
{
	if (PQsendQueryParams(p->conn, sql, count, NULL, values, NULL, NULL, binary) == 0)
		return pg_error_of_connection(p->conn, err);
	if (flush(p, d, err) < 0) {
		pg_abandon(p);
		return -1;
	}
	return collect(p, d, ret, err);
}

PRINTF_LIKE(2, 0)
static int format_sql(char **ret, const char *fmt, va_list args, struct err *err)
{
	if (vasprintf(ret, fmt, args) >= 0)
		return 0;
	*ret = NULL;
	return err_nomem(err, "a statement");
}

int pg_queryf(struct pg *p, struct deadline d, PGresult **ret, struct err *err, const char *fmt,
	      ...)
{
	CLEANUP(freep) char *sql = NULL;
	va_list args;
	va_start(args, fmt);
	int rc = format_sql(&sql, fmt, args, err);
	va_end(args);
	return rc < 0 ? -1 : pg_query(p, sql, d, ret, err);
}

int pg_value(struct pg *p, const char *sql, char **ret, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (pg_query(p, sql, DEADLINE_NEVER, &r, err) < 0)
		return -1;
	if (PQntuples(r) != 1 || PQnfields(r) < 1)
		return err_set(err, ERR_FAILED, "one row was expected and %d came", PQntuples(r));
	return str_dup(pg_field(r, 0, 0), ret, err);
}

int pg_valuef(struct pg *p, char **ret, struct err *err, const char *fmt, ...)
{
	CLEANUP(freep) char *sql = NULL;
	va_list args;
	va_start(args, fmt);
	int rc = format_sql(&sql, fmt, args, err);
	va_end(args);
	return rc < 0 ? -1 : pg_value(p, sql, ret, err);
}

const char *pg_field(const PGresult *r, int row, int column)
{
	return PQgetvalue(r, row, column);
}

bool pg_field_is_true(const PGresult *r, int row, int column)
{
	return strcmp(PQgetvalue(r, row, column), "t") == 0;
}

/* ---- quoting ---- */

/* Takes what libpq made. */
static int take_quoted(struct pg *p, char *quoted, char **ret, struct err *err)
{
	if (quoted == NULL)
		return pg_error_of_connection(p->conn, err);
	int rc = str_dup(quoted, ret, err);
	PQfreemem(quoted);
	return rc;
}

int pg_quote_ident(struct pg *p, const char *name, char **ret, struct err *err)
{
	return take_quoted(p, PQescapeIdentifier(p->conn, name, strlen(name)), ret, err);
}

int pg_quote_literal(struct pg *p, const char *text, char **ret, struct err *err)
{
	return take_quoted(p, PQescapeLiteral(p->conn, text, strlen(text)), ret, err);
}

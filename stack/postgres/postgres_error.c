/* What PostgreSQL says when something fails, as our errors. */
#include <stdio.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* One line: runs of blanks and newlines become one blank. */
static void flatten(const char *text, char *out, size_t cap)
{
	size_t n = 0;
	for (; *text != '\0' && n + 1 < cap; text++) {
		bool blank = *text == '\n' || *text == '\r' || *text == '\t' || *text == ' ';
		if (blank && (n == 0 || out[n - 1] == ' '))
			continue;
		out[n++] = blank ? ' ' : *text;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* Appendix A of PostgreSQL's manual; a class when the rest is dots. */
static const struct {
	const char *sqlstate;
	enum err_code code;
	bool retryable;
} states[] = {
    {"28...", ERR_DENIED, false},     /* invalid authorization */
    {"42501", ERR_DENIED, false},     /* insufficient privilege */
    {"3D000", ERR_ABSENT, false},     /* no such database */
    {"3F000", ERR_ABSENT, false},     /* no such schema */
    {"42P01", ERR_ABSENT, false},     /* no such table */
    {"42703", ERR_ABSENT, false},     /* no such column */
    {"42704", ERR_ABSENT, false},     /* no such object */
    {"42883", ERR_ABSENT, false},     /* no such function */
    {"58P01", ERR_ABSENT, false},     /* no such file */
    {"42P04", ERR_EXISTS, false},     /* database */
    {"42P06", ERR_EXISTS, false},     /* schema */
    {"42P07", ERR_EXISTS, false},     /* table */
    {"42710", ERR_EXISTS, false},     /* object */
    {"42723", ERR_EXISTS, false},     /* function */
    {"57014", ERR_TIMEOUT, false},    /* cancelled: by a time limit of the server, or by us */
    {"57P01", ERR_UNREACHABLE, true}, /* shut down by an administrator */
    {"57P02", ERR_UNREACHABLE, true}, /* crash of the server */
    {"57P03", ERR_UNREACHABLE, true}, /* starting, stopping, recovering */
    {"53300", ERR_UNREACHABLE, true}, /* too many connections */
    {"53100", ERR_NOSPACE, false},    /* disk full */
    {"40...", ERR_FAILED, true},      /* serialization, deadlock */
    {"55P03", ERR_FAILED, true},      /* lock not available */
    {"08...", ERR_UNREACHABLE, true}, /* connection */
};

enum err_code pg_error_code(const char *sqlstate, bool *ret_retryable)
{
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strncmp(states[i].sqlstate, sqlstate, strcspn(states[i].sqlstate, ".")) == 0) {
			*ret_retryable = states[i].retryable;
			return states[i].code;
		}
	*ret_retryable = false;
	return ERR_FAILED;
}

static int connection_lost(const char *text, struct err *err)
{
	char flat[1024];
	flatten(text, flat, sizeof flat);
	err_set(err, ERR_UNREACHABLE, "the connection to PostgreSQL was lost: %s", flat);
	err->retryable = true;
	return -1;
}

int pg_error_of_connection(PGconn *conn, struct err *err)
{
	if (PQstatus(conn) == CONNECTION_BAD)
		return connection_lost(PQerrorMessage(conn), err);
	char flat[1024];
	flatten(PQerrorMessage(conn), flat, sizeof flat);
	return err_set(err, ERR_FAILED, "%s", flat);
}

int pg_error_of_result(const PGconn *conn, const PGresult *r, struct err *err)
{
	const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (sqlstate == NULL && PQstatus(conn) == CONNECTION_BAD)
		return connection_lost(PQresultErrorMessage(r), err);
	char primary[1024], detail[768];
	if (sqlstate == NULL) {
		flatten(PQresultErrorMessage(r), primary, sizeof primary);
		return err_set(err, ERR_FAILED, "%s", primary);
	}
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *more = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
	bool retryable;
	flatten(text != NULL ? text : "", primary, sizeof primary);
	flatten(more != NULL ? more : "", detail, sizeof detail);
	err_set(err, pg_error_code(sqlstate, &retryable), "%s (%s)%s%s", primary, sqlstate,
		detail[0] != '\0' ? ", DETAIL: " : "", detail);
	err->retryable = retryable;
	if (hint != NULL) {
		char flat[ERR_HINT_BYTES];
		flatten(hint, flat, sizeof flat);
		err_hint(err, "%s", flat);
	}
	return -1;
}

/* ---- logging in ---- */

/* In a verbose message, "FATAL:  28P01: password …": where the five characters are, or NULL. */
static const char *find_sqlstate(const char *text)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p += 3)
		if (strspn(p + 3, digits) == 5 && strncmp(p + 8, ": ", 2) == 0)
			return p + 3;
	return NULL;
}

/* The verbose message as a sentence: without the place in the server's source, the SQLSTATE in
 * parentheses, and without libpq's "connection to server at … failed:" when it is one line. */
static void login_text(const char *verbose, char *out, size_t cap)
{
	char kept[2048];
	size_t n = 0;
	for (const char *line = verbose; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		if (strncmp(line, "LOCATION:", 9) != 0 && n + len + 2 < sizeof kept) {
			memcpy(kept + n, line, len);
			n += len;
			kept[n++] = '\n';
		}
		line += len + (line[len] == '\n');
	}
	kept[n] = '\0';
	const char *start = kept, *failed = strstr(kept, " failed: ");
	if (strncmp(kept, "connection to server", 20) == 0 && failed != NULL &&
	    strstr(failed + 1, " failed: ") == NULL)
		start = failed + 9;
	const char *state = find_sqlstate(start);
	char edited[2048 + 16];
	if (state != NULL && strstr(state + 7, ":  ") == NULL) {
		size_t line = strcspn(state, "\n");
		snprintf(edited, sizeof edited, "%.*s%.*s (%.5s)%s", (int)(state - start), start,
			 (int)(line - 7), state + 7, state, state + line);
	} else {
		snprintf(edited, sizeof edited, "%s", start);
	}
	flatten(edited, out, cap);
}

/* PgBouncer 1.18 sends 08P01 for whatever it refuses: only its words tell. */
static enum err_code login_code(PGconn *conn, const char *text, bool *ret_retryable)
{
	const char *state = find_sqlstate(text);
	*ret_retryable = true;
	if (strstr(text, "no such database") != NULL) {
		*ret_retryable = false;
		return ERR_ABSENT;
	}
	if (PQconnectionNeedsPassword(conn) || strstr(text, "password authentication failed") ||
	    strstr(text, "no such user") || strstr(text, "SASL authentication failed")) {
		*ret_retryable = false;
		return ERR_DENIED;
	}
	if (state == NULL)
		return ERR_UNREACHABLE;
	enum err_code code = pg_error_code(state, ret_retryable);
	return code == ERR_FAILED ? ERR_UNREACHABLE : code;
}

static void login_hint(PGconn *conn, enum err_code code, const char *text, bool plain,
		       struct err *err)
{
	const char *section = plain ? "pgbouncer" : "postgres";
	if (PQconnectionNeedsPassword(conn))
		err_hint(err, "Put the password into [%s] url.", section);
	else if (strstr(text, "pg_hba.conf") != NULL)
		err_hint(err, "Let this address, user and database in by the server's "
			      "pg_hba.conf.");
	else if (strstr(text, "Peer authentication") != NULL)
		err_hint(err,
			 "On its socket the server goes by the system's user: run it as that user "
			 "(runuser -u NAME -- lifeboat ...), or put a password and the server's "
			 "address into [%s] url.",
			 section);
	else if (code == ERR_DENIED)
		err_hint(err, "Check user and password in [%s] url.", section);
	else if (code == ERR_ABSENT)
		err_hint(err, "Check the database's name in [%s] url.", section);
	else if (strstr(text, "translate host name") != NULL)
		err_hint(err, "Check the host's name in [%s] url.", section);
	else if (strstr(text, "53300") != NULL)
		err_hint(err, "Try later, or raise the server's max_connections.");
	else if (strstr(text, "Connection refused") != NULL || strstr(text, "No such file") != NULL)
		err_hint(err, "Check that the server runs, and host and port in [%s] url.",
			 section);
}

int pg_error_of_login(PGconn *conn, bool plain, struct err *err)
{
	const char *verbose = PQerrorMessage(conn);
	char text[1024];
	bool retryable;
	login_text(verbose, text, sizeof text);
	enum err_code code = login_code(conn, verbose, &retryable);
	err_set(err, code, "%s", text);
	err->retryable = retryable;
	login_hint(conn, code, text, plain, err);
	return -1;
}

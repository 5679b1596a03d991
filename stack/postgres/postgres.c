/*
 * Connecting to PostgreSQL, and the session that it makes.
 *
 * libpq's own connect_timeout is only kept by its blocking calls, so the waiting is done here. The
 * one thing that can't be interrupted is the look-up of a host name, which libpq leaves to the
 * resolver and the resolver's own limits.
 */
#include "stack/postgres/postgres.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "stack/postgres/postgres_impl.h"

/* These must hold before the first statement: a role may have limits of a millisecond. */
static const char no_limits[] = "-c statement_timeout=0 -c lock_timeout=0 "
				"-c idle_in_transaction_session_timeout=0";

/* As pg_dump's setup_connection has it, and what it leaves to the role's defaults. */
static const char session_sql[] = "SELECT pg_catalog.set_config('search_path', '', false);"
				  "SET datestyle = ISO;"
				  "SET intervalstyle = postgres;"
				  "SET extra_float_digits = 3;"
				  "SET synchronize_seqscans = off;"
				  "SET row_security = off;"
				  "SET quote_all_identifiers = off;"
				  "SET standard_conforming_strings = on;"
				  "SET timezone = 'UTC';"
				  "SET bytea_output = hex;"
				  "SET default_transaction_read_only = off;"
				  "SET default_transaction_isolation = 'read committed';"
				  "SET jit = off";

/* Arguments of PQconnectStartParams: strings are borrowed. */
struct params {
	const char *keys[96], *values[96];
	size_t count;
};

static int set_param(struct params *a, const char *key, const char *value, struct err *err)
{
	if (value == NULL)
		return 0;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->keys[i], key) == 0) {
			a->values[i] = value;
			return 0;
		}
	if (a->count + 1 >= sizeof a->keys / sizeof *a->keys)
		return err_set(err, ERR_CONFIG, "the url of PostgreSQL has too many options");
	a->keys[a->count] = key;
	a->values[a->count++] = value;
	return 0;
}

static void hear_notice(void *ctx, const PGresult *r)
{
	(void)ctx;
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	log_debug("PostgreSQL: %s", text != NULL ? text : PQresultErrorMessage(r));
}

/* ---- one attempt ---- */

static int no_answer(bool plain, struct err *err)
{
	err_set(err, ERR_UNREACHABLE, "no answer in time");
	err->retryable = true;
	return err_hint(err,
			"Check host and port in [%s] url, the firewalls on the way, and the "
			"server's load.",
			plain ? "pgbouncer" : "postgres");
}

static int poll_connection(PGconn *conn, struct deadline d, bool plain, struct err *err)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	while (next != PGRES_POLLING_OK) {
		if (next == PGRES_POLLING_FAILED)
			return pg_error_of_login(conn, plain, err);
		if (PQsocket(conn) < 0)
			return pg_error_of_login(conn, plain, err);
		short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		if (wait_fd(PQsocket(conn), events, d, err) < 0)
			return err->code == ERR_TIMEOUT ? no_answer(plain, err) : -1;
		next = PQconnectPoll(conn);
	}
	return 0;
}

static int name_attempt(PGconn *conn, struct err *err)
{
	const char *host = PQhost(conn), *port = PQport(conn), *user = PQuser(conn);
	const char *db = PQdb(conn);
	return err_wrap(err, "can't connect to PostgreSQL at '%s:%s' as '%s' (database '%s')",
			host != NULL ? host : "", port != NULL ? port : "",
			user != NULL ? user : "", db != NULL ? db : "");
}

/* Poolers refuse the `options` of a start packet; PostgreSQL never does. */
static bool refused_options(const struct err *err)
{
	return strstr(err->msg, "unsupported startup parameter") != NULL;
}

static int attempt(const struct params *a, bool plain, struct deadline d, PGconn **ret,
		   struct err *err)
{
	const char *keys[96], *values[96];
	memcpy(keys, a->keys, sizeof keys);
	memcpy(values, a->values, sizeof values);
	keys[a->count] = values[a->count] = NULL;
	PGconn *conn = PQconnectStartParams(keys, values, 0);
	if (conn == NULL)
		return err_nomem(err, "a connection to PostgreSQL");
	/* So that the SQLSTATE of a refused login can be read. */
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(conn, hear_notice, NULL);
	int rc = PQstatus(conn) == CONNECTION_BAD ? pg_error_of_login(conn, plain, err)
						  : poll_connection(conn, d, plain, err);
	if (rc < 0) {
		name_attempt(conn, err);
		PQfinish(conn);
		return -1;
	}
	PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	*ret = conn;
	return 0;
}

/* ---- hosts ---- */

/* libpq would spend all the time on the first host that does not answer: each gets its share. */
static int attempt_hosts(struct params *a, const PQconninfoOption *url, bool plain,
			 struct deadline d, PGconn **ret, struct err *err)
{
	const char *host = pg_url_get(url, "host"), *hostaddr = pg_url_get(url, "hostaddr");
	const char *port = pg_url_get(url, "port");
	const char *wanted = pg_url_get(url, "target_session_attrs");
	size_t hosts = pg_url_items(hostaddr != NULL ? hostaddr : host);
	/* This one needs to know all hosts at once. */
	if (wanted != NULL && strcmp(wanted, "prefer-standby") == 0)
		hosts = 1;
	if (hosts == 1)
		return attempt(a, plain, d, ret, err);
	struct err first = ERR_INIT;
	for (size_t i = 0; i < hosts; i++) {
		CLEANUP(freep) char *one_host = NULL, *one_addr = NULL, *one_port = NULL;
		if ((host != NULL && pg_url_item(host, i, &one_host, err) < 0) ||
		    (hostaddr != NULL && pg_url_item(hostaddr, i, &one_addr, err) < 0) ||
		    (port != NULL && pg_url_item(port, i, &one_port, err) < 0) ||
		    set_param(a, "host", one_host, err) < 0 ||
		    set_param(a, "hostaddr", one_addr, err) < 0 ||
		    set_param(a, "port", one_port, err) < 0)
			return -1;
		int64_t left = deadline_left_ms(d);
		int64_t share = left == INT64_MAX ? -1 : left / (int64_t)(hosts - i);
		int rc = attempt(a, plain, deadline_in(share), ret, err);
		if (rc == 0 || err->code != ERR_UNREACHABLE)
			return rc;
		if (i == 0)
			first = *err;
	}
	char last[ERR_MSG_BYTES];
	memcpy(last, err->msg, sizeof last);
	*err = first;
	return err_wrap(err, "%s; and", last);
}

/* ---- the session ---- */

static int find_pooler(struct pg *p, struct deadline d, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (pg_query(p, "SELECT pg_catalog.pg_backend_pid()", d, &r, err) < 0)
		return -1;
	p->pooled = strtol(pg_field(r, 0, 0), NULL, 10) != PQbackendPID(p->conn);
	p->pooled_known = true;
	return 0;
}

static int set_session(struct pg *p, struct deadline d, struct err *err)
{
	if (find_pooler(p, d, err) < 0)
		return -1;
	/* What is set through a pooler stays on a connection that others get next. */
	if (p->pooled)
		return 0;
	char sql[2048];
	int version = pg_server_version(p);
	snprintf(sql, sizeof sql, "%s%s%s", session_sql,
		 version >= 140000 ? "; SET idle_session_timeout = 0" : "",
		 version >= 170000 ? "; SET transaction_timeout = 0" : "");
	return pg_exec(p, sql, d, err);
}

/* ---- putting it together ---- */

static int collect_params(const struct pg_opts *opts, const PQconninfoOption *url,
			  const char *dbname, const char *user_timeout, struct params *a,
			  struct err *err)
{
	/* A server that vanishes without a word must not be waited for without end; what the url
	 * says comes after these and wins. */
	if (set_param(a, "fallback_application_name", "lifeboat", err) < 0 ||
	    set_param(a, "keepalives_idle", "30", err) < 0 ||
	    set_param(a, "keepalives_interval", "10", err) < 0 ||
	    set_param(a, "keepalives_count", "6", err) < 0 ||
	    set_param(a, "tcp_user_timeout", user_timeout, err) < 0)
		return -1;
	for (const PQconninfoOption *o = url; o->keyword != NULL; o++)
		if (o->val != NULL && set_param(a, o->keyword, o->val, err) < 0)
			return -1;
	if (!opts->plain && set_param(a, "client_encoding", "UTF8", err) < 0)
		return -1;
	return set_param(a, "dbname", dbname, err);
}

static int open_connection(const struct pg_opts *opts, const char *dbname, struct deadline d,
			   struct pg *p, struct err *err)
{
	CLEANUP(pg_url_freep) PQconninfoOption *url = NULL;
	CLEANUP(freep) char *options = NULL;
	struct params a = {.count = 0};
	char user_timeout[24];
	int64_t left = deadline_left_ms(d);
	snprintf(user_timeout, sizeof user_timeout, "%lld",
		 left < 3600000 ? (long long)left : 3600000LL);
	if (pg_url_parse(opts->url, &url, err) < 0 ||
	    collect_params(opts, url, dbname, user_timeout, &a, err) < 0)
		return -1;
	if (opts->plain)
		return attempt_hosts(&a, url, true, d, &p->conn, err);
	const char *own = pg_url_get(url, "options");
	struct params without = a;
	if (str_printf(&options, err, "%s%s%s", own != NULL ? own : "", own != NULL ? " " : "",
		       no_limits) < 0 ||
	    set_param(&a, "options", options, err) < 0)
		return -1;
	if (attempt_hosts(&a, url, false, d, &p->conn, err) == 0)
		return 0;
	if (!refused_options(err))
		return -1;
	err_clear(err);
	return attempt_hosts(&without, url, false, d, &p->conn, err);
}

int pg_connect(const struct pg_opts *opts, const char *dbname, struct pg **ret, struct err *err)
{
	CLEANUP(pg_freep) struct pg *p = mem_zalloc(sizeof *p, "a connection", err);
	if (p == NULL)
		return -1;
	p->plain = opts->plain;
	struct deadline d = deadline_in(opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms
								      : PG_DEFAULT_TIMEOUT_MS);
	if (open_connection(opts, dbname, d, p, err) < 0)
		return -1;
	if (PQsetnonblocking(p->conn, 1) != 0)
		return pg_error_of_connection(p->conn, err);
	if (!p->plain && set_session(p, d, err) < 0) {
		/* A pooler lets clients in and then waits for its server. */
		if (err->code == ERR_TIMEOUT)
			no_answer(p->plain, err);
		return name_attempt(p->conn, err);
	}
	*ret = p;
	p = NULL;
	return 0;
}

void pg_free(struct pg *p)
{
	if (p == NULL)
		return;
	if (p->conn != NULL)
		PQfinish(p->conn);
	free(p);
}

int pg_server_version(const struct pg *p)
{
	return PQserverVersion(p->conn);
}

unsigned pg_server_major(const struct pg *p)
{
	return (unsigned)PQserverVersion(p->conn) / 10000;
}

int pg_is_pooled(struct pg *p, bool *ret, struct err *err)
{
	if (!p->pooled_known && find_pooler(p, DEADLINE_NEVER, err) < 0)
		return -1;
	*ret = p->pooled;
	return 0;
}

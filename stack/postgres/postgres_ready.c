/* Waiting for a server that starts. */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

enum { FIRST_PAUSE_MS = 25, LONGEST_PAUSE_MS = 500, SECOND_LOOK_MS = 1000 };

/* The entry point of PostgreSQL's image runs its scripts on a temporary server, which listens on
 * the socket alone. One that we reach by TCP is not it; one that is reached by its socket and does
 * not listen anywhere else is looked at twice. */
static int is_final(struct pg *p, bool *ret, struct err *err)
{
	const char *host = PQhost(p->conn);
	CLEANUP(freep) char *addresses = NULL, *before = NULL, *after = NULL;
	*ret = true;
	if (host != NULL && host[0] != '/' && host[0] != '@' && host[0] != '\0')
		return 0;
	if (pg_value(p, "SELECT pg_catalog.current_setting('listen_addresses')", &addresses, err) <
	    0)
		return -1;
	if (addresses[0] != '\0')
		return 0;
	static const char started[] = "SELECT pg_catalog.pg_postmaster_start_time()";
	if (pg_value(p, started, &before, err) < 0 || wait_ms(SECOND_LOOK_MS, err) < 0 ||
	    pg_value(p, started, &after, err) < 0)
		return -1;
	*ret = strcmp(before, after) == 0;
	return 0;
}

static int try_once(const struct pg_opts *opts, const char *dbname, struct deadline d,
		    struct pg **ret, bool *ret_final, struct err *err)
{
	CLEANUP(pg_freep) struct pg *p = NULL;
	struct pg_opts one = *opts;
	int64_t left = deadline_left_ms(d);
	if (one.connect_timeout_ms == 0)
		one.connect_timeout_ms = PG_DEFAULT_TIMEOUT_MS;
	if (one.connect_timeout_ms < 0 || one.connect_timeout_ms > left)
		one.connect_timeout_ms = left == INT64_MAX ? -1 : left > 0 ? left : 1;
	if (pg_connect(&one, dbname, &p, err) < 0)
		return -1;
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (pg_query(p, "SELECT 1", d, &r, err) < 0 || is_final(p, ret_final, err) < 0)
		return -1;
	*ret = p;
	p = NULL;
	return 0;
}

/* What waiting does not mend. */
static bool is_hopeless(const struct err *err)
{
	return err->code == ERR_CANCELLED || err->code == ERR_CONFIG || err->code == ERR_DENIED ||
	       err->code == ERR_ABSENT || err->code == ERR_NOMEM;
}

int pg_wait_ready(const struct pg_opts *opts, const char *dbname,
		  int (*alive)(void *ctx, struct err *err), void *ctx, struct deadline d,
		  struct pg **ret, struct err *err)
{
	int64_t pause = FIRST_PAUSE_MS;
	for (;;) {
		CLEANUP(pg_freep) struct pg *p = NULL;
		bool final = false;
		if (alive != NULL && alive(ctx, err) < 0)
			return -1;
		err_clear(err);
		int rc = try_once(opts, dbname, d, &p, &final, err);
		if (rc == 0 && final) {
			*ret = p;
			p = NULL;
			return 0;
		}
		if (rc < 0 && is_hopeless(err))
			return -1;
		if (deadline_left_ms(d) == 0) {
			char last[ERR_MSG_BYTES];
			memcpy(last, err->msg, sizeof last);
			err_set(err, ERR_TIMEOUT, "PostgreSQL is not ready: %s",
				last[0] != '\0' ? last : "its start is not finished");
			return -1;
		}
		int64_t left = deadline_left_ms(d);
		struct err cancelled = ERR_INIT;
		if (wait_ms(pause < left ? pause : left, &cancelled) < 0) {
			*err = cancelled;
			return -1;
		}
		pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
	}
}

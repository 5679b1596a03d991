/* What PgBouncer says about itself: its admin console speaks the simple protocol alone. */
#include "stack/pgbouncer/pgbouncer.h"

#include <string.h>
#include "stack/postgres/postgres.h"

static int denied_by_console(struct err *err)
{
	/* "not allowed" is what it answers a login of anyone else. */
	if (strstr(err->msg, "not allowed") == NULL && strstr(err->msg, "admin access") == NULL)
		return -1;
	err->code = ERR_DENIED;
	err->retryable = false;
	return err_hint(err, "Add the user of [pgbouncer] url to stats_users or admin_users in "
			     "pgbouncer.ini, or set [pgbouncer] admin_url.");
}

static json_t *cell(const PGresult *r, int row, int column)
{
	return PQgetisnull(r, row, column) ? json_null()
					   : json_text_value(PQgetvalue(r, row, column));
}

static int ask(struct pg *console, const char *sql, struct deadline d, PGresult **ret,
	       struct err *err)
{
	if (pg_query(console, sql, d, ret, err) < 0) {
		err_wrap(err, "PgBouncer's %s", sql);
		return denied_by_console(err);
	}
	return 0;
}

/* Rows as objects. Passwords are left out, whatever a version may call the column. */
static int put_rows(struct pg *console, const char *sql, const char *key, json_t *to,
		    struct deadline d, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	CLEANUP(json_freep) json_t *rows = json_array();
	if (rows == NULL)
		return err_nomem(err, "an answer of PgBouncer");
	if (ask(console, sql, d, &r, err) < 0)
		return -1;
	for (int row = 0; row < PQntuples(r); row++) {
		CLEANUP(json_freep) json_t *object = json_object();
		if (object == NULL)
			return err_nomem(err, "an answer of PgBouncer");
		for (int c = 0; c < PQnfields(r); c++)
			if (strstr(PQfname(r, c), "password") == NULL &&
			    json_put(object, PQfname(r, c), cell(r, row, c), err) < 0)
				return -1;
		if (json_push(rows, json_incref(object), err) < 0)
			return -1;
	}
	return json_put(to, key, json_incref(rows), err);
}

static int column_of(const PGresult *r, const char *name, int otherwise)
{
	int c = PQfnumber(r, name);
	return c >= 0 ? c : otherwise;
}

static int put_config(struct pg *console, json_t *to, struct deadline d, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (ask(console, "SHOW CONFIG", d, &r, err) < 0)
		return -1;
	int key = column_of(r, "key", 0), value = column_of(r, "value", 1);
	for (int row = 0; row < PQntuples(r) && value < PQnfields(r); row++)
		if (json_put(to, PQgetvalue(r, row, key), cell(r, row, value), err) < 0)
			return -1;
	return 0;
}

static int put_version(struct pg *console, json_t *to, struct deadline d, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (ask(console, "SHOW VERSION", d, &r, err) < 0)
		return -1;
	bool has = PQntuples(r) > 0 && PQnfields(r) > 0;
	return json_put(to, "version", has ? cell(r, 0, 0) : json_null(), err);
}

int pgbouncer_describe(const struct pgbouncer_opts *opts, json_t **ret, struct err *err)
{
	CLEANUP(pg_freep) struct pg *console = NULL;
	CLEANUP(json_freep) json_t *made = json_object();
	if (made == NULL)
		return err_nomem(err, "an answer of PgBouncer");
	struct pg_opts to = {.url = opts->admin_url != NULL ? opts->admin_url : opts->url,
			     .connect_timeout_ms = opts->connect_timeout_ms,
			     .plain = true};
	if (pg_connect(&to, "pgbouncer", &console, err) < 0) {
		err_wrap(err, "PgBouncer's console");
		return denied_by_console(err);
	}
	struct deadline d =
	    deadline_in(opts->connect_timeout_ms > 0 ? opts->connect_timeout_ms : 20000);
	if (put_version(console, made, d, err) < 0 || put_config(console, made, d, err) < 0 ||
	    put_rows(console, "SHOW DATABASES", "databases", made, d, err) < 0 ||
	    put_rows(console, "SHOW POOLS", "pools", made, d, err) < 0)
		return -1;
	*ret = made;
	made = NULL;
	return 0;
}

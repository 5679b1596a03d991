/* How pg_dump, pg_dumpall and pg_restore are told where the server is: by their environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* What a role's defaults would change in the tools' output or end in their midst. pg_dump sets most
 * of it itself, but not bytea_output and not before its first statement. Nothing that servers from
 * 13 on don't know: they would refuse the connection. */
static const char tool_options[] =
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 "
    "-c bytea_output=hex -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 "
    "-c quote_all_identifiers=off -c standard_conforming_strings=on "
    "-c default_transaction_read_only=off";

/* Taken care of by name below, or not for tools. */
static bool is_own_affair(const char *keyword)
{
	static const char *const names[] = {"dbname", "options", "connect_timeout",
					    "application_name", "client_encoding"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(keyword, names[i]) == 0)
			return true;
	return false;
}

/* What the agent's own environment would say about a server that the url does not say. */
static int unset_misleading(const PQconninfoOption *url, struct strlist *env, struct err *err)
{
	static const struct {
		const char *keyword, *variable;
	} misleading[] = {
	    {"service", "PGSERVICE"},
	    {"hostaddr", "PGHOSTADDR"},
	    {"target_session_attrs", "PGTARGETSESSIONATTRS"},
	    {"load_balance_hosts", "PGLOADBALANCEHOSTS"},
	    {"", "PGDATABASE"},
	    {"", "PGCLIENTENCODING"},
	    {"", "PGDATESTYLE"},
	    {"", "PGGEQO"},
	    {"", "PGREQUIREPEER"},
	};
	for (size_t i = 0; i < sizeof misleading / sizeof *misleading; i++)
		if (pg_url_get(url, misleading[i].keyword) == NULL &&
		    strlist_push(env, misleading[i].variable, err) < 0)
			return -1;
	return 0;
}

static int push_url(const PQconninfoOption *url, struct strlist *env, struct err *err)
{
	for (const PQconninfoOption *o = url; o->keyword != NULL; o++) {
		if (o->val == NULL || o->val[0] == '\0' || is_own_affair(o->keyword))
			continue;
		if (o->envvar != NULL) {
			if (strlist_pushf(env, err, "%s=%s", o->envvar, o->val) < 0)
				return -1;
		} else if (strcmp(o->keyword, "sslpassword") == 0) {
			err_set(err, ERR_CONFIG,
				"the url of PostgreSQL has 'sslpassword', which can't be handed to "
				"pg_dump");
			return err_hint(err, "Use a key file without a passphrase.");
		}
	}
	return 0;
}

int pg_tool_env(const struct pg_opts *opts, struct strlist *ret, struct err *err)
{
	CLEANUP(pg_url_freep) PQconninfoOption *url = NULL;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	if (pg_url_parse(opts->url, &url, err) < 0)
		return -1;
	int64_t ms =
	    opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms : PG_DEFAULT_TIMEOUT_MS;
	/* libpq takes whole seconds; 0 means no limit. */
	int64_t seconds = ms < 0 ? 0 : (ms + 999) / 1000;
	const char *name = pg_url_get(url, "application_name"), *own = pg_url_get(url, "options");
	if (push_url(url, &env, err) < 0 || unset_misleading(url, &env, err) < 0 ||
	    strlist_pushf(&env, err, "PGAPPNAME=%s", name != NULL ? name : "lifeboat") < 0 ||
	    strlist_pushf(&env, err, "PGCONNECT_TIMEOUT=%lld", (long long)seconds) < 0 ||
	    strlist_push(&env, "PGTZ=UTC", err) < 0 ||
	    strlist_pushf(&env, err, "PGOPTIONS=%s%s%s", own != NULL ? own : "",
			  own != NULL ? " " : "", tool_options) < 0)
		return -1;
	*ret = env;
	env = (struct strlist){0};
	return 0;
}

void pg_tool_env_done(struct strlist *env)
{
	secret_wipe_list(env);
}

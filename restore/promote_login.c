/*
 * The application's own way in, after production has moved. A health check seldom asks for a
 * password; roles have those of the time of the backup, and the application those of today.
 */
#include <string.h>
#include "base/clock.h"
#include "base/secret.h"
#include "restore/promote_impl.h"
#include "stack/postgres/postgres.h"
#include "stack/redis/redis.h"

enum { RETRY_MS = 500, DENIED_MS = 20000 };

static bool moved(const json_t *plan, const char *component)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(plan, "volumes"), i, v)
	{
		if (strcmp(json_str_or(v, "component", ""), component) == 0)
			return true;
	}
	return false;
}

/* *ret false: its server does not run, and did not before. */
static int find_address(const struct promote_job *job, const char *component, const char *host,
			char **ret_address, bool *ret, struct err *err)
{
	struct err why = ERR_INIT;
	*ret_address = NULL;
	*ret = true;
	if (host == NULL || engine_address(job->engine, component, host, ret_address, &why) == 0)
		return 0;
	if (why.code == ERR_ABSENT) {
		*ret = false;
		return 0;
	}
	*err = why;
	return -1;
}

/* The pooler keeps trying for a while to reach a server that has just come back, and may say that
 * it was refused meanwhile. */
static int ask_sql(const struct promote_job *job, const char *url, bool pooled, struct err *err)
{
	struct pg_opts opts = {
	    .url = url, .connect_timeout_ms = job->connect_timeout_ms, .plain = pooled};
	struct deadline d = deadline_in(job->ready_ms), denied = deadline_in(DENIED_MS);
	for (;;) {
		CLEANUP(pg_freep) struct pg *pg = NULL;
		struct err why = ERR_INIT;
		if (pg_connect(&opts, NULL, &pg, &why) == 0 &&
		    pg_exec(pg, "SELECT 1", deadline_in(job->connect_timeout_ms), &why) == 0)
			return 0;
		if (why.code == ERR_CANCELLED || deadline_left_ms(d) == 0 ||
		    (why.code == ERR_DENIED && deadline_left_ms(denied) == 0)) {
			*err = why;
			return -1;
		}
		if (wait_ms(RETRY_MS, err) < 0)
			return -1;
	}
}

static int log_in_sql(const struct promote_job *job, const char *component, const char *url,
		      bool *ret, struct err *err)
{
	CLEANUP(freep) char *host = NULL, *address = NULL;
	char *there = NULL;
	if (pg_url_host(url, &host, err) < 0 ||
	    find_address(job, component, host, &address, ret, err) < 0)
		return -1;
	if (!*ret)
		return 0;
	if (address != NULL && pg_url_at(url, address, &there, err) < 0)
		return -1;
	int rc =
	    ask_sql(job, there != NULL ? there : url, strcmp(component, "pgbouncer") == 0, err);
	secret_wipe(there);
	return rc;
}

static int log_in_redis(const struct promote_job *job, bool *ret, struct err *err)
{
	CLEANUP(freep) char *address = NULL;
	CLEANUP(redisdoor_freep) struct redisdoor *door = NULL;
	if (find_address(job, "redis", "redis", &address, ret, err) < 0)
		return -1;
	if (!*ret)
		return 0;
	struct redis_opts opts = {.url = job->redis_url,
				  .address = address,
				  .connect_timeout_ms = job->connect_timeout_ms};
	return redisdoor_wait_ready(&opts, NULL, NULL, deadline_in(job->ready_ms), &door, err);
}

static int refused(const json_t *plan, const char *component, struct err *err)
{
	err_wrap(err, "login to %s with the password of the configuration", component);
	if (err->code != ERR_DENIED)
		return -1;
	return err_hint(err,
			"Passwords came along with the data of %s: the application would be "
			"refused as well.",
			json_str_or(plan, "data_from", "then"));
}

int promote_log_in(const struct promote_job *job, json_t *plan, struct err *err)
{
	const struct {
		const char *component, *url;
		bool wanted;
	} all[] = {
	    {"postgres", job->postgres_url, moved(plan, "postgres")},
	    {"redis", job->redis_url, moved(plan, "redis")},
	    {"pgbouncer", job->pgbouncer_url, moved(plan, "postgres") || moved(plan, "pgbouncer")}};
	json_t *logins = json_array();
	if (json_put(plan, "logins", logins, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const char *component = all[i].component;
		bool asked = false;
		if (all[i].url == NULL || !all[i].wanted)
			continue;
		int rc = strcmp(component, "redis") == 0
			     ? log_in_redis(job, &asked, err)
			     : log_in_sql(job, component, all[i].url, &asked, err);
		if (rc < 0)
			return refused(plan, component, err);
		if (asked && json_push(logins, json_string(component), err) < 0)
			return -1;
	}
	return 0;
}

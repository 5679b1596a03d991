/* Production's services: stopped, started again, watched until they are healthy. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "stack/compose/engine_docker_promote.h"

enum {
	/* A database writes everything out before it ends; Docker kills it after this. */
	STOP_SECONDS = 300,
	HEARD_MS = 10000, /* after that the signal is taken for lost */
	POLL_MS = 500,
	STEADY_MS = 2000, /* a service without a health check has run that long without a break */
	LOG_LINES = 8,
	LOG_BYTES = 1 << 16,
	SHOWN_BYTES = 900
};

/* ---- stop ---- */

static bool is_touched(const json_t *plan, const json_t *container)
{
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		if (promote_mounts(container, plan_str(pair, "of")) ||
		    promote_mounts(container, plan_str(pair, "current")) ||
		    promote_mounts(container, plan_str(pair, "from")))
			return true;
	}
	return false;
}

static bool runs_still(struct engine_docker *e, const char *id)
{
	CLEANUP(json_freep) json_t *c = NULL;
	struct err ignored = ERR_INIT;
	return docker_get(e->d, &c, &ignored, "/containers/%s/json", id) == 0 &&
	       json_is_true(json_object_get(json_object_get(c, "State"), "Running"));
}

/* The kernel drops a signal that process 1 has no handler for: a server that was started a moment
 * ago is still its image's shell script, and would not hear that it is to end. So the signal comes
 * first without Docker's patience, and then once more with it. */
static int ask_to_end(struct engine_docker *e, const char *id, struct err *err)
{
	CLEANUP(json_freep) json_t *c = NULL;
	struct err ignored = ERR_INIT;
	if (docker_get(e->d, &c, &ignored, "/containers/%s/json", id) < 0)
		return 0;
	const char *set = plan_str(json_object_get(c, "Config"), "StopSignal");
	if (docker_post(e->d, NULL, NULL, &ignored, "/containers/%s/kill?signal=%s", id,
			set[0] != '\0' ? set : "SIGTERM") < 0)
		return 0;
	for (struct deadline d = deadline_in(HEARD_MS);
	     deadline_left_ms(d) > 0 && runs_still(e, id);)
		if (wait_ms(POLL_MS / 5, err) < 0)
			return -1;
	return 0;
}

static int stop_container(struct engine_docker *e, const char *id, const char *name,
			  struct err *err)
{
	struct err why = ERR_INIT;
	if (ask_to_end(e, id, err) < 0)
		return -1;
	if (docker_post(e->d, NULL, NULL, &why, "/containers/%s/stop?t=%d", id, STOP_SECONDS) ==
		0 ||
	    why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return err_wrap(err, "stop of container '%s'", name);
}

/* A paused container can't end in order. */
static int wake(struct engine_docker *e, const json_t *c, struct err *err)
{
	if (strcmp(plan_str(c, "State"), "paused") != 0)
		return 0;
	if (docker_post(e->d, NULL, NULL, err, "/containers/%s/unpause", plan_str(c, "Id")) < 0)
		return err_wrap(err, "container '%s'", docker_container_name(c));
	return 0;
}

/* Where the service of a container stands in the plan's order; what the plan does not know, such as
 * a container that somebody has made anew, comes first. */
static json_int_t rank_in(const json_t *plan, const json_t *container)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(plan, "services"), i, s)
	{
		if (strcmp(plan_str(s, "service"), promote_label(container, COMPOSE_SERVICE)) == 0)
			return json_integer_value(json_object_get(s, "rank"));
	}
	return INT32_MAX;
}

static int stop_highest(struct engine_docker *e, const json_t *plan, bool *ret_stopped,
			struct err *err)
{
	CLEANUP(json_freep) json_t *all = NULL;
	const json_t *best = NULL;
	size_t i;
	json_t *c;
	if (promote_containers(e, &all, err) < 0)
		return -1;
	json_array_foreach(all, i, c)
	{
		if (promote_holds(c) && promote_is_service(e, c) && is_touched(plan, c) &&
		    (best == NULL || rank_in(plan, c) > rank_in(plan, best)))
			best = c;
	}
	*ret_stopped = best != NULL;
	if (best == NULL)
		return 0;
	if (wake(e, best, err) < 0)
		return -1;
	return stop_container(e, plan_str(best, "Id"), docker_container_name(best), err);
}

/* The sandbox's network, when nobody is left on it: Docker refuses otherwise. */
static int end_networks(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(json_freep) json_t *filters = NULL;
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(freep) char *query = NULL, *run = NULL;
	size_t i;
	json_t *n;
	if (str_printf(&run, err, LABEL_RUN "=%s", plan_str(plan, "source")) < 0)
		return -1;
	filters = json_pack("{s:[s]}", "label", run);
	if (filters == NULL)
		return err_nomem(err, "a list of networks");
	if (docker_filters(filters, &query, err) < 0 ||
	    docker_get(e->d, &list, err, "/networks%s", query) < 0)
		return err_wrap(err, "list of networks");
	json_array_foreach(list, i, n)
	{
		struct err why = ERR_INIT;
		if (strcmp(promote_label(n, LABEL_STACK), e->stack) == 0 &&
		    docker_delete(e->d, &why, "/networks/%s", plan_str(n, "Id")) < 0)
			log_debug("network '%s': %s", plan_str(n, "Name"), why.msg);
	}
	return 0;
}

/* Servers that `restore --up` left are thrown away: their volumes are handed over. */
static int end_servers(struct engine_docker *e, const json_t *plan, struct err *err)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(plan, "servers"), i, s)
	{
		const char *id = plan_str(s, "container"), *name = plan_str(s, "name");
		if (stop_container(e, id, name, err) < 0)
			return -1;
		if (docker_delete(e->d, err, "/containers/%s?force=1&v=1", id) < 0)
			return err_wrap(err, "container '%s'", name);
	}
	return i > 0 ? end_networks(e, plan, err) : 0;
}

int promote_stop(struct engine_docker *e, const json_t *plan, struct err *err)
{
	/* A service that comes back by itself as often as it is stopped is somebody else's will. */
	enum { ROUNDS_MAX = 64 };
	bool stopped = true;
	for (int round = 0; stopped; round++) {
		if (round == ROUNDS_MAX)
			return err_set(err, ERR_FAILED,
				       "somebody starts the stack's services again");
		if (fault_point("promote-stop", err) < 0 ||
		    stop_highest(e, plan, &stopped, err) < 0)
			return -1;
	}
	if (end_servers(e, plan, err) < 0)
		return -1;
	return promote_check_free(e, plan, err);
}

int promote_check_free(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(json_freep) json_t *all = NULL;
	size_t i;
	json_t *c;
	if (promote_containers(e, &all, err) < 0)
		return -1;
	json_array_foreach(all, i, c)
	{
		if (!promote_holds(c) || !is_touched(plan, c))
			continue;
		err_set(err, ERR_EXISTS,
			"container '%s' runs and mounts a volume that is being copied",
			docker_container_name(c));
		return err_hint(err, "Stop it, and keep it from being started: docker stop %s",
				docker_container_name(c));
	}
	return 0;
}

/* ---- start ---- */

/* The container of the plan; when that was made anew since, the service's one now. "": none. */
static int find_container(struct engine_docker *e, const json_t *service, char **ret,
			  struct err *err)
{
	CLEANUP(json_freep) json_t *all = NULL;
	const char *id = "";
	size_t i;
	json_t *c;
	if (promote_containers(e, &all, err) < 0)
		return -1;
	json_array_foreach(all, i, c)
	{
		if (strcmp(plan_str(c, "Id"), plan_str(service, "container")) == 0) {
			id = plan_str(c, "Id");
			break;
		}
		if (promote_is_service(e, c) &&
		    strcmp(promote_label(c, COMPOSE_SERVICE), plan_str(service, "service")) == 0)
			id = plan_str(c, "Id");
	}
	return str_dup(id, ret, err);
}

static bool ran(const json_t *service)
{
	return json_is_true(json_object_get(service, "running"));
}

int promote_start(struct engine_docker *e, const json_t *plan, struct err *err)
{
	const json_t *services = json_object_get(plan, "services");
	for (size_t i = json_array_size(services); i > 0; i--) {
		const json_t *s = json_array_get(services, i - 1);
		CLEANUP(freep) char *id = NULL;
		if (!ran(s))
			continue;
		if (fault_point("promote-start", err) < 0 || find_container(e, s, &id, err) < 0)
			return -1;
		if (id[0] != '\0' &&
		    docker_post(e->d, NULL, NULL, err, "/containers/%s/start", id) < 0)
			return err_wrap(err, "start of container '%s'", plan_str(s, "name"));
	}
	return 0;
}

/* ---- health ---- */

static int64_t ns_to_ms(const json_t *health, const char *key)
{
	return json_integer_value(json_object_get(health, key)) / 1000000;
}

/* The service's own check, run by us: waiting for Docker's next round could take as long as its
 * interval, and production waits with us. */
static bool check_passes(struct engine_docker *e, const char *id, const json_t *health)
{
	const json_t *test = json_object_get(health, "Test");
	const char *how = json_string_value(json_array_get(test, 0));
	const char *argv[64] = {NULL};
	int64_t limit = ns_to_ms(health, "Timeout");
	struct err why = ERR_INIT;
	size_t argc = 0;
	if (how == NULL)
		return false;
	if (strcmp(how, "CMD-SHELL") == 0) {
		argv[argc++] = "/bin/sh";
		argv[argc++] = "-c";
	} else if (strcmp(how, "CMD") != 0) {
		return false;
	}
	for (size_t i = 1; i < json_array_size(test) && argc < 63; i++)
		argv[argc++] = json_string_value(json_array_get(test, i));
	struct docker_exec x = {.container = id, .argv = argv, .idle_ms = -1};
	if (argc > 0 &&
	    docker_exec_run(e->d, &x, NULL, deadline_in(limit > 0 ? limit : 30000), &why) == 0)
		return true;
	log_debug("health of %.12s: %s", id, why.msg);
	return false;
}

static bool has_check(const json_t *health)
{
	const char *how = json_string_value(json_array_get(json_object_get(health, "Test"), 0));
	return how != NULL && strcmp(how, "NONE") != 0;
}

/* What the container said last, for the message. */
static int sick(struct engine_docker *e, const char *id, const json_t *service, enum err_code code,
		const char *what, struct err *err)
{
	CLEANUP(buf_done) struct buf log;
	struct err ignored = ERR_INIT;
	buf_init(&log, LOG_BYTES);
	if (docker_log_tail(e->d, id, LOG_LINES, &log, &ignored) < 0)
		buf_reset(&log);
	const char *text = buf_text(&log);
	size_t len = strlen(text);
	while (len > 0 && strchr("\r\n ", text[len - 1]) != NULL)
		len--;
	size_t from = len > SHOWN_BYTES ? len - SHOWN_BYTES : 0;
	return err_set(err, code, "service '%s' %s%s%.*s", plan_str(service, "service"), what,
		       len > 0 ? "; its log ends: " : "", (int)(len - from), text + from);
}

struct watch {
	struct engine_docker *e;
	const json_t *service;
	const char *id;
	int64_t steady_since, restarts;
};

/* One look. *ret: it is as it should be. */
static int look(struct watch *w, bool *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *c = NULL;
	if (docker_get(w->e->d, &c, err, "/containers/%s/json", w->id) < 0)
		return err_wrap(err, "service '%s'", plan_str(w->service, "service"));
	const json_t *state = json_object_get(c, "State");
	const json_t *health = json_object_get(json_object_get(c, "Config"), "Healthcheck");
	int64_t restarts = json_integer_value(json_object_get(c, "RestartCount"));
	*ret = false;
	if (json_is_true(json_object_get(state, "Restarting")) || restarts != w->restarts) {
		w->restarts = restarts;
		w->steady_since = clock_monotonic_ms();
		return 0;
	}
	if (!json_is_true(json_object_get(state, "Running")))
		return sick(w->e, w->id, w->service, ERR_FAILED, "does not stay up", err);
	if (has_check(health))
		*ret =
		    strcmp(plan_str(json_object_get(state, "Health"), "Status"), "healthy") == 0 ||
		    check_passes(w->e, w->id, health);
	else
		*ret = clock_monotonic_ms() - w->steady_since >= STEADY_MS;
	return 0;
}

/* By the configuration; longer where the service's own check can't come sooner. */
static int64_t patience_ms(struct engine_docker *e, const char *id, const json_t *plan)
{
	CLEANUP(json_freep) json_t *c = NULL;
	struct err ignored = ERR_INIT;
	int64_t ms = json_integer_value(json_object_get(plan, "ready_ms"));
	if (docker_get(e->d, &c, &ignored, "/containers/%s/json", id) < 0)
		return ms;
	const json_t *health = json_object_get(json_object_get(c, "Config"), "Healthcheck");
	int64_t own = ns_to_ms(health, "StartPeriod") + ns_to_ms(health, "Interval") +
		      ns_to_ms(health, "Timeout");
	return own > ms ? own : ms;
}

static int wait_service(struct engine_docker *e, const json_t *plan, const json_t *service,
			struct err *err)
{
	CLEANUP(freep) char *id = NULL;
	if (find_container(e, service, &id, err) < 0)
		return -1;
	if (id[0] == '\0')
		return err_set(err, ERR_ABSENT, "service '%s' has no container",
			       plan_str(service, "service"));
	struct watch w = {
	    .e = e, .service = service, .id = id, .steady_since = clock_monotonic_ms()};
	struct deadline d = deadline_in(patience_ms(e, id, plan));
	for (bool well = false;;) {
		if (look(&w, &well, err) < 0)
			return -1;
		if (well)
			return 0;
		if (deadline_left_ms(d) == 0)
			return sick(e, id, service, ERR_TIMEOUT, "does not get healthy", err);
		if (wait_ms(POLL_MS, err) < 0)
			return -1;
	}
}

int promote_wait(struct engine_docker *e, const json_t *plan, struct err *err)
{
	const json_t *services = json_object_get(plan, "services");
	for (size_t i = json_array_size(services); i > 0; i--) {
		const json_t *s = json_array_get(services, i - 1);
		if (ran(s) && wait_service(e, plan, s, err) < 0)
			return -1;
	}
	return 0;
}

/* The pair of production's volume `of`. */
static const json_t *pair_of(const json_t *plan, const char *of)
{
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		if (strcmp(plan_str(pair, "of"), of) == 0)
			return pair;
	}
	return NULL;
}

int promote_check_mounts(struct engine_docker *e, const json_t *plan, bool undone, struct err *err)
{
	bool moved = plan_is_fast(plan) && !undone;
	size_t i, k;
	json_t *s, *of;
	json_array_foreach(json_object_get(plan, "services"), i, s)
	{
		CLEANUP(freep) char *id = NULL;
		CLEANUP(json_freep) json_t *c = NULL;
		if (!ran(s))
			continue;
		if (find_container(e, s, &id, err) < 0 ||
		    docker_get(e->d, &c, err, "/containers/%s/json", id) < 0)
			return err_wrap(err, "service '%s'", plan_str(s, "service"));
		json_array_foreach(json_object_get(s, "uses"), k, of)
		{
			const char *expected = plan_str(pair_of(plan, json_string_value(of)),
							moved ? "from" : "current");
			if (!promote_mounts(c, expected))
				return err_set(err, ERR_FAILED,
					       "service '%s' does not mount volume '%s' in the end",
					       plan_str(s, "service"), expected);
		}
	}
	return 0;
}

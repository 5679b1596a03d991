/* Who uses production's volumes, and in which order they stop. */
#include <stdlib.h>
#include <string.h>
#include "stack/compose/engine_docker_promote.h"

#define COMPOSE_ONEOFF  "com.docker.compose.oneoff"
#define COMPOSE_DEPENDS "com.docker.compose.depends_on"

enum { RANK_MAX = 16 };

/* ---- containers ---- */

int promote_containers(struct engine_docker *e, json_t **ret, struct err *err)
{
	return docker_get(e->d, ret, err, "/containers/json?all=true");
}

bool promote_mounts(const json_t *container, const char *volume)
{
	size_t i;
	json_t *m;
	json_array_foreach(json_object_get(container, "Mounts"), i, m)
	{
		if (strcmp(plan_str(m, "Type"), "volume") == 0 &&
		    strcmp(plan_str(m, "Name"), volume) == 0)
			return true;
	}
	return false;
}

bool promote_holds(const json_t *container)
{
	const char *state = plan_str(container, "State");
	return strcmp(state, "running") == 0 || strcmp(state, "paused") == 0 ||
	       strcmp(state, "restarting") == 0;
}

bool promote_is_service(const struct engine_docker *e, const json_t *container)
{
	return strcmp(promote_label(container, COMPOSE_PROJECT), e->project) == 0 &&
	       strcasecmp(promote_label(container, COMPOSE_ONEOFF), "true") != 0 &&
	       promote_label(container, COMPOSE_SERVICE)[0] != '\0' &&
	       promote_label(container, LABEL_KIND)[0] == '\0';
}

/* ---- the order of services ---- */

/* Does "postgres:service_healthy:false,redis:…" name `service`? */
static bool names_service(const char *depends, const char *service)
{
	size_t len = strlen(service);
	for (const char *p = depends; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, service, len) == 0 && strchr(":,", p[len]) != NULL)
			return true;
	return false;
}

/* What Compose 1 does not tell: databases stand alone, the pooler needs PostgreSQL, everything else
 * may need all three. */
static bool likely_needs(const struct engine_docker *e, const char *service, const char *other)
{
	const char *pg = docker_service(e, "postgres"), *redis = docker_service(e, "redis");
	const char *pooler = docker_service(e, "pgbouncer");
	if (strcmp(service, pg) == 0 || strcmp(service, redis) == 0 || strcmp(service, other) == 0)
		return false;
	if (strcmp(service, pooler) == 0)
		return strcmp(other, pg) == 0;
	return strcmp(other, pg) == 0 || strcmp(other, redis) == 0 || strcmp(other, pooler) == 0;
}

/* 0: needs nobody. Services that depend on each other in a circle end at the limit. */
static unsigned rank_of(const struct engine_docker *e, const json_t *containers,
			const char *service, unsigned depth)
{
	const json_t *depends = NULL;
	unsigned rank = 0;
	size_t i;
	json_t *c;
	json_array_foreach(containers, i, c)
	{
		if (promote_is_service(e, c) &&
		    strcmp(promote_label(c, COMPOSE_SERVICE), service) == 0 && depends == NULL)
			depends = json_object_get(json_object_get(c, "Labels"), COMPOSE_DEPENDS);
	}
	json_array_foreach(containers, i, c)
	{
		const char *other = promote_label(c, COMPOSE_SERVICE);
		if (depth == RANK_MAX || !promote_is_service(e, c) ||
		    (depends != NULL ? !names_service(json_string_value(depends), other)
				     : !likely_needs(e, service, other)))
			continue;
		unsigned below = rank_of(e, containers, other, depth + 1);
		rank = below + 1 > rank ? below + 1 : rank;
	}
	return rank;
}

/* The highest rank first: who needs others stops before them. */
static int put_service(struct engine_docker *e, const json_t *containers, const json_t *c,
		       json_t *uses, json_t *services, struct err *err)
{
	const char *service = promote_label(c, COMPOSE_SERVICE);
	json_int_t rank = (json_int_t)rank_of(e, containers, service, 0);
	size_t at = 0;
	while (at < json_array_size(services) &&
	       json_integer_value(json_object_get(json_array_get(services, at), "rank")) >= rank)
		at++;
	json_t *s = json_pack("{s:s, s:s, s:s, s:b, s:I, s:O}", "service", service, "container",
			      plan_str(c, "Id"), "name", docker_container_name(c), "running",
			      promote_holds(c), "rank", rank, "uses", uses);
	if (s == NULL || json_array_insert_new(services, at, s) < 0)
		return err_nomem(err, "a plan");
	return 0;
}

/* ---- who uses the volumes ---- */

static int foreign(const json_t *c, const char *volume, struct err *err)
{
	err_set(err, ERR_EXISTS, "container '%s' uses volume '%s' and is no service of the stack",
		docker_container_name(c), volume);
	return err_hint(err, "Stop it first: docker stop %s", docker_container_name(c));
}

/* A container that stopping would remove could not be started again. */
static int check_service(struct engine_docker *e, const json_t *c, const char *volume,
			 struct err *err)
{
	CLEANUP(json_freep) json_t *whole = NULL;
	if (e->self != NULL && strncmp(e->self, plan_str(c, "Id"), strlen(e->self)) == 0) {
		err_set(err, ERR_EXISTS, "Lifeboat's own container uses volume '%s'", volume);
		return err_hint(err, "Run `lifeboat promote` from a container without it, or on "
				     "the host.");
	}
	if (docker_get(e->d, &whole, err, "/containers/%s/json", plan_str(c, "Id")) < 0)
		return err_wrap(err, "container '%s'", docker_container_name(c));
	if (!json_is_true(json_object_get(json_object_get(whole, "HostConfig"), "AutoRemove")))
		return 0;
	err_set(err, ERR_EXISTS,
		"container '%s' uses volume '%s' and would be gone once it is stopped (--rm)",
		docker_container_name(c), volume);
	return err_hint(err, "Stop it yourself: docker stop %s", docker_container_name(c));
}

/* One container against one pair. `uses` gets production's volume if it is one to stop. */
static int see_container(struct engine_docker *e, const json_t *c, const json_t *pair, json_t *plan,
			 json_t *uses, struct err *err)
{
	const char *current = plan_str(pair, "current"), *from = plan_str(pair, "from");
	if (promote_mounts(c, current)) {
		if (promote_is_service(e, c)) {
			if (json_push(uses, json_string(plan_str(pair, "of")), err) < 0)
				return -1;
			return check_service(e, c, current, err);
		}
		if (promote_holds(c))
			return foreign(c, current, err);
	}
	if (!promote_mounts(c, from) || !promote_holds(c))
		return 0;
	if (strcmp(promote_label(c, LABEL_STACK), e->stack) != 0 ||
	    strcmp(promote_label(c, LABEL_KIND), "server") != 0)
		return foreign(c, from, err);
	json_t *servers = json_object_get(plan, "servers");
	size_t i;
	json_t *known;
	json_array_foreach(servers, i, known)
	{
		if (strcmp(plan_str(known, "container"), plan_str(c, "Id")) == 0)
			return 0;
	}
	return json_push(servers,
			 json_pack("{s:s, s:s}", "container", plan_str(c, "Id"), "name",
				   docker_container_name(c)),
			 err);
}

int promote_plan_users(struct engine_docker *e, const json_t *containers, json_t *plan,
		       struct err *err)
{
	size_t i, k;
	json_t *c, *pair;
	json_array_foreach(containers, i, c)
	{
		CLEANUP(json_freep) json_t *uses = json_array();
		json_array_foreach(json_object_get(plan, "volumes"), k, pair)
		{
			if (see_container(e, c, pair, plan, uses, err) < 0)
				return -1;
		}
		if (json_array_size(uses) > 0 &&
		    put_service(e, containers, c, uses, json_object_get(plan, "services"), err) < 0)
			return -1;
	}
	return 0;
}

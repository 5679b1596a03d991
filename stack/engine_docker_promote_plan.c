/* Who uses production's volumes, and what a promotion would do. Nothing here changes anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/engine_docker_promote.h"

#define COMPOSE_ONEOFF  "com.docker.compose.oneoff"
#define COMPOSE_DEPENDS "com.docker.compose.depends_on"

enum { RANK_MAX = 16, PATH_BYTES = 32 };

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

static int plan_users(struct engine_docker *e, const json_t *containers, json_t *plan,
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

/* ---- pairs ---- */

static bool wants(const char *const *only, const char *component)
{
	const char *label = strncmp(component, "volume ", 7) == 0 ? component + 7 : component;
	for (size_t i = 0; only != NULL && only[i] != NULL; i++)
		if (strcmp(only[i], component) == 0 || strcmp(only[i], label) == 0 ||
		    (label != component && strcmp(only[i], "volumes") == 0))
			return true;
	return only == NULL;
}

/* After a fast promotion production mounts another volume than the one of its name. */
static int current_of(struct engine_docker *e, const json_t *containers, const char *of,
		      const char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *volumes = NULL;
	size_t i, k;
	json_t *c, *v;
	*ret = of;
	json_array_foreach(containers, i, c)
	{
		if (promote_is_service(e, c) && promote_mounts(c, of))
			return 0;
	}
	if (promote_volumes(e, &volumes, err) < 0)
		return -1;
	json_array_foreach(volumes, k, v) json_array_foreach(containers, i, c)
	{
		const char *name = plan_str(v, "Name");
		size_t m;
		json_t *mount;
		if (strcmp(promote_label(v, LABEL_OF), of) != 0 || !promote_is_service(e, c))
			continue;
		/* The name in `containers` outlives this list. */
		json_array_foreach(json_object_get(c, "Mounts"), m, mount)
		{
			if (strcmp(plan_str(mount, "Name"), name) == 0)
				*ret = plan_str(mount, "Name");
		}
	}
	return 0;
}

static int plan_pair(struct engine_docker *e, const struct promotion_spec *spec,
		     const json_t *containers, const json_t *v, json_t *plan, struct err *err)
{
	CLEANUP(freep) char *before = NULL;
	CLEANUP(json_freep) json_t *there = NULL;
	CLEANUP(json_freep) json_t *from = NULL;
	const char *of = plan_str(v, "of"), *name = plan_str(v, "name"), *current;
	if (current_of(e, containers, of, &current, err) < 0 ||
	    promote_find_volume(e, of, &there, err) < 0 ||
	    promote_find_volume(e, name, &from, err) < 0 ||
	    str_printf(&before, err, "%s_before_%s", of, spec->id) < 0)
		return -1;
	if (from == NULL)
		return err_set(err, ERR_ABSENT, "volume '%s' is gone", name);
	if (strcmp(current, name) == 0)
		return err_set(err, ERR_EXISTS, "production runs on volume '%s' already", name);
	if (!spec->fast && strcmp(current, of) != 0) {
		err_set(err, ERR_EXISTS,
			"production runs on volume '%s' by an override file, not on '%s'", current,
			of);
		return err_hint(err, "Take that back with `lifeboat rollback` first, or switch "
				     "again with --fast.");
	}
	if (!engine_volume_name_is_valid(before))
		return err_set(err, ERR_LIMIT, "'%s' is too long for the name of a volume", before);
	return json_push(json_object_get(plan, "volumes"),
			 json_pack("{s:s, s:s, s:s, s:s, s:s?, s:b}", "component",
				   plan_str(v, "component"), "of", of, "from", name, "current",
				   current, "before", there != NULL && !spec->fast ? before : NULL,
				   "exists", there != NULL),
			 err);
}

static int plan_pairs(struct engine_docker *e, const struct promotion_spec *spec,
		      const json_t *containers, json_t *plan, struct err *err)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(spec->source, "volumes"), i, v)
	{
		if (!wants(spec->only, plan_str(v, "component")))
			continue;
		if (plan_str(v, "of")[0] != '\0') {
			if (plan_pair(e, spec, containers, v, plan, err) < 0)
				return -1;
		} else if (json_push(json_object_get(plan, "left_out"),
				     json_text_value(plan_str(v, "name")), err) < 0) {
			return -1;
		}
	}
	if (json_array_size(json_object_get(plan, "volumes")) > 0)
		return 0;
	return err_set(err, ERR_ABSENT, "there is no volume to move to among those asked for");
}

/* ---- what copies ---- */

static bool has_file(struct engine_docker *e, const char *container, const char *path)
{
	struct archive_entry *entry = NULL;
	struct err ignored = ERR_INIT;
	bool found = docker_stat(e->d, container, path, &entry, NULL, &ignored) == 0;
	archive_entry_free(entry);
	return found;
}

static bool can_copy(struct engine_docker *e, const char *container)
{
	static const char *const tools[] = {"cp", "find", "sync"};
	if (!has_file(e, container, "/bin/sh"))
		return false;
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		char bin[PATH_BYTES], usr[PATH_BYTES];
		snprintf(bin, sizeof bin, "/bin/%s", tools[i]);
		snprintf(usr, sizeof usr, "/usr/bin/%s", tools[i]);
		if (!has_file(e, container, bin) && !has_file(e, container, usr))
			return false;
	}
	return true;
}

/* An image of the stack that has a shell and cp; without containers the one that the restored
 * volumes were filled by. */
static int plan_image(struct engine_docker *e, const json_t *containers, json_t *plan,
		      struct err *err)
{
	size_t i;
	json_t *c, *pair;
	json_array_foreach(containers, i, c)
	{
		if (promote_is_service(e, c) && can_copy(e, plan_str(c, "Id")))
			return json_put(plan, "image", json_string(plan_str(c, "ImageID")), err);
	}
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		CLEANUP(json_freep) json_t *v = NULL;
		if (promote_find_volume(e, plan_str(pair, "from"), &v, err) < 0)
			return -1;
		const char *image = promote_label(v, LABEL_IMAGE);
		if (image[0] != '\0')
			return json_put(plan, "image", json_string(image), err);
	}
	err_set(err, ERR_ABSENT, "no image of the stack has sh, cp, find and sync to copy with");
	return err_hint(err, "--fast switches without copying.");
}

/* A copy of what production has, and then what comes, in the place of what was there. */
static int plan_room(struct engine_docker *e, json_t *plan, struct err *err)
{
	json_t *volumes = json_object_get(plan, "volumes"), *pair;
	const char *names[64];
	uint64_t bytes[64], needs = 0, room;
	size_t i, count = 0;
	if (json_array_size(volumes) > 32)
		return err_set(err, ERR_LIMIT, "more than 32 volumes");
	json_array_foreach(volumes, i, pair)
	{
		names[count++] = plan_str(pair, "from");
		if (plan_str(pair, "before")[0] != '\0')
			names[count++] = plan_str(pair, "of");
	}
	if (promote_measure(e, plan, names, count, bytes, err) < 0)
		return -1;
	count = 0;
	json_array_foreach(volumes, i, pair)
	{
		uint64_t new = bytes[count++], old = 0;
		if (plan_str(pair, "before")[0] != '\0')
			old = bytes[count++];
		needs += old > new ? old : new;
		if (json_put(pair, "bytes", json_integer((json_int_t)old), err) < 0 ||
		    json_put(pair, "from_bytes", json_integer((json_int_t) new), err) < 0)
			return -1;
	}
	if (engine_volume_free_bytes(&e->base, &room, err) < 0 ||
	    json_put(plan, "needs_bytes", json_integer((json_int_t)needs), err) < 0 ||
	    json_put(plan, "free_bytes",
		     room == UINT64_MAX ? json_null() : json_integer((json_int_t)room), err) < 0)
		return -1;
	if (room >= needs)
		return 0;
	err_set(err, ERR_NOSPACE, "%llu bytes are needed for the copies, %llu are free",
		(unsigned long long)needs, (unsigned long long)room);
	return err_hint(err, "--fast switches without copying.");
}

int promote_plan(struct engine *base, const struct promotion_spec *spec, json_t **ret,
		 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	bool back = strcmp(plan_str(spec->source, "kind"), "promotion") == 0;
	CLEANUP(json_freep) json_t *containers = NULL;
	CLEANUP(json_freep)
	json_t *plan = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s?, s:s?, s:I, s:[], s:[], s:[], s:[]}", "id", spec->id, "kind",
	    back ? "rollback" : "promote", "mode", spec->fast ? "fast" : "copy", "source",
	    plan_str(spec->source, "run"), "backup", json_str_or(spec->source, "backup", NULL),
	    "suffix", json_str_or(spec->source, "suffix", NULL), "ready_ms",
	    (json_int_t)spec->ready_ms, "volumes", "services", "servers", "left_out");
	if (plan == NULL)
		return err_nomem(err, "a plan");
	if (promote_containers(e, &containers, err) < 0 ||
	    plan_pairs(e, spec, containers, plan, err) < 0 ||
	    plan_users(e, containers, plan, err) < 0)
		return -1;
	if (spec->fast) {
		if (promote_fast_plan(e, spec, plan, err) < 0)
			return -1;
	} else if (plan_image(e, containers, plan, err) < 0 || plan_room(e, plan, err) < 0) {
		return -1;
	}
	*ret = plan;
	plan = NULL;
	return 0;
}

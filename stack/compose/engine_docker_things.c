/* What carries our labels in Docker: listed and removed. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "stack/compose/engine_docker_sweep.h"

enum { REMOVE_TRIES = 20, REMOVE_PAUSE_MS = 250 };

void docker_things_done(struct docker_things *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct docker_thing *x = &t->items[i];
		free(x->id);
		free(x->name);
		free(x->run);
		free(x->kind);
		free(x->purpose);
		free(x->maker);
		json_decref(x->labels);
	}
	free(t->items);
	*t = (struct docker_things){0};
}

static int add_thing(struct docker_things *to, enum thing_type type, const char *id,
		     const char *name, bool runs, json_t *labels, struct err *err)
{
	struct docker_thing *grown =
	    mem_grow(to->items, to->count, sizeof *grown, "a list of what is in Docker", err);
	if (grown == NULL)
		return -1;
	to->items = grown;
	struct docker_thing *x = &to->items[to->count++];
	*x = (struct docker_thing){.type = type, .runs = runs, .labels = json_incref(labels)};
	if (str_dup(id, &x->id, err) < 0 || str_dup(name, &x->name, err) < 0 ||
	    str_dup(json_str_or(labels, LABEL_RUN, ""), &x->run, err) < 0 ||
	    str_dup(json_str_or(labels, LABEL_KIND, ""), &x->kind, err) < 0 ||
	    str_dup(json_str_or(labels, LABEL_PURPOSE, ""), &x->purpose, err) < 0 ||
	    str_dup(json_str_or(labels, LABEL_MAKER, ""), &x->maker, err) < 0)
		return -1;
	return 0;
}

/* "?filters=…" for what is of this stack and has label `name`, of this value where there is one. */
static int query(struct engine_docker *e, const char *name, const char *value, char **ret,
		 struct err *err)
{
	CLEANUP(freep) char *stack = NULL, *more = NULL;
	CLEANUP(json_freep) json_t *filters = NULL;
	if (str_printf(&stack, err, "%s=%s", LABEL_STACK, e->stack) < 0 ||
	    str_printf(&more, err, "%s%s%s", name, value != NULL ? "=" : "",
		       value != NULL ? value : "") < 0)
		return -1;
	filters = json_pack("{s:[s,s]}", "label", stack, more);
	if (filters == NULL)
		return err_nomem(err, "a list of what is in Docker");
	return docker_filters(filters, ret, err);
}

static int list_containers(struct engine_docker *e, const char *filter, struct docker_things *to,
			   struct err *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	size_t i;
	json_t *c;
	if (docker_get(e->d, &list, err, "/containers/json%s&all=true", filter) < 0)
		return -1;
	json_array_foreach(list, i, c)
	{
		const char *state = json_str_or(c, "State", "");
		bool runs = strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0 ||
			    strcmp(state, "paused") == 0;
		if (add_thing(to, THING_CONTAINER, json_str_or(c, "Id", ""),
			      docker_container_name(c), runs, json_object_get(c, "Labels"),
			      err) < 0)
			return -1;
	}
	return 0;
}

static int list_networks(struct engine_docker *e, const char *filter, struct docker_things *to,
			 struct err *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	size_t i;
	json_t *n;
	if (docker_get(e->d, &list, err, "/networks%s", filter) < 0)
		return -1;
	json_array_foreach(list, i, n)
	{
		if (add_thing(to, THING_NETWORK, json_str_or(n, "Id", ""),
			      json_str_or(n, "Name", ""), false, json_object_get(n, "Labels"),
			      err) < 0)
			return -1;
	}
	return 0;
}

static bool is_mark(const json_t *volume)
{
	const char *kind = json_str_or(json_object_get(volume, "Labels"), LABEL_KIND, "");
	return strcmp(kind, "run") == 0 || strcmp(kind, "hold") == 0;
}

static int list_volumes(struct engine_docker *e, const char *filter, bool marks,
			struct docker_things *to, struct err *err)
{
	CLEANUP(json_freep) json_t *answer = NULL;
	size_t i;
	json_t *v;
	if (docker_get(e->d, &answer, err, "/volumes%s", filter) < 0)
		return -1;
	json_array_foreach(json_object_get(answer, "Volumes"), i, v)
	{
		const char *name = json_str_or(v, "Name", "");
		if (is_mark(v) == marks && add_thing(to, THING_VOLUME, name, name, false,
						     json_object_get(v, "Labels"), err) < 0)
			return -1;
	}
	return 0;
}

int docker_things_list(struct engine_docker *e, const char *run, struct docker_things *ret,
		       struct err *err)
{
	CLEANUP(freep) char *filter = NULL;
	CLEANUP(docker_things_done) struct docker_things found = {0};
	if (query(e, LABEL_RUN, run, &filter, err) < 0 ||
	    list_containers(e, filter, &found, err) < 0 ||
	    list_networks(e, filter, &found, err) < 0 ||
	    list_volumes(e, filter, false, &found, err) < 0)
		return -1;
	*ret = found;
	found = (struct docker_things){0};
	return 0;
}

int docker_marks_list(struct engine_docker *e, const char *kind, struct docker_things *ret,
		      struct err *err)
{
	CLEANUP(freep) char *filter = NULL;
	CLEANUP(docker_things_done) struct docker_things found = {0};
	if (query(e, LABEL_KIND, kind, &filter, err) < 0 ||
	    list_volumes(e, filter, true, &found, err) < 0)
		return -1;
	*ret = found;
	found = (struct docker_things){0};
	return 0;
}

/* ---- removing ---- */

/* A network with members can't be removed: our own container is one, perhaps somebody's who looks
 * at the sandbox. */
static int disconnect_all(struct engine_docker *e, const char *network, struct err *err)
{
	CLEANUP(json_freep) json_t *facts = NULL;
	struct err why = ERR_INIT;
	const char *id;
	json_t *member;
	if (docker_get(e->d, &facts, &why, "/networks/%s", network) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	json_object_foreach(json_object_get(facts, "Containers"), id, member)
	{
		CLEANUP(json_freep)
		json_t *body = json_pack("{s:s, s:b}", "Container", id, "Force", 1);
		if (body == NULL)
			return err_nomem(err, "a request to Docker");
		if (docker_post(e->d, body, NULL, &why, "/networks/%s/disconnect", network) < 0 &&
		    why.code != ERR_ABSENT) {
			*err = why;
			return -1;
		}
	}
	return 0;
}

static int remove_once(struct engine_docker *e, const struct docker_thing *t, struct err *err)
{
	switch (t->type) {
	case THING_CONTAINER:
		return docker_delete(e->d, err, "/containers/%s?force=true&v=true", t->id);
	case THING_NETWORK:
		if (disconnect_all(e, t->id, err) < 0)
			return -1;
		return docker_delete(e->d, err, "/networks/%s", t->id);
	case THING_VOLUME:
		return docker_delete(e->d, err, "/volumes/%s", t->id);
	}
	return 0;
}

int docker_thing_remove(struct engine_docker *e, const struct docker_thing *t, struct err *err)
{
	/* 409: somebody else removes it at this moment, or the daemon has not yet let go of it. */
	for (int tries = 0;; tries++) {
		struct err why = ERR_INIT;
		if (remove_once(e, t, &why) == 0)
			return 0;
		if (why.code != ERR_EXISTS || tries >= REMOVE_TRIES) {
			*err = why;
			return err_wrap(err, "can't remove '%s'", t->name);
		}
		if (wait_ms(REMOVE_PAUSE_MS, err) < 0)
			return -1;
	}
}

#include "agent/sidecars.h"

#include <stdlib.h>
#include <string.h>
#include "agent/config/config_store.h"
#include "storage/catalog.h"
#include "storage/sidecar.h"

static bool differs(const json_t *sidecar, const struct sidecar *was)
{
	return json_is_true(json_object_get(sidecar, "pinned")) != was->pinned ||
	       json_is_true(json_object_get(sidecar, "suspicious")) != was->suspicious;
}

/* *ret_changed: for those who look. *ret_there is false where the store has no such backup. */
static int change_one(struct app *app, const struct config_store *config, const char *id,
		      const struct sidecar_change *change, bool *ret_there, bool *ret_changed,
		      struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(json_freep) json_t *json = NULL;
	CLEANUP(freep) char *text = NULL;
	const char *stack = app->config->stack.name;
	struct sidecar side;
	char name[201];
	*ret_there = true;
	if (catalog_sidecar_name(stack, id, name, err) < 0 ||
	    config_store_open(config, &s, err) < 0 || store_lock(s, stack, &lock, err) < 0)
		return -1;
	if (sidecar_load(s, name, &json, &side, err) < 0) {
		*ret_there = err->code != ERR_ABSENT;
		return *ret_there ? -1 : 0;
	}
	bool changed;
	if (change->change(change->ctx, json, &changed, err) < 0)
		return -1;
	*ret_changed = differs(json, &side);
	if (!changed)
		return 0;
	return json_text(json, true, &text, err) < 0 || store_lock_check(lock, err) < 0
		   ? -1
		   : store_put_bytes(s, name, text, strlen(text), err);
}

int sidecars_change(struct app *app, const char *id, const struct sidecar_change *change,
		    json_t **ret, struct err *err)
{
	const struct config *c = app->config;
	CLEANUP(json_freep) json_t *list = json_array();
	struct err first = ERR_INIT;
	for (size_t i = 0; i < c->store_count; i++) {
		struct err why = ERR_INIT;
		bool there, changed = false;
		if (change->only != NULL && strcmp(change->only, c->stores[i].label) != 0)
			continue;
		int rc = change_one(app, &c->stores[i], id, change, &there, &changed, &why);
		if (rc < 0 && why.code == ERR_CANCELLED) {
			*err = why;
			return -1;
		}
		if (rc < 0 && first.code == ERR_NONE)
			first = why;
		if (rc == 0 && !there)
			continue;
		if (json_push(list,
			      json_pack("{s:s, s:b, s:o}", "store", c->stores[i].label, "changed",
					rc == 0 && changed, "error",
					rc < 0 ? json_text_value(why.msg) : json_null()),
			      err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	if (first.code == ERR_NONE)
		return 0;
	*err = first;
	return -1;
}

/* Looks into the stores for the status document. */
#include <stdlib.h>
#include <string.h>
#include "agent/config/config_store.h"
#include "agent/report/overview.h"
#include "agent/report/uncovered.h"
#include "base/clock.h"
#include "storage/archive/reader.h"

/* Somebody waits for the answer: a store that is away is said to be away soon. */
enum { PATIENCE_MS = 10000, RETRIES = 1 };

struct looking {
	struct overview_facts facts;
	struct overview_store *stores;
	struct store **open; /* beside `stores`; NULL: not reached */
	json_t *missing;
};

static void looking_done(struct looking *l)
{
	for (size_t i = 0; i < l->facts.store_count; i++) {
		catalog_done(&l->stores[i].catalog);
		store_free(l->open[i]);
	}
	free(l->stores);
	free(l->open);
	json_decref(l->missing);
}

/* Cancelled and out of memory are about us; all else is about the store. */
static int look(struct looking *l, size_t i, struct err *err)
{
	struct overview_store *s = &l->stores[i];
	struct store_opts opts = config_store_opts(s->config);
	s->free_bytes = UINT64_MAX;
	if (opts.timeout_ms <= 0 || opts.timeout_ms > PATIENCE_MS)
		opts.timeout_ms = PATIENCE_MS;
	opts.retries = RETRIES;
	if (store_open(&opts, &l->open[i], &s->error) == 0) {
		struct err ignored = ERR_INIT;
		s->where = store_where(l->open[i]);
		s->remote = store_is_remote(l->open[i]);
		if (catalog_load(l->open[i], l->facts.config->stack.name, &s->catalog, &s->error) ==
			0 &&
		    store_free_bytes(l->open[i], &s->free_bytes, &ignored) < 0)
			s->free_bytes = UINT64_MAX;
	}
	if (s->error.code != ERR_CANCELLED && s->error.code != ERR_NOMEM)
		return 0;
	*err = s->error;
	return -1;
}

static int missing(struct looking *l, const char *what, const char *why, struct err *err)
{
	return json_push(
	    l->missing,
	    json_pack("{s:o, s:o}", "what", json_text_value(what), "why", json_text_value(why)),
	    err);
}

/* The newest whole backup that was found, and the store that has it. */
static const struct backup *newest_of(const struct looking *l, size_t *ret_store)
{
	const struct backup *newest = NULL;
	for (size_t s = 0; s < l->facts.store_count; s++) {
		const struct catalog *c = &l->stores[s].catalog;
		for (size_t i = 0; i < c->count; i++) {
			const struct backup *b = &c->items[i];
			if (b->broken[0] != '\0' || b->partial ||
			    (newest != NULL && strcmp(b->id, newest->id) <= 0))
				continue;
			newest = b;
			*ret_store = s;
		}
	}
	return newest;
}

/* What the newest backup itself says that it lacks. The words are in its manifest. */
static int read_warnings(struct looking *l, const struct backup *b, struct store *store,
			 struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	struct err why = ERR_INIT;
	size_t i;
	json_t *text;
	if (json_u64_or(b->sidecar_json, "warnings", 0) == 0)
		return 0;
	if (reader_open(store, b->archive, &r, &why) < 0) {
		if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM) {
			*err = why;
			return -1;
		}
		return missing(l, "something",
			       "the newest backup has warnings that can't be read here: see "
			       "lifeboat show",
			       err);
	}
	json_array_foreach(json_object_get(reader_manifest(r), "warnings"), i, text)
	{
		const char *said = json_string_value(text);
		if (said != NULL && missing(l, b->id, said, err) < 0)
			return -1;
	}
	return 0;
}

static bool holds(const struct backup *b, const char *component)
{
	size_t i;
	json_t *name;
	json_array_foreach(json_object_get(b->sidecar_json, "components"), i, name)
	{
		if (json_is_string(name) && strcmp(json_string_value(name), component) == 0)
			return true;
	}
	return false;
}

/* Configured, but not in the newest backup; and what has no section at all. */
static int compare_components(struct looking *l, const struct backup *b, struct err *err)
{
	const struct config *c = l->facts.config;
	const struct {
		const char *name, *section;
		bool enabled;
	} all[] = {{"postgres", "[postgres]", c->postgres.enabled},
		   {"redis", "[redis]", c->redis.enabled},
		   {"pgbouncer", "[pgbouncer]", c->pgbouncer.enabled},
		   {"volumes", "[volume LABEL]", c->volume_count > 0}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		CLEANUP(freep) char *why = NULL;
		if (all[i].enabled && b != NULL && !holds(b, all[i].name)) {
			if (str_printf(&why, err, "it has a section, but is not in backup %s",
				       b->id) < 0)
				return -1;
		} else if (!all[i].enabled) {
			if (str_printf(&why, err, "agent.conf has no section %s", all[i].section) <
			    0)
				return -1;
		}
		if (why != NULL && missing(l, all[i].name, why, err) < 0)
			return -1;
	}
	return 0;
}

static int add_uncovered(void *looking, const char *what, const char *why, struct err *err)
{
	return missing(looking, what, why, err);
}

static int choose_stores(struct looking *l, const char *label, struct err *err)
{
	const struct config *c = l->facts.config;
	const struct config_store *one = NULL;
	size_t count = c->store_count;
	if (config_store_find(c, label, &one, err) < 0)
		return -1;
	if (label != NULL)
		count = 1;
	l->stores = mem_zalloc(count * sizeof *l->stores, "stores", err);
	l->open = mem_zalloc(count * sizeof *l->open, "stores", err);
	if (l->stores == NULL || l->open == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		l->stores[i].config = label != NULL ? one : &c->stores[i];
	l->facts.stores = l->stores;
	l->facts.store_count = count;
	return 0;
}

static int gather(struct looking *l, const char *label, struct err *err)
{
	size_t at = 0;
	if (choose_stores(l, label, err) < 0)
		return -1;
	l->missing = json_array();
	if (l->missing == NULL)
		return err_nomem(err, "the status");
	for (size_t i = 0; i < l->facts.store_count; i++)
		if (look(l, i, err) < 0)
			return -1;
	const struct backup *newest = newest_of(l, &at);
	if ((newest != NULL && read_warnings(l, newest, l->open[at], err) < 0) ||
	    compare_components(l, newest, err) < 0 ||
	    uncovered_look(l->facts.config,
			   &(struct uncovered_sink){.found = add_uncovered, .ctx = l}, err) < 0)
		return -1;
	l->facts.missing = l->missing;
	return 0;
}

int overview_load(const struct config *c, const char *store_label, const json_t *agent,
		  json_t **ret, struct err *err)
{
	struct looking l = {.facts = {.config = c, .now_ms = clock_wall_ms(), .agent = agent}};
	int done = gather(&l, store_label, err);
	if (done == 0)
		done = overview_build(&l.facts, ret, err);
	looking_done(&l);
	return done;
}

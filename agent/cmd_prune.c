#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/config_store.h"
#include "agent/format.h"
#include "agent/job.h"
#include "stack/engine_promote.h"
#include "storage/retention.h"

struct pruning {
	struct app *app;
	const char *stack;
	bool dry;
	json_t *backups, *leftovers, *stores; /* of the document */
	size_t failed;
	struct err first; /* why the first store failed */
};

/* What the rules say of each backup of the catalog, in its order. */
static int plan(const struct pruning *p, const struct config_store *store, const struct catalog *c,
		struct retention_item **ret, struct err *err)
{
	struct retention_rules rules = {0};
	if (store->keep != NULL && retention_parse(store->keep, &rules, err) < 0)
		return err_wrap(err, "[store %s] keep", store->label);
	CLEANUP(freep)
	struct retention_item *items = mem_zalloc((c->count + 1) * sizeof *items, "a plan", err);
	if (items == NULL)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		const struct backup *b = &c->items[i];
		items[i] = (struct retention_item){
		    .taken_ms = b->taken_ms,
		    .proof = b->proof,
		    .pinned = b->pinned,
		    /* What can't be read may be pinned or proven: a person decides. */
		    .in_use = b->broken[0] != '\0',
		    .suspicious = b->suspicious,
		    .partial = b->partial};
	}
	if (retention_plan(&rules, p->app->config->timezone, clock_wall_ms(), items, c->count,
			   err) < 0)
		return -1;
	*ret = items;
	items = NULL;
	return 0;
}

static int apply(struct pruning *p, struct store *s, const struct catalog *c,
		 const struct retention_item *items, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct backup *b = &c->items[i];
		const char *word = items[i].keep ? "keep" : p->dry ? "would remove" : "removed";
		if (!items[i].keep && !p->dry && catalog_remove(s, p->stack, b, err) < 0)
			return err_wrap(err, "backup '%s'", b->id);
		output_line(p->app->out, "%-12s  %s  %s", word, b->id, items[i].reason);
		if (json_push(p->backups,
			      json_pack("{s:s, s:s, s:b, s:s}", "store", store_name(s), "id", b->id,
					"keep", items[i].keep, "reason", items[i].reason),
			      err) < 0)
			return -1;
	}
	return 0;
}

/* Archives whose backup was killed before its commit, and what a killed removal left. */
static int sweep_orphans(struct pruning *p, struct store *s, struct strlist *swept, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects orphans = {0};
	if (catalog_orphans(s, p->stack, &orphans, err) < 0)
		return -1;
	for (size_t i = 0; i < orphans.count; i++)
		if ((!p->dry && store_remove(s, orphans.items[i].name, err) < 0) ||
		    strlist_pushf(swept, err, "'%s', which belongs to no backup",
				  orphans.items[i].name) < 0)
			return -1;
	return 0;
}

static int tell_swept(struct pruning *p, const struct strlist *swept, struct err *err)
{
	for (size_t i = 0; i < swept->count; i++) {
		output_line(p->app->out, "%s leftover  %s", p->dry ? "would remove" : "removed",
			    swept->items[i]);
		if (json_push(p->leftovers, json_text_value(swept->items[i]), err) < 0)
			return -1;
	}
	return 0;
}

static int sweep_store(struct pruning *p, struct store *s, struct err *err)
{
	CLEANUP(strlist_done) struct strlist swept = {0};
	CLEANUP(freep) char *prefix = NULL;
	if (str_printf(&prefix, err, "%s-", p->stack) < 0 ||
	    store_sweep(s, prefix, p->dry, &swept, err) < 0 || sweep_orphans(p, s, &swept, err) < 0)
		return -1;
	return tell_swept(p, &swept, err);
}

static int prune_store(struct pruning *p, const struct config_store *config, struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(catalog_done) struct catalog catalog = {0};
	CLEANUP(freep) struct retention_item *items = NULL;
	if (config_store_open(config, &s, err) < 0 ||
	    (!p->dry && store_lock(s, p->stack, &lock, err) < 0) ||
	    catalog_load(s, p->stack, &catalog, err) < 0 ||
	    plan(p, config, &catalog, &items, err) < 0 || apply(p, s, &catalog, items, err) < 0 ||
	    sweep_store(p, s, err) < 0)
		return -1;
	if (config->keep == NULL)
		output_say(p->app->out, "[store %s] has no keep rules: everything stays",
			   config->label);
	return 0;
}

/* One that can't be reached stops no other. */
static int prune_stores(struct pruning *p, struct err *err)
{
	const struct config *c = p->app->config;
	const struct config_store *one = NULL;
	const char *label = cli_value(p->app->cli, "store");
	if (config_store_find(c, label, &one, err) < 0)
		return -1;
	for (size_t i = 0; i < c->store_count; i++) {
		const struct config_store *store = &c->stores[i];
		struct err why = ERR_INIT;
		if (label != NULL && store != one)
			continue;
		if (label == NULL && c->store_count > 1)
			output_line(p->app->out, "store '%s':", store->label);
		bool done = prune_store(p, store, &why) == 0;
		if (!done && why.code == ERR_CANCELLED) {
			*err = why;
			return -1;
		}
		if (!done) {
			output_line(p->app->out, STYLE_BAD "failed" STYLE_END "  %s", why.msg);
			if (p->failed++ == 0)
				p->first = why;
		}
		if (json_push(p->stores,
			      json_pack("{s:s, s:s, s:o}", "store", store->label, "outcome",
					done ? "done" : "failed", "error",
					done ? json_null() : json_text_value(why.msg)),
			      err) < 0)
			return -1;
	}
	return 0;
}

/* What promotions kept of before: only when asked, for it may be the one way back. */
static int prune_volumes(struct pruning *p, struct job *j, json_t *list, struct err *err)
{
	CLEANUP(strlist_done) struct strlist gone = {0};
	const char *text = cli_value(p->app->cli, "volumes");
	char *end = NULL;
	unsigned long keep = text != NULL ? strtoul(text, &end, 10) : 0;
	if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0' || keep > 1000000))
		return err_set(err, ERR_USAGE, "--volumes '%s' is not a number of promotions",
			       text);
	if (text != NULL && engine_promotion_prune(j->engine, (size_t)keep, p->dry, &gone, err) < 0)
		return -1;
	for (size_t i = 0; i < gone.count; i++) {
		output_line(p->app->out, "%s volume '%s'", p->dry ? "would remove" : "removed",
			    gone.items[i]);
		if (json_push(list, json_text_value(gone.items[i]), err) < 0)
			return -1;
	}
	return 0;
}

static int sweep_engine(struct pruning *p, struct job *j, struct err *err)
{
	CLEANUP(strlist_done) struct strlist swept = {0};
	if (engine_sweep(j->engine, p->dry, &swept, err) < 0)
		return -1;
	return tell_swept(p, &swept, err);
}

int cmd_prune(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *backups = json_array();
	CLEANUP(json_freep) json_t *leftovers = json_array();
	CLEANUP(json_freep) json_t *volumes = json_array();
	CLEANUP(json_freep) json_t *stores = json_array();
	struct pruning p = {.app = app,
			    .stack = app->config->stack.name,
			    .dry = cli_flag(app->cli, "dry-run"),
			    .backups = backups,
			    .leftovers = leftovers,
			    .stores = stores,
			    .first = ERR_INIT};
	if (job_open_storeless(app, NULL, &j, err) < 0 || prune_stores(&p, err) < 0 ||
	    sweep_engine(&p, j, err) < 0 || prune_volumes(&p, j, volumes, err) < 0 ||
	    output_json(app->out,
			json_pack("{s:b, s:O, s:O, s:O, s:O}", "dry_run", p.dry, "stores", stores,
				  "backups", backups, "leftovers", leftovers, "volumes", volumes),
			err) < 0)
		return -1;
	if (p.failed == 0)
		return 0;
	*err = p.first;
	return p.failed > 1 ? err_wrap(err, "%zu stores were not pruned; the first", p.failed) : -1;
}

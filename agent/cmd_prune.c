#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/format.h"
#include "agent/job.h"
#include "stack/engine_promote.h"
#include "storage/retention.h"

/* What the rules say of each backup of the catalog, in its order. */
static int plan(struct app *app, const struct job *j, struct retention_item **ret, struct err *err)
{
	const struct catalog *c = &j->catalog;
	struct retention_rules rules = {0};
	const char *keep = j->store_config->keep;
	if (keep != NULL && retention_parse(keep, &rules, err) < 0)
		return err_wrap(err, "[store %s] keep", j->store_config->label);
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
	if (retention_plan(&rules, app->config->timezone, clock_wall_ms(), items, c->count, err) <
	    0)
		return -1;
	*ret = items;
	items = NULL;
	return 0;
}

/* Archives whose backup was killed before its commit, and what a killed removal left. */
static int sweep_orphans(struct app *app, struct job *j, bool dry, struct strlist *swept,
			 struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects orphans = {0};
	if (catalog_orphans(j->store, app->config->stack.name, &orphans, err) < 0)
		return -1;
	for (size_t i = 0; i < orphans.count; i++)
		if ((!dry && store_remove(j->store, orphans.items[i].name, err) < 0) ||
		    strlist_pushf(swept, err, "'%s', which belongs to no backup",
				  orphans.items[i].name) < 0)
			return -1;
	return 0;
}

static int sweep(struct app *app, struct job *j, bool dry, json_t **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist swept = {0};
	CLEANUP(freep) char *prefix = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	if (str_printf(&prefix, err, "%s-", app->config->stack.name) < 0 ||
	    store_sweep(j->store, prefix, dry, &swept, err) < 0 ||
	    sweep_orphans(app, j, dry, &swept, err) < 0 ||
	    engine_sweep(j->engine, dry, &swept, err) < 0)
		return -1;
	for (size_t i = 0; i < swept.count; i++) {
		output_line(app->out, "%s leftover  %s", dry ? "would remove" : "removed",
			    swept.items[i]);
		if (json_push(list, json_text_value(swept.items[i]), err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

static int apply(struct app *app, struct job *j, const struct retention_item *items, bool dry,
		 json_t *list, struct err *err)
{
	for (size_t i = 0; i < j->catalog.count; i++) {
		const struct backup *b = &j->catalog.items[i];
		const char *word = items[i].keep ? "keep" : dry ? "would remove" : "removed";
		if (!items[i].keep && !dry &&
		    catalog_remove(j->store, app->config->stack.name, b, err) < 0)
			return err_wrap(err, "backup '%s'", b->id);
		output_line(app->out, "%-12s  %s  %s", word, b->id, items[i].reason);
		if (json_push(list,
			      json_pack("{s:s, s:b, s:s}", "id", b->id, "keep", items[i].keep,
					"reason", items[i].reason),
			      err) < 0)
			return -1;
	}
	return 0;
}

/* What promotions kept of before: only when asked, for it may be the one way back. */
static int prune_volumes(struct app *app, struct job *j, bool dry, json_t **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist gone = {0};
	CLEANUP(json_freep) json_t *list = json_array();
	const char *text = cli_value(app->cli, "volumes");
	char *end = NULL;
	unsigned long keep = text != NULL ? strtoul(text, &end, 10) : 0;
	if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0' || keep > 1000000))
		return err_set(err, ERR_USAGE, "--volumes '%s' is not a number of promotions",
			       text);
	if (text != NULL && engine_promotion_prune(j->engine, (size_t)keep, dry, &gone, err) < 0)
		return -1;
	for (size_t i = 0; i < gone.count; i++) {
		output_line(app->out, "%s volume '%s'", dry ? "would remove" : "removed",
			    gone.items[i]);
		if (json_push(list, json_text_value(gone.items[i]), err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

int cmd_prune(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(freep) struct retention_item *items = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	CLEANUP(json_freep) json_t *swept = NULL;
	CLEANUP(json_freep) json_t *volumes = NULL;
	bool dry = cli_flag(app->cli, "dry-run");
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    (!dry && store_lock(j->store, app->config->stack.name, &lock, err) < 0) ||
	    catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0 ||
	    plan(app, j, &items, err) < 0 || apply(app, j, items, dry, list, err) < 0 ||
	    sweep(app, j, dry, &swept, err) < 0 || prune_volumes(app, j, dry, &volumes, err) < 0)
		return -1;
	if (j->store_config->keep == NULL)
		output_say(app->out, "[store %s] has no keep rules: everything stays",
			   j->store_config->label);
	return output_json(app->out,
			   json_pack("{s:b, s:O, s:O, s:O}", "dry_run", dry, "backups", list,
				     "leftovers", swept, "volumes", volumes),
			   err);
}

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/config/config_store.h"
#include "agent/elsewhere.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "stack/engine/engine_promote.h"
#include "storage/store/lease.h"
#include "storage/leftovers.h"
#include "storage/retention.h"

#define NO_VOLUMES SIZE_MAX

struct pruning {
	struct app *app;
	const char *stack;
	bool dry;
	size_t volumes; /* promotions that stay; NO_VOLUMES: none is looked at */
	json_t *backups, *leftovers, *kept, *stores; /* of the document */
	size_t failed;
	struct err first; /* why the first store failed */
};

/* What one store holds, and what becomes of it. */
struct pruned_store {
	struct store *store;
	struct store_lock *lock;
	struct catalog catalog;
	struct lease_marks marks;
	struct retention_item *items; /* in the catalog's order */
	struct strlist uses;          /* texts of items in use */
	size_t refused;               /* removals that the store refused */
	struct err why;               /* the first of them */
};

static void pruned_store_done(struct pruned_store *s)
{
	free(s->items);
	strlist_done(&s->uses);
	lease_marks_done(&s->marks);
	catalog_done(&s->catalog);
	store_unlock(s->lock);
	store_free(s->store);
}

static const char *reader_of(const struct pruning *p, const struct lease_marks *marks,
			     const struct backup *b)
{
	char name[STORE_NAME_MAX + 1];
	int len = snprintf(name, sizeof name, "%s-%s", p->stack, b->id);
	return len > 0 && (size_t)len < sizeof name ? lease_marks_holder(marks, name) : NULL;
}

/* Of one backup, or of all. */
static int load_marks(const struct pruning *p, struct store *s, const char *id,
		      struct lease_marks *ret, struct err *err)
{
	CLEANUP(freep) char *prefix = NULL;
	if (str_printf(&prefix, err, "%s-%s", p->stack, id) < 0)
		return -1;
	return lease_find_marks(s, prefix, ret, err);
}

/* Why it is in use; *ret NULL: it is not. */
static int find_use(const struct pruning *p, struct pruned_store *s, const struct backup *b,
		    const char **ret, struct err *err)
{
	const char *reader = reader_of(p, &s->marks, b);
	*ret = NULL;
	if (reader == NULL && b->broken[0] == '\0')
		return 0;
	/* What can't be read may be pinned or proven: a person decides. */
	if (reader == NULL ? strlist_push(&s->uses, "broken: a person decides", err) < 0
			   : strlist_pushf(&s->uses, err, "being read by %s", reader) < 0)
		return -1;
	*ret = s->uses.items[s->uses.count - 1];
	return 0;
}

/* A pin that this store was not there to hear of. */
static int spare_pinned(const struct pruning *p, const struct config_store *store,
			struct pruned_store *s, struct err *err)
{
	CLEANUP(elsewhere_done) struct elsewhere others = {.app = p->app, .but = store};
	for (size_t i = 0; i < s->catalog.count; i++) {
		struct retention_item *item = &s->items[i];
		const char *label = NULL;
		if (item->keep)
			continue;
		if (elsewhere_is_pinned(&others, &s->catalog.items[i], &label, err) < 0)
			return -1;
		if (label == NULL)
			continue;
		item->keep = true;
		snprintf(item->reason, sizeof item->reason, "pinned in store '%.100s'", label);
	}
	return 0;
}

/* What the rules say of each backup of the catalog. */
static int plan(const struct pruning *p, const struct config_store *store, struct pruned_store *s,
		struct err *err)
{
	struct retention_rules rules = {0};
	const struct catalog *c = &s->catalog;
	if (store->keep != NULL && retention_parse(store->keep, &rules, err) < 0)
		return err_wrap(err, "[store %s] keep", store->label);
	s->items = mem_zalloc((c->count + 1) * sizeof *s->items, "a plan", err);
	if (s->items == NULL)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		const struct backup *b = &c->items[i];
		const char *use;
		if (find_use(p, s, b, &use, err) < 0)
			return -1;
		s->items[i] = (struct retention_item){.taken_ms = b->taken_ms,
						      .proof = backup_standing(b),
						      .pinned = b->pinned,
						      .in_use = use != NULL,
						      .use = use,
						      .suspicious = b->suspicious,
						      .partial = b->partial};
	}
	return retention_plan(&rules, p->app->config->timezone, clock_wall_ms(), s->items, c->count,
			      err) < 0
		   ? -1
		   : spare_pinned(p, store, s, err);
}

/* A removal that the store refuses stops no other. What is locked there is kept by the user's own
 * wish; a missing right is a failure, told at the end. */
static bool is_refusal(const struct err *err)
{
	return err->code == ERR_LOCKED || err->code == ERR_DENIED;
}

static void note_refusal(struct pruned_store *s, const struct err *why)
{
	if (why->code == ERR_DENIED && s->refused++ == 0)
		s->why = *why;
}

/* Somebody may have begun to read it since the plan was made. */
static int remove_backup(const struct pruning *p, struct pruned_store *s, const struct backup *b,
			 bool *ret_lost, struct err *err)
{
	CLEANUP(lease_marks_done) struct lease_marks now = {0};
	if (load_marks(p, s->store, b->id, &now, err) < 0)
		return -1;
	const char *reader = reader_of(p, &now, b);
	if (reader != NULL)
		return err_set(err, ERR_LOCKED, "being read by %s", reader);
	/* As late as can be: a host that slept finds here that another one has taken over, and may
	 * have pinned what the plan would remove. */
	if (store_lock_check(s->lock, err) < 0) {
		*ret_lost = true;
		return -1;
	}
	return catalog_remove(s->store, p->stack, b, err);
}

static int apply(struct pruning *p, struct pruned_store *s, struct err *err)
{
	for (size_t i = 0; i < s->catalog.count; i++) {
		const struct backup *b = &s->catalog.items[i];
		struct err why = ERR_INIT;
		bool keep = s->items[i].keep;
		const char *word = keep ? "keep" : p->dry ? "would remove" : "removed";
		const char *reason = s->items[i].reason;
		bool lost = false;
		if (!keep && !p->dry && remove_backup(p, s, b, &lost, &why) < 0) {
			if (lost || !is_refusal(&why)) {
				*err = why;
				return err_wrap(err, "backup '%s'", b->id);
			}
			note_refusal(s, &why);
			keep = true;
			word = why.code == ERR_LOCKED ? "kept" : "refused";
			reason = why.msg;
		}
		output_line(p->app->out, "%-12s  %s  %s", word, b->id, reason);
		if (json_push(p->backups,
			      json_pack("{s:s, s:s, s:b, s:o}", "store", store_name(s->store), "id",
					b->id, "keep", keep, "reason", json_text_value(reason)),
			      err) < 0)
			return -1;
	}
	return 0;
}

/* ---- leftovers ---- */

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

/* Somebody may have begun to copy it since it was listed, or have committed it. */
static int is_still_orphan(const struct pruning *p, struct store *store, const struct leftover *l,
			   bool *ret, struct err *err)
{
	CLEANUP(lease_marks_done) struct lease_marks now = {0};
	char sidecar[STORE_NAME_MAX + 1];
	struct store_object there;
	struct err why = ERR_INIT;
	if (load_marks(p, store, l->id, &now, err) < 0 ||
	    catalog_sidecar_name(p->stack, l->id, sidecar, err) < 0)
		return -1;
	*ret = now.count == 0 && store_stat(store, sidecar, &there, &why) < 0 &&
	       why.code == ERR_ABSENT;
	return 0;
}

/* Archives whose backup was killed before its commit or whose sidecar was lost, and what a killed
 * removal left. */
static int sweep_orphans(struct pruning *p, struct pruned_store *s, struct err *err)
{
	CLEANUP(leftovers_done) struct leftovers found = {0};
	bool all = cli_flag(p->app->cli, "orphans");
	if (leftovers_find(s->store, p->stack, all, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.count; i++) {
		const struct leftover *l = &found.items[i];
		struct err why = ERR_INIT;
		bool goes = l->goes;
		const char *kept = l->why;
		if (goes && s->lock != NULL &&
		    (store_lock_check(s->lock, err) < 0 ||
		     is_still_orphan(p, s->store, l, &goes, err) < 0))
			return -1;
		if (l->goes && !goes)
			kept = "somebody uses it, or it has its sidecar again";
		if (goes && !p->dry && store_remove(s->store, l->name, &why) < 0) {
			if (!is_refusal(&why)) {
				*err = why;
				return -1;
			}
			note_refusal(s, &why);
			goes = false;
			kept = why.msg;
		}
		CLEANUP(freep) char *text = NULL;
		if (str_printf(&text, err, "'%s', which belongs to no backup: %s%s%s", l->name,
			       l->what, goes ? "" : "; ", goes ? "" : kept) < 0)
			return -1;
		output_line(p->app->out, "%s leftover  %s",
			    !goes    ? "kept"
			    : p->dry ? "would remove"
				     : "removed",
			    text);
		if (json_push(goes ? p->leftovers : p->kept, json_text_value(text), err) < 0)
			return -1;
		if (!goes && l->archive)
			output_say(p->app->out,
				   "  `lifeboat adopt %s` makes it a backup again, `lifeboat prune "
				   "--orphans` removes it",
				   l->id);
	}
	return 0;
}

static int sweep_store(struct pruning *p, struct pruned_store *s, struct err *err)
{
	CLEANUP(strlist_done) struct strlist swept = {0};
	if (store_sweep(s->store, p->stack, p->dry, &swept, err) < 0 ||
	    lease_sweep(s->store, p->stack, p->dry, &swept, err) < 0 ||
	    tell_swept(p, &swept, err) < 0)
		return -1;
	return sweep_orphans(p, s, err);
}

static int prune_store(struct pruning *p, const struct config_store *config, struct err *err)
{
	CLEANUP(pruned_store_done) struct pruned_store s = {.why = ERR_INIT};
	if (config_store_open(config, &s.store, err) < 0 ||
	    (!p->dry && store_lock(s.store, p->stack, &s.lock, err) < 0) ||
	    catalog_load(s.store, p->stack, &s.catalog, err) < 0 ||
	    load_marks(p, s.store, "", &s.marks, err) < 0 || plan(p, config, &s, err) < 0 ||
	    (s.lock != NULL && store_lock_check(s.lock, err) < 0) || apply(p, &s, err) < 0 ||
	    sweep_store(p, &s, err) < 0)
		return -1;
	if (config->keep == NULL)
		output_say(p->app->out, "[store %s] has no keep rules: everything stays",
			   config->label);
	if (s.refused == 0)
		return 0;
	*err = s.why;
	return err_wrap(err, "%zu removals were refused; the first", s.refused);
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

/* How many promotions --volumes leaves the way back of; NO_VOLUMES without it. */
static int read_volumes(struct app *app, size_t *ret, struct err *err)
{
	const char *text = cli_value(app->cli, "volumes");
	char *end = NULL;
	unsigned long keep = text != NULL ? strtoul(text, &end, 10) : NO_VOLUMES;
	if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0' || keep > 1000000))
		return err_set(err, ERR_USAGE, "--volumes '%s' is not a number of promotions",
			       text);
	*ret = keep;
	return 0;
}

/* What promotions kept of before: only when asked, for it may be the one way back. */
static int prune_volumes(struct pruning *p, struct job *j, json_t *list, struct err *err)
{
	CLEANUP(strlist_done) struct strlist gone = {0};
	if (p->volumes != NO_VOLUMES &&
	    engine_promotion_prune(j->engine, p->volumes, p->dry, &gone, err) < 0)
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
	CLEANUP(json_freep) json_t *kept = json_array();
	CLEANUP(json_freep) json_t *volumes = json_array();
	CLEANUP(json_freep) json_t *stores = json_array();
	struct pruning p = {.app = app,
			    .stack = app->config->stack.name,
			    .dry = cli_flag(app->cli, "dry-run"),
			    .backups = backups,
			    .leftovers = leftovers,
			    .kept = kept,
			    .stores = stores,
			    .first = ERR_INIT};
	/* Before anything is touched. */
	if (read_volumes(app, &p.volumes, err) < 0)
		return -1;
	if (job_open_storeless(app, NULL, &j, err) < 0 || prune_stores(&p, err) < 0 ||
	    sweep_engine(&p, j, err) < 0 || prune_volumes(&p, j, volumes, err) < 0 ||
	    output_json(app->out,
			json_pack("{s:b, s:O, s:O, s:O, s:O, s:O}", "dry_run", p.dry, "stores",
				  stores, "backups", backups, "leftovers", leftovers,
				  "kept_leftovers", kept, "volumes", volumes),
			err) < 0)
		return -1;
	if (p.failed == 0)
		return 0;
	*err = p.first;
	return p.failed > 1 ? err_wrap(err, "%zu stores were not pruned; the first", p.failed) : -1;
}

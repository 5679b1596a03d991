#include "agent/check_stores.h"

#include <stdlib.h>
#include <string.h>
#include "agent/config/config_store.h"
#include "agent/copies.h"
#include "agent/output/format.h"
#include "base/clock.h"
#include "storage/store/lease.h"
#include "storage/leftovers.h"

/* Requests and the steps of a server's clock take some seconds. */
enum { CLOCK_OFF_MS = 2 * 60 * 1000 };

struct checking {
	struct findings *findings;
	const struct config_store *config;
	struct store *store;
	char *what; /* "store 'local'" */
	struct catalog catalog;
	uint64_t room; /* UINT64_MAX: not known */
};

static void checking_done(struct checking *c)
{
	store_free(c->store);
	free(c->what);
	catalog_done(&c->catalog);
}

/* Writing and deleting are tried, not assumed. */
static int ask(struct checking *c, struct err *err)
{
	CLEANUP(freep) char *probe = NULL;
	const char *stack = c->findings->app->config->stack.name;
	return str_printf(&probe, err, "%s-check", stack) < 0 ||
		       config_store_open(c->config, &c->store, err) < 0 ||
		       store_put_bytes(c->store, probe, "probe\n", 6, err) < 0 ||
		       store_remove(c->store, probe, err) < 0 ||
		       store_free_bytes(c->store, &c->room, err) < 0 ||
		       catalog_load(c->store, stack, &c->catalog, err) < 0
		   ? -1
		   : 0;
}

static int say_state(struct checking *c, uint64_t bytes, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	char size[FORMAT_BYTES];
	if (str_printf(&text, err, "%s, %zu %s, %s free", store_where(c->store), c->catalog.count,
		       c->catalog.count == 1 ? "backup" : "backups",
		       c->room == UINT64_MAX ? "unknown space" : format_size(c->room, size)) < 0)
		return -1;
	/* The archive is compressed; half of the data is a careful guess. */
	return findings_add(c->findings, c->room < bytes / 2 ? "warning" : "ok", c->what, text,
			    err);
}

static int warn_all(struct findings *f, const char *what, const struct strlist *texts,
		    struct err *err)
{
	for (size_t i = 0; i < texts->count; i++)
		if (findings_add(f, "warning", what, texts->items[i], err) < 0)
			return -1;
	return 0;
}

/* Archives without a sidecar are told with what becomes of them: one may be worth something. */
static int say_orphans(struct checking *c, struct err *err)
{
	CLEANUP(leftovers_done) struct leftovers found = {0};
	struct err why = ERR_INIT;
	const char *stack = c->findings->app->config->stack.name;
	if (leftovers_find(c->store, stack, false, &found, &why) < 0)
		return findings_fail(c->findings, c->what, &why, err);
	for (size_t i = 0; i < found.count; i++) {
		const struct leftover *l = &found.items[i];
		CLEANUP(freep) char *text = NULL;
		if (str_printf(&text, err, "'%s' belongs to no backup: %s; prune %s%s%s%s", l->name,
			       l->what, l->goes ? "removes it" : "leaves it: ", l->why,
			       l->archive ? ". It becomes one with: lifeboat adopt " : "",
			       l->archive ? l->id : "") < 0 ||
		    findings_add(c->findings, "warning", "leftover", text, err) < 0)
			return -1;
	}
	return 0;
}

/* What the store can't do, and what killed jobs left in it. */
static int say_caveats(struct checking *c, struct err *err)
{
	CLEANUP(strlist_done) struct strlist caveats = {0}, leftovers = {0};
	struct err why = ERR_INIT;
	const char *stack = c->findings->app->config->stack.name;
	if (store_caveats(c->store, &caveats, &why) < 0 ||
	    store_sweep(c->store, stack, true, &leftovers, &why) < 0 ||
	    lease_sweep(c->store, stack, true, &leftovers, &why) < 0)
		return findings_fail(c->findings, c->what, &why, err);
	return warn_all(c->findings, c->what, &caveats, err) < 0 ||
		       warn_all(c->findings, "leftover of a killed job", &leftovers, err) < 0
		   ? -1
		   : say_orphans(c, err);
}

/* The store's own clock is the one that all its hosts can see. */
static int say_clock(struct checking *c, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	char by[FORMAT_BYTES];
	struct err why = ERR_INIT;
	int64_t there;
	if (!store_is_remote(c->store) ||
	    lease_store_time(c->store, c->findings->app->config->stack.name, &there, &why) < 0) {
		if (why.code != ERR_CANCELLED)
			return 0;
		*err = why;
		return -1;
	}
	int64_t ahead = clock_wall_ms() - there;
	if (ahead > -CLOCK_OFF_MS && ahead < CLOCK_OFF_MS)
		return 0;
	if (str_printf(&text, err,
		       "its clock and that of this machine differ: here it is %s %s. Backups are "
		       "kept by the time in their names, which is that of the machine that takes "
		       "them",
		       format_duration(ahead < 0 ? -ahead : ahead, by),
		       ahead > 0 ? "later" : "earlier") < 0)
		return -1;
	return findings_add(c->findings, "warning", c->what, text, err);
}

/* A remote store may be read by others than the machine that has the servers. */
static int say_plain(struct checking *c, struct err *err)
{
	if (c->findings->app->config->archive.recipients != NULL || !store_is_remote(c->store))
		return 0;
	return findings_add(c->findings, "warning", c->what,
			    "archives are not encrypted, and it is on another machine: they hold "
			    "the hashes of the roles' passwords and PgBouncer's auth file. "
			    "lifeboat keygen makes a key for recipients in [archive]",
			    err);
}

/* `first`: what the store holds that backups are written to; NULL: it could not be asked. */
static int say_lag(struct checking *c, const struct catalog *first, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	struct err why = ERR_INIT;
	size_t missing = 0;
	if (first == NULL)
		return 0;
	if (copies_lag(c->findings->app, first, c->store, c->config, &missing, &why) < 0)
		return findings_fail(c->findings, c->what, &why, err);
	if (missing == 0)
		return 0;
	if (str_printf(&text, err,
		       "lags behind: %zu backup%s of the first store %s missing: lifeboat copy",
		       missing, missing == 1 ? "" : "s", missing == 1 ? "is" : "are") < 0)
		return -1;
	return findings_add(c->findings, "warning", c->what, text, err);
}

/* ---- 3-2-1 ---- */

/* *ret_site: the first that is given; NULL: none is. */
static size_t count_sites(const struct config *c, const char **ret_site, size_t *ret_unknown)
{
	size_t others = 0;
	*ret_site = NULL;
	*ret_unknown = 0;
	for (size_t i = 0; i < c->store_count; i++) {
		const char *site = c->stores[i].site;
		if (site == NULL)
			(*ret_unknown)++;
		else if (*ret_site == NULL)
			*ret_site = site;
		else
			others += strcmp(*ret_site, site) != 0;
	}
	return (*ret_site != NULL) + others;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Two sections of one place make one copy. */
static int check_places(struct findings *f, struct err *err)
{
	const struct config *c = f->app->config;
	for (size_t i = 0; i < c->store_count; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct config_store *a = &c->stores[k], *b = &c->stores[i];
			CLEANUP(freep) char *text = NULL;
			if (strcmp(a->url, b->url) != 0 || !same_text(a->endpoint, b->endpoint))
				continue;
			if (str_printf(&text, err,
				       "'%s' and '%s' are one and the same place: one copy",
				       a->label, b->label) < 0 ||
			    findings_add(f, "warning", "stores", text, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int check_sites(struct findings *f, struct err *err)
{
	const struct config *c = f->app->config;
	CLEANUP(freep) char *text = NULL;
	const char *site;
	size_t unknown;
	size_t sites = count_sites(c, &site, &unknown);
	if (c->store_count == 0 || sites > 1)
		return 0;
	int rc = 0;
	if (c->store_count == 1)
		rc = str_printf(&text, err,
				"there is one store: what destroys it destroys every backup (have "
				"three copies, on two kinds of storage, one of them elsewhere)");
	else if (sites == 0)
		rc = str_printf(&text, err,
				"no store says where it stands: a fire may take them all (add "
				"site = NAME to each)");
	else if (unknown == 0)
		rc = str_printf(&text, err,
				"all of them stand in one site, '%s': what happens there happens "
				"to every copy",
				site);
	else
		rc = str_printf(&text, err,
				"none is known to stand elsewhere than in '%s' (add site = NAME "
				"to each)",
				site);
	return rc < 0 ? -1 : findings_add(f, "warning", "stores", text, err);
}

/* ---- all of them ---- */

static int check_one(struct checking *c, const struct catalog *first, uint64_t bytes,
		     bool *ret_answers, struct err *err)
{
	struct err why = ERR_INIT;
	if (str_printf(&c->what, err, "store '%s'", c->config->label) < 0)
		return -1;
	*ret_answers = ask(c, &why) == 0;
	if (!*ret_answers && why.code == ERR_CANCELLED) {
		*err = why;
		return -1;
	}
	if (c->store != NULL && say_plain(c, err) < 0)
		return -1;
	if (!*ret_answers)
		return findings_fail(c->findings, c->what, &why, err);
	return say_state(c, bytes, err) < 0 || say_clock(c, err) < 0 ||
		       say_lag(c, first, err) < 0 || say_caveats(c, err) < 0
		   ? -1
		   : 0;
}

int check_stores(struct findings *f, uint64_t bytes, struct err *err)
{
	const struct config *c = f->app->config;
	CLEANUP(catalog_done) struct catalog first = {0};
	bool first_answers = false;
	if (c->store_count == 0) {
		const struct config_store *none;
		struct err why = ERR_INIT;
		return config_store_find(c, NULL, &none, &why) < 0
			   ? findings_fail(f, "stores", &why, err)
			   : 0;
	}
	for (size_t i = 0; i < c->store_count; i++) {
		CLEANUP(checking_done)
		struct checking one = {.findings = f, .config = &c->stores[i], .room = UINT64_MAX};
		bool answers;
		if (check_one(&one, first_answers ? &first : NULL, bytes, &answers, err) < 0)
			return -1;
		if (i > 0 || !answers)
			continue;
		first_answers = true;
		first = one.catalog;
		one.catalog = (struct catalog){0};
	}
	return check_places(f, err) < 0 ? -1 : check_sites(f, err);
}

#include "storage/leftovers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "storage/adopt.h"
#include "storage/archive/reader.h"
#include "storage/catalog.h"
#include "storage/store/catalog_name.h"
#include "storage/store/decrypting.h"
#include "storage/store/lease.h"

struct finding {
	struct store *store;
	const char *stack;
	bool all;
	int64_t now_ms; /* of the store; INT64_MIN: not known */
	struct lease_marks marks;
	size_t backups, archives; /* whole and unsuspicious ones; orphans */
	char newest[32];          /* id of the newest of these backups; "": none */
};

void leftovers_done(struct leftovers *l)
{
	free(l->items);
	*l = (struct leftovers){0};
}

/* ---- what it is ---- */

static void describe(const struct finding *f, struct leftover *l, enum catalog_name_kind kind)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	struct err why = ERR_INIT;
	struct sidecar s = {0};
	if (!l->archive) {
		snprintf(l->what, sizeof l->what, "%s",
			 kind == CATALOG_NAME_VERDICT ? "verdict of a verify"
						      : "evidence of a drill");
		return;
	}
	if (storage_is_encrypted(l->name)) {
		snprintf(l->what, sizeof l->what, "encrypted archive");
		return;
	}
	if (reader_open(f->store, l->name, &r, &why) < 0) {
		snprintf(l->what, sizeof l->what, "archive that can't be read: %.200s", why.msg);
		return;
	}
	adopt_counts(reader_manifest(r), &s);
	snprintf(l->what, sizeof l->what,
		 "whole archive of %llu databases, %llu rows, %llu Redis "
		 "keys",
		 (unsigned long long)s.databases, (unsigned long long)s.rows,
		 (unsigned long long)s.redis_keys);
}

/* ---- whether it goes ---- */

static int is_marked(const struct finding *f, struct leftover *l, bool *ret, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (str_printf(&name, err, "%s-%s", f->stack, l->id) < 0)
		return -1;
	const char *holder = lease_marks_holder(&f->marks, name);
	if (holder != NULL)
		snprintf(l->why, sizeof l->why, "in use: %s", holder);
	*ret = holder != NULL;
	return 0;
}

static int judge(const struct finding *f, const struct store_object *o, struct leftover *l,
		 struct err *err)
{
	bool marked;
	if (is_marked(f, l, &marked, err) < 0)
		return -1;
	if (marked)
		return 0;
	if (f->all)
		l->goes = true;
	else if (f->now_ms == INT64_MIN)
		snprintf(l->why, sizeof l->why, "its age is not known");
	else if (f->now_ms - o->modified_ms < LEFTOVER_AGE_MS)
		snprintf(l->why, sizeof l->why,
			 "younger than a day: a job of another host may be at work on it");
	else if (l->archive && strcmp(l->id, f->newest) > 0)
		snprintf(l->why, sizeof l->why, "newer than every backup");
	else if (l->archive && f->archives > f->backups)
		snprintf(l->why, sizeof l->why, "more archives without a sidecar than backups");
	else
		l->goes = true;
	return 0;
}

/* Evidence goes with its archive, and stays with it. */
static void join_evidence(struct leftovers *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct leftover *e = &all->items[i];
		for (size_t k = 0; !e->archive && k < all->count; k++) {
			const struct leftover *a = &all->items[k];
			if (!a->archive || a->goes || strcmp(a->id, e->id) != 0)
				continue;
			e->goes = false;
			memcpy(e->why, a->why, sizeof e->why);
		}
	}
}

/* ---- all of them ---- */

static int count_backups(struct finding *f, struct err *err)
{
	CLEANUP(catalog_done) struct catalog c = {0};
	if (catalog_load(f->store, f->stack, &c, err) < 0)
		return -1;
	for (size_t i = 0; i < c.count; i++) {
		/* What an archive may go for is a backup that could stand in for it. */
		if (backup_standing(&c.items[i]) == PROOF_FAILED || c.items[i].partial ||
		    c.items[i].suspicious)
			continue;
		/* Newest first. */
		if (f->backups++ == 0)
			memcpy(f->newest, c.items[i].id, sizeof f->newest);
	}
	return 0;
}

static int prepare(struct finding *f, const struct store_objects *orphans, struct err *err)
{
	CLEANUP(freep) char *prefix = NULL;
	struct err why = ERR_INIT;
	for (size_t i = 0; i < orphans->count; i++) {
		struct catalog_name n;
		f->archives += catalog_name_parse(f->stack, orphans->items[i].name, &n) &&
			       n.kind == CATALOG_NAME_ARCHIVE;
	}
	if (str_printf(&prefix, err, "%s-", f->stack) < 0 || count_backups(f, err) < 0 ||
	    lease_find_marks(f->store, prefix, &f->marks, err) < 0)
		return -1;
	if (lease_store_time(f->store, f->stack, &f->now_ms, &why) < 0) {
		if (why.code == ERR_CANCELLED) {
			*err = why;
			return -1;
		}
		log_debug("%s", why.msg);
		f->now_ms = INT64_MIN;
	}
	return 0;
}

static void finding_done(struct finding *f)
{
	lease_marks_done(&f->marks);
}

int leftovers_find(struct store *s, const char *stack, bool all, struct leftovers *ret,
		   struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects orphans = {0};
	CLEANUP(finding_done) struct finding f = {.store = s, .stack = stack, .all = all};
	CLEANUP(leftovers_done) struct leftovers found = {0};
	if (catalog_orphans(s, stack, &orphans, err) < 0)
		return -1;
	if (orphans.count > 0 && prepare(&f, &orphans, err) < 0)
		return -1;
	found.items = mem_zalloc(orphans.count * sizeof *found.items, "leftovers", err);
	if (found.items == NULL)
		return -1;
	for (size_t i = 0; i < orphans.count; i++) {
		const struct store_object *o = &orphans.items[i];
		struct leftover *l = &found.items[found.count];
		struct catalog_name n;
		if (!catalog_name_parse(stack, o->name, &n))
			continue;
		memcpy(l->name, o->name, sizeof l->name);
		memcpy(l->id, n.id, sizeof l->id);
		l->archive = n.kind == CATALOG_NAME_ARCHIVE;
		found.count++;
		if (judge(&f, o, l, err) < 0 || cancel_check(err) < 0)
			return -1;
		describe(&f, l, n.kind);
	}
	join_evidence(&found);
	*ret = found;
	found = (struct leftovers){0};
	return 0;
}

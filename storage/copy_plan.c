#include <stdlib.h>
#include <string.h>
#include "storage/copy.h"

static const struct backup *find(const struct catalog *c, const char *id)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].id, id) == 0)
			return &c->items[i];
	return NULL;
}

static bool is_broken(const struct backup *b)
{
	return b->broken[0] != '\0';
}

static struct retention_item item_of(const struct backup *b)
{
	return (struct retention_item){.taken_ms = b->taken_ms,
				       .proof = backup_standing(b),
				       .pinned = b->pinned,
				       .in_use = is_broken(b),
				       .suspicious = b->suspicious,
				       .partial = b->partial};
}

static int add_evidence(json_t *all, const json_t *of, bool from_elsewhere, struct err *err)
{
	size_t i;
	json_t *e;
	json_array_foreach(of, i, e)
	{
		bool stays = json_is_true(json_object_get(e, "this_copy_only"));
		if (!(from_elsewhere && stays) && json_push(all, json_incref(e), err) < 0)
			return -1;
	}
	return 0;
}

/* What `to` holds, with the evidence that is on its way to it. */
static int held_item(const struct backup *held, const struct backup *source,
		     struct retention_item *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_array();
	struct backup both = {.evidence = all, .damaged = held->damaged};
	if (all == NULL)
		return err_nomem(err, "JSON");
	if (add_evidence(all, held->evidence, false, err) < 0 ||
	    add_evidence(all, source->evidence, true, err) < 0)
		return -1;
	catalog_settle_proof(&both);
	*ret = item_of(held);
	ret->proof = backup_standing(&both);
	return 0;
}

int copy_plan(const struct catalog *from, const struct catalog *to,
	      const struct retention_rules *rules, const char *zone, int64_t now_ms, bool *ret,
	      struct err *err)
{
	CLEANUP(freep)
	struct retention_item *items =
	    mem_zalloc((from->count + to->count + 1) * sizeof *items, "a plan", err);
	size_t count = 0;
	if (items == NULL)
		return -1;
	/* Those of `from` first, in its order: an item's place tells whose it is. */
	for (size_t i = 0; i < from->count; i++) {
		const struct backup *b = &from->items[i], *held = find(to, b->id);
		if (is_broken(b))
			continue;
		items[count] = item_of(b);
		if (held != NULL && !is_broken(held) && held_item(held, b, &items[count], err) < 0)
			return -1;
		count++;
	}
	for (size_t i = 0; i < to->count; i++) {
		const struct backup *source = find(from, to->items[i].id);
		if (source == NULL || is_broken(source))
			items[count++] = item_of(&to->items[i]);
	}
	if (retention_plan(rules, zone, now_ms, items, count, err) < 0)
		return -1;
	size_t at = 0;
	for (size_t i = 0; i < from->count; i++) {
		const struct backup *b = &from->items[i], *held = find(to, b->id);
		ret[i] = !is_broken(b) && items[at].keep && (held == NULL || is_broken(held));
		at += !is_broken(b);
	}
	return 0;
}

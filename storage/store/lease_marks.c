/* What leases say to those who don't hold them: marks, the store's time, and what is left over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "storage/store/catalog_name.h"
#include "storage/store/lease_object.h"

int lease_store_time(struct store *store, const char *name, int64_t *ret_ms, struct err *err)
{
	char token[LEASE_TOKEN_BYTES];
	CLEANUP(freep) char *probe = NULL;
	struct store_object o;
	struct err ignored = ERR_INIT;
	static const char text[] = "Tells the time of the store.\n";
	if (lease_token(token, err) < 0 ||
	    str_printf(&probe, err, "%s.probe-%s", name, token) < 0 ||
	    store_put_bytes(store, probe, text, sizeof text - 1, err) < 0)
		return -1;
	int rc = store_stat(store, probe, &o, err);
	cancel_hold();
	if (store_remove(store, probe, &ignored) < 0)
		log_debug("probe '%s' stays: %s", probe, ignored.msg);
	cancel_release();
	if (rc == 0)
		*ret_ms = o.modified_ms;
	return rc;
}

/* The store's time, learned when it is first needed. */
struct store_clock {
	struct store *store;
	const char *name;
	bool asked;
	int64_t now_ms; /* INT64_MIN: not known */
};

static int64_t time_of(struct store_clock *c)
{
	struct err why = ERR_INIT;
	if (!c->asked && lease_store_time(c->store, c->name, &c->now_ms, &why) < 0) {
		log_debug("%s", why.msg);
		c->now_ms = INT64_MIN;
	}
	c->asked = true;
	return c->now_ms;
}

/* *ret_dead is true also for what went away meanwhile. */
static int look_at(struct store_clock *c, const struct store_object *o, struct lease_holder *ret,
		   bool *ret_dead, struct err *err)
{
	struct err why = ERR_INIT;
	if (lease_holder_read(c->store, o->name, ret, &why) < 0) {
		*ret_dead = true;
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	*ret_dead = lease_holder_is_dead(ret, o->modified_ms, INT64_MIN) ||
		    lease_holder_is_dead(ret, o->modified_ms, time_of(c));
	return 0;
}

/* ---- marks ---- */

int lease_find_marks(struct store *store, const char *prefix, struct lease_marks *ret,
		     struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	CLEANUP(lease_marks_done) struct lease_marks found = {0};
	if (store_list(store, prefix, &all, err) < 0)
		return -1;
	struct store_clock clock = {.store = store};
	for (size_t i = 0; i < all.count; i++) {
		struct lease_name n;
		struct lease_holder h;
		bool dead;
		if (!lease_name_parse(all.items[i].name, &n) || n.kind != LEASE_MARK)
			continue;
		clock.name = n.name;
		if (look_at(&clock, &all.items[i], &h, &dead, err) < 0)
			return -1;
		if (dead)
			continue;
		struct lease_marked *items =
		    mem_grow(found.items, found.count, sizeof *found.items, "a list of marks", err);
		if (items == NULL)
			return -1;
		found.items = items;
		struct lease_marked *m = &items[found.count++];
		memcpy(m->name, n.name, sizeof m->name);
		lease_holder_say(&h, m->holder, sizeof m->holder);
	}
	*ret = found;
	found = (struct lease_marks){0};
	return 0;
}

void lease_marks_done(struct lease_marks *m)
{
	free(m->items);
	*m = (struct lease_marks){0};
}

const char *lease_marks_holder(const struct lease_marks *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->items[i].name, name) == 0)
			return m->items[i].holder;
	return NULL;
}

/* ---- leftovers ---- */

struct sweeping {
	struct store_clock clock;
	const char *stack;
	bool dry_run;
	struct strlist *gone;
	unsigned highest; /* lease of the stack */
};

static int is_leftover(struct sweeping *s, const struct store_object *o, const struct lease_name *n,
		       bool *ret, struct err *err)
{
	struct lease_holder h;
	switch (n->kind) {
	case LEASE_LEASE:
		*ret = n->number < s->highest;
		return 0;
	case LEASE_PROBE: {
		int64_t now = time_of(&s->clock);
		*ret = now != INT64_MIN && now - o->modified_ms >= LEASE_MS;
		return 0;
	}
	case LEASE_MARK:
		break;
	}
	return look_at(&s->clock, o, &h, ret, err);
}

/* What the store keeps for now goes another time. */
static int remove_one(struct sweeping *s, const char *name, bool *ret_gone, struct err *err)
{
	struct err why = ERR_INIT;
	*ret_gone = store_remove(s->clock.store, name, &why) == 0;
	if (*ret_gone || why.code == ERR_LOCKED)
		return 0;
	*err = why;
	return -1;
}

static int sweep(struct sweeping *s, const struct store_objects *all, struct err *err)
{
	for (size_t i = 0; i < all->count; i++) {
		const char *name = all->items[i].name;
		struct lease_name n;
		bool leftover = false;
		if (!lease_name_parse(name, &n) || !catalog_name_belongs(s->stack, name))
			continue;
		if (is_leftover(s, &all->items[i], &n, &leftover, err) < 0 ||
		    (leftover && !s->dry_run && remove_one(s, name, &leftover, err) < 0) ||
		    (leftover && s->gone != NULL && strlist_push(s->gone, name, err) < 0))
			return -1;
	}
	return 0;
}

int lease_sweep(struct store *store, const char *stack, bool dry_run, struct strlist *ret,
		struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	struct sweeping s = {.clock = {.store = store, .name = stack},
			     .stack = stack,
			     .dry_run = dry_run,
			     .gone = ret};
	if (store_list(store, stack, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		struct lease_name n;
		if (lease_name_parse(all.items[i].name, &n) && n.kind == LEASE_LEASE &&
		    strcmp(n.name, stack) == 0 && n.number > s.highest)
			s.highest = n.number;
	}
	return sweep(&s, &all, err);
}

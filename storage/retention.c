#include "storage/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/civil.h"
#include "base/zone.h"

enum rank { PROVEN, UNTESTED, DOUBTFUL, RANKS };
enum bucket { HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, BUCKETS };

/* Why an item stays: one bit each; the buckets' bits follow the last one. */
enum why {
	WHY_NEWEST = 1,
	WHY_NEWEST_PROVEN = 2,
	WHY_NEWEST_UNTESTED = 4,
	WHY_PINNED = 8,
	WHY_IN_USE = 16,
	WHY_LAST = 32,
	WHY_WITHIN = 64,
	WHY_MIN = 128,
	WHY_BUCKET = 256
};

struct entry {
	struct retention_item *item;
	size_t index; /* as given: equal times keep their order */
	enum rank rank;
	unsigned why;
	int64_t key[BUCKETS];
	int64_t local_s;
};

struct plan {
	const struct retention_rules *rules;
	int64_t now_ms;
	struct entry *entries; /* newest first */
	size_t count;
	/* Buckets seen so far by one rule. */
	struct seen {
		int64_t key;
		struct entry *best;
	} * seen;
};

static enum rank rank_of(const struct retention_item *item)
{
	if (item->suspicious || item->partial || item->proof == PROOF_FAILED)
		return DOUBTFUL;
	return item->proof == PROOF_PASSED ? PROVEN : UNTESTED;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->item->taken_ms != y->item->taken_ms)
		return x->item->taken_ms < y->item->taken_ms ? 1 : -1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static void fill_entry(struct entry *e, struct retention_item *item, size_t index,
		       const struct zone *zone)
{
	int64_t unix_s = civil_floor_div(item->taken_ms, 1000);
	int64_t offset = zone_offset_s(zone, unix_s);
	int64_t local = unix_s + offset, day = civil_floor_div(local, 86400);
	struct civil c = civil_of_days(day);
	*e = (struct entry){.item = item, .index = index, .rank = rank_of(item), .local_s = local};
	/* An hour is told by the moment it began, so that the one that comes twice when the clocks
	 * go back is two. */
	e->key[HOURLY] = civil_floor_div(local, 3600) * 3600 - offset;
	e->key[DAILY] = day;
	e->key[WEEKLY] = civil_floor_div(day + 3, 7); /* weeks begin on Monday */
	e->key[MONTHLY] = c.year * 12 + c.month;
	e->key[YEARLY] = c.year;
}

/* ---- the rules, each for the ranks up to `worst` ---- */

static void keep_newest(struct plan *p, enum rank worst)
{
	static const unsigned why[RANKS] = {WHY_NEWEST_PROVEN, WHY_NEWEST_UNTESTED, WHY_NEWEST};
	for (size_t i = 0; i < p->count; i++) {
		if (p->entries[i].rank > worst)
			continue;
		p->entries[i].why |= why[worst];
		return;
	}
}

static void keep_last(struct plan *p, enum rank worst)
{
	unsigned left = p->rules->last;
	for (size_t i = 0; left > 0 && i < p->count; i++) {
		if (p->entries[i].rank > worst)
			continue;
		p->entries[i].why |= WHY_LAST;
		left--;
	}
}

static void keep_buckets(struct plan *p, enum rank worst, enum bucket kind, unsigned wanted)
{
	size_t seen = 0;
	for (size_t i = 0; wanted > 0 && i < p->count; i++) {
		struct entry *e = &p->entries[i];
		if (e->rank > worst)
			continue;
		/* Nearly always the one that was seen last; but where clocks go back over midnight
		 * a day comes, goes and comes again. */
		size_t at = seen;
		while (at > 0 && p->seen[at - 1].key != e->key[kind])
			at--;
		if (at > 0 && e->rank < p->seen[at - 1].best->rank)
			p->seen[at - 1].best = e;
		else if (at == 0 && seen < wanted)
			p->seen[seen++] = (struct seen){.key = e->key[kind], .best = e};
	}
	for (size_t i = 0; i < seen; i++)
		p->seen[i].best->why |= (unsigned)WHY_BUCKET << kind;
}

static void keep_min(struct plan *p, enum rank worst)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->count; i++)
		kept += p->entries[i].rank <= worst && p->entries[i].why != 0;
	for (size_t i = 0; kept < p->rules->min && i < p->count; i++) {
		if (p->entries[i].rank > worst || p->entries[i].why != 0)
			continue;
		p->entries[i].why |= WHY_MIN;
		kept++;
	}
}

/* What keeps an item without a look at the others. */
static void keep_alone(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct entry *e = &p->entries[i];
		if (e->item->pinned)
			e->why |= WHY_PINNED;
		if (e->item->in_use)
			e->why |= WHY_IN_USE;
		if (p->rules->within_ms > 0 && e->item->taken_ms >= p->now_ms - p->rules->within_ms)
			e->why |= WHY_WITHIN;
	}
}

/* A drill passed is a drill passed: the newest such is never deleted, suspicious or not. */
static void keep_newest_passed(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->entries[i].item->proof != PROOF_PASSED || p->entries[i].item->partial)
			continue;
		p->entries[i].why |= WHY_NEWEST_PROVEN;
		return;
	}
}

static void apply_rules(struct plan *p)
{
	const struct retention_rules *r = p->rules;
	keep_alone(p);
	keep_newest_passed(p);
	for (enum rank worst = PROVEN; worst < RANKS; worst++) {
		keep_newest(p, worst);
		keep_last(p, worst);
		keep_buckets(p, worst, HOURLY, r->hourly);
		keep_buckets(p, worst, DAILY, r->daily);
		keep_buckets(p, worst, WEEKLY, r->weekly);
		keep_buckets(p, worst, MONTHLY, r->monthly);
		keep_buckets(p, worst, YEARLY, r->yearly);
		keep_min(p, worst);
	}
}

/* ---- reasons ---- */

/* Adds one to the list; one that does not fit is left out. */
static void say(struct retention_item *item, const char *what)
{
	size_t used = strlen(item->reason), len = strlen(what);
	size_t comma = used > 0 ? 2 : 0;
	if (used + comma + len >= sizeof item->reason)
		return;
	memcpy(item->reason + used, ", ", comma);
	memcpy(item->reason + used + comma, what, len + 1);
}

static void say_bucket(struct entry *e, enum bucket kind)
{
	char what[64] = "";
	int64_t day = e->key[DAILY], week_year;
	int week;
	struct civil c = civil_of_days(day);
	long long year = (long long)c.year;
	switch (kind) {
	case HOURLY:
		snprintf(what, sizeof what, "hourly %04lld-%02d-%02d %02d:00", year, c.month, c.day,
			 (int)((e->local_s - day * 86400) / 3600));
		break;
	case DAILY:
		snprintf(what, sizeof what, "daily %04lld-%02d-%02d", year, c.month, c.day);
		break;
	case WEEKLY:
		civil_iso_week(day, &week_year, &week);
		snprintf(what, sizeof what, "weekly %04lld-W%02d", (long long)week_year, week);
		break;
	case MONTHLY:
		snprintf(what, sizeof what, "monthly %04lld-%02d", year, c.month);
		break;
	case YEARLY:
		snprintf(what, sizeof what, "yearly %04lld", year);
		break;
	case BUCKETS:
		break;
	}
	say(e->item, what);
}

static void say_why(const struct plan *p, struct entry *e)
{
	const struct {
		unsigned bit;
		const char *text;
	} plain[] = {{WHY_PINNED, "pinned"},
		     {WHY_IN_USE, e->item->use != NULL ? e->item->use : "in use"},
		     {WHY_NEWEST, "newest"},
		     {WHY_NEWEST_PROVEN, "newest proven"}};
	char what[64];
	const int64_t hour_ms = INT64_C(3600) * 1000;
	int64_t hours = p->rules->within_ms / hour_ms;
	e->item->reason[0] = '\0';
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (e->why & plain[i].bit)
			say(e->item, plain[i].text);
	if ((e->why & WHY_NEWEST_UNTESTED) && e->rank == UNTESTED && !(e->why & WHY_NEWEST))
		say(e->item, "newest untested");
	if (e->why & WHY_LAST) {
		snprintf(what, sizeof what, "last %u", p->rules->last);
		say(e->item, what);
	}
	for (enum bucket kind = HOURLY; kind < BUCKETS; kind++)
		if (e->why & (unsigned)WHY_BUCKET << kind)
			say_bucket(e, kind);
	if (e->why & WHY_WITHIN) {
		snprintf(what, sizeof what, "within %lld%c",
			 (long long)(hours % 24 == 0 ? hours / 24 : hours),
			 hours % 24 == 0 ? 'd' : 'h');
		say(e->item, what);
	}
	if (e->why & WHY_MIN) {
		snprintf(what, sizeof what, "min %u", p->rules->min);
		say(e->item, what);
	}
	if (e->why == 0)
		say(e->item, "no rule keeps it");
}

int retention_plan(const struct retention_rules *rules, const char *zone, int64_t now_ms,
		   struct retention_item *items, size_t count, struct err *err)
{
	CLEANUP(zone_freep) struct zone *z = NULL;
	CLEANUP(freep) struct entry *entries = mem_zalloc(count * sizeof *entries, "a plan", err);
	CLEANUP(freep) struct seen *seen = NULL;
	if (entries == NULL || zone_load(zone, &z, err) < 0)
		return -1;
	seen = mem_zalloc(count * sizeof *seen, "a plan", err);
	if (seen == NULL)
		return -1;
	struct plan p = {
	    .rules = rules, .now_ms = now_ms, .entries = entries, .count = count, .seen = seen};
	for (size_t i = 0; i < count; i++)
		fill_entry(&entries[i], &items[i], i, z);
	if (count > 1)
		qsort(entries, count, sizeof *entries, newest_first);
	if (rules->any)
		apply_rules(&p);
	for (size_t i = 0; i < count; i++) {
		struct entry *e = &entries[i];
		e->item->keep = e->why != 0 || !rules->any;
		say_why(&p, e);
		if (!rules->any)
			snprintf(e->item->reason, sizeof e->item->reason, "there are no rules");
	}
	return 0;
}

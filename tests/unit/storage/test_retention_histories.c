/*
 * Ten thousand random histories against a second implementation of the definition in
 * storage/retention.h, which is slow and plain and shares nothing with the first: calendars are the
 * C library's, and every question is asked of all backups anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "storage/retention.h"

enum { HISTORIES = 10000, MOST = 40, KINDS = 5, DAY = 86400 };

static const char *const zones[] = {"UTC",          "Europe/Berlin",       "America/New_York",
				    "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"};
enum { ZONES = sizeof zones / sizeof *zones };

/* ---- chance, the same in every run ---- */

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static bool one_in(unsigned n)
{
	return below(n) == 0;
}

struct history {
	struct retention_item items[MOST];
	size_t count;
	struct retention_rules rules;
	int64_t now_ms;
	const char *zone;
};

/* Moments near which calendars do something odd: ends of years, clocks set forward and back, a day
 * that Samoa left out. */
static int64_t some_moment_s(void)
{
	static const int64_t odd[] = {1609459200, 1735689600, 1798761600, 1616893200, 1635642000,
				      1774746000, 1792891200, 1325239200, 1301756400, 1333209600};
	return one_in(3) ? odd[below(sizeof odd / sizeof *odd)]
			 : 1262304000 + (int64_t)below(INT64_C(20) * 365 * DAY);
}

static void make_rules(struct retention_rules *r)
{
	*r = (struct retention_rules){.any = true};
	if (one_in(2))
		r->last = (unsigned)below(5);
	if (one_in(3))
		r->hourly = (unsigned)below(6);
	if (one_in(2))
		r->daily = (unsigned)below(8);
	if (one_in(2))
		r->weekly = (unsigned)below(5);
	if (one_in(2))
		r->monthly = (unsigned)below(5);
	if (one_in(3))
		r->yearly = (unsigned)below(4);
	if (one_in(4))
		r->within_ms = (int64_t)below(40) * DAY * 1000;
	if (one_in(3))
		r->min = (unsigned)below(8);
}

static void make_history(struct history *h, const char *zone)
{
	/* From every few minutes to a few times a year. */
	static const int64_t steps[] = {1800, 3600, 6 * 3600, DAY, DAY, 7 * DAY, 40 * DAY};
	int64_t step = steps[below(sizeof steps / sizeof *steps)];
	int64_t at_s = some_moment_s() - step * (int64_t)below(20);
	h->zone = zone;
	h->count = one_in(20) ? below(3) : 1 + below(one_in(10) ? MOST : 20);
	unsigned unproven = 1 + (unsigned)below(4);
	for (size_t i = 0; i < h->count; i++) {
		at_s += one_in(10) ? 0 : 1 + (int64_t)below((uint64_t)step * 2);
		h->items[i] = (struct retention_item){
		    .taken_ms = at_s * 1000 + (int64_t)below(1000),
		    .proof = one_in(unproven) ? PROOF_PASSED : (enum proof)below(4),
		    .pinned = one_in(12),
		    .in_use = one_in(15),
		    .suspicious = one_in(8),
		    .partial = one_in(10)};
	}
	/* In any order. */
	for (size_t i = h->count; i > 1; i--) {
		size_t k = below(i);
		struct retention_item swapped = h->items[i - 1];
		h->items[i - 1] = h->items[k];
		h->items[k] = swapped;
	}
	h->now_ms = (at_s + (int64_t)below(3 * DAY)) * 1000;
	make_rules(&h->rules);
}

/* ---- the definition, said again ---- */

/* 0 proven, 1 untested, 2 doubtful. */
static int rank(const struct retention_item *i)
{
	if (i->suspicious || i->partial || i->proof == PROOF_FAILED)
		return 2;
	return i->proof == PROOF_PASSED ? 0 : 1;
}

struct plain {
	const struct history *h;
	char bucket[KINDS][MOST][40];
	size_t first[KINDS][MOST]; /* of the same bucket */
	bool keep[MOST];
};

static bool is_newer(const struct plain *p, size_t a, size_t b)
{
	const struct retention_item *x = &p->h->items[a], *y = &p->h->items[b];
	if (x->taken_ms != y->taken_ms)
		return x->taken_ms > y->taken_ms;
	if (rank(x) != rank(y))
		return rank(x) < rank(y);
	return a < b;
}

static bool shares_bucket(const struct plain *p, int kind, size_t a, size_t b)
{
	return p->first[kind][a] == p->first[kind][b];
}

/* How many of the ranks up to `worst` are newer than i. */
static unsigned newer_ones(const struct plain *p, size_t i, int worst)
{
	unsigned n = 0;
	for (size_t k = 0; k < p->h->count; k++)
		n += rank(&p->h->items[k]) <= worst && is_newer(p, k, i);
	return n;
}

/* Is i the newest of its bucket? */
static bool leads_bucket(const struct plain *p, int kind, size_t i, int worst)
{
	for (size_t k = 0; k < p->h->count; k++)
		if (rank(&p->h->items[k]) <= worst && is_newer(p, k, i) &&
		    shares_bucket(p, kind, k, i))
			return false;
	return true;
}

/* Does it stand for its bucket: no better one is there, and no newer one that is as good? */
static bool stands_for_bucket(const struct plain *p, int kind, size_t i)
{
	int mine = rank(&p->h->items[i]);
	for (size_t k = 0; k < p->h->count; k++) {
		int other = rank(&p->h->items[k]);
		if (shares_bucket(p, kind, k, i) &&
		    (other < mine || (other == mine && is_newer(p, k, i))))
			return false;
	}
	return true;
}

/* How many buckets begin, from the newest on, before that of i does? */
static unsigned newer_buckets(const struct plain *p, int kind, size_t i, int worst)
{
	size_t leader = i;
	for (size_t k = 0; k < p->h->count; k++)
		if (rank(&p->h->items[k]) <= worst && shares_bucket(p, kind, k, i) &&
		    leads_bucket(p, kind, k, worst))
			leader = k;
	unsigned n = 0;
	for (size_t k = 0; k < p->h->count; k++)
		n += rank(&p->h->items[k]) <= worst && leads_bucket(p, kind, k, worst) &&
		     is_newer(p, k, leader);
	return n;
}

static bool a_rule_keeps(const struct plain *p, size_t i, int worst)
{
	const struct retention_rules *r = &p->h->rules;
	const unsigned wanted[KINDS] = {r->hourly, r->daily, r->weekly, r->monthly, r->yearly};
	unsigned newer = newer_ones(p, i, worst);
	if (newer == 0 || newer < r->last)
		return true;
	for (int kind = 0; kind < KINDS; kind++)
		if (stands_for_bucket(p, kind, i) &&
		    newer_buckets(p, kind, i, worst) < wanted[kind])
			return true;
	return false;
}

static bool is_newest_passed(const struct plain *p, size_t i)
{
	const struct retention_item *all = p->h->items;
	if (all[i].proof != PROOF_PASSED || all[i].partial)
		return false;
	for (size_t k = 0; k < p->h->count; k++)
		if (all[k].proof == PROOF_PASSED && !all[k].partial && is_newer(p, k, i))
			return false;
	return true;
}

static void fill_min(struct plain *p, int worst)
{
	for (;;) {
		unsigned kept = 0;
		size_t best = SIZE_MAX;
		for (size_t i = 0; i < p->h->count; i++) {
			if (rank(&p->h->items[i]) > worst)
				continue;
			kept += p->keep[i];
			if (!p->keep[i] && (best == SIZE_MAX || is_newer(p, i, best)))
				best = i;
		}
		if (kept >= p->h->rules.min || best == SIZE_MAX)
			return;
		p->keep[best] = true;
	}
}

static void label(int kind, const struct tm *tm, char out[40])
{
	size_t n = 0;
	switch (kind) {
	case 0:
		n = strftime(out, 40, "%Y-%m-%d %H %z", tm);
		break;
	case 1:
		n = strftime(out, 40, "%Y-%m-%d", tm);
		break;
	case 2:
		n = strftime(out, 40, "%G-W%V", tm);
		break;
	case 3:
		n = strftime(out, 40, "%Y-%m", tm);
		break;
	default:
		n = strftime(out, 40, "%Y", tm);
	}
	assert_true(n > 0);
}

static void plain_plan(struct plain *p, const struct history *h)
{
	p->h = h;
	for (size_t i = 0; i < h->count; i++) {
		time_t s = (time_t)(h->items[i].taken_ms / 1000);
		struct tm tm;
		assert_non_null(localtime_r(&s, &tm));
		for (int kind = 0; kind < KINDS; kind++) {
			label(kind, &tm, p->bucket[kind][i]);
			p->first[kind][i] = i;
			for (size_t k = i; k-- > 0;)
				if (strcmp(p->bucket[kind][k], p->bucket[kind][i]) == 0)
					p->first[kind][i] = p->first[kind][k];
		}
	}
	for (size_t i = 0; i < h->count; i++) {
		const struct retention_item *item = &h->items[i];
		p->keep[i] =
		    item->pinned || item->in_use || is_newest_passed(p, i) ||
		    (h->rules.within_ms > 0 && h->now_ms - item->taken_ms <= h->rules.within_ms);
	}
	for (int worst = 0; worst < 3; worst++) {
		bool by_rule[MOST] = {false};
		for (size_t i = 0; i < h->count; i++)
			by_rule[i] = rank(&h->items[i]) <= worst && a_rule_keeps(p, i, worst);
		for (size_t i = 0; i < h->count; i++)
			p->keep[i] = p->keep[i] || by_rule[i];
		fill_min(p, worst);
	}
}

/* ---- what must hold ---- */

static void plan(struct history *h)
{
	struct err err = ERR_INIT;
	assert_int_equal(retention_plan(&h->rules, h->zone, h->now_ms, h->items, h->count, &err),
			 0);
}

static void assert_is_the_definition(const struct history *h, unsigned number)
{
	static struct plain p;
	plain_plan(&p, h);
	for (size_t i = 0; i < h->count; i++) {
		if (p.keep[i] != h->items[i].keep)
			fail_msg("history %u, zone %s, backup %zu (%lld): planned %s, \"%s\"",
				 number, h->zone, i, (long long)h->items[i].taken_ms,
				 h->items[i].keep ? "keep" : "remove", h->items[i].reason);
		assert_int_equal(strcmp(h->items[i].reason, "no rule keeps it") != 0,
				 h->items[i].keep);
	}
}

static void assert_never_deleted(const struct history *h)
{
	const struct retention_item *proven = NULL, *newest = NULL;
	unsigned kept = 0;
	for (size_t i = 0; i < h->count; i++) {
		const struct retention_item *item = &h->items[i];
		assert_true(item->keep || !(item->pinned || item->in_use));
		kept += item->keep;
		if (rank(item) == 0 && (proven == NULL || item->taken_ms > proven->taken_ms ||
					(item->taken_ms == proven->taken_ms && item->keep)))
			proven = item;
		if (newest == NULL || item->taken_ms > newest->taken_ms ||
		    (item->taken_ms == newest->taken_ms && item->keep))
			newest = item;
	}
	assert_true(proven == NULL || proven->keep);
	assert_true(newest == NULL || newest->keep);
	assert_true(kept >= h->rules.min || kept == h->count);
}

/* What was removed is gone; what is left is left alone. */
static void assert_planning_again_removes_nothing(const struct history *h)
{
	static struct history left;
	left = *h;
	left.count = 0;
	for (size_t i = 0; i < h->count; i++)
		if (h->items[i].keep)
			left.items[left.count++] = h->items[i];
	plan(&left);
	for (size_t i = 0; i < left.count; i++)
		assert_true(left.items[i].keep);
}

/* A proven backup that stays where there are proven ones alone stays beside any others. */
static void assert_nothing_evicts_the_proven(const struct history *h)
{
	static struct history proven;
	size_t from[MOST];
	proven = *h;
	proven.count = 0;
	for (size_t i = 0; i < h->count; i++) {
		if (rank(&h->items[i]) != 0)
			continue;
		from[proven.count] = i;
		proven.items[proven.count++] = h->items[i];
	}
	plan(&proven);
	for (size_t i = 0; i < proven.count; i++)
		assert_true(!proven.items[i].keep || h->items[from[i]].keep);
}

static void histories__of_every_kind__are_planned_by_the_definition(void **state)
{
	(void)state;
	static struct history h;
	unsigned number = 0;
	uint64_t kept = 0, all = 0;
	seed = 4;
	for (size_t z = 0; z < ZONES; z++) {
		assert_int_equal(setenv("TZ", zones[z], 1), 0);
		tzset();
		for (; number < HISTORIES * (z + 1) / ZONES; number++) {
			make_history(&h, zones[z]);
			plan(&h);
			assert_is_the_definition(&h, number);
			assert_never_deleted(&h);
			assert_planning_again_removes_nothing(&h);
			assert_nothing_evicts_the_proven(&h);
			for (size_t i = 0; i < h.count; i++)
				kept += h.items[i].keep;
			all += h.count;
		}
	}
	assert_int_equal(number, HISTORIES);
	/* The histories say something: neither does everything stay, nor nearly nothing. */
	assert_true(kept > all / 4 && kept < all * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(histories__of_every_kind__are_planned_by_the_definition),
	};
	return cmocka_run_group_tests_name("storage/retention_histories", tests, NULL, NULL);
}

/* The calendar of the last 90 days, by outcome. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/report/overview.h"
#include "base/civil.h"
#include "base/zone.h"

enum { DAYS = 90 };

struct day {
	unsigned backups, proven, suspicious, drills, failures;
};

struct calendar {
	const struct zone *zone;
	int64_t first; /* day number of the first of them */
	int64_t begin; /* day number of the oldest thing known */
	struct day days[DAYS];
};

static struct day *day_of(struct calendar *c, int64_t wall_ms)
{
	int64_t s = civil_floor_div(wall_ms, 1000);
	int64_t day = civil_floor_div(s + zone_offset_s(c->zone, s), 86400);
	if (wall_ms <= 0)
		return NULL;
	if (day < c->begin)
		c->begin = day;
	return day < c->first || day >= c->first + DAYS ? NULL : &c->days[day - c->first];
}

static bool is(const json_t *obj, const char *key, const char *text)
{
	return strcmp(json_str_or(obj, key, ""), text) == 0;
}

/* A backup that lies in several stores is counted once: by the first of them that has it. */
static bool in_earlier_store(const json_t *stores, size_t index, const char *id)
{
	for (size_t s = 0; s < index; s++) {
		size_t i;
		json_t *b;
		json_array_foreach(json_object_get(json_array_get(stores, s), "backups"), i, b)
		{
			if (is(b, "id", id))
				return true;
		}
	}
	return false;
}

static void count_backups(struct calendar *c, const json_t *stores)
{
	size_t s, i;
	json_t *store, *b;
	json_array_foreach(stores, s, store)
	{
		json_array_foreach(json_object_get(store, "backups"), i, b)
		{
			struct day *d = day_of(c, overview_time(b, "taken"));
			if (d == NULL || json_is_string(json_object_get(b, "broken")))
				continue;
			d->proven += is(b, "proof", "passed");
			d->suspicious += json_is_true(json_object_get(b, "suspicious"));
			d->backups += !in_earlier_store(stores, s, json_str_or(b, "id", ""));
		}
	}
}

static void count_drills(struct calendar *c, const json_t *drills)
{
	size_t i;
	json_t *e;
	json_array_foreach(drills, i, e)
	{
		struct day *d = day_of(c, overview_time(e, "started"));
		if (d == NULL)
			continue;
		d->drills++;
		d->failures += is(e, "outcome", "failed");
	}
}

/* What the daemon remembers of jobs that failed: those leave nothing in a store. A drill that
 * failed is counted by its evidence. */
static void count_runs(struct calendar *c, const json_t *history)
{
	size_t i;
	json_t *run;
	json_array_foreach(history, i, run)
	{
		struct day *d = day_of(c, overview_time(run, "began"));
		if (d != NULL && !is(run, "job", "drill") && !is(run, "outcome", "success") &&
		    !is(run, "outcome", "locked") && !is(run, "outcome", "cancelled"))
			d->failures++;
	}
}

/* The worst that must be known first. */
static const char *outcome_of(const struct day *d, bool before)
{
	if (d->failures > 0)
		return "failed";
	if (d->suspicious > 0)
		return "suspicious";
	if (d->proven > 0)
		return "proven";
	if (d->backups > 0)
		return "backup";
	return before ? "before" : "none";
}

static int put_days(const struct calendar *c, json_t *doc, struct err *err)
{
	CLEANUP(json_freep) json_t *list = json_array();
	for (int i = 0; i < DAYS; i++) {
		const struct day *d = &c->days[i];
		struct civil date = civil_of_days(c->first + i);
		char text[48];
		snprintf(text, sizeof text, "%04lld-%02d-%02d", (long long)date.year, date.month,
			 date.day);
		if (json_push(list,
			      json_pack("{s:s, s:s, s:i, s:i}", "date", text, "outcome",
					outcome_of(d, c->first + i < c->begin), "backups",
					(int)d->backups, "drills", (int)d->drills),
			      err) < 0)
			return -1;
	}
	return json_put(doc, "days", json_incref(list), err);
}

int overview_days(json_t *doc, const struct config *config, int64_t now_ms, struct err *err)
{
	CLEANUP(zone_freep) struct zone *zone = NULL;
	if (zone_load(config->timezone, &zone, err) < 0)
		return -1;
	int64_t s = civil_floor_div(now_ms, 1000);
	struct calendar *c = mem_zalloc(sizeof *c, "the calendar", err);
	if (c == NULL)
		return -1;
	c->zone = zone;
	c->first = civil_floor_div(s + zone_offset_s(zone, s), 86400) - DAYS + 1;
	c->begin = c->first + DAYS;
	count_backups(c, json_object_get(doc, "stores"));
	count_drills(c, json_object_get(doc, "drills"));
	count_runs(c, json_object_get(json_object_get(doc, "agent"), "history"));
	int done = put_days(c, doc, err);
	free(c);
	return done;
}

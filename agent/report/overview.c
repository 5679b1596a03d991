#include "agent/report/overview.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "storage/copy.h"
#include "storage/retention.h"

enum { DRILLS_MAX = 400, DIFFERENCES_MAX = 20 };

int64_t overview_time(const json_t *obj, const char *key)
{
	struct err ignored = ERR_INIT;
	const char *text = json_str_or(obj, key, NULL);
	int64_t ms = 0;
	return text != NULL && clock_parse_rfc3339(text, &ms, &ignored) == 0 ? ms : 0;
}

int64_t overview_next(const json_t *job, bool *ret_again)
{
	int64_t next = overview_time(job, "next"), again = overview_time(job, "retry_at");
	*ret_again = again > 0 && (next == 0 || again < next);
	return *ret_again ? again : next;
}

static json_t *time_or_null(int64_t ms)
{
	char text[CLOCK_TEXT_BYTES];
	return ms > 0 ? json_string(clock_rfc3339(ms, text)) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? json_text_value(text) : json_null();
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* Of the newest drill that passed; 0: none did. */
static uint64_t restore_ms(const struct backup *b)
{
	for (size_t i = json_array_size(b->evidence); i > 0; i--) {
		const json_t *e = json_array_get(b->evidence, i - 1);
		if (strcmp(json_str_or(e, "outcome", ""), "passed") == 0)
			return json_u64_or(e, "restore_ms", 0);
	}
	return 0;
}

/* ---- backups ---- */

static int put_counts(json_t *item, const struct backup *b, struct err *err)
{
	static const char *const names[][2] = {
	    {"raw_bytes", "raw_bytes"}, {"databases", "databases"},         {"tables", "tables"},
	    {"rows", "rows"},           {"large_objects", "large_objects"}, {"keys", "redis_keys"},
	    {"files", "files"}};
	const json_t *counts = json_object_get(b->sidecar_json, "counts");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (json_put(item, names[i][0], number(json_u64_or(counts, names[i][1], 0)), err) <
		    0)
			return -1;
	return 0;
}

static int backup_item(const struct backup *b, int64_t now_ms, json_t **ret, struct err *err)
{
	const json_t *side = b->sidecar_json;
	json_t *components = json_object_get(side, "components");
	json_t *why = json_object_get(side, "suspicion");
	int64_t finished = overview_time(side, "finished");
	int64_t took = finished > b->taken_ms ? finished - b->taken_ms : 0;
	CLEANUP(json_freep) json_t *item = json_object();
	if (json_put(item, "id", json_text_value(b->id), err) < 0 ||
	    json_put(item, "taken", time_or_null(b->taken_ms), err) < 0 ||
	    json_put(item, "duration_ms", json_integer(took), err) < 0 ||
	    json_put(item, "bytes", number(b->stored_bytes), err) < 0 ||
	    put_counts(item, b, err) < 0 ||
	    json_put(item, "components",
		     json_is_array(components) ? json_incref(components) : json_array(), err) < 0 ||
	    json_put(item, "label", text_or_null(json_str_or(side, "label", NULL)), err) < 0 ||
	    json_put(item, "warnings", number(json_u64_or(side, "warnings", 0)), err) < 0 ||
	    json_put(item, "proof", json_string(proof_name(b->proof)), err) < 0 ||
	    json_put(item, "proved", time_or_null(b->proved_ms), err) < 0 ||
	    json_put(item, "restore_ms", number(restore_ms(b)), err) < 0 ||
	    json_put(item, "drills", number(json_array_size(b->evidence)), err) < 0 ||
	    json_put(item, "verified", json_string(proof_name(b->verified)), err) < 0 ||
	    json_put(item, "verified_age_ms",
		     b->verified_ms > 0 ? json_integer(now_ms - b->verified_ms) : json_null(),
		     err) < 0 ||
	    json_put(item, "damaged", json_boolean(b->damaged), err) < 0 ||
	    json_put(item, "pinned", json_boolean(b->pinned), err) < 0 ||
	    json_put(item, "partial", json_boolean(b->partial), err) < 0 ||
	    json_put(item, "suspicious", json_boolean(b->suspicious), err) < 0 ||
	    json_put(item, "suspicion", json_is_array(why) ? json_incref(why) : json_array(), err) <
		0 ||
	    json_put(item, "broken", text_or_null(b->broken), err) < 0)
		return -1;
	*ret = item;
	item = NULL;
	return 0;
}

static int store_item(const struct overview_store *s, int64_t now_ms, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *item = json_object();
	CLEANUP(json_freep) json_t *list = json_array();
	for (size_t i = 0; i < s->catalog.count; i++) {
		json_t *b = NULL;
		if (backup_item(&s->catalog.items[i], now_ms, &b, err) < 0 ||
		    json_push(list, b, err) < 0)
			return -1;
	}
	bool reached = s->error.code == ERR_NONE;
	if (json_put(item, "label", json_text_value(s->config->label), err) < 0 ||
	    json_put(item, "where", text_or_null(s->where), err) < 0 ||
	    json_put(item, "site", text_or_null(s->config->site), err) < 0 ||
	    json_put(item, "remote", json_boolean(s->remote), err) < 0 ||
	    json_put(item, "reachable", json_boolean(reached), err) < 0 ||
	    json_put(item, "error", reached ? json_null() : json_text_value(s->error.msg), err) <
		0 ||
	    json_put(item, "free_bytes",
		     s->free_bytes == UINT64_MAX ? json_null() : number(s->free_bytes), err) < 0 ||
	    json_put(item, "backups", json_incref(list), err) < 0)
		return -1;
	*ret = item;
	item = NULL;
	return 0;
}

/* ---- drills ---- */

/* The first few of a report's entries: a page is no place for thousands. */
static json_t *first_few(const json_t *list)
{
	json_t *few = json_array(), *item;
	size_t i;
	json_array_foreach(list, i, item)
	{
		if (i == DIFFERENCES_MAX || json_array_append(few, item) < 0)
			break;
	}
	return few;
}

/* {"postgres": true}: was the change noticed? */
static json_t *controls(const json_t *evidence)
{
	json_t *all = json_object(), *report;
	const char *component;
	json_object_foreach(json_object_get(evidence, "negative_control"), component, report)
	{
		bool noticed = strcmp(json_str_or(report, "outcome", ""), "failed") == 0;
		if (json_object_set_new(all, component, json_boolean(noticed)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

int overview_drill(const json_t *e, const char *id, const char *store, json_t **ret,
		   struct err *err)
{
	static const char *const times[] = {"restore_ms", "prove_ms", "data_age_ms"};
	static const char *const sums[] = {"compared", "failed", "unverified"};
	const json_t *proof = json_object_get(e, "proof");
	CLEANUP(json_freep) json_t *item = json_object();
	const char *why = json_str_or(e, "error", json_str_or(e, "broken", NULL));
	if (json_put(item, "id", json_text_value(id), err) < 0 ||
	    json_put(item, "store", json_text_value(store), err) < 0 ||
	    json_put(item, "started", time_or_null(overview_time(e, "started")), err) < 0 ||
	    json_put(item, "finished", time_or_null(overview_time(e, "finished")), err) < 0 ||
	    json_put(item, "outcome",
		     json_text_value(json_str_or(e, "outcome", proof_name(PROOF_UNVERIFIED))),
		     err) < 0 ||
	    json_put(item, "error", text_or_null(why), err) < 0 ||
	    json_put(item, "controls", controls(e), err) < 0 ||
	    json_put(item, "differences", first_few(json_object_get(proof, "differences")), err) <
		0 ||
	    json_put(item, "unknowns", first_few(json_object_get(proof, "unknowns")), err) < 0 ||
	    json_put(item, "notes", first_few(json_object_get(proof, "notes")), err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (json_put(item, times[i], number(json_u64_or(e, times[i], 0)), err) < 0)
			return -1;
	for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
		if (json_put(item, sums[i], number(json_u64_or(proof, sums[i], 0)), err) < 0)
			return -1;
	*ret = item;
	item = NULL;
	return 0;
}

/* One drill's evidence may lie in several stores. */
static bool has_drill(const json_t *list, const char *id, const json_t *evidence)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		if (strcmp(json_str_or(item, "id", ""), id) == 0 &&
		    overview_time(item, "started") == overview_time(evidence, "started"))
			return true;
	}
	return false;
}

static int newest_first(const void *a, const void *b)
{
	int64_t left = overview_time(*(json_t *const *)a, "started");
	int64_t right = overview_time(*(json_t *const *)b, "started");
	return left < right ? 1 : left > right ? -1 : 0;
}

/* The newest DRILLS_MAX of all stores. */
static int sort_drills(const json_t *list, json_t **ret, struct err *err)
{
	size_t count = json_array_size(list), i;
	json_t *item, **items = mem_zalloc((count + 1) * sizeof *items, "drills", err);
	if (items == NULL)
		return -1;
	json_array_foreach(list, i, item)
	{
		items[i] = item;
	}
	qsort(items, count, sizeof *items, newest_first);
	CLEANUP(json_freep) json_t *sorted = json_array();
	int done = 0;
	for (i = 0; done == 0 && i < count && i < DRILLS_MAX; i++)
		done = json_push(sorted, json_incref(items[i]), err);
	free(items);
	if (done < 0)
		return -1;
	*ret = sorted;
	sorted = NULL;
	return 0;
}

static int put_drills(json_t *doc, const struct overview_facts *f, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_array();
	json_t *sorted = NULL;
	for (size_t s = 0; s < f->store_count; s++) {
		const struct catalog *c = &f->stores[s].catalog;
		for (size_t i = 0; i < c->count; i++) {
			size_t k;
			json_t *e, *item = NULL;
			json_array_foreach(c->items[i].evidence, k, e)
			{
				if (has_drill(all, c->items[i].id, e))
					continue;
				if (overview_drill(e, c->items[i].id, f->stores[s].config->label,
						   &item, err) < 0 ||
				    json_push(all, item, err) < 0)
					return -1;
			}
		}
	}
	if (sort_drills(all, &sorted, err) < 0)
		return -1;
	return json_put(doc, "drills", sorted, err);
}

/* ---- newest and proven ---- */

struct found {
	const struct backup *newest, *proven;
	size_t backups, broken;
};

/* The same backup may lie in several stores: a copy without damage counts before one with, and then
 * the newest verdict on any of them. */
static bool outdoes(const struct backup *b, const struct backup *before)
{
	if (before == NULL)
		return true;
	int order = strcmp(b->id, before->id);
	if (order != 0)
		return order > 0;
	return b->damaged != before->damaged ? before->damaged : b->proved_ms > before->proved_ms;
}

static bool seen_before(const struct overview_facts *f, size_t store, const char *id)
{
	for (size_t s = 0; s < store; s++)
		for (size_t i = 0; i < f->stores[s].catalog.count; i++)
			if (strcmp(f->stores[s].catalog.items[i].id, id) == 0)
				return true;
	return false;
}

static struct found find(const struct overview_facts *f)
{
	struct found r = {0};
	for (size_t s = 0; s < f->store_count; s++) {
		const struct catalog *c = &f->stores[s].catalog;
		for (size_t i = 0; i < c->count; i++) {
			const struct backup *b = &c->items[i];
			r.backups += !seen_before(f, s, b->id);
			if (b->broken[0] != '\0') {
				r.broken++;
				continue;
			}
			if (b->partial)
				continue;
			if (outdoes(b, r.newest))
				r.newest = b;
			if (backup_is_proven(b) && outdoes(b, r.proven))
				r.proven = b;
		}
	}
	return r;
}

static int put_brief(json_t *doc, const char *key, const struct backup *b, int64_t now_ms,
		     struct err *err)
{
	json_t *item = json_null();
	if (b != NULL) {
		if (backup_item(b, now_ms, &item, err) < 0)
			return -1;
		if (json_put(item, "age_ms", json_integer(now_ms - b->taken_ms), err) < 0) {
			json_decref(item);
			return -1;
		}
	}
	return json_put(doc, key, item, err);
}

/* ---- all of it ---- */

/* How many backups of the first store this one lacks that its rules would keep; -1: not known. */
static int copies_missing(const struct overview_facts *f, size_t store, json_int_t *ret,
			  struct err *err)
{
	const struct overview_store *first = &f->stores[0], *s = &f->stores[store];
	struct retention_rules rules = {0};
	*ret = -1;
	if (first->error.code != ERR_NONE || s->error.code != ERR_NONE)
		return 0;
	CLEANUP(freep) bool *wanted = mem_zalloc(first->catalog.count + 1, "copies", err);
	if (wanted == NULL || retention_parse(s->config->keep, &rules, err) < 0 ||
	    copy_plan(&first->catalog, &s->catalog, &rules, f->config->timezone, f->now_ms, wanted,
		      err) < 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < first->catalog.count; i++)
		*ret += wanted[i];
	return 0;
}

static int put_copies(json_t *doc, const struct overview_facts *f, struct err *err)
{
	CLEANUP(json_freep) json_t *copies = json_array();
	for (size_t i = 1; i < f->store_count; i++) {
		const struct overview_store *s = &f->stores[i];
		bool reached = s->error.code == ERR_NONE;
		json_int_t missing;
		if (copies_missing(f, i, &missing, err) < 0 ||
		    json_push(copies,
			      json_pack("{s:o, s:o, s:o}", "store",
					json_text_value(s->config->label), "missing",
					missing < 0 ? json_null() : json_integer(missing), "error",
					reached ? json_null() : json_text_value(s->error.msg)),
			      err) < 0)
			return -1;
	}
	return json_put(doc, "copies", json_incref(copies), err);
}

static int put_stores(json_t *doc, const struct overview_facts *f, struct err *err)
{
	CLEANUP(json_freep) json_t *stores = json_array();
	for (size_t i = 0; i < f->store_count; i++) {
		json_t *item = NULL;
		if (store_item(&f->stores[i], f->now_ms, &item, err) < 0 ||
		    json_push(stores, item, err) < 0)
			return -1;
	}
	return json_put(doc, "stores", json_incref(stores), err);
}

int overview_build(const struct overview_facts *f, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *doc = json_object();
	struct found found = find(f);
	const char *label = f->store_count > 0 ? f->stores[0].config->label : "";
	if (json_put(doc, "stack", json_text_value(f->config->stack.name), err) < 0 ||
	    json_put(doc, "level", json_null(), err) < 0 ||
	    json_put(doc, "verdict", json_null(), err) < 0 ||
	    json_put(doc, "reasons", json_null(), err) < 0 ||
	    json_put(doc, "generated", time_or_null(f->now_ms), err) < 0 ||
	    json_put(doc, "version", json_string(LIFEBOAT_VERSION), err) < 0 ||
	    json_put(doc, "timezone", text_or_null(f->config->timezone), err) < 0 ||
	    json_put(doc, "store", json_text_value(label), err) < 0 ||
	    put_brief(doc, "newest", found.newest, f->now_ms, err) < 0 ||
	    put_brief(doc, "proven", found.proven, f->now_ms, err) < 0 ||
	    json_put(doc, "backups", number(found.backups), err) < 0 ||
	    json_put(doc, "broken", number(found.broken), err) < 0 || put_stores(doc, f, err) < 0 ||
	    put_copies(doc, f, err) < 0 || put_drills(doc, f, err) < 0 ||
	    json_put(doc, "agent", f->agent != NULL ? json_deep_copy(f->agent) : json_null(), err) <
		0 ||
	    json_put(doc, "not_backed_up",
		     f->missing != NULL ? json_deep_copy(f->missing) : json_array(), err) < 0 ||
	    overview_days(doc, f->config, f->now_ms, err) < 0 ||
	    overview_judge(doc, f->config, err) < 0)
		return -1;
	*ret = doc;
	doc = NULL;
	return 0;
}

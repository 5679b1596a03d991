#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/digest.h"
#include "storage/copy.h"
#include "storage/decisions.h"
#include "storage/sidecar.h"
#include "tests/support/memory_store.h"

#define ID1      "20261121T020000Z-aaaa"
#define ID2      "20261122T020000Z-bbbb"
#define ARCHIVE1 "hdms-" ID1 ".tar.zst"
#define SIDECAR1 "hdms-" ID1 ".json"
#define DRILL1   "hdms-" ID1 ".drill-20261123T040000Z.json"

enum { ARCHIVE_BYTES = 300000 };

struct room {
	struct memory_store *a, *b;
	struct store *from, *to;
	struct catalog catalog;
	uint8_t *archive;
	uint64_t bytes;
	struct err err;
};

static char *sidecar_text(const char *id, const char *sha, uint64_t bytes)
{
	struct err err = ERR_INIT;
	json_t *j = NULL;
	char archive[201], started[32], *text = NULL;
	json_t *names = json_pack("[s]", "postgres");
	snprintf(started, sizeof started, "%.4s-%.2s-%.2sT02:00:00Z", id, id + 4, id + 6);
	assert_int_equal(catalog_archive_name("hdms", id, archive, &err), 0);
	struct sidecar s = {.stack = "hdms",
			    .id = id,
			    .archive = archive,
			    .bytes = bytes,
			    .sha256 = sha,
			    .started = started,
			    .finished = started,
			    .lifeboat_version = "0.2.0",
			    .components = names};
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	assert_int_equal(json_text(j, true, &text, &err), 0);
	json_decref(j);
	json_decref(names);
	return text;
}

static void load(struct room *r)
{
	catalog_done(&r->catalog);
	if (catalog_load(r->from, "hdms", &r->catalog, &r->err) < 0)
		fail_msg("%s", r->err.msg);
}

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	char sha[SHA256_HEX_BYTES];
	memory_store_open(&r->a, &r->from);
	memory_store_open(&r->b, &r->to);
	r->archive = malloc(ARCHIVE_BYTES);
	for (size_t i = 0; i < ARCHIVE_BYTES; i++)
		r->archive[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(sha256_of(r->archive, ARCHIVE_BYTES, sha, &r->err), 0);
	char *text = sidecar_text(ID1, sha, ARCHIVE_BYTES);
	memory_store_set(r->a, ARCHIVE1, r->archive, ARCHIVE_BYTES);
	memory_store_set(r->a, SIDECAR1, text, strlen(text));
	free(text);
	load(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	catalog_done(&r->catalog);
	store_free(r->from);
	store_free(r->to);
	free(r->archive);
	free(r);
	return 0;
}

static int copy(struct room *r)
{
	r->bytes = 77;
	err_clear(&r->err);
	return copy_backup(r->from, "hdms", &r->catalog.items[0], r->to, NULL, &r->bytes, &r->err);
}

static void copied(struct room *r)
{
	if (copy(r) < 0)
		fail_msg("%s", r->err.msg);
}

static void same(struct room *r, const char *name)
{
	size_t n, m;
	const uint8_t *x = memory_store_bytes(r->a, name, &n);
	const uint8_t *y = memory_store_bytes(r->b, name, &m);
	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
}

static bool is_there(struct room *r, const char *name)
{
	size_t n;
	return memory_store_bytes(r->b, name, &n) != NULL;
}

/* Nothing that is a copy, and no marks either. */
static void nothing_there(struct room *r)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	struct err err = ERR_INIT;
	assert_int_equal(store_list(r->to, "", &all, &err), 0);
	if (all.count > 0)
		fail_msg("'%s' is there", all.items[0].name);
	assert_int_equal(memory_store_open_puts(r->b), 0);
}

static void refused(struct room *r, enum err_code code, const char *message)
{
	assert_int_equal(copy(r), -1);
	assert_string_equal(r->err.msg, message);
	assert_int_equal(r->err.code, code);
	assert_int_equal(r->bytes, 77);
}

/* ---- copy_backup ---- */

static void copy_backup__nothing_there__all_of_it_is(void **state)
{
	struct room *r = *state;
	memory_store_set(r->a, DRILL1, "{}", 2);
	copied(r);
	assert_int_equal(r->bytes, ARCHIVE_BYTES);
	same(r, ARCHIVE1);
	same(r, SIDECAR1);
	same(r, DRILL1);
	CLEANUP(store_objects_done) struct store_objects all = {0};
	assert_int_equal(store_list(r->to, "", &all, &r->err), 0);
	assert_int_equal(all.count, 3);
	store_objects_done(&all);
	assert_int_equal(store_list(r->from, "", &all, &r->err), 0);
	assert_int_equal(all.count, 3);
}

static void copy_backup__there_already__is_left_but_for_evidence(void **state)
{
	struct room *r = *state;
	copied(r);
	memory_store_set(r->a, DRILL1, "{}", 2);
	unsigned puts = memory_store_calls(r->b, MEMORY_PUT);
	copied(r);
	assert_int_equal(r->bytes, 0);
	same(r, DRILL1);
	assert_int_equal(memory_store_calls(r->b, MEMORY_PUT), puts + 1);
}

static void copy_backup__left_by_a_killed_copy__is_replaced(void **state)
{
	struct room *r = *state;
	memory_store_set(r->b, ARCHIVE1, "half", 4);
	copied(r);
	assert_int_equal(r->bytes, ARCHIVE_BYTES);
	same(r, ARCHIVE1);
	same(r, SIDECAR1);
}

static void copy_backup__broken_copy__is_put_right(void **state)
{
	struct room *r = *state;
	copied(r);
	memory_store_set(r->b, ARCHIVE1, "half", 4);
	copied(r);
	assert_int_equal(r->bytes, ARCHIVE_BYTES);
	same(r, ARCHIVE1);
	memory_store_set(r->b, SIDECAR1, "{", 1);
	copied(r);
	same(r, SIDECAR1);
}

static void copy_backup__another_of_that_id__stays(void **state)
{
	struct room *r = *state;
	static const char sha[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char *text = sidecar_text(ID1, sha, 5);
	memory_store_set(r->b, SIDECAR1, text, strlen(text));
	memory_store_set(r->b, ARCHIVE1, "other", 5);
	refused(r, ERR_EXISTS,
		"store 'memory': backup '" ID1 "': another archive of that id is there");
	size_t n;
	assert_memory_equal(memory_store_bytes(r->b, ARCHIVE1, &n), "other", 5);
	assert_memory_equal(memory_store_bytes(r->b, SIDECAR1, &n), text, strlen(text));
	free(text);
}

static void copy_backup__flipped_byte_in_the_source__is_found(void **state)
{
	struct room *r = *state;
	static const size_t places[] = {0, 1, ARCHIVE_BYTES / 2, ARCHIVE_BYTES - 1};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		r->archive[places[i]] ^= 0x10;
		memory_store_set(r->a, ARCHIVE1, r->archive, ARCHIVE_BYTES);
		refused(r, ERR_CORRUPT,
			"store 'memory': backup '" ID1 "': its archive has another SHA-256 than "
			"its sidecar says: not copied");
		nothing_there(r);
		r->archive[places[i]] ^= 0x10;
	}
	assert_non_null(strstr(r->err.hint, "lifeboat verify " ID1 " --store memory"));
}

static void copy_backup__cut_source__is_found(void **state)
{
	struct room *r = *state;
	memory_store_set(r->a, ARCHIVE1, r->archive, ARCHIVE_BYTES - 1);
	refused(r, ERR_CORRUPT,
		"store 'memory': backup '" ID1 "': its archive has another size than its sidecar "
		"says: not copied");
	nothing_there(r);
	load(r);
	refused(r, ERR_CORRUPT,
		"store 'memory': backup '" ID1 "': its archive has 299999 bytes instead of 300000");
}

static void copy_backup__nth_write_fails__nothing_is_committed(void **state)
{
	struct room *r = *state;
	bool done = false;
	for (unsigned n = 1; !done; n++) {
		memory_store_fail_write(r->b, n);
		done = copy(r) == 0;
		assert_true(done || !is_there(r, SIDECAR1));
		assert_int_equal(memory_store_open_puts(r->b), 0);
		assert_true(n < 50);
	}
	memory_store_fail_write(r->b, 0);
	same(r, ARCHIVE1);
	same(r, SIDECAR1);
}

static void copy_backup__nth_read_fails__nothing_is_committed(void **state)
{
	struct room *r = *state;
	bool done = false;
	memory_store_chop_reads(r->a, 50000);
	for (unsigned n = 1; !done; n++) {
		memory_store_fail_read(r->a, n);
		done = copy(r) == 0;
		assert_true(done || !is_there(r, SIDECAR1));
		assert_true(n < 50);
	}
	memory_store_fail_read(r->a, 0);
	same(r, ARCHIVE1);
}

static struct room *racing;

/* Another agent commits the same copy while ours is on its way. */
static void other_agent(void)
{
	size_t n;
	const uint8_t *bytes = memory_store_bytes(racing->a, ARCHIVE1, &n);
	memory_store_set(racing->b, ARCHIVE1, bytes, n);
	bytes = memory_store_bytes(racing->a, SIDECAR1, &n);
	memory_store_set(racing->b, SIDECAR1, bytes, n);
}

static void copy_backup__somebody_else_was_faster__is_fine(void **state)
{
	struct room *r = *state;
	racing = r;
	for (unsigned n = 1; n < 8; n++) {
		assert_int_equal(store_remove(r->to, SIDECAR1, &r->err), 0);
		assert_int_equal(store_remove(r->to, ARCHIVE1, &r->err), 0);
		memory_store_at_write(r->b, n, other_agent);
		copied(r);
		same(r, ARCHIVE1);
		same(r, SIDECAR1);
	}
}

static void seen(void *ctx, size_t n)
{
	*(uint64_t *)ctx += n;
}

static void copy_backup__progress__counts_every_byte(void **state)
{
	struct room *r = *state;
	uint64_t total = 0;
	struct copy_progress p = {.add = seen, .ctx = &total};
	assert_int_equal(
	    copy_backup(r->from, "hdms", &r->catalog.items[0], r->to, &p, &r->bytes, &r->err), 0);
	assert_int_equal(total, ARCHIVE_BYTES);
}

/* ---- copy_evidence ---- */

static void copy_evidence__of_all__brings_what_is_missing(void **state)
{
	struct room *r = *state;
	size_t count = 9;
	copied(r);
	memory_store_set(r->a, DRILL1, "{\"a\":1}", 7);
	memory_store_set(r->a, "hdms-" ID1 ".drill-20261124T040000Z.json", "{}", 2);
	/* Of a backup that is not there, and of another stack. */
	memory_store_set(r->a, "hdms-" ID2 ".drill-20261124T040000Z.json", "{}", 2);
	memory_store_set(r->a, "hdms-x-" ID1 ".drill-20261124T040000Z.json", "{}", 2);
	assert_int_equal(copy_evidence(r->from, "hdms", NULL, r->to, &count, &r->err), 0);
	assert_int_equal(count, 2);
	same(r, DRILL1);
	assert_false(is_there(r, "hdms-" ID2 ".drill-20261124T040000Z.json"));
	assert_false(is_there(r, "hdms-x-" ID1 ".drill-20261124T040000Z.json"));
	assert_int_equal(copy_evidence(r->from, "hdms", NULL, r->to, &count, &r->err), 0);
	assert_int_equal(count, 0);
}

/* Two drills that began in the same second, in two stores. */
static void copy_evidence__of_one_name_and_another_drill__loses_none(void **state)
{
	struct room *r = *state;
	static const char failed[] =
	    "{\"started\":\"2026-11-23T04:00:00Z\",\"outcome\":\"failed\"}",
			  passed[] =
			      "{\"started\":\"2026-11-23T04:00:00Z\",\"outcome\":\"passed it\"}",
			  next[] = "hdms-" ID1 ".drill-20261123T040001Z.json";
	copied(r);
	memory_store_set(r->a, DRILL1, failed, strlen(failed));
	memory_store_set(r->b, DRILL1, passed, strlen(passed));
	for (unsigned round = 0; round < 3; round++) {
		size_t there = 9, back = 9, len;
		assert_int_equal(copy_evidence(r->from, "hdms", NULL, r->to, &there, &r->err), 0);
		assert_int_equal(copy_evidence(r->to, "hdms", NULL, r->from, &back, &r->err), 0);
		assert_int_equal(there, round == 0);
		assert_int_equal(back, round == 0);
		assert_memory_equal(memory_store_bytes(r->b, DRILL1, &len), passed, strlen(passed));
		assert_memory_equal(memory_store_bytes(r->b, next, &len), failed, strlen(failed));
		assert_memory_equal(memory_store_bytes(r->a, next, &len), passed, strlen(passed));
	}
}

/* ---- copy_decisions ---- */

static void set_pinned(struct memory_store *m, struct store *s, const char *id)
{
	struct err err = ERR_INIT;
	json_t *j = NULL;
	struct sidecar side;
	char *text = NULL;
	assert_int_equal(sidecar_load(s, SIDECAR1, &j, &side, &err), 0);
	assert_int_equal(decisions_pin(j, id, false, &err), 0);
	assert_int_equal(json_text(j, true, &text, &err), 0);
	memory_store_set(m, SIDECAR1, text, strlen(text));
	free(text);
	json_decref(j);
}

static bool is_pinned(struct store *s)
{
	CLEANUP(json_freep) json_t *j = NULL;
	struct err err = ERR_INIT;
	struct sidecar side;
	assert_int_equal(sidecar_load(s, SIDECAR1, &j, &side, &err), 0);
	return side.pinned;
}

struct hearing {
	unsigned times;
	char last[64];
};

static void hear(void *ctx, const char *id, const char *change)
{
	struct hearing *h = ctx;
	h->times++;
	snprintf(h->last, sizeof h->last, "%s %s", id, change);
}

static int bring(struct room *r, struct hearing *h)
{
	CLEANUP(catalog_done) struct catalog held = {0};
	const struct copy_told told = {.decided = hear, .ctx = h};
	load(r);
	err_clear(&r->err);
	assert_int_equal(catalog_load(r->to, "hdms", &held, &r->err), 0);
	return copy_decisions(&r->catalog, r->to, &held, "hdms", NULL, &told, &r->err);
}

static void copy_decisions__pin_of_a_later_day__is_brought(void **state)
{
	struct room *r = *state;
	struct hearing h = {0};
	struct store_lock *lock = NULL;
	copied(r);
	assert_int_equal(bring(r, &h), 0);
	assert_int_equal(h.times, 0);
	set_pinned(r->a, r->from, "1");
	/* Under the lock of the store: no prune is at work there. */
	assert_int_equal(store_lock(r->to, "hdms", &lock, &r->err), 0);
	assert_int_equal(bring(r, &h), -1);
	assert_int_equal(r->err.code, ERR_LOCKED);
	assert_non_null(strstr(r->err.msg, "decisions about backup '" ID1 "': "));
	assert_false(is_pinned(r->to));
	store_unlock(lock);
	assert_int_equal(bring(r, &h), 0);
	assert_int_equal(h.times, 1);
	assert_string_equal(h.last, ID1 " pinned");
	assert_true(is_pinned(r->to));
	assert_int_equal(bring(r, &h), 0);
	assert_int_equal(h.times, 1);
}

static void copy_decisions__of_another_archive__are_not_its(void **state)
{
	struct room *r = *state;
	struct hearing h = {0};
	static const char sha[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char *text = sidecar_text(ID1, sha, ARCHIVE_BYTES);
	copied(r);
	memory_store_set(r->b, SIDECAR1, text, strlen(text));
	free(text);
	set_pinned(r->a, r->from, "1");
	assert_int_equal(bring(r, &h), 0);
	assert_int_equal(h.times, 0);
	assert_false(is_pinned(r->to));
}

static struct room *pinning;
static void pin_the_source(void)
{
	set_pinned(pinning->a, pinning->from, "1");
}

/* `pin` found no sidecar in `to`, since the copy was on its way. */
static void copy_backup__pinned_meanwhile__is_pinned_there(void **state)
{
	struct room *r = *state;
	pinning = r;
	memory_store_at_write(r->b, 2, pin_the_source);
	copied(r);
	assert_true(is_pinned(r->to));
	same(r, SIDECAR1);
}

/* Its archive was cut; that it is pinned there, the source did not hear. */
static void copy_backup__put_right__keeps_what_was_decided_there(void **state)
{
	struct room *r = *state;
	copied(r);
	set_pinned(r->b, r->to, "1");
	memory_store_set(r->b, ARCHIVE1, "cut", 3);
	copied(r);
	assert_int_equal(r->bytes, ARCHIVE_BYTES);
	same(r, ARCHIVE1);
	assert_true(is_pinned(r->to));
}

/* ---- copy_plan ---- */

static struct backup item(const char *id, const char *day)
{
	struct backup b = {.proof = PROOF_NONE};
	struct err err = ERR_INIT;
	char text[32];
	snprintf(b.id, sizeof b.id, "%s", id);
	snprintf(text, sizeof text, "2026-11-%sT02:00:00Z", day);
	assert_int_equal(clock_parse_rfc3339(text, &b.taken_ms, &err), 0);
	return b;
}

/* "ab.c" as the plan of a, b, c, d: '.' stays away. */
static void planned(struct backup *from, size_t from_count, struct backup *to, size_t to_count,
		    const char *keep, const char *expect)
{
	struct err err = ERR_INIT;
	struct retention_rules rules = {0};
	struct catalog a = {.items = from, .count = from_count},
		       b = {.items = to, .count = to_count};
	bool wanted[16];
	char got[17] = "";
	int64_t now;
	assert_int_equal(clock_parse_rfc3339("2026-11-23T03:00:00Z", &now, &err), 0);
	assert_int_equal(retention_parse(keep, &rules, &err), 0);
	assert_int_equal(copy_plan(&a, &b, &rules, NULL, now, wanted, &err), 0);
	for (size_t i = 0; i < from_count; i++)
		got[i] = wanted[i] ? from[i].id[0] : '.';
	assert_string_equal(got, expect);
}

static void copy_plan__no_rules__all_that_are_missing(void **state)
{
	(void)state;
	struct backup from[] = {item("c", "22"), item("b", "21"), item("a", "20")};
	struct backup to[] = {item("b", "21")};
	planned(from, 3, NULL, 0, NULL, "cba");
	planned(from, 3, to, 1, NULL, "c.a");
	planned(from, 3, from, 3, NULL, "...");
	planned(NULL, 0, to, 1, NULL, "");
}

static void copy_plan__rules__bring_nothing_that_prune_would_delete(void **state)
{
	(void)state;
	struct backup from[] = {item("c", "22"), item("b", "21"), item("a", "20")};
	struct backup to[] = {item("x", "23"), item("y", "19")};
	planned(from, 3, NULL, 0, "last 1", "c..");
	planned(from, 3, NULL, 0, "last 2", "cb.");
	/* x is newer than all of them. */
	planned(from, 3, to, 2, "last 1", "...");
	planned(from, 3, to, 2, "last 3", "cb.");
}

/* A drill of the 23rd as the catalog reads it. */
static void drilled(struct backup *b, const char *hour, const char *outcome, bool this_copy_only)
{
	char object[32], finished[32];
	snprintf(object, sizeof object, "drill-%s", hour);
	snprintf(finished, sizeof finished, "2026-11-23T%s:00:00Z", hour);
	if (b->evidence == NULL)
		b->evidence = json_array();
	json_t *e = json_pack("{s:s, s:s, s:s, s:[], s:b}", "object", object, "finished", finished,
			      "outcome", outcome, "answers", "this_copy_only", this_copy_only);
	assert_int_equal(json_array_append_new(b->evidence, e), 0);
	b->proof = PROOF_NONE;
	catalog_settle_proof(b);
}

static void copy_plan__proven_and_pinned__come_too(void **state)
{
	(void)state;
	struct backup from[] = {item("d", "22"), item("c", "21"), item("b", "20"), item("a", "19")};
	drilled(&from[2], "01", "passed", false);
	from[3].pinned = true;
	planned(from, 4, NULL, 0, "last 1", "d.ba");
	/* The target holds b, not knowing yet that it is proven: nothing takes its place. */
	struct backup to[] = {item("b", "20")};
	planned(from, 4, to, 1, "last 1", "d..a");
	json_decref(from[2].evidence);
}

static void copy_plan__wrong_bytes_in_one_store__say_nothing_of_the_other(void **state)
{
	(void)state;
	struct backup from[] = {item("b", "22"), item("a", "21")};
	struct backup to[] = {item("b", "22")};
	drilled(&from[1], "01", "passed", false);
	drilled(&from[0], "03", "failed", true);
	drilled(&to[0], "02", "passed", false);
	planned(from, 2, to, 1, "last 1", "..");
	from[0].damaged = true;
	planned(from, 2, to, 1, "last 1", "..");
	json_decref(from[0].evidence);
	/* The other way round: what `to` holds is worth less than what is proven elsewhere. */
	from[0] = item("b", "22");
	drilled(&from[0], "04", "passed", false);
	drilled(&to[0], "03", "failed", true);
	planned(from, 2, to, 1, "last 1", ".a");
	json_decref(from[0].evidence);
	json_decref(from[1].evidence);
	json_decref(to[0].evidence);
}

static void copy_plan__broken__never_leaves_and_is_put_right(void **state)
{
	(void)state;
	struct backup from[] = {item("c", "22"), item("b", "21"), item("a", "20")};
	struct backup to[] = {item("b", "21")};
	snprintf(from[0].broken, sizeof from[0].broken, "cut");
	snprintf(to[0].broken, sizeof to[0].broken, "cut");
	planned(from, 3, to, 1, NULL, ".ba");
	planned(from, 3, to, 1, "last 1", ".b.");
}

int main(void)
{
#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    ROOM(copy_backup__nothing_there__all_of_it_is),
	    ROOM(copy_backup__there_already__is_left_but_for_evidence),
	    ROOM(copy_backup__left_by_a_killed_copy__is_replaced),
	    ROOM(copy_backup__broken_copy__is_put_right),
	    ROOM(copy_backup__another_of_that_id__stays),
	    ROOM(copy_backup__flipped_byte_in_the_source__is_found),
	    ROOM(copy_backup__cut_source__is_found),
	    ROOM(copy_backup__nth_write_fails__nothing_is_committed),
	    ROOM(copy_backup__nth_read_fails__nothing_is_committed),
	    ROOM(copy_backup__somebody_else_was_faster__is_fine),
	    ROOM(copy_backup__progress__counts_every_byte),
	    ROOM(copy_backup__pinned_meanwhile__is_pinned_there),
	    ROOM(copy_backup__put_right__keeps_what_was_decided_there),
	    ROOM(copy_evidence__of_all__brings_what_is_missing),
	    ROOM(copy_evidence__of_one_name_and_another_drill__loses_none),
	    ROOM(copy_decisions__pin_of_a_later_day__is_brought),
	    ROOM(copy_decisions__of_another_archive__are_not_its),
	    cmocka_unit_test(copy_plan__no_rules__all_that_are_missing),
	    cmocka_unit_test(copy_plan__rules__bring_nothing_that_prune_would_delete),
	    cmocka_unit_test(copy_plan__proven_and_pinned__come_too),
	    cmocka_unit_test(copy_plan__wrong_bytes_in_one_store__say_nothing_of_the_other),
	    cmocka_unit_test(copy_plan__broken__never_leaves_and_is_put_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

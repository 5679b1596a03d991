#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/sidecar.h"
#include "storage/suspicion.h"
#include "tests/support/memory_store.h"

static const struct suspicion_rules half = {.history = 5, .bytes = 50, .rows = 50, .keys = 50};
static const struct suspicion_figures normal[] = {{1000000, 45000, 900},
						  {1010000, 45100, 950},
						  {990000, 44000, 1000},
						  {1005000, 45050, 901},
						  {995000, 1, 0} /* one bad night */};

static void assert_judged(const struct suspicion_rules *rules, size_t count,
			  struct suspicion_figures now, const char *const *lines)
{
	struct err err = ERR_INIT;
	CLEANUP(strlist_done) struct strlist why = {0};
	assert_int_equal(suspicion_judge(rules, normal, count, &now, &why, &err), 0);
	for (size_t i = 0; i < why.count; i++) {
		assert_non_null(lines[i]);
		assert_string_equal(why.items[i], lines[i]);
	}
	assert_null(lines[why.count]);
}

static void judge__half_of_normal__is_the_border(void **state)
{
	static const char *const nothing[] = {NULL};
	static const char *const all[] = {
	    "bytes stored: 499999, where 1000000 are normal (median of 5 backups before)",
	    "rows: 22499, where 45000 are normal (median of 5 backups before)",
	    "Redis keys: 449, where 901 are normal (median of 5 backups before)", NULL};
	(void)state;
	assert_judged(&half, 5, (struct suspicion_figures){500000, 22500, 450}, nothing);
	assert_judged(&half, 5, (struct suspicion_figures){499999, 22499, 449}, all);
	assert_judged(&half, 5, (struct suspicion_figures){9000000, 450000, 90000}, nothing);
}

static void judge__emptied_database__is_named(void **state)
{
	static const char *const lines[] = {
	    "rows: 0, where 45000 are normal (median of 1 backup before)", NULL};
	(void)state;
	assert_judged(&half, 1, (struct suspicion_figures){900000, 0, 900}, lines);
}

static void judge__no_history_or_no_rule__suspects_nothing(void **state)
{
	static const char *const nothing[] = {NULL};
	const struct suspicion_rules off = {.history = 5}, none = {.bytes = 50, .rows = 50};
	(void)state;
	assert_judged(&half, 0, (struct suspicion_figures){0}, nothing);
	assert_judged(&off, 5, (struct suspicion_figures){0}, nothing);
	assert_judged(&none, 5, (struct suspicion_figures){0}, nothing);
}

static void judge__few_of_anything__say_nothing(void **state)
{
	struct err err = ERR_INIT;
	const struct suspicion_figures few[] = {{SUSPICION_FEW_BYTES - 1, SUSPICION_FEW - 1,
						 SUSPICION_FEW - 1}},
				       now = {0};
	CLEANUP(strlist_done) struct strlist why = {0};
	(void)state;
	assert_int_equal(suspicion_judge(&half, few, 1, &now, &why, &err), 0);
	assert_int_equal(why.count, 0);
}

static void judge__huge_figures__do_not_overflow(void **state)
{
	struct err err = ERR_INIT;
	const struct suspicion_figures huge[] = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}},
				       now = {UINT64_MAX / 2 - 100, UINT64_MAX, UINT64_MAX / 2 + 1};
	CLEANUP(strlist_done) struct strlist why = {0};
	(void)state;
	assert_int_equal(suspicion_judge(&half, huge, 1, &now, &why, &err), 0);
	assert_int_equal(why.count, 1);
	assert_memory_equal(why.items[0], "bytes", 5);
}

/* ---- history ---- */

static struct memory_store *m;
static struct store *store;

static int begin(void **state)
{
	(void)state;
	memory_store_open(&m, &store);
	return 0;
}

static int end(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static void plant(const char *id, uint64_t rows, bool partial, bool suspicious, const char *trusted)
{
	struct err err = ERR_INIT;
	char name[80], archive[80];
	CLEANUP(freep) char *text = NULL;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(json_freep) json_t *why = json_pack("[s]", "rows: 1");
	snprintf(name, sizeof name, "hdms-%s.json", id);
	snprintf(archive, sizeof archive, "hdms-%s.tar.zst", id);
	struct sidecar s = {.id = id,
			    .stack = "hdms",
			    .archive = archive,
			    .bytes = 100000,
			    .sha256 =
				"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			    .started = "2026-11-23T02:00:00Z",
			    .finished = "2026-11-23T02:01:30Z",
			    .partial = partial,
			    .suspicious = suspicious,
			    .suspicion = suspicious ? why : NULL,
			    .trusted = trusted,
			    .lifeboat_version = "0.1.0",
			    .rows = rows,
			    .redis_keys = 5};
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	assert_int_equal(json_text(j, false, &text, &err), 0);
	memory_store_set(m, name, text, strlen(text));
}

static void assert_history(unsigned wanted, const uint64_t *rows, size_t count)
{
	struct err err = ERR_INIT;
	struct suspicion_figures f[10] = {{0}};
	size_t got = 99;
	assert_int_equal(suspicion_history(store, "hdms", NULL, wanted, f, &got, &err), 0);
	assert_int_equal(got, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(f[i].rows, rows[i]);
		assert_int_equal(f[i].bytes, 100000);
		assert_int_equal(f[i].keys, 5);
	}
}

static void history__newest_whole_unsuspicious_ones__count(void **state)
{
	static const uint64_t rows[] = {600, 400, 100};
	(void)state;
	plant("20261121T020000Z-0001", 100, false, false, NULL);
	plant("20261122T020000Z-0002", 200, true, false, NULL);
	plant("20261123T020000Z-0003", 300, false, true, NULL);
	plant("20261124T020000Z-0004", 400, false, false, NULL);
	memory_store_set(m, "hdms-20261125T020000Z-0005.json", "{", 1);
	plant("20261126T020000Z-0006", 600, false, false, NULL);
	memory_store_set(m, "hdms-20261127T020000Z-0007.tar.zst", "x", 1);
	memory_store_set(m, "hdms-2-20261127T020000Z-0007.json", "x", 1);
	assert_history(5, rows, 3);
	assert_history(2, rows, 2);
	assert_history(0, rows, 0);
}

static void history__trusted_one__is_where_it_begins(void **state)
{
	static const uint64_t rows[] = {400, 300};
	(void)state;
	plant("20261121T020000Z-0001", 100, false, false, NULL);
	plant("20261123T020000Z-0003", 300, false, false, "2026-11-23T12:00:00Z");
	plant("20261124T020000Z-0004", 400, false, false, NULL);
	assert_history(5, rows, 2);
}

static void history__store_that_fails__is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct suspicion_figures f[5];
	size_t count;
	plant("20261121T020000Z-0001", 100, false, false, NULL);
	memory_store_refuse(m, MEMORY_LIST, 1, ERR_UNREACHABLE, false);
	assert_int_equal(suspicion_history(store, "hdms", NULL, 5, f, &count, &err), -1);
	memory_store_refuse(m, MEMORY_GET, 1, ERR_UNREACHABLE, false);
	assert_int_equal(suspicion_history(store, "hdms", NULL, 5, f, &count, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
}

static void sidecar__suspicion_of_the_wrong_type__is_corrupt(void **state)
{
	static const struct {
		const char *field, *value, *error;
	} cases[] = {{"suspicion", "\"x\"", "field 'suspicion' is not an array"},
		     {"suspicion", "[1]", "field 'suspicion' holds something that is not text"},
		     {"trusted", "true", "field 'trusted' is not a string"},
		     {"trusted", "\"now\"",
		      "field 'trusted': 'now' is not a time like 2026-11-23T02:00:00Z"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct sidecar s;
		json_t *j = NULL;
		plant("20261121T020000Z-0001", 100, false, true, "2026-11-23T12:00:00Z");
		assert_int_equal(
		    sidecar_load(store, "hdms-20261121T020000Z-0001.json", &j, &s, &err), 0);
		assert_int_equal(json_array_size(s.suspicion), 1);
		assert_string_equal(s.trusted, "2026-11-23T12:00:00Z");
		json_object_set_new(j, cases[i].field,
				    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(sidecar_parse(j, &s, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, cases[i].error);
		json_decref(j);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judge__half_of_normal__is_the_border),
	    cmocka_unit_test(judge__emptied_database__is_named),
	    cmocka_unit_test(judge__no_history_or_no_rule__suspects_nothing),
	    cmocka_unit_test(judge__few_of_anything__say_nothing),
	    cmocka_unit_test(judge__huge_figures__do_not_overflow),
	    TEST(history__newest_whole_unsuspicious_ones__count),
	    TEST(history__trusted_one__is_where_it_begins),
	    TEST(history__store_that_fails__is_an_error),
	    TEST(sidecar__suspicion_of_the_wrong_type__is_corrupt),
	};
	return cmocka_run_group_tests_name("storage/suspicion", tests, NULL, NULL);
}

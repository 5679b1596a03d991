#include "base/clock.h"
#include "storage/store/catalog_name.h"
#include "storage/sidecar.h"
#include "storage/verdict.h"
#include "tests/support/small_archive.h"

#define ID  "20261123T020000Z-3f9c"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
enum { SECOND = 1000 };
static const int64_t BEGAN = 1795400000000;

struct fixture {
	struct memory_store *m;
	struct store *store;
	struct catalog catalog;
};

/* A store with one backup. */
static void open_fixture(struct fixture *f)
{
	struct err err = ERR_INIT;
	json_t *j;
	char *text;
	const struct sidecar side = {.stack = "hdms",
				     .id = ID,
				     .archive = SMALL_OBJECT,
				     .bytes = 5,
				     .sha256 = SHA,
				     .started = "2026-11-23T02:00:00Z",
				     .finished = "2026-11-23T02:01:30Z",
				     .lifeboat_version = "0.1.0"};
	*f = (struct fixture){.m = NULL};
	memory_store_open(&f->m, &f->store);
	must_be_ok(sidecar_json(&side, &j, &err), err);
	must_be_ok(json_text(j, true, &text, &err), err);
	memory_store_set(f->m, SMALL_OBJECT, "12345", 5);
	memory_store_set(f->m, "hdms-" ID ".json", text, strlen(text));
	json_decref(j);
	free(text);
}

static void close_fixture(struct fixture *f)
{
	catalog_done(&f->catalog);
	store_free(f->store);
}

static const struct backup *load(struct fixture *f)
{
	struct err err = ERR_INIT;
	catalog_done(&f->catalog);
	must_be_ok(catalog_load(f->store, "hdms", &f->catalog, &err), err);
	assert_int_equal(f->catalog.count, 1);
	assert_string_equal(f->catalog.items[0].broken, "");
	return &f->catalog.items[0];
}

/* One more verify, `n` seconds after the first, and the backup after it. */
static const struct backup *keep(struct fixture *f, int n, enum verdict_kind kind,
				 enum proof outcome)
{
	struct err err = ERR_INIT;
	const struct verdict v = {.stack = "hdms",
				  .kind = kind,
				  .outcome = outcome,
				  .started_ms = BEGAN + n * SECOND,
				  .finished_ms = BEGAN + n * SECOND + 500,
				  .share_ppm = 50000,
				  .seed = 7};
	must_be_ok(verdict_keep(f->store, load(f), &v, &err), err);
	return load(f);
}

static void verdict__of_a_whole_verify__is_what_is_known_of_the_archive(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f);
	const struct backup *b = load(&f);
	assert_int_equal(b->verified, PROOF_NONE);
	assert_int_equal(b->verified_ms, 0);
	assert_false(b->damaged);
	b = keep(&f, 0, VERDICT_WHOLE, PROOF_PASSED);
	assert_int_equal(b->verified, PROOF_PASSED);
	assert_int_equal(b->verified_ms / SECOND, BEGAN / SECOND);
	assert_false(b->damaged);
	b = keep(&f, 10, VERDICT_WHOLE, PROOF_FAILED);
	assert_int_equal(b->verified, PROOF_FAILED);
	assert_true(b->damaged);
	b = keep(&f, 20, VERDICT_WHOLE, PROOF_PASSED);
	assert_int_equal(b->verified, PROOF_PASSED);
	assert_false(b->damaged);
	close_fixture(&f);
}

/* It may find damage; it can't take that back, and it makes nothing verified. */
static void verdict__of_a_sample__only_ever_finds_damage(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f);
	const struct backup *b = keep(&f, 0, VERDICT_SAMPLE, PROOF_PASSED);
	assert_int_equal(b->verified, PROOF_NONE);
	b = keep(&f, 1, VERDICT_WHOLE, PROOF_PASSED);
	b = keep(&f, 2, VERDICT_SAMPLE, PROOF_FAILED);
	assert_int_equal(b->verified, PROOF_PASSED);
	assert_int_equal(b->verified_ms / SECOND, BEGAN / SECOND + 1);
	assert_true(b->damaged);
	b = keep(&f, 3, VERDICT_SAMPLE, PROOF_PASSED);
	assert_true(b->damaged);
	b = keep(&f, 4, VERDICT_STORED, PROOF_UNVERIFIED);
	assert_true(b->damaged);
	b = keep(&f, 5, VERDICT_WHOLE, PROOF_PASSED);
	assert_false(b->damaged);
	close_fixture(&f);
}

/* A verify on another host that began before the damage was found says nothing against it. */
static void verdict__of_a_verify_at_the_same_time__takes_no_damage_back(void **state)
{
	(void)state;
	struct fixture f, other;
	struct err err = ERR_INIT;
	const struct verdict passed = {.stack = "hdms",
				       .kind = VERDICT_WHOLE,
				       .outcome = PROOF_PASSED,
				       .started_ms = BEGAN + 60 * SECOND};
	open_fixture(&f);
	other = f;
	other.catalog = (struct catalog){0};
	const struct backup *before = load(&other);
	const struct backup *b = keep(&f, 0, VERDICT_WHOLE, PROOF_FAILED);
	assert_true(b->damaged);
	must_be_ok(verdict_keep(f.store, before, &passed, &err), err);
	b = load(&f);
	assert_int_equal(json_array_size(b->verdicts), 2);
	assert_true(b->damaged);
	assert_int_equal(b->verified, PROOF_FAILED);
	/* One that knows does, even by a clock that is behind. */
	b = keep(&f, -100, VERDICT_WHOLE, PROOF_PASSED);
	assert_false(b->damaged);
	assert_int_equal(b->verified, PROOF_PASSED);
	catalog_done(&other.catalog);
	close_fixture(&f);
}

/* The sample after it tidies up by names, which the clocks gave them. */
static void verdict__that_took_damage_back_by_a_clock_behind__is_not_lost(void **state)
{
	(void)state;
	struct fixture f, other;
	struct err err = ERR_INIT;
	const struct verdict passed = {.stack = "hdms",
				       .kind = VERDICT_WHOLE,
				       .outcome = PROOF_PASSED,
				       .started_ms = BEGAN + 60 * SECOND};
	open_fixture(&f);
	other = f;
	other.catalog = (struct catalog){0};
	const struct backup *before = load(&other);
	keep(&f, 0, VERDICT_WHOLE, PROOF_FAILED);
	must_be_ok(verdict_keep(f.store, before, &passed, &err), err);
	const struct backup *b = keep(&f, -100, VERDICT_WHOLE, PROOF_PASSED);
	assert_false(b->damaged);
	for (int n = 100; n < 104; n++) {
		b = keep(&f, n, VERDICT_SAMPLE, PROOF_PASSED);
		assert_false(b->damaged);
		assert_true(json_array_size(b->verdicts) <= 5);
	}
	catalog_done(&other.catalog);
	close_fixture(&f);
}

static void verdict__of_damage_that_nobody_took_back__stays_whatever_its_name(void **state)
{
	(void)state;
	struct fixture f, other;
	struct err err = ERR_INIT;
	const struct verdict passed = {.stack = "hdms",
				       .kind = VERDICT_WHOLE,
				       .outcome = PROOF_PASSED,
				       .started_ms = BEGAN + 6 * SECOND};
	open_fixture(&f);
	keep(&f, 5, VERDICT_WHOLE, PROOF_FAILED);
	other = f;
	other.catalog = (struct catalog){0};
	const struct backup *before = load(&other);
	/* Found after the other one began, by a clock that is behind. */
	keep(&f, 1, VERDICT_WHOLE, PROOF_FAILED);
	must_be_ok(verdict_keep(f.store, before, &passed, &err), err);
	const struct backup *b = load(&f);
	assert_true(b->damaged);
	for (int n = 10; n < 14; n++) {
		b = keep(&f, n, VERDICT_SAMPLE, PROOF_PASSED);
		assert_true(b->damaged);
		assert_true(json_array_size(b->verdicts) <= 5);
	}
	b = keep(&f, 20, VERDICT_WHOLE, PROOF_PASSED);
	assert_false(b->damaged);
	b = keep(&f, 21, VERDICT_SAMPLE, PROOF_PASSED);
	assert_false(b->damaged);
	catalog_done(&other.catalog);
	close_fixture(&f);
}

/* A backup that stays damaged is looked at every night. */
static void verdicts__of_damage_found_again_and_again__are_few(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f);
	const struct backup *b = NULL;
	for (int n = 0; n < 12; n++)
		b = keep(&f, n, n % 2 == 0 ? VERDICT_SAMPLE : VERDICT_WHOLE, PROOF_FAILED);
	assert_true(b->damaged);
	assert_true(json_array_size(b->verdicts) <= 3);
	close_fixture(&f);
}

static void verdicts__that_say_nothing_more__are_removed(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f);
	const struct backup *b = keep(&f, 0, VERDICT_WHOLE, PROOF_PASSED);
	b = keep(&f, 1, VERDICT_SAMPLE, PROOF_FAILED);
	for (int i = 2; i < 20; i++) {
		b = keep(&f, i, VERDICT_SAMPLE, PROOF_PASSED);
		assert_in_range(json_array_size(b->verdicts), 1, 4);
		assert_true(b->damaged);
		assert_int_equal(b->verified, PROOF_PASSED);
	}
	assert_string_equal(json_str_or(json_array_get(b->verdicts, 0), "kind", ""), "whole");
	assert_string_equal(json_str_or(json_array_get(b->verdicts, 1), "outcome", ""), "failed");
	close_fixture(&f);
}

/* Of a bucket that keeps everything for a while, and of credentials that may not delete. */
static void verdict__store_that_keeps_the_older_ones__is_kept_all_the_same(void **state)
{
	(void)state;
	static const enum err_code refusals[] = {ERR_LOCKED, ERR_DENIED};
	struct fixture f;
	open_fixture(&f);
	keep(&f, 0, VERDICT_WHOLE, PROOF_PASSED);
	for (int i = 1; i <= 2; i++) {
		memory_store_refuse(f.m, MEMORY_REMOVE, 1, refusals[i - 1], false);
		keep(&f, 10 * i, VERDICT_WHOLE, PROOF_PASSED);
	}
	/* And at last they go. */
	memory_store_refuse(f.m, MEMORY_REMOVE, 0, ERR_DENIED, false);
	const struct backup *b = keep(&f, 30, VERDICT_WHOLE, PROOF_PASSED);
	assert_int_equal(json_array_size(b->verdicts), 2);
	close_fixture(&f);
}

static void verdicts__of_one_second__are_both_kept(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f);
	keep(&f, 0, VERDICT_WHOLE, PROOF_PASSED);
	const struct backup *b = keep(&f, 0, VERDICT_SAMPLE, PROOF_PASSED);
	assert_int_equal(json_array_size(b->verdicts), 2);
	assert_int_equal(b->verified, PROOF_PASSED);
	close_fixture(&f);
}

static void verdict__as_written__has_what_is_promised(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	json_t *j;
	char *text;
	open_fixture(&f);
	const struct verdict v = {.stack = "hdms",
				  .kind = VERDICT_SAMPLE,
				  .outcome = PROOF_FAILED,
				  .started_ms = BEGAN,
				  .finished_ms = BEGAN + 1500,
				  .duration_ms = 1500,
				  .share_ppm = 50000,
				  .seed = 7,
				  .checked_bytes = 3,
				  .error = "it is damaged"};
	must_be_ok(verdict_json(f.store, load(&f), &v, &j, &err), err);
	must_be_ok(json_text(j, false, &text, &err), err);
	assert_string_equal(
	    text,
	    "{\"format\":\"lifeboat-verify\",\"format_version\":1,\"id\":\"" ID
	    "\",\"stack\":\"hdms\",\"store\":\"memory\",\"kind\":\"sample\",\"outcome\":\"failed\","
	    "\"started\":\"2026-11-23T02:13:20Z\",\"finished\":\"2026-11-23T02:13:21Z\","
	    "\"duration_ms\":1500,\"checked_bytes\":3,\"archive_bytes\":5,\"lifeboat_version\":"
	    "\"" LIFEBOAT_VERSION
	    "\",\"answers\":[],\"share_ppm\":50000,\"seed\":7,\"error\":\"it is damaged\"}");
	free(text);
	json_decref(j);
	close_fixture(&f);
}

/* What can't be used is told, and says nothing. */
static void verdict__that_lies__is_listed_with_the_reason(void **state)
{
	(void)state;
	static const char head[] =
	    "{\"format\":\"lifeboat-verify\",\"format_version\":1,\"id\":\"" ID
	    "\",\"stack\":\"hdms\"";
	static const struct {
		const char *tail, *why;
	} cases[] = {
	    {"", "invalid JSON"},
	    {",\"kind\":\"whole\"}", "field 'outcome' is missing"},
	    {",\"kind\":\"all\",\"outcome\":\"failed\",\"finished\":\"2026-11-23T02:13:21Z\"}",
	     "'all' is no kind of verify"},
	    {",\"kind\":\"whole\",\"outcome\":\"fine\",\"finished\":\"2026-11-23T02:13:21Z\"}",
	     "'fine' is not an outcome"},
	    {",\"kind\":\"whole\",\"outcome\":\"none\",\"finished\":\"2026-11-23T02:13:21Z\"}",
	     "'none' is not an outcome"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture f;
		char text[400];
		open_fixture(&f);
		snprintf(text, sizeof text, "%s%s", head, cases[i].tail);
		memory_store_set(f.m, "hdms-" ID ".verify-20261123T050000Z.json", text,
				 strlen(text));
		const struct backup *b = load(&f);
		assert_int_equal(b->verified, PROOF_NONE);
		assert_false(b->damaged);
		const char *why = json_str_or(json_array_get(b->verdicts, 0), "broken", "");
		if (i > 0)
			assert_string_equal(why, cases[i].why);
		else
			assert_true(why[0] != '\0');
		close_fixture(&f);
	}
}

static void verdict__of_another_backup__is_not_believed(void **state)
{
	(void)state;
	static const char text[] =
	    "{\"format\":\"lifeboat-verify\",\"format_version\":1,\"id\":\"20261122T020000Z-bbbb\","
	    "\"stack\":\"hdms\",\"kind\":\"whole\",\"outcome\":\"passed\","
	    "\"finished\":\"2026-11-23T02:13:21Z\"}";
	struct fixture f;
	open_fixture(&f);
	memory_store_set(f.m, "hdms-" ID ".verify-20261123T050000Z.json", text, strlen(text));
	const struct backup *b = load(&f);
	assert_int_equal(b->verified, PROOF_NONE);
	assert_string_equal(json_str_or(json_array_get(b->verdicts, 0), "broken", ""),
			    "it belongs to another backup: '20261122T020000Z-bbbb' of 'hdms'");
	close_fixture(&f);
}

/* They go with their backup, and are left-overs without it. */
static void verdicts__go_with_their_backup(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	struct store_objects orphans = {0};
	size_t len;
	open_fixture(&f);
	keep(&f, 0, VERDICT_WHOLE, PROOF_PASSED);
	const struct backup *b = load(&f);
	char name[STORE_NAME_MAX + 1];
	must_be_ok(catalog_verdict_name("hdms", ID, BEGAN, name, &err), err);
	assert_string_equal(name, "hdms-" ID ".verify-20261123T021320Z.json");
	assert_non_null(memory_store_bytes(f.m, name, &len));
	must_be_ok(catalog_remove(f.store, "hdms", b, &err), err);
	assert_null(memory_store_bytes(f.m, name, &len));
	memory_store_set(f.m, name, "{}", 2);
	must_be_ok(catalog_orphans(f.store, "hdms", &orphans, &err), err);
	assert_int_equal(orphans.count, 1);
	assert_string_equal(orphans.items[0].name, name);
	store_objects_done(&orphans);
	close_fixture(&f);
}

/* What it was told to be proven it no longer is. */
static void proven__passes_over_what_is_damaged(void **state)
{
	(void)state;
	static const char evidence[] =
	    "{\"format\":\"lifeboat-evidence\",\"format_version\":1,\"id\":\"" ID
	    "\",\"stack\":\"hdms\",\"outcome\":\"passed\",\"started\":\"2026-11-23T04:00:00Z\","
	    "\"finished\":\"2026-11-23T04:01:00Z\"}";
	struct fixture f;
	struct err err = ERR_INIT;
	const struct backup *b;
	open_fixture(&f);
	memory_store_set(f.m, "hdms-" ID ".drill-20261123T040000Z.json", evidence,
			 strlen(evidence));
	load(&f);
	must_be_ok(catalog_find(&f.catalog, "proven", &b, &err), err);
	keep(&f, 0, VERDICT_SAMPLE, PROOF_FAILED);
	assert_int_equal(catalog_find(&f.catalog, "proven", &b, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	err_clear(&err);
	/* The newest is the newest. */
	must_be_ok(catalog_find(&f.catalog, "latest", &b, &err), err);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(verdict__of_a_whole_verify__is_what_is_known_of_the_archive),
	    cmocka_unit_test(verdict__of_a_sample__only_ever_finds_damage),
	    cmocka_unit_test(verdict__of_a_verify_at_the_same_time__takes_no_damage_back),
	    cmocka_unit_test(verdict__that_took_damage_back_by_a_clock_behind__is_not_lost),
	    cmocka_unit_test(verdict__of_damage_that_nobody_took_back__stays_whatever_its_name),
	    cmocka_unit_test(verdicts__of_damage_found_again_and_again__are_few),
	    cmocka_unit_test(verdicts__that_say_nothing_more__are_removed),
	    cmocka_unit_test(verdict__store_that_keeps_the_older_ones__is_kept_all_the_same),
	    cmocka_unit_test(verdicts__of_one_second__are_both_kept),
	    cmocka_unit_test(verdict__as_written__has_what_is_promised),
	    cmocka_unit_test(verdict__that_lies__is_listed_with_the_reason),
	    cmocka_unit_test(verdict__of_another_backup__is_not_believed),
	    cmocka_unit_test(verdicts__go_with_their_backup),
	    cmocka_unit_test(proven__passes_over_what_is_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A copy when memory runs out at every single point, for good and for one allocation only: it is
 * there whole or not at all, and what was there stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "storage/copy.h"
#include "storage/sidecar.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

#define ID    "20261123T020000Z-3f9c"
#define BYTES "the bytes of an archive"

enum { MOST = 5000 };

static struct temp_dir dir;
static char from_url[TEMP_DIR_BYTES + 32], to_url[TEMP_DIR_BYTES + 32];

static int open_from(struct store **ret, struct err *err)
{
	return store_open(&(struct store_opts){.name = "local", .url = from_url}, ret, err);
}

static int open_to(struct store **ret, struct err *err)
{
	return store_open(&(struct store_opts){.name = "far", .url = to_url}, ret, err);
}

static void put(struct store *s, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	assert_int_equal(store_put_bytes(s, name, text, strlen(text), &err), 0);
}

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *s = NULL;
	char sha[SHA256_HEX_BYTES], *text = NULL;
	json_t *j = NULL, *names = json_pack("[s]", "postgres");
	temp_dir_make(&dir);
	snprintf(from_url, sizeof from_url, "file://%s/from", dir.path);
	snprintf(to_url, sizeof to_url, "file://%s/to", dir.path);
	assert_int_equal(open_from(&s, &err), 0);
	assert_int_equal(sha256_of(BYTES, strlen(BYTES), sha, &err), 0);
	struct sidecar side = {.stack = "hdms",
			       .id = ID,
			       .archive = "hdms-" ID ".tar.zst",
			       .bytes = strlen(BYTES),
			       .sha256 = sha,
			       .started = "2026-11-23T02:00:00Z",
			       .finished = "2026-11-23T02:00:00Z",
			       .lifeboat_version = "0.2.0",
			       .components = names};
	assert_int_equal(sidecar_json(&side, &j, &err), 0);
	assert_int_equal(json_text(j, false, &text, &err), 0);
	put(s, side.archive, BYTES);
	put(s, "hdms-" ID ".json", text);
	put(s, "hdms-" ID ".drill-20261124T040000Z.json", "{}");
	free(text);
	json_decref(j);
	json_decref(names);
	store_free(s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

static int work(struct err *err)
{
	CLEANUP(store_freep) struct store *from = NULL;
	CLEANUP(store_freep) struct store *to = NULL;
	CLEANUP(catalog_done) struct catalog c = {0}, there = {0};
	struct retention_rules rules = {0};
	bool wanted[1] = {false};
	uint64_t bytes;
	if (open_from(&from, err) < 0 || open_to(&to, err) < 0 ||
	    catalog_load(from, "hdms", &c, err) < 0 || catalog_load(to, "hdms", &there, err) < 0 ||
	    copy_plan(&c, &there, &rules, NULL, 0, wanted, err) < 0)
		return -1;
	assert_int_equal(c.count, 1);
	return copy_backup(from, "hdms", &c.items[0], to, NULL, &bytes, err);
}

/* What `to` did not hear of: it is pinned, and has been drilled. */
static int bring(struct err *err)
{
	CLEANUP(store_freep) struct store *from = NULL;
	CLEANUP(store_freep) struct store *to = NULL;
	CLEANUP(catalog_done) struct catalog c = {0}, held = {0};
	size_t count;
	if (open_from(&from, err) < 0 || open_to(&to, err) < 0 ||
	    catalog_load(from, "hdms", &c, err) < 0 || catalog_load(to, "hdms", &held, err) < 0)
		return -1;
	return copy_decisions(&c, to, &held, "hdms", NULL, NULL, err) < 0
		   ? -1
		   : copy_evidence(from, "hdms", NULL, to, &count, err);
}

/* Who has no memory can't take his mark away either: prune would. */
static void remove_marks(void)
{
	struct err err = ERR_INIT;
	CLEANUP(store_freep) struct store *from = NULL;
	CLEANUP(store_objects_done) struct store_objects all = {0};
	assert_int_equal(open_from(&from, &err), 0);
	assert_int_equal(store_list(from, "", &all, &err), 0);
	for (size_t i = 0; i < all.count; i++)
		if (strstr(all.items[i].name, ".mark-") != NULL)
			assert_int_equal(store_remove(from, all.items[i].name, &err), 0);
}

/* Committed means whole; then it goes away for the next round. */
static void check(bool done)
{
	struct err err = ERR_INIT;
	struct catalog there = {0};
	CLEANUP(store_freep) struct store *to = NULL;
	CLEANUP(store_objects_done) struct store_objects all = {0};
	assert_int_equal(open_to(&to, &err), 0);
	assert_int_equal(catalog_load(to, "hdms", &there, &err), 0);
	for (size_t i = 0; i < there.count; i++)
		assert_string_equal(there.items[i].broken, "");
	assert_true(!done || there.count == 1);
	catalog_done(&there);
	assert_int_equal(store_list(to, "", &all, &err), 0);
	for (size_t i = 0; i < all.count; i++)
		assert_int_equal(store_remove(to, all.items[i].name, &err), 0);
	remove_marks();
}

static void copy_backup__memory_runs_out__is_whole_or_not_there(void **state)
{
	(void)state;
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		do {
			struct err err = ERR_INIT;
			if (once == 1)
				fail_alloc_once_at(n);
			else
				fail_alloc_at(n);
			int rc = work(&err);
			fail_alloc_off();
			if (rc < 0 && err.code != ERR_NOMEM)
				fail_msg("allocation %u: %s", n, err.msg);
			check(rc == 0);
		} while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, 20, MOST - 1);
	}
}

static void set_pinned(struct store *s, bool pinned)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	struct sidecar side;
	char *text = NULL;
	assert_int_equal(sidecar_load(s, "hdms-" ID ".json", &j, &side, &err), 0);
	json_object_del(j, "decisions");
	json_object_set_new(j, "pinned", json_boolean(pinned));
	assert_int_equal(json_text(j, true, &text, &err), 0);
	put(s, "hdms-" ID ".json", text);
	free(text);
}

static bool is_pinned(struct store *s)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	struct sidecar side;
	assert_int_equal(sidecar_load(s, "hdms-" ID ".json", &j, &side, &err), 0);
	return side.pinned;
}

/* The sidecar is the old or the new one, whole. */
static void copy_decisions__memory_runs_out__is_told_or_not(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(store_freep) struct store *from = NULL;
	CLEANUP(store_freep) struct store *to = NULL;
	unsigned n = 1;
	assert_int_equal(work(&err), 0);
	assert_int_equal(open_from(&from, &err), 0);
	assert_int_equal(open_to(&to, &err), 0);
	set_pinned(from, true);
	do {
		set_pinned(to, false);
		fail_alloc_once_at(n);
		int rc = bring(&err);
		fail_alloc_off();
		if (rc < 0 && err.code != ERR_NOMEM)
			fail_msg("allocation %u: %s", n, err.msg);
		assert_true(rc < 0 || is_pinned(to));
		err_clear(&err);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 50, MOST - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(copy_backup__memory_runs_out__is_whole_or_not_there),
	    cmocka_unit_test(copy_decisions__memory_runs_out__is_told_or_not),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* Stores, catalog and retention when memory runs out at every single point: for good, and for one
 * allocation only. Whatever fails is called a lack of memory, and no backup is called broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "storage/catalog.h"
#include "storage/retention.h"
#include "storage/sidecar.h"
#include "storage/verdict.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

#define ID1 "20261122T020000Z-bbbb"
#define ID2 "20261123T020000Z-3f9c"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { MOST = 5000 };

static struct temp_dir dir;
static char url[TEMP_DIR_BYTES + 16];

static int sweep(int (*work)(struct err *err), void (*check)(bool done))
{
	unsigned most = 0;
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
			if (once == 0)
				assert_int_equal(rc == 0, !fail_alloc_hit());
			if (check != NULL)
				check(rc == 0);
		} while (fail_alloc_hit() && ++n < MOST);
		most = n;
	}
	return (int)most;
}

static json_t *sidecar_of(const char *id, struct err *err)
{
	char archive[201], started[32];
	json_t *j = NULL;
	snprintf(started, sizeof started, "%.4s-%.2s-%.2sT02:00:00Z", id, id + 4, id + 6);
	struct sidecar s = {.stack = "hdms",
			    .id = id,
			    .archive = archive,
			    .bytes = 5,
			    .sha256 = SHA,
			    .started = started,
			    .finished = started,
			    .label = "a \xff label",
			    .lifeboat_version = "0.1.0"};
	CLEANUP(json_freep) json_t *names = json_array();
	s.components = names;
	if (json_push(names, json_string("postgres"), err) < 0 ||
	    catalog_archive_name("hdms", id, archive, err) < 0 || sidecar_json(&s, &j, err) < 0)
		return NULL;
	return j;
}

static void put_backup(struct store *s, const char *id, const char *outcome)
{
	struct err err = ERR_INIT;
	char name[201], *text = NULL;
	json_t *j = sidecar_of(id, &err);
	assert_int_equal(json_text(j, false, &text, &err), 0);
	assert_int_equal(catalog_archive_name("hdms", id, name, &err), 0);
	assert_int_equal(store_put_bytes(s, name, "bytes", 5, &err), 0);
	assert_int_equal(catalog_sidecar_name("hdms", id, name, &err), 0);
	assert_int_equal(store_put_bytes(s, name, text, strlen(text), &err), 0);
	free(text);
	json_decref(j);
	j = json_pack("{ss si ss ss ss ss ss}", "format", "lifeboat-evidence", "format_version", 1,
		      "id", id, "stack", "hdms", "outcome", outcome, "started",
		      "2026-12-01T04:00:00Z", "finished", "2026-12-01T04:00:00Z");
	assert_int_equal(json_text(j, false, &text, &err), 0);
	assert_int_equal(catalog_evidence_name("hdms", id, INT64_C(1796097600000), name, &err), 0);
	assert_int_equal(store_put_bytes(s, name, text, strlen(text), &err), 0);
	free(text);
	json_decref(j);
}

/* A verify that found damage, and one of the whole after it. */
static void put_verdicts(struct store *s, const char *id)
{
	struct err err = ERR_INIT;
	struct verdict v = {.stack = "hdms",
			    .kind = VERDICT_SAMPLE,
			    .outcome = PROOF_FAILED,
			    .started_ms = INT64_C(1796097600000),
			    .error = "damaged"};
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP(catalog_done) struct catalog c = {0};
		const struct backup *b;
		assert_int_equal(catalog_load(s, "hdms", &c, &err), 0);
		assert_int_equal(catalog_find(&c, id, &b, &err), 0);
		assert_int_equal(verdict_keep(s, b, &v, &err), 0);
		v.kind = VERDICT_WHOLE;
		v.outcome = PROOF_PASSED;
		v.started_ms += 60000;
	}
}

static int open_store(struct store **ret, struct err *err)
{
	return store_open(&(struct store_opts){.name = "local", .url = url}, ret, err);
}

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *s = NULL;
	json_t *ignored = NULL;
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s", dir.path);
	assert_int_equal(open_store(&s, &err), 0);
	put_backup(s, ID1, "passed");
	put_backup(s, ID2, "fine");
	put_verdicts(s, ID1);
	store_free(s);
	/* From the first parse on the JSON library allocates by way of ours. */
	assert_int_equal(json_parse("{}", 2, &ignored, &err), 0);
	json_decref(ignored);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

/* ---- the store ---- */

static int work_store(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(store_objects_done) struct store_objects o = {0};
	CLEANUP(strlist_done) struct strlist swept = {0};
	CLEANUP(buf_done) struct buf b;
	struct store_object object;
	uint64_t bytes;
	buf_init(&b, 100);
	if (open_store(&s, err) < 0 || store_lock(s, "hdms", &lock, err) < 0 ||
	    store_put_bytes(s, "x", "new", 3, err) < 0 || store_stat(s, "x", &object, err) < 0 ||
	    store_get_bytes(s, "x", &b, err) < 0 || store_list(s, "", &o, err) < 0 ||
	    store_sweep(s, "hdms", false, &swept, err) < 0 ||
	    store_free_bytes(s, &bytes, err) < 0 || store_remove(s, "x", err) < 0)
		return -1;
	return o.count == 9 && strcmp(buf_text(&b), "new") == 0 && swept.count == 1
		   ? 0
		   : err_set(err, ERR_FAILED, "wrong");
}

static void check_store(bool done)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct buf b;
	/* The lock is free again, the object is whole or absent. */
	struct store_lock *lock = NULL;
	buf_init(&b, 100);
	assert_int_equal(open_store(&s, &err), 0);
	assert_int_equal(store_lock(s, "hdms", &lock, &err), 0);
	assert_false(file_exists(temp_dir_in(&dir, "x.part")));
	if (store_get_bytes(s, "x", &b, &err) == 0)
		assert_true(!done && strcmp(buf_text(&b), "new") == 0);
	else
		assert_int_equal(err.code, ERR_ABSENT);
	assert_int_equal(store_remove(s, "x", &err), 0);
	buf_done(&b);
	store_unlock(lock);
	store_free(s);
	temp_dir_write(&dir, "hdms-20261123T020000Z-3f9c.json.part", "", 0);
}

static void store__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	temp_dir_write(&dir, "hdms-20261123T020000Z-3f9c.json.part", "", 0);
	assert_in_range(sweep(work_store, check_store), 30, MOST - 1);
}

/* ---- the catalog ---- */

static int work_catalog(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(catalog_done) struct catalog c = {0};
	CLEANUP(store_objects_done) struct store_objects orphans = {0};
	const struct backup *b;
	if (open_store(&s, err) < 0 || catalog_load(s, "hdms", &c, err) < 0 ||
	    catalog_orphans(s, "hdms", &orphans, err) < 0 ||
	    catalog_find(&c, "proven", &b, err) < 0)
		return -1;
	/* A catalog that was loaded is right, however little memory there was. */
	bool right = c.count == 2 && orphans.count == 0 && strcmp(b->id, ID1) == 0 &&
		     c.items[0].broken[0] == '\0' && c.items[1].broken[0] == '\0' &&
		     c.items[0].proof == PROOF_UNVERIFIED && c.items[1].proof == PROOF_PASSED &&
		     json_array_size(c.items[0].evidence) == 1 &&
		     json_array_size(c.items[1].verdicts) == 2 && !c.items[1].damaged &&
		     c.items[1].verified == PROOF_PASSED;
	return right ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void catalog__memory_runs_out__calls_no_backup_broken(void **state)
{
	(void)state;
	assert_in_range(sweep(work_catalog, NULL), 200, MOST - 1);
}

/* One more verdict beside the newest of the whole and the newest with damage. */
static int work_verdict(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(catalog_done) struct catalog c = {0};
	const struct verdict v = {.stack = "hdms",
				  .kind = VERDICT_SAMPLE,
				  .outcome = PROOF_PASSED,
				  .started_ms = INT64_C(1796097600000) + 120000};
	if (open_store(&s, err) < 0 || catalog_load(s, "hdms", &c, err) < 0)
		return -1;
	return verdict_keep(s, &c.items[1], &v, err);
}

static void check_verdict(bool done)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct catalog c = {0};
	char name[201];
	assert_int_equal(open_store(&s, &err), 0);
	assert_int_equal(catalog_load(s, "hdms", &c, &err), 0);
	const struct backup *b = &c.items[1];
	assert_int_equal(b->verified, PROOF_PASSED);
	assert_false(b->damaged);
	if (done)
		assert_int_equal(json_array_size(b->verdicts), 3);
	assert_int_equal(
	    catalog_verdict_name("hdms", ID1, INT64_C(1796097600000) + 120000, name, &err), 0);
	assert_int_equal(store_remove(s, name, &err), 0);
	catalog_done(&c);
	store_free(s);
}

static void verdict__memory_runs_out__is_kept_or_not(void **state)
{
	(void)state;
	assert_in_range(sweep(work_verdict, check_verdict), 200, MOST - 1);
}

static int work_sidecar(struct err *err)
{
	json_t *j = sidecar_of(ID1, err);
	if (j == NULL)
		return -1;
	bool right = json_object_size(j) == 18;
	json_decref(j);
	return right ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void sidecar__memory_runs_out__is_written_whole_or_not(void **state)
{
	(void)state;
	assert_in_range(sweep(work_sidecar, NULL), 40, MOST - 1);
}

static int work_remove(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(catalog_done) struct catalog c = {0};
	const struct backup *b;
	if (open_store(&s, err) < 0 || catalog_load(s, "hdms", &c, err) < 0 ||
	    catalog_find(&c, ID2, &b, err) < 0)
		return -1;
	return catalog_remove(s, "hdms", b, err);
}

/* The backup is there whole, or gone as far as anyone sees; the other one is untouched. */
static void check_remove(bool done)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct catalog c = {0};
	struct store_objects orphans = {0};
	assert_int_equal(open_store(&s, &err), 0);
	assert_int_equal(catalog_load(s, "hdms", &c, &err), 0);
	assert_int_equal(catalog_orphans(s, "hdms", &orphans, &err), 0);
	assert_true(c.count == 1 || (c.count == 2 && !done));
	for (size_t i = 0; i < c.count; i++)
		assert_string_equal(c.items[i].broken, "");
	assert_string_equal(c.items[c.count - 1].id, ID1);
	assert_true(!done || orphans.count == 0);
	assert_true(c.count == 1 || orphans.count == 0);
	store_objects_done(&orphans);
	catalog_done(&c);
	put_backup(s, ID2, "fine");
	store_free(s);
}

static void remove__memory_runs_out__leaves_a_backup_or_none(void **state)
{
	(void)state;
	assert_in_range(sweep(work_remove, check_remove), 200, MOST - 1);
}

/* ---- retention ---- */

static int work_retention(struct err *err)
{
	struct retention_rules r;
	struct retention_item items[20] = {{.taken_ms = 0}};
	for (int64_t i = 0; i < 20; i++)
		items[i].taken_ms = INT64_C(1795399200000) + i * 3600000;
	if (retention_parse("last 1, daily 2", &r, err) < 0 ||
	    retention_plan(&r, "Europe/Berlin", 0, items, 20, err) < 0) {
		for (size_t i = 0; i < 20; i++)
			if (items[i].keep || items[i].reason[0] != '\0')
				return err_set(err, ERR_FAILED, "touched");
		return -1;
	}
	return items[19].keep && !items[0].keep ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void retention__memory_runs_out__plans_nothing(void **state)
{
	(void)state;
	assert_in_range(sweep(work_retention, NULL), 5, MOST - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(store__memory_runs_out__fails_cleanly),
	    T(catalog__memory_runs_out__calls_no_backup_broken),
	    T(verdict__memory_runs_out__is_kept_or_not),
	    T(sidecar__memory_runs_out__is_written_whole_or_not),
	    T(remove__memory_runs_out__leaves_a_backup_or_none),
	    T(retention__memory_runs_out__plans_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

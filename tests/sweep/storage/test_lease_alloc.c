/* Leases, leftovers and suspicion when memory runs out at every single point: it is called that,
 * nothing leaks, and no lease holds that nobody has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/flow/throttle.h"
#include "storage/store/lease.h"
#include "storage/leftovers.h"
#include "storage/store/store_impl.h"
#include "storage/suspicion.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

#define ID "20261123T020000Z-3f9c"

enum { MOST = 3000 };

static struct temp_dir dir;
static struct store_ops ops;
static struct store *store;

/* A folder as if it were on another machine. */
static int begin(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char url[TEMP_DIR_BYTES + 8];
	CLEANUP(freep) char *where = NULL;
	void *self;
	ops = store_file_ops;
	ops.remote = true;
	ops.lock = NULL;
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s", dir.path);
	const struct store_opts opts = {.name = "far", .url = url};
	assert_int_equal(store_file_ops.open(&opts, &self, &where, &err), 0);
	assert_int_equal(store_wrap(&ops, self, "far", &store, &err), 0);
	temp_dir_write(&dir, "hdms-" ID ".tar.zst.age", "age", 3);
	temp_dir_write(&dir, "hdms-" ID ".drill-20261124T040000Z.json", "{}", 2);
	return 0;
}

static int end(void **state)
{
	(void)state;
	store_free(store);
	temp_dir_remove(&dir);
	return 0;
}

/* What could not be given back without memory: as of processes that are gone. */
static void forget_leases(void)
{
	struct err err = ERR_INIT;
	struct store_objects all;
	assert_int_equal(store_list(store, "hdms", &all, &err), 0);
	for (size_t i = 0; i < all.count; i++)
		if (lease_name_is(all.items[i].name))
			assert_int_equal(store_remove(store, all.items[i].name, &err), 0);
	store_objects_done(&all);
}

/* Where a failure is passed over (a probe that could not be removed), the work may still be done.
 */
static void sweep(int (*work)(struct err *err))
{
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		forget_leases();
		fail_alloc_at(n);
		int rc = work(&err);
		bool hit = fail_alloc_hit();
		fail_alloc_off();
		if (rc < 0 && err.code != ERR_NOMEM)
			fail_msg("allocation %u: %s", n, err.msg);
		assert_true(rc == 0 || hit);
		if (!hit)
			break;
	} while (++n < MOST);
	assert_true(n > 3 && n < MOST);
}

static int take_and_mark(struct err *err)
{
	CLEANUP(lease_freep) struct lease *lease = NULL;
	CLEANUP(lease_freep) struct lease *mark = NULL;
	CLEANUP(lease_marks_done) struct lease_marks marks = {0};
	if (lease_take(store, "hdms", "backup", &lease, err) < 0)
		return -1;
	return lease_check(lease, err) < 0 ||
		       lease_mark(store, "hdms-" ID, "restore", &mark, err) < 0 ||
		       lease_find_marks(store, "hdms-", &marks, err) < 0 ||
		       lease_sweep(store, "hdms", true, NULL, err) < 0
		   ? -1
		   : 0;
}

static int find_leftovers(struct err *err)
{
	struct leftovers found;
	if (leftovers_find(store, "hdms", true, &found, err) < 0)
		return -1;
	assert_int_equal(found.count, 2);
	leftovers_done(&found);
	return 0;
}

static int suspect(struct err *err)
{
	const struct suspicion_rules half = {.history = 5, .rows = 50, .keys = 50};
	const struct suspicion_figures before = {.rows = 1000, .keys = 1000}, now = {0};
	CLEANUP(strlist_done) struct strlist why = {0};
	struct suspicion_figures ignored[5];
	size_t count;
	return suspicion_history(store, "hdms", NULL, 5, ignored, &count, err) < 0 ||
		       suspicion_judge(&half, &before, 1, &now, &why, err) < 0
		   ? -1
		   : 0;
}

static int read_throttled(struct err *err)
{
	CLEANUP(buf_done) struct buf got;
	buf_init(&got, 100);
	if (throttle_new(1 << 30, &store->throttle, err) < 0)
		return -1;
	int rc = store_get_bytes(store, "hdms-" ID ".tar.zst.age", &got, err);
	if (rc == 0)
		rc = store_put_bytes(store, "x", "x", 1, err);
	throttle_free(store->throttle);
	store->throttle = NULL;
	return rc;
}

static void memory_runs_out__in_leases(void **state)
{
	(void)state;
	sweep(take_and_mark);
}

static void memory_runs_out__in_leftovers(void **state)
{
	(void)state;
	sweep(find_leftovers);
}

static void memory_runs_out__in_suspicion(void **state)
{
	(void)state;
	sweep(suspect);
}

static void memory_runs_out__in_streams_that_last(void **state)
{
	(void)state;
	sweep(read_throttled);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(memory_runs_out__in_leases),
	    TEST(memory_runs_out__in_leftovers),
	    TEST(memory_runs_out__in_suspicion),
	    TEST(memory_runs_out__in_streams_that_last),
	};
	return cmocka_run_group_tests_name("storage/lease_alloc", tests, NULL, NULL);
}

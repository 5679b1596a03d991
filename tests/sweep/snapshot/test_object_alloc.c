/* The object that an encrypted archive goes to, when memory runs out at every single point: nothing
 * is there then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"
#include "snapshot/snapshot.h"
#include "tests/support/age_case.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

#define OBJECT "hdms-20261123T020000Z-3f9c.tar.zst.age"
enum { LARGE = 2 * AGE_CHUNK_BYTES + 1000, MOST = 500 };

static struct age_pair ours;
static struct temp_dir dir;
static struct store *store;
static uint8_t data[LARGE];

static int write_object(const struct backup_job *job, struct writer_totals *ret, struct err *err)
{
	struct snapshot s = {.job = job};
	struct sink *object = NULL;
	int rc = snapshot_object(&s, OBJECT, &object, err);
	if (rc == 0)
		rc = sink_write(object, data, sizeof data, err);
	if (rc == 0)
		rc = sink_close(object, err);
	sink_free(object);
	if (rc == 0)
		snapshot_object_totals(&s, ret);
	sha256_free(s.stored);
	return rc;
}

static int work(struct err *err)
{
	const struct backup_job job = {.store = store, .recipients = &ours.r};
	struct writer_totals totals = {.raw_bytes = LARGE};
	int rc = write_object(&job, &totals, err);
	assert_int_equal(file_exists(temp_dir_in(&dir, OBJECT)), rc == 0);
	assert_false(file_exists(temp_dir_in(&dir, OBJECT ".part")));
	return rc;
}

static void take_away(void)
{
	struct err err = ERR_INIT;
	assert_int_equal(store_remove(store, OBJECT, &err), 0);
}

static void memory__out_at_every_point__leaves_nothing(void **state)
{
	(void)state;
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		int rc;
		do {
			struct err err = ERR_INIT;
			if (once == 1)
				fail_alloc_once_at(n);
			else
				fail_alloc_at(n);
			rc = work(&err);
			fail_alloc_off();
			if (rc < 0 && err.code != ERR_NOMEM)
				fail_msg("allocation %u: %s", n, err.msg);
			assert_int_equal(rc == 0, !fail_alloc_hit());
		} while (rc < 0 && ++n < MOST);
		assert_in_range(n, 8, MOST - 1);
		take_away();
	}
}

int main(void)
{
	struct err err = ERR_INIT;
	char url[TEMP_DIR_BYTES + 16];
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s", dir.path);
	age_fill(data, sizeof data, 6);
	if (age_pair_make(&ours, &err) < 0 ||
	    store_open(&(struct store_opts){.name = "local", .url = url}, &store, &err) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory__out_at_every_point__leaves_nothing),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	store_free(store);
	age_pair_done(&ours);
	temp_dir_remove(&dir);
	return failed;
}

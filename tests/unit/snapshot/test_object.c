#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "snapshot/snapshot.h"
#include "tests/support/age_case.h"
#include "tests/support/memory_store.h"

#define OBJECT "hdms-20261123T020000Z-3f9c.tar.zst.age"
enum { LARGE = 2 * AGE_CHUNK_BYTES + 1000, MOST = 500 };

static struct age_pair ours;
static struct memory_store *m;
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
	size_t len = 0;
	int rc = write_object(&job, &totals, err);
	const uint8_t *stored = memory_store_bytes(m, OBJECT, &len);
	assert_int_equal(memory_store_open_puts(m), 0);
	assert_int_equal(stored != NULL, rc == 0);
	if (rc < 0)
		return -1;
	assert_int_equal(totals.stored_bytes, len);
	assert_int_equal(totals.raw_bytes, LARGE);
	return 0;
}

static void take_away(void)
{
	struct err err = ERR_INIT;
	assert_int_equal(store_remove(store, OBJECT, &err), 0);
}

static void object__of_recipients__is_encrypted_and_measured_as_stored(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct backup_job job = {.store = store, .recipients = &ours.r};
	struct writer_totals totals = {.raw_bytes = LARGE};
	char hex[SHA256_HEX_BYTES];
	size_t len = 0;
	CLEANUP(buf_done) struct buf plain;
	buf_init(&plain, 1 << 20);
	assert_int_equal(write_object(&job, &totals, &err), 0);
	const uint8_t *stored = memory_store_bytes(m, OBJECT, &len);
	assert_int_equal(sha256_of(stored, len, hex, &err), 0);
	assert_string_equal(totals.sha256, hex);
	assert_int_equal(totals.stored_bytes, len);
	assert_int_equal(age_decrypt_all(&ours.i, stored, len, &plain, &err), 0);
	assert_int_equal(plain.len, LARGE);
	assert_memory_equal(plain.data, data, LARGE);
	take_away();
}

static void object__of_no_recipients__is_as_it_was_written(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct backup_job job = {.store = store};
	struct writer_totals totals = {.stored_bytes = 7, .sha256 = "as written"};
	size_t len = 0;
	assert_int_equal(write_object(&job, &totals, &err), 0);
	const uint8_t *stored = memory_store_bytes(m, OBJECT, &len);
	assert_int_equal(len, LARGE);
	assert_memory_equal(stored, data, LARGE);
	assert_int_equal(totals.stored_bytes, 7);
	assert_string_equal(totals.sha256, "as written");
	take_away();
}

static void recipients__of_a_job__are_texts(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct backup_job job = {.recipients = &ours.r}, none = {.stack = "x"};
	const struct snapshot s = {.job = &job}, plain = {.job = &none};
	json_t *list = NULL;
	assert_int_equal(snapshot_recipients(&s, &list, &err), 0);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_array_get(list, 0)), ours.recipient);
	json_decref(list);
	assert_int_equal(snapshot_recipients(&plain, &list, &err), 0);
	assert_null(list);
}

static void store__that_fails_at_every_write__leaves_nothing(void **state)
{
	(void)state;
	unsigned n = 1;
	int rc;
	do {
		struct err err = ERR_INIT;
		memory_store_fail_write(m, n);
		rc = work(&err);
		memory_store_fail_write(m, 0);
	} while (rc < 0 && ++n < MOST);
	assert_in_range(n, 3, MOST - 1);
	take_away();
}

int main(void)
{
	struct err err = ERR_INIT;
	age_fill(data, sizeof data, 6);
	if (age_pair_make(&ours, &err) < 0)
		return 1;
	memory_store_open(&m, &store);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(object__of_recipients__is_encrypted_and_measured_as_stored),
	    cmocka_unit_test(object__of_no_recipients__is_as_it_was_written),
	    cmocka_unit_test(recipients__of_a_job__are_texts),
	    cmocka_unit_test(store__that_fails_at_every_write__leaves_nothing),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	store_free(store);
	age_pair_done(&ours);
	return failed;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/store/store.h"
#include "tests/support/memory_store.h"

struct remote {
	struct memory_store *m;
	struct store *store;
};

static int open_remote(void **state)
{
	struct remote *r = calloc(1, sizeof *r);
	memory_store_open_remote(&r->m, &r->store);
	memory_store_set(r->m, "x.tar.zst", "0123456789", 10);
	*state = r;
	return 0;
}

static int close_remote(void **state)
{
	struct remote *r = *state;
	store_free(r->store);
	free(r);
	return 0;
}

static int call(struct remote *r, enum memory_call what, struct err *err)
{
	struct store_object o;
	struct store_objects list = {0};
	struct source *s = NULL;
	int rc = 0;
	switch (what) {
	case MEMORY_STAT:
		return store_stat(r->store, "x.tar.zst", &o, err);
	case MEMORY_LIST:
		rc = store_list(r->store, "x", &list, err);
		store_objects_done(&list);
		return rc;
	case MEMORY_REMOVE:
		return store_remove(r->store, "x.tar.zst", err);
	case MEMORY_GET:
		rc = store_get(r->store, "x.tar.zst", 2, 3, &s, err);
		source_free(s);
		return rc;
	case MEMORY_PUT:
	case MEMORY_CALLS:
		break;
	}
	return store_put_bytes(r->store, "y", "y", 1, err);
}

static const enum memory_call idempotent[] = {MEMORY_STAT, MEMORY_LIST, MEMORY_GET, MEMORY_REMOVE};
enum { IDEMPOTENT = sizeof idempotent / sizeof *idempotent };

static void call__refused_five_times__succeeds(void **state)
{
	struct remote *r = *state;
	for (size_t i = 0; i < IDEMPOTENT; i++) {
		struct err err = ERR_INIT;
		memory_store_refuse(r->m, idempotent[i], 5, ERR_UNREACHABLE, true);
		assert_int_equal(call(r, idempotent[i], &err), 0);
		assert_int_equal(err.code, ERR_NONE);
		assert_int_equal(memory_store_calls(r->m, idempotent[i]), 6);
	}
}

static void call__refused_for_ever__says_how_often(void **state)
{
	struct remote *r = *state;
	for (size_t i = 0; i < IDEMPOTENT; i++) {
		struct err err = ERR_INIT;
		memory_store_refuse(r->m, idempotent[i], 100, ERR_UNREACHABLE, true);
		assert_int_equal(call(r, idempotent[i], &err), -1);
		assert_int_equal(err.code, ERR_UNREACHABLE);
		assert_string_equal(err.msg, "store 'memory': gave up after 6 tries: the store in "
					     "memory refuses");
		assert_int_equal(memory_store_calls(r->m, idempotent[i]), 6);
	}
}

static void call__refused_for_good__is_not_repeated(void **state)
{
	struct remote *r = *state;
	for (size_t i = 0; i < IDEMPOTENT; i++) {
		struct err err = ERR_INIT;
		memory_store_refuse(r->m, idempotent[i], 1, ERR_DENIED, false);
		assert_int_equal(call(r, idempotent[i], &err), -1);
		assert_string_equal(err.msg, "store 'memory': the store in memory refuses");
		assert_int_equal(memory_store_calls(r->m, idempotent[i]), 1);
	}
}

static void put__of_a_stream__is_left_to_the_kind(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	struct sink *s;
	memory_store_refuse(r->m, MEMORY_PUT, 1, ERR_UNREACHABLE, true);
	assert_int_equal(store_put(r->store, "y", &s, &err), -1);
	assert_int_equal(memory_store_calls(r->m, MEMORY_PUT), 1);
}

static void put__of_bytes_in_memory__is_repeated(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	memory_store_refuse(r->m, MEMORY_PUT, 5, ERR_UNREACHABLE, true);
	assert_int_equal(call(r, MEMORY_PUT, &err), 0);
	assert_int_equal(memory_store_calls(r->m, MEMORY_PUT), 6);
	memory_store_refuse(r->m, MEMORY_PUT, 6, ERR_UNREACHABLE, true);
	assert_int_equal(call(r, MEMORY_PUT, &err), -1);
	assert_string_equal(err.msg,
			    "gave up after 6 tries: store 'memory': the store in memory refuses");
}

static void create__whose_answer_was_lost__has_succeeded(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	memory_store_lose_answers(r->m, 1);
	assert_int_equal(store_create_bytes(r->store, "new", "mine", 4, &err), 0);
	assert_int_equal(err.code, ERR_NONE);
}

static void create__somebody_was_faster__is_told(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	memory_store_refuse(r->m, MEMORY_PUT, 1, ERR_UNREACHABLE, true);
	assert_int_equal(store_create_bytes(r->store, "x.tar.zst", "mine", 4, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	/* The same bytes without a try of ours before: not ours. */
	assert_int_equal(store_create_bytes(r->store, "x.tar.zst", "0123456789", 10, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
}

static void local__refused__is_not_repeated(void **state)
{
	(void)state;
	struct memory_store *m;
	struct store *s;
	struct err err = ERR_INIT;
	struct store_objects list = {0};
	memory_store_open(&m, &s);
	memory_store_refuse(m, MEMORY_LIST, 1, ERR_IO, true);
	assert_int_equal(store_list(s, "", &list, &err), -1);
	assert_int_equal(memory_store_calls(m, MEMORY_LIST), 1);
	store_free(s);
}

/* ---- sources ---- */

static void assert_reads(struct remote *r, uint64_t offset, uint64_t len, const char *want)
{
	struct err err = ERR_INIT;
	struct source *s;
	char got[32] = "";
	size_t n;
	assert_int_equal(store_get(r->store, "x.tar.zst", offset, len, &s, &err), 0);
	assert_int_equal(source_read_full(s, (uint8_t *)got, sizeof got, &n, &err), 0);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, n);
	source_free(s);
}

static void source__broken_at_every_byte__goes_on_where_it_stood(void **state)
{
	struct remote *r = *state;
	for (size_t after = 0; after <= 10; after++) {
		memory_store_break_reads(r->m, 1, after);
		assert_reads(r, 0, UINT64_MAX, "0123456789");
		memory_store_break_reads(r->m, 1, after < 4 ? after : 0);
		assert_reads(r, 3, 4, "3456");
	}
	/* Twice in one read, and again before a byte has come. */
	memory_store_break_reads(r->m, 2, 3);
	assert_reads(r, 0, 10, "0123456789");
	memory_store_break_reads(r->m, 5, 0);
	assert_reads(r, 5, 5, "56789");
}

static void source__broken_again_and_again__is_given_up(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	struct source *s;
	uint8_t got[10];
	size_t n;
	memory_store_break_reads(r->m, 1000, 1);
	assert_int_equal(store_get(r->store, "x.tar.zst", 0, 10, &s, &err), 0);
	assert_int_equal(source_read_full(s, got, sizeof got, &n, &err), -1);
	assert_string_equal(err.msg, "gave up after 6 tries: the store in memory refuses");
	/* The first and five more. */
	assert_int_equal(memory_store_calls(r->m, MEMORY_GET), 6);
	source_free(s);
}

/* Of an answer that is cut HTTP says "corrupt": it speaks of the answer, and a verify of the
 * object.
 */
static void call__whose_answers_are_all_cut__says_nothing_of_the_object(void **state)
{
	struct remote *r = *state;
	for (size_t i = 0; i < IDEMPOTENT; i++) {
		struct err err = ERR_INIT;
		memory_store_refuse(r->m, idempotent[i], 100, ERR_CORRUPT, true);
		assert_int_equal(call(r, idempotent[i], &err), -1);
		assert_int_equal(err.code, ERR_UNREACHABLE);
		memory_store_refuse(r->m, idempotent[i], 1, ERR_CORRUPT, false);
		err_clear(&err);
		assert_int_equal(call(r, idempotent[i], &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
	}
}

static void source__breaks_after_each_mebibyte__comes_to_its_end(void **state)
{
	struct remote *r = *state;
	enum { MIB = 1 << 20, BYTES = 12 * MIB };
	struct err err = ERR_INIT;
	uint8_t *data = calloc(1, BYTES);
	struct buf got;
	buf_init(&got, BYTES + 1);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	memory_store_set(r->m, "long", data, BYTES);
	memory_store_break_reads(r->m, 11, MIB);
	assert_int_equal(store_get_bytes(r->store, "long", &got, &err), 0);
	assert_int_equal(got.len, BYTES);
	assert_memory_equal(got.data, data, BYTES);
	assert_int_equal(memory_store_calls(r->m, MEMORY_GET), 12);
	buf_done(&got);
	free(data);
}

static void source__object_gone_when_it_is_opened_again__says_so(void **state)
{
	struct remote *r = *state;
	struct err err = ERR_INIT;
	struct source *s;
	uint8_t got[10];
	size_t n;
	memory_store_break_reads(r->m, 1, 4);
	assert_int_equal(store_get(r->store, "x.tar.zst", 0, 10, &s, &err), 0);
	assert_int_equal(store_remove(r->store, "x.tar.zst", &err), 0);
	assert_int_equal(source_read_full(s, got, sizeof got, &n, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "there is no 'x.tar.zst'");
	source_free(s);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_remote, close_remote)
	const struct CMUnitTest tests[] = {
	    TEST(call__refused_five_times__succeeds),
	    TEST(call__refused_for_ever__says_how_often),
	    TEST(call__refused_for_good__is_not_repeated),
	    TEST(call__whose_answers_are_all_cut__says_nothing_of_the_object),
	    TEST(put__of_a_stream__is_left_to_the_kind),
	    TEST(put__of_bytes_in_memory__is_repeated),
	    TEST(create__whose_answer_was_lost__has_succeeded),
	    TEST(create__somebody_was_faster__is_told),
	    cmocka_unit_test(local__refused__is_not_repeated),
	    TEST(source__broken_at_every_byte__goes_on_where_it_stood),
	    TEST(source__broken_again_and_again__is_given_up),
	    TEST(source__breaks_after_each_mebibyte__comes_to_its_end),
	    TEST(source__object_gone_when_it_is_opened_again__says_so),
	};
	return cmocka_run_group_tests_name("storage/store_retry", tests, NULL, NULL);
}

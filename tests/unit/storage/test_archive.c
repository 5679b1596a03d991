/* Writer and reader together: what goes in comes out. */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include "base/clock.h"

static struct memory_store *memory;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	memory_store_open(&memory, &store);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsigned open = memory_store_open_puts(memory);
	store_free(store);
	return open == 0 ? 0 : -1;
}

static struct reader *open_reader(void)
{
	struct err err = ERR_INIT;
	struct reader *r;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	return r;
}

static void verify(struct reader *r, const char *sha256, struct reader_report *ret)
{
	struct err err = ERR_INIT;
	must_be_ok(reader_verify(r, sha256, NULL, NULL, ret, &err), err);
}

static void stream__of_several_parts__comes_back(void **state)
{
	(void)state;
	enum { BYTES = 5 * SMALL_PART_BYTES + 1234 };
	struct err err = ERR_INIT;
	struct writer_totals totals = small_write(store, BYTES);
	struct reader *r = open_reader();
	struct buf got;
	uint8_t *expected = malloc(BYTES);
	small_fill(expected, BYTES, 1);
	buf_init(&got, 1 << 20);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	assert_int_equal(got.len, BYTES);
	assert_memory_equal(got.data, expected, BYTES);
	buf_reset(&got);
	must_be_ok(small_read_stream(r, SMALL_EMPTY, &got, &err), err);
	assert_int_equal(got.len, 0);
	assert_false(reader_was_rebuilt(r));

	struct reader_report report;
	verify(r, totals.sha256, &report);
	assert_int_equal(report.stored_bytes, totals.stored_bytes);
	assert_int_equal(report.raw_bytes, totals.raw_bytes);
	assert_int_equal(report.streams, 2);
	assert_int_equal(report.members, 6);
	free(expected);
	buf_done(&got);
	reader_free(r);
}

struct seen {
	unsigned count;
	char names[16][200];
	char content[16][64];
};

static int see(void *ctx, struct archive_entry *entry, struct source *content, struct err *err)
{
	struct seen *s = ctx;
	size_t n;
	snprintf(s->names[s->count], sizeof s->names[0], "%s", archive_entry_pathname(entry));
	if (source_read_full(content, (uint8_t *)s->content[s->count], 63, &n, err) < 0)
		return -1;
	s->content[s->count++][n] = '\0';
	return 0;
}

static void members__with_prefix__come_in_order_with_attributes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen seen = {.count = 0};
	small_write(store, 100);
	struct reader *r = open_reader();
	must_be_ok(reader_members(r, "volumes/media/", see, &seen, &err), err);
	assert_int_equal(seen.count, 5);
	assert_string_equal(seen.names[0], "volumes/media/./");
	assert_string_equal(seen.names[1], "volumes/media/a.txt");
	assert_string_equal(seen.content[1], "first");
	assert_string_equal(seen.content[2], "");
	assert_string_equal(seen.names[3], "volumes/media/link");
	assert_string_equal(seen.names[4], "volumes/media/hard");
	reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(stream__of_several_parts__comes_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(members__with_prefix__come_in_order_with_attributes,
					    setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

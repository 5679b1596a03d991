/* The writer: what it refuses, and that nothing is published when anything went wrong. */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include "base/digest.h"

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

static void says(const struct err *err, enum err_code code, const char *text)
{
	if (err->code != code || strstr(err->msg, text) == NULL)
		fail_msg("%s: '%s', not '%s'", err_code_name(err->code), err->msg, text);
}

/* Closing must fail with this, and nothing is there afterwards. */
static void closes_not(struct writer *w, enum err_code code, const char *text)
{
	struct err err = ERR_INIT;
	struct writer_totals totals;
	size_t len;
	json_t *manifest = small_manifest();
	assert_int_equal(writer_close(w, manifest, &totals, &err), -1);
	says(&err, code, text);
	json_decref(manifest);
	writer_free(w);
	assert_null(memory_store_bytes(memory, SMALL_OBJECT, &len));
}

static void options__out_of_range__are_refused(void **state)
{
	(void)state;
	static const struct writer_opts wrong[] = {
	    {.level = 0},
	    {.level = 20},
	    {.level = 3, .part_bytes = 1000},
	    {.level = 3, .part_bytes = ((size_t)64 << 20) + 1},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		struct sink *out;
		struct writer *w = NULL;
		must_be_ok(store_put(store, SMALL_OBJECT, &out, &err), err);
		assert_int_equal(writer_open(out, &wrong[i], &w, &err), -1);
		says(&err, ERR_CONFIG, "a part has 64 KiB to 64 MiB and a level is 1 to 19");
		assert_null(w);
	}
}

static void writer__freed_before_close__publishes_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	size_t len;
	struct writer *w = small_open(store, SMALL_OBJECT);
	must_be_ok(writer_file(w, "RESTORE.md", 0644, "x", 1, &err), err);
	small_put_stream(w, SMALL_STREAM, "abc", 3);
	writer_free(w);
	assert_null(memory_store_bytes(memory, SMALL_OBJECT, &len));
}

static void stream__freed_before_close__aborts_everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *to;
	struct writer *w = small_open(store, SMALL_OBJECT);
	must_be_ok(writer_stream(w, SMALL_STREAM, &to, &err), err);
	must_be_ok(sink_write(to, "abc", 3, &err), err);
	sink_free(to);
	assert_int_equal(writer_file(w, "a", 0600, "x", 1, &err), -1);
	says(&err, ERR_FAILED, "stream 'postgres/hdms_db/dump' was not ended");
	closes_not(w, ERR_FAILED, "stream 'postgres/hdms_db/dump' was not ended");
}

static void writer__with_an_open_stream__takes_nothing_else(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *to, *other;
	struct writer *w = small_open(store, SMALL_OBJECT);
	must_be_ok(writer_stream(w, SMALL_STREAM, &to, &err), err);
	assert_int_equal(writer_stream(w, "other", &other, &err), -1);
	says(&err, ERR_FAILED, "stream 'postgres/hdms_db/dump' is still open");
	assert_int_equal(writer_file(w, "a", 0600, "x", 1, &err), -1);
	says(&err, ERR_FAILED, "is still open");
	must_be_ok(sink_close(to, &err), err);
	sink_free(to);
	must_be_ok(writer_file(w, "a", 0600, "x", 1, &err), err);
	small_close(w);
}

static int put(struct writer *w, uint64_t said, size_t has, struct err *err)
{
	static const uint8_t data[1 << 20];
	struct archive_entry *e = small_entry("volumes/media/f", AE_IFREG);
	struct source *content;
	archive_entry_set_size(e, (la_int64_t)said);
	must_be_ok(source_memory(data, has, &content, err), *err);
	int rc = writer_member(w, e, content, err);
	archive_entry_free(e);
	return rc;
}

static void member__shorter_or_longer_than_said__aborts_everything(void **state)
{
	(void)state;
	static const struct {
		uint64_t said;
		size_t has;
		const char *text;
	} cases[] = {
	    {10, 9, "'volumes/media/f': it ended after 9 of 10 bytes"},
	    {1 << 20, 100000, "'volumes/media/f': it ended after 100000 of 1048576 bytes"},
	    {10, 11, "'volumes/media/f': it is longer than the 10 bytes that were said"},
	    {0, 1, "'volumes/media/f': it is longer than the 0 bytes that were said"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct writer *w = small_open(store, SMALL_OBJECT);
		assert_int_equal(put(w, cases[i].said, cases[i].has, &err), -1);
		says(&err, ERR_FAILED, cases[i].text);
		closes_not(w, ERR_FAILED, cases[i].text);
	}
}

static void member__whose_source_fails__passes_the_error_on(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct source *content;
	uint8_t data[100] = {0};
	memory_store_set(memory, "x", data, sizeof data);
	must_be_ok(store_get(store, "x", 0, 100, &content, &err), err);
	memory_store_fail_read(memory, 1);
	struct writer *w = small_open(store, SMALL_OBJECT);
	struct archive_entry *e = small_entry("volumes/media/f", AE_IFREG);
	archive_entry_set_size(e, 100);
	assert_int_equal(writer_member(w, e, content, &err), -1);
	says(&err, ERR_IO, "'volumes/media/f': ");
	says(&err, ERR_IO, "the store in memory can't be read");
	archive_entry_free(e);
	closes_not(w, ERR_IO, "the store in memory can't be read");
}

static void member__that_tar_cannot_hold__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct writer *w = small_open(store, SMALL_OBJECT);
	struct archive_entry *e = small_entry("volumes/media/socket", AE_IFSOCK);
	assert_int_equal(writer_member(w, e, NULL, &err), -1);
	says(&err, ERR_FAILED, "'volumes/media/socket' is of a type that tar can't hold");
	archive_entry_free(e);
	e = small_entry("volumes/../x", AE_IFDIR);
	assert_int_equal(writer_member(w, e, NULL, &err), -1);
	says(&err, ERR_FAILED, "the member name 'volumes/../x' has '..' in it");
	archive_entry_free(e);
	e = small_entry("volumes/f", AE_IFREG);
	archive_entry_set_size(e, 5);
	assert_int_equal(writer_member(w, e, NULL, &err), -1);
	says(&err, ERR_FAILED, "'volumes/f' has no content");
	archive_entry_free(e);
	/* Nothing of them was written: the archive is still a good one. */
	must_be_ok(writer_file(w, "a", 0600, "x", 1, &err), err);
	small_close(w);
}

static void names__that_a_reader_would_refuse__are_not_published(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second, *text;
	} cases[] = {
	    {"a", "a", "the name 'a' is there twice"},
	    {"a", "a/b", "the name 'a/b' lies below something that is no folder"},
	    {"manifest.json", "b", "the name 'manifest.json' is the manifest's own"},
	    {"x", SMALL_STREAM, "is there twice"},
	    {"x", SMALL_STREAM "/000000", "lies below something that is no folder"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct writer *w = small_open(store, SMALL_OBJECT);
		must_be_ok(writer_file(w, cases[i].first, 0600, "x", 1, &err), err);
		small_put_stream(w, SMALL_STREAM, "abc", 3);
		must_be_ok(writer_file(w, cases[i].second, 0600, "x", 1, &err), err);
		closes_not(w, ERR_CORRUPT, cases[i].text);
	}
}

static void manifest__without_its_first_fields__is_not_published(void **state)
{
	(void)state;
	static const char *const fields[] = {"format", "format_version", "id", "stack"};
	for (size_t i = 0; i < 4; i++) {
		struct err err = ERR_INIT;
		struct writer_totals totals;
		size_t len;
		char text[64];
		struct writer *w = small_open(store, SMALL_OBJECT);
		json_t *manifest = small_manifest();
		json_object_del(manifest, fields[i]);
		snprintf(text, sizeof text, "field '%s' is missing", fields[i]);
		assert_int_equal(writer_close(w, manifest, &totals, &err), -1);
		says(&err, ERR_CORRUPT, text);
		json_decref(manifest);
		writer_free(w);
		assert_null(memory_store_bytes(memory, SMALL_OBJECT, &len));
	}
}

static void stream__of_a_bad_name__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *to = NULL;
	struct writer *w = small_open(store, SMALL_OBJECT);
	assert_int_equal(writer_stream(w, "a/\xFF/dump", &to, &err), -1);
	says(&err, ERR_FAILED, "the name of a stream is at most 1008 bytes of UTF-8");
	assert_int_equal(writer_stream(w, "../dump", &to, &err), -1);
	says(&err, ERR_FAILED, "has '..' in it");
	assert_null(to);
	writer_free(w);
}

static void totals__of_an_archive__are_those_of_the_object(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char sha256[65];
	size_t len;
	struct writer_totals totals = small_write(store, 3 * SMALL_PART_BYTES);
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	assert_int_equal(totals.stored_bytes, len);
	assert_int_equal(totals.raw_bytes, 3 * SMALL_PART_BYTES + 8 + 5);
	must_be_ok(sha256_of(data, len, sha256, &err), err);
	assert_string_equal(totals.sha256, sha256);
}

/* Half of it through the writer's own memory, half copied; the parts are of SMALL_PART_BYTES. */
static void stream__by_memory_that_it_lends__is_the_same(void **state)
{
	(void)state;
	enum { LEN = 5 * SMALL_PART_BYTES / 2 };
	struct err err = ERR_INIT;
	static uint8_t data[LEN];
	struct writer *w = small_open(store, SMALL_OBJECT);
	struct sink *to;
	small_fill(data, LEN, 9);
	must_be_ok(writer_file(w, "RESTORE.md", 0644, "x", 1, &err), err);
	must_be_ok(writer_stream(w, SMALL_STREAM, &to, &err), err);
	for (size_t done = 0, n; done < LEN; done += n) {
		uint8_t *lent;
		size_t cap;
		must_be_ok(sink_lend(to, &lent, &cap, &err), err);
		assert_int_equal(cap, SMALL_PART_BYTES - done % SMALL_PART_BYTES);
		n = cap < LEN - done ? cap : LEN - done;
		n = (n + 1) / 2;
		memcpy(lent, data + done, n);
		must_be_ok(sink_write(to, lent, n, &err), err);
		size_t more = cap - n < LEN - done - n ? cap - n : LEN - done - n;
		must_be_ok(sink_write(to, data + done + n, more, &err), err);
		n += more;
	}
	must_be_ok(sink_close(to, &err), err);
	sink_free(to);
	small_close(w);
	struct buf got;
	struct reader *r;
	buf_init(&got, LEN);
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	assert_int_equal(got.len, LEN);
	assert_memory_equal(got.data, data, LEN);
	buf_done(&got);
	reader_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(options__out_of_range__are_refused),
	    TEST(writer__freed_before_close__publishes_nothing),
	    TEST(stream__freed_before_close__aborts_everything),
	    TEST(writer__with_an_open_stream__takes_nothing_else),
	    TEST(member__shorter_or_longer_than_said__aborts_everything),
	    TEST(member__whose_source_fails__passes_the_error_on),
	    TEST(member__that_tar_cannot_hold__is_refused),
	    TEST(names__that_a_reader_would_refuse__are_not_published),
	    TEST(manifest__without_its_first_fields__is_not_published),
	    TEST(stream__of_a_bad_name__is_refused),
	    TEST(totals__of_an_archive__are_those_of_the_object),
	    TEST(stream__by_memory_that_it_lends__is_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Writer and reader together: what goes in comes out. */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include <archive.h>

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
	must_be_ok(reader_verify(r, sha256, NULL, ret, &err), err);
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

/* ---- attributes ---- */

struct kept {
	struct archive_entry *entry;
	uint8_t content[100000];
	size_t len;
};

static int keep(void *ctx, struct archive_entry *entry, struct source *content, struct err *err)
{
	struct kept *k = ctx;
	archive_entry_free(k->entry);
	k->entry = archive_entry_clone(entry);
	return source_read_full(content, k->content, sizeof k->content, &k->len, err);
}

/* Writes one member, reads it back and verifies the archive. */
static void round_trip(struct archive_entry *e, const void *data, size_t len, struct kept *k)
{
	struct err err = ERR_INIT;
	struct reader_report report;
	struct writer *w = small_open(store, SMALL_OBJECT);
	struct source *content = NULL;
	if (data != NULL)
		must_be_ok(source_memory(data, len, &content, &err), err);
	must_be_ok(writer_member(w, e, content, &err), err);
	struct writer_totals totals = small_close(w);
	struct reader *r = open_reader();
	*k = (struct kept){.entry = NULL};
	must_be_ok(reader_members(r, "", keep, k, &err), err);
	verify(r, totals.sha256, &report);
	assert_non_null(k->entry);
	reader_free(r);
}

static void attributes__of_a_file__come_back(void **state)
{
	(void)state;
	static struct kept k;
	struct archive_entry *e = small_entry("volumes/media/f", AE_IFREG);
	archive_entry_set_mtime(e, 1790000000, 123456789);
	archive_entry_copy_uname(e, "p\xC3\xB6stgres");
	archive_entry_xattr_add_entry(e, "user.note", "a\0b", 3);
	archive_entry_set_dev(e, 77);
	archive_entry_set_ino(e, 78);
	archive_entry_set_nlink(e, 3);
	archive_entry_set_size(e, 5);
	round_trip(e, "hello", 5, &k);
	assert_int_equal(archive_entry_mode(k.entry), AE_IFREG | 0640);
	assert_int_equal(archive_entry_uid(k.entry), 999);
	assert_int_equal(archive_entry_gid(k.entry), 998);
	assert_int_equal(archive_entry_mtime(k.entry), 1790000000);
	assert_int_equal(archive_entry_mtime_nsec(k.entry), 123456789);
	assert_string_equal(archive_entry_uname(k.entry), "p\xC3\xB6stgres");
	const char *name;
	const void *value;
	size_t size;
	archive_entry_xattr_reset(k.entry);
	assert_int_equal(archive_entry_xattr_next(k.entry, &name, &value, &size), ARCHIVE_OK);
	assert_string_equal(name, "user.note");
	assert_int_equal(size, 3);
	assert_memory_equal(value, "a\0b", 3);
	assert_int_equal(k.len, 5);
	archive_entry_free(k.entry);
	archive_entry_free(e);
}

/* Composed and decomposed letters, and bytes that are no UTF-8, stay what they are. */
static void names__of_any_bytes__come_back(void **state)
{
	(void)state;
	static const char *const names[] = {"volumes/media/b\xC3\xBC", "volumes/media/bu\xCC\x88",
					    "volumes/media/\xFF\xFE.bin", "volumes/media/a\nb\x1B"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		static struct kept k;
		struct archive_entry *e = small_entry(names[i], AE_IFREG);
		archive_entry_set_size(e, 1);
		round_trip(e, "x", 1, &k);
		assert_string_equal(archive_entry_pathname(k.entry), names[i]);
		archive_entry_free(k.entry);
		archive_entry_free(e);
	}
}

static void name__of_1024_bytes__comes_back(void **state)
{
	(void)state;
	static struct kept k;
	char name[1025];
	for (size_t i = 0; i < 1024; i++)
		name[i] = i % 200 == 199 ? '/' : (char)('a' + i % 26);
	name[1024] = '\0';
	struct archive_entry *e = small_entry(name, AE_IFREG);
	archive_entry_set_size(e, 1);
	round_trip(e, "x", 1, &k);
	assert_string_equal(archive_entry_pathname(k.entry), name);
	archive_entry_free(k.entry);
	archive_entry_free(e);
}

/* Holes take no room, and read as zeros; the map of them comes back. */
static void sparse_file__keeps_its_holes(void **state)
{
	(void)state;
	static struct kept k;
	static uint8_t data[90000];
	memset(data + 40960, 'x', 4096);
	memset(data + 81920, 'y', 8080);
	struct archive_entry *e = small_entry("volumes/media/disk", AE_IFREG);
	archive_entry_set_size(e, sizeof data);
	archive_entry_sparse_add_entry(e, 40960, 4096);
	archive_entry_sparse_add_entry(e, 81920, 8080);
	round_trip(e, data, sizeof data, &k);
	assert_int_equal(archive_entry_size(k.entry), sizeof data);
	assert_int_equal(k.len, sizeof data);
	assert_memory_equal(k.content, data, sizeof data);
	assert_int_equal(archive_entry_sparse_count(k.entry), 2);
	archive_entry_free(k.entry);
	archive_entry_free(e);
}

static void member__larger_than_many_frames__comes_back(void **state)
{
	(void)state;
	enum { BYTES = 10 * SMALL_PART_BYTES + 333 };
	struct err err = ERR_INIT;
	struct reader_report report;
	uint8_t *data = malloc(BYTES);
	small_fill(data, BYTES, 5);
	struct writer *w = small_open(store, SMALL_OBJECT);
	must_be_ok(writer_file(w, "first", 0600, data, 100, &err), err);
	must_be_ok(writer_file(w, "large", 0600, data, BYTES, &err), err);
	must_be_ok(writer_file(w, "last", 0600, data, 7, &err), err);
	small_close(w);
	struct reader *r = open_reader();
	static struct kept k;
	k = (struct kept){.entry = NULL};
	must_be_ok(reader_members(r, "last", keep, &k, &err), err);
	assert_int_equal(k.len, 7);
	k.len = 0;
	must_be_ok(reader_members(r, "large", keep, &k, &err), err);
	assert_int_equal(k.len, sizeof k.content);
	assert_memory_equal(k.content, data, sizeof k.content);
	verify(r, NULL, &report);
	assert_int_equal(report.frames, 12);
	archive_entry_free(k.entry);
	free(data);
	reader_free(r);
}

/* Many small members share frames. */
static void members__that_are_small__share_frames(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader_report report;
	struct writer *w = small_open(store, SMALL_OBJECT);
	for (unsigned i = 0; i < 200; i++) {
		char name[32];
		snprintf(name, sizeof name, "volumes/media/%u", i);
		must_be_ok(writer_file(w, name, 0600, name, strlen(name), &err), err);
	}
	small_close(w);
	struct reader *r = open_reader();
	verify(r, NULL, &report);
	assert_int_equal(report.members, 200);
	assert_int_equal(report.frames, 200 * 1024 / SMALL_PART_BYTES + 2);
	struct seen seen = {.count = 0};
	uint64_t before = reader_fetched_bytes(r);
	must_be_ok(reader_members(r, "volumes/media/150", see, &seen, &err), err);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.content[0], "volumes/media/150");
	assert_true(reader_fetched_bytes(r) - before < reader_object_bytes(r) / 2);
	reader_free(r);
}

/* Nothing but a type and attributes. */
static void nodes__of_every_type__come_back(void **state)
{
	(void)state;
	static const unsigned types[] = {AE_IFIFO, AE_IFCHR, AE_IFBLK, AE_IFDIR};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		static struct kept k;
		struct archive_entry *e = small_entry("volumes/media/node", types[i]);
		archive_entry_set_rdevmajor(e, 8);
		archive_entry_set_rdevminor(e, 3);
		round_trip(e, NULL, 0, &k);
		assert_int_equal(archive_entry_filetype(k.entry), types[i]);
		if (types[i] == AE_IFCHR || types[i] == AE_IFBLK)
			assert_int_equal(archive_entry_rdevminor(k.entry), 3);
		archive_entry_free(k.entry);
		archive_entry_free(e);
	}
}

/* "a/" means the folder "a" and what is in it, not what merely begins so. */
static void members__of_a_folder__include_the_folder_itself(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen seen = {.count = 0};
	struct writer *w = small_open(store, SMALL_OBJECT);
	small_put_entry(w, small_entry("v/a", AE_IFDIR), NULL, 0);
	must_be_ok(writer_file(w, "v/ab", 0600, "x", 1, &err), err);
	must_be_ok(writer_file(w, "v/a/b", 0600, "y", 1, &err), err);
	small_close(w);
	struct reader *r = open_reader();
	must_be_ok(reader_members(r, "v/a/", see, &seen, &err), err);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.names[0], "v/a/");
	assert_string_equal(seen.names[1], "v/a/b");
	reader_free(r);
}

/* A seek table that the first range read does not hold. */
static void archive__of_many_frames__needs_one_more_read(void **state)
{
	(void)state;
	enum { STREAMS = 11000 };
	struct err err = ERR_INIT;
	struct buf got;
	struct writer *w = small_open(store, SMALL_OBJECT);
	for (unsigned i = 0; i < STREAMS; i++) {
		char name[32];
		snprintf(name, sizeof name, "s/%u", i);
		small_put_stream(w, name, name, i % 3);
	}
	small_close(w);
	struct reader *r = open_reader();
	assert_int_equal(memory_store_gets(memory), 3);
	assert_false(reader_was_rebuilt(r));
	buf_init(&got, 100);
	must_be_ok(small_read_stream(r, "s/10997", &got, &err), err);
	assert_string_equal(buf_text(&got), "s/");
	buf_done(&got);
	reader_free(r);
}

static void archive__without_anything__is_still_one(void **state)
{
	(void)state;
	struct reader_report report;
	struct writer_totals totals = small_close(small_open(store, SMALL_OBJECT));
	struct reader *r = open_reader();
	verify(r, totals.sha256, &report);
	assert_int_equal(report.frames, 1);
	reader_free(r);
}

/* Streams of exactly whole parts have no empty part behind them. */
static void stream__of_exactly_whole_parts__has_no_more(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf got;
	small_write(store, 2 * SMALL_PART_BYTES);
	struct reader *r = open_reader();
	const json_t *streams = json_object_get(reader_manifest(r), "streams");
	json_t *parts = json_object_get(json_array_get(streams, 0), "parts");
	char *text = json_dumps(parts, JSON_COMPACT);
	assert_string_equal(text, "[[1,2,65536]]");
	free(text);
	buf_init(&got, 1 << 20);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	assert_int_equal(got.len, 2 * SMALL_PART_BYTES);
	buf_done(&got);
	reader_free(r);
}

/* A source that is dropped before its end stops its threads. */
static void stream__dropped_half_way__leaves_nothing_behind(void **state)
{
	(void)state;
	small_write(store, 40 * SMALL_PART_BYTES);
	struct reader *r = open_reader();
	for (size_t bytes = 0; bytes < 20; bytes++) {
		struct err err = ERR_INIT;
		struct source *from;
		uint8_t block[1000];
		size_t n;
		must_be_ok(reader_stream(r, SMALL_STREAM, &from, &err), err);
		for (size_t i = 0; i < bytes * 10; i++)
			must_be_ok(source_read(from, block, sizeof block, &n, &err), err);
		source_free(from);
	}
	reader_free(r);
}

/* However small the pieces are in which a store hands its bytes out. */
static void store__that_reads_in_small_pieces__is_read_to_the_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf got;
	struct reader_report report;
	small_write(store, 3 * SMALL_PART_BYTES);
	memory_store_chop_reads(memory, 77);
	struct reader *r = open_reader();
	buf_init(&got, 1 << 20);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	assert_int_equal(got.len, 3 * SMALL_PART_BYTES);
	verify(r, NULL, &report);
	buf_done(&got);
	reader_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(stream__of_several_parts__comes_back),
	    TEST(members__with_prefix__come_in_order_with_attributes),
	    TEST(attributes__of_a_file__come_back),
	    TEST(names__of_any_bytes__come_back),
	    TEST(name__of_1024_bytes__comes_back),
	    TEST(sparse_file__keeps_its_holes),
	    TEST(member__larger_than_many_frames__comes_back),
	    TEST(members__that_are_small__share_frames),
	    TEST(nodes__of_every_type__come_back),
	    TEST(members__of_a_folder__include_the_folder_itself),
	    TEST(archive__of_many_frames__needs_one_more_read),
	    TEST(archive__without_anything__is_still_one),
	    TEST(stream__of_exactly_whole_parts__has_no_more),
	    TEST(stream__dropped_half_way__leaves_nothing_behind),
	    TEST(store__that_reads_in_small_pieces__is_read_to_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

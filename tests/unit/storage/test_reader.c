/* The reader against archives whose every checksum holds, but whose manifest or seek table lies. */
#include "tests/support/forged_archive.h"

#include <stdio.h>
#include "storage/archive/tar_member.h"

enum { STREAM_BYTES = 3 * SMALL_PART_BYTES + 100 };
/* The frames of small_write: RESTORE.md, four parts, the empty part, members, the manifest. */
enum { FIRST_PART = 1, EMPTY_PART = 5, MEMBERS = 6, MANIFEST = 7 };

static struct memory_store *memory;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	memory_store_open(&memory, &store);
	small_write(store, STREAM_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static void says(const struct err *err, enum err_code code, const char *text)
{
	if (err->code != code || strstr(err->msg, text) == NULL)
		fail_msg("%s: '%s', not '%s'", err_code_name(err->code), err->msg, text);
}

static void opens_not(enum err_code code, const char *text)
{
	struct err err = ERR_INIT;
	struct reader *r = NULL;
	assert_int_equal(reader_open(store, SMALL_OBJECT, &r, &err), -1);
	assert_null(r);
	says(&err, code, text);
}

static int ignore(void *ctx, struct archive_entry *entry, struct source *content, struct err *err)
{
	(void)ctx, (void)entry;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (sink_null(&to, err) < 0)
		return -1;
	return flow_copy(content, to, NULL, err);
}

/* It opens, but then the lie comes out. NULL: this way of reading does not meet it. */
static void fails_when_read(const char *verify, const char *stream, const char *members)
{
	struct err err = ERR_INIT;
	struct reader *r;
	struct reader_report report;
	struct buf got;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_int_equal(reader_verify(r, NULL, NULL, &report, &err), -1);
	says(&err, ERR_CORRUPT, verify);
	buf_init(&got, 1 << 20);
	int rc = small_read_stream(r, SMALL_STREAM, &got, &err);
	assert_int_equal(rc, stream == NULL ? 0 : -1);
	if (rc < 0)
		says(&err, ERR_CORRUPT, stream);
	buf_done(&got);
	rc = reader_members(r, "", ignore, NULL, &err);
	assert_int_equal(rc, members == NULL ? 0 : -1);
	if (rc < 0)
		says(&err, ERR_CORRUPT, members);
	reader_free(r);
}

/* ---- opening ---- */

static void object__that_is_absent__is_absent(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r = NULL;
	assert_int_equal(reader_open(store, "other.tar.zst", &r, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
}

static void object__of_something_else__is_no_archive(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r = NULL;
	memory_store_set(memory, SMALL_OBJECT, "#!/bin/sh\necho hello, world, at some length\n",
			 43);
	opens_not(ERR_CORRUPT, "is no archive: not one frame of it is whole");
	memory_store_set(memory, SMALL_OBJECT, "", 0);
	opens_not(ERR_CORRUPT, "is no archive: not one frame of it is whole");
	assert_int_equal(reader_open(store, SMALL_OBJECT, &r, &err), -1);
	assert_string_equal(err.hint, "Restore another backup.");
}

static void archive__that_is_sound__is_opened_by_two_range_reads(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_int_equal(memory_store_gets(memory), 2);
	assert_false(reader_was_rebuilt(r));
	assert_string_equal(json_str_or(reader_manifest(r), "stack", ""), "hdms");
	reader_free(r);
}

/* One of the streams, and not more than its frames. */
static void stream__that_is_wanted__is_all_that_is_fetched(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	struct buf got;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	uint64_t before = reader_fetched_bytes(r);
	buf_init(&got, 1 << 20);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	uint64_t expected = f.table.frames[EMPTY_PART].offset - f.table.frames[FIRST_PART].offset;
	assert_int_equal(reader_fetched_bytes(r) - before, expected);
	assert_int_equal(memory_store_gets(memory), 3);
	buf_done(&got);
	reader_free(r);
	forged_done(&f);
}

static void stream__that_is_absent__is_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	struct source *from = NULL;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_int_equal(reader_stream(r, "postgres/other/dump", &from, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "'" SMALL_OBJECT "' has no stream 'postgres/other/dump'");
	assert_null(from);
	reader_free(r);
}

static int refuse(void *ctx, struct archive_entry *entry, struct source *content, struct err *err)
{
	(void)content;
	unsigned *left = ctx;
	if (--*left > 0)
		return 0;
	return err_set(err, ERR_EXISTS, "not '%s'", archive_entry_pathname(entry));
}

static void members__whose_visitor_fails__end_with_its_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	unsigned left = 2;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_int_equal(reader_members(r, "volumes/", refuse, &left, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_string_equal(err.msg, "not 'volumes/media/a.txt'");
	must_be_ok(reader_members(r, "no/such", refuse, &left, &err), err);
	reader_free(r);
}

static void count_progress(void *ctx, uint64_t done, uint64_t of)
{
	uint64_t *last = ctx;
	assert_true(done >= *last && done <= of);
	*last = done;
}

static void verify__of_a_sound_archive__reports_progress_to_the_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	struct reader_report report;
	uint64_t done = 0;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	must_be_ok(reader_verify(r, NULL,
				 &(struct reader_watch){.progress = count_progress, .ctx = &done},
				 &report, &err),
		   err);
	assert_int_equal(done, reader_object_bytes(r));
	assert_int_equal(report.frames, MANIFEST + 1);
	reader_free(r);
}

static void verify__with_another_hash_expected__fails(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	struct reader_report report;
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_int_equal(reader_verify(r, "00", NULL, &report, &err), -1);
	says(&err, ERR_CORRUPT, "'" SMALL_OBJECT "': its SHA-256 is ");
	reader_free(r);
}

/* ---- the fields of the manifest ---- */

static void manifest_field(const char *key, json_t *value, enum err_code code, const char *text)
{
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	if (value == NULL)
		json_object_del(f.manifest, key);
	else
		json_object_set_new(f.manifest, key, value);
	forged_put(&f);
	opens_not(code, text);
	small_write(store, STREAM_BYTES);
}

static void manifest__of_a_newer_version__asks_for_a_newer_lifeboat(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r = NULL;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_object_set_new(f.manifest, "format_version", json_integer(2));
	forged_put(&f);
	assert_int_equal(reader_open(store, SMALL_OBJECT, &r, &err), -1);
	says(&err, ERR_FAILED, "the archive has format version 2, this lifeboat reads version 1");
	assert_string_equal(err.hint, "Use the lifeboat that wrote it, or a newer one.");
}

static void manifest__with_a_wrong_field__is_refused_by_name(void **state)
{
	(void)state;
	manifest_field("format", json_string("x"), ERR_CORRUPT,
		       "the manifest of '" SMALL_OBJECT
		       "': field 'format' is not 'lifeboat-archive'");
	manifest_field("format_version", json_integer(0), ERR_CORRUPT,
		       "field 'format_version' is 0");
	manifest_field("format_version", json_string("1"), ERR_CORRUPT,
		       "field 'format_version' is not a whole number");
	manifest_field("id", NULL, ERR_CORRUPT, "field 'id' is missing");
	manifest_field("stack", json_string(""), ERR_CORRUPT, "field 'stack' is empty");
	manifest_field("streams", NULL, ERR_CORRUPT, "field 'streams' is missing");
	manifest_field("streams", json_integer(1), ERR_CORRUPT, "field 'streams' is not an array");
	manifest_field("members", NULL, ERR_CORRUPT, "field 'members' is missing");
	manifest_field("frames", NULL, ERR_CORRUPT, "field 'frames' is missing");
}

/* Replaces a field of the first stream. */
static void stream_field(const char *key, json_t *value, const char *text)
{
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_t *stream = json_array_get(json_object_get(f.manifest, "streams"), 0);
	if (value == NULL)
		json_object_del(stream, key);
	else
		json_object_set_new(stream, key, value);
	forged_put(&f);
	opens_not(ERR_CORRUPT, text);
	small_write(store, STREAM_BYTES);
}

static void stream__that_lies__is_named(void **state)
{
	(void)state;
	stream_field("name", NULL, "field 'name' is missing");
	stream_field("name", json_string("../dump"), "the name '../dump' has '..' in it");
	stream_field("name", json_string("/etc/cron.d"), "the name '/etc/cron.d' begins with '/'");
	stream_field("name", json_string(SMALL_EMPTY), "the name '" SMALL_EMPTY "' is there twice");
	stream_field("bytes", json_integer(5),
		     "stream '" SMALL_STREAM "' is said to have 5 bytes, its 4 parts have 196708");
	stream_field("bytes", json_integer(-5), "field 'bytes' is not a whole number");
	stream_field("sha256", json_string("abc"), "its SHA-256 is none");
	stream_field("parts", json_pack("[[iii]]", FIRST_PART, 9, 65536),
		     "no part can be in frame 9");
	stream_field("parts", json_pack("[[iii][iii]]", 2, 1, 65536, 1, 1, 65536),
		     "no part can be in frame 1");
	stream_field("parts", json_pack("[[ii]]", 1, 1), "'parts' is no list of runs");
	stream_field("parts", json_pack("[[iii]]", 1, 0, 65536), "'parts' is no list of runs");
	stream_field("parts", json_pack("[s]", "x"), "'parts' is no list of runs");
	stream_field("parts", json_array(), "is said to have 196708 bytes, its 0 parts have 0");
	/* They add up, but no part of 50000 bytes is in a frame of that size. */
	stream_field("parts",
		     json_pack("[[iii][iii][iii]]", FIRST_PART, 2, 65536, 3, 1, 50000, 4, 1, 15636),
		     "part 2 of stream '" SMALL_STREAM
		     "' is said to have 50000 bytes, its frame 3 unpacks to 66048");
	/* The empty stream's only part is taken away from it. */
	stream_field("parts",
		     json_pack("[[iii][iii][iii]]", FIRST_PART, 3, 65536, 4, 1, 100, 5, 1, 0),
		     "frame 5 has two owners");
}

/* Row `row` of the members gets another value at `column`. */
static void member_cell(size_t row, size_t column, json_t *value, const char *text)
{
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_t *member = json_array_get(json_object_get(f.manifest, "members"), row);
	json_array_set_new(member, column, value);
	forged_put(&f);
	opens_not(ERR_CORRUPT, text);
	small_write(store, STREAM_BYTES);
}

static void member__that_lies__is_named(void **state)
{
	(void)state;
	member_cell(2, 0, json_string("volumes/../../etc/passwd"),
		    "the name 'volumes/../../etc/passwd' has '..' in it");
	member_cell(2, 0, json_string("/etc/passwd"), "begins with '/'");
	member_cell(2, 0, json_string("a//b"), "has an empty component");
	member_cell(2, 0, json_string("RESTORE.md"), "the name 'RESTORE.md' is there twice");
	member_cell(2, 0, json_string("manifest.json"), "is the manifest's own");
	member_cell(2, 0, json_string("volumes/media/link/x"),
		    "the name 'volumes/media/link/x' lies below something that is no folder");
	member_cell(2, 0, json_string(SMALL_STREAM "/x"), "lies below something that is no folder");
	member_cell(2, 0, json_integer(1), "member 2: it has no name of at most 1024 bytes");
	member_cell(2, 0, json_pack("{s:s}", "hex", "2E2e2F"), "it has no name");
	member_cell(2, 0, json_pack("{s:s}", "hex", "6100"), "it has no name");
	member_cell(2, 0, json_pack("{s:s}", "hex", "2e2e2f61"), "the name '../a' has '..' in it");
	member_cell(2, 1, json_string("x"), "member 2: its type is unknown");
	member_cell(2, 1, json_string("ff"), "member 2: its type is unknown");
	member_cell(2, 2, json_integer(-1), "member 2: its size, hash or place is none");
	member_cell(2, 2, json_integer(INT64_MAX), "member 2: its size, hash or place is none");
	member_cell(2, 3, json_null(), "member 2: its size, hash or place is none");
	member_cell(1, 3, json_string("x"), "member 1: its size, hash or place is none");
	member_cell(2, 4, json_integer(1), "can't begin at byte 1 of the tar file");
	member_cell(2, 4, json_integer(600),
		    "member 'volumes/media/a.txt' can't begin at byte 600");
	member_cell(0, 4, json_integer(512), "member 'RESTORE.md' can't begin at byte 512");
}

static void frames__that_lie__are_named(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_t *row = json_array_get(json_object_get(f.manifest, "frames"), 2);
	json_array_set_new(row, 0, json_integer(7));
	forged_put(&f);
	opens_not(ERR_CORRUPT, "'frames' says that frame 2 is ");
	small_write(store, STREAM_BYTES);

	forged_open(&f, memory, SMALL_OBJECT);
	json_array_remove(json_object_get(f.manifest, "frames"), 2);
	forged_put(&f);
	opens_not(ERR_CORRUPT, "'frames' lists 6 frames, before the manifest's there are 7");
	small_write(store, STREAM_BYTES);

	forged_open(&f, memory, SMALL_OBJECT);
	json_array_set_new(json_object_get(f.manifest, "frames"), 2, json_string("x"));
	forged_put(&f);
	opens_not(ERR_CORRUPT, "'frames' has no three numbers at 2");
}

/* ---- lies that only reading shows ---- */

static void stream__whose_hash_lies__fails_at_its_end(void **state)
{
	(void)state;
	struct forged f;
	char zeros[65];
	memset(zeros, '0', 64);
	zeros[64] = '\0';
	forged_open(&f, memory, SMALL_OBJECT);
	json_object_set_new(json_array_get(json_object_get(f.manifest, "streams"), 0), "sha256",
			    json_string(zeros));
	forged_put(&f);
	fails_when_read("stream '" SMALL_STREAM "': its SHA-256 is ",
			"stream '" SMALL_STREAM "': its SHA-256 is ", NULL);
}

static void member__whose_hash_lies__fails_at_its_end(void **state)
{
	(void)state;
	struct forged f;
	char zeros[65];
	memset(zeros, '0', 64);
	zeros[64] = '\0';
	forged_open(&f, memory, SMALL_OBJECT);
	json_array_set_new(json_array_get(json_object_get(f.manifest, "members"), 2), 3,
			   json_string(zeros));
	forged_put(&f);
	fails_when_read("member 'volumes/media/a.txt': its SHA-256 is ", NULL,
			"member 'volumes/media/a.txt': its SHA-256 is ");
}

static void stream__that_is_called_otherwise__does_not_match_its_headers(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_t *streams = json_object_get(f.manifest, "streams");
	json_object_set_new(json_array_get(streams, 0), "name", json_string("other"));
	json_object_set_new(json_array_get(streams, 1), "name", json_string(SMALL_STREAM));
	forged_put(&f);
	fails_when_read("stream 'other': part 0: its tar header says '" SMALL_STREAM "/000000'",
			"stream '" SMALL_STREAM "': part 0: its tar header says '" SMALL_EMPTY
			"/000000'",
			NULL);
}

/* Two parts of equal size change places. */
static void stream__whose_parts_are_swapped__does_not_match_its_headers(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	struct seek_frame a = f.table.frames[FIRST_PART], b = f.table.frames[FIRST_PART + 1];
	uint8_t *copy = malloc(f.frames_len);
	memcpy(copy, f.frames, f.frames_len);
	memcpy(f.frames + a.offset, copy + b.offset, b.stored_bytes);
	memcpy(f.frames + a.offset + b.stored_bytes, copy + a.offset, a.stored_bytes);
	free(copy);
	f.table.frames[FIRST_PART].stored_bytes = b.stored_bytes;
	f.table.frames[FIRST_PART].checksum = b.checksum;
	f.table.frames[FIRST_PART + 1].stored_bytes = a.stored_bytes;
	f.table.frames[FIRST_PART + 1].checksum = a.checksum;
	json_t *frames = json_object_get(f.manifest, "frames");
	json_array_set_new(json_array_get(frames, FIRST_PART), 1, json_integer(b.stored_bytes));
	json_array_set_new(json_array_get(frames, FIRST_PART + 1), 0,
			   json_integer((json_int_t)(a.offset + b.stored_bytes)));
	json_array_set_new(json_array_get(frames, FIRST_PART + 1), 1, json_integer(a.stored_bytes));
	forged_put(&f);
	fails_when_read("part 0: its tar header says '" SMALL_STREAM "/000001'",
			"part 0: its tar header says '" SMALL_STREAM "/000001'", NULL);
}

static void member__of_another_type_or_size__does_not_match_its_header(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_array_set_new(json_array_get(json_object_get(f.manifest, "members"), 2), 2,
			   json_integer(6));
	forged_put(&f);
	fails_when_read("member 'volumes/media/a.txt': type 'f' and 6 bytes are listed, its tar "
			"header says 'f' and 5",
			NULL, "member 'volumes/media/a.txt': type 'f' and 6 bytes are listed");
	small_write(store, STREAM_BYTES);

	forged_open(&f, memory, SMALL_OBJECT);
	json_array_set_new(json_array_get(json_object_get(f.manifest, "members"), 4), 1,
			   json_string("p"));
	forged_put(&f);
	fails_when_read("member 'volumes/media/link': type 'p' and 0 bytes are listed", NULL,
			"member 'volumes/media/link': type 'p'");
}

/* What the index does not list is found by verify, and the member before it does not swallow it. */
static void member__that_is_not_listed__is_found_by_verify(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	json_array_remove(json_object_get(f.manifest, "members"), 3);
	forged_put(&f);
	fails_when_read("'volumes/media/empty' at byte ", NULL,
			"member 'volumes/media/link': its tar header is not where it is listed");
}

/* The seal alone is wrong: everything can be read, but verify can't vouch for it. */
static void seal__that_lies__is_found_by_verify(void **state)
{
	(void)state;
	size_t len;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	uint8_t *copy = malloc(len);
	memcpy(copy, data, len);
	copy[seek_table_stored_bytes(&f.table) + 20] ^= 1;
	memory_store_set(memory, SMALL_OBJECT, copy, len);
	free(copy);
	forged_done(&f);
	fails_when_read("the SHA-256 of what is stored is ", NULL, NULL);
}

/* ---- frames that hold something else, while index, seal and checksums agree ---- */

/* A second member hides behind a part, in the same frame. */
static void part__with_something_behind_it__is_found_out(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct forged f;
	struct buf head;
	size_t len;
	forged_open(&f, memory, SMALL_OBJECT);
	uint8_t *raw = forged_raw(&f, FIRST_PART, &len);
	buf_init(&head, 4096);
	must_be_ok(tar_member_header("etc/cron.d/x", 0, 0, &head, &err), err);
	memcpy(raw + len, head.data, head.len);
	forged_replace(&f, FIRST_PART, raw, len + head.len);
	forged_put(&f);
	static const char text[] =
	    "stream '" SMALL_STREAM "': part 0: its frame holds something else too";
	fails_when_read(text, text, NULL);
	buf_done(&head);
	free(raw);
}

static void part__of_another_size_than_its_header__is_found_out(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct forged f;
	struct buf head;
	size_t len;
	forged_open(&f, memory, SMALL_OBJECT);
	uint8_t *raw = forged_raw(&f, FIRST_PART, &len);
	buf_init(&head, 4096);
	must_be_ok(tar_member_header(SMALL_STREAM "/000000", 0, 65000, &head, &err), err);
	memcpy(raw, head.data, head.len);
	forged_replace(&f, FIRST_PART, raw, len);
	forged_put(&f);
	static const char text[] = "part 0: 65536 bytes are listed, its tar header says 65000";
	fails_when_read(text, text, NULL);
	buf_done(&head);
	free(raw);
}

static void part__without_a_tar_header__is_found_out(void **state)
{
	(void)state;
	struct forged f;
	size_t len;
	forged_open(&f, memory, SMALL_OBJECT);
	uint8_t *raw = forged_raw(&f, FIRST_PART, &len);
	memset(raw, 'x', 512);
	forged_replace(&f, FIRST_PART, raw, len);
	forged_put(&f);
	fails_when_read("no sound tar header", "part 0: no sound tar header", NULL);
	small_write(store, STREAM_BYTES);

	/* Zeros are the end of a tar file: it may not come early. */
	forged_open(&f, memory, SMALL_OBJECT);
	memset(raw, 0, len);
	forged_replace(&f, FIRST_PART, raw, len);
	forged_put(&f);
	fails_when_read("part 0: no tar header", "part 0: no tar header", NULL);
	free(raw);
}

/* A byte of a member changes, and only its hash knows. */
static void member__with_other_content__is_found_out(void **state)
{
	(void)state;
	struct forged f;
	size_t len;
	forged_open(&f, memory, SMALL_OBJECT);
	uint8_t *raw = forged_raw(&f, MEMBERS, &len);
	uint8_t *first = memmem(raw, len, "first", 5);
	assert_non_null(first);
	*first = 'F';
	forged_replace(&f, MEMBERS, raw, len);
	forged_put(&f);
	fails_when_read("member 'volumes/media/a.txt': its SHA-256 is ", NULL,
			"member 'volumes/media/a.txt': its SHA-256 is ");
	free(raw);
}

/* Bytes between the manifest's text and the end of the tar file. */
static void manifest__that_does_not_end_the_tar_file__is_none(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct forged f;
	struct buf raw;
	forged_open(&f, memory, SMALL_OBJECT);
	buf_init(&raw, 1 << 20);
	must_be_ok(manifest_frame(f.manifest, 0, &raw, &err), err);
	raw.data[raw.len - 1] = 'x';
	forged_put_raw(&f, raw.data, raw.len);
	opens_not(ERR_CORRUPT, "has no manifest: it ends, or is damaged, after 11 whole members");
	forged_put_raw(&f, raw.data, raw.len - 512);
	opens_not(ERR_CORRUPT, "has no manifest");
	buf_done(&raw);
	forged_done(&f);
}

static void hard_link__that_leads_outside__is_refused(void **state)
{
	(void)state;
	static const char *const targets[] = {"/etc/shadow", "volumes/other", "volumes/media/link"};
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		struct err err = ERR_INIT;
		struct reader *r;
		struct writer *w = small_open(store, SMALL_OBJECT);
		struct archive_entry *e = small_entry("volumes/media/link", AE_IFLNK);
		archive_entry_copy_symlink(e, "/etc/passwd");
		small_put_entry(w, e, NULL, 0);
		e = small_entry("volumes/media/hard", AE_IFREG);
		archive_entry_copy_hardlink(e, targets[i]);
		struct source *none = NULL;
		int rc = writer_member(w, e, none, &err);
		archive_entry_free(e);
		if (rc < 0) { /* an absolute one does not even get in */
			says(&err, ERR_FAILED, "begins with '/'");
			writer_free(w);
			continue;
		}
		small_close(w);
		must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
		assert_int_equal(reader_members(r, "", ignore, NULL, &err), -1);
		says(&err, ERR_CORRUPT, "member 'volumes/media/hard': it is a hard link to '");
		reader_free(r);
	}
}

/* ---- the seek table ---- */

/* The tail is damaged, the manifest is whole: one pass, and everything is there. */
static void rebuilt_and_whole(const char *why)
{
	struct err err = ERR_INIT;
	struct reader *r;
	struct reader_report report;
	struct buf got;
	uint8_t *expected = malloc(STREAM_BYTES);
	small_fill(expected, STREAM_BYTES, 1);
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	assert_true(reader_was_rebuilt(r));
	buf_init(&got, 1 << 20);
	must_be_ok(small_read_stream(r, SMALL_STREAM, &got, &err), err);
	assert_int_equal(got.len, STREAM_BYTES);
	assert_memory_equal(got.data, expected, STREAM_BYTES);
	must_be_ok(reader_members(r, "", ignore, NULL, &err), err);
	assert_int_equal(reader_verify(r, NULL, NULL, &report, &err), -1);
	says(&err, ERR_CORRUPT, "all that is listed is whole, but the archive's end is damaged: ");
	says(&err, ERR_CORRUPT, why);
	free(expected);
	buf_done(&got);
	reader_free(r);
}

static void seek_table__that_lies_about_sizes__is_rebuilt(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	f.table.frames[2].stored_bytes += 10;
	f.table.frames[3].stored_bytes -= 10;
	forged_put(&f);
	rebuilt_and_whole("'frames' says that frame 2 is ");
	small_write(store, STREAM_BYTES);

	forged_open(&f, memory, SMALL_OBJECT);
	f.table.frames[2].raw_bytes += 512;
	forged_put(&f);
	rebuilt_and_whole("'frames' says that frame 2 is ");
	small_write(store, STREAM_BYTES);

	forged_open(&f, memory, SMALL_OBJECT);
	f.table.frames[2].stored_bytes += 10;
	forged_put(&f);
	rebuilt_and_whole("the frames of the seek table have ");
}

static void seek_table__with_junk_behind_it__is_rebuilt(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	size_t len;
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	struct buf longer;
	buf_init(&longer, 1 << 20);
	must_be_ok(buf_append(&longer, data, len, &err), err);
	must_be_ok(buf_puts(&longer, "junk", &err), err);
	memory_store_set(memory, SMALL_OBJECT, longer.data, longer.len);
	buf_done(&longer);
	rebuilt_and_whole("there is no seek table at the end");
}

/* A checksum that only the seek table has wrong does not stand in the way of a restore. */
static void seek_table__with_a_wrong_checksum__fails_verify_only(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	f.table.frames[2].checksum ^= 1;
	forged_put(&f);
	fails_when_read("frame 2 of '" SMALL_OBJECT "'", NULL, NULL);
}

/* ---- bombs ---- */

static void bomb__of_a_frame__ends_at_the_limit(void **state)
{
	(void)state;
	struct forged f;
	forged_open(&f, memory, SMALL_OBJECT);
	f.table.frames[2].raw_bytes = 0x7FFFFFFF;
	json_array_set_new(json_array_get(json_object_get(f.manifest, "frames"), 2), 2,
			   json_integer(0x7FFFFFFF));
	forged_put(&f);
	opens_not(ERR_LIMIT, "frame 2 unpacks to 2147483647 bytes, more than the 67117568 allowed");
}

static void bomb__of_a_manifest__ends_at_the_limit(void **state)
{
	(void)state;
	struct forged f;
	size_t len = MANIFEST_FRAME_MAX + 512;
	uint8_t *zeros = calloc(1, len);
	forged_open(&f, memory, SMALL_OBJECT);
	forged_put_raw(&f, zeros, len);
	forged_done(&f);
	free(zeros);
	opens_not(ERR_CORRUPT, "has no manifest: it ends, or is damaged, after 11 whole members");
}

static void bomb__of_many_values__ends_at_the_limit(void **state)
{
	(void)state;
	enum { VALUES = 8100000 };
	struct err err = ERR_INIT;
	struct forged f;
	struct buf raw;
	json_t *big = json_array();
	forged_open(&f, memory, SMALL_OBJECT);
	/* The writer refuses it too. */
	for (size_t i = 0; i < VALUES; i++)
		json_array_append_new(big, json_true());
	json_object_set_new(f.manifest, "x", big);
	buf_init(&raw, MANIFEST_FRAME_MAX);
	assert_int_equal(manifest_frame(f.manifest, 0, &raw, &err), -1);
	says(&err, ERR_LIMIT, "the manifest has more than 8000000 values");
	buf_done(&raw);
	forged_done(&f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(object__that_is_absent__is_absent),
	    TEST(object__of_something_else__is_no_archive),
	    TEST(archive__that_is_sound__is_opened_by_two_range_reads),
	    TEST(stream__that_is_wanted__is_all_that_is_fetched),
	    TEST(stream__that_is_absent__is_named),
	    TEST(members__whose_visitor_fails__end_with_its_error),
	    TEST(verify__of_a_sound_archive__reports_progress_to_the_end),
	    TEST(verify__with_another_hash_expected__fails),
	    TEST(manifest__of_a_newer_version__asks_for_a_newer_lifeboat),
	    TEST(manifest__with_a_wrong_field__is_refused_by_name),
	    TEST(stream__that_lies__is_named),
	    TEST(member__that_lies__is_named),
	    TEST(frames__that_lie__are_named),
	    TEST(stream__whose_hash_lies__fails_at_its_end),
	    TEST(member__whose_hash_lies__fails_at_its_end),
	    TEST(stream__that_is_called_otherwise__does_not_match_its_headers),
	    TEST(stream__whose_parts_are_swapped__does_not_match_its_headers),
	    TEST(member__of_another_type_or_size__does_not_match_its_header),
	    TEST(member__that_is_not_listed__is_found_by_verify),
	    TEST(seal__that_lies__is_found_by_verify),
	    TEST(part__with_something_behind_it__is_found_out),
	    TEST(part__of_another_size_than_its_header__is_found_out),
	    TEST(part__without_a_tar_header__is_found_out),
	    TEST(member__with_other_content__is_found_out),
	    TEST(manifest__that_does_not_end_the_tar_file__is_none),
	    TEST(hard_link__that_leads_outside__is_refused),
	    TEST(seek_table__that_lies_about_sizes__is_rebuilt),
	    TEST(seek_table__with_junk_behind_it__is_rebuilt),
	    TEST(seek_table__with_a_wrong_checksum__fails_verify_only),
	    TEST(bomb__of_a_frame__ends_at_the_limit),
	    TEST(bomb__of_a_manifest__ends_at_the_limit),
	    TEST(bomb__of_many_values__ends_at_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The seek table against zstd's published seekable format, version 0.1.0, field by field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "storage/archive/seek_table.h"

static const char sha256[] = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

static void make(struct seek_table *t)
{
	struct err err = ERR_INIT;
	*t = (struct seek_table){.count = 0};
	assert_int_equal(seek_table_add(t, 1000, 8389120, 0x01020304, &err), 0);
	assert_int_equal(seek_table_add(t, 0x00ABCDEF, 512, 0xFFFFFFFF, &err), 0);
}

static void seek_table__written__has_the_published_layout(void **state)
{
	(void)state;
	static const uint8_t expected[] = {
	    0x5D, 0x2A, 0x4D, 0x18, 0x28, 0x00, 0x00, 0x00, /* the seal: a skippable frame of 40 */
	    'l',  'i',  'f',  'e',  'b',  'o',  'a',  't',  0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
	    0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0x01, 0x23, 0x45, 0x67,
	    0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, /* SHA-256 */
	    0x5E, 0x2A, 0x4D, 0x18,                         /* Skippable_Magic_Number */
	    0x2D, 0x00, 0x00, 0x00,                         /* Frame_Size: 3 x 12 + 9 */
	    0xE8, 0x03, 0x00, 0x00,                         /* Compressed_Size */
	    0x00, 0x02, 0x80, 0x00,                         /* Decompressed_Size */
	    0x04, 0x03, 0x02, 0x01,                         /* Checksum */
	    0xEF, 0xCD, 0xAB, 0x00, 0x00, 0x02, 0x00, 0x00, /* the second entry */
	    0xFF, 0xFF, 0xFF, 0xFF, 0x30, 0x00, 0x00, 0x00, /* the seal: 48 bytes */
	    0x00, 0x00, 0x00, 0x00, /* "for skippable frames, this value is 0" */
	    0x99, 0xE9, 0xD8, 0x51, /* of no content */
	    0x03, 0x00, 0x00, 0x00, /* Number_Of_Frames */
	    0x80,                   /* Seek_Table_Descriptor: Checksum_Flag */
	    0xB1, 0xEA, 0x92, 0x8F, /* Seekable_Magic_Number */
	};
	struct err err = ERR_INIT;
	struct seek_table t;
	struct buf out;
	make(&t);
	buf_init(&out, 1000);
	assert_int_equal(seek_table_write(&t, sha256, &out, &err), 0);
	assert_int_equal(out.len, sizeof expected);
	assert_memory_equal(out.data, expected, sizeof expected);
	buf_done(&out);
	seek_table_done(&t);
}

static void seek_table__parsed__gives_back_frames_and_offsets(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seek_table t, got;
	struct buf out;
	size_t len = 0;
	make(&t);
	buf_init(&out, 1000);
	assert_int_equal(seek_table_write(&t, sha256, &out, &err), 0);
	uint64_t object = seek_table_stored_bytes(&t) + out.len;
	assert_int_equal(seek_table_foot(out.data + out.len - 9, object, &len, &err), 0);
	assert_int_equal(len, out.len);
	assert_int_equal(seek_table_parse(out.data, out.len, object, &got, &err), 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.frames[1].offset, 1000);
	assert_int_equal(got.frames[1].raw_offset, 8389120);
	assert_int_equal(got.frames[1].checksum, 0xFFFFFFFF);
	assert_int_equal(seek_table_raw_bytes(&got), 8389632);
	assert_int_equal(seek_table_find(&got, 0), 0);
	assert_int_equal(seek_table_find(&got, 8389119), 0);
	assert_int_equal(seek_table_find(&got, 8389120), 1);
	buf_done(&out);
	seek_table_done(&t);
	seek_table_done(&got);
}

/* Writes the table, changes the byte at `at` (from the end when negative) and parses it. */
static void refused(long at, uint8_t value, uint64_t object_more, const char *text)
{
	struct err err = ERR_INIT;
	struct seek_table t, got = {.count = 0};
	struct buf out;
	make(&t);
	buf_init(&out, 1000);
	assert_int_equal(seek_table_write(&t, sha256, &out, &err), 0);
	out.data[at >= 0 ? (size_t)at : out.len - (size_t)-at] = value;
	uint64_t object = seek_table_stored_bytes(&t) + out.len + object_more;
	assert_int_equal(seek_table_parse(out.data, out.len, object, &got, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	if (strstr(err.msg, text) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, text);
	assert_int_equal(got.count, 0);
	buf_done(&out);
	seek_table_done(&t);
}

static void seek_table__damaged__is_refused(void **state)
{
	(void)state;
	refused(0, 0x5F, 0, "there is no seal before the seek table");
	refused(4, 41, 0, "there is no seal before the seek table");
	refused(8, 'L', 0, "there is no seal before the seek table");
	refused(48, 0x5F, 0, "head of the seek table is damaged");
	refused(52, 0x20, 0, "head of the seek table is damaged");
	refused(-1, 0, 0, "no seek table at the end");
	refused(-5, 0x00, 0, "of another kind (0x00)");
	refused(-5, 0x84, 0, "of another kind (0x84)");
	refused(-9, 4, 0, "head of the seek table is damaged");
	refused(-9, 1, 0, "claims 1 frames");
	refused(-6, 0x10, 0, "frames");
	refused(-21, 47, 0, "the seek table does not end with the seal");
	refused(-17, 1, 0, "the seek table does not end with the seal");
	refused(56, 0xE9, 0, "have 11260376 bytes, the archive 11260375");
	refused(56, 0xE8, 1, "have 11260375 bytes, the archive 11260376");
}

/* Two bits that "a compliant decoder should not interpret". */
static void seek_table__with_unused_bits__is_accepted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const uint8_t foot[] = {2, 0, 0, 0, 0x83, 0xB1, 0xEA, 0x92, 0x8F};
	size_t len = 0;
	assert_int_equal(seek_table_foot(foot, 1000, &len, &err), 0);
	assert_int_equal(len, 48 + 8 + 24 + 9);
}

/* 80 million frames in an object that can't hold them: nothing is allocated for them. */
static void seek_table__with_more_frames_than_bytes__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const uint8_t foot[] = {0, 0, 0, 5, 0x80, 0xB1, 0xEA, 0x92, 0x8F};
	size_t len = 0;
	assert_int_equal(seek_table_foot(foot, 1000000, &len, &err), -1);
	assert_string_equal(err.msg, "the seek table claims 83886080 frames");
}

static void seek_table__cut__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seek_table got;
	assert_int_equal(seek_table_parse((const uint8_t *)"0123456789012345", 16, 16, &got, &err),
			 -1);
	assert_string_equal(err.msg, "the seek table is cut");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(seek_table__written__has_the_published_layout),
	    cmocka_unit_test(seek_table__parsed__gives_back_frames_and_offsets),
	    cmocka_unit_test(seek_table__damaged__is_refused),
	    cmocka_unit_test(seek_table__with_unused_bits__is_accepted),
	    cmocka_unit_test(seek_table__with_more_frames_than_bytes__is_refused),
	    cmocka_unit_test(seek_table__cut__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

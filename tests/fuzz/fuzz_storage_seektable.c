/* Any bytes as the end of an archive: no crash, and what is accepted is written again the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "storage/archive/seek_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIXED = SEEK_TABLE_SEAL_BYTES + 8 + SEEK_TABLE_FOOT_BYTES, ENTRY = 12 };

/* A tail that is right but for what the input says: count and magic numbers would stop most. */
static void mend(uint8_t *tail, size_t len)
{
	static const uint8_t seal[16] = {0x5D, 0x2A, 0x4D, 0x18, 40,  0,   0,   0,
					 'l',  'i',  'f',  'e',  'b', 'o', 'a', 't'};
	static const uint8_t foot[5] = {0x80, 0xB1, 0xEA, 0x92, 0x8F};
	static const uint8_t sealed[12] = {48, 0, 0, 0, 0, 0, 0, 0, 0x99, 0xE9, 0xD8, 0x51};
	uint32_t count = (uint32_t)((len - FIXED) / ENTRY), bytes = count * ENTRY + 9;
	memcpy(tail, seal, sizeof seal);
	memcpy(tail + 48, "\x5E\x2A\x4D\x18", 4);
	for (int i = 0; i < 4; i++) {
		tail[52 + i] = (uint8_t)(bytes >> 8 * i);
		tail[len - 9 + (size_t)i] = (uint8_t)(count >> 8 * i);
	}
	memcpy(tail + len - 9 - ENTRY, sealed, sizeof sealed);
	memcpy(tail + len - 5, foot, sizeof foot);
}

static void check(const uint8_t *tail, size_t len, uint64_t object_bytes)
{
	struct seek_table t = {.count = 0};
	struct err err = ERR_INIT;
	size_t said = 0;
	int foot = len < 9 ? -1 : seek_table_foot(tail + len - 9, object_bytes, &said, &err);
	if (seek_table_parse(tail, len, object_bytes, &t, &err) < 0) {
		if (err.msg[0] == '\0' || t.count != 0)
			abort();
		return;
	}
	struct buf again;
	char sha256[SHA256_HEX_BYTES];
	buf_init(&again, len);
	hex_encode(tail + 16, SHA256_BYTES, sha256);
	if (foot < 0 || said != len || seek_table_write(&t, sha256, &again, &err) < 0 ||
	    again.len != len || memcmp(again.data, tail, len - 9 - 4) != 0)
		abort();
	uint64_t raw = seek_table_raw_bytes(&t);
	for (uint64_t at = 0; raw > 0 && at < raw; at += raw / 7 + 1) {
		const struct seek_frame *f = &t.frames[seek_table_find(&t, at)];
		if (at < f->raw_offset || at >= f->raw_offset + f->raw_bytes)
			abort();
	}
	buf_done(&again);
	seek_table_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	check(data, size, (uint64_t)size + data[0]);
	/* The same bytes as the entries of a table that is otherwise right. */
	size_t count = size / ENTRY + 2, len = FIXED + count * ENTRY;
	uint8_t *tail = calloc(1, len);
	if (tail == NULL)
		return 0;
	memcpy(tail + SEEK_TABLE_SEAL_BYTES + 8, data, size);
	mend(tail, len);
	uint64_t object_bytes = len;
	for (size_t i = 0; i + 1 < count; i++)
		object_bytes += seek_table_le32(tail + SEEK_TABLE_SEAL_BYTES + 8 + i * ENTRY);
	check(tail, len, object_bytes);
	free(tail);
	return 0;
}

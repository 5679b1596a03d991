#include "storage/archive/seek_table.h"

#include <stdlib.h>
#include <string.h>

#define SKIPPABLE_MAGIC     0x184D2A5EU
#define SEEKABLE_MAGIC      0x8F92EAB1U
#define CHECKSUM_FLAG       0x80
#define UNUSED_BITS         0x03 /* readers must not look at them */
#define MAX_FRAMES          0x8000000U
#define SMALLEST_FRAME      13          /* magic 4, header 2, one block of 3 at least, checksum 4 */
#define NO_CONTENT_CHECKSUM 0x51D8E999U /* of nothing: the low half of XXH64("") */
enum { FIRST_ROOM = 64, HEAD_BYTES = 8, ENTRY_BYTES = 12 };
static const uint8_t seal_head[16] = {0x5D, 0x2A, 0x4D, 0x18, 40,  0,   0,   0,
				      'l',  'i',  'f',  'e',  'b', 'o', 'a', 't'};

void seek_table_done(struct seek_table *t)
{
	free(t->frames);
	*t = (struct seek_table){.count = 0};
}

int seek_table_add(struct seek_table *t, uint32_t stored_bytes, uint32_t raw_bytes,
		   uint32_t checksum, struct err *err)
{
	if (t->count + 1 >= MAX_FRAMES)
		return err_set(err, ERR_LIMIT, "more than %u frames", MAX_FRAMES);
	if (t->count == t->room) {
		size_t room = t->room == 0 ? FIRST_ROOM : t->room * 2;
		struct seek_frame *frames = reallocarray(t->frames, room, sizeof *frames);
		if (frames == NULL)
			return err_nomem(err, "the list of frames");
		t->frames = frames;
		t->room = room;
	}
	t->frames[t->count] = (struct seek_frame){
	    .offset = seek_table_stored_bytes(t),
	    .raw_offset = seek_table_raw_bytes(t),
	    .stored_bytes = stored_bytes,
	    .raw_bytes = raw_bytes,
	    .checksum = checksum,
	};
	t->count++;
	return 0;
}

uint64_t seek_table_stored_bytes(const struct seek_table *t)
{
	const struct seek_frame *last = t->count > 0 ? &t->frames[t->count - 1] : NULL;
	return last == NULL ? 0 : last->offset + last->stored_bytes;
}

uint64_t seek_table_raw_bytes(const struct seek_table *t)
{
	const struct seek_frame *last = t->count > 0 ? &t->frames[t->count - 1] : NULL;
	return last == NULL ? 0 : last->raw_offset + last->raw_bytes;
}

size_t seek_table_find(const struct seek_table *t, uint64_t raw_offset)
{
	size_t low = 0, high = t->count - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct seek_frame *f = &t->frames[middle];
		if (f->raw_offset + f->raw_bytes <= raw_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t seek_table_le32(const uint8_t p[4])
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int put_le32(struct buf *out, uint32_t v, struct err *err)
{
	const uint8_t p[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			      (uint8_t)(v >> 24)};
	return buf_append(out, p, sizeof p, err);
}

static int put_entry(struct buf *out, uint32_t stored, uint32_t raw, uint32_t checksum,
		     struct err *err)
{
	if (put_le32(out, stored, err) < 0 || put_le32(out, raw, err) < 0)
		return -1;
	return put_le32(out, checksum, err);
}

static uint8_t hex_value(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static int put_seal(struct buf *out, const char sha256[SHA256_HEX_BYTES], struct err *err)
{
	uint8_t raw[SHA256_BYTES];
	for (size_t i = 0; i < SHA256_BYTES; i++)
		raw[i] = (uint8_t)(hex_value(sha256[2 * i]) << 4 | hex_value(sha256[2 * i + 1]));
	if (buf_append(out, seal_head, sizeof seal_head, err) < 0)
		return -1;
	return buf_append(out, raw, sizeof raw, err);
}

int seek_table_write(const struct seek_table *t, const char sha256[SHA256_HEX_BYTES],
		     struct buf *out, struct err *err)
{
	const uint8_t descriptor = CHECKSUM_FLAG;
	uint32_t count = (uint32_t)t->count + 1;
	if (put_seal(out, sha256, err) < 0 || put_le32(out, SKIPPABLE_MAGIC, err) < 0 ||
	    put_le32(out, count * ENTRY_BYTES + SEEK_TABLE_FOOT_BYTES, err) < 0)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const struct seek_frame *f = &t->frames[i];
		if (put_entry(out, f->stored_bytes, f->raw_bytes, f->checksum, err) < 0)
			return -1;
	}
	if (put_entry(out, SEEK_TABLE_SEAL_BYTES, 0, NO_CONTENT_CHECKSUM, err) < 0 ||
	    put_le32(out, count, err) < 0 || buf_append(out, &descriptor, 1, err) < 0)
		return -1;
	return put_le32(out, SEEKABLE_MAGIC, err);
}

int seek_table_foot(const uint8_t foot[SEEK_TABLE_FOOT_BYTES], uint64_t object_bytes,
		    size_t *ret_bytes, struct err *err)
{
	uint32_t count = seek_table_le32(foot);
	if (seek_table_le32(foot + 5) != SEEKABLE_MAGIC)
		return err_set(err, ERR_CORRUPT, "there is no seek table at the end");
	if ((foot[4] & ~UNUSED_BITS) != CHECKSUM_FLAG)
		return err_set(err, ERR_CORRUPT, "the seek table is of another kind (0x%02x)",
			       foot[4]);
	uint64_t bytes = SEEK_TABLE_SEAL_BYTES + HEAD_BYTES + (uint64_t)count * ENTRY_BYTES +
			 SEEK_TABLE_FOOT_BYTES;
	if (count < 2 || count > MAX_FRAMES ||
	    bytes + (uint64_t)(count - 1) * SMALLEST_FRAME > object_bytes)
		return err_set(err, ERR_CORRUPT, "the seek table claims %u frames", count);
	*ret_bytes = (size_t)bytes;
	return 0;
}

/* All entries but the last, which is the seal's. */
static int parse_entries(const uint8_t *p, const uint8_t *end, struct seek_table *t,
			 struct err *err)
{
	for (; p + ENTRY_BYTES < end; p += ENTRY_BYTES)
		if (seek_table_add(t, seek_table_le32(p), seek_table_le32(p + 4),
				   seek_table_le32(p + 8), err) < 0)
			return -1;
	if (seek_table_le32(p) != SEEK_TABLE_SEAL_BYTES || seek_table_le32(p + 4) != 0)
		return err_set(err, ERR_CORRUPT, "the seek table does not end with the seal");
	return 0;
}

int seek_table_parse(const uint8_t *data, size_t len, uint64_t object_bytes, struct seek_table *ret,
		     struct err *err)
{
	size_t expected = 0;
	if (len < SEEK_TABLE_SEAL_BYTES + HEAD_BYTES + SEEK_TABLE_FOOT_BYTES)
		return err_set(err, ERR_CORRUPT, "the seek table is cut");
	if (seek_table_foot(data + len - SEEK_TABLE_FOOT_BYTES, object_bytes, &expected, err) < 0)
		return -1;
	const uint8_t *head = data + SEEK_TABLE_SEAL_BYTES;
	if (expected != len || seek_table_le32(head) != SKIPPABLE_MAGIC ||
	    seek_table_le32(head + 4) != len - SEEK_TABLE_SEAL_BYTES - HEAD_BYTES)
		return err_set(err, ERR_CORRUPT, "the head of the seek table is damaged");
	if (memcmp(data, seal_head, sizeof seal_head) != 0)
		return err_set(err, ERR_CORRUPT, "there is no seal before the seek table");
	CLEANUP(seek_table_done) struct seek_table t = {.count = 0};
	if (parse_entries(head + HEAD_BYTES, data + len - SEEK_TABLE_FOOT_BYTES, &t, err) < 0)
		return -1;
	if (seek_table_stored_bytes(&t) + len != object_bytes)
		return err_set(err, ERR_CORRUPT,
			       "the frames of the seek table have %llu bytes, the archive %llu",
			       (unsigned long long)seek_table_stored_bytes(&t),
			       (unsigned long long)(object_bytes - len));
	*ret = t;
	t = (struct seek_table){.count = 0};
	return 0;
}

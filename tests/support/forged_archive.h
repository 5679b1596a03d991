/*
 * An archive taken apart and put together again, so that tests can make its manifest or its seek
 * table lie while every checksum holds.
 *
 *  1. forged_open(&f, memory, name)      takes it apart
 *  2. f.manifest, f.table                change them
 *  3. forged_put(&f)                     the object is replaced; the table's last entry follows the
 *                                        new manifest frame, all others stay as they are in f.table
 */
#ifndef LIFEBOAT_TESTS_FORGED_ARCHIVE_H
#define LIFEBOAT_TESTS_FORGED_ARCHIVE_H

#include "storage/archive/manifest.h"
#include "storage/archive/seek_table.h"
#include "tests/support/small_archive.h"

struct forged {
	struct memory_store *memory;
	char name[201];
	struct seek_table table;
	json_t *manifest;
	uint8_t *frames; /* all stored bytes before the manifest's frame */
	size_t frames_len;
};

static inline void forged_open(struct forged *f, struct memory_store *memory, const char *name)
{
	struct err err = ERR_INIT;
	size_t len, table_len = 0;
	const uint8_t *data = memory_store_bytes(memory, name, &len);
	*f = (struct forged){.memory = memory};
	strncpy(f->name, name, sizeof f->name - 1);
	must_be_ok(seek_table_foot(data + len - 9, len, &table_len, &err), err);
	must_be_ok(seek_table_parse(data + len - table_len, table_len, len, &f->table, &err), err);
	const struct seek_frame *last = &f->table.frames[f->table.count - 1];
	uint8_t *raw = malloc(last->raw_bytes);
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	must_be_ok(
	    frame_unpack(ctx, data + last->offset, last->stored_bytes, raw, last->raw_bytes, &err),
	    err);
	const char *text = NULL;
	size_t text_len = 0;
	must_be_ok(manifest_find(raw, last->raw_bytes, &text, &text_len, &err), err);
	must_be_ok(manifest_parse(text, text_len, &f->manifest, &err), err);
	f->frames_len = (size_t)last->offset;
	f->frames = malloc(f->frames_len + 1);
	memcpy(f->frames, data, f->frames_len);
	ZSTD_freeDCtx(ctx);
	free(raw);
}

/* One more zstd frame of `raw` at the end of `out`. */
static inline void forged_pack(struct buf *out, const void *raw, size_t len, size_t *ret_stored)
{
	struct err err = ERR_INIT;
	ZSTD_CCtx *ctx = frame_packer(3);
	size_t cap = ZSTD_compressBound(len), n = 0;
	must_be_ok(buf_reserve(out, cap, &err), err);
	must_be_ok(frame_pack(ctx, raw, len, out->data + out->len, cap, &n, &err), err);
	out->len += n;
	*ret_stored = n;
	ZSTD_freeCCtx(ctx);
}

/* Frames, a last frame that holds `raw`, the seek table. */
static inline void forged_put_raw(struct forged *f, const void *raw, size_t len)
{
	struct err err = ERR_INIT;
	struct buf out;
	size_t stored;
	buf_init(&out, (size_t)1 << 30);
	must_be_ok(buf_append(&out, f->frames, f->frames_len, &err), err);
	forged_pack(&out, raw, len, &stored);
	struct seek_frame *last = &f->table.frames[f->table.count - 1];
	last->stored_bytes = (uint32_t)stored;
	last->raw_bytes = (uint32_t)len;
	last->checksum = frame_checksum(out.data, out.len);
	char sha256[SHA256_HEX_BYTES];
	must_be_ok(sha256_of(out.data, out.len, sha256, &err), err);
	must_be_ok(seek_table_write(&f->table, sha256, &out, &err), err);
	memory_store_set(f->memory, f->name, out.data, out.len);
	buf_done(&out);
}

/* Frame `number` now holds `raw`; the offsets behind it follow, in the manifest too. */
static inline void forged_replace(struct forged *f, size_t number, const void *raw, size_t len)
{
	struct err err = ERR_INIT;
	struct buf frames;
	struct seek_table table = {.count = 0};
	json_t *rows = json_object_get(f->manifest, "frames");
	json_t *members = json_object_get(f->manifest, "members"), *member;
	uint64_t begin = f->table.frames[number].raw_offset;
	json_int_t longer = (json_int_t)len - f->table.frames[number].raw_bytes;
	size_t i;
	buf_init(&frames, (size_t)1 << 30);
	for (i = 0; i < f->table.count; i++) {
		struct seek_frame g = f->table.frames[i];
		size_t stored = g.stored_bytes;
		uint64_t offset = frames.len;
		if (i == number) {
			forged_pack(&frames, raw, len, &stored);
			g.raw_bytes = (uint32_t)len;
			g.checksum = frame_checksum(frames.data, frames.len);
		} else if (i + 1 < f->table.count) {
			must_be_ok(buf_append(&frames, f->frames + g.offset, stored, &err), err);
		}
		must_be_ok(seek_table_add(&table, (uint32_t)stored, g.raw_bytes, g.checksum, &err),
			   err);
		if (i + 1 == f->table.count)
			break;
		json_array_set_new(rows, i,
				   json_pack("[III]", (json_int_t)offset, (json_int_t)stored,
					     (json_int_t)g.raw_bytes));
	}
	json_array_foreach(members, i, member)
	{
		json_int_t at = json_integer_value(json_array_get(member, 4));
		if ((uint64_t)at > begin)
			json_array_set_new(member, 4, json_integer(at + longer));
	}
	free(f->frames);
	f->frames = frames.data;
	f->frames_len = frames.len;
	seek_table_done(&f->table);
	f->table = table;
}

/* What frame `number` holds; free() it. */
static inline uint8_t *forged_raw(const struct forged *f, size_t number, size_t *ret_len)
{
	struct err err = ERR_INIT;
	const struct seek_frame *g = &f->table.frames[number];
	uint8_t *raw = malloc((size_t)g->raw_bytes + 65536);
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	must_be_ok(
	    frame_unpack(ctx, f->frames + g->offset, g->stored_bytes, raw, g->raw_bytes, &err),
	    err);
	ZSTD_freeDCtx(ctx);
	*ret_len = g->raw_bytes;
	return raw;
}

static inline void forged_done(struct forged *f)
{
	seek_table_done(&f->table);
	json_decref(f->manifest);
	free(f->frames);
}

/* Puts it back and frees. */
static inline void forged_put(struct forged *f)
{
	struct err err = ERR_INIT;
	struct buf raw;
	buf_init(&raw, MANIFEST_FRAME_MAX);
	must_be_ok(manifest_frame(f->manifest, 0, &raw, &err), err);
	forged_put_raw(f, raw.data, raw.len);
	buf_done(&raw);
	forged_done(f);
}

#endif

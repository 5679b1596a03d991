/*
 * One zstd frame (RFC 8878) as this format uses it: content size and content checksum present, no
 * dictionary, unused bits zero.
 */
#ifndef LIFEBOAT_ARCHIVE_FRAME_H
#define LIFEBOAT_ARCHIVE_FRAME_H

#include <stdint.h>
#include <zstd.h>
#include "base/buf.h"

/* Parts are at most 64 MiB, and a tar header comes before them. */
#define FRAME_PART_MAX ((size_t)64 << 20)
#define FRAME_HEAD_MAX ((size_t)8 << 10)
#define FRAME_RAW_MAX  (FRAME_PART_MAX + FRAME_HEAD_MAX + 512)

/* A context for frame_pack; NULL when memory is short. */
ZSTD_CCtx *frame_packer(int level);
/* `out_cap` must be at least ZSTD_compressBound(len). */
int frame_pack(ZSTD_CCtx *ctx, const uint8_t *in, size_t len, uint8_t *out, size_t out_cap,
	       size_t *ret_stored, struct err *err) MUST_USE;

/* How the frame at `in` is shaped, from what is there of it. *ret_stored is 0 when `len` bytes are
 * not all of it yet. ERR_CORRUPT when it is no frame of ours, or unpacks to more than `raw_max`. */
int frame_shape(const uint8_t *in, size_t len, uint64_t raw_max, size_t *ret_stored,
		uint64_t *ret_raw, struct err *err) MUST_USE;
/* Exactly one frame in exactly `len` bytes, which unpacks to exactly `raw_bytes`. */
int frame_unpack(ZSTD_DCtx *ctx, const uint8_t *in, size_t len, uint8_t *out, size_t raw_bytes,
		 struct err *err) MUST_USE;
/* The checksum that a frame of `len` bytes ends with. */
uint32_t frame_checksum(const uint8_t *in, size_t len);

#endif

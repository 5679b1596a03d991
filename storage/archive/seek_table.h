/*
 * The frames of an archive, in order, and what stands behind them: the seal and the seek table.
 *
 * The seal is a skippable frame (RFC 8878, 3.1.2) with the SHA-256 of all bytes before it. zstd's
 * checksums cover what is unpacked; the seal covers what is stored, so that an archive without its
 * sidecar can still be told to be as it was written.
 *
 * The seek table is a skippable frame in zstd's published seekable format 0.1.0
 * (contrib/seekable_format in zstd's sources). It lists all frames, the seal as one of no content.
 * Every entry carries the checksum of its frame's content. It costs nothing (a frame ends with the
 * same four bytes: the low half of XXH64), readers written by others check it, and it ties each
 * entry to the frame that it describes.
 */
#ifndef LIFEBOAT_ARCHIVE_SEEK_TABLE_H
#define LIFEBOAT_ARCHIVE_SEEK_TABLE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/digest.h"

struct seek_frame {
	uint64_t offset;     /* of its first byte in the archive */
	uint64_t raw_offset; /* of its content in the tar file */
	uint32_t stored_bytes, raw_bytes;
	uint32_t checksum;
};

struct seek_table {
	struct seek_frame *frames;
	size_t count, room;
};

enum {
	SEEK_TABLE_SEAL_BYTES = 48, /* magic, length, "lifeboat", SHA-256 */
	SEEK_TABLE_FOOT_BYTES =
	    9 /* Number_Of_Frames, Seek_Table_Descriptor, Seekable_Magic_Number */
};

void seek_table_done(struct seek_table *t);
/* The next frame; offsets follow from the ones before it. */
int seek_table_add(struct seek_table *t, uint32_t stored_bytes, uint32_t raw_bytes,
		   uint32_t checksum, struct err *err) MUST_USE;
/* Bytes of all frames in it, stored and unpacked. */
uint64_t seek_table_stored_bytes(const struct seek_table *t);
uint64_t seek_table_raw_bytes(const struct seek_table *t);
/* The number of the frame whose content has the byte `raw_offset` (which must be in one). */
size_t seek_table_find(const struct seek_table *t, uint64_t raw_offset);
/* Appends the seal with that hash, and the seek table of `t` and the seal. */
int seek_table_write(const struct seek_table *t, const char sha256[SHA256_HEX_BYTES],
		     struct buf *out, struct err *err) MUST_USE;

/* From the last 9 bytes of an object: how long seal and seek table are. ERR_CORRUPT. */
int seek_table_foot(const uint8_t foot[SEEK_TABLE_FOOT_BYTES], uint64_t object_bytes,
		    size_t *ret_bytes, struct err *err) MUST_USE;
/* Seal and seek table. The frames must fill the object up to the seal, byte for byte. What the seal
 * says is for the reader of the whole archive to compare: write both again. */
int seek_table_parse(const uint8_t *data, size_t len, uint64_t object_bytes, struct seek_table *ret,
		     struct err *err) MUST_USE;

/* Little-endian numbers, as zstd writes them. */
uint32_t seek_table_le32(const uint8_t p[4]);

#endif

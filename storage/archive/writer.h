/*
 * Writes an archive: a .tar.zst of independent frames, its manifest, its seek table.
 * docs/archive-format.md describes what comes out, byte by byte.
 *
 *  1. writer_open(sink, &opts, &w, err)             the sink is the object in the store
 *  2. writer_file(w, …, "RESTORE.md", …)            the first member
 *  3. writer_stream(w, "postgres/db/hdms/dump") gives a sink for bytes of unknown length: cut into
 *     parts, each a tar member and a zstd frame; close it to end the stream, free it to abort all
 *     writer_member(w, entry, source)               a file of known size with its attributes
 *  4. writer_close(w, manifest, &totals, err)       adds the index to the manifest, writes it as
 * the last member, the tar end and the seek table, and closes the sink: the archive is published
 *     writer_free(w) without close                  nothing was ever there
 *
 * Frames are compressed by worker threads and written in order by one more; the calling thread only
 * waits when all slots are full. One stream may be open at a time. Memory: 2 x threads + 3 buffers
 * of part_bytes, and a zstd context per thread.
 */
#ifndef LIFEBOAT_ARCHIVE_WRITER_H
#define LIFEBOAT_ARCHIVE_WRITER_H

#include <archive_entry.h>
#include "base/json.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

struct writer_opts {
	int level;         /* zstd level, 1 to 19 */
	size_t part_bytes; /* 64 KiB to 64 MiB; 0: 8 MiB */
	unsigned threads;  /* 0: one per processor, at most 4 */
};

struct writer_totals {
	uint64_t stored_bytes; /* size of the archive */
	uint64_t raw_bytes;    /* of all streams and members */
	char sha256[65];       /* of the archive as stored */
};

struct writer;
int writer_open(struct sink *out, const struct writer_opts *opts, struct writer **ret,
		struct err *err) MUST_USE; /* takes out */
int writer_stream(struct writer *w, const char *name, struct sink **ret, struct err *err) MUST_USE;
/* Content exactly as long as the entry says; `content` may be NULL where there is none. Borrows the
 * entry, takes the source. Small members share a frame. A trailing '/' and a "." inside the name
 * are dropped; a hard link names an earlier member. */
int writer_member(struct writer *w, struct archive_entry *entry, struct source *content,
		  struct err *err) MUST_USE;
/* A regular file from memory, owned by root, `mode`, with the time now. */
int writer_file(struct writer *w, const char *name, unsigned mode, const void *data, size_t len,
		struct err *err) MUST_USE;
/* Puts "streams", "members" and "frames" into `manifest` (borrowed), which must already have the
 * fields that manifest_check asks for. */
int writer_close(struct writer *w, json_t *manifest, struct writer_totals *ret, struct err *err)
    MUST_USE;
void writer_free(struct writer *w);
DEFINE_CLEANUP(struct writer, writer_free)

#endif

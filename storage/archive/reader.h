/*
 * Reads an archive out of a store, trusting none of its bytes.
 *
 *  1. reader_open(store, "hdms-….tar.zst", &r, err)   two range reads at the end give the seek
 * table and the manifest. If that tail is damaged, one sequential pass rebuilds them; if the
 * manifest itself is gone, ERR_CORRUPT says how far the archive goes.
 *  2. reader_manifest(r)                              validated: see manifest.h
 *  3. reader_stream(r, name) gives a source: only that stream's frames are fetched, they are
 *     decompressed by threads, and the end is vouched for by length and SHA-256
 *     reader_range(r, name, offset, len)              a part of a stream, by its frames alone
 *     reader_members(r, prefix, fn)                   files of known size with their attributes
 *  4. reader_verify(r, …)                             every byte and every hash
 *  5. reader_free
 *
 * Names, sizes and counts are bounded; a frame that claims more than its bound, a name with ".." or
 * a leading "/", a manifest that disagrees with the frames are all ERR_CORRUPT (or ERR_LIMIT).
 * Where seek table and manifest disagree, the sequential pass finds out which of them lies.
 */
#ifndef LIFEBOAT_ARCHIVE_READER_H
#define LIFEBOAT_ARCHIVE_READER_H

#include <archive_entry.h>
#include "base/json.h"
#include "base/flow/source.h"
#include "storage/store/store.h"

struct reader;
int reader_open(struct store *s, const char *object, struct reader **ret, struct err *err) MUST_USE;
void reader_free(struct reader *r);
DEFINE_CLEANUP(struct reader, reader_free)

/* Borrowed. */
const json_t *reader_manifest(const struct reader *r);
/* True when the tail was damaged and the index was rebuilt from a full pass. */
bool reader_was_rebuilt(const struct reader *r);
/* Bytes fetched from the store so far, of how many the object has. */
uint64_t reader_fetched_bytes(const struct reader *r);
uint64_t reader_object_bytes(const struct reader *r);

/* ERR_ABSENT when the archive has no such stream. The reader must outlive the source. */
int reader_stream(struct reader *r, const char *name, struct source **ret, struct err *err)
    MUST_USE;
/* Bytes [offset, offset + len) of a stream; ERR_CORRUPT when it has not so many. Only the frames
 * that hold them are fetched. Each is checked against its checksum, the seek table's and its tar
 * header, but the SHA-256 is that of the whole stream and can't be: whoever reads a part must have
 * a proof of his own that it is the right one. */
int reader_range(struct reader *r, const char *name, uint64_t offset, uint64_t len,
		 struct source **ret, struct err *err) MUST_USE;
/* Calls fn for each ordinary member whose name begins with `prefix`, in order, fetching only the
 * frames that hold them; "a/" also finds the folder "a". Folders' names end in '/'. `content` is
 * never NULL and valid during the call only; what fn leaves unread is skipped, what it reads to the
 * end is vouched for by length and SHA-256. Hard links lead to members that came before. A non-zero
 * return of fn ends with that error. */
int reader_members(struct reader *r, const char *prefix,
		   int (*fn)(void *ctx, struct archive_entry *entry, struct source *content,
			     struct err *err),
		   void *ctx, struct err *err) MUST_USE;

struct reader_report {
	uint64_t stored_bytes, raw_bytes;
	uint64_t frames, streams, members;
};

/* One stream or member that is not as it was written. */
struct reader_damage {
	const char *name;
	bool is_stream;
	size_t bad_parts, parts; /* of a stream; bad_parts 0: each is whole, and their sum is not */
	const char *why;         /* of the first */
};

/* What a check is to tell on its way; all may be NULL. */
struct reader_watch {
	void (*progress)(void *ctx, uint64_t done, uint64_t of);
	/* Called for each that is damaged, as soon as that is sure. */
	void (*damaged)(void *ctx, const struct reader_damage *d);
	void *ctx;
};
/* Reads back everything: the object's SHA-256 against `expected_sha256` (NULL: not checked), every
 * frame's checksum, every member's header against its name and size, every stream's length and
 * SHA-256, every member's SHA-256, the seek table and the index against what is there.
 * Damage does not end it: all that follows is still checked, and what is not told as damaged is
 * whole. The error is the first damage, then. */
int reader_verify(struct reader *r, const char *expected_sha256, const struct reader_watch *watch,
		  struct reader_report *ret, struct err *err) MUST_USE;
/* A light check: frames chosen by chance, about `share_ppm` millionths of all stored bytes but at
 * least one of each stream and one of the members; the same seed chooses the same ones. Of each
 * frame the checksum is checked, and the tar header of a part. What it finds sound is not said to
 * be whole. The report counts what was looked at. Damage as in reader_verify, once for each frame.
 */
int reader_sample(struct reader *r, uint32_t share_ppm, uint64_t seed,
		  const struct reader_watch *watch, struct reader_report *ret, struct err *err)
    MUST_USE;

#endif

/* One pass over all frames of an archive: what its files share. */
#ifndef LIFEBOAT_ARCHIVE_READER_VERIFY_H
#define LIFEBOAT_ARCHIVE_READER_VERIFY_H

#include "storage/archive/reader.h"
#include "storage/archive/reader_parts.h"

struct verify_stream;

struct verify {
	struct reader *r;
	const struct reader_watch *watch;
	uint64_t fetched_before, wanted_bytes; /* for progress */
	struct unpack_pipe *pipe;
	struct unpacked now;   /* the frame that comes next */
	bool ended;            /* there is none */
	struct sha256 *object; /* of all stored bytes, in order */
	struct verify_stream *streams;
	size_t next_member;
	struct err first; /* damage */
};

/* On to the next frame. */
int verify_next(struct verify *v, struct err *err) MUST_USE;
/* Damage is remembered and told (unless `d` is NULL); an error of another kind ends the pass. */
int verify_note(struct verify *v, const struct reader_damage *d, struct err *why, struct err *err)
    MUST_USE;
int verify_hash(struct sha256 *sha, const char *expected, struct err *err) MUST_USE;
/* From a frame of members to behind the last one of that run. */
int verify_members(struct verify *v, struct err *err) MUST_USE;

#endif

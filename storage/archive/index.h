/*
 * The index: which bytes of the archive are which stream, part and member. The writer fills one,
 * puts it into the manifest as "streams", "members" and "frames", and the reader takes it from
 * there. docs/archive-format.md has the schema.
 *
 *  1. index_add_stream, index_add_part, index_add_member       in the order of the archive
 *  2. index_check(ix, frames, err)                             is it true to itself and the frames?
 *  3. index_put(ix, frames, manifest, err)                     and index_parse, which checks too
 */
#ifndef LIFEBOAT_ARCHIVE_INDEX_H
#define LIFEBOAT_ARCHIVE_INDEX_H

#include "base/digest.h"
#include "base/json.h"
#include "storage/archive/seek_table.h"

struct index_stream {
	char *name;
	uint64_t bytes;
	size_t parts;
	char sha256[SHA256_HEX_BYTES];
};

struct index_member {
	char *name;
	uint64_t bytes;
	uint64_t at, end;              /* from its tar header to what comes next, in the tar file */
	char type;                     /* as tar_member_type says */
	char sha256[SHA256_HEX_BYTES]; /* of files; empty for others */
};

/* What a frame holds. */
struct index_frame {
	uint32_t stream; /* number of the stream whose part it is, plus one; 0: members */
	uint32_t bytes;  /* of the part */
	uint32_t number; /* of the part in its stream; set by index_check */
};

struct index_name {
	const char *text;                  /* of a stream or member */
	const struct index_member *member; /* NULL: a stream */
};

struct index {
	struct index_stream *streams;
	struct index_member *members;
	struct index_frame *frames; /* all but the manifest's own */
	size_t stream_count, member_count, frame_count;
	size_t stream_room, member_room, frame_room;
	struct index_name *names; /* of all, sorted; made by index_check */
	size_t name_count;
};

void index_done(struct index *ix);
/* Its hash is set later. */
int index_add_stream(struct index *ix, const char *name, size_t *ret_stream, struct err *err)
    MUST_USE;
/* Frame number `frame` is the next part of a stream. */
int index_add_part(struct index *ix, size_t stream, size_t frame, uint32_t bytes, struct err *err)
    MUST_USE;
/* The name is copied; `end` is set by index_check. */
int index_add_member(struct index *ix, const struct index_member *m, struct err *err) MUST_USE;
/* Frames up to `frame_count` exist. */
int index_set_frames(struct index *ix, size_t frame_count, struct err *err) MUST_USE;

/* NULL: no such stream. */
const struct index_stream *index_find_stream(const struct index *ix, const char *name);
/* After index_check. NULL: no such member. */
const struct index_member *index_find_member(const struct index *ix, const char *name);

/* `frames`: those that the index speaks of, then the manifest's. ERR_CORRUPT says what does not
 * hold: a frame too large, a name that escapes or comes twice, parts that don't add up, a member
 * that lies where none can be. */
int index_check(struct index *ix, const struct seek_table *frames, struct err *err) MUST_USE;

int index_put(const struct index *ix, const struct seek_table *frames, json_t *manifest,
	      struct err *err) MUST_USE;
/* Does the manifest list these very frames? ERR_CORRUPT names the first that differs. */
int index_compare_frames(const json_t *manifest, const struct seek_table *frames, struct err *err)
    MUST_USE;
/* index_compare_frames, then everything else. */
int index_parse(const json_t *manifest, const struct seek_table *frames, struct index *ret,
		struct err *err) MUST_USE;

#endif

/* What the files of the reader share: its state, and the pass that rebuilds an index. */
#ifndef LIFEBOAT_ARCHIVE_READER_PARTS_H
#define LIFEBOAT_ARCHIVE_READER_PARTS_H

#include "storage/archive/index.h"
#include "storage/archive/reader.h"
#include "storage/archive/tar_member.h"
#include "storage/archive/unpack_pipe.h"

struct reader {
	struct store *store;
	char *object;
	uint64_t object_bytes;
	_Atomic uint64_t fetched_bytes;
	struct seek_table frames; /* the manifest's is the last */
	json_t *manifest;
	struct index index;
	bool rebuilt;
	struct err damage; /* why it had to be rebuilt */
};

/* Bytes [offset, offset + len) of the object into `out`. */
int reader_fetch(struct reader *r, uint64_t offset, size_t len, uint8_t *out, struct err *err)
    MUST_USE;
/* Fetches and unpacks the last frame. With `digest`, its stored bytes go there too, and the seek
 * table must have its checksum. *ret_raw: free() it. */
int reader_last_frame(struct reader *r, const struct seek_table *frames, struct sha256 *digest,
		      uint8_t **ret_raw, size_t *ret_len, struct err *err) MUST_USE;
/* A tar header must be that of the listed member. */
int reader_check_entry(const struct reader *r, const struct index_member *m,
		       struct archive_entry *entry, struct err *err) MUST_USE;
/* A part must be what the index says, header and all. What is found points into `u`. */
int reader_open_part(const struct reader *r, const struct unpacked *u, struct tar_found *ret,
		     struct err *err) MUST_USE;
/* One pass over the whole object: its frames, and the manifest that the last of them holds. Fails
 * when there is no manifest, and says how far the archive goes. */
int reader_rebuild(struct reader *r, struct seek_table *ret_frames, json_t **ret_manifest,
		   struct err *err) MUST_USE;

#endif

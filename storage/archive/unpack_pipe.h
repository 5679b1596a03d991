/*
 * Frames of a stored archive, unpacked by threads, handed out in order.
 *
 * The threads take turns at reading from the store, one run of frames with one range read, and
 * unpack side by side. What is read ahead is bounded by the number of slots.
 *
 *  1. unpack_pipe_open(&opts, &pipe, err)
 *  2. unpack_pipe_next                     the next frame, until there is none
 *  3. unpack_pipe_free                     at any time
 */
#ifndef LIFEBOAT_ARCHIVE_UNPACK_PIPE_H
#define LIFEBOAT_ARCHIVE_UNPACK_PIPE_H

#include <stdatomic.h>
#include "base/digest.h"
#include "storage/archive/seek_table.h"
#include "storage/store.h"

/* Frames [first, first + count). */
struct unpack_span {
	size_t first, count;
};

struct unpack_pipe_opts {
	struct store *store;
	const char *object;
	const struct seek_table *frames; /* borrowed for as long as the pipe lives */
	const struct unpack_span *spans; /* in order; copied */
	size_t span_count;
	unsigned threads;                /* 0: one per processor, at least 2, at most 4 */
	struct sha256 *digest;           /* gets every stored byte; NULL: none */
	_Atomic uint64_t *fetched_bytes; /* counts them */
	bool check_table; /* the checksums in the seek table are those of the frames */
};

struct unpacked {
	const uint8_t *data; /* until the next call; NULL at the end */
	size_t len;
	size_t frame;
};

struct unpack_pipe;
int unpack_pipe_open(const struct unpack_pipe_opts *opts, struct unpack_pipe **ret, struct err *err)
    MUST_USE;
/* Notices cancel_check. Errors come in order too: behind the frames that were still good. */
int unpack_pipe_next(struct unpack_pipe *p, struct unpacked *ret, struct err *err) MUST_USE;
void unpack_pipe_free(struct unpack_pipe *p);
DEFINE_CLEANUP(struct unpack_pipe, unpack_pipe_free)

#endif

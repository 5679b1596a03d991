/*
 * Frames of a stored archive, fetched and unpacked by threads, handed out in order.
 *
 * Neighbouring frames are fetched together, UNPACK_RUN_BYTES of them with one range read (a larger
 * frame alone), and several such reads are on their way side by side: neither the time that a store
 * takes to answer nor the speed of one connection sets the pace. Other threads unpack what has
 * come.
 *
 *  1. unpack_pipe_open(&opts, &pipe, err)
 *  2. unpack_pipe_next                     the next frame, until there is none
 *  3. unpack_pipe_free                     at any time
 *
 * Memory: one run for each read, and an unpacked frame for each thread and two more. Both numbers
 * are chosen so that this stays below UNPACK_MEMORY_BYTES; frames too large for that are taken one
 * by one, in one run and three buffers.
 */
#ifndef LIFEBOAT_ARCHIVE_UNPACK_PIPE_H
#define LIFEBOAT_ARCHIVE_UNPACK_PIPE_H

#include <stdatomic.h>
#include "base/digest.h"
#include "storage/archive/seek_table.h"
#include "storage/store/store.h"

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
	unsigned threads;      /* that unpack; 0: one per processor, at least 2, at most 4 */
	unsigned reads;        /* side by side; 0: 4 of a store on another machine, else 2 */
	struct sha256 *digest; /* gets every stored byte; NULL: none */
	_Atomic uint64_t *fetched_bytes; /* counts them */
	bool check_table; /* the checksums in the seek table are those of the frames */
	bool past_damage; /* a damaged frame is handed out as such, and what follows it too */
};

struct unpacked {
	const uint8_t *data; /* until the next call; NULL at the end and of a damaged frame */
	size_t len;
	size_t frame;
	const struct err *damage; /* until the next call; NULL: it is whole */
};

#define UNPACK_RUN_BYTES    ((uint64_t)8 << 20)
#define UNPACK_MEMORY_BYTES ((uint64_t)80 << 20)

struct unpack_pipe;
int unpack_pipe_open(const struct unpack_pipe_opts *opts, struct unpack_pipe **ret, struct err *err)
    MUST_USE;
/* Notices cancel_check. Errors come in order too: behind the frames that were still good. */
int unpack_pipe_next(struct unpack_pipe *p, struct unpacked *ret, struct err *err) MUST_USE;
void unpack_pipe_free(struct unpack_pipe *p);
DEFINE_CLEANUP(struct unpack_pipe, unpack_pipe_free)

#endif

/*
 * The part pipeline: frames are compressed by worker threads and written in order by one more.
 *
 *  1. part_pipe_open(out, &opts, &pipe, err)
 *  2. part_pipe_buffer gives memory to fill, part_pipe_submit makes it the next frame; the first
 *     waits while all slots are in use, so a slow sink slows the producer down
 *  3. part_pipe_drain        all frames are out, the threads have ended
 *     part_pipe_frame and part_pipe_bytes write what comes behind them
 *  4. part_pipe_close        closes the sink
 *     part_pipe_free         without close: the sink is freed unclosed, at any time
 *
 * All calls come from one thread. Its waits notice cancel_check; the threads never look at it. What
 * fails in a thread is returned by the next call, and by every one after it.
 */
#ifndef LIFEBOAT_ARCHIVE_PART_PIPE_H
#define LIFEBOAT_ARCHIVE_PART_PIPE_H

#include "base/digest.h"
#include "base/flow/sink.h"
#include "storage/archive/seek_table.h"

struct part_pipe_opts {
	int level;
	unsigned threads;
	size_t raw_bytes; /* of a buffer */
};

/* Bytes [from, from + len) of the buffer are a frame; [digest_from, digest_from + digest_len) also
 * go into `digest` (NULL: none), which must live until part_pipe_drain. */
struct part_pipe_job {
	size_t from, len;
	struct sha256 *digest;
	size_t digest_from, digest_len;
};

struct part_pipe;
/* Takes `out`. */
int part_pipe_open(struct sink *out, const struct part_pipe_opts *opts, struct part_pipe **ret,
		   struct err *err) MUST_USE;
/* The same memory until it is submitted. */
int part_pipe_buffer(struct part_pipe *p, uint8_t **ret, struct err *err) MUST_USE;
int part_pipe_submit(struct part_pipe *p, const struct part_pipe_job *job, struct err *err)
    MUST_USE;
int part_pipe_drain(struct part_pipe *p, struct err *err) MUST_USE;
/* SHA-256 of what was written so far. */
int part_pipe_sha256(struct part_pipe *p, char out[SHA256_HEX_BYTES], struct err *err) MUST_USE;
/* Of any size up to UINT32_MAX. */
int part_pipe_frame(struct part_pipe *p, const void *data, size_t len, struct err *err) MUST_USE;
int part_pipe_bytes(struct part_pipe *p, const void *data, size_t len, struct err *err) MUST_USE;
int part_pipe_close(struct part_pipe *p, struct err *err) MUST_USE;
void part_pipe_free(struct part_pipe *p);
DEFINE_CLEANUP(struct part_pipe, part_pipe_free)

/* All frames; complete after part_pipe_drain. */
const struct seek_table *part_pipe_frames(const struct part_pipe *p);
/* So far; at any time. */
uint64_t part_pipe_stored_bytes(struct part_pipe *p);
/* Threads that "0: one per processor, at most 4" means. */
unsigned part_pipe_default_threads(void);

#endif

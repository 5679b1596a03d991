/*
 * A limit on bytes per second that any number of streams share, in both directions together.
 *
 *  1. throttle_new(20 << 20, &t, err)                    20 MiB/s
 *  2. source_throttled(source, t, …), sink_throttled(sink, t, …)     from any thread
 *  3. throttle_free                                      after the last of them
 *
 * What was not used for a while is not saved up beyond THROTTLE_BURST_MS. Waiting ends when the job
 * is cancelled.
 */
#ifndef LIFEBOAT_FLOW_THROTTLE_H
#define LIFEBOAT_FLOW_THROTTLE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { THROTTLE_BURST_MS = 200 };

struct source;
struct sink;
struct throttle;
int throttle_new(uint64_t bytes_s, struct throttle **ret, struct err *err) MUST_USE;
void throttle_free(struct throttle *t);
DEFINE_CLEANUP(struct throttle, throttle_free)

/* Both take `s`, also on failure. `t` is borrowed and must outlive them. */
int source_throttled(struct source *s, struct throttle *t, struct source **ret, struct err *err)
    MUST_USE;
int sink_throttled(struct sink *s, struct throttle *t, struct sink **ret, struct err *err) MUST_USE;

/* The arithmetic behind it, on a clock that is given. */
struct throttle_bucket {
	uint64_t bytes_s;
	int64_t free_ns; /* when all that was taken so far has been paid for */
};
/* Takes `bytes` (at most THROTTLE_BLOCK) at `now_ns` and says how many nanoseconds to wait. */
enum { THROTTLE_BLOCK = 256 << 10 };
int64_t throttle_bucket_take(struct throttle_bucket *b, size_t bytes, int64_t now_ns);
/* How many bytes are moved at once, so that no single wait is long enough for a server to give up.
 */
size_t throttle_block(uint64_t bytes_s);

#endif

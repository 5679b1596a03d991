/*
 * A sink: where bytes go.
 *
 *  1. sink_write                  as often as wanted
 *  2. sink_close                  commits: what was written counts from now on, or it is an error
 *  3. sink_free                   always; without a successful close it aborts, and nothing is left
 *
 * There is no third end. An error is sticky: later writes and close return it again. Constructors
 * that take a sink own it from then on, also when they fail.
 */
#ifndef LIFEBOAT_FLOW_SINK_H
#define LIFEBOAT_FLOW_SINK_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct sink;
struct source;
struct child;
struct sha256;
struct filter;
struct buf;

struct sink_ops {
	int (*write)(void *self, const uint8_t *data, size_t len, struct err *err);
	/* See sink_lend. NULL: it has no memory to lend. */
	int (*lend)(void *self, uint8_t **ret, size_t *ret_cap, struct err *err);
	int (*close)(void *self, struct err *err); /* NULL: nothing to commit */
	void (*free)(void *self);                  /* NULL: self is the caller's */
};

/* Takes `self`, also on failure. */
int sink_new(const struct sink_ops *ops, void *self, struct sink **ret, struct err *err) MUST_USE;

int sink_write(struct sink *s, const void *data, size_t len, struct err *err) MUST_USE;
/* Memory of the sink's own for the bytes that come next, at least one; *ret is NULL when it has
 * none to lend. Writing from its beginning copies nothing. Valid until the next call on the sink.
 */
int sink_lend(struct sink *s, uint8_t **ret, size_t *ret_cap, struct err *err) MUST_USE;
int sink_close(struct sink *s, struct err *err) MUST_USE;
void sink_free(struct sink *s);
DEFINE_CLEANUP(struct sink, sink_free)
uint64_t sink_bytes(const struct sink *s);

/* Into a bounded buffer, which stays the caller's. */
int sink_buf(struct buf *b, struct sink **ret, struct err *err) MUST_USE;
/* Into a digest, which stays the caller's. */
int sink_sha256(struct sha256 *h, struct sink **ret, struct err *err) MUST_USE;
/* Into a child's input (child taken); close waits until it exited 0, at most `close_ms` (negative:
 * no limit). When it stops reading, the error carries its exit status and last words; ERR_CLOSED
 * when it ended well. */
int sink_child(struct child *c, int64_t close_ms, struct sink **ret, struct err *err) MUST_USE;
/* Counts: `seen(ctx, n)` after every write of n bytes. */
int sink_meter(void (*seen)(void *ctx, size_t n), void *ctx, struct sink **ret, struct err *err)
    MUST_USE;
/* What comes out of `f` goes into `s`. Takes both; close ends the filter, then closes s. */
int sink_filtered(struct filter *f, struct sink *s, struct sink **ret, struct err *err) MUST_USE;
/* Both get every byte; close closes `a`, then `b`. Takes both. */
int sink_both(struct sink *a, struct sink *b, struct sink **ret, struct err *err) MUST_USE;
/* Nowhere. */
int sink_null(struct sink **ret, struct err *err) MUST_USE;

/* The driver: moves everything from `from` to `to` in blocks of 256 KiB, to the vouched end, and
 * reads straight into memory that `to` lends. Closes nothing. *ret_bytes may be NULL. */
int flow_copy(struct source *from, struct sink *to, uint64_t *ret_bytes, struct err *err) MUST_USE;

#endif

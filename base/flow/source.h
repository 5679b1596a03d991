/*
 * A source: where bytes come from.
 *
 *  1. source_read until *ret_n is 0         that is the end, and the source vouches for it: all
 * that was promised has come, a child exited 0, a sum agreed
 *  2. source_free                           at any time; before the end it stops the producer
 *
 * "The bytes stopped" without that certainty is an error, never an end. An error is sticky: every
 * later read returns it again. Constructors that take a source own it from then on, also when they
 * fail.
 */
#ifndef LIFEBOAT_FLOW_SOURCE_H
#define LIFEBOAT_FLOW_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct source;
struct sink;
struct child;
struct filter;

/* What a kind of source implements; `self` is its own state. */
struct source_ops {
	/* Up to `cap` bytes (cap > 0). *ret_n == 0 only at the vouched end. */
	int (*read)(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err);
	void (*free)(void *self);
};

/* Takes `self`, also on failure. */
int source_new(const struct source_ops *ops, void *self, struct source **ret, struct err *err)
    MUST_USE;

int source_read(struct source *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
    MUST_USE;
/* Fills `buf` unless the end comes first: *ret_n < cap means end. */
int source_read_full(struct source *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
    MUST_USE;
/* Bytes read so far. */
uint64_t source_bytes(const struct source *s);
void source_free(struct source *s);
DEFINE_CLEANUP(struct source, source_free)

/* The bytes in memory, which must stay valid. */
int source_memory(const void *data, size_t len, struct source **ret, struct err *err) MUST_USE;
/* A file descriptor (taken), from where it stands: `len` bytes exactly, or until its end if `len`
 * is UINT64_MAX. Fewer than promised is ERR_CORRUPT "'name' ended after …", and so is a bad sector
 * (EIO). */
int source_fd(int fd, uint64_t len, const char *name, struct source **ret, struct err *err)
    MUST_USE;
/* A child's output (child taken); the end is vouched for by exit status 0. Without a byte for
 * `idle_ms` (negative: no limit) it is ERR_TIMEOUT. */
int source_child(struct child *c, int64_t idle_ms, struct source **ret, struct err *err) MUST_USE;
/* Every byte also goes into `side`, which is closed at the end: digests, meters, format readers.
 * Takes both. */
int source_tee(struct source *s, struct sink *side, struct source **ret, struct err *err) MUST_USE;
/* What comes out of `f` when fed from `s`. Takes both. */
int source_filtered(struct source *s, struct filter *f, struct source **ret, struct err *err)
    MUST_USE;

#endif

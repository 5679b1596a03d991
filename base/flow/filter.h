/*
 * A filter: one step that turns bytes into other bytes, usable on the way in (source_filtered) and
 * on the way out (sink_filtered). It only transforms; the drivers own the loops, the buffers and
 * the decision that a stream ended too early.
 */
#ifndef LIFEBOAT_FLOW_FILTER_H
#define LIFEBOAT_FLOW_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* After a step, how things stand. */
enum filter_state {
	FILTER_INSIDE,  /* inside a frame: the input may not end here */
	FILTER_BETWEEN, /* at a boundary: the input may end here */
	FILTER_FULL     /* the output space was too small: call again, with or without input */
};

struct filter_ops {
	/* Uses up to in_len bytes, makes up to out_cap bytes. `last`: no input follows what is
	 * given; a step with last and FILTER_BETWEEN has made everything. */
	int (*step)(void *self, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
		    uint8_t *out, size_t out_cap, size_t *ret_made, enum filter_state *ret_state,
		    struct err *err);
	void (*free)(void *self);
};

struct filter;
/* Takes `self`, also on failure. */
int filter_new(const struct filter_ops *ops, void *self, struct filter **ret, struct err *err)
    MUST_USE;
int filter_step(struct filter *f, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
		uint8_t *out, size_t out_cap, size_t *ret_made, enum filter_state *ret_state,
		struct err *err) MUST_USE;
void filter_free(struct filter *f);
DEFINE_CLEANUP(struct filter, filter_free)

/* zstd (RFC 8878) decompression of any number of frames, skippable ones passed over, content
 * checksums enforced, windows up to `window_log_max` (27: 128 MiB, the zstd program's own bound).
 */
int filter_unzstd(int window_log_max, struct filter **ret, struct err *err) MUST_USE;

#endif

/* Sources, sinks and filters that behave as a test wants them to. Failures to make one end the test
 * program. */
#ifndef LIFEBOAT_TESTS_FAKE_FLOW_H
#define LIFEBOAT_TESTS_FAKE_FLOW_H

#include <stdbool.h>
#include "base/flow/filter.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

/* What happened to one of them; the caller's, and it must outlive the thing. */
struct fake_log {
	unsigned calls;  /* reads, writes or steps */
	unsigned closed; /* closes that succeeded */
	unsigned freed;
	size_t bytes;
};

/* `len` bytes 'a', at most `piece` per read; the call number `fail_at` (from 1; 0: none) fails with
 * ERR_IO "the source broke". */
struct source *fake_source(struct fake_log *log, size_t len, size_t piece, unsigned fail_at);

/* The write number `fail_at` fails with ERR_NOSPACE "the sink broke", and so does close if
 * `fail_close`. */
struct sink *fake_sink(struct fake_log *log, unsigned fail_at, bool fail_close);

enum fake_filter_kind {
	FAKE_FILTER_DOUBLE, /* each byte twice; "(" begins a frame and ")" ends it */
	FAKE_FILTER_STUCK,  /* uses nothing, makes nothing */
	FAKE_FILTER_FULL,   /* the same, and says that the output is full */
	FAKE_FILTER_BREAKS, /* ERR_CORRUPT "the filter broke" */
	FAKE_FILTER_TAIL,   /* passes all, and at the end makes 100,000 bytes 'z' */
};
struct filter *fake_filter(struct fake_log *log, enum fake_filter_kind kind);

#endif

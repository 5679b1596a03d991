/*
 * Progress on stderr: a bar with rate and remaining time on a terminal, a line every 10 s
 * elsewhere, nothing with --quiet.
 *
 *  1. progress_new(&(struct progress_opts){.label = "postgres/hdms_db", .total_bytes = n}, …)
 *  2. progress_add(p, n) from any thread; its type fits sink_meter
 *     progress_label(p, label) when it comes to something else
 *  3. progress_free                  takes the bar away
 *
 * One at a time. Messages of base/log.h make the bar step aside.
 */
#ifndef LIFEBOAT_AGENT_OUTPUT_PROGRESS_H
#define LIFEBOAT_AGENT_OUTPUT_PROGRESS_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct progress_opts {
	const char *label;    /* what is being done */
	uint64_t total_bytes; /* 0: not known */
	bool quiet;
	int fd;               /* 0: stderr */
	int64_t (*now)(void); /* NULL: clock_monotonic_ms; tests bring their own */
	int terminal;         /* 0: ask the fd; 1: yes; -1: no */
};

struct progress;
int progress_new(const struct progress_opts *opts, struct progress **ret, struct err *err) MUST_USE;
void progress_add(void *progress, size_t bytes);
void progress_label(struct progress *p, const char *label);
uint64_t progress_bytes(const struct progress *p);
void progress_free(struct progress *p);
DEFINE_CLEANUP(struct progress, progress_free)

#endif

/*
 * HTML as it is written: what is ours goes in as it is, everything from outside through the one
 * escaping function.
 *
 *  1. struct html h = {.out = &buf, .err = err, …}
 *  2. html_raw, html_text, html_time …        nothing is written after the first failure
 *  3. h.failed                                then err says why
 */
#ifndef LIFEBOAT_AGENT_REPORT_HTML_H
#define LIFEBOAT_AGENT_REPORT_HTML_H

#include "base/buf.h"
#include "base/zone.h"

struct html {
	struct buf *out;
	struct err *err;
	const struct zone *zone; /* of times */
	int64_t now_ms;          /* what ages are counted from */
	bool alone;              /* in a file of its own: there is nothing to link to */
	bool failed;
};

/* Appends `text` so that it is nothing but text, in an element and in a quoted attribute. Control
 * characters, and those that turn the direction of writing, become U+FFFD. */
int html_escape(const char *text, struct buf *out, struct err *err) MUST_USE;

/* Markup of ours. */
void html_raw(struct html *h, const char *markup);
/* The same with numbers, or with words of ours: never with text from outside. */
void html_rawf(struct html *h, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Escaped. NULL is nothing. */
void html_text(struct html *h, const char *text);
void html_textf(struct html *h, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "2026-11-23 02:00" in the zone, as a time element; "never" when it is 0. */
void html_time(struct html *h, int64_t wall_ms);
/* The day alone: "23 Nov". */
void html_day(struct html *h, int64_t wall_ms);
/* "7 h ago", or "in 3 h". */
void html_age(struct html *h, int64_t wall_ms);
void html_size(struct html *h, uint64_t bytes);
void html_count(struct html *h, uint64_t n);
void html_duration(struct html *h, int64_t ms);

#endif

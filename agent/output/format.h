/* Sizes, counts, durations and ages as people read them. Each writes into `out` and returns it. */
#ifndef LIFEBOAT_AGENT_OUTPUT_FORMAT_H
#define LIFEBOAT_AGENT_OUTPUT_FORMAT_H

#include <stdint.h>
#include "base/err.h"

enum { FORMAT_BYTES = 48 };

/* "0 B", "512 B", "1.2 GiB" */
char *format_size(uint64_t bytes, char out[FORMAT_BYTES]);
/* The same without rounding: "8 MiB", "1000 B". */
char *format_exact_size(uint64_t bytes, char out[FORMAT_BYTES]);
/* "3,000,000" */
char *format_count(uint64_t n, char out[FORMAT_BYTES]);
/* "340 ms", "12.3 s", "4 min 5 s", "2 h 10 min", "3 d 4 h" */
char *format_duration(int64_t ms, char out[FORMAT_BYTES]);
/* "just now", "5 min ago", "3 h ago", "12 d ago"; "in the future" */
char *format_age(int64_t ms, char out[FORMAT_BYTES]);
/* Wall time in the zone TZ of the process: "2026-11-23 02:00" */
char *format_time(int64_t wall_ms, char out[FORMAT_BYTES]);

/* "20", "20s", "500ms", "5m", "1h", "2d" into milliseconds; a bare number is seconds. ERR_CONFIG.
 */
int format_parse_duration(const char *text, int64_t *ret_ms, struct err *err) MUST_USE;
/* "8388608", "8MiB", "8M", "64KiB" (powers of 1024), "8MB" (of 1000). ERR_CONFIG. */
int format_parse_size(const char *text, uint64_t *ret_bytes, struct err *err) MUST_USE;

#endif

/* What is known of an archive's bytes, in a few words. */
#ifndef LIFEBOAT_AGENT_VERIFIED_TEXT_H
#define LIFEBOAT_AGENT_VERIFIED_TEXT_H

#include "agent/output/format.h"
#include "storage/catalog.h"

/* "never", "3 h ago", "damaged": of the newest verify of the whole; samples only ever find damage.
 * Returns out. */
char *verified_text(const struct backup *b, char out[FORMAT_BYTES]);
/* Adds "verified" (the outcome of the newest whole verify), "verified_age_ms" (null: never) and
 * "damaged". */
int verified_json(const struct backup *b, json_t *j, struct err *err) MUST_USE;

#endif

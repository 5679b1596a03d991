/*
 * The verdict of one verify: a small JSON object beside the archive that was read, in that store
 * and of that store alone. docs/sidecar.md lists its fields.
 *
 *  1. fill a struct verdict, verdict_keep(store, backup, &v, err)
 *     writes `<stack>-<id>.verify-<time>.json` and removes older ones that say nothing more
 *  2. verdict_load(store, stack, name, backup, err)      the catalog's part: one after the other,
 *     by name, into the backup; then verdict_settle(backup)
 */
#ifndef LIFEBOAT_STORAGE_VERDICT_H
#define LIFEBOAT_STORAGE_VERDICT_H

#include "storage/catalog.h"

enum verdict_kind {
	VERDICT_WHOLE,  /* every byte, every hash */
	VERDICT_SAMPLE, /* some frames */
	VERDICT_STORED  /* the stored bytes against their SHA-256: of what can't be decrypted */
};
const char *verdict_kind_name(enum verdict_kind k); /* "whole", "sample", "stored bytes" */

/* Pointers are borrowed. */
struct verdict {
	const char *stack;
	enum verdict_kind kind;
	enum proof outcome;
	int64_t started_ms, finished_ms; /* wall clock */
	int64_t duration_ms;
	uint32_t share_ppm; /* of a sample: what was asked for, in millionths */
	uint64_t seed;      /* of a sample: at most INT64_MAX */
	uint64_t checked_bytes;
	const char *error;     /* NULL: none */
	const json_t *damaged; /* array; NULL: none */
};

/* A new reference: what is written. */
int verdict_json(const struct store *s, const struct backup *b, const struct verdict *v,
		 json_t **ret, struct err *err) MUST_USE;
/* Of older ones the newest, the newest of a whole verify and the newest that found damage stay, and
 * what decides whether damage stands where clocks gave them another order. */
int verdict_keep(struct store *s, const struct backup *b, const struct verdict *v, struct err *err)
    MUST_USE;

/* What all that were loaded say together: failures.h. */
void verdict_settle(struct backup *b);

/* One that can't be read says nothing, but is listed with the reason. */
int verdict_load(struct store *s, const char *stack, const char *object, struct backup *b,
		 struct err *err) MUST_USE;

#endif

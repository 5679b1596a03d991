/*
 * A digest of a tree of files, independent of their order: what a plain volume held, to be compared
 * with what came back.
 *
 *  1. struct tree_digest t = {0};
 *  2. per entry: tree_digest_tap wraps its content, which is then read to its end;
 *     tree_digest_add takes it into the sum
 *  3. rows_digest_hex(&t.sum, …)
 *
 * Per entry XXH3-128 over name, kind, mode, link target and the XXH3-128 of the content; the sum of
 * these modulo 2^128. Owners and times are left out: only root can put owners back.
 */
#ifndef LIFEBOAT_STACK_ENGINE_TREE_DIGEST_H
#define LIFEBOAT_STACK_ENGINE_TREE_DIGEST_H

#include <archive_entry.h>
#include "base/flow/source.h"
#include "stack/postgres/pgdump.h"

struct tree_digest {
	struct rows_digest sum; /* rows: entries */
	uint64_t bytes;         /* of all contents */
	struct XXH3_state_s *state;
};

/* *ret reads from `content` (borrowed, it must outlive *ret) and digests what passes. */
int tree_digest_tap(struct tree_digest *t, struct source *content, struct source **ret,
		    struct err *err) MUST_USE;
/* The entry under `name`; its content, if it has any, has passed through the tap. */
int tree_digest_add(struct tree_digest *t, const char *name, struct archive_entry *entry,
		    struct err *err) MUST_USE;
void tree_digest_done(struct tree_digest *t);

#endif

/*
 * What people decided about a backup: that it is pinned, that it is not any more, that it is
 * trusted although it was suspicious. Kept in its sidecar as a set, so that stores that did not
 * hear of the same decisions can be brought together in any order and without a clock:
 *
 *  1. decisions_token(id, err), then decisions_pin(sidecar, id, …) in every store: one decision has
 *     one id, wherever it is known
 *  2. decisions_unpin(sidecar, …) names the pins that it lifts. A pin that it did not know of stays
 *  3. decisions_leave(sidecar, …) makes it that of a new copy
 *  4. decisions_merge(sidecar, theirs, …) adds what the sidecar of a copy knows
 *
 * What is decided for one store alone ("here") is not taken elsewhere. `pinned`, `suspicious` and
 * `trusted` of the sidecar follow; readers need no more than these. docs/sidecar.md.
 */
#ifndef LIFEBOAT_STORAGE_DECISIONS_H
#define LIFEBOAT_STORAGE_DECISIONS_H

#include "base/json.h"

enum { DECISIONS_TOKEN_BYTES = 17, DECISIONS_MAX = 200 };

int decisions_token(char out[DECISIONS_TOKEN_BYTES], struct err *err) MUST_USE;

/* What is pinned already is pinned once more: elsewhere the pin before may have been lifted.
 * ERR_LIMIT: DECISIONS_MAX are there. */
int decisions_pin(json_t *sidecar, const char *id, bool here, struct err *err) MUST_USE;
/* These say whether they changed the sidecar. */
int decisions_unpin(json_t *sidecar, bool here, bool *ret_changed, struct err *err) MUST_USE;
/* Of what is not suspicious nothing is changed. */
int decisions_trust(json_t *sidecar, const char *id, bool here, bool *ret_changed, struct err *err)
    MUST_USE;
/* Takes out what was decided for its store alone. */
int decisions_leave(json_t *sidecar, bool *ret_changed, struct err *err) MUST_USE;
int decisions_merge(json_t *sidecar, const json_t *theirs, bool *ret_changed, struct err *err)
    MUST_USE;

/* Would a merge of these leave it pinned? For those who may not write. */
int decisions_is_pinned(const json_t *sidecar, const json_t *theirs, bool *ret, struct err *err)
    MUST_USE;

/* Is the field `decisions` of a sidecar well-formed? Absent is. */
int decisions_check(const json_t *sidecar, struct err *err) MUST_USE;

#endif

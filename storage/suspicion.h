/*
 * Suspicion: a backup that is much smaller than those before it is committed, since a small backup
 * is better than none, but it is told as suspicious and takes no other's place (retention.h).
 *
 *  1. suspicion_history(store, "hdms", NULL, 5, figures, &count, err)      what is normal
 *  2. suspicion_judge(&rules, figures, count, &now, &why, err)     nothing in `why`: not suspicious
 *     or suspicion_find for both
 *
 * Normal is the median of the newest whole backups that were not suspicious themselves, so that one
 * bad night is not the measure of the next. A proof lifts no suspicion: an empty database restores
 * well. A person does, with `lifeboat trust`: history then begins with the backup that was trusted.
 */
#ifndef LIFEBOAT_STORAGE_SUSPICION_H
#define LIFEBOAT_STORAGE_SUSPICION_H

#include <stdint.h>
#include "base/buf.h"
#include "base/json.h"
#include "storage/store/store.h"

enum { SUSPICION_HISTORY_MAX = 100 };

struct suspicion_rules {
	unsigned history;           /* how many backups are looked back at; 0: none */
	unsigned bytes, rows, keys; /* less than so many percent of normal; 0: not looked at */
};

struct suspicion_figures {
	uint64_t bytes; /* as stored */
	uint64_t rows;  /* of all databases */
	uint64_t keys;  /* of Redis */
};
/* A normal figure below these says nothing. */
enum { SUSPICION_FEW = 100, SUSPICION_FEW_BYTES = 64 << 10 };

/* Appends one line for each figure that fell too far: "rows: 120, where 45000 are normal (median of
 * the 5 backups before)". Pure. */
int suspicion_judge(const struct suspicion_rules *rules, const struct suspicion_figures *before,
		    size_t count, const struct suspicion_figures *now, struct strlist *ret,
		    struct err *err) MUST_USE;

/* Figures of at most `wanted` backups, newest first, and older than the backup `before` (an id;
 * NULL: all). `ret` has room for `wanted`. Sidecars that can't be used are passed over. */
int suspicion_history(struct store *store, const char *stack, const char *before, unsigned wanted,
		      struct suspicion_figures *ret, size_t *ret_count, struct err *err) MUST_USE;

/* Both: *ret is a new array of what is suspicious, or NULL where nothing is. */
int suspicion_find(struct store *store, const char *stack, const char *before,
		   const struct suspicion_rules *rules, const struct suspicion_figures *now,
		   json_t **ret, struct err *err) MUST_USE;

#endif

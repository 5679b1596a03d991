/*
 * When does a failure count no more? Drills and verifies are written by several hosts, and their
 * clocks say nothing of who knew what. So each result names the failures that were there when it
 * began (`answers`), and a failure stands until something that passed has named it: what was at
 * work at the same time, or in another store, takes nothing back.
 *
 * Results of a version that named none answer all whose names come before theirs.
 */
#ifndef LIFEBOAT_STORAGE_FAILURES_H
#define LIFEBOAT_STORAGE_FAILURES_H

#include "base/json.h"

/* `results`: an array of evidence or of verdicts, each with its name as `object`. *ret: a new array
 * of the names of those that failed. */
int failures_of(const json_t *results, json_t **ret, struct err *err) MUST_USE;

/* Did whoever wrote this result know of the failure when he began? */
bool failures_names(const json_t *result, const json_t *failure);

/* Has one of the results that passed answered this failure? `kind`: only one whose field `kind`
 * says so; NULL: any. */
bool failures_answered(const json_t *results, const json_t *failure, const char *kind);

#endif

/*
 * Leftovers: archives, evidence and verdicts of a stack that belong to no backup, because a job was
 * killed before its commit or in the middle of a removal, or because a sidecar was lost.
 *
 *  1. leftovers_find(store, "hdms", &found, err)      what is there, and whether it may go
 *  2. store_remove for those that go
 *  3. leftovers_done(&found)
 *
 * What may go is older than a day, by the store's own time: a younger one may be an archive that
 * another host is about to commit or to copy. And an archive that may be worth something does not
 * go by itself: one that is newer than every backup, and any while there are more of them than of
 * backups, for so many sidecars are not lost by a kill. (A backup of a part and a suspicious one
 * count for neither.) `lifeboat adopt` makes a backup of such a one, and `prune --orphans` removes
 * it.
 */
#ifndef LIFEBOAT_STORAGE_LEFTOVERS_H
#define LIFEBOAT_STORAGE_LEFTOVERS_H

#include "storage/store/store.h"

enum { LEFTOVER_AGE_MS = 24 * 3600 * 1000 };

struct leftover {
	char name[STORE_NAME_MAX + 1];
	char id[32];
	bool archive; /* else evidence */
	bool goes;
	char what[300]; /* "whole archive of 2 databases, 45000 rows, 120 Redis keys" */
	char why[160];  /* it stays; "" where it goes */
};
struct leftovers {
	struct leftover *items; /* sorted by name */
	size_t count;
};

/* `all`: also those that would stay, but for what somebody marked as in use. */
int leftovers_find(struct store *s, const char *stack, bool all, struct leftovers *ret,
		   struct err *err) MUST_USE;
void leftovers_done(struct leftovers *l);

#endif

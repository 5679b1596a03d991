/*
 * Retention: which backups stay, decided by a pure function of what is known about them.
 *
 *  keep = last 3, hourly 24, daily 7, weekly 4, monthly 12, yearly 2, within 30d, min 3
 *
 * A bucket is an hour, day, ISO week, month or year in the time zone given; "daily 7" speaks of the
 * 7 newest days that have a backup at all. Backups are of three ranks: proven (the drill passed and
 * it is not suspicious), untested, and doubtful (the drill failed, or suspicious). A bucket is
 * represented by its newest proven one, else its newest untested one, else its newest doubtful one.
 *
 * A lower rank never evicts a higher one: each rule is applied to the proven alone, to these and
 * the untested, and to all, and what any of the three keeps stays. So "last 3" keeps the 3 newest
 * and, if these are not proven, the 3 newest proven as well.
 *
 * Never deleted: the newest of all, of the untested and proven, and of the proven; the newest whole
 * one that passed a drill, suspicious or not; pinned ones, those in use. "min 3" keeps the newest
 * of the rest, again rank by rank, until there are 3. No rule at all keeps everything.
 */
#ifndef LIFEBOAT_STORAGE_RETENTION_H
#define LIFEBOAT_STORAGE_RETENTION_H

#include <stdint.h>
#include "base/buf.h"
#include "storage/catalog.h"

struct retention_rules {
	unsigned last, hourly, daily, weekly, monthly, yearly, min;
	int64_t within_ms;
	bool any; /* at least one rule was given */
};
/* NULL and "": no rule. ERR_CONFIG names the word that is wrong and what is allowed. Times of
 * "within" are hours, days or weeks: 36h, 30d, 8w. */
int retention_parse(const char *text, struct retention_rules *ret, struct err *err) MUST_USE;

struct retention_item {
	int64_t taken_ms;
	enum proof proof;
	bool pinned, suspicious, in_use;
	bool partial;    /* of a part of the stack: takes no place of a whole one */
	const char *use; /* what `reason` says of one in use; NULL: "in use". Borrowed */
	/* filled by retention_plan */
	bool keep;
	/* All that keep it: "last 3, daily 2026-11-22", "newest proven"; else "no rule keeps it" */
	char reason[256];
};
/* Fills keep and reason of every item. `zone`: an IANA name ("Europe/Berlin"), NULL for UTC. Items
 * in any order. */
int retention_plan(const struct retention_rules *rules, const char *zone, int64_t now_ms,
		   struct retention_item *items, size_t count, struct err *err) MUST_USE;

#endif

/*
 * Retention: which backups stay, decided by a pure function of what is known about them.
 *
 *  keep = last 3, hourly 24, daily 7, weekly 4, monthly 12, yearly 2, within 30d, min 3
 *
 * A bucket (hour, day, ISO week, month, year in the time zone given) is represented by its newest
 * proven backup, else by its newest unproven one. An unproven or suspicious backup never evicts a
 * proven one: it takes no proven backup's place, in `last` either. Never deleted: the newest
 * proven, pinned ones, the newest of all, those in use. No rule at all keeps everything.
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
/* ERR_CONFIG names the word that is wrong and what is allowed. */
int retention_parse(const char *text, struct retention_rules *ret, struct err *err) MUST_USE;

struct retention_item {
	int64_t taken_ms;
	enum proof proof;
	bool pinned, suspicious, in_use;
	/* filled by retention_plan */
	bool keep;
	char reason[96]; /* "daily 2026-11-22", "newest proven", "no rule keeps it" */
};
/* `zone`: an IANA name ("Europe/Berlin"), NULL for UTC. Items in any order. */
int retention_plan(const struct retention_rules *rules, const char *zone, int64_t now_ms,
		   struct retention_item *items, size_t count, struct err *err) MUST_USE;

#endif

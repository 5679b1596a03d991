/* The rule for all later years at the end of a TZif file: POSIX TZ (POSIX.1-2017, 8.3) with the
 * wider hours of RFC 9636, "CET-1CEST,M3.5.0,M10.5.0/3". */
#ifndef LIFEBOAT_BASE_ZONE_RULE_H
#define LIFEBOAT_BASE_ZONE_RULE_H

#include <stdint.h>
#include "base/err.h"

struct zone_rule_day {
	char kind; /* 'M': month, week, weekday; 'J': 1..365 without 29 February; 0: 0..365 */
	int month, week, day; /* of 'J' and 0 only `day` counts */
	int64_t second;       /* of the local day; may be negative or beyond it */
};

struct zone_rule {
	int64_t standard_s, summer_s; /* east of UTC */
	bool has_summer;
	struct zone_rule_day begin, end;
};

/* ERR_CORRUPT. */
int zone_rule_parse(const char *text, struct zone_rule *ret, struct err *err) MUST_USE;
int64_t zone_rule_offset_s(const struct zone_rule *r, int64_t unix_s);

#endif

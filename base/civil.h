/* Days and dates of the Gregorian calendar, extended to all years; no zones, no clocks. */
#ifndef LIFEBOAT_BASE_CIVIL_H
#define LIFEBOAT_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
	int64_t year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
};

/* Days since 1970-01-01, negative before. */
int64_t civil_to_days(struct civil c);
struct civil civil_of_days(int64_t days);
bool civil_is_leap(int64_t year);
/* 0 = Sunday. */
int civil_weekday(int64_t days);
/* ISO 8601 week of a day: the year that the week belongs to, and 1..53. */
void civil_iso_week(int64_t days, int64_t *ret_year, int *ret_week);

/* Division that rounds down, also for negative numbers; b > 0. */
int64_t civil_floor_div(int64_t a, int64_t b);

#endif

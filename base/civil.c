#include "base/civil.h"

int64_t civil_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

bool civil_is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The year begins in March, so that the leap day is its last, and 400 years are one era of 146,097
 * days. */
int64_t civil_to_days(struct civil c)
{
	int64_t year = c.year - (c.month <= 2);
	int64_t era = civil_floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t month = c.month > 2 ? c.month - 3 : c.month + 9;
	int64_t day_of_year = (153 * month + 2) / 5 + c.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

struct civil civil_of_days(int64_t days)
{
	days += 719468;
	int64_t era = civil_floor_div(days, 146097);
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct civil c = {.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
			  .month = (int)(month < 10 ? month + 3 : month - 9)};
	c.year = year_of_era + era * 400 + (c.month <= 2);
	return c;
}

int civil_weekday(int64_t days)
{
	/* 1970-01-01 was a Thursday. */
	return (int)(days + 4 - civil_floor_div(days + 4, 7) * 7);
}

void civil_iso_week(int64_t days, int64_t *ret_year, int *ret_week)
{
	/* A week belongs to the year that its Thursday is in. */
	int64_t thursday = days - (civil_weekday(days) + 6) % 7 + 3;
	int64_t year = civil_of_days(thursday).year;
	int64_t first = civil_to_days((struct civil){.year = year, .month = 1, .day = 1});
	*ret_year = year;
	*ret_week = (int)((thursday - first) / 7) + 1;
}

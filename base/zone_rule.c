#include "base/zone_rule.h"

#include <string.h>
#include "base/civil.h"

enum { DAY_S = 86400 };

static int bad(const char *text, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "'%.60s' is not a rule for a time zone", text);
}

/* At least three letters, or anything but '>' in <>. */
static bool skip_name(const char **p)
{
	const char *start = *p;
	if (*start == '<') {
		size_t len = strcspn(start, ">");
		*p = start + len + 1;
		return start[len] == '>' && len > 1;
	}
	size_t len = strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	*p = start + len;
	return len >= 3;
}

/* A number of at most three digits up to `max`. */
static bool read_number(const char **p, int max, int *ret)
{
	int value = 0, digits = 0;
	while (**p >= '0' && **p <= '9' && digits < 4) {
		value = value * 10 + (**p - '0');
		digits++;
		(*p)++;
	}
	*ret = value;
	return digits > 0 && digits < 4 && value <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **p, int max_hours, int64_t *ret_s)
{
	int h, m = 0, s = 0;
	int64_t sign = **p == '-' ? -1 : 1;
	if (**p == '-' || **p == '+')
		(*p)++;
	if (!read_number(p, max_hours, &h))
		return false;
	if (**p == ':') {
		(*p)++;
		if (!read_number(p, 59, &m))
			return false;
		if (**p == ':') {
			(*p)++;
			if (!read_number(p, 59, &s))
				return false;
		}
	}
	*ret_s = sign * (h * 3600 + m * 60 + s);
	return true;
}

/* ",M3.5.0/2", ",J60", ",59/26" */
static bool read_day(const char **p, struct zone_rule_day *d)
{
	*d = (struct zone_rule_day){.second = 2 * 3600};
	if (*(*p)++ != ',')
		return false;
	if (**p == 'M') {
		(*p)++;
		d->kind = 'M';
		if (!read_number(p, 12, &d->month) || d->month < 1 || *(*p)++ != '.' ||
		    !read_number(p, 5, &d->week) || d->week < 1 || *(*p)++ != '.' ||
		    !read_number(p, 6, &d->day))
			return false;
	} else if (**p == 'J') {
		(*p)++;
		d->kind = 'J';
		if (!read_number(p, 365, &d->day) || d->day < 1)
			return false;
	} else if (!read_number(p, 365, &d->day)) {
		return false;
	}
	if (**p != '/')
		return true;
	(*p)++;
	return read_time(p, 167, &d->second);
}

int zone_rule_parse(const char *text, struct zone_rule *ret, struct err *err)
{
	struct zone_rule r = {.has_summer = false};
	const char *p = text;
	/* POSIX counts west of Greenwich as positive. */
	if (!skip_name(&p) || !read_time(&p, 24, &r.standard_s))
		return bad(text, err);
	r.standard_s = -r.standard_s;
	if (*p != '\0') {
		r.has_summer = true;
		r.summer_s = r.standard_s + 3600;
		if (!skip_name(&p))
			return bad(text, err);
		if (*p != ',' && *p != '\0') {
			if (!read_time(&p, 24, &r.summer_s))
				return bad(text, err);
			r.summer_s = -r.summer_s;
		}
		if (!read_day(&p, &r.begin) || !read_day(&p, &r.end) || *p != '\0')
			return bad(text, err);
	}
	*ret = r;
	return 0;
}

/* The moment, in local seconds since 1970, at which that year's change happens. */
static int64_t change_in(const struct zone_rule_day *d, int64_t year)
{
	int64_t january = civil_to_days((struct civil){.year = year, .month = 1, .day = 1});
	int64_t day = january + d->day;
	if (d->kind == 'J') {
		/* 29 February is never counted: day 60 is always 1 March. */
		day = january + d->day - 1 + (civil_is_leap(year) && d->day >= 60);
	} else if (d->kind == 'M') {
		struct civil month = {.year = year, .month = d->month, .day = 1};
		struct civil next = {
		    .year = year + d->month / 12, .month = d->month % 12 + 1, .day = 1};
		int64_t first = civil_to_days(month), after = civil_to_days(next);
		day = first + (d->day - civil_weekday(first) + 7) % 7 + (d->week - 1) * 7;
		while (day >= after)
			day -= 7; /* week 5 is the last one, be it the fourth */
	}
	return day * DAY_S + d->second;
}

int64_t zone_rule_offset_s(const struct zone_rule *r, int64_t unix_s)
{
	if (!r->has_summer)
		return r->standard_s;
	/* The latest change before the moment decides. Changes may lie days outside their year, so
	 * the neighbours are asked too. */
	int64_t year = civil_of_days(civil_floor_div(unix_s + r->standard_s, DAY_S)).year;
	int64_t latest = INT64_MIN, offset = r->standard_s;
	for (int64_t y = year - 2; y <= year + 1; y++) {
		int64_t begins = change_in(&r->begin, y) - r->standard_s;
		int64_t ends = change_in(&r->end, y) - r->summer_s;
		/* At the same moment one year ends and the next begins: summer all year round. */
		if (ends <= unix_s && ends > latest) {
			latest = ends;
			offset = r->standard_s;
		}
		if (begins <= unix_s && begins >= latest) {
			latest = begins;
			offset = r->summer_s;
		}
	}
	return offset;
}

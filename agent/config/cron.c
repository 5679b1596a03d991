#include "agent/config/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/civil.h"
#include "base/names.h"

enum {
	MINUTE_S = 60,
	HOUR_S = 3600,
	DAY_S = 86400,
	DAY_MINUTES = 1440,
	/* More than two clocks on earth can differ. */
	WIDEST_S = 26 * HOUR_S,
	TEXT_MAX = 256,
	/* A 29 February on a given weekday may be 40 years away (around 2100). */
	FARTHEST_DAYS = 366 * 41
};

/* ---- reading ---- */

struct field {
	const char *name;
	unsigned min, max;
	const char *const *names; /* of min, min + 1, … */
	const char *allowed;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
    {"minute", 0, 59, NULL, "0 to 59"},
    {"hour", 0, 23, NULL, "0 to 23"},
    {"day of the month", 1, 31, NULL, "1 to 31"},
    {"month", 1, 12, month_names, "1 to 12 or jan to dec"},
    {"day of the week", 0, 7, day_names, "0 to 7 (0 and 7 are Sunday) or sun to sat"},
};

static const struct {
	const char *name, *text;
} shorthands[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* The words between here and the end of this field. */
static int refuse(const struct field *f, const char *text, const char *why, struct err *err)
{
	int len = (int)strcspn(text, " \t");
	err_set(err, ERR_CONFIG, "the %s '%.*s' %s", f->name, len > 60 ? 60 : len, text, why);
	return err_hint(err, "allowed are *, %s, ranges (a-b), steps (*/n, a-b/n) and lists (a,b)",
			f->allowed);
}

/* A number or a name at *at, which moves behind it. */
static bool read_value(const struct field *f, const char **at, unsigned *ret)
{
	size_t digits = strspn(*at, "0123456789"), letters = 0;
	if (digits > 0 && digits <= 4) {
		unsigned n = 0;
		for (size_t i = 0; i < digits; i++)
			n = n * 10 + (unsigned)((*at)[i] - '0');
		*at += digits;
		*ret = n;
		return n >= f->min && n <= f->max;
	}
	while (isalpha((unsigned char)(*at)[letters]))
		letters++;
	for (unsigned i = 0; f->names != NULL && f->names[i] != NULL && letters == 3; i++) {
		if (strncasecmp(f->names[i], *at, letters) == 0) {
			*at += letters;
			*ret = f->min + i;
			return true;
		}
	}
	return false;
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ' || c == '\t';
}

/* One item of a list: *, a, a-b, each perhaps with a step. */
static int read_item(const struct field *f, const char *whole, const char **at, uint64_t *bits,
		     struct err *err)
{
	unsigned from = f->min, to = f->max, step = 1;
	bool range = true;
	if (**at == '*') {
		(*at)++;
	} else {
		if (!read_value(f, at, &from))
			return refuse(f, whole, "is none", err);
		to = from;
		range = **at == '-';
		if (range) {
			(*at)++;
			if (!read_value(f, at, &to))
				return refuse(f, whole, "is none", err);
			if (f->max == 7 && to == 0 && from > 0)
				to = 7; /* sat-sun */
			if (to < from)
				return refuse(f, whole, "has a range that goes backwards", err);
		}
	}
	if (**at == '/') {
		static const struct field steps = {"step", 1, 1000, NULL, ""};
		(*at)++;
		if (!range)
			return refuse(f, whole, "has a step without a range", err);
		if (!read_value(&steps, at, &step))
			return refuse(f, whole, "has a step that is no number from 1", err);
	}
	for (unsigned n = from; n <= to; n += step)
		*bits |= UINT64_C(1) << n;
	return 0;
}

static int read_field(const struct field *f, const char **at, uint64_t *ret, struct err *err)
{
	const char *whole = *at;
	uint64_t bits = 0;
	for (;;) {
		if (read_item(f, whole, at, &bits, err) < 0)
			return -1;
		if (is_end(**at))
			break;
		if (**at != ',')
			return refuse(f, whole, "is none", err);
		(*at)++;
	}
	*ret = bits;
	return 0;
}

static int read_shorthand(const char **text, struct err *err)
{
	const char *names[sizeof shorthands / sizeof *shorthands];
	size_t count = sizeof shorthands / sizeof *shorthands;
	for (size_t i = 0; i < count; i++) {
		names[i] = shorthands[i].name;
		if (strcasecmp(*text, names[i]) == 0) {
			*text = shorthands[i].text;
			return 0;
		}
	}
	err_set(err, ERR_CONFIG, "'%.60s' is not a schedule", *text);
	const char *nearest = names_nearest(*text, names, count);
	if (nearest != NULL)
		return err_hint(err, "did you mean %s?", nearest);
	return err_hint(err, "allowed are @hourly, @daily, @midnight, @weekly, @monthly, @yearly");
}

/* Whether any year has such a day. */
static int check_days(const struct cron *c, const char *text, struct err *err)
{
	static const unsigned lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	for (unsigned m = 1; m <= 12; m++)
		for (unsigned d = 1; d <= lengths[m - 1] && (c->months >> m & 1) != 0; d++)
			if (c->either_day || (c->days >> d & 1) != 0)
				return 0;
	err_set(err, ERR_CONFIG, "the schedule '%.60s' never comes", text);
	return err_hint(err, "none of its months has such a day");
}

int cron_parse(const char *text, struct cron *ret, struct err *err)
{
	const char *given = text, *starts[FIELDS] = {NULL};
	uint64_t bits[FIELDS] = {0};
	if (strlen(text) > TEXT_MAX)
		return err_set(err, ERR_CONFIG, "a schedule of more than %d characters", TEXT_MAX);
	text += strspn(text, " \t");
	if (*text == '@' && read_shorthand(&text, err) < 0)
		return -1;
	for (size_t i = 0; i < FIELDS; i++) {
		text += strspn(text, " \t");
		if (*text == '\0') {
			err_set(err, ERR_CONFIG, "the schedule '%.60s' has no %s", given,
				fields[i].name);
			return err_hint(err, "five fields: minute, hour, day of the month, month, "
					     "day of the week; 0 2 * * * is every day at 02:00");
		}
		starts[i] = text;
		if (read_field(&fields[i], &text, &bits[i], err) < 0)
			return -1;
	}
	text += strspn(text, " \t");
	if (*text != '\0') {
		err_set(err, ERR_CONFIG, "the schedule '%.60s' has more than five fields", given);
		return err_hint(err, "what runs is said by the key: backup = 0 2 * * *");
	}
	struct cron c = {.minutes = bits[MINUTE],
			 .hours = (uint32_t)bits[HOUR],
			 .days = (uint32_t)bits[DAY],
			 .months = (uint16_t)bits[MONTH],
			 .weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
			 .either_day = *starts[DAY] != '*' && *starts[WEEKDAY] != '*',
			 .follows_elapsed = *starts[HOUR] == '*'};
	if (check_days(&c, given, err) < 0)
		return -1;
	*ret = c;
	return 0;
}

/* ---- counting ---- */

static bool matches_day(const struct cron *c, int64_t days)
{
	struct civil d = civil_of_days(days);
	bool by_day = (c->days >> d.day & 1) != 0;
	bool by_weekday = (c->weekdays >> civil_weekday(days) & 1) != 0;
	return (c->months >> d.month & 1) != 0 &&
	       (c->either_day ? by_day || by_weekday : by_day && by_weekday);
}

/* The first matching day from `days` on. */
static int64_t next_day(const struct cron *c, int64_t days)
{
	int64_t last = days + FARTHEST_DAYS;
	while (days < last && !matches_day(c, days))
		days++;
	return days;
}

/* The first matching time from `local_s` on, by a clock that never changes. */
static int64_t next_local(const struct cron *c, int64_t local_s)
{
	int64_t minute = civil_floor_div(local_s + MINUTE_S - 1, MINUTE_S);
	int64_t today = civil_floor_div(minute, DAY_MINUTES), day = next_day(c, today);
	int64_t from = day == today ? minute - today * DAY_MINUTES : 0;
	for (;;) {
		for (int64_t hour = from / 60; hour < 24; hour++) {
			for (int64_t m = hour == from / 60 ? from % 60 : 0;
			     (c->hours >> hour & 1) != 0 && m < 60; m++)
				if ((c->minutes >> m & 1) != 0)
					return day * DAY_S + hour * HOUR_S + m * MINUTE_S;
		}
		day = next_day(c, day + 1);
		from = 0;
	}
}

/* The first moment at which the clock shows `local_s` or later: that time itself, the first of two,
 * or the end of the gap that swallowed it. */
static int64_t moment_of(const struct zone *z, int64_t local_s)
{
	int64_t low = local_s - WIDEST_S, high = local_s + WIDEST_S;
	int64_t before = zone_offset_s(z, low), later = zone_offset_s(z, high);
	if (before == later)
		return local_s - before;
	/* The clock changes near by: when? */
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;
		if (zone_offset_s(z, middle) == before)
			low = middle;
		else
			high = middle;
	}
	if (local_s - before < high)
		return local_s - before;
	return local_s - later > high ? local_s - later : high;
}

/* Named times of the day, in the order of the calendar: their moments are in that order too. */
static int64_t next_named(const struct cron *c, const struct zone *z, int64_t after_s)
{
	int64_t local = after_s + zone_offset_s(z, after_s);
	for (local -= local % MINUTE_S;; local += MINUTE_S) {
		local = next_local(c, local);
		int64_t at = moment_of(z, local);
		if (at > after_s)
			return at;
	}
}

/* Every minute that passes and matches. */
static int64_t next_elapsed(const struct cron *c, const struct zone *z, int64_t after_s)
{
	/* Clocks change at full minutes. */
	int64_t t = civil_floor_div(after_s + MINUTE_S, MINUTE_S) * MINUTE_S;
	for (;;) {
		int64_t offset = zone_offset_s(z, t), local = t + offset;
		int64_t step = next_local(c, local) - local;
		if (step == 0)
			return t;
		/* Straight on, but not over a change of the clock: what comes after it is looked at
		 * anew. A step that is so long that two changes could hide in it leads over days
		 * that don't match in any zone. */
		while (step > MINUTE_S && zone_offset_s(z, t + step) != offset)
			step = step / (2 * MINUTE_S) * MINUTE_S;
		t += step > 0 ? step : MINUTE_S;
	}
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_s)
{
	return c->follows_elapsed ? next_elapsed(c, z, after_s) : next_named(c, z, after_s);
}

/* The last 90 days, a column for each week. What a day was is told by shape and not by colour
 * alone. */
#include <stdio.h>
#include <string.h>
#include "agent/report/page_impl.h"
#include "base/civil.h"

enum { CELL = 22, BOX = 17, LEFT = 34, TOP = 18 };

static const struct outcome_look {
	const char *name, *means;
	const char *sign; /* a path in a box of 17 */
} looks[] = {
    {"proven", "a proven backup", "M4.5 9l3 3 5.5-6.5"},
    {"backup", "a backup, not proved", NULL},
    {"suspicious", "a suspicious backup", "M8.5 4v5.5M8.5 12.8v.2"},
    {"failed", "something failed", "M5 5l7 7M12 5l-7 7"},
    {"none", "nothing was taken", NULL},
    {"before", "before the first backup", NULL},
};
enum { LOOKS = sizeof looks / sizeof *looks };

static size_t look_of(const char *outcome)
{
	for (size_t i = 0; i < LOOKS; i++)
		if (strcmp(looks[i].name, outcome) == 0)
			return i;
	return LOOKS - 1;
}

static void put_box(struct html *h, int x, int y, const struct outcome_look *look)
{
	html_rawf(h,
		  "<rect class=\"box %s\" x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\" "
		  "rx=\"3\"/>",
		  look->name, x, y, BOX, BOX);
	if (look->sign != NULL)
		html_rawf(h, "<path class=\"sign%s\" transform=\"translate(%d.5 %d.5)\" d=\"%s\"/>",
			  strcmp(look->name, "suspicious") == 0 ? " warned" : "", x, y, look->sign);
}

/* Days since 1970 of "2026-11-23". */
static bool parse_day(const char *date, int64_t *ret)
{
	int year = 0, month = 0, day = 0;
	int *const parts[] = {&year, &month, &day};
	size_t part = 0;
	for (; *date != '\0'; date++) {
		if (*date == '-' && part < 2)
			part++;
		else if (*date >= '0' && *date <= '9' && *parts[part] < 10000)
			*parts[part] = *parts[part] * 10 + (*date - '0');
		else
			return false;
	}
	if (part != 2 || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*ret = civil_to_days((struct civil){.year = year, .month = month, .day = day});
	return true;
}

static void put_days(struct html *h, const json_t *days)
{
	static const char *const rows[] = {"Mon", "", "Wed", "", "Fri", "", "Sun"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t first = 0, number;
	size_t i;
	json_t *d;
	for (int r = 0; r < 7; r++)
		if (rows[r][0] != '\0')
			html_rawf(h, "<text x=\"0\" y=\"%d\">%s</text>", TOP + r * CELL + 13,
				  rows[r]);
	json_array_foreach(days, i, d)
	{
		const char *date = json_str_or(d, "date", "");
		if (!parse_day(date, &number))
			continue;
		/* Weeks begin on Monday. */
		int row = (civil_weekday(number) + 6) % 7;
		if (i == 0)
			first = number - row;
		int x = LEFT + (int)((number - first) / 7) * CELL;
		const struct outcome_look *look = &looks[look_of(json_str_or(d, "outcome", ""))];
		struct civil c = civil_of_days(number);
		if (c.day == 1 || (i == 0 && c.day < 20))
			html_rawf(h, "<text x=\"%d\" y=\"11\">%s</text>", x, months[c.month - 1]);
		html_raw(h, "<g><title>");
		html_textf(h, "%s: %s", date, look->means);
		html_raw(h, "</title>");
		put_box(h, x, TOP + row * CELL, look);
		html_raw(h, "</g>");
	}
}

void page_calendar(struct html *h, const json_t *days)
{
	size_t counts[LOOKS] = {0}, i;
	json_t *d;
	json_array_foreach(days, i, d)
	{
		counts[look_of(json_str_or(d, "outcome", ""))]++;
	}
	html_raw(h, "<section aria-labelledby=\"days\"><h2 id=\"days\">The last 90 days</h2>\n"
		    "<svg class=\"calendar\" viewBox=\"0 0 342 174\" role=\"img\" aria-label=\"");
	for (i = 0; i < LOOKS; i++)
		if (counts[i] > 0)
			html_rawf(h, "%zu %s with %s. ", counts[i], counts[i] == 1 ? "day" : "days",
				  looks[i].means);
	html_raw(h, "\">");
	put_days(h, days);
	html_raw(h, "</svg>\n<ul class=\"key\">");
	for (i = 0; i < LOOKS; i++) {
		if (counts[i] == 0)
			continue;
		html_raw(h, "<li><svg class=\"calendar\" viewBox=\"0 0 18 18\" "
			    "aria-hidden=\"true\">");
		put_box(h, 0, 0, &looks[i]);
		html_rawf(h, "</svg>%s: %zu</li>", looks[i].means, counts[i]);
	}
	html_raw(h, "</ul></section>\n");
}

#include "storage/retention.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t offset; /* of the unsigned in struct retention_rules */
} counts[] = {
    {"last", offsetof(struct retention_rules, last)},
    {"hourly", offsetof(struct retention_rules, hourly)},
    {"daily", offsetof(struct retention_rules, daily)},
    {"weekly", offsetof(struct retention_rules, weekly)},
    {"monthly", offsetof(struct retention_rules, monthly)},
    {"yearly", offsetof(struct retention_rules, yearly)},
    {"min", offsetof(struct retention_rules, min)},
};
enum { COUNTS = sizeof counts / sizeof *counts, NUMBER_MAX = 100000 };

static const char blanks[] = " \t\r\n";

static int wrong(struct err *err, const char *rule, size_t len, const char *why)
{
	err_set(err, ERR_CONFIG, "'%.*s' %s", (int)(len < 60 ? len : 60), rule, why);
	return err_hint(err, "Rules are last N, hourly N, daily N, weekly N, monthly N, yearly N, "
			     "within 30d (h, d or w) and min N, with commas between them.");
}

/* Digits up to `*ret_end`; 0 when there are none or the number is not from 1 to NUMBER_MAX. */
static unsigned number_at(const char *p, const char **ret_end)
{
	unsigned value = 0;
	bool too_large = false;
	while (*p >= '0' && *p <= '9') {
		value = value * 10 + (unsigned)(*p++ - '0');
		if (value > NUMBER_MAX) {
			too_large = true;
			value = 0;
		}
	}
	*ret_end = p;
	return too_large ? 0 : value;
}

static int64_t unit_ms(char unit)
{
	const int64_t hour = INT64_C(3600) * 1000;
	switch (unit) {
	case 'h':
		return hour;
	case 'd':
		return 24 * hour;
	case 'w':
		return 7 * 24 * hour;
	default:
		return 0;
	}
}

/* One rule of `len` bytes, without blanks around it. */
static int read_rule(const char *rule, size_t len, struct retention_rules *r, struct err *err)
{
	size_t word = strcspn(rule, " \t\r\n,");
	const char *number = rule + word + strspn(rule + word, blanks), *end;
	unsigned n = number_at(number, &end);
	bool is_within = word == strlen("within") && strncmp(rule, "within", word) == 0;
	unsigned *count = NULL;
	for (size_t i = 0; i < COUNTS; i++)
		if (strlen(counts[i].name) == word && strncmp(rule, counts[i].name, word) == 0)
			count = (unsigned *)(void *)((char *)r + counts[i].offset);
	if (count == NULL && !is_within)
		return wrong(err, rule, len, "is not a rule");
	if (n == 0 || number >= rule + len)
		return wrong(err, rule, len, "needs a number from 1 to 100000");
	if (is_within) {
		int64_t unit = unit_ms(*end);
		if (unit == 0 || end + 1 != rule + len)
			return wrong(err, rule, len, "needs a time: 36h, 30d or 8w");
		if (r->within_ms != 0)
			return wrong(err, rule, len, "is the second of its kind");
		r->within_ms = n * unit;
	} else {
		if (end != rule + len)
			return wrong(err, rule, len, "has something after its number");
		if (*count != 0)
			return wrong(err, rule, len, "is the second of its kind");
		*count = n;
	}
	r->any = true;
	return 0;
}

int retention_parse(const char *text, struct retention_rules *ret, struct err *err)
{
	struct retention_rules r = {.any = false};
	const char *p = text != NULL ? text + strspn(text, blanks) : "";
	while (*p != '\0') {
		size_t len = strcspn(p, ",");
		const char *next = p + len;
		while (len > 0 && strchr(blanks, p[len - 1]) != NULL)
			len--;
		if (len == 0)
			return wrong(err, "", 0, "stands where a rule should be");
		if (read_rule(p, len, &r, err) < 0)
			return -1;
		p = next;
		if (*p == ',') {
			p += 1 + strspn(p + 1, blanks);
			if (*p == '\0')
				return wrong(err, "", 0, "stands where a rule should be");
		}
	}
	if (r.min > 0 && r.within_ms == 0 &&
	    r.last + r.hourly + r.daily + r.weekly + r.monthly + r.yearly == 0) {
		err_set(err, ERR_CONFIG, "'min %u' alone does not say what may go", r.min);
		return err_hint(err, "'last %u' keeps the newest %u.", r.min, r.min);
	}
	*ret = r;
	return 0;
}

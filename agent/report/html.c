#include "agent/report/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/output/format.h"
#include "base/civil.h"
#include "base/clock.h"

/* U+202A..U+202E and U+2066..U+2069 turn the direction of writing; U+0080..U+009F are controls.
 * Returns their length in UTF-8, or 0. */
static size_t unwanted(const unsigned char *c)
{
	if ((c[0] < 0x20 && c[0] != '\n' && c[0] != '\t') || c[0] == 0x7F)
		return 1;
	if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F)
		return 2;
	if (c[0] == 0xE2 && ((c[1] == 0x80 && c[2] >= 0xAA && c[2] <= 0xAE) ||
			     (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9)))
		return 3;
	return 0;
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

int html_escape(const char *text, struct buf *out, struct err *err)
{
	while (*text != '\0') {
		size_t skip = unwanted((const unsigned char *)text);
		const char *as = skip > 0 ? "\xEF\xBF\xBD" : entity(*text);
		if (as != NULL) {
			if (buf_puts(out, as, err) < 0)
				return -1;
			text += skip > 0 ? skip : 1;
			continue;
		}
		const char *begin = text;
		while (*text != '\0' && entity(*text) == NULL &&
		       unwanted((const unsigned char *)text) == 0)
			text++;
		if (buf_append(out, begin, (size_t)(text - begin), err) < 0)
			return -1;
	}
	return 0;
}

void html_raw(struct html *h, const char *markup)
{
	h->failed = h->failed || buf_puts(h->out, markup, h->err) < 0;
}

void html_text(struct html *h, const char *text)
{
	h->failed = h->failed || (text != NULL && html_escape(text, h->out, h->err) < 0);
}

PRINTF_LIKE(3, 0)
static void put(struct html *h, void (*write)(struct html *, const char *), const char *fmt,
		va_list args)
{
	char *text = NULL;
	if (h->failed)
		return;
	if (vasprintf(&text, fmt, args) < 0) {
		err_nomem(h->err, "the page");
		h->failed = true;
		return;
	}
	write(h, text);
	free(text);
}

void html_rawf(struct html *h, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	put(h, html_raw, fmt, args);
	va_end(args);
}

void html_textf(struct html *h, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	put(h, html_text, fmt, args);
	va_end(args);
}

static struct civil date_of(const struct html *h, int64_t wall_ms, int64_t *ret_second)
{
	int64_t s = civil_floor_div(wall_ms, 1000);
	s += zone_offset_s(h->zone, s);
	int64_t day = civil_floor_div(s, 86400);
	*ret_second = s - day * 86400;
	return civil_of_days(day);
}

void html_time(struct html *h, int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t s;
	if (wall_ms <= 0) {
		html_raw(h, "never");
		return;
	}
	struct civil d = date_of(h, wall_ms, &s);
	html_rawf(h, "<time datetime=\"%s\">%04lld-%02d-%02d %02d:%02d</time>",
		  clock_rfc3339(wall_ms, text), (long long)d.year, d.month, d.day, (int)(s / 3600),
		  (int)(s / 60 % 60));
}

void html_day(struct html *h, int64_t wall_ms)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t s;
	struct civil d = date_of(h, wall_ms, &s);
	html_rawf(h, "%d %s", d.day, months[d.month - 1]);
}

void html_age(struct html *h, int64_t wall_ms)
{
	char text[FORMAT_BYTES];
	if (wall_ms <= 0)
		return;
	if (wall_ms <= h->now_ms) {
		html_raw(h, format_age(h->now_ms - wall_ms, text));
		return;
	}
	char *ago = strstr(format_age(wall_ms - h->now_ms, text), " ago");
	if (ago != NULL)
		*ago = '\0';
	html_rawf(h, "in %s", ago != NULL ? text : "a moment");
}

void html_size(struct html *h, uint64_t bytes)
{
	char text[FORMAT_BYTES];
	html_raw(h, format_size(bytes, text));
}

void html_count(struct html *h, uint64_t n)
{
	char text[FORMAT_BYTES];
	html_raw(h, format_count(n, text));
}

void html_duration(struct html *h, int64_t ms)
{
	char text[FORMAT_BYTES];
	html_raw(h, format_duration(ms, text));
}

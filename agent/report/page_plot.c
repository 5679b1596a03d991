/* Plots as inline SVG: small, with labelled axes, and said in words for whoever can't see them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/report/page_impl.h"
#include "agent/output/format.h"
#include "agent/report/overview.h"

enum {
	WIDTH = 340,
	HEIGHT = 170,
	LEFT = 64,
	RIGHT = 12,
	TOP = 18,
	BOTTOM = 24,
	POINTS_MAX = 400,
	DOTS_MAX = 60
};

struct point {
	int64_t at_ms;
	uint64_t value;
	const char *id; /* of the backup; borrowed */
};

enum unit { UNIT_BYTES, UNIT_MS };

static const char *value_text(enum unit unit, uint64_t v, char out[FORMAT_BYTES])
{
	return unit == UNIT_BYTES ? format_size(v, out) : format_duration((int64_t)v, out);
}

/* A step of which about three reach `most`, in numbers that people like. */
static uint64_t nice_step(enum unit unit, uint64_t most)
{
	static const uint64_t times[] = {1,       10,      50,       100,      200,      500,
					 1000,    2000,    5000,     10000,    15000,    30000,
					 60000,   120000,  300000,   600000,   900000,   1800000,
					 3600000, 7200000, 10800000, 21600000, 43200000, 86400000};
	static const uint64_t factors[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
	uint64_t wanted = most / 3 + 1;
	if (unit == UNIT_MS) {
		for (size_t i = 0; i < sizeof times / sizeof *times; i++)
			if (times[i] >= wanted)
				return times[i];
		return wanted;
	}
	for (uint64_t scale = 1; scale <= UINT64_MAX / 1024 / 500; scale *= 1024)
		for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
			if (scale * factors[i] >= wanted)
				return scale * factors[i];
	return wanted;
}

struct scale {
	int64_t from, to;
	uint64_t top; /* highest value of the axis */
};

static double x_of(const struct scale *s, int64_t at)
{
	double share = s->to > s->from ? (double)(at - s->from) / (double)(s->to - s->from) : 0.5;
	return (double)LEFT + share * (double)(WIDTH - LEFT - RIGHT);
}

static double y_of(const struct scale *s, uint64_t value)
{
	double share = s->top > 0 ? (double)value / (double)s->top : 0;
	return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

static void put_axes(struct html *h, enum unit unit, const struct scale *s, uint64_t step)
{
	for (uint64_t v = 0; v <= s->top; v += step) {
		char text[FORMAT_BYTES];
		double y = y_of(s, v);
		html_rawf(h,
			  "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
			  "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
			  LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4,
			  v == 0 ? "0" : value_text(unit, v, text));
	}
	if (s->from == s->to) {
		html_rawf(h, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x_of(s, s->from),
			  HEIGHT - 4);
		html_day(h, s->from);
		html_raw(h, "</text>");
		return;
	}
	html_rawf(h, "<text x=\"%d\" y=\"%d\">", LEFT, HEIGHT - 4);
	html_day(h, s->from);
	html_rawf(h, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
		  HEIGHT - 4);
	html_day(h, s->to);
	html_raw(h, "</text>");
}

static void put_line(struct html *h, enum unit unit, const struct scale *s,
		     const struct point *points, size_t count)
{
	char text[FORMAT_BYTES];
	html_raw(h, "<polyline class=\"line\" points=\"");
	for (size_t i = 0; i < count; i++)
		html_rawf(h, "%s%.1f,%.1f", i > 0 ? " " : "", x_of(s, points[i].at_ms),
			  y_of(s, points[i].value));
	html_raw(h, "\"/>");
	for (size_t i = 0; i < count; i++) {
		bool last = i + 1 == count;
		if (count > DOTS_MAX && !last)
			continue;
		html_rawf(h, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
			  x_of(s, points[i].at_ms), y_of(s, points[i].value), last ? "4" : "2.2");
		html_textf(h, "%s: %s", points[i].id, value_text(unit, points[i].value, text));
		html_raw(h, "</title></circle>");
	}
}

/* "Newest 1.2 MiB; between 1.1 MiB and 1.3 MiB" */
static void put_words(struct html *h, enum unit unit, const struct point *points, size_t count)
{
	char low[FORMAT_BYTES], high[FORMAT_BYTES], newest[FORMAT_BYTES];
	uint64_t least = points[0].value, most = points[0].value;
	for (size_t i = 1; i < count; i++) {
		least = points[i].value < least ? points[i].value : least;
		most = points[i].value > most ? points[i].value : most;
	}
	if (count == 1)
		html_textf(h, "One value: %s", value_text(unit, least, low));
	else
		html_textf(h, "Newest %s; between %s and %s",
			   value_text(unit, points[count - 1].value, newest),
			   value_text(unit, least, low), value_text(unit, most, high));
}

/* A figure with axes, a line, and its values in words. Points in order of time. */
static void put_figure(struct html *h, const char *title, enum unit unit,
		       const struct point *points, size_t count)
{
	html_raw(h, "<figure><figcaption>");
	html_text(h, title);
	html_raw(h, "</figcaption>");
	if (count == 0) {
		html_raw(h, "<p>Nothing to show yet.</p></figure>\n");
		return;
	}
	html_raw(h, "<p>");
	put_words(h, unit, points, count);
	html_rawf(h, "</p><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
	html_text(h, title);
	html_raw(h, ": ");
	put_words(h, unit, points, count);
	html_raw(h, "\">");
	struct scale s = {.from = points[0].at_ms, .to = points[count - 1].at_ms};
	uint64_t most = 0;
	for (size_t i = 0; i < count; i++)
		most = points[i].value > most ? points[i].value : most;
	/* Beyond what fits into half of the numbers there is nothing that anyone measures. */
	most = most > UINT64_MAX / 4 ? UINT64_MAX / 4 : most;
	uint64_t step = nice_step(unit, most);
	s.top = (most / step + 1) * step;
	put_axes(h, unit, &s, step);
	put_line(h, unit, &s, points, count);
	html_raw(h, "</svg></figure>\n");
}

/* ---- what is plotted ---- */

static int by_time(const void *a, const void *b)
{
	const struct point *x = a, *y = b;
	return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms ? 1 : 0;
}

struct points {
	struct point *items;
	size_t count;
};

static void add(struct html *h, struct points *p, const json_t *obj, const char *time,
		const char *key)
{
	struct point *grown;
	if (h->failed)
		return;
	grown = mem_grow(p->items, p->count, sizeof *grown, "a plot", h->err);
	h->failed = grown == NULL;
	if (grown == NULL)
		return;
	p->items = grown;
	p->items[p->count++] = (struct point){.at_ms = overview_time(obj, time),
					      .value = json_u64_or(obj, key, 0),
					      .id = json_str_or(obj, "id", "?")};
}

/* The newest POINTS_MAX of them. */
static void plot(struct html *h, const char *title, enum unit unit, struct points *p)
{
	size_t skip = p->count > POINTS_MAX ? p->count - POINTS_MAX : 0;
	if (p->count > 0)
		qsort(p->items, p->count, sizeof *p->items, by_time);
	if (!h->failed)
		put_figure(h, title, unit, p->count > 0 ? p->items + skip : NULL, p->count - skip);
	free(p->items);
}

static void plot_backups(struct html *h, const char *title, enum unit unit, const json_t *stores,
			 const char *key)
{
	struct points p = {0};
	size_t s, i;
	json_t *store, *b;
	json_array_foreach(stores, s, store)
	{
		json_array_foreach(json_object_get(store, "backups"), i, b)
		{
			if (!json_is_string(json_object_get(b, "broken")) &&
			    !json_is_true(json_object_get(b, "partial")) &&
			    overview_time(b, "taken") > 0 &&
			    !page_seen(stores, s, json_str_or(b, "id", "")))
				add(h, &p, b, "taken", key);
		}
	}
	plot(h, title, unit, &p);
}

void page_plots(struct html *h, const json_t *doc)
{
	const json_t *stores = json_object_get(doc, "stores");
	struct points restores = {0};
	size_t i;
	json_t *e;
	html_raw(h, "<section aria-labelledby=\"time\"><h2 id=\"time\">Over time</h2>\n"
		    "<div class=\"plots\">\n");
	plot_backups(h, "Size of a backup", UNIT_BYTES, stores, "bytes");
	plot_backups(h, "Time a backup takes", UNIT_MS, stores, "duration_ms");
	json_array_foreach(json_object_get(doc, "drills"), i, e)
	{
		if (strcmp(json_str_or(e, "outcome", ""), "passed") == 0 &&
		    overview_time(e, "started") > 0)
			add(h, &restores, e, "started", "restore_ms");
	}
	plot(h, "Time a restore takes (RTO)", UNIT_MS, &restores);
	html_raw(h, "</div></section>\n");
}

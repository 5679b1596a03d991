#include "agent/output/table.h"

#include <stdlib.h>
#include <string.h>
#include "agent/output/columns.h"
#include "agent/output/output.h"

enum { COLUMNS_MAX = 16, GAP = 2 };

struct table {
	struct table_column columns[COLUMNS_MAX];
	size_t count;
	size_t widths[COLUMNS_MAX];
	char **cells;
	size_t rows;
};

static size_t width_of(const char *text)
{
	return columns_of(text, strlen(text));
}

int table_new(const struct table_column *columns, size_t count, struct table **ret, struct err *err)
{
	if (count == 0 || count > COLUMNS_MAX)
		return err_set(err, ERR_LIMIT, "a table of %zu columns", count);
	struct table *t = mem_zalloc(sizeof *t, "a table", err);
	if (t == NULL)
		return -1;
	memcpy(t->columns, columns, count * sizeof *columns);
	t->count = count;
	*ret = t;
	return 0;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->rows * t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

size_t table_rows(const struct table *t)
{
	return t->rows;
}

/* A cell is one line. */
static void flatten(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n' || *text == '\t' || *text == '\r')
			*text = ' ';
}

int table_add(struct table *t, const char *const *cells, struct err *err)
{
	char **grown = mem_grow(t->cells, t->rows, t->count * sizeof *t->cells, "a table", err);
	if (grown == NULL)
		return -1;
	t->cells = grown;
	char **row = t->cells + t->rows * t->count;
	for (size_t i = 0; i < t->count; i++) {
		if (str_dup(cells[i] != NULL ? cells[i] : "", &row[i], err) < 0) {
			while (i > 0)
				free(row[--i]);
			return -1;
		}
		flatten(row[i]);
		size_t width = width_of(row[i]);
		if (width > t->widths[i])
			t->widths[i] = width;
	}
	t->rows++;
	return 0;
}

static int pad(struct buf *line, size_t count, struct err *err)
{
	return count > 0 ? buf_printf(line, err, "%*s", (int)count, "") : 0;
}

/* Appends one line; nothing is padded behind the last cell that has text. */
static int put_row(const struct table *t, const char *const *cells, const size_t *widths,
		   struct buf *out, struct err *err)
{
	size_t last = t->count;
	while (last > 1 && cells[last - 1][0] == '\0')
		last--;
	for (size_t i = 0; i < last; i++) {
		size_t space = widths[i] - width_of(cells[i]);
		bool right = t->columns[i].right;
		if ((i > 0 && pad(out, GAP, err) < 0) || (right && pad(out, space, err) < 0) ||
		    buf_puts(out, cells[i], err) < 0 ||
		    (!right && i + 1 < last && pad(out, space, err) < 0))
			return -1;
	}
	return buf_puts(out, "\n", err);
}

static int put_headings(const struct table *t, const size_t *widths, struct buf *out,
			struct err *err)
{
	const char *cells[COLUMNS_MAX];
	for (size_t i = 0; i < t->count; i++)
		cells[i] = t->columns[i].heading;
	if (buf_puts(out, STYLE_DIM, err) < 0 || put_row(t, cells, widths, out, err) < 0)
		return -1;
	/* The style ends before the newline. */
	out->len--;
	return buf_puts(out, STYLE_END "\n", err);
}

int table_text(const struct table *t, bool headings, struct buf *out, struct err *err)
{
	size_t widths[COLUMNS_MAX];
	for (size_t i = 0; i < t->count; i++) {
		size_t heading = headings ? width_of(t->columns[i].heading) : 0;
		widths[i] = t->widths[i] > heading ? t->widths[i] : heading;
	}
	if (headings && put_headings(t, widths, out, err) < 0)
		return -1;
	for (size_t r = 0; r < t->rows; r++)
		if (put_row(t, (const char *const *)(t->cells + r * t->count), widths, out, err) <
		    0)
			return -1;
	return 0;
}

#include "agent/output/doc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/output/output.h"

/* Escapes make lines of roff longer than what they print. */
enum { PAGE_MAX_BYTES = 1 << 20, INDENT = 2, SOURCE_WIDTH = 70 };

struct doc {
	enum doc_format format;
	struct buf page;
	unsigned column;
	enum last { LAST_NOTHING, LAST_HEADING, LAST_TEXT, LAST_ITEM } last;
	bool failed; /* err says why */
	struct err err;
};

int doc_new(enum doc_format format, struct doc **ret, struct err *err)
{
	struct doc *d = mem_zalloc(sizeof *d, "a page", err);
	if (d == NULL)
		return -1;
	d->format = format;
	d->column = 24;
	buf_init(&d->page, PAGE_MAX_BYTES);
	*ret = d;
	return 0;
}

void doc_free(struct doc *d)
{
	if (d == NULL)
		return;
	buf_done(&d->page);
	free(d);
}

bool doc_is_man(const struct doc *d)
{
	return d->format == DOC_MAN;
}

static void put(struct doc *d, const char *text, size_t len)
{
	if (!d->failed && buf_append(&d->page, text, len, &d->err) < 0)
		d->failed = true;
}

static void puts_to(struct doc *d, const char *text)
{
	put(d, text, strlen(text));
}

/* ---- man(7) ---- */

/* Text that roff prints as it is. A dash becomes a real minus, so that options can be copied. */
static void put_roff(struct doc *d, const char *text, size_t len)
{
	bool line_begins = d->page.len == 0 || d->page.data[d->page.len - 1] == '\n';
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (line_begins && (c == '.' || c == '\''))
			puts_to(d, "\\&");
		if (c == '\\')
			puts_to(d, "\\e");
		else if (c == '-')
			puts_to(d, "\\-");
		else if (c == '\'')
			puts_to(d, "\\(aq");
		else if (c == '`')
			puts_to(d, "\\(ga");
		else if (c == '^')
			puts_to(d, "\\(ha");
		else if (c == '~')
			puts_to(d, "\\(ti");
		else
			put(d, &c, 1);
		line_begins = c == '\n';
	}
}

static void put_macro(struct doc *d, const char *macro, const char *argument)
{
	puts_to(d, macro);
	if (argument != NULL) {
		puts_to(d, " \"");
		/* A quote inside quotes is written twice. */
		for (const char *c = argument; *c != '\0'; c++) {
			if (*c == '"')
				puts_to(d, "\"\"");
			else
				put_roff(d, c, 1);
		}
		puts_to(d, "\"");
	}
	puts_to(d, "\n");
}

/* ---- text ---- */

static size_t columns_of(const char *text, size_t len)
{
	size_t columns = 0;
	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xC0U) != 0x80U;
	return columns;
}

static void put_spaces(struct doc *d, size_t count)
{
	while (count-- > 0)
		puts_to(d, " ");
}

/* One paragraph, filled; the cursor stands at column `at`, further lines begin at `indent`. */
static void fill(struct doc *d, const char *text, size_t len, size_t at, size_t indent)
{
	bool first = true;
	for (size_t i = 0; i < len;) {
		while (i < len && isspace((unsigned char)text[i]))
			i++;
		size_t word = i;
		while (i < len && !isspace((unsigned char)text[i]))
			i++;
		size_t columns = columns_of(text + word, i - word);
		if (columns == 0)
			break;
		if (!first &&
		    at + 1 + columns > (d->format == DOC_MAN ? SOURCE_WIDTH : DOC_WIDTH)) {
			puts_to(d, "\n");
			put_spaces(d, indent);
			at = indent;
		} else if (!first) {
			puts_to(d, " ");
			at++;
		}
		if (d->format == DOC_MAN)
			put_roff(d, text + word, i - word);
		else
			put(d, text + word, i - word);
		at += columns;
		first = false;
	}
	puts_to(d, "\n");
}

/* How long the paragraph is that `text` begins with. */
static size_t paragraph(const char *text)
{
	const char *end = strstr(text, "\n\n");
	return end != NULL ? (size_t)(end - text) : strlen(text);
}

/* An empty line in text, unless a heading stands right above. */
static void separate(struct doc *d)
{
	if (d->format == DOC_TEXT && d->last != LAST_NOTHING && d->last != LAST_HEADING)
		puts_to(d, "\n");
}

/* ---- both ---- */

void doc_title(struct doc *d, const char *name, int section, const char *what)
{
	if (d->format != DOC_MAN)
		return;
	char line[256];
	char upper[64];
	size_t len = 0;
	for (; name[len] != '\0' && len + 1 < sizeof upper; len++)
		upper[len] = (char)toupper((unsigned char)name[len]);
	upper[len] = '\0';
	snprintf(line, sizeof line, ".TH %s %d \"%s\" \"Lifeboat %s\"\n", upper, section,
		 LIFEBOAT_DATE, LIFEBOAT_VERSION);
	puts_to(d, line);
	/* Ragged and without hyphens: options and URLs must be copied as they are. */
	puts_to(d, ".nh\n.ad l\n");
	put_macro(d, ".SH", "NAME");
	put_roff(d, name, strlen(name));
	puts_to(d, " \\- ");
	put_roff(d, what, strlen(what));
	puts_to(d, "\n");
}

void doc_heading(struct doc *d, const char *text)
{
	if (d->format == DOC_MAN) {
		char upper[128];
		size_t len = 0;
		for (; text[len] != '\0' && len + 1 < sizeof upper; len++)
			upper[len] = (char)toupper((unsigned char)text[len]);
		upper[len] = '\0';
		put_macro(d, ".SH", upper);
	} else {
		separate(d);
		puts_to(d, STYLE_BOLD);
		puts_to(d, text);
		puts_to(d, ":" STYLE_END "\n");
	}
	d->last = LAST_HEADING;
}

void doc_subheading(struct doc *d, const char *text)
{
	if (d->format == DOC_MAN) {
		put_macro(d, ".SS", text);
	} else {
		if (d->last != LAST_NOTHING)
			puts_to(d, "\n");
		puts_to(d, STYLE_BOLD);
		puts_to(d, text);
		puts_to(d, STYLE_END "\n");
	}
	d->last = LAST_HEADING;
}

void doc_text(struct doc *d, const char *text)
{
	while (*text != '\0') {
		size_t len = paragraph(text);
		if (d->format == DOC_MAN && d->last != LAST_HEADING)
			puts_to(d, ".PP\n");
		separate(d);
		fill(d, text, len, 0, 0);
		text += len;
		text += strspn(text, "\n");
		d->last = LAST_TEXT;
	}
}

void doc_textf(struct doc *d, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0) {
		if (!d->failed)
			err_nomem(&d->err, "a page");
		d->failed = true;
		return;
	}
	doc_text(d, text);
	free(text);
}

void doc_column(struct doc *d, unsigned column)
{
	d->column = column;
}

void doc_item(struct doc *d, const char *term, const char *meaning)
{
	enum last last = d->last;
	size_t at = INDENT + columns_of(term, strlen(term));
	if (last == LAST_TEXT)
		separate(d);
	d->last = LAST_ITEM;
	if (d->format == DOC_MAN) {
		puts_to(d, ".TP\n.B ");
		put_roff(d, term, strlen(term));
		puts_to(d, "\n");
		fill(d, meaning, strlen(meaning), 0, 0);
		return;
	}
	put_spaces(d, INDENT);
	puts_to(d, term);
	if (at + 2 > d->column) {
		puts_to(d, "\n");
		at = 0;
	}
	put_spaces(d, d->column - at);
	fill(d, meaning, strlen(meaning), d->column, d->column);
}

void doc_code(struct doc *d, const char *lines)
{
	separate(d);
	if (d->format == DOC_MAN)
		puts_to(d, d->last == LAST_HEADING ? ".RS 4\n.nf\n" : ".PP\n.RS 4\n.nf\n");
	d->last = LAST_TEXT;
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");
		if (d->format == DOC_MAN) {
			put_roff(d, lines, len);
		} else {
			put_spaces(d, len > 0 ? INDENT : 0);
			put(d, lines, len);
		}
		puts_to(d, "\n");
		lines += len + (lines[len] == '\n');
	}
	if (d->format == DOC_MAN)
		puts_to(d, ".fi\n.RE\n");
}

int doc_take(struct doc *d, char **ret, struct err *err)
{
	if (d->failed) {
		*err = d->err;
		return -1;
	}
	return buf_take(&d->page, ret, err);
}

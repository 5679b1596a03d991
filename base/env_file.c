#include "base/env_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/expand.h"
#include "base/file.h"
#include "base/secret.h"

enum { FILE_MAX_BYTES = 1 << 20, VARIABLES_MAX = 4096, TOTAL_MAX_BYTES = 8 << 20 };

struct variable {
	char *name;
	char *value;
};

struct env_file {
	struct variable *items;
	size_t count;
	size_t bytes; /* of all values */
};

/* Where reading stands. */
struct place {
	struct env_file *into;
	const char *file;
	const char *at, *end;
	unsigned line;
	struct err *err;
};

int env_file_new(struct env_file **ret, struct err *err)
{
	struct env_file *e = mem_zalloc(sizeof *e, "an env file", err);
	if (e == NULL)
		return -1;
	*ret = e;
	return 0;
}

void env_file_free(struct env_file *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->count; i++) {
		free(e->items[i].name);
		secret_wipe(e->items[i].value);
	}
	free(e->items);
	free(e);
}

static struct variable *find(const struct env_file *e, const char *name)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->items[i].name, name) == 0)
			return &e->items[i];
	return NULL;
}

const char *env_file_get(const struct env_file *e, const char *name)
{
	const struct variable *v = find(e, name);
	return v != NULL ? v->value : NULL;
}

size_t env_file_count(const struct env_file *e)
{
	return e->count;
}

const char *env_file_name(const struct env_file *e, size_t index)
{
	return e->items[index].name;
}

static int fail(struct place *p, const char *what)
{
	return err_set(p->err, ERR_CONFIG, "%s:%u: %s", p->file, p->line, what);
}

static int add(struct place *p, char *name, char *value)
{
	struct env_file *e = p->into;
	if (e->count >= VARIABLES_MAX)
		return fail(p, "too many variables");
	struct variable *grown =
	    mem_grow(e->items, e->count, sizeof *e->items, "an env file", p->err);
	if (grown == NULL)
		return -1;
	e->items = grown;
	e->items[e->count++] = (struct variable){name, value};
	return 0;
}

/* Takes both. */
static int put(struct place *p, char *name, char *value)
{
	struct env_file *e = p->into;
	struct variable *known = find(e, name);
	e->bytes += strlen(value);
	if (known != NULL) {
		e->bytes -= strlen(known->value);
		secret_wipe(known->value);
		known->value = value;
		free(name);
	} else if (add(p, name, value) < 0) {
		free(name);
		secret_wipe(value);
		return -1;
	}
	return e->bytes <= TOTAL_MAX_BYTES ? 0 : fail(p, "the values are too long together");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(struct place *p)
{
	while (p->at < p->end && is_blank(*p->at))
		p->at++;
}

static void skip_line(struct place *p)
{
	while (p->at < p->end && *p->at != '\n')
		p->at++;
}

/* To the next statement; false at the end. */
static bool skip_to_statement(struct place *p)
{
	for (; p->at < p->end; p->at++) {
		if (*p->at == '#')
			skip_line(p);
		if (p->at == p->end)
			break;
		if (*p->at == '\n')
			p->line++;
		else if (!is_blank(*p->at))
			return true;
	}
	return false;
}

static bool in_name(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("_.-[]", c) != NULL);
}

/* "export NAME =": *ret_inherited is true when there is no value. */
static int read_name(struct place *p, char **ret, bool *ret_inherited)
{
	static const char export[] = "export";
	size_t word = sizeof export - 1;
	if ((size_t)(p->end - p->at) > word && memcmp(p->at, export, word) == 0 &&
	    is_blank(p->at[word])) {
		p->at += word;
		skip_blanks(p);
	}
	const char *name = p->at;
	while (p->at < p->end && in_name(*p->at))
		p->at++;
	size_t len = (size_t)(p->at - name);
	skip_blanks(p);
	bool ends = p->at == p->end || *p->at == '\n' || *p->at == '#';
	if (len == 0 || (!ends && *p->at != '=' && *p->at != ':'))
		return fail(p, "not NAME=value");
	*ret_inherited = ends;
	if (!ends)
		p->at++;
	return str_dupn(name, len, ret, p->err);
}

static const char *lookup(void *ctx, const char *name)
{
	const char *value = getenv(name);
	return value != NULL ? value : env_file_get(ctx, name);
}

/* Appends a quoted value and stands behind its closing quote. What the expander is to leave alone
 * gets a second dollar. */
static int read_quoted(struct place *p, char quote, struct buf *out)
{
	unsigned begun = p->line;
	for (p->at++; p->at < p->end && *p->at != quote; p->at++) {
		char c = *p->at;
		bool escaped = c == '\\' && p->at + 1 < p->end;
		if (c == '\n')
			p->line++;
		if (escaped && quote == '\'')
			escaped = p->at[1] == '\'';
		if (escaped) {
			c = *++p->at;
			if (c == '\n')
				p->line++;
			if (quote == '"')
				c = (char)(c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c);
		}
		bool literal_dollar = c == '$' && (escaped || quote == '\'');
		if (buf_append(out, literal_dollar ? "$$" : &c, literal_dollar ? 2 : 1, p->err) < 0)
			return -1;
	}
	if (p->at == p->end) {
		p->line = begun;
		return fail(p, "the quote is never closed");
	}
	p->at++;
	skip_blanks(p);
	if (p->at < p->end && *p->at != '\n' && *p->at != '#')
		return fail(p, "text after the closing quote");
	skip_line(p);
	return 0;
}

static int read_plain(struct place *p, struct buf *out)
{
	const char *start = p->at;
	skip_line(p);
	const char *stop = p->at;
	for (const char *c = start; c < stop; c++) {
		if (*c == '#' && (c == start || is_blank(c[-1])))
			stop = c;
	}
	while (stop > start && is_blank(stop[-1]))
		stop--;
	return buf_append(out, start, (size_t)(stop - start), p->err);
}

static int read_value(struct place *p, char **ret)
{
	struct buf raw;
	buf_init(&raw, FILE_MAX_BYTES * 2);
	unsigned line = p->line;
	skip_blanks(p);
	char first = '\n';
	if (p->at < p->end)
		first = *p->at;
	int done =
	    first == '"' || first == '\'' ? read_quoted(p, first, &raw) : read_plain(p, &raw);
	if (done == 0) {
		struct expand_opts opts = {.lookup = lookup, .ctx = p->into};
		done = expand(buf_text(&raw), &opts, ret, p->err);
		if (done < 0)
			err_wrap(p->err, "%s:%u", p->file, line);
	}
	if (raw.data != NULL)
		explicit_bzero(raw.data, raw.cap);
	buf_done(&raw);
	return done;
}

static int read_statement(struct place *p)
{
	char *name = NULL, *value = NULL;
	bool inherited = false;
	if (read_name(p, &name, &inherited) < 0)
		return -1;
	if (inherited) {
		skip_line(p);
		const char *environment = getenv(name);
		if (environment == NULL) {
			free(name);
			return 0;
		}
		if (str_dup(environment, &value, p->err) < 0) {
			free(name);
			return -1;
		}
		return put(p, name, value);
	}
	if (read_value(p, &value) < 0) {
		free(name);
		return -1;
	}
	return put(p, name, value);
}

int env_file_parse(struct env_file *e, const char *text, size_t len, const char *name,
		   struct err *err)
{
	struct place p = {
	    .into = e, .file = name, .at = text, .end = text + len, .line = 1, .err = err};
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		p.at += 3;
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return err_set(err, ERR_CONFIG, "%s: has bytes that are not text", name);
	while (len > 0 && skip_to_statement(&p)) {
		if (read_statement(&p) < 0)
			return -1;
	}
	return 0;
}

int env_file_read(struct env_file *e, const char *path, struct err *err)
{
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int done = file_read_all(path, &text, err);
	if (done == 0)
		done = env_file_parse(e, buf_text(&text), text.len, path, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_done(&text);
	return done;
}

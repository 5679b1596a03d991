#include "base/inifile.h"

#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/secret.h"

/* After each section line inih is given a line with this key, so that the handler also hears of
 * sections that are empty. No real line can have it: the byte is refused as not being text. */
#define SECTION_MARK "\x01"

struct reading {
	const char *name;
	const char *next, *end;
	unsigned line;
	bool mark_due;
	bool continues; /* the line given last was indented */
	const char *line_start;
	size_t line_len;
	struct inifile *file;
	bool failed;
	struct err *err;
};

static int fail(struct reading *r, const char *what)
{
	r->failed = true;
	return err_set(r->err, ERR_CONFIG, "%s:%u: %s", r->name, r->line, what);
}

/* What inih would read past without a word. */
static int check_line(struct reading *r, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];
		if ((c < 0x20 && c != '\t' && !(c == '\r' && i + 1 == len)) || c == 0x7F)
			return fail(r, "the line has bytes that are not text");
	}
	if (len == 0 || line[0] != '[')
		return 0;
	const char *close = memchr(line, ']', len);
	if (close == NULL)
		return 0; /* inih says so */
	const char *after = close + 1;
	while (after < line + len && isspace((unsigned char)*after))
		after++;
	if (after < line + len && *after != ';' && *after != '#')
		return fail(r, "text after ']'");
	if (close - line - 1 >= INIFILE_MAX_NAME)
		return fail(r, "the section's name is too long");
	r->mark_due = true;
	return 0;
}

/* inih's reader: one line per call, like fgets. */
static char *next_line(char *out, int out_bytes, void *stream)
{
	struct reading *r = stream;
	if (r->failed)
		return NULL;
	if (r->mark_due) {
		r->mark_due = false;
		memcpy(out, SECTION_MARK "=\n", sizeof SECTION_MARK "=\n");
		return out;
	}
	if (r->next >= r->end)
		return NULL;
	r->line++;
	const char *newline = memchr(r->next, '\n', (size_t)(r->end - r->next));
	const char *stop = newline != NULL ? newline : r->end;
	size_t len = (size_t)(stop - r->next);
	if (len + 2 > (size_t)out_bytes || len > INIFILE_MAX_LINE) {
		fail(r, "the line is too long");
		return NULL;
	}
	/* A byte order mark is inih's to skip, and no reason to miss a section. */
	size_t bom = r->line == 1 && len >= 3 && memcmp(r->next, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	if (check_line(r, r->next + bom, len - bom) < 0)
		return NULL;
	memcpy(out, r->next, len);
	out[len] = '\n';
	out[len + 1] = '\0';
	r->continues = len > 0 && isspace((unsigned char)out[0]);
	r->line_start = r->next;
	r->line_len = len;
	r->next = newline != NULL ? newline + 1 : r->end;
	return out;
}

static int add_section(struct reading *r, const char *name)
{
	while (isspace((unsigned char)*name))
		name++;
	size_t len = strlen(name);
	while (len > 0 && isspace((unsigned char)name[len - 1]))
		len--;
	if (len == 0)
		return fail(r, "the section has no name");
	struct inifile *f = r->file;
	for (size_t i = 0; i < f->count; i++) {
		if (strlen(f->sections[i].name) == len &&
		    memcmp(f->sections[i].name, name, len) == 0) {
			r->failed = true;
			return err_set(r->err, ERR_CONFIG,
				       "%s:%u: section [%s] is there twice, first in line %u",
				       r->name, r->line, f->sections[i].name, f->sections[i].line);
		}
	}
	struct inifile_section *grown =
	    mem_grow(f->sections, f->count, sizeof *f->sections, "a section", r->err);
	if (grown == NULL)
		return -1;
	f->sections = grown;
	f->sections[f->count] = (struct inifile_section){.line = r->line};
	return str_dupn(name, len, &f->sections[f->count++].name, r->err);
}

/* An indented line: joined to the value before it by a newline. */
static int continue_value(struct reading *r, struct inifile_entry *last, const char *more)
{
	/* inih drops comments behind first lines only. */
	size_t len = 0;
	while (more[len] != '\0' &&
	       !(more[len] == ';' && len > 0 && isspace((unsigned char)more[len - 1])))
		len++;
	while (len > 0 && isspace((unsigned char)more[len - 1]))
		len--;
	char *joined;
	if (str_printf(&joined, r->err, "%s%s%.*s", last->value, last->value[0] != '\0' ? "\n" : "",
		       (int)len, more) < 0)
		return -1;
	secret_wipe(last->value);
	last->value = joined;
	return 0;
}

static int add_entry(struct reading *r, const char *key, const char *value)
{
	if (key[0] == '\0')
		return fail(r, "there is no key before '='");
	if (r->file->count == 0)
		return fail(r, "a key before the first [section]");
	struct inifile_section *s = &r->file->sections[r->file->count - 1];
	if (r->continues && s->count > 0)
		return continue_value(r, &s->entries[s->count - 1], value);
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->entries[i].key, key) == 0) {
			r->failed = true;
			return err_set(r->err, ERR_CONFIG,
				       "%s:%u: key '%s' is there twice in [%s], first in line %u",
				       r->name, r->line, key, s->name, s->entries[i].line);
		}
	}
	struct inifile_entry *grown =
	    mem_grow(s->entries, s->count, sizeof *s->entries, "a key", r->err);
	if (grown == NULL)
		return -1;
	s->entries = grown;
	struct inifile_entry *e = &s->entries[s->count++];
	*e = (struct inifile_entry){.line = r->line};
	return str_dup(key, &e->key, r->err) < 0 ? -1 : str_dup(value, &e->value, r->err);
}

/* inih's handler: nonzero means go on. */
static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	int done =
	    strcmp(key, SECTION_MARK) == 0 ? add_section(r, section) : add_entry(r, key, value);
	if (done < 0)
		r->failed = true;
	return done == 0;
}

static int parse(struct reading *r)
{
	/* Debian's inih takes these at run time; a build that has them fixed gives the reader a
	 * smaller buffer, which is noticed there. */
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = ini_max_line = INIFILE_MAX_LINE + 3;
	ini_stop_on_first_error = true;
	int status = ini_parse_stream(next_line, r, handle, r);
	if (r->failed)
		return -1;
	if (status == -2)
		return err_nomem(r->err, "a line");
	if (status == 0)
		return 0;
	if (r->line_len > 0 && r->line_start[0] == '[')
		return fail(r, "the section has no ']'");
	return fail(r, "neither [section] nor key = value");
}

int inifile_parse(const char *text, size_t len, const char *name, struct inifile **ret,
		  struct err *err)
{
	CLEANUP(inifile_freep)
	struct inifile *file = mem_zalloc(sizeof *file, "an ini file", err);
	if (file == NULL)
		return -1;
	struct reading r = {
	    .name = name, .next = text, .end = text + len, .file = file, .err = err};
	if (len > 0 && parse(&r) < 0)
		return -1;
	*ret = file;
	file = NULL;
	return 0;
}

void inifile_free(struct inifile *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++) {
		for (size_t k = 0; k < f->sections[i].count; k++) {
			free(f->sections[i].entries[k].key);
			secret_wipe(f->sections[i].entries[k].value);
		}
		free(f->sections[i].entries);
		free(f->sections[i].name);
	}
	free(f->sections);
	free(f);
}

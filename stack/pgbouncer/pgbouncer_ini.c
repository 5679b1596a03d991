#include "stack/pgbouncer/pgbouncer_ini.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* PgBouncer bounds the depth alone; a file that includes itself twice would still be a bomb. */
enum {
	DEPTH_MAX = 10,
	FILE_BYTES_MAX = 16 << 20,
	TOTAL_BYTES_MAX = 64 << 20,
	FILES_MAX = 4096,
	ITEMS_MAX = 1 << 20
};

struct parse {
	struct pgbouncer_ini *ini;
	const char *ini_path, *cwd;
	pgbouncer_read_fn *read;
	void *ctx;
	const char *section; /* current one: an item's name */
};

/* Where we are in one file. */
struct cursor {
	const char *file;
	const char *p;
	const char *counted; /* lines up to here are in `line` */
	unsigned line;
};

static unsigned line_of(struct cursor *c, const char *p)
{
	for (; c->counted < p; c->counted++)
		c->line += *c->counted == '\n';
	return c->line;
}

/* The ASCII space of C, which is what PgBouncer's isspace sees in its locale. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_key_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("_.-*", c) != NULL);
}

static int syntax_error(struct cursor *c, const char *what, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "%s:%u: %s", c->file, line_of(c, c->p), what);
}

/* ---- items ---- */

static int add_item(struct parse *s, struct cursor *c, enum pgbouncer_item_kind kind,
		    const char *name, size_t name_len, const char *value, size_t value_len,
		    struct err *err)
{
	struct pgbouncer_ini *ini = s->ini;
	if (ini->count >= ITEMS_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d settings", s->ini_path, ITEMS_MAX);
	struct pgbouncer_item *items =
	    mem_grow(ini->items, ini->count, sizeof *items, "settings of pgbouncer", err);
	if (items == NULL)
		return -1;
	ini->items = items;
	struct pgbouncer_item *i = &ini->items[ini->count];
	*i = (struct pgbouncer_item){
	    .kind = kind, .section = s->section, .file = c->file, .line = line_of(c, c->p)};
	if (str_dupn(name, name_len, &i->name, err) < 0)
		return -1;
	if (str_dupn(value, value_len, &i->value, err) < 0) {
		free(i->name);
		return -1;
	}
	ini->count++;
	return 0;
}

/* ---- one file ---- */

static int parse_file(struct parse *s, const char *path, unsigned depth, struct err *err);

/* The rest of the line, without the space at its end; *p moves to the line's end. */
static size_t rest_of_line(const char **p, const char **ret_start)
{
	const char *start = *p;
	size_t len = strcspn(start, "\n");
	*p = start + len;
	while (len > 0 && is_space(start[len - 1]))
		len--;
	*ret_start = start;
	return len;
}

static int parse_include(struct parse *s, struct cursor *c, unsigned depth, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *path = NULL;
	const char *start, *p = c->p + strlen("%include");
	if (depth >= DEPTH_MAX)
		return syntax_error(c, "files are included more than 10 deep", err);
	while (is_blank(*p))
		p++;
	size_t len = rest_of_line(&p, &start);
	if (str_dupn(start, len, &name, err) < 0 ||
	    pgbouncer_ini_path(s->ini_path, s->cwd, name, &path, err) < 0 ||
	    add_item(s, c, PGBOUNCER_INCLUDE, "%include", 8, path, strlen(path), err) < 0)
		return -1;
	if (parse_file(s, path, depth + 1, err) < 0)
		return err_wrap(err, "%s:%u: %%include", c->file, line_of(c, c->p));
	c->p = p;
	return 0;
}

static int parse_section(struct parse *s, struct cursor *c, struct err *err)
{
	const char *name = c->p + 1;
	size_t len = strcspn(name, "]\n");
	if (name[len] != ']')
		return syntax_error(c, "a section without ']'", err);
	if (add_item(s, c, PGBOUNCER_SECTION, name, len, "", 0, err) < 0)
		return -1;
	struct pgbouncer_item *i = &s->ini->items[s->ini->count - 1];
	i->section = s->section = i->name;
	c->p = name + len + 1;
	return 0;
}

static int parse_pair(struct parse *s, struct cursor *c, struct err *err)
{
	const char *key = c->p, *p, *value;
	size_t key_len;
	if (*key == '\'') {
		key++;
		key_len = strcspn(key, "'");
		if (key[key_len] == '\0' || key_len == 0)
			return syntax_error(c, "a quoted name that is empty or has no end", err);
		p = key + key_len + 1;
	} else {
		for (p = key; is_key_char(*p); p++)
			continue;
		key_len = (size_t)(p - key);
	}
	while (is_blank(*p))
		p++;
	if (*p != '=')
		return syntax_error(c, "'=' is missing after a setting's name", err);
	for (p++; is_blank(*p); p++)
		continue;
	if (s->section == NULL)
		return syntax_error(c, "a setting before the first section", err);
	size_t len = rest_of_line(&p, &value);
	if (add_item(s, c, PGBOUNCER_PAIR, key, key_len, value, len, err) < 0)
		return -1;
	c->p = p;
	return 0;
}

/* `text` ends at its first NUL, as PgBouncer sees it. */
static int parse_text(struct parse *s, const char *file, const char *text, unsigned depth,
		      struct err *err)
{
	struct cursor c = {.file = file, .p = text, .counted = text, .line = 1};
	for (;;) {
		int rc;
		while (is_space(*c.p))
			c.p++;
		if (*c.p == '\0')
			return 0;
		if (strncmp(c.p, "%include", 8) == 0 && is_blank(c.p[8])) {
			rc = parse_include(s, &c, depth, err);
		} else if (*c.p == '#' || *c.p == ';') {
			c.p += strcspn(c.p, "\n");
			rc = 0;
		} else if (*c.p == '[') {
			rc = parse_section(s, &c, err);
		} else {
			rc = parse_pair(s, &c, err);
		}
		if (rc < 0)
			return -1;
	}
}

static int parse_file(struct parse *s, const char *path, unsigned depth, struct err *err)
{
	struct pgbouncer_ini *ini = s->ini;
	if (ini->files.count >= FILES_MAX || ini->bytes > TOTAL_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "'%s' includes too much", s->ini_path);
	if (strlist_push(&ini->files, path, err) < 0)
		return -1;
	/* The list may grow, but its strings stay where they are. */
	const char *file = ini->files.items[ini->files.count - 1];
	struct buf text;
	buf_init(&text, FILE_BYTES_MAX);
	int rc = s->read(s->ctx, path, &text, err);
	ini->bytes += text.len + 1;
	if (rc == 0)
		rc = parse_text(s, file, buf_text(&text), depth, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_done(&text);
	return rc;
}

/* ---- the whole ---- */

int pgbouncer_ini_load(const char *ini_path, const char *cwd, pgbouncer_read_fn *read, void *ctx,
		       struct pgbouncer_ini **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(pgbouncer_ini_freep)
	struct pgbouncer_ini *ini = mem_zalloc(sizeof *ini, "settings of pgbouncer", err);
	if (ini == NULL || pgbouncer_ini_path(ini_path, cwd, ini_path, &path, err) < 0)
		return -1;
	struct parse s = {.ini = ini, .ini_path = ini_path, .cwd = cwd, .read = read, .ctx = ctx};
	if (parse_file(&s, path, 0, err) < 0)
		return -1;
	*ret = ini;
	ini = NULL;
	return 0;
}

void pgbouncer_ini_free(struct pgbouncer_ini *ini)
{
	if (ini == NULL)
		return;
	for (size_t i = 0; i < ini->count; i++) {
		/* Connection strings hold passwords. */
		explicit_bzero(ini->items[i].value, strlen(ini->items[i].value));
		free(ini->items[i].value);
		free(ini->items[i].name);
	}
	free(ini->items);
	strlist_done(&ini->files);
	free(ini);
}

int pgbouncer_ini_path(const char *ini_path, const char *cwd, const char *path, char **ret,
		       struct err *err)
{
	const char *slash = strrchr(ini_path, '/');
	if (path[0] == '/' || (cwd == NULL && (path == ini_path || slash == NULL)))
		return str_dup(path, ret, err);
	if (cwd != NULL)
		return str_printf(ret, err, "%s%s%s", cwd,
				  cwd[0] != '\0' && cwd[strlen(cwd) - 1] == '/' ? "" : "/", path);
	return str_printf(ret, err, "%.*s/%s", (int)(slash - ini_path), ini_path, path);
}

/* ---- connection strings ---- */

static const char *skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* After the opening quote; '' is a quote. NULL without an end. */
static const char *unquote(const char *p, char *out)
{
	for (; *p != '\0'; p++) {
		if (*p == '\'' && *++p != '\'') {
			*out = '\0';
			return p;
		}
		*out++ = *p;
	}
	return NULL;
}

int pgbouncer_ini_pair(const char **text, char **ret_key, char **ret_value, struct err *err)
{
	const char *key = skip_blanks(*text);
	*ret_key = *ret_value = NULL;
	*text = key;
	if (*key == '\0')
		return 0;
	size_t key_len = strcspn(key, "= ");
	const char *p = skip_blanks(key + key_len);
	if (*p != '=' || key_len == 0)
		return err_set(err, ERR_CORRUPT, "syntax error in a connection string");
	p = skip_blanks(p + 1);
	size_t room = strlen(p) + 1;
	CLEANUP(freep) char *value = mem_zalloc(room, "a connection string", err);
	if (value == NULL)
		return -1;
	if (*p == '\'') {
		p = unquote(p + 1, value);
	} else {
		size_t len = strcspn(p, " ");
		memcpy(value, p, len);
		value[len] = '\0';
		p += len;
	}
	if (p == NULL || value[0] == '\0') {
		explicit_bzero(value, room);
		return err_set(err, ERR_CORRUPT, "%s in a connection string",
			       p == NULL ? "a quote without end" : "an empty value");
	}
	if (str_dupn(key, key_len, ret_key, err) < 0)
		return -1;
	/* Whatever stands right behind a value is passed over, as PgBouncer does. */
	*text = *p != '\0' ? p + 1 : p;
	*ret_value = value;
	value = NULL;
	return 0;
}

/* ---- settings ---- */

const char *const pgbouncer_ini_file_settings[] = {"auth_file",
						   "auth_hba_file",
						   "auth_ident_file",
						   "client_tls_key_file",
						   "client_tls_cert_file",
						   "client_tls_ca_file",
						   "server_tls_key_file",
						   "server_tls_cert_file",
						   "server_tls_ca_file",
						   NULL};

const char *pgbouncer_ini_role(const char *setting)
{
	const char *const *s = pgbouncer_ini_file_settings;
	while (*s != NULL && strcmp(*s, setting) != 0)
		s++;
	if (*s == NULL)
		return NULL;
	return strcmp(setting, "auth_file") == 0         ? "auth"
	       : strcmp(setting, "auth_hba_file") == 0   ? "hba"
	       : strcmp(setting, "auth_ident_file") == 0 ? "ident"
							 : "tls";
}

/* These two have no default (PgBouncer's main.c). */
static bool survives_section(const char *setting)
{
	return strcmp(setting, "auth_file") == 0 || strcmp(setting, "auth_ident_file") == 0;
}

const struct pgbouncer_item *pgbouncer_ini_effective(const struct pgbouncer_ini *ini,
						     const char *setting)
{
	const struct pgbouncer_item *counts = NULL;
	for (size_t i = 0; i < ini->count; i++) {
		const struct pgbouncer_item *item = &ini->items[i];
		if (item->section == NULL || strcmp(item->section, "pgbouncer") != 0)
			continue;
		if (item->kind == PGBOUNCER_SECTION && !survives_section(setting))
			counts = NULL;
		if (item->kind == PGBOUNCER_PAIR && strcmp(item->name, setting) == 0)
			counts = item;
	}
	return counts;
}

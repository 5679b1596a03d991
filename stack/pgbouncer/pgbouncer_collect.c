/* Which files a configuration of PgBouncer consists of. */
#include <stdlib.h>
#include <string.h>
#include "stack/pgbouncer/pgbouncer_ini.h"

enum { FILE_BYTES_MAX = 64 << 20 };

struct collect {
	const char *ini_path, *cwd;
	pgbouncer_read_fn *read;
	void *ctx;
	json_t *list;
	struct strlist seen;
};

static int add(struct collect *c, const char *path, const char *role, const char *setting,
	       struct err *err)
{
	if (strlist_has(&c->seen, path))
		return 0;
	CLEANUP(json_freep) json_t *file = json_object();
	if (file == NULL)
		return err_nomem(err, "a list of files");
	if (strlist_push(&c->seen, path, err) < 0 ||
	    json_put(file, "path", json_text_value(path), err) < 0 ||
	    json_put(file, "role", json_string(role), err) < 0 ||
	    (setting != NULL && json_put(file, "setting", json_string(setting), err) < 0))
		return -1;
	return json_push(c->list, json_incref(file), err);
}

/* ---- lists of names that an HBA file refers to as @file ---- */

static int add_names(struct collect *c, const char *hba, unsigned line, const char *name,
		     size_t len, const char *setting, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	const char *slash = strrchr(hba, '/');
	int folder = name[0] != '/' && slash != NULL ? (int)(slash + 1 - hba) : 0;
	if (str_printf(&path, err, "%.*s%.*s", folder, hba, (int)len, name) < 0)
		return -1;
	struct buf text;
	buf_init(&text, FILE_BYTES_MAX);
	int rc = c->read(c->ctx, path, &text, err);
	buf_done(&text);
	if (rc < 0)
		return err_wrap(err, "%s:%u: @%.*s", hba, line, (int)len, name);
	return add(c, path, "hba", setting, err);
}

/* Names are separated by blanks and commas, "…" is one name, # begins a comment (hba.c). */
static int scan_hba(struct collect *c, const char *path, const char *text, const char *setting,
		    struct err *err)
{
	unsigned line = 1;
	for (const char *p = text; *p != '\0';) {
		if (*p == '\n') {
			line++;
			p++;
		} else if (strchr(" \t\r\v\f,", *p) != NULL) {
			p++;
		} else if (*p == '#') {
			p += strcspn(p, "\n");
		} else if (*p == '"') {
			p += 1 + strcspn(p + 1, "\"\n");
			p += *p == '"';
		} else {
			size_t len = strcspn(p, " \t\r\v\f\n,#\"");
			if (*p == '@' && len > 1 &&
			    add_names(c, path, line, p + 1, len - 1, setting, err) < 0)
				return -1;
			p += len;
		}
	}
	return 0;
}

/* ---- settings that name files ---- */

static int add_named(struct collect *c, const struct pgbouncer_item *i, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	const char *role = pgbouncer_ini_role(i->name);
	if (i->value[0] == '\0')
		return 0;
	if (pgbouncer_ini_path(c->ini_path, c->cwd, i->value, &path, err) < 0)
		return -1;
	struct buf text;
	buf_init(&text, FILE_BYTES_MAX);
	int rc = c->read(c->ctx, path, &text, err);
	if (rc < 0)
		err_wrap(err, "%s:%u: %s", i->file, i->line, i->name);
	if (rc == 0)
		rc = add(c, path, role, i->name, err);
	if (rc == 0 && strcmp(role, "hba") == 0)
		rc = scan_hba(c, path, buf_text(&text), i->name, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_done(&text);
	return rc;
}

static int add_settings(struct collect *c, const struct pgbouncer_ini *ini, struct err *err)
{
	for (size_t i = 0; pgbouncer_ini_file_settings[i] != NULL; i++) {
		const struct pgbouncer_item *item =
		    pgbouncer_ini_effective(ini, pgbouncer_ini_file_settings[i]);
		if (item != NULL && add_named(c, item, err) < 0)
			return -1;
	}
	return 0;
}

static int collect(struct collect *c, const struct pgbouncer_ini *ini, struct err *err)
{
	if (add(c, ini->files.items[0], "ini", NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < ini->count; i++)
		if (ini->items[i].kind == PGBOUNCER_INCLUDE &&
		    add(c, ini->items[i].value, "include", "%include", err) < 0)
			return -1;
	return add_settings(c, ini, err);
}

int pgbouncer_collect(const char *ini_path, const char *cwd, pgbouncer_read_fn *read, void *ctx,
		      json_t **ret, struct err *err)
{
	CLEANUP(pgbouncer_ini_freep) struct pgbouncer_ini *ini = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	if (list == NULL)
		return err_nomem(err, "a list of files");
	if (pgbouncer_ini_load(ini_path, cwd, read, ctx, &ini, err) < 0)
		return -1;
	struct collect c = {
	    .ini_path = ini_path, .cwd = cwd, .read = read, .ctx = ctx, .list = list};
	int rc = collect(&c, ini, err);
	strlist_done(&c.seen);
	if (rc < 0)
		return -1;
	*ret = list;
	list = NULL;
	return 0;
}

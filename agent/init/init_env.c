/* Which variables of .env files have the users and passwords. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "agent/init/init.h"
#include "base/env_file.h"
#include "base/file.h"

/* Names that belong together, as images and frameworks have them; NULL: any. */
static const char *const sets[][INIT_WORDS] = {
    {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"},
    {"DB_USER", "DB_PASSWORD", "DB_NAME"},
    {"DATABASE_USER", "DATABASE_PASSWORD", "DATABASE_NAME"},
    {"PGUSER", "PGPASSWORD", "PGDATABASE"},
};
static const char *const redis_sets[][INIT_WORDS] = {
    {NULL, "REDIS_PASSWORD", NULL}, {NULL, "REDIS_PASS", NULL}, {NULL, "VALKEY_PASSWORD", NULL}};

enum { SETS = sizeof sets / sizeof *sets, FOLDERS = 200, FILES = 100 };

struct candidate {
	char *name; /* "app/.env" */
	struct env_file *e;
	bool used;
};
struct candidates {
	struct candidate items[FILES];
	size_t count;
};

static void candidates_done(struct candidates *c)
{
	for (size_t n = 0; n < c->count; n++) {
		free(c->items[n].name);
		env_file_free(c->items[n].e);
	}
}

/* ---- the files ---- */

/* ".env", "prod.env" and ".env.prod", and not what is there to be copied. */
static bool is_env_file(const char *name)
{
	static const char *const models[] = {"example", "sample", "template", "dist"};
	size_t len = strlen(name);
	for (size_t n = 0; n < sizeof models / sizeof *models; n++)
		if (strstr(name, models[n]) != NULL)
			return false;
	return strcmp(name, ".env") == 0 || strncmp(name, ".env.", 5) == 0 ||
	       (len > 4 && strcmp(name + len - 4, ".env") == 0);
}

/* What `env_file` can't say: names are separated by commas, and $ and ; have a meaning. */
static bool can_be_said(const char *path)
{
	for (const char *c = path; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c) || strchr(",;#$\"'", *c) != NULL)
			return false;
	return path[0] != ' ' && path[strlen(path) - 1] != ' ';
}

static int read_one(struct init *i, struct candidates *c, const char *folder, const char *name,
		    struct err *err)
{
	struct candidate *to = &c->items[c->count];
	CLEANUP(freep) char *path = NULL;
	struct err why = ERR_INIT;
	if (c->count >= FILES)
		return 0;
	if (str_printf(&to->name, err, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name) < 0)
		return -1;
	c->count++;
	if (str_printf(&path, err, "%s/%s", i->folder, to->name) < 0 ||
	    env_file_new(&to->e, err) < 0)
		return -1;
	if (can_be_said(path) && env_file_read(to->e, path, &why) == 0)
		return 0;
	if (why.code == ERR_NOMEM)
		return err_nomem(err, ".env files");
	/* Nothing of it counts. */
	env_file_free(to->e);
	to->e = NULL;
	if (env_file_new(&to->e, err) < 0)
		return -1;
	return why.code == ERR_NONE
		   ? strlist_push(&i->left,
				  "a .env file's path has a character that env_file can't "
				  "say: it was not read",
				  err)
		   : strlist_pushf(&i->left, err, "not read: %s", why.msg);
}

static int read_folder(struct init *i, struct candidates *c, const char *folder, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(strlist_done) struct strlist names = {0};
	struct err why = ERR_INIT;
	if (str_printf(&path, err, "%s/%s", i->folder, folder) < 0)
		return -1;
	/* A file, or not for us: nothing to read there. */
	if (dir_list(path, &names, &why) < 0)
		return why.code == ERR_NOMEM ? err_nomem(err, ".env files") : 0;
	for (size_t n = 0; n < names.count; n++)
		if (is_env_file(names.items[n]) && read_one(i, c, folder, names.items[n], err) < 0)
			return -1;
	return 0;
}

static int read_all(struct init *i, struct candidates *c, struct err *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	if (read_folder(i, c, "", err) < 0 || dir_list(i->folder, &names, err) < 0)
		return -1;
	for (size_t n = 0, folders = 0; n < names.count && folders < FOLDERS; n++)
		if (names.items[n][0] != '.' && ++folders > 0 &&
		    read_folder(i, c, names.items[n], err) < 0)
			return -1;
	return 0;
}

/* ---- the variables ---- */

static bool is_variable(const char *name)
{
	if (isdigit((unsigned char)name[0]))
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static bool is_password(const char *name)
{
	static const char *const words[] = {"PASS", "PWD", "SECRET", "AUTH"};
	for (size_t n = 0; n < sizeof words / sizeof *words; n++)
		if (strcasestr(name, words[n]) != NULL)
			return true;
	return false;
}

/* Takes the first variable with the value: called as in the container, else (`any`) as passwords
 * are. */
static int find_value(struct candidates *c, struct init_login *l, enum init_word w, bool any,
		      struct err *err)
{
	for (size_t f = 0; f < c->count && l->names[w] == NULL; f++)
		for (size_t n = 0; n < env_file_count(c->items[f].e); n++) {
			const char *name = env_file_name(c->items[f].e, n);
			bool fits = any ? is_password(name) && is_variable(name)
					: l->called[w] != NULL && strcmp(name, l->called[w]) == 0;
			if (!fits || strcmp(env_file_get(c->items[f].e, name), l->values[w]) != 0)
				continue;
			c->items[f].used = true;
			return str_dup(name, &l->names[w], err);
		}
	return 0;
}

/* A service of the project has them in its own environment. */
static int find_inherited(struct init *i, struct init_login *l, struct err *err)
{
	const char *name = l->called[INIT_PASSWORD];
	const char *value = name != NULL ? getenv(name) : NULL;
	if (l->names[INIT_PASSWORD] != NULL || value == NULL ||
	    strcmp(value, l->values[INIT_PASSWORD]) != 0)
		return 0;
	return str_dup(name, &l->names[INIT_PASSWORD], err) < 0
		   ? -1
		   : strlist_pushf(&i->found, err, "%s: in the environment", name);
}

static int by_values(struct init *i, struct candidates *c, struct init_login *l, struct err *err)
{
	for (enum init_word w = 0; w < INIT_WORDS; w++)
		if (l->values[w] != NULL &&
		    (find_value(c, l, w, false, err) < 0 ||
		     (w == INIT_PASSWORD && find_value(c, l, w, true, err) < 0)))
			return -1;
	return l->values[INIT_PASSWORD] != NULL ? find_inherited(i, l, err) : 0;
}

/* The first .env file that has it. */
static int find_name(struct candidates *c, const char *name, char **ret, struct err *err)
{
	for (size_t f = 0; f < c->count && name != NULL; f++) {
		const char *base = strrchr(c->items[f].name, '/');
		base = base != NULL ? base + 1 : c->items[f].name;
		if (strcmp(base, ".env") != 0 || env_file_get(c->items[f].e, name) == NULL)
			continue;
		c->items[f].used = true;
		return str_dup(name, ret, err);
	}
	return 0;
}

/* The first set of which a password is there. */
static int by_names(struct candidates *c, struct init_login *l, const char *const set[][INIT_WORDS],
		    const size_t *order, size_t count, struct err *err)
{
	size_t n = 0;
	for (; n < count && l->names[INIT_PASSWORD] == NULL; n++) {
		const char *const *s = set[order != NULL ? order[n] : n];
		if (find_name(c, s[INIT_PASSWORD], &l->names[INIT_PASSWORD], err) < 0)
			return -1;
		if (l->names[INIT_PASSWORD] == NULL)
			continue;
		for (enum init_word w = 0; w < INIT_WORDS; w++)
			if (l->names[w] == NULL && l->values[w] == NULL &&
			    find_name(c, s[w], &l->names[w], err) < 0)
				return -1;
	}
	return 0;
}

static int fill(struct init *i, struct candidates *c, enum init_kind kind, struct err *err)
{
	/* The application's own names come first for PgBouncer. */
	static const size_t app_order[SETS] = {1, 2, 3, 0};
	const struct init_part *part = &i->parts[kind];
	struct init_login *l = &i->parts[kind].login;
	if (by_values(i, c, l, err) < 0)
		return -1;
	if (l->values[INIT_PASSWORD] != NULL || part->no_password)
		return 0;
	return kind == INIT_REDIS
		   ? by_names(c, l, redis_sets, NULL, sizeof redis_sets / sizeof *redis_sets, err)
		   : by_names(c, l, sets, kind == INIT_PGBOUNCER ? app_order : NULL, SETS, err);
}

/* ---- what agent.conf will get of them ---- */

/* All files are read as one, the last one wins: does each variable still have its value? */
static int check_last(struct init *i, struct candidates *c, struct err *err)
{
	for (size_t k = 0; k < INIT_KINDS; k++)
		for (enum init_word w = 0; w < INIT_WORDS; w++) {
			const struct init_login *l = &i->parts[k].login;
			const char *last = NULL;
			for (size_t f = 0; f < c->count && l->names[w] != NULL; f++)
				if (c->items[f].used &&
				    env_file_get(c->items[f].e, l->names[w]) != NULL)
					last = env_file_get(c->items[f].e, l->names[w]);
			if (last != NULL && l->values[w] != NULL &&
			    strcmp(last, l->values[w]) != 0 &&
			    strlist_pushf(&i->left, err,
					  "%s has several values in the files of env_file: that of "
					  "%s is not the last",
					  l->names[w], init_kind_name((enum init_kind)k)) < 0)
				return -1;
		}
	return 0;
}

int init_env(struct init *i, struct err *err)
{
	CLEANUP(candidates_done) struct candidates c = {0};
	struct init_login *pooler = &i->parts[INIT_PGBOUNCER].login;
	if (read_all(i, &c, err) < 0)
		return -1;
	/* Where the pooler itself does not say it, who goes through it does. */
	if (pooler->values[INIT_PASSWORD] == NULL && i->app.values[INIT_PASSWORD] != NULL) {
		struct init_login app = i->app;
		i->app = *pooler;
		*pooler = app;
	}
	for (enum init_kind k = 0; k < INIT_KINDS; k++)
		if (init_has(i, k) && fill(i, &c, k, err) < 0)
			return -1;
	for (size_t f = 0; f < c.count; f++)
		if (c.items[f].used &&
		    (strlist_push(&i->env_files, c.items[f].name, err) < 0 ||
		     strlist_pushf(&i->found, err, "user names or passwords: in '%s'",
				   c.items[f].name) < 0))
			return -1;
	return check_last(i, &c, err);
}

/* What a container of a Compose project runs, and how one logs in there. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include "agent/init/init.h"
#include "base/secret.h"

/* Names that belong together, as images and frameworks have them: those of a server's own image
 * last, for an application's own user comes first. */
static const char *const sets[][INIT_WORDS] = {
    {"DB_USER", "DB_PASSWORD", "DB_NAME"},
    {"DB_USERNAME", "DB_PASSWORD", "DB_DATABASE"},
    {"DATABASE_USER", "DATABASE_PASSWORD", "DATABASE_NAME"},
    {"PGUSER", "PGPASSWORD", "PGDATABASE"},
    {"POSTGRESQL_USERNAME", "POSTGRESQL_PASSWORD", "POSTGRESQL_DATABASE"},
    {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"},
};
enum { SETS = sizeof sets / sizeof *sets, SERVER_SETS = 2 };

/* ---- the environment ---- */

/* Behind "NAME="; NULL: it has no such variable. */
static const char *variable(const json_t *inspected, const char *name)
{
	size_t n, len = strlen(name);
	json_t *item;
	json_array_foreach(json_object_get(json_object_get(inspected, "Config"), "Env"), n, item)
	{
		const char *text = json_string_value(item);
		if (text != NULL && strncmp(text, name, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

static bool is_set(const json_t *inspected, const char *name)
{
	const char *value = variable(inspected, name);
	return value != NULL && value[0] != '\0';
}

static int put(struct init_login *l, enum init_word w, const char *value, const char *called,
	       struct err *err)
{
	char *copy = NULL, *name = NULL;
	if (str_dup(value, &copy, err) < 0)
		return -1;
	if (called != NULL && str_dup(called, &name, err) < 0) {
		secret_wipe(copy);
		return -1;
	}
	secret_wipe(l->values[w]);
	free(l->called[w]);
	l->values[w] = copy;
	l->called[w] = name;
	return 0;
}

static int put_variable(struct init_login *l, enum init_word w, const json_t *inspected,
			const char *name, struct err *err)
{
	return is_set(inspected, name) ? put(l, w, variable(inspected, name), name, err) : 0;
}

/* The first set of which the container has the password. */
static int take_set(struct init_login *l, const json_t *inspected, size_t from, struct err *err)
{
	for (size_t s = from; s < SETS; s++) {
		if (!is_set(inspected, sets[s][INIT_PASSWORD]) ||
		    (!is_set(inspected, sets[s][INIT_USER]) && s < SETS - SERVER_SETS))
			continue;
		for (enum init_word w = 0; w < INIT_WORDS; w++)
			if (put_variable(l, w, inspected, sets[s][w], err) < 0)
				return -1;
		return 0;
	}
	return 0;
}

static int take_parts(struct init_login *l, PQconninfoOption *parts, struct err *err)
{
	static const char *const keywords[] = {"user", "password", "dbname"};
	int done = 0;
	for (PQconninfoOption *o = parts; o->keyword != NULL; o++)
		for (enum init_word w = 0; w < INIT_WORDS; w++)
			if (done == 0 && o->val != NULL && strcmp(o->keyword, keywords[w]) == 0)
				done = put(l, w, o->val, NULL, err);
	for (PQconninfoOption *o = parts; o->keyword != NULL; o++)
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	PQconninfoFree(parts);
	return done;
}

/* "postgresql+driver://user:password@host/database", as frameworks have it. */
static int take_url(struct init_login *l, const json_t *inspected, struct err *err)
{
	static const char *const names[] = {"DATABASE_URL", "POSTGRES_URL", "DB_URL"};
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		const char *value = variable(inspected, names[n]);
		const char *rest = value != NULL ? strstr(value, "://") : NULL;
		char *url = NULL, *why = NULL;
		if (rest == NULL || strncmp(value, "postgres", 8) != 0)
			continue;
		if (str_printf(&url, err, "postgresql%s", rest) < 0)
			return -1;
		PQconninfoOption *parts = PQconninfoParse(url, &why);
		secret_wipe(url);
		PQfreemem(why);
		if (parts != NULL)
			return take_parts(l, parts, err);
	}
	return 0;
}

/* Of an application: single variables, or one url. */
static int take_login(struct init_login *l, const json_t *inspected, struct err *err)
{
	if (take_set(l, inspected, 0, err) < 0)
		return -1;
	return l->values[INIT_PASSWORD] != NULL ? 0 : take_url(l, inspected, err);
}

/* ---- the servers ---- */

static int look_at_postgres(struct init_part *part, const json_t *inspected, struct err *err)
{
	const char *method = variable(inspected, "POSTGRES_HOST_AUTH_METHOD");
	if (take_set(&part->login, inspected, SETS - SERVER_SETS, err) < 0)
		return -1;
	part->no_password = method != NULL && strcmp(method, "trust") == 0;
	if (part->login.values[INIT_USER] == NULL &&
	    put_variable(&part->login, INIT_USER, inspected, "POSTGRES_USER", err) < 0)
		return -1;
	return part->login.values[INIT_USER] != NULL
		   ? 0
		   : put(&part->login, INIT_USER, "postgres", NULL, err);
}

/* What stands behind --requirepass: an argument of its own, or a word of a shell's line. */
static int take_argument(struct init_login *l, const json_t *inspected, const json_t *argv,
			 struct err *err)
{
	static const char option[] = "--requirepass";
	size_t n;
	json_t *item;
	json_array_foreach(argv, n, item)
	{
		const char *text = json_string_value(item);
		const char *at = text != NULL ? strstr(text, option) : NULL;
		CLEANUP(freep) char *name = NULL;
		if (at == NULL)
			continue;
		const char *next = json_string_value(json_array_get(argv, n + 1));
		if (strcmp(at, option) == 0 && next != NULL)
			return put(l, INIT_PASSWORD, next, NULL, err);
		at += sizeof option - 1;
		at += strspn(at, " \"'");
		size_t len = strcspn(at, " \"'");
		bool is_variable = *at == '$';
		at += strspn(at, "${");
		if (is_variable)
			len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
					 "0123456789");
		if (str_dupn(at, len, &name, err) < 0)
			return -1;
		int done = is_variable ? put_variable(l, INIT_PASSWORD, inspected, name, err)
			   : len > 0   ? put(l, INIT_PASSWORD, name, NULL, err)
				       : 0;
		explicit_bzero(name, strlen(name));
		return done;
	}
	return 0;
}

static int look_at_redis(struct init_part *part, const json_t *inspected, struct err *err)
{
	static const char *const names[] = {"REDIS_PASSWORD", "REDIS_PASS", "VALKEY_PASSWORD",
					    "REDISCLI_AUTH"};
	const json_t *config = json_object_get(inspected, "Config");
	struct init_login *l = &part->login;
	if (take_argument(l, inspected, json_object_get(config, "Cmd"), err) < 0 ||
	    (l->values[INIT_PASSWORD] == NULL &&
	     take_argument(l, inspected, json_object_get(config, "Entrypoint"), err) < 0))
		return -1;
	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		if (l->values[INIT_PASSWORD] == NULL &&
		    put_variable(l, INIT_PASSWORD, inspected, names[n], err) < 0)
			return -1;
	part->wants_password = l->values[INIT_PASSWORD] != NULL;
	return 0;
}

static int look_at_server(struct init *i, enum init_kind kind, const json_t *inspected,
			  struct err *err)
{
	struct init_part *part = &i->parts[kind];
	init_login_done(&part->login);
	part->wants_password = part->no_password = false;
	return kind == INIT_POSTGRES ? look_at_postgres(part, inspected, err)
	       : kind == INIT_REDIS  ? look_at_redis(part, inspected, err)
				     : take_login(&part->login, inspected, err);
}

/* ---- what it is ---- */

/* Compose calls the images that it builds after project and service: the project's name says
 * nothing. Images of one's own are known by what their base has set. */
static enum init_kind kind_of(const struct init *i, const char *service, const char *image,
			      const json_t *inspected)
{
	static const struct {
		const char *variable;
		enum init_kind kind;
	} marks[] = {{"PG_MAJOR", INIT_POSTGRES},
		     {"REDIS_VERSION", INIT_REDIS},
		     {"REDIS_DOWNLOAD_URL", INIT_REDIS},
		     {"VALKEY_VERSION", INIT_REDIS}};
	size_t len = strlen(i->project);
	const char *name = strrchr(image, '/');
	name = name != NULL ? name + 1 : image;
	/* An image whose tag went on to a newer one is told by its hash. */
	if (strncmp(image, "sha256:", 7) == 0)
		image = service;
	else if (strncmp(name, i->project, len) == 0 && (name[len] == '-' || name[len] == '_'))
		image = name + len + 1;
	enum init_kind kind = init_kind_of(image);
	for (size_t n = 0; kind == INIT_KINDS && n < sizeof marks / sizeof *marks; n++)
		if (is_set(inspected, marks[n].variable))
			kind = marks[n].kind;
	return kind;
}

/* The name within the project of a volume that Compose made for it, or the whole name of another
 * one that has been given a name; NULL: none of them. */
static const char *volume_name(const struct init *i, const json_t *mount)
{
	const char *name = json_str_or(mount, "Name", "");
	size_t len = strlen(i->project);
	if (strcmp(json_str_or(mount, "Type", ""), "volume") != 0 || name[0] == '\0')
		return NULL;
	if (strncmp(name, i->project, len) == 0 && name[len] == '_')
		return name + len + 1;
	/* Volumes without a name are called by 64 digits. */
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64 ? NULL : name;
}

static int rank_of(const struct init *i, const json_t *listed)
{
	int rank = 1;
	size_t n;
	json_t *m;
	json_array_foreach(json_object_get(listed, "Mounts"), n, m)
	{
		if (volume_name(i, m) != NULL)
			return 3;
		if (strcmp(json_str_or(m, "Type", ""), "volume") == 0)
			rank = 2;
	}
	return rank;
}

static int add_volumes(struct init *i, const json_t *listed, struct err *err)
{
	size_t n;
	json_t *m;
	json_array_foreach(json_object_get(listed, "Mounts"), n, m)
	{
		const char *name = volume_name(i, m);
		if (name == NULL || strlist_has(&i->volumes, name))
			continue;
		if (init_is_name(name, true) && strlist_push(&i->volumes, name, err) < 0)
			return -1;
	}
	return 0;
}

static int note_second(struct init *i, const char *service, enum init_kind kind, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (str_printf(&text, err,
		       "service '%s' is a second %s and is NOT in agent.conf: it needs one of its "
		       "own",
		       service, init_kind_name(kind)) < 0)
		return -1;
	return strlist_has(&i->left, text) ? 0 : strlist_push(&i->left, text, err);
}

static int add_server(struct init *i, enum init_kind kind, const char *service,
		      const json_t *listed, const json_t *inspected, struct err *err)
{
	struct init_part *part = &i->parts[kind];
	int rank = rank_of(i, listed);
	char *copy = NULL;
	/* Of a service that is scaled all are the same. */
	if (part->service != NULL && strcmp(part->service, service) == 0)
		return 0;
	if (part->service != NULL && rank <= part->rank)
		return note_second(i, service, kind, err);
	if (part->service != NULL && note_second(i, part->service, kind, err) < 0)
		return -1;
	if (str_dup(service, &copy, err) < 0)
		return -1;
	free(part->service);
	part->service = copy;
	part->rank = rank;
	return look_at_server(i, kind, inspected, err);
}

/* Does it run this program, as its image does? Not one of a folder that is called so too. */
static bool is_ours(const json_t *inspected)
{
	static const char image[] = "/usr/lib/lifeboat/";
	size_t n;
	json_t *item;
	json_array_foreach(json_object_get(json_object_get(inspected, "Config"), "Entrypoint"), n,
			   item)
	{
		const char *text = json_string_value(item);
		const char *slash = text != NULL ? strrchr(text, '/') : NULL;
		const char *name = slash != NULL ? slash + 1 : text;
		if (text != NULL &&
		    (strcmp(name, "lifeboat") == 0 || strncmp(text, image, sizeof image - 1) == 0))
			return true;
	}
	return false;
}

int init_container(struct init *i, const json_t *listed, const json_t *inspected, struct err *err)
{
	const char *service = init_label(listed, "service");
	const char *image = json_str_or(listed, "Image", "");
	if (!init_is_name(service, true))
		return strlist_push(&i->left, "a container of the project has an odd service name",
				    err);
	/* What it has is backups. */
	if (is_ours(inspected))
		return 0;
	enum init_kind kind = kind_of(i, service, image, inspected);
	if (kind != INIT_KINDS)
		return add_server(i, kind, service, listed, inspected, err);
	if (i->app.values[INIT_PASSWORD] == NULL && take_login(&i->app, inspected, err) < 0)
		return -1;
	return add_volumes(i, listed, err);
}

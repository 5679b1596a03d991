/* Names of users and passwords in .env files. */
#include <string.h>
#include "agent/init.h"
#include "base/env_file.h"
#include "base/file.h"

/* Names that belong together, as images and frameworks have them. */
static const struct {
	const char *user, *password, *database;
} sets[] = {
    {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"},
    {"DB_USER", "DB_PASSWORD", "DB_NAME"},
    {"DATABASE_USER", "DATABASE_PASSWORD", "DATABASE_NAME"},
    {"PGUSER", "PGPASSWORD", "PGDATABASE"},
};
static const char *const redis_passwords[] = {"REDIS_PASSWORD", "REDIS_PASS", "VALKEY_PASSWORD"};

enum { SETS = sizeof sets / sizeof *sets, FOLDERS = 200 };

struct seen {
	bool user[SETS], password[SETS], database[SETS];
	bool redis[sizeof redis_passwords / sizeof *redis_passwords];
};

static bool note(bool *seen, const struct env_file *e, const char *name)
{
	if (env_file_get(e, name) == NULL)
		return false;
	*seen = true;
	return true;
}

static int read_one(struct init *i, struct seen *seen, const char *name, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	struct err why = ERR_INIT;
	bool useful = false;
	if (str_printf(&path, err, "%s/%s", i->folder, name) < 0 || env_file_new(&e, err) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (env_file_read(e, path, &why) < 0)
		return strlist_pushf(&i->left, err, "not read: %s", why.msg);
	for (size_t n = 0; n < SETS; n++) {
		useful |= note(&seen->user[n], e, sets[n].user);
		useful |= note(&seen->password[n], e, sets[n].password);
		useful |= note(&seen->database[n], e, sets[n].database);
	}
	for (size_t n = 0; n < sizeof redis_passwords / sizeof *redis_passwords; n++)
		useful |= note(&seen->redis[n], e, redis_passwords[n]);
	return useful ? strlist_push(&i->env_files, name, err) : 0;
}

static void choose(struct init *i, const struct seen *seen)
{
	/* The server's own names come first for the server, the application's for PgBouncer. */
	static const size_t app_order[SETS] = {1, 2, 3, 0};
	for (size_t n = 0; n < SETS; n++) {
		if (i->password == NULL && seen->password[n]) {
			i->password = sets[n].password;
			i->user = seen->user[n] ? sets[n].user : NULL;
		}
		size_t a = app_order[n];
		if (i->app_password == NULL && seen->password[a]) {
			i->app_password = sets[a].password;
			i->app_user = seen->user[a] ? sets[a].user : NULL;
		}
		if (i->app_database == NULL && seen->database[a])
			i->app_database = sets[a].database;
	}
	for (size_t n = 0; n < sizeof redis_passwords / sizeof *redis_passwords; n++)
		if (i->redis_password == NULL && seen->redis[n])
			i->redis_password = redis_passwords[n];
}

int init_env(struct init *i, struct err *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	struct seen seen = {0};
	if (dir_list(i->folder, &names, err) < 0 || read_one(i, &seen, ".env", err) < 0)
		return -1;
	for (size_t n = 0; n < names.count && n < FOLDERS; n++) {
		CLEANUP(freep) char *name = NULL;
		/* Names of env_file are separated by commas. */
		if (names.items[n][0] == '.' || strpbrk(names.items[n], ",\n;") != NULL)
			continue;
		if (str_printf(&name, err, "%s/.env", names.items[n]) < 0 ||
		    read_one(i, &seen, name, err) < 0)
			return -1;
	}
	choose(i, &seen);
	for (size_t n = 0; n < i->env_files.count; n++)
		if (strlist_pushf(&i->found, err, "user names or passwords: in '%s'",
				  i->env_files.items[n]) < 0)
			return -1;
	return 0;
}

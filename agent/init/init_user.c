/* The system's user that jobs will run as, and what he may not read yet. */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/init/init.h"

enum { GROUPS_MAX = 256 };

/* Of the package's units, where it is installed; else whoever asks. */
static const struct passwd *job_user(void)
{
	const struct passwd *who = getpwnam("lifeboat");
	return who != NULL ? who : getpwuid(geteuid());
}

/* PostgreSQL by its socket, as the system's user. */
static int go_by_socket(struct init *i, struct err *err)
{
	struct init_part *part = &i->parts[INIT_POSTGRES];
	const struct passwd *who = job_user();
	char *url, *user;
	if (!part->by_socket || part->login.names[INIT_PASSWORD] != NULL || who == NULL)
		return 0;
	if (str_dup("?host=/run/postgresql", &url, err) < 0)
		return -1;
	free(part->url);
	part->url = url;
	part->no_password = true;
	if (str_dup(who->pw_name, &user, err) < 0)
		return -1;
	free(part->login.values[INIT_USER]);
	part->login.values[INIT_USER] = user;
	return strlist_pushf(&i->left, err,
			     "a superuser '%s' of PostgreSQL, whom its socket lets in without a "
			     "password: runuser -u postgres -- createuser --superuser %s",
			     user, user);
}

/* What the application gives PgBouncer is nowhere to be seen. */
static int name_application(struct init *i, struct err *err)
{
	static const char *const names[INIT_WORDS] = {
	    [INIT_USER] = "DB_USER", [INIT_PASSWORD] = "DB_PASSWORD", [INIT_DATABASE] = "DB_NAME"};
	struct init_part *part = &i->parts[INIT_PGBOUNCER];
	if (part->url == NULL || part->login.names[INIT_PASSWORD] != NULL)
		return 0;
	for (size_t w = 0; w < INIT_WORDS; w++)
		if (part->login.names[w] == NULL &&
		    str_dup(names[w], &part->login.names[w], err) < 0)
			return -1;
	return strlist_push(
	    &i->left,
	    "what the application gives PgBouncer: DB_USER, DB_PASSWORD and DB_NAME, "
	    "in a file that env_file names",
	    err);
}

/* Group and mode of the path, or of its folder where that hides it. */
static bool look(const char *path, struct stat *ret)
{
	char folder[256];
	if (stat(path, ret) == 0)
		return true;
	if (errno != EACCES || strlen(path) >= sizeof folder)
		return false;
	memcpy(folder, path, strlen(path) + 1);
	return stat(dirname(folder), ret) == 0;
}

static bool is_member(const struct passwd *who, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	if (getgrouplist(who->pw_name, who->pw_gid, groups, &count) < 0)
		return false;
	for (int n = 0; n < count; n++)
		if (groups[n] == group)
			return true;
	return false;
}

static int note_groups(struct init *i, struct err *err)
{
	static const struct {
		enum init_kind kind;
		const char *path, *what;
	} paths[] = {
	    {INIT_REDIS, "/etc/redis/redis.conf", "what Redis keeps"},
	    {INIT_REDIS, "/etc/valkey/valkey.conf", "what Valkey keeps"},
	    {INIT_PGBOUNCER, "/etc/pgbouncer/pgbouncer.ini", "PgBouncer's configuration"},
	    {INIT_KINDS, "/var/run/docker.sock",
	     "Docker's socket (whoever may is as good as root)"},
	};
	const struct passwd *who = getpwnam("lifeboat");
	for (size_t n = 0; who != NULL && n < sizeof paths / sizeof *paths; n++) {
		struct stat st;
		bool wanted = paths[n].kind == INIT_KINDS
				  ? i->project != NULL
				  : i->project == NULL && i->parts[paths[n].kind].url != NULL;
		if (!wanted || !look(paths[n].path, &st) || st.st_uid == who->pw_uid ||
		    (st.st_mode & S_IROTH) != 0 || is_member(who, st.st_gid))
			continue;
		const struct group *group = getgrgid(st.st_gid);
		if (group != NULL && group->gr_gid != 0 &&
		    strlist_pushf(&i->left, err, "the right of user '%s' to read %s: adduser %s %s",
				  who->pw_name, paths[n].what, who->pw_name, group->gr_name) < 0)
			return -1;
	}
	return 0;
}

int init_user(struct init *i, struct err *err)
{
	if (i->project == NULL && (go_by_socket(i, err) < 0 || name_application(i, err) < 0))
		return -1;
	return note_groups(i, err);
}

/* agent.conf out of what was found. */
#include <ctype.h>
#include <string.h>
#include <unistd.h>
#include "agent/init.h"

/* The project's name, or the machine's, as [stack] name takes it. */
static void stack_name(const struct init *i, char ret[65])
{
	char host[256] = "";
	const char *from = i->project;
	size_t len = 0;
	if (from == NULL && gethostname(host, sizeof host - 1) == 0)
		from = host;
	for (; from != NULL && *from != '\0' && *from != '.' && len < 64; from++)
		if (isalnum((unsigned char)*from) || *from == '_' || (*from == '-' && len > 0))
			ret[len++] = *from;
	ret[len] = '\0';
	if (len == 0)
		memcpy(ret, "stack", sizeof "stack");
}

static int text_stack(const struct init *i, bool absolute, struct buf *out, struct err *err)
{
	char name[65];
	stack_name(i, name);
	if (buf_printf(
		out, err,
		"; Written by `lifeboat init`. `man agent.conf` says what else there is; "
		"`lifeboat check` tries it.\n; Passwords are not in here: ${NAME} is taken "
		"from the environment or from env_file.\n\n[stack]\nname = %s\nengine = %s\n",
		name, i->project != NULL ? "docker" : "local") < 0)
		return -1;
	if (i->project != NULL && strcmp(i->project, name) != 0 &&
	    buf_printf(out, err, "project = %s\n", i->project) < 0)
		return -1;
	for (size_t n = 0; n < i->env_files.count; n++)
		if (buf_printf(out, err, "%s%s%s%s", n == 0 ? "env_file = " : ", ",
			       absolute ? i->folder : "", absolute ? "/" : "",
			       i->env_files.items[n]) < 0)
			return -1;
	if (i->env_files.count > 0 && buf_puts(out, "\n", err) < 0)
		return -1;
	if (i->project != NULL)
		return 0;
	return buf_puts(out,
			"; Where restores make their fresh volumes.\n"
			"volumes_dir = /var/lib/lifeboat/volumes\n",
			err);
}

/* "${DB_USER}:${DB_PASSWORD}@"; without a password in sight the usual name, to be filled in. */
static int text_user(const char *user, const char *password, const char *otherwise, struct buf *out,
		     struct err *err)
{
	const char *secret = password != NULL ? password : "POSTGRES_PASSWORD";
	return user != NULL ? buf_printf(out, err, "${%s}:${%s}@", user, secret)
			    : buf_printf(out, err, "%s:${%s}@", otherwise, secret);
}

static int text_place(const struct init *i, enum init_kind kind, const char *port,
		      const char *database, struct buf *out, struct err *err)
{
	const struct init_part *part = &i->parts[kind];
	if (part->service != NULL)
		return buf_printf(out, err, "%s:%s/%s\n", part->service, port, database);
	return part->url[0] == '?' ? buf_printf(out, err, "/%s%s\n", database, part->url)
				   : buf_printf(out, err, "%s/%s\n", part->url, database);
}

static int text_service(const struct init *i, enum init_kind kind, struct buf *out, struct err *err)
{
	const char *service = i->parts[kind].service;
	if (service == NULL || strcmp(service, init_kind_name(kind)) == 0)
		return 0;
	return buf_printf(out, err, "service = %s\n", service);
}

static bool has(const struct init *i, enum init_kind kind)
{
	return i->parts[kind].service != NULL || i->parts[kind].url != NULL;
}

static int text_postgres(const struct init *i, struct buf *out, struct err *err)
{
	if (!has(i, INIT_POSTGRES))
		return 0;
	if (buf_puts(out,
		     "\n[postgres]\n; The server itself, never PgBouncer, as a superuser or a role "
		     "with pg_read_all_data.\nurl = postgresql://",
		     err) < 0 ||
	    text_user(i->user, i->password, "postgres", out, err) < 0 ||
	    text_place(i, INIT_POSTGRES, "5432", "postgres", out, err) < 0)
		return -1;
	return text_service(i, INIT_POSTGRES, out, err);
}

static int text_redis(const struct init *i, struct buf *out, struct err *err)
{
	const struct init_part *part = &i->parts[INIT_REDIS];
	const char *password = i->redis_password;
	if (!has(i, INIT_REDIS))
		return 0;
	if (password == NULL && part->wants_password)
		password = "REDIS_PASSWORD";
	bool socket = part->service == NULL && part->url[0] == '/';
	if (buf_printf(out, err, "\n[redis]\nurl = %s", socket ? "unix://" : "redis://") < 0 ||
	    (password != NULL && buf_printf(out, err, ":${%s}@", password) < 0))
		return -1;
	if ((socket ? buf_printf(out, err, "%s\n", part->url)
		    : text_place(i, INIT_REDIS, "6379", "0", out, err)) < 0)
		return -1;
	return text_service(i, INIT_REDIS, out, err);
}

static int text_pgbouncer(const struct init *i, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *database = NULL;
	if (!has(i, INIT_PGBOUNCER))
		return 0;
	if ((i->app_database != NULL ? str_printf(&database, err, "${%s}", i->app_database)
				     : str_dup("postgres", &database, err)) < 0 ||
	    buf_puts(out,
		     "\n[pgbouncer]\n; As the application connects: a restore is proved by a query "
		     "with these credentials.\nurl = postgresql://",
		     err) < 0 ||
	    text_user(i->app_user, i->app_password, "postgres", out, err) < 0 ||
	    text_place(i, INIT_PGBOUNCER, "6432", database, out, err) < 0)
		return -1;
	if (i->parts[INIT_PGBOUNCER].service == NULL &&
	    buf_puts(out, "config = /etc/pgbouncer/pgbouncer.ini\n", err) < 0)
		return -1;
	return text_service(i, INIT_PGBOUNCER, out, err);
}

int init_text(struct init *i, bool absolute, struct buf *out, struct err *err)
{
	static const char rest[] =
	    "\n[archive]\n"
	    "; Encrypts archives: `lifeboat keygen -o identity.txt` prints a recipient.\n"
	    ";recipients = age1...\n"
	    "\n[store local]\n"
	    "; The first store. One disk is no backup: add a second [store NAME] elsewhere, "
	    "s3://, sftp:// or davs://.\n"
	    "url = file:///var/lib/lifeboat/backups\n"
	    "keep = last 3, daily 7, weekly 4, monthly 12\n"
	    "\n; Of `lifeboat run`.\n"
	    "[schedule]\n"
	    "backup = 0 2 * * *\n"
	    "prune = 30 3 * * *\n"
	    "drill = 0 4 * * sun\n"
	    ";timezone = Europe/Berlin\n";
	if (text_stack(i, absolute, out, err) < 0 || text_postgres(i, out, err) < 0 ||
	    text_redis(i, out, err) < 0 || text_pgbouncer(i, out, err) < 0)
		return -1;
	for (size_t n = 0; n < i->volumes.count; n++)
		if (buf_printf(out, err, "\n[volume %s]\n", i->volumes.items[n]) < 0)
			return -1;
	return buf_puts(out, rest, err);
}

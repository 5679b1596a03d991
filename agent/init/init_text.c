/* agent.conf out of what was found. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/init/init.h"
#include "base/expand.h"

enum { TEXT_MAX_BYTES = 1 << 14 };

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

/* Where whoever runs this may write. */
static int own_folder(char **ret, struct err *err)
{
	const char *home = getenv("HOME");
	/* A path with other characters would need more than a line of its own. */
	bool plain = home != NULL && home[0] == '/' &&
		     home[strspn(home, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789._-")] == '\0';
	return geteuid() == 0 || !plain ? str_dup("/var/lib/lifeboat", ret, err)
					: str_printf(ret, err, "%s/.local/state/lifeboat", home);
}

static int text_stack(const struct init *i, bool absolute, const char *place, struct buf *out,
		      struct err *err)
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
	return buf_printf(out, err,
			  "; Where restores make their fresh volumes.\nvolumes_dir = %s/volumes\n",
			  place);
}

/* "${DB_USER}" where a variable has it, else the word itself as a url takes it. */
static int text_word(const struct init_login *l, enum init_word w, const char *otherwise,
		     struct buf *out, struct err *err)
{
	if (l->names[w] != NULL)
		return buf_printf(out, err, "${%s}", l->names[w]);
	return expand_percent_encode(l->values[w] != NULL ? l->values[w] : otherwise, out, err);
}

/* "${DB_USER}:${DB_PASSWORD}@"; without a password in sight the usual name, to be filled in. */
static int text_user(const struct init_part *part, struct buf *out, struct err *err)
{
	const char *name = part->login.names[INIT_PASSWORD];
	if (text_word(&part->login, INIT_USER, "postgres", out, err) < 0)
		return -1;
	if (part->no_password && name == NULL)
		return buf_puts(out, "@", err);
	return buf_printf(out, err, ":${%s}@", name != NULL ? name : "POSTGRES_PASSWORD");
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

static int text_postgres(const struct init *i, struct buf *out, struct err *err)
{
	if (!init_has(i, INIT_POSTGRES))
		return 0;
	if (buf_puts(out,
		     "\n[postgres]\n; The server itself, never PgBouncer, as a superuser or a role "
		     "with pg_read_all_data.\nurl = postgresql://",
		     err) < 0 ||
	    text_user(&i->parts[INIT_POSTGRES], out, err) < 0 ||
	    text_place(i, INIT_POSTGRES, "5432", "postgres", out, err) < 0)
		return -1;
	return text_service(i, INIT_POSTGRES, out, err);
}

static int text_redis(const struct init *i, struct buf *out, struct err *err)
{
	const struct init_part *part = &i->parts[INIT_REDIS];
	const char *password = part->login.names[INIT_PASSWORD];
	if (!init_has(i, INIT_REDIS))
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
	const struct init_login *l = &i->parts[INIT_PGBOUNCER].login;
	CLEANUP(buf_done) struct buf database;
	buf_init(&database, TEXT_MAX_BYTES);
	if (!init_has(i, INIT_PGBOUNCER))
		return 0;
	if (text_word(l, INIT_DATABASE, "postgres", &database, err) < 0 ||
	    buf_puts(out,
		     "\n[pgbouncer]\n; As the application connects: a restore is proved by a query "
		     "with these credentials.\nurl = postgresql://",
		     err) < 0 ||
	    text_user(&i->parts[INIT_PGBOUNCER], out, err) < 0 ||
	    text_place(i, INIT_PGBOUNCER, "6432", buf_text(&database), out, err) < 0)
		return -1;
	if (i->parts[INIT_PGBOUNCER].service == NULL &&
	    buf_puts(out, "config = /etc/pgbouncer/pgbouncer.ini\n", err) < 0)
		return -1;
	return text_service(i, INIT_PGBOUNCER, out, err);
}

static int text_volumes(const struct init *i, struct buf *out, struct err *err)
{
	for (size_t n = 0; n < i->volumes.count; n++) {
		const char *name = i->volumes.items[n];
		char label[128];
		size_t len = 0;
		for (; name[len] != '\0' && len < sizeof label - 1; len++)
			label[len] = (char)(name[len] == '.' ? '_' : name[len]);
		label[len] = '\0';
		if (buf_printf(out, err, "\n[volume %s]\n", label) < 0 ||
		    (strcmp(label, name) != 0 && buf_printf(out, err, "name = %s\n", name) < 0))
			return -1;
	}
	return 0;
}

int init_text(struct init *i, bool absolute, struct buf *out, struct err *err)
{
	static const char archive[] =
	    "\n[archive]\n"
	    "; Encrypts archives: `lifeboat keygen -o identity.txt` prints a recipient.\n"
	    ";recipients = age1...\n"
	    "\n[store local]\n"
	    "; The first store. One disk is no backup: add a second [store NAME] elsewhere, "
	    "s3://, sftp:// or davs://.\n";
	static const char rest[] = "keep = last 3, daily 7, weekly 4, monthly 12\n"
				   "\n; Of `lifeboat run`.\n"
				   "[schedule]\n"
				   "backup = 0 2 * * *\n"
				   "prune = 30 3 * * *\n"
				   "drill = 0 4 * * sun\n"
				   ";timezone = Europe/Berlin\n";
	CLEANUP(freep) char *place = NULL;
	if (own_folder(&place, err) < 0 || text_stack(i, absolute, place, out, err) < 0 ||
	    text_postgres(i, out, err) < 0 || text_redis(i, out, err) < 0 ||
	    text_pgbouncer(i, out, err) < 0 || text_volumes(i, out, err) < 0 ||
	    buf_puts(out, archive, err) < 0 ||
	    buf_printf(out, err, "url = file://%s/backups\n", place) < 0)
		return -1;
	return buf_puts(out, rest, err);
}

#include "stack/engine/host_tools.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

enum { VERSION_MS = 10000, VERSION_BYTES = 65536 };

/* ---- which version is it? ---- */

/* The first number with a dot or alone after a space or "v=": "postgres (PostgreSQL) 15.20 (…)",
 * "Redis server v=7.0.15 sha=…", "redis-cli 7.0.15", "PgBouncer 1.18.0". 0: none. */
static unsigned major_in(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		bool begins =
		    p > text && (p[-1] == ' ' || p[-1] == '=') && isdigit((unsigned char)*p);
		if (begins)
			return (unsigned)strtoul(p, NULL, 10);
	}
	return 0;
}

static int ask_version(const char *path, unsigned *ret, struct err *err)
{
	struct buf out;
	buf_init(&out, VERSION_BYTES);
	int rc =
	    child_run(&(struct child_opts){.argv = (const char *const[]){path, "--version", NULL},
					   .env = (const char *const[]){"LC_ALL=C", NULL},
					   .cwd = "/"},
		      &out, deadline_in(VERSION_MS), err);
	if (rc == 0)
		*ret = major_in(buf_text(&out));
	buf_done(&out);
	return rc;
}

/* Asked once per program: a backup starts many. */
static int version_of(const struct host_tools *h, const char *path, unsigned *ret, struct err *err)
{
	size_t len = strlen(path);
	for (size_t i = 0; i < h->known->count; i++) {
		const char *known = h->known->items[i];
		if (strncmp(known, path, len) == 0 && known[len] == '\n') {
			*ret = (unsigned)strtoul(known + len + 1, NULL, 10);
			return 0;
		}
	}
	if (ask_version(path, ret, err) < 0)
		return -1;
	return strlist_pushf(h->known, err, "%s\n%u", path, *ret);
}

/* ---- where is it? ---- */

/* The program in PATH or in the folders of system programs, which a service's PATH may lack. *ret
 * stays NULL when there is none. */
static int find_in_path(const char *name, char **ret, struct err *err)
{
	const char *path = getenv("PATH");
	CLEANUP(freep) char *folders = NULL;
	if (str_printf(&folders, err,
		       "%s:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
		       path != NULL ? path : "") < 0)
		return -1;
	char *next = folders;
	for (char *folder; (folder = strsep(&next, ":")) != NULL;) {
		CLEANUP(freep) char *file = NULL;
		if (folder[0] != '/')
			continue;
		if (str_printf(&file, err, "%s/%s", folder, name) < 0)
			return -1;
		if (access(file, X_OK) == 0) {
			*ret = file;
			file = NULL;
			return 0;
		}
	}
	return 0;
}

/* Where `pg_config` of PATH says that programs are; "" without it. */
static int pg_config_bindir(char **ret, struct err *err)
{
	CLEANUP(freep) char *pg_config = NULL;
	if (find_in_path("pg_config", &pg_config, err) < 0)
		return -1;
	struct buf out;
	struct err why = ERR_INIT;
	buf_init(&out, VERSION_BYTES);
	int rc = -1;
	if (pg_config != NULL)
		rc = child_run(
		    &(struct child_opts){.argv = (const char *const[]){pg_config, "--bindir", NULL},
					 .cwd = "/"},
		    &out, deadline_in(VERSION_MS), &why);
	if (why.code == ERR_CANCELLED) {
		buf_done(&out);
		*err = why;
		return -1;
	}
	const char *text = rc == 0 ? buf_text(&out) : "";
	rc = str_dupn(text, strcspn(text, "\n"), ret, err);
	buf_done(&out);
	return rc;
}

struct search {
	const struct host_tools *h;
	const struct tool *t;
	char *found;
	char *refused; /* "PATH is version N" of one that is there, but not right */
};

/* Takes `path`. True once the right one is found. */
static bool consider(struct search *s, char *path)
{
	unsigned major = 0;
	struct err why = ERR_INIT;
	CLEANUP(freep) char *mine = path;
	if (s->found != NULL || path == NULL || access(path, X_OK) != 0)
		return s->found != NULL;
	bool exact = strcmp(s->t->component, "postgres") == 0;
	if (s->t->major != 0 && version_of(s->h, path, &major, &why) < 0) {
		if (s->refused == NULL && str_printf(&s->refused, &why, "%s", why.msg) < 0)
			err_clear(&why);
		return false;
	}
	/* A newer Redis reads what an older one has written; PostgreSQL's tools must match. */
	if (s->t->major == 0 || (exact ? major == s->t->major : major >= s->t->major)) {
		s->found = mine;
		mine = NULL;
		return true;
	}
	if (s->refused == NULL &&
	    str_printf(&s->refused, &why, "'%s' is of version %u", path, major) < 0)
		err_clear(&why);
	return false;
}

static int search_postgres(struct search *s, struct err *err)
{
	CLEANUP(freep) char *bindir = NULL;
	char *path;
	if (s->t->major != 0) {
		if (str_printf(&path, err, "/usr/lib/postgresql/%u/bin/%s", s->t->major,
			       s->t->name) < 0)
			return -1;
		consider(s, path);
		if (str_printf(&path, err, "/usr/pgsql-%u/bin/%s", s->t->major, s->t->name) < 0)
			return -1;
		consider(s, path);
	}
	if (s->found != NULL)
		return 0;
	if (pg_config_bindir(&bindir, err) < 0 ||
	    (bindir[0] == '/' && str_printf(&path, err, "%s/%s", bindir, s->t->name) < 0))
		return -1;
	if (bindir[0] == '/')
		consider(s, path);
	path = NULL;
	if (find_in_path(s->t->name, &path, err) < 0)
		return -1;
	consider(s, path);
	/* Without a wish for a version: the newest of Debian's. */
	for (unsigned major = 40; s->t->major == 0 && s->found == NULL && major >= 9; major--) {
		if (str_printf(&path, err, "/usr/lib/postgresql/%u/bin/%s", major, s->t->name) < 0)
			return -1;
		consider(s, path);
	}
	return 0;
}

/* Valkey's programs do what Redis's of the same name do. */
static const char *valkey_name(const char *name)
{
	if (strcmp(name, "redis-server") == 0)
		return "valkey-server";
	if (strcmp(name, "redis-cli") == 0)
		return "valkey-cli";
	return NULL;
}

static int search_path(struct search *s, struct err *err)
{
	const char *names[] = {s->t->name, valkey_name(s->t->name)};
	for (size_t i = 0; i < 2 && names[i] != NULL; i++) {
		char *path = NULL;
		if (find_in_path(names[i], &path, err) < 0)
			return -1;
		consider(s, path);
	}
	return 0;
}

static int not_found(const struct search *s, struct err *err)
{
	const struct tool *t = s->t;
	const char *but = s->refused != NULL ? "; " : "";
	const char *refused = s->refused != NULL ? s->refused : "";
	if (strcmp(t->component, "postgres") == 0 && t->major != 0) {
		bool of_server = strcmp(t->name, "postgres") == 0 || strcmp(t->name, "initdb") == 0;
		err_set(err, ERR_ABSENT, "%s of PostgreSQL %u is not installed%s%s", t->name,
			t->major, but, refused);
		return err_hint(err, "Install postgresql-%s%u.", of_server ? "" : "client-",
				t->major);
	}
	if (t->major != 0)
		err_set(err, ERR_ABSENT, "%s of version %u or newer is not installed%s%s", t->name,
			t->major, but, refused);
	else
		err_set(err, ERR_ABSENT, "%s is not installed", t->name);
	return err_hint(err, "Install %s.",
			strcmp(t->component, "redis") == 0      ? "redis-server or valkey-server"
			: strcmp(t->component, "postgres") == 0 ? "postgresql-client"
								: t->component);
}

int host_tools_find(const struct host_tools *h, char **ret, struct err *err)
{
	struct search s = {.h = h, .t = h->tool};
	bool pg = strcmp(h->tool->component, "postgres") == 0;
	int rc = pg ? search_postgres(&s, err) : search_path(&s, err);
	if (rc == 0 && s.found == NULL)
		rc = not_found(&s, err);
	if (rc == 0 && cancel_check(err) < 0)
		rc = -1;
	if (rc == 0)
		*ret = s.found;
	else
		free(s.found);
	free(s.refused);
	return rc;
}

/* ---- running it ---- */

static int tool_argv(const struct host_tools *h, struct strlist *argv, struct err *err)
{
	const struct tool *t = h->tool;
	CLEANUP(freep) char *path = NULL;
	if (host_tools_find(h, &path, err) < 0 || strlist_push(argv, path, err) < 0)
		return -1;
	for (size_t i = 0; t->argv != NULL && t->argv[i] != NULL; i++) {
		bool here = h->volume_path != NULL && strcmp(t->argv[i], TOOL_VOLUME) == 0;
		if (strlist_push(argv, here ? h->volume_path : t->argv[i], err) < 0)
			return -1;
	}
	return 0;
}

static int start_tool(const struct host_tools *h, bool pipe_stdin, bool pipe_stdout,
		      struct child **ret, struct err *err)
{
	const struct tool *t = h->tool;
	struct strlist argv = {0};
	int rc = tool_argv(h, &argv, err);
	if (rc == 0)
		rc = child_start(
		    &(struct child_opts){
			.argv = (const char *const *)argv.items,
			.env = t->env,
			/* Where we are may be closed to that user. */
			.cwd = t->as_server ? "/" : NULL,
			.run_as = t->as_server ? h->server : NULL,
			.pipe_stdin = pipe_stdin,
			.pipe_stdout = pipe_stdout,
		    },
		    ret, err);
	strlist_done(&argv);
	return rc;
}

int host_tools_source(const struct host_tools *h, struct source **ret, struct err *err)
{
	struct child *c;
	if (start_tool(h, false, true, &c, err) < 0)
		return -1;
	return source_child(c, h->tool->idle_ms, ret, err);
}

int host_tools_sink(const struct host_tools *h, struct sink **ret, struct err *err)
{
	struct child *c;
	if (start_tool(h, true, false, &c, err) < 0)
		return -1;
	return sink_child(c, h->tool->idle_ms, ret, err);
}

int host_tools_run(const struct host_tools *h, struct buf *out, struct deadline d, struct err *err)
{
	CLEANUP(child_freep) struct child *c = NULL;
	if (start_tool(h, false, out != NULL, &c, err) < 0)
		return -1;
	for (size_t n = 1; out != NULL && n > 0;) {
		uint8_t block[4096];
		if (child_read(c, block, sizeof block, &n, d, err) < 0)
			return -1;
		if (buf_append(out, block, n, err) < 0)
			return err_wrap(err, "output of '%s'", h->tool->name);
	}
	return child_wait(c, d, err);
}

/* A configuration of PgBouncer that leads to a sandbox instead of production. */
#include <stdlib.h>
#include <string.h>
#include "stack/pgbouncer/pgbouncer_ini.h"

enum { TEXT_BYTES_MAX = 128 << 20 };

struct rewrite {
	const char *ini_path, *cwd;
	const struct pgbouncer_sandbox *sandbox;
	struct buf out;
};

static int put_name(struct buf *out, const char *name, struct err *err)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-*";
	bool quotes = name[strspn(name, plain)] != '\0';
	return buf_printf(out, err, "%s%s%s =", quotes ? "'" : "", name, quotes ? "'" : "");
}

/* ---- [databases] ---- */

static bool is_plain(const char *value)
{
	for (const char *p = value; *p != '\0'; p++)
		if (*p == ' ' || *p == '\'' || (unsigned char)*p < ' ')
			return false;
	return value[0] != '\0';
}

static int put_pair(struct buf *out, const char *key, const char *value, struct err *err)
{
	if (is_plain(value))
		return buf_printf(out, err, " %s=%s", key, value);
	if (buf_printf(out, err, " %s='", key) < 0)
		return -1;
	for (const char *p = value; *p != '\0'; p++)
		if (buf_printf(out, err, "%s%c", *p == '\'' ? "'" : "", *p) < 0)
			return -1;
	return buf_puts(out, "'", err);
}

/* Unix sockets: a folder, an abstract name, or no host at all (objects.c). */
static bool is_tcp(const char *host)
{
	return host != NULL && host[0] != '/' && host[0] != '@';
}

static int put_database(struct rewrite *w, const char *text, struct err *err)
{
	CLEANUP(freep) char *host = NULL;
	struct buf kept;
	buf_init(&kept, TEXT_BYTES_MAX);
	int rc = 0;
	while (rc == 0) {
		CLEANUP(freep) char *key = NULL;
		CLEANUP(freep) char *value = NULL;
		rc = pgbouncer_ini_pair(&text, &key, &value, err);
		if (rc < 0 || key == NULL)
			break;
		if (strcmp(key, "host") == 0) {
			free(host);
			host = value;
			value = NULL;
		} else if (strcmp(key, "hostaddr") != 0 && strcmp(key, "port") != 0) {
			rc = put_pair(&kept, key, value, err);
			explicit_bzero(value, strlen(value));
		}
	}
	const struct pgbouncer_sandbox *s = w->sandbox;
	if (rc == 0)
		rc = put_pair(&w->out, "host", is_tcp(host) ? s->pg_host : s->pg_socket_dir, err);
	if (rc == 0)
		rc = buf_printf(&w->out, err, " port=%u%s\n", s->pg_port, buf_text(&kept));
	if (kept.data != NULL)
		explicit_bzero(kept.data, kept.len);
	buf_done(&kept);
	return rc;
}

/* ---- [pgbouncer] ---- */

/* What would reach out of the sandbox, or need rights or names that it has not. Those that are set
 * anew come at the end of the section. */
static bool is_dropped(const char *setting)
{
	static const char *const dropped[] = {
	    "listen_addr",  "listen_port", "unix_socket_dir", "unix_socket_group",
	    "pidfile",      "logfile",     "syslog",          "so_reuseport",
	    "user",         "peer_id",     "resolv_conf",     "conffile",
	    "service_name",
	};
	for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
		if (strcmp(dropped[i], setting) == 0)
			return true;
	return false;
}

/* The log goes to stderr, from where the engine keeps it. */
static int put_overrides(struct rewrite *w, struct err *err)
{
	const struct pgbouncer_sandbox *s = w->sandbox;
	return buf_printf(&w->out, err,
			  "listen_addr = %s\nlisten_port = %u\nunix_socket_dir = %s\n"
			  "pidfile = %s/pgbouncer.pid\nlogfile =\nsyslog = 0\nso_reuseport = 0\n",
			  s->listen_addr, s->listen_port, s->work_dir, s->work_dir);
}

static int put_file(struct rewrite *w, const struct pgbouncer_item *i, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *restored = NULL;
	const struct pgbouncer_sandbox *s = w->sandbox;
	if (i->value[0] == '\0')
		return buf_printf(&w->out, err, "%s =\n", i->name);
	if (s->hba_path != NULL && strcmp(i->name, "auth_hba_file") == 0)
		return buf_printf(&w->out, err, "%s = %s\n", i->name, s->hba_path);
	if (pgbouncer_ini_path(w->ini_path, w->cwd, i->value, &path, err) < 0 ||
	    (s->restored != NULL && s->restored(s->ctx, path, &restored, err) < 0))
		return -1;
	return buf_printf(&w->out, err, "%s = %s\n", i->name, restored != NULL ? restored : path);
}

static int put_setting(struct rewrite *w, const struct pgbouncer_item *i, struct err *err)
{
	if (is_dropped(i->name))
		return 0;
	if (pgbouncer_ini_role(i->name) != NULL)
		return put_file(w, i, err);
	/* The certificate is for production's host name; that its authority signed it still
	 * counts. */
	if (strcmp(i->name, "server_tls_sslmode") == 0 && strcmp(i->value, "verify-full") == 0)
		return buf_puts(&w->out, "server_tls_sslmode = verify-ca\n", err);
	if (put_name(&w->out, i->name, err) < 0)
		return -1;
	return buf_printf(&w->out, err, " %s\n", i->value);
}

/* ---- the whole ---- */

static bool is_in(const char *section, const char *name)
{
	return section != NULL && strcmp(section, name) == 0;
}

static int put_item(struct rewrite *w, const struct pgbouncer_item *i, struct err *err)
{
	if (i->kind == PGBOUNCER_INCLUDE || is_in(i->section, "peers"))
		return 0;
	if (i->kind == PGBOUNCER_SECTION)
		return buf_printf(&w->out, err, "\n[%s]\n", i->name);
	if (is_in(i->section, "pgbouncer"))
		return put_setting(w, i, err);
	if (put_name(&w->out, i->name, err) < 0)
		return -1;
	if (!is_in(i->section, "databases"))
		return buf_printf(&w->out, err, " %s\n", i->value);
	if (put_database(w, i->value, err) < 0)
		return err_wrap(err, "%s:%u: database '%s'", i->file, i->line, i->name);
	return 0;
}

static int put_all(struct rewrite *w, const struct pgbouncer_ini *ini, struct err *err)
{
	bool found = false, inside = false;
	if (buf_puts(&w->out, "; for a sandbox; includes are folded in\n", err) < 0)
		return -1;
	for (size_t i = 0; i < ini->count; i++) {
		const struct pgbouncer_item *item = &ini->items[i];
		if (item->kind == PGBOUNCER_SECTION) {
			if (inside && put_overrides(w, err) < 0)
				return -1;
			inside = is_in(item->name, "pgbouncer");
			found = found || inside;
		}
		if (put_item(w, item, err) < 0)
			return -1;
	}
	if (!found)
		return err_set(err, ERR_CORRUPT, "%s: there is no [pgbouncer] section",
			       w->ini_path);
	return inside ? put_overrides(w, err) : 0;
}

int pgbouncer_rewrite(const char *ini_path, const char *cwd, pgbouncer_read_fn *read,
		      void *read_ctx, const struct pgbouncer_sandbox *sandbox, char **ret,
		      struct err *err)
{
	CLEANUP(pgbouncer_ini_freep) struct pgbouncer_ini *ini = NULL;
	if (pgbouncer_ini_load(ini_path, cwd, read, read_ctx, &ini, err) < 0)
		return -1;
	struct rewrite w = {.ini_path = ini_path, .cwd = cwd, .sandbox = sandbox};
	buf_init(&w.out, TEXT_BYTES_MAX);
	if (put_all(&w, ini, err) < 0 || buf_take(&w.out, ret, err) < 0) {
		if (w.out.data != NULL)
			explicit_bzero(w.out.data, w.out.len);
		buf_done(&w.out);
		return -1;
	}
	return 0;
}

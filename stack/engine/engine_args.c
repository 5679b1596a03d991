#include "stack/engine/engine_args.h"

#include <signal.h>
#include <string.h>

static int add_file(struct engine_args *a, const char *name, const char *text, struct err *err)
{
	if (strlist_pushf(&a->files, err, "%s/%s", a->work, name) < 0)
		return -1;
	return strlist_push(&a->files, text, err);
}

/* ---- postgres ---- */

static int add_setting(struct engine_args *a, const char *name, const char *value, struct err *err)
{
	if (strlist_push(&a->argv, "-c", err) < 0)
		return -1;
	return strlist_pushf(&a->argv, err, "%s=%s", name, value);
}

static int postgres_args(struct engine_args *a, const struct server_spec *spec, struct err *err)
{
	const char *const first[] = {a->program, "-D", a->volume};
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		if (strlist_push(&a->argv, first[i], err) < 0)
			return -1;
	for (size_t i = 0; spec->settings != NULL && spec->settings[i] != NULL; i++)
		if (strlist_push(&a->argv, "-c", err) < 0 ||
		    strlist_push(&a->argv, spec->settings[i], err) < 0)
			return -1;
	if (spec->hba != NULL && add_file(a, "pg_hba.conf", spec->hba, err) < 0)
		return -1;
	if (spec->conf != NULL &&
	    (add_file(a, "postgresql.conf", spec->conf, err) < 0 ||
	     strlist_push(&a->argv, "-c", err) < 0 ||
	     strlist_pushf(&a->argv, err, "config_file=%s/postgresql.conf", a->work) < 0))
		return -1;
	if (strlist_push(&a->argv, "-c", err) < 0 ||
	    strlist_pushf(&a->argv, err, "hba_file=%s/pg_hba.conf",
			  spec->hba != NULL ? a->work : a->volume) < 0 ||
	    strlist_push(&a->argv, "-c", err) < 0 ||
	    strlist_pushf(&a->argv, err, "ident_file=%s/pg_ident.conf", a->volume) < 0 ||
	    strlist_push(&a->argv, "-c", err) < 0 ||
	    strlist_pushf(&a->argv, err, "port=%u", a->port) < 0)
		return -1;
	/* The last word on the command line wins over every file of the volume. A restored
	 * configuration names production's own folders, archive and standbys: none of them may be
	 * touched from here. */
	const struct {
		const char *name, *value;
		unsigned since; /* the version that brought it */
	} ours[] = {
	    {"data_directory", a->volume, 0},
	    {"listen_addresses",
	     a->is_alone       ? "*"
	     : spec->by_socket ? ""
			       : "127.0.0.1",
	     0},
	    {"unix_socket_directories", a->socket_dir, 0},
	    {"unix_socket_group", "", 0},
	    {"unix_socket_permissions", "0777", 0}, /* the folder is closed already */
	    {"external_pid_file", "", 0},
	    {"logging_collector", "off", 0},
	    {"log_destination", "stderr", 0},
	    {"huge_pages", "off", 0}, /* they are reserved for production, if there are any */
	    {"archive_mode", "off", 0},
	    {"synchronous_standby_names", "", 0},
	    {"max_logical_replication_workers", "0", 0},
	    {"primary_conninfo", "", 0},
	    /* One that writes down who logs in would add our own logins to what is compared. */
	    {"event_triggers", "off", 17},
	};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (a->major >= ours[i].since &&
		    add_setting(a, ours[i].name, ours[i].value, err) < 0)
			return -1;
	return 0;
}

/* ---- redis ---- */

/* As redis.conf quotes: sdssplitargs in Redis's sds.c. */
static int quoted(struct buf *out, const char *text, struct err *err)
{
	if (buf_puts(out, "\"", err) < 0)
		return -1;
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		int rc = c == '"' || c == '\\' ? buf_printf(out, err, "\\%c", c)
			 : c < ' ' || c == 127 ? buf_printf(out, err, "\\x%02x", c)
					       : buf_append(out, p, 1, err);
		if (rc < 0)
			return -1;
	}
	return buf_puts(out, "\"", err);
}

static bool is_directive(const char *line, const char *name)
{
	size_t len = strlen(name);
	return strncasecmp(line, name, len) == 0 && (line[len] == ' ' || line[len] == '\t');
}

/* What the engine decides; some of these act while the file is being read, so that a later line
 * would not undo them. A replica would throw the restored keys away for its master's; an included
 * file would not be filtered. */
static bool is_ours(const char *line)
{
	static const char *const ours[] = {
	    "port",           "bind",      "tls-port",       "unixsocket", "dir",
	    "pidfile",        "logfile",   "syslog-enabled", "daemonize",  "supervised",
	    "protected-mode", "replicaof", "slaveof",        "include",    "bind-source-addr"};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (is_directive(line, ours[i]))
			return true;
	return false;
}

static int redis_config(struct engine_args *a, const struct server_spec *spec, struct buf *out,
			struct err *err)
{
	CLEANUP(freep) char *pidfile = NULL;
	for (size_t i = 0; spec->settings != NULL && spec->settings[i] != NULL; i++) {
		const char *line = spec->settings[i];
		if (strchr(line, '\n') != NULL)
			return err_set(err, ERR_FAILED, "a setting of redis has two lines");
		if (!is_ours(line) && buf_printf(out, err, "%s\n", line) < 0)
			return -1;
	}
	if (str_printf(&pidfile, err, "%s/redis.pid", a->work) < 0 ||
	    buf_printf(out, err, "port %u\nbind %s\nprotected-mode no\n", a->port,
		       a->is_alone ? "0.0.0.0" : "127.0.0.1") < 0 ||
	    buf_puts(out, "daemonize no\nsupervised no\nlogfile \"\"\nsyslog-enabled no\n", err) <
		0 ||
	    buf_puts(out, "dir ", err) < 0 || quoted(out, a->volume, err) < 0 ||
	    buf_puts(out, "\npidfile ", err) < 0 || quoted(out, pidfile, err) < 0)
		return -1;
	return buf_puts(out, "\n", err);
}

static int redis_args(struct engine_args *a, const struct server_spec *spec, struct err *err)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	int rc = redis_config(a, spec, &text, err);
	if (rc == 0)
		rc = add_file(a, "redis.conf", buf_text(&text), err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_done(&text);
	if (rc < 0 || strlist_push(&a->argv, a->program, err) < 0)
		return -1;
	return strlist_pushf(&a->argv, err, "%s/redis.conf", a->work);
}

/* ---- pgbouncer ---- */

static int pgbouncer_args(struct engine_args *a, const struct server_spec *spec, struct err *err)
{
	if (spec->config != NULL) {
		if (strlist_push(&a->argv, a->program, err) < 0)
			return -1;
		return strlist_push(&a->argv, spec->config, err);
	}
	if (spec->settings == NULL || spec->settings[0] == NULL)
		return err_set(err, ERR_FAILED, "pgbouncer needs the text of its configuration");
	for (const char *const *file = spec->settings + 1; *file != NULL; file += 2) {
		if (file[1] == NULL || strchr(file[0], '/') != NULL)
			return err_set(err, ERR_FAILED,
				       "a file of pgbouncer has no text, or a path");
		if (add_file(a, file[0], file[1], err) < 0)
			return -1;
	}
	if (add_file(a, "pgbouncer.ini", spec->settings[0], err) < 0 ||
	    strlist_push(&a->argv, a->program, err) < 0)
		return -1;
	return strlist_pushf(&a->argv, err, "%s/pgbouncer.ini", a->work);
}

/* ---- which ---- */

static const char *const postgres_env[] = {"PGDATA",        "PGPORT", "PGHOST",        "PGOPTIONS",
					   "NOTIFY_SOCKET", "LC_ALL", "LC_MESSAGES=C", NULL};
static const char *const other_env[] = {"NOTIFY_SOCKET", NULL};

/* PostgreSQL on SIGKILL leaves shared memory behind; SIGQUIT is its immediate shutdown
 * (postgres(1)). PgBouncer takes SIGINT for a shutdown that waits for queries, not for clients, in
 * all versions. */
static const struct engine_component components[] = {
    {.name = "postgres",
     .program = "postgres",
     .needs_volume = true,
     .stop_signal = SIGINT,
     .kill_signal = SIGQUIT,
     .death_signal = SIGQUIT,
     .env = postgres_env,
     .args = postgres_args},
    {.name = "redis",
     .program = "redis-server",
     .needs_volume = true,
     .stop_signal = SIGTERM,
     .kill_signal = SIGKILL,
     .death_signal = SIGKILL,
     .env = other_env,
     .args = redis_args},
    {.name = "pgbouncer",
     .program = "pgbouncer",
     .stop_signal = SIGINT,
     .kill_signal = SIGKILL,
     .death_signal = SIGKILL,
     .env = other_env,
     .args = pgbouncer_args},
};

const struct engine_component *engine_args_find(const char *name)
{
	for (size_t i = 0; i < sizeof components / sizeof *components; i++)
		if (strcmp(components[i].name, name) == 0)
			return &components[i];
	return NULL;
}

/*
 * PgBouncer: its folder into a fresh volume; for the sandbox a copy of the configuration that
 * listens elsewhere and leads to the sandbox's PostgreSQL. The proof is a query through it, with
 * the application's own user and password.
 */
#include <stdlib.h>
#include <string.h>
#include "restore/sandbox.h"
#include "stack/pgbouncer/pgbouncer.h"

enum { FILES_MAX_BYTES = 64 << 20 };

static const char *volume_of(const json_t *section)
{
	return json_str_or(section, "volume", "pgbouncer_data");
}

/* Major and minor version of "PgBouncer 1.18.0" as one number; 0: it says none. */
static unsigned long version_in(const char *text)
{
	static const char name[] = "PgBouncer ";
	char *end;
	if (strncmp(text, name, sizeof name - 1) != 0)
		return 0;
	unsigned long major = strtoul(text + sizeof name - 1, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return minor < 1000 ? major * 1000 + minor : 0;
}

/* An older PgBouncer does not start on a configuration that says what it does not know. */
static int plan_version(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	const char *argv[] = {"--version", NULL};
	struct tool t = {.component = "pgbouncer",
			 .name = "pgbouncer",
			 .argv = argv,
			 .sandbox = true,
			 .idle_ms = 20000};
	struct err why = ERR_INIT;
	const char *wrote = json_str_or(json_object_get(section, "server"), "version", "");
	struct buf out;
	buf_init(&out, 4096);
	int rc = 0;
	if (engine_tool_run(sb->job->engine, &t, &out, deadline_in(20000), &why) < 0) {
		rc = plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "", why.hint);
	} else {
		const char *here = buf_text(&out);
		unsigned long version = version_in(here);
		if (version != 0 && version < version_in(wrote))
			rc = plan_obstacle(plan, err,
					   "%.*s is older than the %s that the configuration is "
					   "of, and may not know all that it says: restore with %s "
					   "or newer",
					   (int)strcspn(here, "\r\n"), here, wrote, wrote);
	}
	buf_done(&out);
	return rc;
}

static int plan(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	struct tool t = {.component = "pgbouncer", .name = "pgbouncer", .sandbox = true};
	CLEANUP(freep) char *where = NULL;
	struct err why = ERR_INIT;
	bool adopted;
	if (sandbox_adopt(sb, "pgbouncer", section, plan, &adopted, err) < 0)
		return -1;
	if (adopted && engine_tool_find(sb->job->engine, &t, &where, &why) < 0) {
		if (plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "", why.hint) <
		    0)
			return -1;
	} else if (adopted && plan_version(sb, section, plan, err) < 0) {
		return -1;
	}
	if (plan_volume(sb, plan, "pgbouncer", volume_of(section), err) < 0)
		return -1;
	return plan_outside(sb, plan, "pgbouncer", volume_of(section), err);
}

static int load(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *volume = NULL, *outside = NULL;
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	sb->loading = "pgbouncer";
	if (sandbox_volume(sb, "pgbouncer", volume_of(section),
			   json_str_or(section, "folder", NULL), &volume, err) < 0 ||
	    engine_volume_write(sb->job->engine, volume, &to, err) < 0 ||
	    sandbox_unpack(sb, "pgbouncer/config/", UNPACK_AS_ARCHIVED, to, err) < 0 ||
	    tree_writer_close(to, err) < 0)
		return -1;
	return sandbox_outside(sb, "pgbouncer", volume_of(section), &outside, err);
}

/* ---- production's paths, and where their files are now ---- */

struct paths {
	struct sandbox *sb;
	const json_t *section;
};

/* The volume and the name in it of a file that production has at `path`. *ret_volume NULL: it was
 * not in the backup. New strings. */
static int locate(struct paths *p, const char *path, char **ret_volume, char **ret_name,
		  struct err *err)
{
	size_t i;
	json_t *file;
	*ret_volume = *ret_name = NULL;
	json_array_foreach(json_object_get(p->section, "files"), i, file)
	{
		CLEANUP(freep) char *base = NULL;
		if (strcmp(json_str_or(file, "path", ""), path) != 0)
			continue;
		const char *inside = json_str_or(file, "inside", NULL);
		if (str_printf(&base, err, "%s%s", volume_of(p->section),
			       inside ? "" : "-outside") < 0 ||
		    str_dup(inside != NULL ? inside : path + 1, ret_name, err) < 0)
			return -1;
		return sandbox_volume_name(p->sb, base, ret_volume, err);
	}
	return 0;
}

struct find {
	const char *name;
	struct buf *out;
	bool found;
};

static int take_file(void *ctx, struct archive_entry *entry, struct source *content,
		     struct err *err)
{
	struct find *f = ctx;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (content == NULL || strcmp(archive_entry_pathname(entry), f->name) != 0)
		return 0;
	f->found = true;
	if (sink_buf(f->out, &to, err) < 0)
		return -1;
	return flow_copy(content, to, NULL, err);
}

/* Reads out of the restored volume what production has at `path`. */
static int read_restored(void *ctx, const char *path, struct buf *out, struct err *err)
{
	struct paths *p = ctx;
	CLEANUP(freep) char *volume = NULL, *name = NULL;
	if (locate(p, path, &volume, &name, err) < 0)
		return -1;
	struct find f = {.name = name, .out = out};
	if (volume != NULL &&
	    engine_volume_read(p->sb->job->engine, volume, take_file, &f, err) < 0)
		return -1;
	if (!f.found)
		return err_set(err, ERR_ABSENT, "the backup has no file '%s'", path);
	return 0;
}

static int restored_path(void *ctx, const char *path, char **ret, struct err *err)
{
	struct paths *p = ctx;
	CLEANUP(freep) char *volume = NULL, *name = NULL;
	if (locate(p, path, &volume, &name, err) < 0)
		return -1;
	if (volume == NULL) {
		*ret = NULL;
		return 0;
	}
	return str_printf(ret, err, "%s/%s", engine_volume_where(p->sb->job->engine, volume), name);
}

/* Production's own configuration, unchanged: every name in it leads to the sandbox. */
static int boot_unchanged(struct sandbox *sb, const json_t *section, const char *ini,
			  struct err *err)
{
	CLEANUP(freep) char *volume = NULL, *beside = NULL, *outside = NULL;
	const json_t *config = json_object_get(section, "server"); /* of SHOW CONFIG */
	const char *production = volume_of(section);
	bool has_outside = false;
	if (sandbox_volume_name(sb, production, &volume, err) < 0 ||
	    str_printf(&beside, err, "%s-outside", production) < 0 ||
	    sandbox_volume_name(sb, beside, &outside, err) < 0)
		return -1;
	for (size_t i = 0; i < sb->volumes.count; i++)
		has_outside = has_outside || strcmp(sb->volumes.items[i], outside) == 0;
	const char *others[] = {has_outside ? outside : NULL, NULL};
	struct server_spec spec = {
	    .volume = volume,
	    .others = others,
	    .config = ini,
	    .port = (unsigned)strtoul(json_str_or(config, "listen_port", "0"), NULL, 10),
	    .leave_running = sb->job->leave_servers};
	return server_start(sb->pgbouncer, &spec, err);
}

static int boot(struct sandbox *sb, const json_t *section, struct err *err)
{
	struct paths paths = {.sb = sb, .section = section};
	const char *ini;
	/* Without a PostgreSQL in the sandbox there is nothing that it could lead to. */
	if (sb->postgres == NULL)
		return 0;
	if (json_get_str(section, "ini", &ini, err) < 0 ||
	    engine_server_new(sb->job->engine, "pgbouncer", 0, &sb->pgbouncer, err) < 0)
		return -1;
	if (engine_keeps_names(sb->job->engine))
		return boot_unchanged(sb, section, ini, err);
	CLEANUP(freep) char *hba_path = NULL;
	if (str_printf(&hba_path, err, "%s/hba", server_work_dir(sb->pgbouncer)) < 0)
		return -1;
	struct pgbouncer_sandbox box = {.pg_host = server_host(sb->postgres),
					.pg_port = server_port(sb->postgres),
					.pg_socket_dir = server_socket_dir(sb->postgres),
					.listen_addr = server_host(sb->pgbouncer),
					.listen_port = server_port(sb->pgbouncer),
					.work_dir = server_work_dir(sb->pgbouncer),
					.hba_path = hba_path,
					.restored = restored_path,
					.ctx = &paths};
	char *text = NULL;
	CLEANUP(freep) char *rules = NULL;
	int rc = pgbouncer_rewrite_hba(ini, NULL, read_restored, &paths, &box, &rules, err);
	if (rc == 0)
		rc = pgbouncer_rewrite(ini, NULL, read_restored, &paths, &box, &text, err);
	if (rc == 0) {
		const char *settings[] = {text, rules != NULL ? "hba" : NULL, rules, NULL};
		struct server_spec spec = {.settings = settings,
					   .leave_running = sb->job->leave_servers};
		rc = server_start(sb->pgbouncer, &spec, err);
	}
	secret_wipe(text);
	return rc;
}

/* ---- proof ---- */

/* The application's connection string with another address. Holds its password: wipe it. */
static int sandbox_url(struct sandbox *sb, char **ret, struct err *err)
{
	static const char *const replaced[] = {"host", "hostaddr", "port", "sslmode"};
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(sb->job->pgbouncer_url, &why);
	if (options == NULL) {
		err_set(err, ERR_CONFIG, "[pgbouncer] url: %s",
			why != NULL ? why : "can't be read");
		PQfreemem(why);
		return -1;
	}
	struct buf b;
	buf_init(&b, 16384);
	int rc = buf_printf(&b, err, "host='%s' port='%u' ", server_host(sb->pgbouncer),
			    server_port(sb->pgbouncer));
	for (PQconninfoOption *o = options; rc == 0 && o->keyword != NULL; o++) {
		bool skip = o->val == NULL || o->val[0] == '\0';
		for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
			skip = skip || strcmp(o->keyword, replaced[i]) == 0;
		if (!skip)
			rc = pg_conninfo_put(&b, o->keyword, o->val, err);
	}
	PQconninfoFree(options);
	if (rc < 0 || buf_take(&b, ret, err) < 0) {
		if (b.data != NULL)
			explicit_bzero(b.data, b.len);
		buf_done(&b);
		return -1;
	}
	return 0;
}

/* Which cluster answers behind a connection; pg_control_system() is open to every role. */
#define WHICH_CLUSTER "SELECT system_identifier FROM pg_catalog.pg_control_system()"

static int prove(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
{
	const char *where = "query through PgBouncer";
	if (sb->pgbouncer == NULL)
		return report_unverified(r, "pgbouncer", where,
					 "PostgreSQL is not part of this restore", err);
	if (sb->job->pgbouncer_url == NULL)
		return report_unverified(r, "pgbouncer", where, "no [pgbouncer] url is configured",
					 err);
	CLEANUP(pg_freep) struct pg *through = NULL, *direct = NULL;
	CLEANUP(freep) char *via = NULL, *own = NULL, *direct_url = NULL;
	char *url = NULL;
	struct err why = ERR_INIT;
	const json_t *postgres =
	    json_object_get(json_object_get(sb->manifest, "components"), "postgres");
	(void)section;
	if (sandbox_url(sb, &url, err) < 0)
		return -1;
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000, .plain = true};
	int rc = pg_wait_ready(&opts, NULL, sandbox_alive, sb->pgbouncer,
			       sandbox_ready_deadline(sb), &through, &why);
	secret_wipe(url);
	if (rc < 0)
		rc = sandbox_not_ready(sb->pgbouncer, &why);
	if (rc == 0)
		rc = pg_value(through, WHICH_CLUSTER, &via, &why);
	if (rc < 0)
		return report_compare(r, "pgbouncer", where, "answer", "accepted", why.msg, err);
	if (load_postgres_url(sb, postgres, &direct_url, err) < 0 ||
	    pg_connect(&(struct pg_opts){.url = direct_url, .connect_timeout_ms = 20000}, NULL,
		       &direct, err) < 0 ||
	    pg_value(direct, WHICH_CLUSTER, &own, err) < 0)
		return -1;
	return report_compare(r, "pgbouncer", where, "system identifier", own, via, err);
}

const struct part part_pgbouncer = {
    .name = "pgbouncer", .plan = plan, .load = load, .boot = boot, .prove = prove};

/*
 * PgBouncer: its configuration folder as it stands, and the files outside of it that the
 * configuration names.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "snapshot/snapshot.h"

static bool is_part(const struct backup_job *job)
{
	return job->pgbouncer != NULL;
}

/* Reads a file through the engine, for pgbouncer_collect. */
static int read_file(void *ctx, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (engine_server_file(ctx, "pgbouncer", path, &from, NULL, err) < 0 ||
	    sink_buf(out, &to, err) < 0)
		return -1;
	return flow_copy(from, to, NULL, err);
}

/* The folder of the ini file, without a slash at its end. */
static int folder_of(const char *path, char **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL || path[0] != '/')
		return err_set(err, ERR_CONFIG, "'%s' is not an absolute path", path);
	return str_dupn(path, slash == path ? 1 : (size_t)(slash - path), ret, err);
}

static int plan(struct snapshot *s, json_t *section, struct err *err)
{
	const struct pgbouncer_opts *opts = s->job->pgbouncer;
	json_t *server = NULL, *files = NULL;
	struct err why = ERR_INIT;
	CLEANUP(freep) char *folder = NULL;
	const char *ini = opts->config;
	if (pgbouncer_describe(opts, &server, &why) == 0) {
		if (json_put(section, "server", server, err) < 0)
			return -1;
		if (ini == NULL)
			ini = json_str_or(server, "conffile", NULL);
	} else if (ini == NULL) {
		*err = why;
		if (why.code == ERR_UNREACHABLE)
			return err_hint(err, "Check that PgBouncer runs, and host and port in "
					     "[pgbouncer] url; or set config there to the path of "
					     "pgbouncer.ini.");
		return err_hint(err,
				"Set [pgbouncer] config to the path of pgbouncer.ini, or add the "
				"user to admin_users or stats_users.");
	} else if (snapshot_warn(s, err, "pgbouncer: its console can't be asked: %s", why.msg) <
		   0) {
		return -1;
	}
	if (ini == NULL)
		return err_set(err, ERR_FAILED, "the console does not say where pgbouncer.ini is");
	if (folder_of(ini, &folder, err) < 0 ||
	    json_put(section, "ini", json_text_value(ini), err) < 0 ||
	    json_put(section, "folder", json_text_value(folder), err) < 0 ||
	    snapshot_runtime(s, section, "pgbouncer", folder, s->job->pgbouncer_volume, err) < 0 ||
	    pgbouncer_collect(ini, NULL, read_file, s->job->engine, &files, err) < 0)
		return -1;
	return json_put(section, "files", files, err);
}

struct folder {
	struct snapshot *s;
	struct strlist files; /* no links: what these lead to may lie elsewhere */
};

static void folder_done(struct folder *f)
{
	strlist_done(&f->files);
}

/* A pid file in a fresh volume would keep PgBouncer from starting; logs are no configuration. */
static bool is_runtime_file(const char *name)
{
	size_t len = strlen(name);
	return (len > 4 && strcmp(name + len - 4, ".pid") == 0) ||
	       (len > 4 && strcmp(name + len - 4, ".log") == 0);
}

static int take_entry(void *ctx, struct archive_entry *entry, struct source *content,
		      struct err *err)
{
	struct folder *f = ctx;
	CLEANUP(freep) char *member = NULL;
	const char *name = archive_entry_pathname(entry);
	if (is_runtime_file(name))
		return 0;
	if ((archive_entry_filetype(entry) == AE_IFREG || archive_entry_hardlink(entry) != NULL) &&
	    strlist_push(&f->files, name, err) < 0)
		return -1;
	if (str_printf(&member, err, "pgbouncer/config/%s", strcmp(name, ".") == 0 ? "" : name) <
		0 ||
	    snapshot_entry(f->s, member, entry, content, err) < 0)
		return -1;
	return 0;
}

/* Files that the configuration names and that lie outside its folder. */
static int take_outside(const struct folder *f, json_t *file, const char *folder, struct err *err)
{
	struct snapshot *s = f->s;
	const char *path;
	if (json_get_str(file, "path", &path, err) < 0)
		return -1;
	size_t len = strlen(folder);
	if (strncmp(path, folder, len) == 0 && path[len] == '/' &&
	    strlist_has(&f->files, path + len + 1))
		return json_put(file, "inside", json_text_value(path + len + 1), err);
	CLEANUP(freep) char *member = NULL;
	struct buf content;
	buf_init(&content, (size_t)16 << 20);
	int rc = read_file(s->job->engine, path, &content, err);
	if (rc == 0)
		rc = str_printf(&member, err, "pgbouncer/outside%s", path);
	if (rc == 0)
		rc = snapshot_file(s, member, buf_text(&content), content.len, err);
	if (rc == 0)
		rc = json_put(file, "member", json_text_value(member), err);
	buf_done(&content);
	return rc;
}

static int take(struct snapshot *s, json_t *section, struct err *err)
{
	const char *folder;
	s->taking = "pgbouncer";
	if (json_get_str(section, "folder", &folder, err) < 0)
		return -1;
	CLEANUP(folder_done) struct folder f = {.s = s};
	if (engine_server_tree(s->job->engine, "pgbouncer", folder, take_entry, &f, err) < 0)
		return -1;
	size_t i;
	json_t *file;
	json_array_foreach(json_object_get(section, "files"), i, file)
	{
		if (take_outside(&f, file, folder, err) < 0)
			return -1;
	}
	return 0;
}

const struct component take_pgbouncer = {
    .name = "pgbouncer", .is_part = is_part, .plan = plan, .take = take};

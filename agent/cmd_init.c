/* agent.conf for the stack that is found. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/commands.h"
#include "agent/init/init.h"
#include "base/file.h"

enum { TEXT_BYTES = 1 << 16 };

static int refuse_existing(const char *path, struct err *err)
{
	if (!file_exists(path))
		return 0;
	err_set(err, ERR_EXISTS, "'%s' is there already: not overwritten", path);
	return err_hint(err, "--output FILE writes another one, to compare.");
}

static int find(struct init *i, const char *project, struct err *err)
{
	char here[PATH_MAX];
	if (getcwd(here, sizeof here) == NULL)
		return err_set(err, ERR_IO, "the working directory can't be told");
	if (str_dup(here, &i->folder, err) < 0 || init_docker(i, NULL, project, err) < 0)
		return -1;
	if (i->project == NULL && init_local(i, err) < 0)
		return -1;
	return init_env(i, err) < 0 ? -1 : init_user(i, err);
}

static int nothing(const struct init *i, struct err *err)
{
	if (i->project != NULL) {
		err_set(err, ERR_ABSENT,
			"Compose project '%s' has neither a PostgreSQL, Redis or PgBouncer that is "
			"known by its image, nor a named volume",
			i->project);
		return err_hint(err, "Start from the sample: `lifeboat help agent.conf`.");
	}
	/* Several projects, if so. */
	if (i->left.count > 0)
		err_set(err, ERR_ABSENT, "%s", i->left.items[0]);
	else
		err_set(err, ERR_ABSENT,
			"found neither a Compose project nor a PostgreSQL, Redis or PgBouncer on "
			"its usual port%s%s",
			i->no_docker != NULL ? "; " : "", i->no_docker != NULL ? i->no_docker : "");
	return err_hint(err, "Run it in the folder of compose.yaml or with --project, or start "
			     "from the sample: `lifeboat help agent.conf`.");
}

static int note_password(struct init *i, enum init_kind kind, const char *name, struct err *err)
{
	const struct init_part *part = &i->parts[kind];
	const struct init_login *l = &part->login;
	bool wanted = kind == INIT_REDIS ? part->wants_password : !part->no_password;
	if (!init_has(i, kind) || !wanted || l->names[INIT_PASSWORD] != NULL)
		return 0;
	if (l->values[INIT_PASSWORD] != NULL)
		return strlist_pushf(&i->left, err,
				     "the password of %s: its container has it, but no .env file "
				     "does: write %s into one, and name that in env_file",
				     init_kind_name(kind), name);
	return strlist_pushf(&i->left, err,
			     "the password of %s: no .env file has it; set %s, or name the file in "
			     "env_file",
			     init_kind_name(kind), name);
}

/* What nobody but the owner of the stack knows. */
static int note_left(struct init *i, struct err *err)
{
	bool any = i->volumes.count > 0;
	for (enum init_kind k = 0; k < INIT_KINDS; k++)
		any = any || init_has(i, k);
	if (!any)
		return nothing(i, err);
	if (note_password(i, INIT_POSTGRES, "POSTGRES_PASSWORD", err) < 0 ||
	    note_password(i, INIT_PGBOUNCER, "POSTGRES_PASSWORD", err) < 0 ||
	    note_password(i, INIT_REDIS, "REDIS_PASSWORD", err) < 0)
		return -1;
	return strlist_push(&i->left, "where backups go: [store local] is a folder of this machine",
			    err);
}

/* Will agent.conf stand in the folder that the names of .env files count from? */
static bool is_in(const char *folder, const char *path)
{
	struct stat a, b;
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *parent = NULL;
	struct err ignored = ERR_INIT;
	if (slash == path ||
	    (slash != NULL && str_dupn(path, (size_t)(slash - path), &parent, &ignored) < 0))
		return false;
	return stat(folder, &a) == 0 && stat(parent != NULL ? parent : ".", &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static json_t *list_json(const struct strlist *l)
{
	json_t *list = json_array();
	for (size_t n = 0; list != NULL && n < l->count; n++)
		if (json_array_append_new(list, json_text_value(l->items[n])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int say(struct app *app, const struct init *i, const char *path, struct err *err)
{
	for (size_t n = 0; n < i->found.count; n++)
		output_say(app->out, "found    %s", i->found.items[n]);
	for (size_t n = 0; n < i->left.count; n++)
		output_say(app->out, STYLE_WARN "fill in" STYLE_END "  %s", i->left.items[n]);
	output_line(app->out, "written to '%s'", path);
	output_say(app->out, "Next: `lifeboat -c %s check` tries it.", path);
	return output_json(app->out,
			   json_pack("{s:o, s:s, s:o, s:o}", "file", json_text_value(path),
				     "engine", i->project != NULL ? "docker" : "local", "found",
				     list_json(&i->found), "left", list_json(&i->left)),
			   err);
}

static int write_fresh(const char *path, const struct buf *text, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *file = NULL;
	/* It holds no password, but says where everything is. */
	if (file_new_open(path, 0640, &file, err) == 0 &&
	    file_new_write(file, text->data, text->len, err) == 0 &&
	    file_new_close_fresh(file, err) == 0)
		return 0;
	return err->hint[0] != '\0' ? -1 : err_hint(err, "--output FILE writes it elsewhere.");
}

int cmd_init(struct app *app, struct err *err)
{
	const char *output = cli_value(app->cli, "output");
	const char *path = output != NULL ? output : "agent.conf";
	CLEANUP(init_done) struct init i = {0};
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, TEXT_BYTES);
	if (refuse_existing(path, err) < 0 || find(&i, cli_value(app->cli, "project"), err) < 0 ||
	    note_left(&i, err) < 0 || init_text(&i, !is_in(i.folder, path), &text, err) < 0 ||
	    write_fresh(path, &text, err) < 0)
		return -1;
	return say(app, &i, path, err);
}

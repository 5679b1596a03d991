/* agent.conf for the stack that is found. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/commands.h"
#include "agent/init.h"
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
	if (str_dup(here, &i->folder, err) < 0)
		return -1;
	if (project == NULL && init_compose(i, err) < 0)
		return -1;
	if (init_docker(i, NULL, project, err) < 0)
		return -1;
	if (i->project == NULL && init_local(i, err) < 0)
		return -1;
	return init_env(i, err);
}

/* What nobody but the owner of the stack knows. */
static int note_left(struct init *i, struct err *err)
{
	struct strlist *left = &i->left;
	size_t parts = i->volumes.count;
	for (size_t n = 0; n < INIT_KINDS; n++)
		parts += i->parts[n].service != NULL || i->parts[n].url != NULL;
	if (parts == 0) {
		err_set(err, ERR_ABSENT,
			"found neither a Compose project nor a PostgreSQL, Redis or PgBouncer on "
			"its usual port");
		return err_hint(err, "Run it in the folder of compose.yaml or with --project, or "
				     "start from the sample: `lifeboat help agent.conf`.");
	}
	bool sql = i->parts[INIT_POSTGRES].service != NULL || i->parts[INIT_POSTGRES].url != NULL ||
		   i->parts[INIT_PGBOUNCER].service != NULL || i->parts[INIT_PGBOUNCER].url != NULL;
	if (sql && i->password == NULL &&
	    strlist_push(left,
			 "the password of PostgreSQL: no .env file has it; set "
			 "POSTGRES_PASSWORD, or name the file in env_file",
			 err) < 0)
		return -1;
	if (i->parts[INIT_REDIS].wants_password && i->redis_password == NULL &&
	    strlist_push(left,
			 "the password of Redis: set REDIS_PASSWORD, or name the file in "
			 "env_file",
			 err) < 0)
		return -1;
	return strlist_push(left, "where backups go: [store local] is a folder of this machine",
			    err);
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

int cmd_init(struct app *app, struct err *err)
{
	const char *output = cli_value(app->cli, "output");
	const char *path = output != NULL ? output : "agent.conf";
	CLEANUP(init_done) struct init i = {0};
	CLEANUP(buf_done) struct buf text;
	CLEANUP(file_new_freep) struct file_new *file = NULL;
	buf_init(&text, TEXT_BYTES);
	if (refuse_existing(path, err) < 0 || find(&i, cli_value(app->cli, "project"), err) < 0 ||
	    note_left(&i, err) < 0 || init_text(&i, strchr(path, '/') != NULL, &text, err) < 0 ||
	    file_new_open(path, 0640, &file, err) < 0 ||
	    file_new_write(file, text.data, text.len, err) < 0 ||
	    file_new_close_fresh(file, err) < 0)
		return -1;
	return say(app, &i, path, err);
}

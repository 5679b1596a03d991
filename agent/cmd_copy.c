/* Brings stores up to date that were not there when a backup was taken, or are new. */
#include <string.h>
#include "agent/commands.h"
#include "agent/copies.h"
#include "agent/job.h"

static int check_stores(struct app *app, const struct config_store *from, const char *to_label,
			struct err *err)
{
	const struct config_store *to = NULL;
	if (app->config->store_count < 2) {
		err_set(err, ERR_CONFIG, "%s has one store: there is none to copy to",
			app->config->path);
		return err_hint(err, "add a section: [store NAME] with a url");
	}
	if (to_label == NULL)
		return 0;
	if (config_store_find(app->config, to_label, &to, err) < 0)
		return -1;
	if (to != from)
		return 0;
	err_set(err, ERR_USAGE, "store '%s' can't be copied to itself", to_label);
	return err_hint(err, "say which one has the backups: --from NAME");
}

/* What is in every store already is worth one line. */
static void say_nothing_to_do(struct app *app, const struct copies *c, const char *from)
{
	if (c->count == 0)
		output_line(app->out, "every store has what it should have of store '%s'", from);
}

int cmd_copy(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(copies_done) struct copies done = {0};
	const struct config_store *from = NULL;
	const char *which = cli_arg(app->cli, 0);
	json_t *list;
	struct copies_opts opts = {
	    .app = app, .to = cli_value(app->cli, "to"), .dry_run = cli_flag(app->cli, "dry-run")};
	if (config_store_find(app->config, cli_value(app->cli, "from"), &from, err) < 0 ||
	    check_stores(app, from, opts.to, err) < 0 ||
	    job_open(app, from->label, NULL, &j, err) < 0 ||
	    catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0 ||
	    (which != NULL && job_find(j, which, &opts.only, err) < 0))
		return -1;
	opts.from = j->store;
	opts.from_config = from;
	opts.catalog = &j->catalog;
	if (copies_run(&opts, &done, err) < 0)
		return err_wrap(err, "copy");
	copies_say(app, &done);
	say_nothing_to_do(app, &done, from->label);
	if (copies_json(&done, &list, err) < 0 ||
	    output_json(app->out,
			json_pack("{s:s, s:s, s:b, s:o}", "stack", app->config->stack.name, "from",
				  from->label, "dry_run", opts.dry_run, "copies", list),
			err) < 0)
		return -1;
	return copies_error(&done, err);
}

/*
 * Reads the command line and the configuration, runs one command, says how it went.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "agent/app.h"
#include "agent/around.h"
#include "base/clock.h"
#include "base/log.h"

/* Says what went wrong: once, here and nowhere else. Returns the exit status. */
static int report(struct output *out, const struct err *failure)
{
	struct err err = ERR_INIT;
	if (output_finish(out, failure, &err) < 0 && failure == NULL)
		failure = &err;
	if (failure == NULL)
		return 0;
	log_line(LOG_ERROR, "%s", failure->msg);
	log_hint(LOG_ERROR, failure->hint);
	return err_exit_status(failure->code);
}

static void print_warnings(const struct config *config)
{
	for (size_t i = 0; i < config->warnings.count; i++)
		log_line(LOG_WARN, "%s", config->warnings.items[i]);
}

static int run(struct app *app, struct err *err)
{
	CLEANUP(config_freep) struct config *config = NULL;
	if (!cli_command(app->cli)->no_config) {
		if (config_load(cli_value(app->cli, "config"), &config, err) < 0)
			return -1;
		print_warnings(config);
		app->config = config;
	}
	int done = around_run(app, cli_command(app->cli)->run, err);
	app->config = NULL;
	return done;
}

/* What would lead libpq to another server than the configuration names. */
static void forget_environment(void)
{
	static const char *const misleading[] = {
	    "PGSERVICE", "PGSERVICEFILE",        "PGHOSTADDR",   "PGDATABASE",
	    "PGOPTIONS", "PGTARGETSESSIONATTRS", "PGREQUIREPEER"};
	for (size_t i = 0; i < sizeof misleading / sizeof *misleading; i++)
		unsetenv(misleading[i]);
}

int main(int argc, char **argv)
{
	const char *const *words = (const char *const *)argv;
	struct err err = ERR_INIT;
	CLEANUP(cli_freep) struct cli *cli = NULL;
	CLEANUP(output_freep) struct output *out = NULL;
	forget_environment();
	int parsed = cli_parse(argc, words, &cli, &err);
	struct output_opts opts = {
	    .file = stdout,
	    .json = cli_wants_json(argc, words),
	    .quiet = cli != NULL && cli_flag(cli, "quiet"),
	    .colour = output_colour_wanted(STDOUT_FILENO),
	    .width = output_width(STDOUT_FILENO),
	};
	struct err own = ERR_INIT;
	if (output_new(&opts, &out, &own) < 0)
		return err_exit_status(own.code);
	if (parsed < 0)
		return report(out, &err);
	log_set_level(cli_flag(cli, "verbose") ? LOG_DEBUG : opts.quiet ? LOG_WARN : LOG_INFO);
	struct app app = {.cli = cli, .out = out};
	if (cancel_install(&err) < 0 || run(&app, &err) < 0)
		return report(out, &err);
	return report(out, NULL);
}

/*
 * What main hands to a command: `int cmd_backup(struct app *app, struct err *err)`.
 *
 * A command reads its options with cli_*, its settings from app->config, and speaks through
 * app->out. It returns 0, or -1 with err set; main prints the error and turns its code into the
 * exit status. A command that shows results although it fails sets its JSON document first
 * (output_json): main adds the error to it.
 */
#ifndef LIFEBOAT_AGENT_APP_H
#define LIFEBOAT_AGENT_APP_H

#include "agent/cli.h"
#include "agent/config/config.h"
#include "agent/output/output.h"

struct app {
	const struct config *config; /* NULL for commands that need none (command.no_config) */
	const struct cli *cli;
	struct output *out;
};

#endif

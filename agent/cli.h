/*
 * The command line, read by the one table of commands and options in commands.c.
 *
 *  1. cli_parse(argc, argv, &cli, err)          ERR_USAGE names the word and the nearest known one
 *  2. cli_command(cli)->run(&app, err)
 *     in the command: cli_value(app->cli, "label"), cli_flag(app->cli, "dry-run"),
 *     cli_arg(app->cli, 0)
 *  3. cli_free
 *
 * The same table yields --help and the manual pages (pages.h) and shell completion (completion.h).
 * Accepted: --name value, --name=value, -c value, -cvalue, -qv, global options before and after the
 * command, and "--" after which everything is an argument.
 */
#ifndef LIFEBOAT_AGENT_CLI_H
#define LIFEBOAT_AGENT_CLI_H

#include <stddef.h>
#include "base/buf.h"

struct app;

/* What the shell may offer for a value. */
enum cli_complete {
	CLI_COMPLETE_NONE,
	CLI_COMPLETE_FILE,
	CLI_COMPLETE_COMPONENT, /* of `--only` */
	CLI_COMPLETE_BACKUP,
	CLI_COMPLETE_COMMAND,
	CLI_COMPLETE_SHELL,
	CLI_COMPLETE_PAGE
};

struct cli_option {
	const char *name;  /* "label"; NULL ends a list */
	char letter;       /* 'c'; 0: none */
	const char *value; /* "TEXT", as help shows it; NULL: a flag */
	bool list;         /* several values, by commas or by repeating the option */
	enum cli_complete complete;
	const char *help; /* one sentence or two, without a full stop at the end */
};

enum { CLI_MAX_ARGS = 8, CLI_MAX_OPTIONS = 32 };

struct cli_command {
	const char *name; /* NULL ends the table */
	int (*run)(struct app *app, struct err *err);
	const char *args; /* "[BACKUP]", as help shows it; NULL: none */
	unsigned min_args, max_args;
	enum cli_complete complete; /* of its arguments */
	bool no_config;             /* runs without agent.conf */
	const char *summary;        /* a few words for the list of commands */
	const char *description;    /* paragraphs, separated by an empty line */
	const char *examples;       /* lines "command<TAB>what it does"; NULL: none */
	const struct cli_option *options;
};

/* The table, in commands.c. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_global_options[];

struct cli;
/* -h and --help become `help COMMAND`, --version becomes `version`. No command at all is ERR_USAGE.
 */
int cli_parse(int argc, const char *const *argv, struct cli **ret, struct err *err) MUST_USE;
void cli_free(struct cli *c);
DEFINE_CLEANUP(struct cli, cli_free)

const struct cli_command *cli_command(const struct cli *c);
/* By name; NULL if there is none. */
const struct cli_command *cli_command_find(const char *name);
/* ERR_USAGE "there is no command 'X'" with the nearest one as the hint. Returns -1. */
int cli_command_unknown(const char *name, struct err *err);

/* The option's value, NULL when it was not given. `option` must be one of the command's or a global
 * one (asserted). Borrowed. */
const char *cli_value(const struct cli *c, const char *option);
bool cli_flag(const struct cli *c, const char *option);
/* All values of a list option, split at commas, in order; empty when it was not given. */
int cli_list(const struct cli *c, const char *option, struct strlist *ret, struct err *err)
    MUST_USE;
/* Arguments after the command; NULL beyond the last. */
const char *cli_arg(const struct cli *c, size_t index);
size_t cli_arg_count(const struct cli *c);

/* For main, also when cli_parse failed: did the words ask for --json (so that a usage error is a
 * JSON document too)? */
bool cli_wants_json(int argc, const char *const *argv);

#endif

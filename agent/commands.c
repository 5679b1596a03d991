#include "agent/commands.h"

#define NONE                                                                                       \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* In the order of --help. */
const struct cli_option cli_global_options[] = {
    {.name = "config",
     .letter = 'c',
     .value = "FILE",
     .complete = CLI_COMPLETE_FILE,
     .help = "the configuration; without it ./agent.conf, then /etc/lifeboat/agent.conf"},
    {.name = "json", .help = "one JSON document on stdout instead of text"},
    {.name = "quiet", .letter = 'q', .help = "no progress, nothing but results and errors"},
    {.name = "verbose", .letter = 'v', .help = "say more, for finding out what goes wrong"},
    {.name = "help", .letter = 'h', .help = "this help, or that of the command"},
    {.name = "version", .help = "the version of lifeboat and of its libraries"},
    NONE,
};

static const struct cli_option help_options[] = {
    {.name = "man",
     .value = "PAGE",
     .complete = CLI_COMPLETE_PAGE,
     .help = "print a manual page in man(7) format: lifeboat or agent.conf"},
    {.name = "completion",
     .value = "SHELL",
     .complete = CLI_COMPLETE_SHELL,
     .help = "print a completion script: for bash, zsh or fish"},
    NONE,
};

/* In the order in which they are met: first what every night needs, then what a bad day needs. */
const struct cli_command cli_commands[] = {
    {.name = "version",
     .run = cmd_version,
     .no_config = true,
     .summary = "version of lifeboat and of its libraries",
     .description = "Prints the version of lifeboat and of the libraries that it runs with."},
    {.name = "help",
     .run = cmd_help,
     .args = "[COMMAND|agent.conf]",
     .max_args = 1,
     .complete = CLI_COMPLETE_COMMAND,
     .no_config = true,
     .summary = "help about a command, or about agent.conf",
     .description = "Says what a command does and what its options are; without one, what "
		    "commands there are. 'lifeboat help agent.conf' describes all settings.",
     .options = help_options,
     .examples = "lifeboat help backup\thow a backup is taken\n"
		 "lifeboat help agent.conf\tall settings"},
    {.name = NULL},
};

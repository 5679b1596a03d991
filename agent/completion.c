#include "agent/completion.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/cli.h"

enum { SCRIPT_MAX_BYTES = 1 << 20 };

/* A script that is being written; the first error is kept. */
struct script {
	struct buf text;
	bool failed;
	struct err *err;
};

PRINTF_LIKE(2, 3)
static void put(struct script *s, const char *fmt, ...)
{
	va_list args;
	char *line = NULL;
	if (s->failed)
		return;
	va_start(args, fmt);
	int len = vasprintf(&line, fmt, args);
	va_end(args);
	if (len < 0)
		err_nomem(s->err, "a completion script");
	s->failed = len < 0 || buf_append(&s->text, line, (size_t)len, s->err) < 0;
	free(len < 0 ? NULL : line);
}

/* What may stand for a value; files are the shell's own business. */
static void put_words(struct script *s, enum cli_complete kind)
{
	switch (kind) {
	case CLI_COMPLETE_COMPONENT:
		put(s, "postgres redis pgbouncer volumes");
		break;
	case CLI_COMPLETE_COMMAND:
		for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
			put(s, "%s ", c->name);
		put(s, "agent.conf");
		break;
	case CLI_COMPLETE_SHELL:
		put(s, "bash zsh fish");
		break;
	case CLI_COMPLETE_PAGE:
		put(s, "lifeboat agent.conf");
		break;
	case CLI_COMPLETE_BACKUP:
		put(s, "latest proven");
		break;
	case CLI_COMPLETE_NONE:
	case CLI_COMPLETE_FILE:
		break;
	}
}

/* ---- bash ---- */

static void bash_option_names(struct script *s, const struct cli_option *list)
{
	for (const struct cli_option *o = list; o != NULL && o->name != NULL; o++)
		put(s, "%s--%s", o == list ? "" : " ", o->name);
}

/* case branches for options that take a value. */
static void bash_values(struct script *s, const struct cli_option *list)
{
	for (const struct cli_option *o = list; o != NULL && o->name != NULL; o++) {
		if (o->value == NULL)
			continue;
		put(s, "\t--%s", o->name);
		if (o->letter != 0)
			put(s, "|-%c", o->letter);
		put(s, ")\n\t\t");
		if (o->complete == CLI_COMPLETE_FILE) {
			put(s, "COMPREPLY=($(compgen -f -- \"$cur\"))");
		} else {
			put(s, "COMPREPLY=($(compgen -W \"");
			put_words(s, o->complete);
			put(s, "\" -- \"$cur\"))");
		}
		put(s, "\n\t\treturn ;;\n");
	}
}

static void write_bash(struct script *s)
{
	put(s, "# lifeboat: completion for bash\n"
	       "_lifeboat()\n"
	       "{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal command= skip= i\n"
	       "\t# bash makes three words of --name=value\n"
	       "\tif [[ $cur == '=' ]]; then\n"
	       "\t\tcur=\n"
	       "\telif [[ $prev == '=' ]]; then\n"
	       "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	       "\tfi\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tif [[ $skip ]]; then\n"
	       "\t\t\tskip=\n"
	       "\t\telif [[ ${COMP_WORDS[i]} == -c || ${COMP_WORDS[i]} == --config ]]; then\n"
	       "\t\t\tskip=1\n"
	       "\t\telif [[ ${COMP_WORDS[i]} != -* ]]; then\n"
	       "\t\t\tcommand=${COMP_WORDS[i]}\n"
	       "\t\t\tbreak\n"
	       "\t\tfi\n"
	       "\tdone\n"
	       "\tcase $prev in\n");
	bash_values(s, cli_global_options);
	put(s, "\tesac\n\tlocal options='");
	bash_option_names(s, cli_global_options);
	put(s, "' words=\n\tcase $command in\n\t'')\n\t\twords='");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
		put(s, "%s%s", c == cli_commands ? "" : " ", c->name);
	put(s, "' ;;\n");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		put(s, "\t%s)\n", c->name);
		if (c->options != NULL) {
			put(s, "\t\tcase $prev in\n");
			bash_values(s, c->options);
			put(s, "\t\tesac\n\t\toptions+=' ");
			bash_option_names(s, c->options);
			put(s, "'\n");
		}
		put(s, "\t\twords='");
		put_words(s, c->complete);
		put(s, "' ;;\n");
	}
	put(s, "\tesac\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	       "\telse\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\tfi\n"
	       "}\n"
	       "complete -F _lifeboat lifeboat\n");
}

/* ---- zsh ---- */

/* Inside single quotes, where ':', '[' and ']' have a meaning of their own. */
static void zsh_text(struct script *s, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			put(s, "'\\''");
		else
			put(s, strchr(":[]\\", *text) != NULL ? "\\%c" : "%c", *text);
	}
}

static void zsh_option(struct script *s, const struct cli_option *o)
{
	const char *repeat = o->list ? "*" : "";
	if (o->letter != 0)
		put(s, " \\\n\t\t'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
	else
		put(s, " \\\n\t\t'%s--%s[", repeat, o->name);
	zsh_text(s, o->help);
	put(s, "]");
	if (o->value != NULL) {
		put(s, ":%s:", o->value);
		if (o->complete == CLI_COMPLETE_FILE) {
			put(s, "_files");
		} else {
			put(s, "(");
			put_words(s, o->complete);
			put(s, ")");
		}
	}
	put(s, "'");
}

static void write_zsh(struct script *s)
{
	put(s, "#compdef lifeboat\n"
	       "# lifeboat: completion for zsh\n"
	       "_lifeboat()\n"
	       "{\n"
	       "\tlocal context state line\n"
	       "\tlocal -a commands\n"
	       "\tcommands=(\n");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		put(s, "\t\t'%s:", c->name);
		zsh_text(s, c->summary);
		put(s, "'\n");
	}
	put(s, "\t)\n\t_arguments -C");
	for (const struct cli_option *o = cli_global_options; o->name != NULL; o++)
		zsh_option(s, o);
	put(s, " \\\n\t\t'1:command:->command' '*::argument:->argument'\n"
	       "\tcase $state in\n"
	       "\tcommand)\n"
	       "\t\t_describe command commands ;;\n"
	       "\targument)\n"
	       "\t\tcase $words[1] in\n");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		put(s, "\t\t%s)\n\t\t_arguments", c->name);
		for (const struct cli_option *o = cli_global_options; o->name != NULL; o++)
			zsh_option(s, o);
		for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++)
			zsh_option(s, o);
		if (c->max_args > 0) {
			put(s, " \\\n\t\t'1:argument:(");
			put_words(s, c->complete);
			put(s, ")'");
		}
		put(s, " ;;\n");
	}
	put(s, "\t\tesac ;;\n"
	       "\tesac\n"
	       "}\n"
	       "if [[ $funcstack[1] == _lifeboat ]]; then\n"
	       "\t_lifeboat \"$@\"\n"
	       "else\n"
	       "\tcompdef _lifeboat lifeboat\n"
	       "fi\n");
}

/* ---- fish ---- */

static void fish_text(struct script *s, const char *text)
{
	for (; *text != '\0'; text++)
		put(s, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void fish_option(struct script *s, const char *condition, const struct cli_option *o)
{
	put(s, "complete -c lifeboat%s -l %s", condition, o->name);
	if (o->letter != 0)
		put(s, " -s %c", o->letter);
	if (o->value != NULL && o->complete == CLI_COMPLETE_FILE) {
		put(s, " -r -F");
	} else if (o->value != NULL) {
		put(s, " -x -a '");
		put_words(s, o->complete);
		put(s, "'");
	}
	put(s, " -d '");
	fish_text(s, o->help);
	put(s, "'\n");
}

static void write_fish(struct script *s)
{
	char condition[96];
	put(s, "# lifeboat: completion for fish\ncomplete -c lifeboat -f\n");
	for (const struct cli_option *o = cli_global_options; o->name != NULL; o++)
		fish_option(s, "", o);
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		put(s, "complete -c lifeboat -n __fish_use_subcommand -a %s -d '", c->name);
		fish_text(s, c->summary);
		put(s, "'\n");
		snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
			 c->name);
		for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++)
			fish_option(s, condition, o);
		if (c->complete != CLI_COMPLETE_NONE) {
			put(s, "complete -c lifeboat%s -a '", condition);
			put_words(s, c->complete);
			put(s, "'\n");
		}
	}
}

int completion_script(const char *shell, char **ret, struct err *err)
{
	static const struct {
		const char *shell;
		void (*write)(struct script *s);
	} writers[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
	struct script s = {.err = err};
	for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
		if (strcmp(shell, writers[i].shell) != 0)
			continue;
		buf_init(&s.text, SCRIPT_MAX_BYTES);
		writers[i].write(&s);
		int done = s.failed ? -1 : buf_take(&s.text, ret, err);
		buf_done(&s.text);
		return done;
	}
	err_set(err, ERR_USAGE, "there is no completion for '%s'", shell);
	return err_hint(err, "there are bash, zsh and fish");
}

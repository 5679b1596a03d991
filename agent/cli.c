#include "agent/cli.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/names.h"

struct given {
	const struct cli_option *option;
	char *value; /* list options: joined by commas; NULL: a flag */
};

struct cli {
	const struct cli_command *command;
	struct given given[CLI_MAX_OPTIONS];
	size_t given_count;
	const char *args[CLI_MAX_ARGS];
	size_t arg_count;
};

/* Where reading stands. */
struct words {
	int argc;
	const char *const *argv;
	int next;
	struct cli *cli;
	struct err *err;
};

/* ---- looking up ---- */

const struct cli_command *cli_command_find(const char *name)
{
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static const struct cli_option *find_in(const struct cli_option *list, const char *name, size_t len,
					char letter)
{
	for (const struct cli_option *o = list; o != NULL && o->name != NULL; o++) {
		if (letter != 0 ? o->letter == letter
				: strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static const struct cli_option *find(const struct cli_command *command, const char *name,
				     size_t len, char letter)
{
	const struct cli_option *o = find_in(cli_global_options, name, len, letter);
	return o != NULL || command == NULL ? o : find_in(command->options, name, len, letter);
}

static const struct given *find_given(const struct cli *c, const char *option)
{
	assert(find(c->command, option, strlen(option), 0) != NULL);
	for (size_t i = 0; i < c->given_count; i++)
		if (strcmp(c->given[i].option->name, option) == 0)
			return &c->given[i];
	return NULL;
}

/* ---- mistakes ---- */

static int hint_help(const struct cli *c, struct err *err)
{
	return c->command != NULL ? err_hint(err, "lifeboat help %s", c->command->name)
				  : err_hint(err, "lifeboat help");
}

int cli_command_unknown(const char *name, struct err *err)
{
	const char *names[64];
	size_t count = 0;
	for (; count < 64 && cli_commands[count].name != NULL; count++)
		names[count] = cli_commands[count].name;
	const char *nearest = names_nearest(name, names, count);
	err_set(err, ERR_USAGE, "there is no command '%s'", name);
	if (nearest != NULL)
		return err_hint(err, "did you mean 'lifeboat %s'?", nearest);
	return err_hint(err, "lifeboat help has the list of commands");
}

static size_t collect_names(const struct cli_option *list, const char **names, size_t count)
{
	for (const struct cli_option *o = list; o != NULL && o->name != NULL; o++)
		if (count < CLI_MAX_OPTIONS)
			names[count++] = o->name;
	return count;
}

/* `shown` is the option with its dashes. */
static int unknown_option(struct words *w, const char *shown, size_t len)
{
	const struct cli_command *command = w->cli->command;
	const char *names[CLI_MAX_OPTIONS], *nearest = NULL;
	CLEANUP(freep) char *name = NULL;
	size_t count = collect_names(cli_global_options, names, 0);
	if (command != NULL)
		count = collect_names(command->options, names, count);
	if (len > 2) {
		if (str_dupn(shown + 2, len - 2, &name, w->err) < 0)
			return -1;
		nearest = names_nearest(name, names, count);
	}
	if (command != NULL)
		err_set(w->err, ERR_USAGE, "'lifeboat %s' has no option '%.*s'", command->name,
			(int)len, shown);
	else
		err_set(w->err, ERR_USAGE, "there is no option '%.*s' before the command", (int)len,
			shown);
	return nearest != NULL ? err_hint(w->err, "did you mean '--%s'?", nearest)
			       : hint_help(w->cli, w->err);
}

/* ---- reading ---- */

static int give(struct words *w, const struct cli_option *o, const char *value)
{
	struct cli *c = w->cli;
	struct given *known = NULL;
	for (size_t i = 0; i < c->given_count; i++)
		if (c->given[i].option == o)
			known = &c->given[i];
	if (o->value == NULL && known != NULL)
		return 0;
	if (value != NULL && value[0] == '\0') {
		err_set(w->err, ERR_USAGE, "option '--%s' is given an empty value", o->name);
		return hint_help(c, w->err);
	}
	if (known != NULL && !o->list) {
		err_set(w->err, ERR_USAGE, "option '--%s' is given twice", o->name);
		return hint_help(c, w->err);
	}
	char *copy = NULL;
	if (known != NULL) {
		if (str_printf(&copy, w->err, "%s,%s", known->value, value) < 0)
			return -1;
		free(known->value);
		known->value = copy;
		return 0;
	}
	if (value != NULL && str_dup(value, &copy, w->err) < 0)
		return -1;
	assert(c->given_count < CLI_MAX_OPTIONS);
	c->given[c->given_count++] = (struct given){o, copy};
	return 0;
}

/* The next word as the value of an option. One that begins with a dash is a forgotten value far
 * more often than a value; --name=-x says it is one. */
static int next_value(struct words *w, const struct cli_option *o, const char **ret)
{
	if (w->next >= w->argc || (w->argv[w->next][0] == '-' && w->argv[w->next][1] != '\0')) {
		err_set(w->err, ERR_USAGE, "option '--%s' needs a value: --%s %s", o->name, o->name,
			o->value);
		return hint_help(w->cli, w->err);
	}
	*ret = w->argv[w->next++];
	return 0;
}

static int read_long(struct words *w, const char *word)
{
	const char *name = word + 2, *value = NULL;
	size_t len = strcspn(name, "=");
	const struct cli_option *o = find(w->cli->command, name, len, 0);
	if (o == NULL)
		return unknown_option(w, word, len + 2);
	if (name[len] == '=') {
		value = name + len + 1;
		if (o->value == NULL) {
			err_set(w->err, ERR_USAGE, "option '--%s' takes no value", o->name);
			return hint_help(w->cli, w->err);
		}
	} else if (o->value != NULL && next_value(w, o, &value) < 0) {
		return -1;
	}
	return give(w, o, value);
}

static int read_letters(struct words *w, const char *word)
{
	for (const char *letter = word + 1; *letter != '\0'; letter++) {
		const struct cli_option *o = find(w->cli->command, NULL, 0, *letter);
		if (o == NULL) {
			const char shown[] = {'-', *letter, '\0'};
			return unknown_option(w, shown, 2);
		}
		if (o->value == NULL) {
			if (give(w, o, NULL) < 0)
				return -1;
			continue;
		}
		const char *value = letter + 1;
		if (*value == '\0' && next_value(w, o, &value) < 0)
			return -1;
		return give(w, o, value);
	}
	return 0;
}

static int read_argument(struct words *w, const char *word)
{
	struct cli *c = w->cli;
	if (c->command == NULL) {
		c->command = cli_command_find(word);
		return c->command != NULL ? 0 : cli_command_unknown(word, w->err);
	}
	if (c->arg_count >= c->command->max_args || c->arg_count >= CLI_MAX_ARGS) {
		err_set(w->err, ERR_USAGE, "'lifeboat %s' has no use for '%s'", c->command->name,
			word);
		return hint_help(c, w->err);
	}
	c->args[c->arg_count++] = word;
	return 0;
}

static int read_words(struct words *w)
{
	bool options_ended = false;
	while (w->next < w->argc) {
		const char *word = w->argv[w->next++];
		int done;
		if (options_ended || word[0] != '-' || word[1] == '\0')
			done = read_argument(w, word);
		else if (strcmp(word, "--") == 0)
			done = 0, options_ended = true;
		else
			done = word[1] == '-' ? read_long(w, word) : read_letters(w, word);
		if (done < 0)
			return -1;
	}
	return 0;
}

/* --help and --version are commands in disguise; then what is still missing. */
static int settle(struct cli *c, struct err *err)
{
	bool help = false, version = false;
	for (size_t i = 0; i < c->given_count; i++) {
		help = help || strcmp(c->given[i].option->name, "help") == 0;
		version = version || strcmp(c->given[i].option->name, "version") == 0;
	}
	if (help) {
		c->arg_count = 0;
		if (c->command != NULL && strcmp(c->command->name, "help") != 0)
			c->args[c->arg_count++] = c->command->name;
		c->command = cli_command_find("help");
		return 0;
	}
	if (version) {
		c->arg_count = 0;
		c->command = cli_command_find("version");
		return 0;
	}
	if (c->command == NULL) {
		err_set(err, ERR_USAGE, "no command is given");
		return err_hint(err, "lifeboat help has the list of commands");
	}
	if (c->arg_count < c->command->min_args) {
		err_set(err, ERR_USAGE, "'lifeboat %s' needs %s", c->command->name,
			c->command->args);
		return hint_help(c, err);
	}
	return 0;
}

int cli_parse(int argc, const char *const *argv, struct cli **ret, struct err *err)
{
	CLEANUP(cli_freep) struct cli *c = mem_zalloc(sizeof *c, "the command line", err);
	if (c == NULL)
		return -1;
	struct words w = {.argc = argc, .argv = argv, .next = 1, .cli = c, .err = err};
	if (read_words(&w) < 0 || settle(c, err) < 0)
		return -1;
	*ret = c;
	c = NULL;
	return 0;
}

void cli_free(struct cli *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->given_count; i++)
		free(c->given[i].value);
	free(c);
}

/* ---- asking ---- */

const struct cli_command *cli_command(const struct cli *c)
{
	return c->command;
}

const char *cli_value(const struct cli *c, const char *option)
{
	const struct given *g = find_given(c, option);
	return g != NULL ? g->value : NULL;
}

bool cli_flag(const struct cli *c, const char *option)
{
	return find_given(c, option) != NULL;
}

int cli_list(const struct cli *c, const char *option, struct strlist *ret, struct err *err)
{
	const char *rest = cli_value(c, option);
	struct strlist all = {0};
	while (rest != NULL && *rest != '\0') {
		size_t len = strcspn(rest, ",");
		if (len > 0 && strlist_pushf(&all, err, "%.*s", (int)len, rest) < 0) {
			strlist_done(&all);
			return -1;
		}
		rest += len + (rest[len] == ',');
	}
	*ret = all;
	return 0;
}

const char *cli_arg(const struct cli *c, size_t index)
{
	return index < c->arg_count ? c->args[index] : NULL;
}

size_t cli_arg_count(const struct cli *c)
{
	return c->arg_count;
}

bool cli_wants_json(int argc, const char *const *argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/cli.h"

enum { WORDS_MAX = 16 };

/* Splits at single spaces; '~' stands for an empty word. */
static int parse(const char *line, struct cli **ret, struct err *err)
{
	static char words[512];
	const char *argv[WORDS_MAX] = {"lifeboat"};
	int argc = 1;
	snprintf(words, sizeof words, "%s", line);
	for (char *at = words; *at != '\0' && argc < WORDS_MAX;) {
		char *space = strchr(at, ' ');
		if (space != NULL)
			*space = '\0';
		argv[argc++] = strcmp(at, "~") == 0 ? "" : at;
		if (space == NULL)
			break;
		at = space + 1;
	}
	return cli_parse(argc, argv, ret, err);
}

static struct cli *parsed(const char *line)
{
	struct cli *c = NULL;
	struct err err = ERR_INIT;
	if (parse(line, &c, &err) < 0)
		fail_msg("%s: %s", line, err.msg);
	return c;
}

static void refused(const char *line, const char *message, const char *hint)
{
	struct cli *c = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(parse(line, &c, &err), -1);
	assert_string_equal(err.msg, message);
	assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(err_exit_status(err.code), 64);
	assert_null(c);
}

static void cli_parse__every_form_of_an_option__is_read(void **state)
{
	(void)state;
	static const char *const lines[] = {
	    "-c x restore latest --as n --dry-run -qv",
	    "restore --config=x --as=n latest -v --dry-run --quiet",
	    "-cx -q restore -v --as n --dry-run -- latest",
	    "restore -vqcx --dry-run --dry-run --as n latest",
	};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		CLEANUP(cli_freep) struct cli *c = parsed(lines[i]);
		assert_string_equal(cli_command(c)->name, "restore");
		assert_string_equal(cli_value(c, "config"), "x");
		assert_string_equal(cli_value(c, "as"), "n");
		assert_null(cli_value(c, "database"));
		assert_true(cli_flag(c, "dry-run") && cli_flag(c, "quiet") &&
			    cli_flag(c, "verbose"));
		assert_false(cli_flag(c, "json") || cli_flag(c, "up"));
		assert_int_equal(cli_arg_count(c), 1);
		assert_string_equal(cli_arg(c, 0), "latest");
		assert_null(cli_arg(c, 1));
	}
}

static void cli_parse__odd_words__are_taken_as_they_are(void **state)
{
	(void)state;
	CLEANUP(cli_freep) struct cli *dashes = parsed("show -- --json");
	assert_string_equal(cli_arg(dashes, 0), "--json");
	assert_false(cli_flag(dashes, "json"));
	CLEANUP(cli_freep) struct cli *dash = parsed("show -");
	assert_string_equal(cli_arg(dash, 0), "-");
	CLEANUP(cli_freep) struct cli *value = parsed("backup --label=-x=y");
	assert_string_equal(cli_value(value, "label"), "-x=y");
}

static void cli_list__commas_and_repeats__are_one_list(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct strlist l = {0};
	CLEANUP(cli_freep) struct cli *c = parsed("backup --only redis,,postgres --only=media");
	assert_int_equal(cli_list(c, "only", &l, &err), 0);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.items[0], "redis");
	assert_string_equal(l.items[1], "postgres");
	assert_string_equal(l.items[2], "media");
	strlist_done(&l);
	CLEANUP(cli_freep) struct cli *none = parsed("backup");
	assert_int_equal(cli_list(none, "only", &l, &err), 0);
	assert_int_equal(l.count, 0);
}

static void cli_parse__help_and_version__become_commands(void **state)
{
	(void)state;
	CLEANUP(cli_freep) struct cli *help = parsed("--help");
	assert_string_equal(cli_command(help)->name, "help");
	assert_int_equal(cli_arg_count(help), 0);
	CLEANUP(cli_freep) struct cli *of = parsed("restore latest --as x -h");
	assert_string_equal(cli_command(of)->name, "help");
	assert_string_equal(cli_arg(of, 0), "restore");
	assert_null(cli_value(of, "man"));
	CLEANUP(cli_freep) struct cli *own = parsed("help --help");
	assert_int_equal(cli_arg_count(own), 0);
	CLEANUP(cli_freep) struct cli *version = parsed("backup --version");
	assert_string_equal(cli_command(version)->name, "version");
}

static void cli_parse__mistakes__say_what_to_write(void **state)
{
	(void)state;
	refused("", "no command is given", "lifeboat help has the list of commands");
	refused("-q", "no command is given", "lifeboat help has the list of commands");
	refused("restroe", "there is no command 'restroe'", "did you mean 'lifeboat restore'?");
	refused("~", "there is no command ''", "lifeboat help has the list of commands");
	refused("elephant", "there is no command 'elephant'",
		"lifeboat help has the list of commands");
	refused("restore --dryrun", "'lifeboat restore' has no option '--dryrun'",
		"did you mean '--dry-run'?");
	refused("restore --databse=x", "'lifeboat restore' has no option '--databse'",
		"did you mean '--database'?");
	refused("restore --zebra", "'lifeboat restore' has no option '--zebra'",
		"lifeboat help restore");
	refused("restore -qx", "'lifeboat restore' has no option '-x'", "lifeboat help restore");
	refused("--as x restore", "there is no option '--as' before the command", "lifeboat help");
	refused("restore --as", "option '--as' needs a value: --as NAME", "lifeboat help restore");
	refused("restore --as --up", "option '--as' needs a value: --as NAME",
		"lifeboat help restore");
	refused("restore --as=", "option '--as' is given an empty value", "lifeboat help restore");
	refused("restore --as ~", "option '--as' is given an empty value", "lifeboat help restore");
	refused("restore --as a --as b", "option '--as' is given twice", "lifeboat help restore");
	refused("restore --up=yes", "option '--up' takes no value", "lifeboat help restore");
	refused("restore a b", "'lifeboat restore' has no use for 'b'", "lifeboat help restore");
	refused("backup a", "'lifeboat backup' has no use for 'a'", "lifeboat help backup");
	refused("-c", "option '--config' needs a value: --config FILE", "lifeboat help");
}

static void cli_wants_json__words__are_looked_at_even_if_wrong(void **state)
{
	(void)state;
	const char *const wrong[] = {"lifeboat", "restroe", "--json"};
	const char *const behind[] = {"lifeboat", "show", "--", "--json"};
	assert_true(cli_wants_json(3, wrong));
	assert_false(cli_wants_json(4, behind));
	assert_false(cli_wants_json(1, wrong));
}

/* What every entry of the table must have, so that help and manual are complete. */
static void check_options(const char *where, const struct cli_option *list)
{
	for (const struct cli_option *o = list; o != NULL && o->name != NULL; o++) {
		size_t len = o->help != NULL ? strlen(o->help) : 0;
		if (len < 10 || o->help[len - 1] == '.')
			fail_msg("%s: --%s has no fitting help", where, o->name);
		if (o->list && o->value == NULL)
			fail_msg("%s: --%s is a list of nothing", where, o->name);
		for (const struct cli_option *p = list; p != o; p++)
			if (strcmp(p->name, o->name) == 0 ||
			    (o->letter != 0 && p->letter == o->letter))
				fail_msg("%s: --%s is there twice", where, o->name);
		for (const struct cli_option *g = cli_global_options;
		     list != cli_global_options && g->name != NULL; g++)
			if (strcmp(g->name, o->name) == 0 ||
			    (o->letter != 0 && g->letter == o->letter))
				fail_msg("%s: --%s is a global option too", where, o->name);
	}
}

static void table__every_entry__is_documented(void **state)
{
	(void)state;
	check_options("lifeboat", cli_global_options);
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		assert_non_null(c->run);
		if (c->summary == NULL || strlen(c->summary) < 10 || strlen(c->summary) > 66)
			fail_msg("%s: its summary does not fit on a line", c->name);
		if (c->description == NULL || strlen(c->description) < 40)
			fail_msg("%s has no description", c->name);
		assert_true(c->max_args <= CLI_MAX_ARGS);
		assert_true((c->args != NULL) == (c->max_args > 0));
		check_options(c->name, c->options);
		assert_ptr_equal(cli_command_find(c->name), c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cli_parse__every_form_of_an_option__is_read),
	    cmocka_unit_test(cli_parse__odd_words__are_taken_as_they_are),
	    cmocka_unit_test(cli_list__commas_and_repeats__are_one_list),
	    cmocka_unit_test(cli_parse__help_and_version__become_commands),
	    cmocka_unit_test(cli_parse__mistakes__say_what_to_write),
	    cmocka_unit_test(cli_wants_json__words__are_looked_at_even_if_wrong),
	    cmocka_unit_test(table__every_entry__is_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

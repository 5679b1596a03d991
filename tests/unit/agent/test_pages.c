#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/completion.h"
#include "agent/config/config_keys.h"
#include "agent/output/output.h"
#include "agent/pages.h"
#include "base/child.h"
#include "base/file.h"

static void contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("there is no '%s' in:\n%s", part, text);
}

/* Text for a terminal: at most 80 columns, nothing at the end of a line, no tabs. */
static void check_text(const char *name, const char *text)
{
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n"), columns = 0;
		bool one_word = strchr(line + strspn(line, " "), ' ') > line + len;
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)line[i];
			assert_true(c != '\t');
			columns += c >= 0x20 && (c & 0xC0U) != 0x80U;
		}
		if (columns > 80 && !one_word)
			fail_msg("%s: a line of %zu columns: %.*s", name, columns, (int)len, line);
		if (len > 0 && line[len - 1] == ' ')
			fail_msg("%s: a space at the end of: %.*s", name, (int)len, line);
		if (line[len] != '\n')
			fail_msg("%s does not end in a newline", name);
		line += len + 1;
		if (*line == '\n' && line[1] == '\n')
			fail_msg("%s has two empty lines", name);
	}
}

static void page_overview__text__has_every_command(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(page_overview(&text, &err), 0);
	check_text("overview", text);
	contains(text, "Usage: lifeboat [-c FILE] COMMAND [OPTION...] [ARGUMENT...]\n");
	contains(text, STYLE_BOLD "Commands:" STYLE_END "\n");
	contains(text, "  -c, --config FILE   the configuration; without it ./agent.conf, then\n"
		       "                      /etc/lifeboat/agent.conf\n"
		       "      --json          one JSON document on stdout instead of text\n");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		char line[128];
		snprintf(line, sizeof line, "\n  %-9s %s\n", c->name, c->summary);
		contains(text, line);
	}
	size_t lines = 0;
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_true(lines <= 44);
}

static void page_command__text__has_every_option(void **state)
{
	(void)state;
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *text = NULL;
		assert_int_equal(page_command(c, &text, &err), 0);
		check_text(c->name, text);
		for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++) {
			char term[128];
			snprintf(term, sizeof term, "--%s%s%s", o->name,
				 o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
			contains(text, term);
		}
		contains(text, "  -h, --help");
	}
}

static void page_command__help_of_help__is_exactly_this(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	CLEANUP(freep) char *plain = NULL;
	assert_int_equal(page_command(cli_command_find("help"), &text, &err), 0);
	assert_int_equal(output_plain(text, &plain, &err), 0);
	assert_string_equal(
	    plain, "Usage: lifeboat help [OPTION...] [COMMAND|agent.conf]\n"
		   "\n"
		   "Says what a command does and what its options are; without one, what commands\n"
		   "there are. 'lifeboat help agent.conf' describes all settings.\n"
		   "\n"
		   "Options:\n"
		   "  --man PAGE            print a manual page in man(7) format: lifeboat or\n"
		   "                        agent.conf\n"
		   "  --completion SHELL    print a completion script: for bash, zsh or fish\n"
		   "\n"
		   "Options of every command:\n"
		   "  -c, --config FILE     the configuration; without it ./agent.conf, then\n"
		   "                        /etc/lifeboat/agent.conf\n"
		   "      --json            one JSON document on stdout instead of text\n"
		   "  -q, --quiet           no progress, nothing but results and errors\n"
		   "  -v, --verbose         say more, for finding out what goes wrong\n"
		   "  -h, --help            this help, or that of the command\n"
		   "      --version         the version of lifeboat and of its libraries\n"
		   "\n"
		   "Examples:\n"
		   "  lifeboat help backup\n"
		   "      how a backup is taken\n"
		   "  lifeboat help agent.conf\n"
		   "      all settings\n");
}

/* Requests at the start of lines are ones that man(7) has, and nothing else begins with a dot. */
static void check_man(const char *name, const char *text)
{
	static const char *const known[] = {".TH ", ".SH ", ".SS ", ".TP", ".B ", ".PP",
					    ".RS ", ".RE",  ".nf",  ".fi", ".nh", ".ad l"};
	for (const char *line = text; line != NULL && *line != '\0';) {
		bool fine = *line != '.' && *line != '\'';
		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			fine = fine || strncmp(line, known[i], strlen(known[i])) == 0;
		if (!fine)
			fail_msg("%s: no request of man(7): %.40s", name, line);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
}

/* Runs a program that may not be installed on `path`; its output must be empty. */
static void says_nothing(const char *const *argv)
{
	struct buf out;
	struct child *c = NULL;
	struct err err = ERR_INIT;
	struct child_opts opts = {.argv = argv};
	buf_init(&out, 1 << 20);
	if (child_start(&opts, &c, &err) == 0) {
		child_free(c);
		if (child_run(&opts, &out, deadline_in(30000), &err) < 0)
			fail_msg("%s: %s%s", argv[0], err.msg, buf_text(&out));
		assert_string_equal(buf_text(&out), "");
	}
	buf_done(&out);
}

static void write_file(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	if (file_write_all(path, 0600, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
}

static void manual_pages__both__are_clean_man7(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *program = NULL;
	CLEANUP(freep) char *config = NULL;
	assert_int_equal(page_lifeboat(DOC_MAN, &program, &err), 0);
	assert_int_equal(page_config(DOC_MAN, &config, &err), 0);
	check_man("lifeboat(1)", program);
	check_man("agent.conf(5)", config);
	assert_int_equal(strncmp(program, ".TH LIFEBOAT 1 \"", 16), 0);
	assert_int_equal(strncmp(config, ".TH AGENT.CONF 5 \"", 18), 0);
	contains(program, "\nlifeboat \\- ");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		char heading[64];
		snprintf(heading, sizeof heading, ".SS \"lifeboat %s", c->name);
		contains(program, heading);
	}
	contains(program, ".B \\-\\-dry\\-run\n");
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
		char term[64];
		snprintf(term, sizeof term, "\n.B %s", k->key);
		contains(config, term);
	}
	for (const struct page_status *s = page_statuses; s->status >= 0; s++) {
		char term[64];
		snprintf(term, sizeof term, "\n.B %d\n", s->status);
		contains(program, term);
	}
}

static void exit_status_md__codes__are_all_there(void **state)
{
	struct err err = ERR_INIT;
	struct buf text;
	CLEANUP(freep) char *path = NULL;
	assert_int_equal(str_printf(&path, &err, "%s/docs/exit-status.md", (char *)*state), 0);
	buf_init(&text, 1 << 20);
	if (file_read_all(path, &text, &err) < 0)
		fail_msg("%s", err.msg);
	for (const struct page_status *s = page_statuses; s->status >= 0; s++) {
		char row[32];
		snprintf(row, sizeof row, "\n| %d | ", s->status);
		contains(buf_text(&text), row);
	}
	for (unsigned code = ERR_NONE + 1; code < ERR_CODES; code++) {
		char row[64];
		snprintf(row, sizeof row, "\n| `%s` | %d | ", err_code_name((enum err_code)code),
			 err_exit_status((enum err_code)code));
		contains(buf_text(&text), row);
	}
	buf_done(&text);
}

static void page_config__text__has_every_key(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(page_config(DOC_TEXT, &text, &err), 0);
	check_text("agent.conf", text);
	contains(text, "  level (1 to 19; default 3)\n");
	contains(text, "  method (auto, bgsave or stream; default auto)\n");
	contains(text, "  part_size (64 KiB to 64 MiB; default 8MiB)\n");
	for (size_t i = 0; i < config_section_count; i++)
		assert_non_null(config_sections[i].help);
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
		assert_non_null(config_section_find(k->section));
		if (k->help == NULL || k->help[strlen(k->help) - 1] != '.')
			fail_msg("[%s] %s has no fitting help", k->section, k->key);
		if (k->required && k->example == NULL)
			fail_msg("[%s] %s has no example", k->section, k->key);
	}
}

static void script(const char *shell, const char *path)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(completion_script(shell, &text, &err), 0);
	write_file(path, text);
}

static void completion__scripts__parse_in_their_shells(void **state)
{
	(void)state;
	script("bash", "c.bash");
	script("zsh", "c.zsh");
	script("fish", "c.fish");
	says_nothing((const char *const[]){"bash", "-n", "c.bash", NULL});
	says_nothing((const char *const[]){"zsh", "-f", "-n", "c.zsh", NULL});
	says_nothing((const char *const[]){"fish", "--no-config", "-n", "c.fish", NULL});
}

/* What bash offers when these words stand on the line and the last one is being typed. */
static void offers(const char *words, const char *expected)
{
	struct buf out;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *code = NULL;
	assert_int_equal(
	    str_printf(&code, &err,
		       ". ./c.bash; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1));"
		       "_lifeboat; echo \"${COMPREPLY[*]}\"",
		       words),
	    0);
	const char *const argv[] = {"bash", "--norc", "-c", code, NULL};
	buf_init(&out, 1 << 16);
	if (child_run(&(struct child_opts){.argv = argv}, &out, deadline_in(30000), &err) < 0)
		fail_msg("%s", err.msg);
	if (strcmp(buf_text(&out), expected) != 0)
		fail_msg("%s: offers %s", words, buf_text(&out));
	buf_done(&out);
}

static void completion__bash__offers_what_fits(void **state)
{
	(void)state;
	script("bash", "c.bash");
	offers("lifeboat ver", "verify version\n");
	offers("lifeboat -c x.conf re", "restore\n");
	offers("lifeboat restore la", "latest\n");
	offers("lifeboat restore --da", "--database\n");
	offers("lifeboat restore --js", "--json\n");
	offers("lifeboat restore --only re", "redis\n");
	offers("lifeboat restore --only = re", "redis\n");
	offers("lifeboat restore --only =", "postgres redis pgbouncer volumes\n");
	offers("lifeboat help --completion ''", "bash zsh fish\n");
	offers("lifeboat help agent", "agent.conf\n");
	offers("lifeboat -c c.ba", "c.bash\n");
	offers("lifeboat backup ''", "\n");
}

static void completion__unknown_shell__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char *text = NULL;
	assert_int_equal(completion_script("tcsh", &text, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "there is no completion for 'tcsh'");
	assert_string_equal(err.hint, "there are bash, zsh and fish");
}

static char folder[] = "/tmp/lifeboat-pages-XXXXXX";

static int enter(void **state)
{
	/* The project's folder, from where this file is. */
	static char root[4096];
	snprintf(root, sizeof root, "%s", __FILE__);
	char *end = strstr(root, "/tests/unit/");
	if (end == NULL)
		return -1;
	*end = '\0';
	*state = root;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return chdir("/") == 0 ? dir_remove(folder, &err) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(page_overview__text__has_every_command),
	    cmocka_unit_test(page_command__text__has_every_option),
	    cmocka_unit_test(page_command__help_of_help__is_exactly_this),
	    cmocka_unit_test(manual_pages__both__are_clean_man7),
	    cmocka_unit_test(exit_status_md__codes__are_all_there),
	    cmocka_unit_test(page_config__text__has_every_key),
	    cmocka_unit_test(completion__scripts__parse_in_their_shells),
	    cmocka_unit_test(completion__bash__offers_what_fits),
	    cmocka_unit_test(completion__unknown_shell__is_refused),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

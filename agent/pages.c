#include "agent/pages.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct page_status page_statuses[] = {
    {0, "Done."},
    {1, "Failed: the operation was tried and did not succeed, or a backup was found damaged."},
    {2, "Could not verify: neither passed nor failed, because a proof could not be made."},
    {64, "The command line is wrong."},
    {69, "A server or a store can't be reached. Trying again later may help."},
    {75, "Another job of the same stack is running. Trying again later will help."},
    {78, "The configuration is wrong."},
    {-1, NULL},
};

static const char tagline[] = "backs up a stack of PostgreSQL, Redis and PgBouncer, and proves the "
			      "backup by restoring it";

/* "-c, --config FILE"; `aligned` leaves room for the letter where there is none. */
static void put_option(struct doc *d, const struct cli_option *o, bool aligned)
{
	char term[96], meaning[512];
	if (o->letter != 0)
		snprintf(term, sizeof term, "-%c, --%s", o->letter, o->name);
	else
		snprintf(term, sizeof term, "%s--%s", aligned && !doc_is_man(d) ? "    " : "",
			 o->name);
	if (o->value != NULL) {
		size_t len = strlen(term);
		snprintf(term + len, sizeof term - len, " %s", o->value);
	}
	/* Help is terse; the manual writes sentences. */
	snprintf(meaning, sizeof meaning, "%s%s", o->help, doc_is_man(d) ? "." : "");
	if (doc_is_man(d))
		meaning[0] = (char)toupper((unsigned char)meaning[0]);
	doc_item(d, term, meaning);
}

static void put_options(struct doc *d, const struct cli_option *list)
{
	bool letters = false;
	for (const struct cli_option *o = list; o->name != NULL; o++)
		letters = letters || o->letter != 0;
	for (const struct cli_option *o = list; o->name != NULL; o++)
		put_option(d, o, letters);
}

static void usage(const struct cli_command *c, char *out, size_t out_bytes)
{
	bool options = c->options != NULL && c->options[0].name != NULL;
	snprintf(out, out_bytes, "lifeboat %s%s%s%s", c->name, options ? " [OPTION...]" : "",
		 c->args != NULL ? " " : "", c->args != NULL ? c->args : "");
}

static void put_commands(struct doc *d)
{
	doc_column(d, 12);
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
		doc_item(d, c->name, c->summary);
}

int page_overview(char **ret, struct err *err)
{
	CLEANUP(doc_freep) struct doc *d = NULL;
	if (doc_new(DOC_TEXT, &d, err) < 0)
		return -1;
	doc_text(d, "Usage: lifeboat [-c FILE] COMMAND [OPTION...] [ARGUMENT...]");
	doc_textf(d, "Lifeboat %s.", tagline);
	doc_heading(d, "Commands");
	put_commands(d);
	doc_heading(d, "Options of every command");
	doc_column(d, 22);
	put_options(d, cli_global_options);
	doc_text(d, "BACKUP is an id, the beginning of one, 'latest' (the default) or 'proven'.");
	doc_text(d, "'lifeboat help COMMAND' says more about a command, 'lifeboat help agent.conf' "
		    "has all settings, 'man lifeboat' is the manual.");
	return doc_take(d, ret, err);
}

/* "command<TAB>what it does" per line. */
static void put_examples(struct doc *d, const char *examples)
{
	while (*examples != '\0') {
		size_t line = strcspn(examples, "\n"), tab = strcspn(examples, "\t");
		char command[160], meaning[256];
		if (tab > line)
			tab = line;
		snprintf(command, sizeof command, "%.*s", (int)tab, examples);
		snprintf(meaning, sizeof meaning, "%.*s", tab < line ? (int)(line - tab - 1) : 0,
			 examples + tab + 1);
		doc_item(d, command, meaning);
		examples += line + (examples[line] == '\n');
	}
}

int page_command(const struct cli_command *c, char **ret, struct err *err)
{
	CLEANUP(doc_freep) struct doc *d = NULL;
	char line[160];
	if (doc_new(DOC_TEXT, &d, err) < 0)
		return -1;
	usage(c, line, sizeof line);
	doc_textf(d, "Usage: %s", line);
	doc_text(d, c->description);
	if (c->options != NULL && c->options[0].name != NULL) {
		doc_heading(d, "Options");
		put_options(d, c->options);
	}
	doc_heading(d, "Options of every command");
	put_options(d, cli_global_options);
	if (c->examples != NULL) {
		doc_heading(d, "Examples");
		doc_column(d, 6);
		put_examples(d, c->examples);
	}
	return doc_take(d, ret, err);
}

static void put_environment(struct doc *d)
{
	doc_heading(d, "Environment");
	doc_item(d, "LIFEBOAT_CONFIG", "The configuration file, where -c is not given.");
	doc_item(d, "LIFEBOAT_<SECTION>_<KEY>",
		 "Overrides a key of the configuration; with _FILE appended, names a file that "
		 "holds the value. See agent.conf(5).");
	doc_item(d, "NO_COLOR", "If set and not empty, nothing is coloured.");
	doc_item(d, "TZ", "The time zone in which times are shown.");
}

int page_lifeboat(enum doc_format format, char **ret, struct err *err)
{
	CLEANUP(doc_freep) struct doc *d = NULL;
	char line[160], number[16];
	if (doc_new(format, &d, err) < 0)
		return -1;
	doc_title(d, "lifeboat", 1, "back up PostgreSQL, Redis and PgBouncer, and prove it");
	doc_heading(d, "Synopsis");
	doc_text(d, "lifeboat [-c FILE] COMMAND [OPTION...] [ARGUMENT...]");
	doc_heading(d, "Description");
	doc_textf(d, "Lifeboat %s.", tagline);
	doc_text(d, "A backup is one archive of the whole stack: every database, the roles, the "
		    "configuration, the keys of Redis and plain volumes, together with a manifest "
		    "that says what was true at that moment. A restore goes into fresh volumes, "
		    "never over existing ones. A drill restores a backup, starts servers on it, "
		    "compares their contents with the manifest and throws them away: a backup that "
		    "passed one is called proven.\n\n"
		    "An archive is a plain .tar.zst with a RESTORE.md inside: it can be restored "
		    "without lifeboat.");
	doc_heading(d, "Commands");
	doc_text(d, "BACKUP is the id of a backup, the beginning of one that is unique, latest for "
		    "the newest (the default) or proven for the newest that passed a drill.");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
		usage(c, line, sizeof line);
		doc_subheading(d, line);
		doc_text(d, c->description);
		if (c->options != NULL)
			put_options(d, c->options);
	}
	doc_heading(d, "Options");
	doc_text(d, "These are options of every command and may stand before or after it.");
	put_options(d, cli_global_options);
	doc_heading(d, "Exit status");
	doc_column(d, 8);
	for (const struct page_status *s = page_statuses; s->status >= 0; s++) {
		snprintf(number, sizeof number, "%d", s->status);
		doc_item(d, number, s->meaning);
	}
	doc_column(d, 24);
	put_environment(d);
	doc_heading(d, "Files");
	doc_item(d, "./agent.conf, /etc/lifeboat/agent.conf",
		 "The configuration: the first one that is there.");
	doc_heading(d, "Examples");
	for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
		if (c->examples != NULL)
			put_examples(d, c->examples);
	doc_heading(d, "See also");
	doc_text(d, "agent.conf(5), lifeboat-archive(5), pg_dump(1), pg_restore(1), "
		    "redis-server(1), pgbouncer(1), zstd(1), tar(1)");
	return doc_take(d, ret, err);
}

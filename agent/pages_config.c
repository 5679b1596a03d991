/* agent.conf(5), from the table of keys. */
#include "agent/pages.h"

#include <stdio.h>
#include <string.h>
#include "agent/config/config_keys.h"
#include "agent/output/format.h"

/* "auto, bgsave or stream" */
static size_t put_choices(const char *choices, char *out, size_t out_bytes)
{
	size_t used = 0;
	while (*choices != '\0' && used < out_bytes) {
		size_t len = strcspn(choices, " ");
		const char *rest = choices + len + strspn(choices + len, " ");
		const char *after = *rest == '\0' ? "" : strchr(rest, ' ') != NULL ? ", " : " or ";
		used += (size_t)snprintf(out + used, out_bytes - used, "%.*s%s", (int)len, choices,
					 after);
		choices = rest;
	}
	return used;
}

/* "url (required)", "level (1 to 19; default 3)" */
static void key_term(const struct config_key *k, char *out, size_t out_bytes)
{
	char facts[160] = "", low[FORMAT_BYTES], high[FORMAT_BYTES];
	size_t used = 0;
	bool bounded = k->min != 0 || k->max != 0;
	if (bounded && k->type == CONFIG_DURATION)
		used = (size_t)snprintf(facts, sizeof facts, "duration");
	else if (bounded && k->type == CONFIG_SIZE)
		used = (size_t)snprintf(facts, sizeof facts, "%s to %s",
					format_exact_size((uint64_t)k->min, low),
					format_exact_size((uint64_t)k->max, high));
	else if (k->type == CONFIG_RATE)
		used = (size_t)snprintf(facts, sizeof facts, "bytes in a second");
	else if (bounded)
		used = (size_t)snprintf(facts, sizeof facts, "%lld to %lld", (long long)k->min,
					(long long)k->max);
	else if (k->type == CONFIG_CHOICE)
		used = put_choices(k->choices, facts, sizeof facts);
	if (k->required)
		snprintf(facts + used, sizeof facts - used, "%srequired", used > 0 ? "; " : "");
	else if (k->fallback != NULL)
		snprintf(facts + used, sizeof facts - used, "%sdefault %s", used > 0 ? "; " : "",
			 k->fallback);
	snprintf(out, out_bytes, facts[0] != '\0' ? "%s (%s)" : "%s", k->key, facts);
}

static void put_section(struct doc *d, const struct config_section *s)
{
	char line[256];
	snprintf(line, sizeof line, "[%s%s]", s->name, s->labelled ? " LABEL" : "");
	doc_subheading(d, line);
	doc_text(d, s->help);
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
		if (strcmp(k->section, s->name) != 0)
			continue;
		char meaning[1024];
		key_term(k, line, sizeof line);
		snprintf(meaning, sizeof meaning, "%s%s%s", k->help,
			 k->example != NULL ? " Example: " : "",
			 k->example != NULL ? k->example : "");
		doc_item(d, line, meaning);
	}
}

static void put_syntax(struct doc *d)
{
	doc_heading(d, "Syntax");
	doc_code(d, "[section]\n"
		    "key = value            ; a comment\n"
		    "\n"
		    "[section LABEL]        ; a section that there may be several of\n"
		    "key = a long value\n"
		    "  that goes on in indented lines");
	doc_text(d,
		 "A comment begins with ; or # at the start of a line, or with a space and ; "
		 "behind a value. Values are written without quotes. Durations are seconds, or "
		 "have a unit: ms, s, m, h, d, w. Sizes are bytes, or have a unit: KiB, MiB, GiB "
		 "(also K, M, G) or KB, MB, GB. A section or key that is not known, or that is "
		 "there twice, is an error.");
}

static void put_variables(struct doc *d)
{
	doc_heading(d, "Variables");
	doc_text(d, "Values may take parts from the environment, and from the files that env_file "
		    "in [stack] names. What the environment says goes first.");
	doc_item(d, "${NAME}", "The value. It is an error when it is not defined anywhere.");
	doc_item(d, "${NAME:-text}", "text when NAME is not defined or empty.");
	doc_item(d, "$$", "A dollar sign.");
	doc_text(d,
		 "In the user and the password of a URL, that is between :// and @, a value is "
		 "taken as it is, whatever characters it has: with DB_PASSWORD=p@ss/word, "
		 "postgresql://hdms:${DB_PASSWORD}@db/hdms works. It must therefore not be "
		 "percent-encoded already, and one variable can't hold both user and password. "
		 "A password that is written out in the file, or a whole URL that comes from one "
		 "variable (url = ${DATABASE_URL}), must be percent-encoded as URLs are: "
		 "p%40ss%2Fword.");
	doc_text(d,
		 "env_file is read as docker compose reads it: NAME=value lines, comments, single "
		 "and double quotes, export, and variables in unquoted and double-quoted values. "
		 "Nothing is ever executed.");
}

static void put_overrides(struct doc *d)
{
	doc_heading(d, "Overriding keys");
	doc_text(d,
		 "The environment variable LIFEBOAT_<SECTION>_<KEY> replaces a key, or, for a "
		 "section with a label, LIFEBOAT_<SECTION>_<LABEL>_<KEY>: in upper case, with "
		 "everything but letters and digits written as _. With _FILE appended it names a "
		 "file that holds the value; a newline at its end does not count. The value is "
		 "taken as it is, without looking for ${NAME}. A section that agent.conf does not "
		 "have can't be added this way, and a name that fits no key is an error.");
	doc_code(d, "LIFEBOAT_ARCHIVE_LEVEL=9\n"
		    "LIFEBOAT_STORE_LOCAL_URL=file:///mnt/backups\n"
		    "LIFEBOAT_POSTGRES_URL_FILE=/run/secrets/postgres_url");
}

int page_config(enum doc_format format, char **ret, struct err *err)
{
	CLEANUP(doc_freep) struct doc *d = NULL;
	if (doc_new(format, &d, err) < 0)
		return -1;
	doc_title(d, "agent.conf", 5, "configuration of lifeboat(1)");
	doc_heading(d, "Description");
	doc_text(d,
		 "lifeboat(1) reads the file that -c or LIFEBOAT_CONFIG names, else ./agent.conf, "
		 "else /etc/lifeboat/agent.conf.");
	doc_code(d, "[stack]\n"
		    "name = hdms\n"
		    "env_file = .env\n"
		    "volumes_dir = /srv/hdms/volumes\n"
		    "\n"
		    "[postgres]\n"
		    "url = postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:5432/postgres\n"
		    "\n"
		    "[store local]\n"
		    "url = file:///var/backups/hdms\n"
		    "keep = last 3, daily 7, weekly 4, monthly 12");
	doc_heading(d, "Sections and keys");
	doc_column(d, 8);
	for (size_t i = 0; i < config_section_count; i++)
		put_section(d, &config_sections[i]);
	doc_column(d, 24);
	put_syntax(d);
	put_variables(d);
	put_overrides(d);
	doc_heading(d, "Files");
	doc_item(d, "./agent.conf, /etc/lifeboat/agent.conf",
		 "The configuration: the first one that is there. Where it holds a password, let "
		 "only its owner read it (mode 0600).");
	doc_heading(d, "See also");
	doc_text(d, "lifeboat(1), lifeboat-archive(5)");
	return doc_take(d, ret, err);
}

#include "agent/init/init.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"

void init_login_done(struct init_login *l)
{
	for (size_t w = 0; w < INIT_WORDS; w++) {
		secret_wipe(l->values[w]);
		free(l->called[w]);
		free(l->names[w]);
	}
	*l = (struct init_login){0};
}

void init_done(struct init *i)
{
	free(i->folder);
	free(i->project);
	free(i->no_docker);
	for (size_t n = 0; n < INIT_KINDS; n++) {
		free(i->parts[n].service);
		free(i->parts[n].url);
		init_login_done(&i->parts[n].login);
	}
	init_login_done(&i->app);
	strlist_done(&i->volumes);
	strlist_done(&i->env_files);
	strlist_done(&i->found);
	strlist_done(&i->left);
	*i = (struct init){0};
}

bool init_has(const struct init *i, enum init_kind kind)
{
	return i->parts[kind].service != NULL || i->parts[kind].url != NULL;
}

const char *init_kind_name(enum init_kind kind)
{
	static const char *const names[] = {"postgres", "redis", "pgbouncer", "other"};
	return names[kind];
}

enum init_kind init_kind_of(const char *image)
{
	/* Programs that only look at a server carry its name too. */
	static const char *const around[] = {"exporter", "commander", "insight", "admin", "backup"};
	static const struct {
		const char *word;
		enum init_kind kind;
	} words[] = {
	    {"pgbouncer", INIT_PGBOUNCER}, {"postgres", INIT_POSTGRES}, {"postgis", INIT_POSTGRES},
	    {"timescale", INIT_POSTGRES},  {"pgvector", INIT_POSTGRES}, {"redis", INIT_REDIS},
	    {"valkey", INIT_REDIS},
	};
	for (size_t n = 0; n < sizeof around / sizeof *around; n++)
		if (strcasestr(image, around[n]) != NULL)
			return INIT_KINDS;
	for (size_t n = 0; n < sizeof words / sizeof *words; n++)
		if (strcasestr(image, words[n].word) != NULL)
			return words[n].kind;
	return INIT_KINDS;
}

bool init_is_name(const char *text, bool dots)
{
	if (text[0] == '\0' || text[0] == '-')
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-' &&
		    !(dots && *text == '.'))
			return false;
	return true;
}

#include "agent/init.h"

#include <stdlib.h>
#include <string.h>

void init_done(struct init *i)
{
	free(i->folder);
	free(i->project);
	for (size_t n = 0; n < INIT_KINDS; n++) {
		free(i->parts[n].service);
		free(i->parts[n].url);
	}
	strlist_done(&i->volumes);
	strlist_done(&i->env_files);
	strlist_done(&i->found);
	strlist_done(&i->left);
	*i = (struct init){0};
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

int init_service(struct init *i, const char *service, const char *image, bool has_volume,
		 struct err *err)
{
	enum init_kind kind = init_kind_of(image);
	char *copy;
	if (kind == INIT_KINDS)
		return 0;
	struct init_part *part = &i->parts[kind];
	if (part->service != NULL && strcmp(part->service, service) == 0)
		return 0;
	if (part->service != NULL && (part->has_volume || !has_volume))
		return strlist_pushf(&i->left, err,
				     "service '%s' (%s) is a second %s and is not in agent.conf",
				     service, image, init_kind_name(kind));
	if (part->service != NULL &&
	    strlist_pushf(&i->left, err, "service '%s' is a second %s and is not in agent.conf",
			  part->service, init_kind_name(kind)) < 0)
		return -1;
	if (str_dup(service, &copy, err) < 0)
		return -1;
	free(part->service);
	part->service = copy;
	part->has_volume = has_volume;
	return strlist_pushf(&i->found, err, "%s: service '%s' (%s)", init_kind_name(kind), service,
			     image);
}

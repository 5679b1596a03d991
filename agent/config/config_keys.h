/*
 * The one table of all sections and keys of agent.conf. The reader, its suggestions, the names in
 * the environment and agent.conf(5) are made from it; agent.conf, the sample, is checked against
 * it by a test.
 */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_KEYS_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>
#include "agent/config/config.h"

/* What may stand there and where it goes. */
enum config_type {
	CONFIG_TEXT,       /* char *: any text */
	CONFIG_NAME,       /* char *: [A-Za-z0-9_-]+ */
	CONFIG_VOLUME,     /* char *: a volume's name */
	CONFIG_CHOICE,     /* char *: one of choices */
	CONFIG_PATH,       /* char *: made absolute against the folder of agent.conf */
	CONFIG_URL,        /* char *: scheme is one of choices, without a password */
	CONFIG_SECRET,     /* struct secret: any text */
	CONFIG_KEYS,       /* char *: age1… or paths, made absolute; separated by commas */
	CONFIG_IDENTITY,   /* struct secret: path, made absolute, or an identity's own text */
	CONFIG_SECRET_URL, /* struct secret: scheme is one of choices */
	CONFIG_ZONE,       /* char *: a time zone of the system's database */
	CONFIG_CRON,       /* char *: five fields or @daily and the like (cron.h) */
	CONFIG_KEEP,       /* char *: rules of storage/retention.h */
	CONFIG_DURATION,   /* int64_t, ms; bounds in ms */
	CONFIG_SIZE,       /* uint64_t, bytes */
	CONFIG_RATE,       /* uint64_t, bytes in a second */
	CONFIG_COUNT,      /* unsigned; choices "%": a percentage, with or without the sign */
	CONFIG_LEVEL       /* int */
};

struct config_key {
	const char *section;
	const char *key;
	enum config_type type;
	bool required;        /* wherever its section is there */
	const char *fallback; /* the default as one would write it; NULL: none */
	const char *choices;  /* words separated by a space */
	const char *schemes;  /* of stores: whose url has one of these alone; NULL: of all */
	int64_t min, max;     /* of numbers; both 0: no bounds */
	size_t offset;        /* in the section's struct */
	const char *example;  /* for agent.conf(5) */
	const char *help;     /* sentences */
};

struct config_section {
	const char *name;
	bool labelled;         /* [store LABEL], as often as wanted */
	bool component;        /* without the section it is no part of the stack */
	size_t offset;         /* in struct config: of the struct, or of the array's pointer */
	size_t count_offset;   /* labelled: of the array's length */
	size_t item_bytes;     /* labelled: of one element; its first member is the label */
	size_t enabled_offset; /* component: of `enabled`, in the section's struct */
	const char *help;
};

extern const struct config_section config_sections[];
extern const size_t config_section_count;
/* Every key, those of a section in the order of agent.conf(5); NULL beyond the last. */
const struct config_key *config_key_at(size_t i);
/* Part of them. */
extern const struct config_key config_store_keys[];
extern const size_t config_store_key_count;
extern const struct config_key config_notify_keys[];
extern const size_t config_notify_key_count;

/* The sections are in config_sections.c. By name of the section without its label; NULL. */
const struct config_section *config_section_find(const char *name);
const struct config_key *config_key_find(const char *section, const char *key);

/* Reads `text` for `key` into `at` (the section's struct), in place of what is there. `folder` is
 * that of agent.conf. ERR_CONFIG without the place, which the caller knows, and without the value
 * of a secret. In config_value.c. */
int config_value_set(const struct config_key *key, void *at, const char *text, const char *folder,
		     struct err *err) MUST_USE;
/* Frees what is there; secrets are zeroed. */
void config_value_done(const struct config_key *key, void *at);

#endif

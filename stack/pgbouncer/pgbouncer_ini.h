/*
 * PgBouncer's ini format, read as PgBouncer reads it (libusual's cfparser.c, PgBouncer's loader.c):
 *
 *  - a line is `key = value`; the value goes to the end of the line, there are no comments in it
 *  - comments are lines that begin with ';' or '#'
 *  - `%include FILE` is folded in where it stands, at most ten deep; sections go on across files
 *  - a key with other characters than letters, digits, '_', '.', '-' and '*' stands in '' (newer
 *    versions; 1.18 can't have such names)
 *  - every [pgbouncer] line sets the settings before it back to their defaults
 */
#ifndef LIFEBOAT_STACK_PGBOUNCER_PGBOUNCER_INI_H
#define LIFEBOAT_STACK_PGBOUNCER_PGBOUNCER_INI_H

#include "stack/pgbouncer/pgbouncer.h"

enum pgbouncer_item_kind {
	PGBOUNCER_SECTION, /* name */
	PGBOUNCER_PAIR,    /* name, value */
	PGBOUNCER_INCLUDE  /* value: the path as resolved; what is in it follows */
};

struct pgbouncer_item {
	enum pgbouncer_item_kind kind;
	char *name;
	char *value;
	const char *section; /* that it stands in; NULL before the first */
	const char *file;    /* where it stands */
	unsigned line;
};

struct pgbouncer_ini {
	struct pgbouncer_item *items;
	size_t count;
	struct strlist files; /* the ini itself first */
	size_t bytes;         /* read so far */
};

/* ERR_CORRUPT "FILE:LINE: …" for what PgBouncer would refuse; no message holds a value. */
int pgbouncer_ini_load(const char *ini_path, const char *cwd, pgbouncer_read_fn *read, void *ctx,
		       struct pgbouncer_ini **ret, struct err *err) MUST_USE;
void pgbouncer_ini_free(struct pgbouncer_ini *ini);
DEFINE_CLEANUP(struct pgbouncer_ini, pgbouncer_ini_free)

/* A path as PgBouncer takes it: relative to its working directory. */
int pgbouncer_ini_path(const char *ini_path, const char *cwd, const char *path, char **ret,
		       struct err *err) MUST_USE;

/* The next `key=value` of a connection string, and moves *text behind it; *ret_key NULL at the end.
 * New strings. ERR_CORRUPT without the text in the message. */
int pgbouncer_ini_pair(const char **text, char **ret_key, char **ret_value, struct err *err)
    MUST_USE;

/* The line whose value counts for a setting of [pgbouncer] that names a file; NULL: none. The last
 * one does, and a new [pgbouncer] forgets those that have a default. */
const struct pgbouncer_item *pgbouncer_ini_effective(const struct pgbouncer_ini *ini,
						     const char *setting);

/* Is this setting the path of a file? Its role: "auth", "hba", "ident", "tls"; else NULL. */
const char *pgbouncer_ini_role(const char *setting);
/* All of those settings, NULL-terminated. */
extern const char *const pgbouncer_ini_file_settings[];

#endif

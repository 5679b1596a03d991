/*
 * Reads an ini file by inih: sections, keys, values and the lines they stand on.
 *
 *  [section]            a section may be empty
 *  key = value          spaces around both are dropped; '=' or ':'
 *    more               an indented line continues the value on a new line
 *  ; or # at the start of a line, and " ;" after a value, begin a comment
 *
 * Stricter than inih, which passes over what it can't make sense of: lines that are too long, text
 * after ']', keys before the first section, sections and keys that are there twice and bytes that
 * are not text are ERR_CONFIG "agent.conf:12: …". (Names begin with inifile_ so as to keep off
 * inih's own prefix. inih keeps its options in globals: one file at a time per process.)
 */
#ifndef LIFEBOAT_BASE_INIFILE_H
#define LIFEBOAT_BASE_INIFILE_H

#include <stddef.h>
#include "base/err.h"

enum { INIFILE_MAX_LINE = 16384, INIFILE_MAX_NAME = 48 };

struct inifile_entry {
	char *key;
	char *value;
	unsigned line;
};

struct inifile_section {
	char *name; /* as written between the brackets, without outer spaces */
	unsigned line;
	struct inifile_entry *entries;
	size_t count;
};

struct inifile {
	struct inifile_section *sections;
	size_t count;
};

/* `name` is what messages call the file. */
int inifile_parse(const char *text, size_t len, const char *name, struct inifile **ret,
		  struct err *err) MUST_USE;
/* Zeroes the values: some are secrets. */
void inifile_free(struct inifile *f);
DEFINE_CLEANUP(struct inifile, inifile_free)

#endif

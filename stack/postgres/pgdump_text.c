/* The two statements of a dump that are read: COPY's columns and a sequence's value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/pgdump.h"

/* An identifier as fmtId of pg_dump writes it, bare or quoted; NULL when there is none. */
static const char *skip_identifier(const char *p)
{
	if (*p == '"') {
		const char *start = ++p;
		for (; *p != '\0'; p++) {
			if (*p != '"')
				continue;
			if (p[1] != '"')
				return p > start ? p + 1 : NULL;
			p++;
		}
		return NULL;
	}
	const char *start = p;
	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
	       (unsigned char)*p >= 0x80 || (p > start && ((*p >= '0' && *p <= '9') || *p == '$')))
		p++;
	return p > start ? p : NULL;
}

/* "(a, b)": behind its end, or NULL. */
static const char *skip_columns(const char *p)
{
	if (*p++ != '(')
		return NULL;
	for (;;) {
		p = skip_identifier(p);
		if (p == NULL)
			return NULL;
		if (*p == ')')
			return p + 1;
		if (p[0] != ',' || p[1] != ' ')
			return NULL;
		p += 2;
	}
}

bool pgdump_columns_are_valid(const char *columns)
{
	if (*columns == '\0')
		return true;
	const char *end = skip_columns(columns);
	return end != NULL && *end == '\0';
}

/* The parts of "COPY schema.table (a, b) FROM stdin;"; false when it is something else. */
struct copy_parts {
	const char *schema, *table; /* NULL: no schema */
	const char *columns, *end;  /* of the columns */
};

static bool split_copy(const char *copy, struct copy_parts *ret)
{
	struct copy_parts c = {0};
	if (strncmp(copy, "COPY ", 5) != 0)
		return false;
	c.table = copy + 5;
	const char *p = skip_identifier(c.table);
	if (p != NULL && *p == '.') {
		c.schema = c.table;
		c.table = p + 1;
		p = skip_identifier(c.table);
	}
	if (p == NULL || *p != ' ')
		return false;
	c.columns = p + 1;
	c.end = *c.columns == '(' ? skip_columns(c.columns) : c.columns;
	if (c.end == NULL || strncmp(c.end, " FROM stdin;", 12) != 0)
		return false;
	const char *rest = c.end + 12;
	*ret = c;
	return rest[strspn(rest, "\n")] == '\0';
}

static int foreign_copy(const char *copy, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "not a COPY statement of pg_dump: '%.100s'", copy);
}

int pgdump_copy_columns(const char *copy, char **ret, struct err *err)
{
	struct copy_parts c;
	if (!split_copy(copy, &c))
		return foreign_copy(copy, err);
	return str_dupn(c.columns, (size_t)(c.end - c.columns), ret, err);
}

/* Does the identifier at `p`, quoted or not, say `name`? */
static bool identifier_is(const char *p, const char *name)
{
	const char *end = skip_identifier(p);
	bool quoted = *p == '"';
	if (end == NULL)
		return false;
	for (p += quoted, end -= quoted; p < end; p++, name++) {
		if (*p != *name)
			return false;
		p += quoted && *p == '"';
	}
	return *name == '\0';
}

bool pgdump_loads_elsewhere(const struct pgdump_entry *e)
{
	struct copy_parts c;
	if (e->copy == NULL || e->tag == NULL || !split_copy(e->copy, &c))
		return false;
	return !identifier_is(c.table, e->tag) ||
	       (c.schema != NULL && e->schema != NULL && !identifier_is(c.schema, e->schema));
}

/* A string literal, '…' or E'…': behind its end, or NULL. */
static const char *skip_literal(const char *p)
{
	bool escapes = *p == 'E';
	if (escapes)
		p++;
	if (*p++ != '\'')
		return NULL;
	for (; *p != '\0'; p++) {
		if (escapes && *p == '\\' && p[1] != '\0') {
			p++;
		} else if (*p == '\'') {
			if (p[1] != '\'')
				return p + 1;
			p++;
		}
	}
	return NULL;
}

int pgdump_sequence_value(const char *definition, int64_t *ret_value, bool *ret_called,
			  struct err *err)
{
	static const char start[] = "SELECT pg_catalog.setval(";
	const char *p = definition;
	char *end;
	long long value;
	bool called;
	if (strncmp(p, start, sizeof start - 1) != 0)
		goto foreign;
	p = skip_literal(p + sizeof start - 1);
	if (p == NULL || strncmp(p, ", ", 2) != 0)
		goto foreign;
	p += 2;
	if (*p != '-' && (*p < '0' || *p > '9'))
		goto foreign;
	errno = 0;
	value = strtoll(p, &end, 10);
	if (errno != 0 || end == p)
		goto foreign;
	called = strncmp(end, ", true);", 8) == 0;
	if (!called && strncmp(end, ", false);", 9) != 0)
		goto foreign;
	*ret_value = value;
	*ret_called = called;
	return 0;
foreign:
	return err_set(err, ERR_CORRUPT, "not a setval statement of pg_dump: '%.100s'", definition);
}

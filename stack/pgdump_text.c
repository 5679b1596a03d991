/* The two statements of a dump that are read: COPY's columns and a sequence's value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "stack/pgdump.h"

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

int pgdump_copy_columns(const char *copy, char **ret, struct err *err)
{
	const char *p = copy, *columns, *end;
	if (strncmp(p, "COPY ", 5) != 0)
		goto foreign;
	p = skip_identifier(p + 5);
	if (p != NULL && *p == '.')
		p = skip_identifier(p + 1);
	if (p == NULL || *p != ' ')
		goto foreign;
	columns = ++p;
	end = *p == '(' ? skip_columns(p) : p;
	if (end == NULL || strncmp(end, " FROM stdin;", 12) != 0)
		goto foreign;
	for (p = end + 12; *p == '\n'; p++)
		continue;
	if (*p != '\0')
		goto foreign;
	return str_dupn(columns, (size_t)(end - columns), ret, err);
foreign:
	return err_set(err, ERR_CORRUPT, "not a COPY statement of pg_dump: '%.100s'", copy);
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

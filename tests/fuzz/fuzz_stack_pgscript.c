/* Any text: cut into statements, none of them empty, all of them found in the text in this order;
 * and each cut again stays one. */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

struct seen {
	const char *rest;
	int count;
	bool again;
};

static int check(void *ctx, const char *statement, struct err *err)
{
	struct seen *s = ctx;
	const char *at = strstr(s->rest, statement);
	if (statement[0] == '\0' || at == NULL)
		abort();
	s->rest = at + strlen(statement);
	s->count++;
	char brief[PG_BRIEF_BYTES];
	if (strlen(pg_script_brief(statement, brief)) >= PG_BRIEF_BYTES)
		abort();
	if (s->again)
		return 0;
	struct seen inner = {.rest = statement, .again = true};
	if (pg_script_split(statement, check, &inner, err) < 0 || inner.count != 1)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *sql = NULL, *columns = NULL;
	int64_t value;
	bool called;
	if (str_dupn((const char *)data, len, &sql, &err) < 0)
		return 0;
	struct seen s = {.rest = sql};
	if (pg_script_split(sql, check, &s, &err) < 0 && err.code != ERR_CORRUPT)
		abort();
	if (pgdump_copy_columns(sql, &columns, &err) == 0 && !pgdump_columns_are_valid(columns))
		abort();
	if (pgdump_sequence_value(sql, &value, &called, &err) < 0 && err.code != ERR_CORRUPT)
		abort();
	return 0;
}

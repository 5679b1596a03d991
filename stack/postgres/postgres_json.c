/* Results of queries as JSON. */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* src/include/catalog/pg_type.dat of PostgreSQL. */
enum { TYPE_BOOL = 16, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_INT4 = 23, TYPE_OID = 26 };

static json_t *value(const PGresult *r, int row, int column)
{
	if (PQgetisnull(r, row, column))
		return json_null();
	const char *text = PQgetvalue(r, row, column);
	switch (PQftype(r, column)) {
	case TYPE_BOOL:
		return json_boolean(text[0] == 't');
	case TYPE_INT2:
	case TYPE_INT4:
	case TYPE_INT8:
	case TYPE_OID:
		return json_integer(strtoll(text, NULL, 10));
	default:
		return json_text_value(text);
	}
}

int pg_json_row(const PGresult *r, int row, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *object = json_object();
	if (object == NULL)
		return err_nomem(err, "JSON");
	for (int i = 0; i < PQnfields(r); i++)
		if (json_put(object, PQfname(r, i), value(r, row, i), err) < 0)
			return -1;
	*ret = object;
	object = NULL;
	return 0;
}

int pg_json_one(struct pg *p, const char *sql, json_t **ret, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	if (pg_query(p, sql, DEADLINE_NEVER, &r, err) < 0)
		return -1;
	if (PQntuples(r) != 1)
		return err_set(err, ERR_FAILED, "one row was expected and %d came", PQntuples(r));
	return pg_json_row(r, 0, ret, err);
}

int pg_json_all(struct pg *p, const char *sql, bool bare, json_t **ret, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	CLEANUP(json_freep) json_t *array = json_array();
	if (array == NULL)
		return err_nomem(err, "JSON");
	if (pg_query(p, sql, DEADLINE_NEVER, &r, err) < 0)
		return -1;
	for (int row = 0; row < PQntuples(r); row++) {
		json_t *item = NULL;
		if (bare)
			item = value(r, row, 0);
		else if (pg_json_row(r, row, &item, err) < 0)
			return -1;
		if (json_push(array, item, err) < 0)
			return -1;
	}
	*ret = array;
	array = NULL;
	return 0;
}

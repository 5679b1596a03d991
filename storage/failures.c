#include "storage/failures.h"

#include <string.h>

static bool has_outcome(const json_t *result, const char *outcome)
{
	return strcmp(json_str_or(result, "outcome", ""), outcome) == 0;
}

int failures_of(const json_t *results, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *names = json_array();
	size_t i;
	json_t *r;
	if (names == NULL)
		return err_nomem(err, "JSON");
	json_array_foreach(results, i, r)
	{
		if (has_outcome(r, "failed") &&
		    json_push(names, json_string(json_str_or(r, "object", "")), err) < 0)
			return -1;
	}
	*ret = names;
	names = NULL;
	return 0;
}

bool failures_names(const json_t *result, const json_t *failure)
{
	const json_t *named = json_object_get(result, "answers");
	const char *name = json_str_or(failure, "object", "");
	size_t i;
	json_t *n;
	if (!json_is_array(named))
		return strcmp(json_str_or(result, "object", ""), name) > 0;
	json_array_foreach(named, i, n)
	{
		if (json_is_string(n) && strcmp(json_string_value(n), name) == 0)
			return true;
	}
	return false;
}

bool failures_answered(const json_t *results, const json_t *failure, const char *kind)
{
	size_t i;
	json_t *r;
	json_array_foreach(results, i, r)
	{
		if (has_outcome(r, "passed") &&
		    (kind == NULL || strcmp(json_str_or(r, "kind", ""), kind) == 0) &&
		    failures_names(r, failure))
			return true;
	}
	return false;
}

/*
 * JSON by jansson, with bounds and with errors that name the field.
 *
 * Getters borrow: nothing returned is to be freed. An absent or wrongly typed field is ERR_CORRUPT
 * "field 'rows' is missing" / "field 'rows' is not a number"; callers wrap it with what they read.
 */
#ifndef LIFEBOAT_BASE_JSON_H
#define LIFEBOAT_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>
#include "base/buf.h"

/* Parses at most 256 MiB; duplicate keys are refused. A new reference. */
int json_parse(const char *text, size_t len, json_t **ret, struct err *err) MUST_USE;
/* Compact or indented; sorted keys stay in insertion order. free() the text. */
int json_text(const json_t *j, bool indented, char **ret, struct err *err) MUST_USE;

int json_get_str(const json_t *obj, const char *key, const char **ret, struct err *err) MUST_USE;
int json_get_u64(const json_t *obj, const char *key, uint64_t *ret, struct err *err) MUST_USE;
int json_get_bool(const json_t *obj, const char *key, bool *ret, struct err *err) MUST_USE;
int json_get_obj(const json_t *obj, const char *key, json_t **ret, struct err *err) MUST_USE;
int json_get_arr(const json_t *obj, const char *key, json_t **ret, struct err *err) MUST_USE;
/* The string, or `otherwise` when absent or null. */
const char *json_str_or(const json_t *obj, const char *key, const char *otherwise);
uint64_t json_u64_or(const json_t *obj, const char *key, uint64_t otherwise);

/* Building: take `value` also on failure; NULL value (an allocation that failed) is ERR_NOMEM.
 * json_string() refuses text that is not UTF-8: use json_text_value for text from outside, which
 * replaces what is not UTF-8 by U+FFFD. */
int json_put(json_t *obj, const char *key, json_t *value, struct err *err) MUST_USE;
int json_push(json_t *arr, json_t *value, struct err *err) MUST_USE;
json_t *json_text_value(const char *text);

static inline void json_freep(json_t **p)
{
	json_decref(*p);
}

#endif

#include "base/json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Without memory jansson (2.14) either finds a mistake in the text or goes on without what it had
 * no room for, reading and writing. Whoever reads "corrupt" may throw a good backup away, so its
 * allocations are watched. */
static _Thread_local bool out_of_memory;
/* Its reader forgets that it had no room for a long word, and writes beyond its end as soon as
 * there is memory again: until the end of the text there is none then. */
static _Thread_local bool reading;
static pthread_once_t watched = PTHREAD_ONCE_INIT;

static void *watched_malloc(size_t bytes)
{
	void *p = reading && out_of_memory ? NULL : malloc(bytes);
	if (p == NULL)
		out_of_memory = true;
	return p;
}

static void watch(void)
{
	json_set_alloc_funcs(watched_malloc, free);
}

static void begin_watching(void)
{
	pthread_once(&watched, watch);
	out_of_memory = false;
}

int json_parse(const char *text, size_t len, json_t **ret, struct err *err)
{
	if (len > (size_t)256 << 20)
		return err_set(err, ERR_LIMIT, "JSON of %zu bytes is too large", len);
	json_error_t why;
	begin_watching();
	reading = true;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	reading = false;
	if (out_of_memory) {
		json_decref(j);
		return err_nomem(err, "JSON");
	}
	if (j == NULL)
		return err_set(err, ERR_CORRUPT, "not JSON: line %d: %s", why.line, why.text);
	*ret = j;
	return 0;
}

int json_text(const json_t *j, bool indented, char **ret, struct err *err)
{
	begin_watching();
	char *text = json_dumps(j, (indented ? JSON_INDENT(2) : JSON_COMPACT) | JSON_ENCODE_ANY);
	if (text == NULL || out_of_memory) {
		free(text);
		return err_nomem(err, "JSON text");
	}
	*ret = text;
	return 0;
}

/* The field, or an error that says what is wrong with it. */
static int field(const json_t *obj, const char *key, bool is_right, const char *kind,
		 struct err *err)
{
	if (json_object_get(obj, key) == NULL)
		return err_set(err, ERR_CORRUPT, "field '%s' is missing", key);
	if (!is_right)
		return err_set(err, ERR_CORRUPT, "field '%s' is not %s", key, kind);
	return 0;
}

int json_get_str(const json_t *obj, const char *key, const char **ret, struct err *err)
{
	json_t *v = json_object_get(obj, key);
	if (field(obj, key, json_is_string(v), "a string", err) < 0)
		return -1;
	*ret = json_string_value(v);
	return 0;
}

int json_get_u64(const json_t *obj, const char *key, uint64_t *ret, struct err *err)
{
	json_t *v = json_object_get(obj, key);
	bool right = json_is_integer(v) && json_integer_value(v) >= 0;
	if (field(obj, key, right, "a whole number", err) < 0)
		return -1;
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int json_get_bool(const json_t *obj, const char *key, bool *ret, struct err *err)
{
	json_t *v = json_object_get(obj, key);
	if (field(obj, key, json_is_boolean(v), "true or false", err) < 0)
		return -1;
	*ret = json_is_true(v);
	return 0;
}

int json_get_obj(const json_t *obj, const char *key, json_t **ret, struct err *err)
{
	json_t *v = json_object_get(obj, key);
	if (field(obj, key, json_is_object(v), "an object", err) < 0)
		return -1;
	*ret = v;
	return 0;
}

int json_get_arr(const json_t *obj, const char *key, json_t **ret, struct err *err)
{
	json_t *v = json_object_get(obj, key);
	if (field(obj, key, json_is_array(v), "an array", err) < 0)
		return -1;
	*ret = v;
	return 0;
}

const char *json_str_or(const json_t *obj, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(obj, key));
	return text != NULL ? text : otherwise;
}

uint64_t json_u64_or(const json_t *obj, const char *key, uint64_t otherwise)
{
	json_t *v = json_object_get(obj, key);
	return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
								: otherwise;
}

int json_put(json_t *obj, const char *key, json_t *value, struct err *err)
{
	if (value == NULL || json_object_set_new(obj, key, value) < 0)
		return err_nomem(err, "JSON");
	return 0;
}

int json_push(json_t *arr, json_t *value, struct err *err)
{
	if (value == NULL || json_array_append_new(arr, value) < 0)
		return err_nomem(err, "JSON");
	return 0;
}

/* Length of the valid UTF-8 sequence at `p` (RFC 3629), or 0. */
static size_t utf8_length(const unsigned char *p)
{
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
	    (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return n;
}

json_t *json_text_value(const char *text)
{
	json_t *plain = json_string(text);
	if (plain != NULL)
		return plain;
	struct buf b;
	struct err ignored = ERR_INIT;
	buf_init(&b, strlen(text) * 3);
	int rc = 0;
	for (const char *p = text; rc == 0 && *p != '\0';) {
		size_t n = utf8_length((const unsigned char *)p);
		rc =
		    n > 0 ? buf_append(&b, p, n, &ignored) : buf_puts(&b, "\xEF\xBF\xBD", &ignored);
		p += n > 0 ? n : 1;
	}
	/* Without memory for all of it there is no value rather than a part of one. */
	json_t *j = rc == 0 ? json_string(buf_text(&b)) : NULL;
	buf_done(&b);
	return j;
}

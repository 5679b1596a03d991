#include "storage/sidecar.h"

#include <string.h>
#include "base/clock.h"
#include "storage/catalog.h"
#include "storage/decisions.h"
#include "storage/store/decrypting.h"

static const char format_name[] = "lifeboat-sidecar";
enum { FORMAT_VERSION = 1, COMPONENTS_MAX = 64, SHA256_DIGITS = 64 };

static int put_u64(json_t *obj, const char *key, uint64_t value, struct err *err)
{
	if (value > INT64_MAX)
		return err_set(err, ERR_LIMIT, "field '%s': %llu is too large", key,
			       (unsigned long long)value);
	return json_put(obj, key, json_integer((json_int_t)value), err);
}

/* Takes nothing; *ret is a new array of names. */
static int names_of(const json_t *components, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *names = json_array();
	if (names == NULL)
		return err_nomem(err, "JSON");
	size_t i;
	json_t *value;
	json_array_foreach(components, i, value)
	{
		if (json_push(names, json_incref(value), err) < 0)
			return -1;
	}
	/* jansson iterates over objects that are not const only; nothing is changed. */
	json_t *object = (json_t *)(uintptr_t)components;
	const char *key;
	json_object_foreach(object, key, value)
	{
		if (json_push(names, json_string(key), err) < 0)
			return -1;
	}
	*ret = names;
	names = NULL;
	return 0;
}

static int counts_json(const struct sidecar *s, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *counts = json_object();
	if (put_u64(counts, "databases", s->databases, err) < 0 ||
	    put_u64(counts, "tables", s->tables, err) < 0 ||
	    put_u64(counts, "rows", s->rows, err) < 0 ||
	    put_u64(counts, "large_objects", s->large_objects, err) < 0 ||
	    put_u64(counts, "redis_keys", s->redis_keys, err) < 0 ||
	    put_u64(counts, "files", s->files, err) < 0 ||
	    put_u64(counts, "raw_bytes", s->raw_bytes, err) < 0)
		return -1;
	*ret = counts;
	counts = NULL;
	return 0;
}

static int put_encrypted(json_t *j, const struct sidecar *s, struct err *err)
{
	if (s->recipients == NULL)
		return json_put(j, "encrypted", json_false(), err);
	return json_put(
	    j, "encrypted",
	    json_pack("{s:s, s:o}", "format", "age", "recipients", json_deep_copy(s->recipients)),
	    err);
}

/* What is written must be readable, also when decisions have come to it: a mistake shows here, not
 * on the day of the restore. */
static int check_readable(const json_t *j, struct err *err)
{
	enum { MOST = SIDECAR_MAX_BYTES / 2 };
	CLEANUP(freep) char *text = NULL;
	struct sidecar ignored;
	if (sidecar_parse(j, &ignored, err) < 0 || json_text(j, true, &text, err) < 0)
		return -1;
	if (strlen(text) > MOST)
		return err_set(err, ERR_LIMIT,
			       "it would be longer than the %d bytes that leave room for decisions",
			       MOST);
	return 0;
}

int sidecar_json(const struct sidecar *s, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *j = json_object();
	CLEANUP(json_freep) json_t *counts = NULL;
	CLEANUP(json_freep) json_t *names = NULL;
	if (counts_json(s, &counts, err) < 0 || names_of(s->components, &names, err) < 0)
		return -1;
	json_t *label = s->label != NULL ? json_text_value(s->label) : json_null();
	if (json_put(j, "format", json_string(format_name), err) < 0 ||
	    json_put(j, "format_version", json_integer(FORMAT_VERSION), err) < 0 ||
	    json_put(j, "id", json_string(s->id), err) < 0 ||
	    json_put(j, "stack", json_string(s->stack), err) < 0 ||
	    json_put(j, "archive", json_string(s->archive), err) < 0 ||
	    put_u64(j, "bytes", s->bytes, err) < 0 ||
	    json_put(j, "sha256", json_string(s->sha256), err) < 0 ||
	    json_put(j, "started", json_string(s->started), err) < 0 ||
	    json_put(j, "finished", json_string(s->finished), err) < 0) {
		json_decref(label);
		return -1;
	}
	if (json_put(j, "label", label, err) < 0 ||
	    json_put(j, "pinned", json_boolean(s->pinned), err) < 0 ||
	    json_put(j, "partial", json_boolean(s->partial), err) < 0 ||
	    json_put(j, "suspicious", json_boolean(s->suspicious), err) < 0 ||
	    json_put(j, "lifeboat_version", json_string(s->lifeboat_version), err) < 0 ||
	    json_put(j, "counts", json_incref(counts), err) < 0 ||
	    json_put(j, "components", json_incref(names), err) < 0 ||
	    put_u64(j, "warnings", s->warnings, err) < 0 || put_encrypted(j, s, err) < 0)
		return -1;
	if ((s->suspicion != NULL &&
	     json_put(j, "suspicion", json_deep_copy(s->suspicion), err) < 0) ||
	    (s->trusted != NULL && json_put(j, "trusted", json_string(s->trusted), err) < 0))
		return -1;
	if (check_readable(j, err) < 0)
		return err_wrap(err, "sidecar of '%s'", s->id);
	*ret = j;
	j = NULL;
	return 0;
}

static int check_format(const json_t *j, struct err *err)
{
	const char *format;
	uint64_t version;
	if (!json_is_object(j))
		return err_set(err, ERR_CORRUPT, "not a JSON object");
	if (json_get_str(j, "format", &format, err) < 0 ||
	    json_get_u64(j, "format_version", &version, err) < 0)
		return -1;
	if (strcmp(format, format_name) != 0)
		return err_set(err, ERR_CORRUPT, "field 'format' is '%.40s', not '%s'", format,
			       format_name);
	if (version != FORMAT_VERSION) {
		err_set(err, ERR_CORRUPT, "format_version %llu is not known",
			(unsigned long long)version);
		return err_hint(err, "It was written by another version of lifeboat: use that one, "
				     "or a newer one.");
	}
	return 0;
}

static int get_time(const json_t *j, const char *key, const char **ret, struct err *err)
{
	int64_t ignored;
	if (json_get_str(j, key, ret, err) < 0)
		return -1;
	if (clock_parse_rfc3339(*ret, &ignored, err) < 0)
		return err_wrap(err, "field '%s'", key);
	return 0;
}

static int get_label(const json_t *j, const char **ret, struct err *err)
{
	const json_t *label = json_object_get(j, "label");
	if (label != NULL && !json_is_null(label) && !json_is_string(label))
		return err_set(err, ERR_CORRUPT, "field 'label' is neither text nor null");
	*ret = json_string_value(label);
	return 0;
}

static int check_components(const json_t *components, struct err *err)
{
	if (json_array_size(components) > COMPONENTS_MAX)
		return err_set(err, ERR_CORRUPT, "field 'components' has %zu entries, at most %d",
			       json_array_size(components), COMPONENTS_MAX);
	size_t i;
	json_t *value;
	json_array_foreach(components, i, value)
	{
		if (!json_is_string(value))
			return err_set(err, ERR_CORRUPT,
				       "field 'components' holds something "
				       "that is not text");
	}
	return 0;
}

static int get_counts(const json_t *j, struct sidecar *s, struct err *err)
{
	json_t *counts;
	if (json_get_obj(j, "counts", &counts, err) < 0)
		return -1;
	if (json_get_u64(counts, "databases", &s->databases, err) < 0 ||
	    json_get_u64(counts, "tables", &s->tables, err) < 0 ||
	    json_get_u64(counts, "rows", &s->rows, err) < 0 ||
	    json_get_u64(counts, "large_objects", &s->large_objects, err) < 0 ||
	    json_get_u64(counts, "redis_keys", &s->redis_keys, err) < 0 ||
	    json_get_u64(counts, "files", &s->files, err) < 0 ||
	    json_get_u64(counts, "raw_bytes", &s->raw_bytes, err) < 0)
		return err_wrap(err, "field 'counts'");
	return 0;
}

/* Both may be absent. */
static int get_suspicion(const json_t *j, struct sidecar *s, struct err *err)
{
	const json_t *why = json_object_get(j, "suspicion");
	size_t i;
	json_t *line;
	if (why != NULL && !json_is_array(why))
		return err_set(err, ERR_CORRUPT, "field 'suspicion' is not an array");
	json_array_foreach(why, i, line)
	{
		if (!json_is_string(line))
			return err_set(err, ERR_CORRUPT,
				       "field 'suspicion' holds something that is not text");
	}
	s->suspicion = why;
	return json_object_get(j, "trusted") != NULL ? get_time(j, "trusted", &s->trusted, err) : 0;
}

/* Absent means no. The name says it too, for those who have only the file. */
static int get_encrypted(const json_t *j, struct sidecar *s, struct err *err)
{
	const json_t *encrypted = json_object_get(j, "encrypted");
	bool is = json_is_object(encrypted);
	if (encrypted != NULL && !is && !json_is_false(encrypted))
		return err_set(err, ERR_CORRUPT,
			       "field 'encrypted' is neither an object nor false");
	if (is != storage_is_encrypted(s->archive))
		return err_set(err, ERR_CORRUPT, "field 'encrypted' is not what '%.100s' says",
			       s->archive);
	if (!is)
		return 0;
	json_t *recipients;
	if (json_get_arr(encrypted, "recipients", &recipients, err) < 0)
		return err_wrap(err, "field 'encrypted'");
	size_t i;
	json_t *value;
	json_array_foreach(recipients, i, value)
	{
		if (!json_is_string(value))
			return err_set(err, ERR_CORRUPT,
				       "field 'encrypted' has a recipient that is not text");
	}
	if (i > AGE_RECIPIENTS_MAX)
		return err_set(err, ERR_CORRUPT, "field 'encrypted' has %zu recipients, at most %d",
			       i, AGE_RECIPIENTS_MAX);
	s->recipients = recipients;
	return 0;
}

int sidecar_parse(const json_t *j, struct sidecar *ret, struct err *err)
{
	struct sidecar s = {0};
	json_t *components;
	if (check_format(j, err) < 0 || json_get_str(j, "id", &s.id, err) < 0 ||
	    json_get_str(j, "stack", &s.stack, err) < 0 ||
	    json_get_str(j, "archive", &s.archive, err) < 0 ||
	    json_get_u64(j, "bytes", &s.bytes, err) < 0 ||
	    json_get_str(j, "sha256", &s.sha256, err) < 0 ||
	    get_time(j, "started", &s.started, err) < 0 ||
	    get_time(j, "finished", &s.finished, err) < 0 || get_label(j, &s.label, err) < 0 ||
	    json_get_bool(j, "pinned", &s.pinned, err) < 0 ||
	    json_get_bool(j, "suspicious", &s.suspicious, err) < 0 ||
	    json_get_str(j, "lifeboat_version", &s.lifeboat_version, err) < 0 ||
	    get_counts(j, &s, err) < 0 || json_get_arr(j, "components", &components, err) < 0 ||
	    check_components(components, err) < 0 ||
	    json_get_u64(j, "warnings", &s.warnings, err) < 0)
		return -1;
	s.components = components;
	if (get_suspicion(j, &s, err) < 0 || decisions_check(j, err) < 0)
		return -1;
	/* Absent means no: the whole stack. */
	s.partial = json_is_true(json_object_get(j, "partial"));
	if (!catalog_id_is_valid(s.id))
		return err_set(err, ERR_CORRUPT, "field 'id' is '%.40s', which is no backup id",
			       s.id);
	if (!store_name_is_valid(s.stack))
		return err_set(err, ERR_CORRUPT, "field 'stack' is not a name");
	if (!store_name_is_valid(s.archive))
		return err_set(err, ERR_CORRUPT, "field 'archive' is not the name of an object");
	if (get_encrypted(j, &s, err) < 0)
		return -1;
	if (strlen(s.sha256) != SHA256_DIGITS ||
	    strspn(s.sha256, "0123456789abcdef") != SHA256_DIGITS)
		return err_set(err, ERR_CORRUPT, "field 'sha256' is not a SHA-256");
	*ret = s;
	return 0;
}

int sidecar_load(struct store *s, const char *name, json_t **ret_json, struct sidecar *ret,
		 struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	CLEANUP(json_freep) json_t *json = NULL;
	buf_init(&text, SIDECAR_MAX_BYTES);
	if (store_get_bytes(s, name, &text, err) < 0 ||
	    json_parse(buf_text(&text), text.len, &json, err) < 0 ||
	    sidecar_parse(json, ret, err) < 0)
		return -1;
	*ret_json = json;
	json = NULL;
	return 0;
}

#include "storage/adopt.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "storage/catalog.h"
#include "storage/store/decrypting.h"
#include "storage/store/catalog_name.h"

static void count_postgres(const json_t *postgres, struct sidecar *s)
{
	size_t i, k;
	json_t *db, *table;
	json_array_foreach(json_object_get(postgres, "databases"), i, db)
	{
		s->databases++;
		s->large_objects += json_u64_or(json_object_get(db, "large_objects"), "count", 0);
		json_array_foreach(json_object_get(db, "tables"), k, table)
		{
			s->tables++;
			s->rows += json_u64_or(table, "rows", 0);
		}
	}
}

void adopt_counts(const json_t *manifest, struct sidecar *ret)
{
	const json_t *components = json_object_get(manifest, "components");
	const json_t *redis = json_object_get(components, "redis");
	size_t i;
	json_t *item;
	count_postgres(json_object_get(components, "postgres"), ret);
	json_array_foreach(json_object_get(json_object_get(redis, "rdb"), "databases"), i, item)
	{
		ret->redis_keys += json_u64_or(item, "keys", 0);
	}
	/* The text that says how to restore is no file of the stack. */
	json_array_foreach(json_object_get(manifest, "members"), i, item)
	{
		/* A row begins with the name, or with {"hex"} of one that is not UTF-8. */
		const char *name = json_string_value(json_array_get(item, 0));
		ret->files += name == NULL || strcmp(name, "RESTORE.md") != 0;
	}
}

static int digest_of(struct store *store, const char *object, char sha256[SHA256_HEX_BYTES],
		     uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *h = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (sha256_new(&h, err) < 0 || store_get(store, object, 0, UINT64_MAX, &from, err) < 0 ||
	    sink_sha256(h, &to, err) < 0 || flow_copy(from, to, ret_bytes, err) < 0)
		return -1;
	sha256_hex(h, sha256);
	return 0;
}

/* *ret_sidecar is the name of the object that is to be written. */
static int check_name(struct store *store, const struct adopt_opts *o, struct catalog_name *ret,
		      char ret_sidecar[STORE_NAME_MAX + 1], struct err *err)
{
	struct store_object there;
	struct err why = ERR_INIT;
	if (!catalog_name_parse(o->stack, o->archive, ret) || ret->kind != CATALOG_NAME_ARCHIVE) {
		err_set(err, ERR_USAGE, "'%s' is no archive of the stack '%s'", o->archive,
			o->stack);
		return err_hint(err, "An archive is called like %s-20261123T020000Z-3f9c.tar.zst.",
				o->stack);
	}
	if (catalog_sidecar_name(o->stack, ret->id, ret_sidecar, err) < 0)
		return -1;
	if (store_stat(store, ret_sidecar, &there, &why) == 0)
		return err_set(err, ERR_EXISTS, "'%s' has its sidecar: there is nothing to adopt",
			       o->archive);
	if (why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	return 0;
}

static int check_manifest(const struct adopt_opts *o, const char *id, const json_t *m,
			  struct err *err)
{
	const char *its_id = json_str_or(m, "id", ""), *its_stack = json_str_or(m, "stack", "");
	if (strcmp(its_id, id) == 0 && strcmp(its_stack, o->stack) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "'%s' holds backup '%.40s' of stack '%.100s'", o->archive,
		       its_id, its_stack);
}

/* Reading the archive may have taken hours: is it still ours to commit? */
static int write_sidecar(struct store *store, const struct adopt_opts *o, const char *name,
			 const struct sidecar *s, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	CLEANUP(freep) char *text = NULL;
	if (sidecar_json(s, &json, err) < 0 || json_text(json, true, &text, err) < 0 ||
	    (o->lock != NULL && store_lock_check(o->lock, err) < 0) ||
	    store_create_bytes(store, name, text, strlen(text), err) < 0)
		return -1;
	*ret = json;
	json = NULL;
	return 0;
}

int adopt_run(struct store *store, const struct adopt_opts *o, json_t **ret, struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	CLEANUP(json_freep) json_t *unknown = json_array();
	struct reader_report report = {0};
	struct catalog_name name;
	char sidecar[STORE_NAME_MAX + 1], sha256[SHA256_HEX_BYTES];
	uint64_t bytes;
	struct store *plain = o->plain != NULL ? o->plain : store;
	if (check_name(store, o, &name, sidecar, err) < 0 ||
	    digest_of(store, o->archive, sha256, &bytes, err) < 0 ||
	    reader_open(plain, o->archive, &r, err) < 0)
		return -1;
	const json_t *m = reader_manifest(r);
	/* What was read first must be what is verified: no other archive in between. */
	if (check_manifest(o, name.id, m, err) < 0 ||
	    reader_verify(r, plain == store ? sha256 : NULL, o->watch, &report, err) < 0)
		return -1;
	struct sidecar s = {
	    .id = name.id,
	    .stack = o->stack,
	    .archive = o->archive,
	    .bytes = bytes,
	    .sha256 = sha256,
	    .started = json_str_or(m, "started", ""),
	    .finished = json_str_or(m, "finished", ""),
	    .label = json_str_or(m, "label", NULL),
	    .pinned = o->pinned,
	    .partial = json_is_true(json_object_get(m, "partial")),
	    .lifeboat_version = json_str_or(m, "lifeboat_version", ""),
	    .raw_bytes = report.raw_bytes,
	    .components = json_object_get(m, "components"),
	    .warnings = json_array_size(json_object_get(m, "warnings")),
	};
	adopt_counts(m, &s);
	/* An age header does not say whose keys it is wrapped for. */
	if (storage_is_encrypted(o->archive))
		s.recipients = unknown;
	const struct suspicion_figures now = {.bytes = bytes, .rows = s.rows, .keys = s.redis_keys};
	CLEANUP(json_freep) json_t *suspicion = NULL;
	if (!s.partial &&
	    suspicion_find(store, o->stack, name.id, &o->suspicion, &now, &suspicion, err) < 0)
		return -1;
	s.suspicious = suspicion != NULL;
	s.suspicion = suspicion;
	return write_sidecar(store, o, sidecar, &s, ret, err);
}

/* Evidence of drills, from one store to another: a union by name. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "storage/store/catalog_name.h"
#include "storage/copy.h"

static int by_name(const void *name, const void *object)
{
	return strcmp(name, ((const struct store_object *)object)->name);
}

/* Lists are sorted. NULL: it is not there. */
static const struct store_object *find(const struct store_objects *all, const char *name)
{
	return all->count == 0 ? NULL
			       : bsearch(name, all->items, all->count, sizeof *all->items, by_name);
}

/* *ret: `to` has these very bytes under that name. */
static int is_same(struct store *to, const char *name, const struct buf *text, bool *ret,
		   struct err *err)
{
	CLEANUP(buf_done) struct buf there;
	struct err why = ERR_INIT;
	buf_init(&there, CATALOG_EVIDENCE_MAX_BYTES);
	*ret = false;
	if (store_get_bytes(to, name, &there, &why) == 0) {
		*ret = there.len == text->len && memcmp(there.data, text->data, text->len) == 0;
		return 0;
	}
	if (why.code == ERR_ABSENT || why.code == ERR_LIMIT)
		return 0;
	*err = why;
	return -1;
}

/* Under the name of when it began, or the next that is free, unless it is there under one of them.
 */
static int place(struct store *to, const char *stack, const char *id, int64_t began_ms,
		 const struct buf *text, bool *ret_copied, struct err *err)
{
	for (bool same = false; !same; began_ms += 1000) {
		char name[201];
		struct err why = ERR_INIT;
		if (catalog_evidence_name(stack, id, began_ms, name, err) < 0)
			return -1;
		if (store_create_bytes(to, name, text->data, text->len, &why) == 0) {
			*ret_copied = true;
			return 0;
		}
		if (why.code != ERR_EXISTS) {
			*err = why;
			return -1;
		}
		if (is_same(to, name, text, &same, err) < 0)
			return -1;
	}
	return 0;
}

/* *ret_copied stays false when it went away meanwhile, or is there. */
static int send(struct store *from, const char *object, const char *stack,
		const struct catalog_name *n, struct store *to, bool *ret_copied, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	CLEANUP(json_freep) json_t *evidence = NULL;
	struct err why = ERR_INIT, ignored = ERR_INIT;
	buf_init(&text, CATALOG_EVIDENCE_MAX_BYTES);
	if (store_get_bytes(from, object, &text, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	/* A drill that met wrong bytes speaks of this store's archive alone. */
	bool good = json_parse((const char *)text.data, text.len, &evidence, &ignored) == 0;
	if (good && json_is_true(json_object_get(evidence, "this_copy_only")))
		return 0;
	/* Not by its name, which may be another here than there. */
	int64_t began_ms = n->result_ms;
	if (good &&
	    clock_parse_rfc3339(json_str_or(evidence, "started", ""), &began_ms, &ignored) < 0)
		began_ms = n->result_ms;
	return place(to, stack, n->id, began_ms, &text, ret_copied, err);
}

int copy_evidence(struct store *from, const char *stack, const char *id, struct store *to,
		  size_t *ret_count, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects ours = {0}, theirs = {0};
	CLEANUP(freep) char *prefix = NULL;
	size_t count = 0;
	if (str_printf(&prefix, err, "%s-%s", stack, id != NULL ? id : "") < 0 ||
	    store_list(from, prefix, &ours, err) < 0 || store_list(to, prefix, &theirs, err) < 0)
		return -1;
	for (size_t i = 0; i < ours.count; i++) {
		const struct store_object *o = &ours.items[i], *there = find(&theirs, o->name);
		struct catalog_name n;
		char sidecar[201];
		bool copied = false;
		if (!catalog_name_parse(stack, o->name, &n) || n.kind != CATALOG_NAME_EVIDENCE ||
		    (there != NULL && there->bytes == o->bytes))
			continue;
		if (catalog_sidecar_name(stack, n.id, sidecar, err) < 0)
			return -1;
		if (id == NULL && find(&theirs, sidecar) == NULL)
			continue;
		if (send(from, o->name, stack, &n, to, &copied, err) < 0)
			return -1;
		count += copied;
	}
	*ret_count = count;
	return 0;
}

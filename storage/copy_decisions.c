/* What people decided about backups, from the sidecars of one store to those of another. */
#include <stdlib.h>
#include <string.h>
#include "storage/copy.h"
#include "storage/decisions.h"
#include "storage/sidecar.h"

static const struct backup *find(const struct catalog *c, const char *id)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].id, id) == 0)
			return &c->items[i];
	return NULL;
}

/* The same archive, and a sidecar that can be read. */
static bool are_copies(const struct backup *a, const struct backup *b)
{
	return a->broken[0] == '\0' && b->broken[0] == '\0' && strcmp(a->sha256, b->sha256) == 0;
}

static int is_news(const struct backup *held, const struct backup *theirs, bool *ret,
		   struct err *err)
{
	CLEANUP(json_freep) json_t *copy = json_deep_copy(held->sidecar_json);
	if (copy == NULL)
		return err_nomem(err, "JSON");
	return decisions_merge(copy, theirs->sidecar_json, ret, err);
}

/* NULL: nothing that shows. */
static const char *change_of(bool was_pinned, bool was_suspicious, const struct sidecar *now)
{
	if (was_pinned != now->pinned)
		return now->pinned ? "pinned" : "not pinned";
	return was_suspicious && !now->suspicious ? "trusted" : NULL;
}

/* With the lock of `to` held: the sidecar as it is now. */
static int bring(struct store *to, struct store_lock *lock, const struct backup *theirs,
		 const char *name, const struct copy_told *told, struct err *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	CLEANUP(freep) char *text = NULL;
	struct sidecar side;
	struct err why = ERR_INIT;
	bool changed;
	if (sidecar_load(to, name, &json, &side, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	bool pinned = side.pinned, suspicious = side.suspicious;
	if (strcmp(side.sha256, theirs->sha256) != 0)
		return 0;
	if (decisions_merge(json, theirs->sidecar_json, &changed, err) < 0)
		return -1;
	if (!changed)
		return 0;
	if (sidecar_parse(json, &side, err) < 0 || json_text(json, true, &text, err) < 0 ||
	    store_lock_check(lock, err) < 0 ||
	    store_put_bytes(to, name, text, strlen(text), err) < 0)
		return -1;
	const char *change = change_of(pinned, suspicious, &side);
	if (change != NULL && told != NULL && told->decided != NULL)
		told->decided(told->ctx, theirs->id, change);
	return 0;
}

int copy_decisions(const struct catalog *from, struct store *to, const struct catalog *held,
		   const char *stack, const char *id, const struct copy_told *told, struct err *err)
{
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	for (size_t i = 0; i < from->count; i++) {
		const struct backup *theirs = &from->items[i], *ours = find(held, theirs->id);
		bool news;
		if (ours == NULL || (id != NULL && strcmp(theirs->id, id) != 0) ||
		    !are_copies(ours, theirs))
			continue;
		if (is_news(ours, theirs, &news, err) < 0)
			return -1;
		if (news && ((lock == NULL && store_lock(to, stack, &lock, err) < 0) ||
			     bring(to, lock, theirs, ours->sidecar, told, err) < 0))
			return err_wrap(err, "decisions about backup '%s'", theirs->id);
	}
	return 0;
}

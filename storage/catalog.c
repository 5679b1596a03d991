#include "storage/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "storage/store/catalog_name.h"
#include "storage/failures.h"
#include "storage/store/lease.h"
#include "storage/sidecar.h"
#include "storage/verdict.h"

const char *proof_name(enum proof p)
{
	static const char *const names[] = {[PROOF_NONE] = "none",
					    [PROOF_PASSED] = "passed",
					    [PROOF_FAILED] = "failed",
					    [PROOF_UNVERIFIED] = "could not verify"};
	return (unsigned)p < sizeof names / sizeof *names ? names[p] : "none";
}

bool proof_parse(const char *name, enum proof *ret)
{
	for (enum proof p = PROOF_PASSED; p <= PROOF_UNVERIFIED; p++) {
		if (strcmp(name, proof_name(p)) == 0) {
			*ret = p;
			return true;
		}
	}
	return false;
}

static void backup_done(struct backup *b)
{
	json_decref(b->sidecar_json);
	json_decref(b->evidence);
	json_decref(b->verdicts);
}

void catalog_done(struct catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		backup_done(&c->items[i]);
	free(c->items);
	*c = (struct catalog){0};
}

/* ---- loading ---- */

/* Failures that say something about one object, not about the store. */
static bool is_about_the_object(const struct err *err)
{
	return err->code == ERR_CORRUPT || err->code == ERR_LIMIT || err->code == ERR_IO ||
	       err->code == ERR_DENIED;
}

/* Reads and parses one JSON object. */
static int load_json(struct store *s, const char *name, size_t max_bytes, json_t **ret,
		     struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, max_bytes);
	if (store_get_bytes(s, name, &text, err) < 0)
		return -1;
	return json_parse(buf_text(&text), text.len, ret, err);
}

static void copy_text(char *out, size_t out_bytes, const char *text)
{
	size_t len = strnlen(text, out_bytes - 1);
	memcpy(out, text, len);
	out[len] = '\0';
}

static const struct store_object *find_object(const struct store_objects *objects, const char *name)
{
	size_t low = 0, high = objects->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, objects->items[middle].name);
		if (order == 0)
			return &objects->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Does the sidecar speak of this very backup, and is its archive there? */
static int check_sidecar(const struct sidecar *side, const char *stack, const char *id,
			 const struct store_objects *objects, struct err *err)
{
	if (strcmp(side->stack, stack) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another stack: '%.100s'",
			       side->stack);
	if (strcmp(side->id, id) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another backup: '%s'", side->id);
	struct catalog_name parts;
	if (!catalog_name_parse(stack, side->archive, &parts) ||
	    parts.kind != CATALOG_NAME_ARCHIVE || strcmp(parts.id, id) != 0)
		return err_set(err, ERR_CORRUPT, "it names another archive: '%.100s'",
			       side->archive);
	const struct store_object *archive = find_object(objects, side->archive);
	if (archive == NULL)
		return err_set(err, ERR_CORRUPT, "its archive '%s' is missing", side->archive);
	if (archive->bytes != side->bytes)
		return err_set(err, ERR_CORRUPT, "its archive has %llu bytes instead of %llu",
			       (unsigned long long)archive->bytes, (unsigned long long)side->bytes);
	return 0;
}

/* Reads the sidecar into `b`. */
static int read_sidecar(struct store *s, const char *stack, const struct store_objects *objects,
			struct backup *b, struct err *err)
{
	struct sidecar side;
	if (load_json(s, b->sidecar, SIDECAR_MAX_BYTES, &b->sidecar_json, err) < 0 ||
	    sidecar_parse(b->sidecar_json, &side, err) < 0 ||
	    check_sidecar(&side, stack, b->id, objects, err) < 0)
		return -1;
	copy_text(b->archive, sizeof b->archive, side.archive);
	copy_text(b->sha256, sizeof b->sha256, side.sha256);
	b->stored_bytes = side.bytes;
	b->pinned = side.pinned;
	b->suspicious = side.suspicious;
	b->partial = side.partial;
	return 0;
}

/* *ret_found is false when the sidecar went away since it was listed: no backup any more. */
static int load_backup(struct store *s, const char *stack, const struct catalog_name *name,
		       const struct store_objects *objects, struct backup *b, bool *ret_found,
		       struct err *err)
{
	*ret_found = true;
	copy_text(b->id, sizeof b->id, name->id);
	b->taken_ms = name->id_ms;
	b->evidence = json_array();
	b->verdicts = json_array();
	if (b->evidence == NULL || b->verdicts == NULL)
		return err_nomem(err, "JSON");
	struct err why = ERR_INIT;
	if (catalog_encrypted_name(stack, b->id, b->archive, err) < 0 ||
	    catalog_sidecar_name(stack, b->id, b->sidecar, err) < 0)
		return -1;
	if (find_object(objects, b->archive) == NULL &&
	    catalog_archive_name(stack, b->id, b->archive, err) < 0)
		return -1;
	if (read_sidecar(s, stack, objects, b, &why) == 0)
		return 0;
	if (why.code == ERR_ABSENT) {
		*ret_found = false;
		return 0;
	}
	if (!is_about_the_object(&why)) {
		*err = why;
		return err_wrap(err, "'%s'", b->sidecar);
	}
	copy_text(b->broken, sizeof b->broken, why.msg);
	return 0;
}

static int check_evidence(const json_t *j, const char *stack, const char *id, struct err *err)
{
	const char *format, *its_id, *its_stack, *outcome, *started, *finished;
	uint64_t version;
	int64_t ignored;
	enum proof ignored_outcome;
	if (json_get_str(j, "format", &format, err) < 0 ||
	    json_get_u64(j, "format_version", &version, err) < 0 ||
	    json_get_str(j, "id", &its_id, err) < 0 ||
	    json_get_str(j, "stack", &its_stack, err) < 0 ||
	    json_get_str(j, "outcome", &outcome, err) < 0 ||
	    json_get_str(j, "started", &started, err) < 0 ||
	    json_get_str(j, "finished", &finished, err) < 0)
		return -1;
	if (strcmp(format, "lifeboat-evidence") != 0 || version != 1)
		return err_set(err, ERR_CORRUPT, "not evidence of format_version 1");
	if (strcmp(its_id, id) != 0 || strcmp(its_stack, stack) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another backup: '%.40s' of '%.40s'",
			       its_id, its_stack);
	if (!proof_parse(outcome, &ignored_outcome))
		return err_set(err, ERR_CORRUPT, "'%.40s' is not an outcome", outcome);
	return clock_parse_rfc3339(started, &ignored, err) < 0
		   ? -1
		   : clock_parse_rfc3339(finished, &ignored, err);
}

/* What stands for evidence that can't be used: seen, but never a verdict. */
static int unusable_evidence(const char *stack, const char *id, const char *why, json_t **ret,
			     struct err *err)
{
	CLEANUP(json_freep) json_t *j = json_object();
	if (json_put(j, "format", json_string("lifeboat-evidence"), err) < 0 ||
	    json_put(j, "format_version", json_integer(1), err) < 0 ||
	    json_put(j, "id", json_string(id), err) < 0 ||
	    json_put(j, "stack", json_string(stack), err) < 0 ||
	    json_put(j, "outcome", json_string(proof_name(PROOF_UNVERIFIED)), err) < 0 ||
	    json_put(j, "broken", json_text_value(why), err) < 0)
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

/* One drill's evidence. */
static int load_evidence(struct store *s, const char *stack, const char *name, struct backup *b,
			 struct err *err)
{
	CLEANUP(json_freep) json_t *j = NULL;
	struct err why = ERR_INIT;
	if (load_json(s, name, CATALOG_EVIDENCE_MAX_BYTES, &j, &why) < 0 ||
	    check_evidence(j, stack, b->id, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		if (!is_about_the_object(&why)) {
			*err = why;
			return err_wrap(err, "'%s'", name);
		}
		json_decref(j);
		j = NULL;
		if (unusable_evidence(stack, b->id, why.msg, &j, err) < 0)
			return -1;
	}
	if (json_put(j, "object", json_string(name), err) < 0)
		return -1;
	return json_push(b->evidence, json_incref(j), err);
}

/* A failure stands until a drill that passed has answered it; else the newest says. */
void catalog_settle_proof(struct backup *b)
{
	size_t i;
	json_t *e;
	bool failed = false;
	json_array_foreach(b->evidence, i, e)
	{
		struct err ignored = ERR_INIT;
		enum proof outcome = PROOF_UNVERIFIED;
		int64_t when = 0;
		if (!proof_parse(json_str_or(e, "outcome", ""), &outcome) ||
		    outcome == PROOF_UNVERIFIED ||
		    clock_parse_rfc3339(json_str_or(e, "finished", ""), &when, &ignored) < 0) {
			if (b->proof == PROOF_NONE)
				b->proof = PROOF_UNVERIFIED;
			continue;
		}
		bool stands = outcome == PROOF_FAILED && !failures_answered(b->evidence, e, NULL);
		if (stands || (outcome == PROOF_PASSED && !failed)) {
			b->proof = outcome;
			b->proved_ms = when;
		}
		failed = failed || stands;
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct backup *x = a, *y = b;
	if (x->taken_ms != y->taken_ms)
		return x->taken_ms < y->taken_ms ? 1 : -1;
	return strcmp(y->id, x->id);
}

static int list_of(struct store *s, const char *stack, struct store_objects *ret, struct err *err)
{
	CLEANUP(freep) char *prefix = NULL;
	if (str_printf(&prefix, err, "%s-", stack) < 0)
		return -1;
	return store_list(s, prefix, ret, err);
}

/* Objects are sorted by name: what belongs to one backup stands together, evidence by time. */
static int load_objects(struct store *s, const char *stack, const struct store_objects *objects,
			struct catalog *c, struct err *err)
{
	struct catalog_name name;
	size_t sidecars = 0;
	for (size_t i = 0; i < objects->count; i++)
		sidecars += catalog_name_parse(stack, objects->items[i].name, &name) &&
			    name.kind == CATALOG_NAME_SIDECAR;
	c->items = mem_zalloc(sidecars * sizeof *c->items, "a catalog", err);
	if (c->items == NULL)
		return -1;
	for (size_t i = 0; i < objects->count; i++) {
		if (!catalog_name_parse(stack, objects->items[i].name, &name) ||
		    name.kind != CATALOG_NAME_SIDECAR)
			continue;
		struct backup *b = &c->items[c->count++];
		bool found;
		if (load_backup(s, stack, &name, objects, b, &found, err) < 0)
			return -1;
		if (!found) {
			backup_done(b);
			*b = (struct backup){.id = ""};
			c->count--;
		}
	}
	size_t b = 0;
	for (size_t i = 0; i < objects->count; i++) {
		if (!catalog_name_parse(stack, objects->items[i].name, &name) ||
		    (name.kind != CATALOG_NAME_EVIDENCE && name.kind != CATALOG_NAME_VERDICT))
			continue;
		while (b < c->count && strcmp(c->items[b].id, name.id) < 0)
			b++;
		if (b == c->count || strcmp(c->items[b].id, name.id) != 0)
			continue;
		if (name.kind == CATALOG_NAME_EVIDENCE
			? load_evidence(s, stack, objects->items[i].name, &c->items[b], err) < 0
			: verdict_load(s, stack, objects->items[i].name, &c->items[b], err) < 0)
			return -1;
	}
	for (b = 0; b < c->count; b++) {
		catalog_settle_proof(&c->items[b]);
		verdict_settle(&c->items[b]);
	}
	return 0;
}

int catalog_load(struct store *s, const char *stack, struct catalog *ret, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects objects = {0};
	CLEANUP(catalog_done) struct catalog c = {0};
	if (list_of(s, stack, &objects, err) < 0 || load_objects(s, stack, &objects, &c, err) < 0)
		return err_wrap(err, "catalog of '%s'", stack);
	if (c.count > 1)
		qsort(c.items, c.count, sizeof *c.items, newest_first);
	*ret = c;
	c = (struct catalog){0};
	return 0;
}

/* ---- finding ---- */

static int nothing_there(const struct catalog *c, struct err *err, const char *what)
{
	size_t broken = 0;
	const struct backup *newest = NULL;
	for (size_t i = 0; i < c->count; i++) {
		if (c->items[i].broken[0] != '\0')
			broken++;
		else if (newest == NULL)
			newest = &c->items[i];
	}
	if (c->count == 0) {
		err_set(err, ERR_ABSENT, "%s: there are no backups yet", what);
		return err_hint(err, "'lifeboat backup' takes one.");
	}
	err_set(err, ERR_ABSENT, "%s: there %s %zu (%zu broken)%s%s", what,
		c->count == 1 ? "is" : "are", c->count, broken,
		newest != NULL ? ", the newest is " : "", newest != NULL ? newest->id : "");
	return err_hint(err, "'lifeboat list' shows them all.");
}

static int ambiguous(const struct catalog *c, const char *prefix, size_t matches, struct err *err)
{
	enum { SHOWN = 6 };
	char shown[SHOWN * 34 + 32] = "";
	size_t used = 0, named = 0;
	for (size_t i = 0; i < c->count && named < SHOWN; i++) {
		if (c->items[i].broken[0] != '\0' ||
		    strncmp(c->items[i].id, prefix, strlen(prefix)) != 0)
			continue;
		used += (size_t)snprintf(shown + used, sizeof shown - used, "%s%s",
					 named > 0 ? ", " : "", c->items[i].id);
		named++;
	}
	if (matches > named)
		snprintf(shown + used, sizeof shown - used, " and %zu more", matches - named);
	return err_set(err, ERR_USAGE, "'%s' is the beginning of %zu backups: %s", prefix, matches,
		       shown);
}

enum proof backup_standing(const struct backup *b)
{
	return b->damaged || b->broken[0] != '\0' ? PROOF_FAILED : b->proof;
}

/* One component alone is not the backup that a bad day asks for. */
static bool is_whole(const struct backup *b)
{
	return b->broken[0] == '\0' && !b->partial;
}

bool backup_is_proven(const struct backup *b)
{
	return is_whole(b) && !b->suspicious && backup_standing(b) == PROOF_PASSED;
}

static int find_special(const struct catalog *c, bool proven, const struct backup **ret,
			struct err *err)
{
	const struct backup *doubted = NULL;
	for (size_t i = 0; i < c->count; i++) {
		const struct backup *b = &c->items[i];
		if (proven ? backup_is_proven(b) : is_whole(b)) {
			*ret = b;
			return 0;
		}
		if (doubted == NULL && is_whole(b) && backup_standing(b) == PROOF_PASSED)
			doubted = b;
	}
	nothing_there(c, err, proven ? "no proven backup" : "no backup that can be used");
	if (proven && doubted != NULL)
		err_hint(err,
			 "%s passed its drill, but is suspicious: name it to take it all the same, "
			 "or 'lifeboat trust' it.",
			 doubted->id);
	else if (proven && c->count > 0)
		err_hint(err, "'lifeboat drill' proves one.");
	return -1;
}

int catalog_find(const struct catalog *c, const char *which, const struct backup **ret,
		 struct err *err)
{
	if (strcmp(which, "latest") == 0 || strcmp(which, "proven") == 0)
		return find_special(c, which[0] == 'p', ret, err);
	const struct backup *found = NULL, *broken = NULL;
	size_t matches = 0, len = strlen(which);
	for (size_t i = 0; len > 0 && i < c->count; i++) {
		const struct backup *b = &c->items[i];
		if (strcmp(b->id, which) == 0) {
			*ret = b;
			return 0;
		}
		if (strncmp(b->id, which, len) != 0)
			continue;
		if (b->broken[0] != '\0') {
			broken = b;
			continue;
		}
		found = b;
		matches++;
	}
	if (matches > 1)
		return ambiguous(c, which, matches, err);
	if (found == NULL && broken != NULL)
		return err_set(err, ERR_CORRUPT, "backup '%s' can't be used: %s", broken->id,
			       broken->broken);
	if (found == NULL) {
		char what[100];
		snprintf(what, sizeof what, "no backup '%.60s'", which);
		return nothing_there(c, err, what);
	}
	*ret = found;
	return 0;
}

/* ---- ids and removal ---- */

int catalog_new_id(int64_t wall_ms, char out[32], struct err *err)
{
	uint16_t tail;
	char time[CLOCK_TEXT_BYTES], id[CLOCK_TEXT_BYTES + 8];
	if (getrandom(&tail, sizeof tail, 0) != (ssize_t)sizeof tail)
		return err_sys(err, ERR_FAILED, errno, "random bytes for an id");
	snprintf(id, sizeof id, "%s-%04x", clock_basic(wall_ms, time), tail);
	if (!catalog_id_is_valid(id))
		return err_set(err, ERR_FAILED, "the clock says '%s', which makes no id", time);
	memcpy(out, id, strlen(id) + 1);
	return 0;
}

int catalog_next_id(struct store *s, const char *stack, int64_t *ret_ms, char out[32],
		    struct err *err)
{
	for (;;) {
		CLEANUP(store_objects_done) struct store_objects same = {0};
		CLEANUP(freep) char *prefix = NULL;
		char time[CLOCK_TEXT_BYTES];
		int64_t now_ms = clock_wall_ms();
		if (str_printf(&prefix, err, "%s-%s", stack, clock_basic(now_ms, time)) < 0 ||
		    store_list(s, prefix, &same, err) < 0)
			return -1;
		if (same.count == 0) {
			*ret_ms = now_ms;
			return catalog_new_id(now_ms, out, err);
		}
		if (wait_ms(1000 - now_ms % 1000, err) < 0)
			return -1;
	}
}

int catalog_put_result(struct store *s,
		       int (*make_name)(const char *stack, const char *id, int64_t ms,
					char out[201], struct err *err),
		       const char *stack, const char *id, int64_t began_ms, const char *text,
		       char ret_name[201], struct err *err)
{
	for (;;) {
		struct err why = ERR_INIT;
		if (make_name(stack, id, began_ms, ret_name, err) < 0)
			return -1;
		if (store_create_bytes(s, ret_name, text, strlen(text), &why) == 0)
			return 0;
		if (why.code != ERR_EXISTS) {
			*err = why;
			return -1;
		}
		began_ms += 1000;
	}
}

static int remove_objects(struct store *s, const char *stack, const char *id,
			  enum catalog_name_kind kind, const struct store_objects *objects,
			  struct err *err)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct catalog_name name;
		if (catalog_name_parse(stack, objects->items[i].name, &name) && name.kind == kind &&
		    strcmp(name.id, id) == 0 && store_remove(s, objects->items[i].name, err) < 0)
			return -1;
	}
	return 0;
}

/* A store that refuses to remove the archive keeps the backup: its sidecar comes back. */
static void put_back(struct store *s, const char *sidecar, const struct backup *b)
{
	CLEANUP(freep) char *text = NULL;
	struct err ignored = ERR_INIT;
	if (b->sidecar_json == NULL || json_text(b->sidecar_json, true, &text, &ignored) < 0)
		return;
	cancel_hold();
	if (store_create_bytes(s, sidecar, text, strlen(text), &ignored) < 0)
		err_clear(&ignored); /* an orphan then, which prune tells */
	cancel_release();
}

/* Who begins to read it marks it and then looks whether its sidecar is there; this looks for marks
 * when the sidecar is gone. So one of the two sees the other. */
static int check_unused(struct store *s, const char *stack, const char *id, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(lease_marks_done) struct lease_marks marks = {0};
	if (str_printf(&name, err, "%s-%s", stack, id) < 0 ||
	    lease_find_marks(s, name, &marks, err) < 0)
		return -1;
	const char *reader = lease_marks_holder(&marks, name);
	return reader == NULL ? 0 : err_set(err, ERR_LOCKED, "being read by %s", reader);
}

int catalog_remove(struct store *s, const char *stack, const struct backup *b, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects objects = {0};
	char sidecar[STORE_NAME_MAX + 1];
	if (b->pinned)
		return err_set(err, ERR_FAILED, "backup '%s' is pinned: not removed", b->id);
	if (catalog_sidecar_name(stack, b->id, sidecar, err) < 0 ||
	    list_of(s, stack, &objects, err) < 0 || store_remove(s, sidecar, err) < 0)
		return err_wrap(err, "removal of '%s'", b->id);
	bool unused = check_unused(s, stack, b->id, err) == 0;
	if (!unused || remove_objects(s, stack, b->id, CATALOG_NAME_ARCHIVE, &objects, err) < 0) {
		if (!unused || err->code == ERR_LOCKED || err->code == ERR_DENIED)
			put_back(s, sidecar, b);
		return err_wrap(err, "removal of '%s'", b->id);
	}
	/* The backup is gone. What of its evidence is locked is an orphan now. */
	struct err why = ERR_INIT;
	if ((remove_objects(s, stack, b->id, CATALOG_NAME_EVIDENCE, &objects, &why) < 0 ||
	     remove_objects(s, stack, b->id, CATALOG_NAME_VERDICT, &objects, &why) < 0) &&
	    why.code != ERR_LOCKED) {
		*err = why;
		return err_wrap(err, "removal of '%s'", b->id);
	}
	return 0;
}

int catalog_orphans(struct store *s, const char *stack, struct store_objects *ret, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects objects = {0};
	CLEANUP(freep) struct store_object *orphans = NULL;
	size_t count = 0;
	if (list_of(s, stack, &objects, err) < 0)
		return -1;
	orphans = mem_zalloc(objects.count * sizeof *orphans, "a list of objects", err);
	if (orphans == NULL)
		return -1;
	for (size_t i = 0; i < objects.count; i++) {
		struct catalog_name name;
		char sidecar[STORE_NAME_MAX + 1];
		if (!catalog_name_parse(stack, objects.items[i].name, &name))
			continue;
		if (catalog_sidecar_name(stack, name.id, sidecar, err) < 0)
			return -1;
		if (find_object(&objects, sidecar) == NULL)
			orphans[count++] = objects.items[i];
	}
	*ret = (struct store_objects){.items = orphans, .count = count};
	orphans = NULL;
	return 0;
}

int catalog_check_manifest(const struct backup *b, const json_t *manifest, struct err *err)
{
	const char *stack = json_str_or(b->sidecar_json, "stack", "");
	const char *its_stack = json_str_or(manifest, "stack", "");
	const char *its_id = json_str_or(manifest, "id", "");
	if (strcmp(its_id, b->id) == 0 && strcmp(its_stack, stack) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "'%s' holds backup '%s' of stack '%s', not '%s' of '%s'",
		       b->archive, its_id, its_stack, b->id, stack);
}

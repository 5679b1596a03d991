/* s3://bucket[/prefix]: a bucket of Amazon S3 or of a server that speaks its protocol. An object is
 * the key "prefix/name"; keys of other forms are not ours and are left alone. Unfinished objects
 * are multipart uploads, which S3 hides. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "storage/store/catalog_name.h"
#include "storage/s3/s3.h"

/* Without a part for so long, nobody is at work on an upload any more. */
#define ABANDONED_MS INT64_C(86400000)

static int bucket_open(const struct store_opts *opts, void **ret_self, char **ret_where,
		       struct err *err)
{
	struct s3 *s;
	if (s3_open(opts, &s, ret_where, err) < 0)
		return -1;
	*ret_self = s;
	return 0;
}

static void bucket_free(void *self)
{
	s3_free(self);
}

static int bucket_put(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	return s3_put(self, name, fresh, ret, err);
}

static int bucket_get(void *self, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err)
{
	return s3_get(self, name, offset, len, ret, err);
}

static int bucket_stat(void *self, const char *name, struct store_object *ret, struct err *err)
{
	struct s3_head h;
	if (s3_head(self, name, NULL, false, &h, err) < 0)
		return -1;
	struct store_object o = {.bytes = h.bytes, .modified_ms = h.modified_ms};
	strncpy(o.name, name, sizeof o.name - 1);
	*ret = o;
	return 0;
}

static int bucket_list(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	return s3_list(self, prefix, ret, err);
}

/* ---- removing ---- */

/* Servers go on telling when a lock was that is over. S3 stands no clock that is further off. */
static bool is_over(const char *lock_until)
{
	const int64_t skew_ms = INT64_C(15) * 60 * 1000;
	int64_t until_ms;
	return lock_until[0] == '\0' ||
	       (s3_time(lock_until, &until_ms) && until_ms < clock_wall_ms() - skew_ms);
}

/* Refused because of a lock? Then until when. -1. Some (MinIO) call it a bad request. */
static int explain(struct s3 *s, const char *name, const char *version, struct err *err)
{
	struct s3_head h;
	struct err ignored = ERR_INIT;
	if (err->retryable || s3_head(s, name, version, false, &h, &ignored) < 0 ||
	    is_over(h.lock_until))
		return -1;
	err_set_message(err, ERR_LOCKED, "'%s' is locked (%s) until %s", name, h.lock_mode,
			h.lock_until);
	return err_hint(err, "It can be removed after that; until then the store keeps it.");
}

/* Absent is fine. */
static int remove_one(struct s3 *s, const char *name, const char *version, struct err *err)
{
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(freep) char *query = NULL;
	if (version != NULL && str_printf(&query, err, "versionId=%s", version) < 0)
		return -1;
	const struct s3_request q = {.method = "DELETE", .name = name, .query = query};
	if (s3_call(s, &q, &r, err) < 0)
		return -1;
	if (r.status / 100 == 2)
		return 0;
	s3_refused(s, &q, &r, err);
	if (err->code == ERR_ABSENT) {
		err_clear(err);
		return 0;
	}
	return explain(s, name, version, err);
}

/* What we locked is ours to remove when the lock is over: a mark of deletion alone would hide it
 * and keep it. The oldest first, so that no older one comes to light. */
int s3_remove(struct s3 *s, const char *name, struct err *err)
{
	if (s->lock_mode == NULL)
		return remove_one(s, name, NULL, err);
	bool more = true;
	/* A server that says "done" and does nothing must not keep us for ever. */
	for (unsigned page = 0; more && page < 1000; page++) {
		CLEANUP(strlist_done) struct strlist versions = {0};
		if (s3_list_versions(s, name, &versions, err) < 0)
			return -1;
		for (size_t i = versions.count; i > 0; i--)
			if (remove_one(s, name, versions.items[i - 1], err) < 0)
				return -1;
		more = versions.count >= S3_VERSIONS_MAX;
	}
	return 0;
}

static int bucket_remove(void *self, const char *name, struct err *err)
{
	return s3_remove(self, name, err);
}

/* ---- sweeping ---- */

static int abort_upload(struct s3 *s, const struct s3_unfinished *u, struct err *err)
{
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(freep) char *query = NULL;
	if (str_printf(&query, err, "uploadId=%s", u->id) < 0)
		return -1;
	const struct s3_request q = {.method = "DELETE", .name = u->name, .query = query};
	if (s3_call(s, &q, &r, err) < 0)
		return -1;
	/* Somebody else was faster. */
	if (r.status / 100 == 2 || r.status == 404)
		return 0;
	return s3_refused(s, &q, &r, err);
}

/* By the store's clock all: ours may be wrong. A large archive over a thin line takes more than a
 * day, so the age of the upload alone says nothing. */
static int is_abandoned(struct s3 *s, const struct s3_unfinished *u, int64_t now_ms, bool *ret,
			struct err *err)
{
	int64_t last_ms;
	struct err why = ERR_INIT;
	*ret = fault_skips("s3-sweep-age");
	if (*ret || now_ms - u->begun_ms < ABANDONED_MS)
		return 0;
	if (s3_last_part(s, u, &last_ms, &why) == 0) {
		*ret = last_ms < now_ms && now_ms - last_ms >= ABANDONED_MS;
		return 0;
	}
	if (why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return -1;
}

static int bucket_sweep(void *self, const char *stack, bool dry_run, struct strlist *ret,
			struct err *err)
{
	CLEANUP(s3_unfinished_done) struct s3_unfinished_list found = {0};
	if (s3_list_unfinished(self, stack, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.count; i++) {
		const struct s3_unfinished *u = &found.items[i];
		bool abandoned;
		if (!catalog_name_belongs(stack, u->name))
			continue;
		if (is_abandoned(self, u, found.now_ms, &abandoned, err) < 0)
			return -1;
		if (!abandoned)
			continue;
		if (!dry_run && abort_upload(self, u, err) < 0)
			return -1;
		if (ret != NULL && strlist_push(ret, u->name, err) < 0)
			return -1;
	}
	return 0;
}

static int bucket_free_bytes(void *self, uint64_t *ret, struct err *err)
{
	(void)self, (void)err;
	*ret = UINT64_MAX;
	return 0;
}

/* ---- caveats ---- */

#define PROBE "lifeboat-probe"

/* Writes a small object that must not be there yet. */
static int try_probe(struct s3 *s, struct http_response *r, struct err *err)
{
	static const char *const headers[] = {"If-None-Match: *", NULL};
	const struct s3_request q = {
	    .method = "PUT", .name = PROBE, .headers = headers, .body = "probe\n", .body_bytes = 6};
	if (s3_call(s, &q, r, err) < 0)
		return -1;
	return r->status / 100 == 2 || r->status == 412 || r->status == 501
		   ? 0
		   : s3_refused(s, &q, r, err);
}

/* Is the condition minded? Of two puts the second must be refused; or the first, if somebody's
 * probe is still there. */
static int probe(struct s3 *s, bool *ret_versioned, struct err *err)
{
	CLEANUP(http_response_done) struct http_response first = {0};
	CLEANUP(http_response_done) struct http_response second = {0};
	*ret_versioned = false;
	if (try_probe(s, &first, err) < 0)
		return -1;
	long status = first.status;
	const char *version = http_header(&first, "x-amz-version-id");
	*ret_versioned = version != NULL && strcmp(version, "null") != 0;
	if (status / 100 == 2) {
		if (try_probe(s, &second, err) < 0)
			return -1;
		status = second.status;
	}
	atomic_store(&s->conditional, status == 412 ? S3_CONDITIONAL_YES : S3_CONDITIONAL_NO);
	return status == 501 ? 0 : s3_remove(s, PROBE, err);
}

static int check_lock(struct s3 *s, struct strlist *ret, struct err *err)
{
	CLEANUP(http_response_done) struct http_response r = {0};
	const struct s3_request q = {.method = "GET", .query = "object-lock="};
	if (s->lock_mode == NULL)
		return 0;
	if (s3_call(s, &q, &r, err) < 0)
		return -1;
	if (r.status == 404 || r.status == 501)
		return strlist_pushf(ret, err,
				     "object_lock is set, and bucket '%s' was made without it: "
				     "uploads will be refused",
				     s->bucket);
	return 0;
}

static int bucket_caveats(void *self, struct strlist *ret, struct err *err)
{
	struct s3 *s = self;
	bool versioned;
	if (probe(s, &versioned, err) < 0 || check_lock(s, ret, err) < 0)
		return -1;
	if (atomic_load(&s->conditional) == S3_CONDITIONAL_NO &&
	    strlist_push(ret,
			 "this server has no conditional put: two agents that write the same "
			 "object at the same moment can overwrite each other",
			 err) < 0)
		return -1;
	if (versioned && s->lock_mode == NULL &&
	    strlist_pushf(ret, err,
			  "bucket '%s' keeps old versions: what is removed takes room until a "
			  "lifecycle rule of the bucket expires it",
			  s->bucket) < 0)
		return -1;
	if (s->is_plain && strlist_push(ret,
					"the endpoint is http://: what is sent can be read on "
					"its way",
					err) < 0)
		return -1;
	return 0;
}

const struct store_ops store_s3_ops = {
    .scheme = "s3",
    .remote = true,
    .puts_again = true,
    .open = bucket_open,
    .free = bucket_free,
    .put = bucket_put,
    .get = bucket_get,
    .stat = bucket_stat,
    .list = bucket_list,
    .remove = bucket_remove,
    .sweep = bucket_sweep,
    .free_bytes = bucket_free_bytes,
    .caveats = bucket_caveats,
};

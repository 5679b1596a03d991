/* davs://host[:port]/folder, dav://…: a folder of a WebDAV server. An unfinished object is
 * "<name>.<8 hex digits>.part"; when it is closed, its size is looked at and it is moved: store_put
 * with "Overwrite: T", store_create with "Overwrite: F" (RFC 4918, 9.9). A server looks and renames
 * then, so of two agents that create one name at the same moment both may succeed. */
#include <stdlib.h>
#include <string.h>
#include "base/retry.h"
#include "storage/store/store_part.h"
#include "storage/webdav/webdav.h"

static int open_webdav(const struct store_opts *opts, bool tls, void **ret_self, char **ret_where,
		       struct err *err)
{
	CLEANUP(webdav_freep) struct webdav *d = NULL;
	if (webdav_open(opts, tls, &d, err) < 0)
		return -1;
	if (str_printf(ret_where, err, "%s://%s:%u%s", tls ? "davs" : "dav", d->at.host,
		       (unsigned)d->at.port, d->at.path) < 0)
		return -1;
	*ret_self = d;
	d = NULL;
	return 0;
}

static int open_plain(const struct store_opts *opts, void **ret_self, char **ret_where,
		      struct err *err)
{
	return open_webdav(opts, false, ret_self, ret_where, err);
}

static int open_tls(const struct store_opts *opts, void **ret_self, char **ret_where,
		    struct err *err)
{
	return open_webdav(opts, true, ret_self, ret_where, err);
}

static void free_webdav(void *self)
{
	webdav_free(self);
}

/* ---- looking ---- */

static struct store_object object_of(const struct webdav_entry *e)
{
	struct store_object o = {.bytes = e->bytes, .modified_ms = e->modified_ms};
	strncpy(o.name, e->name, sizeof o.name - 1);
	return o;
}

static int check_size(const struct webdav_entry *e, struct err *err)
{
	return e->has_bytes ? 0
			    : err_set(err, ERR_CORRUPT,
				      "'%s': the server does not say how long it "
				      "is",
				      e->name);
}

/* ERR_ABSENT also where it is a folder. */
static int stat_object(void *self, const char *name, struct store_object *ret, struct err *err)
{
	CLEANUP(webdav_entries_done) struct webdav_entries e = {0};
	if (webdav_look(self, name, 0, &e, err) < 0)
		return -1;
	if (e.items[0].is_folder)
		return err_set(err, ERR_ABSENT, "'%s' is not a file", name);
	if (check_size(&e.items[0], err) < 0)
		return -1;
	struct store_object o = object_of(&e.items[0]);
	strncpy(o.name, name, sizeof o.name - 1);
	*ret = o;
	return 0;
}

/* A folder that is not there yet is empty. */
static int look_in(struct webdav *d, struct webdav_entries *ret, struct err *err)
{
	if (webdav_look(d, "", 1, ret, err) == 0)
		return 0;
	if (err->code != ERR_ABSENT)
		return -1;
	err_clear(err);
	return 0;
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int list_objects(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	CLEANUP(webdav_entries_done) struct webdav_entries e = {0};
	CLEANUP(store_objects_done) struct store_objects found = {0};
	if (look_in(self, &e, err) < 0)
		return -1;
	found.items = mem_zalloc((e.count + 1) * sizeof *found.items, "a list of objects", err);
	if (found.items == NULL)
		return -1;
	for (size_t i = 0; i < e.count; i++) {
		const struct webdav_entry *at = &e.items[i];
		if (at->is_folder || !store_name_is_valid(at->name) ||
		    !begins_with(at->name, prefix))
			continue;
		if (check_size(at, err) < 0)
			return -1;
		found.items[found.count++] = object_of(at);
	}
	*ret = found;
	found = (struct store_objects){0};
	return 0;
}

/* ---- writing ---- */

struct upload {
	struct webdav *d;
	struct sink *body;
	char *name, *part;
	bool fresh;
	bool sent; /* all of it is there, as `part` */
	uint64_t bytes;
};

static int judge_put(void *ctx, const struct http_response *answer, struct err *err)
{
	const struct upload *u = ctx;
	if (answer->status / 100 == 2)
		return 0;
	return webdav_refused(u->d, answer, err, "can't write '%s'", u->part);
}

static int upload_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct upload *u = self;
	u->bytes += len;
	return sink_write(u->body, data, len, err);
}

/* Servers have said "created" of what their disk did not hold. */
static int check_part(struct upload *u, struct err *err)
{
	struct store_object o;
	struct retry again = {.retries = u->d->retries};
	while (stat_object(u->d, u->part, &o, err) < 0)
		if (!retry_again(&again, err))
			return -1;
	if (o.bytes != u->bytes)
		return err_set(err, ERR_CORRUPT,
			       "'%s' has %llu bytes on the server, of %llu that "
			       "were sent",
			       u->part, (unsigned long long)o.bytes, (unsigned long long)u->bytes);
	return 0;
}

static int move_part(struct upload *u, struct err *err)
{
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(freep) char *to = NULL;
	/* With scheme and host: Apache wants them, and all want those that they know themselves by.
	 */
	if (str_printf(&to, err, "Destination: %s%s/%s", u->d->base, u->d->path, u->name) < 0)
		return -1;
	const char *const headers[] = {to, u->fresh ? "Overwrite: F" : "Overwrite: T", NULL};
	if (webdav_call(u->d, "MOVE", u->part, headers, NULL, &answer, err) < 0)
		return -1;
	if (answer.status == 201 || answer.status == 204)
		return 0;
	return webdav_refused(u->d, &answer, err, "can't name it '%s'", u->name);
}

/* Nobody else knows the name of the part. */
static bool has_moved(const struct upload *u)
{
	struct store_object o;
	struct err gone = ERR_INIT, ignored = ERR_INIT;
	return stat_object(u->d, u->part, &o, &gone) < 0 && gone.code == ERR_ABSENT &&
	       stat_object(u->d, u->name, &o, &ignored) == 0 && o.bytes == u->bytes;
}

/* A server that is away for a moment does not cost the hours before. Its answer may have been lost
 * and not the request. */
static int name_it(struct upload *u, struct err *err)
{
	struct retry again = {.retries = u->d->retries};
	while (move_part(u, err) < 0) {
		if ((err->retryable || again.failed > 0) && has_moved(u)) {
			err_clear(err);
			return 0;
		}
		if (!retry_again(&again, err))
			return -1;
	}
	return 0;
}

static int upload_close(void *self, struct err *err)
{
	struct upload *u = self;
	if (sink_close(u->body, err) < 0)
		return -1;
	u->sent = true;
	if (check_part(u, err) < 0 || name_it(u, err) < 0)
		return -1;
	u->sent = false;
	return 0;
}

static void upload_free(void *self)
{
	struct upload *u = self;
	CLEANUP(http_response_done) struct http_response answer = {0};
	struct err ignored = ERR_INIT;
	/* One that is broken off is removed by the server, or by a sweep. */
	sink_free(u->body);
	if (u->sent) {
		cancel_hold();
		if (webdav_call(u->d, "DELETE", u->part, NULL, NULL, &answer, &ignored) < 0)
			err_clear(&ignored);
		cancel_release();
	}
	free(u->name);
	free(u->part);
	free(u);
}

static void upload_freep(struct upload **u)
{
	if (*u != NULL)
		upload_free(*u);
}

static const struct sink_ops upload_ops = {
    .write = upload_write, .close = upload_close, .free = upload_free};

static int check_fresh(struct webdav *d, const char *name, struct err *err)
{
	struct store_object o;
	if (stat_object(d, name, &o, err) == 0)
		return err_set(err, ERR_EXISTS, "'%s' is there already", name);
	if (err->code != ERR_ABSENT)
		return -1;
	err_clear(err);
	return 0;
}

static int put_object(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	CLEANUP(upload_freep) struct upload *u = mem_zalloc(sizeof *u, "an upload", err);
	CLEANUP(freep) char *url = NULL;
	struct webdav *d = self;
	if (u == NULL)
		return -1;
	u->d = d;
	u->fresh = fresh;
	if (webdav_make_folder(d, err) < 0 || (fresh && check_fresh(d, name, err) < 0) ||
	    str_dup(name, &u->name, err) < 0 || store_part_make(name, &u->part, err) < 0 ||
	    webdav_url(d, u->part, &url, err) < 0)
		return -1;
	const struct http_request q = {.method = "PUT",
				       .url = url,
				       .idle_ms = d->idle_ms,
				       .answer_ms = d->idle_ms * STORE_STORING};
	if (http_sink(d->http, &q, UINT64_MAX, judge_put, u, &u->body, err) < 0)
		return -1;
	struct upload *taken = u;
	u = NULL;
	return sink_new(&upload_ops, taken, ret, err);
}

/* ---- reading ---- */

/* A body of which the length is known from elsewhere. */
struct download {
	struct source *body;
	char *name;
	uint64_t left, promised;
};

static int download_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct download *l = self;
	size_t n;
	if (source_read(l->body, buf, cap, &n, err) < 0)
		return -1;
	if (n > l->left || (n == 0 && l->left > 0))
		return err_set(err, ERR_CORRUPT, "'%s' ended %s %llu bytes", l->name,
			       n > 0 ? "only behind" : "before", (unsigned long long)l->promised);
	l->left -= n;
	*ret_n = n;
	return 0;
}

static void download_free(void *self)
{
	struct download *l = self;
	source_free(l->body);
	free(l->name);
	free(l);
}

static const struct source_ops download_ops = {.read = download_read, .free = download_free};

static int hold_to(struct source *body, const char *name, uint64_t bytes, struct source **ret,
		   struct err *err)
{
	struct download *l = mem_zalloc(sizeof *l, "a download", err);
	if (l == NULL) {
		source_free(body);
		return -1;
	}
	*l = (struct download){.body = body, .left = bytes, .promised = bytes};
	if (str_dup(name, &l->name, err) < 0) {
		download_free(l);
		return -1;
	}
	return source_new(&download_ops, l, ret, err);
}

static int too_short(const char *name, uint64_t has, uint64_t offset, uint64_t len, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "'%s' has %llu bytes: too few to read %llu at offset %llu",
		       name, (unsigned long long)has,
		       (unsigned long long)(len != UINT64_MAX ? len : 0),
		       (unsigned long long)offset);
}

/* "bytes 5-9/10": were these asked for? *ret_len: how many there are. */
static bool is_range(const char *text, uint64_t offset, uint64_t len, uint64_t *ret_len)
{
	char *end = NULL;
	if (text == NULL || strncmp(text, "bytes ", 6) != 0)
		return false;
	uint64_t first = strtoull(text + 6, &end, 10);
	if (*end != '-' || first != offset)
		return false;
	uint64_t last = strtoull(end + 1, &end, 10);
	if (*end != '/' || last < first)
		return false;
	uint64_t all = strtoull(end + 1, &end, 10);
	*ret_len = last - first + 1;
	return len != UINT64_MAX ? *ret_len == len : last + 1 == all;
}

/* Nothing to fetch, or nothing there: the object itself says which. */
static int get_nothing(struct webdav *d, const char *name, uint64_t offset, uint64_t len,
		       struct source **ret, struct err *err)
{
	struct store_object o;
	if (stat_object(d, name, &o, err) < 0)
		return -1;
	if (offset > o.bytes || (len != UINT64_MAX && len > o.bytes - offset))
		return too_short(name, o.bytes, offset, len, err);
	if (len != 0 && offset < o.bytes)
		return err_set(err, ERR_FAILED, "'%s': the server does not give ranges of it",
			       name);
	return source_memory("", 0, ret, err);
}

static int answer_range(struct webdav *d, const char *name, uint64_t offset, uint64_t len,
			const struct http_response *answer, struct source *body,
			struct source **ret, struct err *err)
{
	uint64_t bytes = 0;
	if (answer->status == 206 &&
	    is_range(http_header(answer, "Content-Range"), offset, len, &bytes))
		return hold_to(body, name, bytes, ret, err);
	source_free(body);
	/* Of an empty object there is no range, and it comes whole. */
	if (answer->status == 200 || answer->status == 206 || answer->status == 416)
		return get_nothing(d, name, offset, len, ret, err);
	if (answer->status == 404)
		return err_set(err, ERR_ABSENT, "there is no '%s' in '%s'", name, d->at.path);
	return webdav_refused(d, answer, err, "can't read '%s'", name);
}

static int get_object(void *self, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err)
{
	struct webdav *d = self;
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(freep) char *url = NULL;
	CLEANUP(freep) char *range = NULL;
	struct source *body = NULL;
	bool whole = offset == 0 && len == UINT64_MAX;
	if (len == 0)
		return get_nothing(d, name, offset, len, ret, err);
	if (len != UINT64_MAX && len > UINT64_MAX - offset)
		return too_short(name, 0, offset, len, err);
	if (webdav_url(d, name, &url, err) < 0)
		return -1;
	if (len != UINT64_MAX) {
		if (str_printf(&range, err, "Range: bytes=%llu-%llu", (unsigned long long)offset,
			       (unsigned long long)(offset + len - 1)) < 0)
			return -1;
	} else if (str_printf(&range, err, "Range: bytes=%llu-", (unsigned long long)offset) < 0) {
		return -1;
	}
	const char *const headers[] = {whole ? NULL : range, NULL};
	const struct http_request q = {
	    .method = "GET", .url = url, .headers = headers, .idle_ms = d->idle_ms};
	if (http_source(d->http, &q, &answer, &body, err) < 0)
		return webdav_failed(d, err);
	if (whole && answer.status == 200) {
		*ret = body;
		return 0;
	}
	return answer_range(d, name, offset, len, &answer, body, ret, err);
}

/* ---- removing, sweeping ---- */

static int remove_file(struct webdav *d, const char *name, struct err *err)
{
	CLEANUP(http_response_done) struct http_response answer = {0};
	if (webdav_call(d, "DELETE", name, NULL, NULL, &answer, err) < 0)
		return -1;
	if (answer.status / 100 == 2 || answer.status == 404)
		return 0;
	return webdav_refused(d, &answer, err, "can't remove '%s'", name);
}

/* Of a folder DELETE takes all that is in it. */
static int remove_object(void *self, const char *name, struct err *err)
{
	CLEANUP(webdav_entries_done) struct webdav_entries e = {0};
	if (webdav_look(self, name, 0, &e, err) < 0) {
		if (err->code != ERR_ABSENT)
			return -1;
		err_clear(err);
		return 0;
	}
	if (e.items[0].is_folder)
		return err_set(err, ERR_FAILED, "can't remove '%s': it is a folder", name);
	return remove_file(self, name, err);
}

static int sweep_parts(void *self, const char *stack, bool dry_run, struct strlist *ret,
		       struct err *err)
{
	CLEANUP(webdav_entries_done) struct webdav_entries e = {0};
	if (look_in(self, &e, err) < 0)
		return -1;
	for (size_t i = 0; i < e.count; i++) {
		const struct webdav_entry *at = &e.items[i];
		/* Of an age that is not known nothing is said. */
		if (at->is_folder || !store_part_is(at->name, stack) || at->modified_ms == 0 ||
		    e.now_ms - at->modified_ms < STORE_PART_AGE_MS)
			continue;
		if (!dry_run && remove_file(self, at->name, err) < 0)
			return -1;
		if (ret != NULL && strlist_push(ret, at->name, err) < 0)
			return -1;
	}
	return 0;
}

static int ask_room(void *self, uint64_t *ret, struct err *err)
{
	CLEANUP(webdav_entries_done) struct webdav_entries e = {.room = UINT64_MAX};
	if (webdav_look(self, "", 0, &e, err) < 0) {
		if (err->code != ERR_ABSENT)
			return -1;
		err_clear(err);
	}
	*ret = e.room;
	return 0;
}

static int list_caveats(void *self, struct strlist *ret, struct err *err)
{
	const struct webdav *d = self;
	if (d->plain &&
	    strlist_pushf(ret, err,
			  "what goes to '%s' is not encrypted on its way, and can be read and "
			  "changed there; davs:// is",
			  d->at.host) < 0)
		return -1;
	return strlist_push(ret,
			    "of two agents that create the same object at the same moment both may "
			    "succeed: WebDAV has no way to say that only one may",
			    err);
}

#define WEBDAV_OPS                                                                                 \
	.remote = true, .free = free_webdav, .put = put_object, .get = get_object,                 \
	.stat = stat_object, .list = list_objects, .remove = remove_object, .sweep = sweep_parts,  \
	.free_bytes = ask_room, .caveats = list_caveats
const struct store_ops store_dav_ops = {.scheme = "dav", .open = open_plain, WEBDAV_OPS};
const struct store_ops store_davs_ops = {.scheme = "davs", .open = open_tls, WEBDAV_OPS};

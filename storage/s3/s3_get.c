#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "storage/s3/s3.h"

/* ---- looking at one ---- */

static void take_text(const struct http_response *r, const char *name, char *to, size_t cap)
{
	const char *value = http_header(r, name);
	size_t len = value != NULL ? strlen(value) : 0;
	if (len >= cap)
		len = 0;
	memcpy(to, value != NULL ? value : "", len);
	to[len] = '\0';
}

static bool parse_u64(const char *text, uint64_t *ret)
{
	char *end;
	if (text == NULL || *text < '0' || *text > '9')
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

static int read_head(const char *name, const struct http_response *r, struct s3_head *ret,
		     struct err *err)
{
	struct s3_head h = {0};
	const char *modified = http_header(r, "Last-Modified");
	if (!parse_u64(http_header(r, "Content-Length"), &h.bytes))
		return err_set(err, ERR_CORRUPT, "HEAD of '%s': the store does not say its length",
			       name);
	if (modified == NULL || !s3_time(modified, &h.modified_ms))
		return err_set(err, ERR_CORRUPT, "HEAD of '%s': the store does not say its time",
			       name);
	take_text(r, "ETag", h.etag, sizeof h.etag);
	take_text(r, "x-amz-meta-lifeboat", h.token, sizeof h.token);
	take_text(r, "x-amz-object-lock-mode", h.lock_mode, sizeof h.lock_mode);
	take_text(r, "x-amz-object-lock-retain-until-date", h.lock_until, sizeof h.lock_until);
	*ret = h;
	return 0;
}

int s3_head(struct s3 *s, const char *name, const char *version, bool insist, struct s3_head *ret,
	    struct err *err)
{
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(freep) char *query = NULL;
	if (version != NULL && str_printf(&query, err, "versionId=%s", version) < 0)
		return -1;
	const struct s3_request q = {.method = "HEAD", .name = name, .query = query};
	if ((insist ? s3_insist : s3_call)(s, &q, &r, err) < 0)
		return -1;
	if (r.status == 404)
		return err_set(err, ERR_ABSENT, "there is no '%s' in bucket '%s'", name, s->bucket);
	if (r.status / 100 != 2)
		return s3_refused(s, &q, &r, err);
	return read_head(name, &r, ret, err);
}

/* ---- reading ---- */

struct wanted {
	const char *name;
	uint64_t at, end; /* end UINT64_MAX: to the last byte */
};

static int refuse_range(const struct wanted *w, uint64_t bytes, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "'%s' has %llu bytes: too few to read %llu at offset %llu",
		       w->name, (unsigned long long)bytes,
		       (unsigned long long)(w->end != UINT64_MAX ? w->end - w->at : 0),
		       (unsigned long long)w->at);
}

/* Is it what was asked for? "bytes 5-9/20": HTTP vouches for so many bytes, so these will come. */
static int check_range(const struct wanted *w, const struct http_response *r, struct err *err)
{
	const char *range = http_header(r, "Content-Range");
	unsigned long long first = 0, last = 0, all = 0;
	char rest;
	if (r->status == 200 && w->at == 0 && w->end == UINT64_MAX)
		return 0;
	if (r->status != 206 || range == NULL || strncmp(range, "bytes ", 6) != 0 ||
	    sscanf(range + 6, "%20llu-%20llu/%20llu%c", &first, &last, &all, &rest) != 3 ||
	    first != w->at || last < first || last >= all)
		return err_set(err, ERR_CORRUPT,
			       "'%s': the store was asked for bytes from %llu on, and answered "
			       "%ld with '%.60s'",
			       w->name, (unsigned long long)w->at, r->status,
			       range != NULL ? range : "");
	if (last + 1 != (w->end != UINT64_MAX ? w->end : all))
		return refuse_range(w, all, err);
	uint64_t length;
	if (parse_u64(http_header(r, "Content-Length"), &length) && length != last + 1 - first)
		return err_set(err, ERR_CORRUPT, "'%s': the store's range and length differ",
			       w->name);
	return 0;
}

/* Nothing is wanted, or what was wanted begins at the end or behind it: S3 has no range for that.
 */
static int get_nothing(struct s3 *s, const struct wanted *w, struct source **ret, struct err *err)
{
	struct s3_head h;
	if (s3_head(s, w->name, NULL, false, &h, err) < 0)
		return -1;
	if (w->at > h.bytes || (w->end != UINT64_MAX && w->end > h.bytes) ||
	    (w->end == UINT64_MAX && w->at < h.bytes))
		return refuse_range(w, h.bytes, err);
	return source_memory("", 0, ret, err);
}

static int put_range(const struct wanted *w, struct strlist *to, struct err *err)
{
	if (w->end != UINT64_MAX)
		return strlist_pushf(to, err, "Range: bytes=%llu-%llu", (unsigned long long)w->at,
				     (unsigned long long)w->end - 1);
	return w->at > 0 ? strlist_pushf(to, err, "Range: bytes=%llu-", (unsigned long long)w->at)
			 : 0;
}

int s3_get(struct s3 *s, const char *name, uint64_t offset, uint64_t len, struct source **ret,
	   struct err *err)
{
	CLEANUP(s3_prepared_done) struct s3_prepared p = {0};
	CLEANUP(strlist_done) struct strlist headers = {0};
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(source_freep) struct source *from = NULL;
	struct wanted w = {.name = name, .at = offset, .end = UINT64_MAX};
	if (len != UINT64_MAX)
		w.end = offset > UINT64_MAX - 1 - len ? UINT64_MAX - 1 : offset + len;
	if (len == 0)
		return get_nothing(s, &w, ret, err);
	if (put_range(&w, &headers, err) < 0)
		return -1;
	const struct s3_request q = {
	    .method = "GET", .name = name, .headers = (const char *const *)headers.items};
	if (s3_prepare(s, &q, &p, err) < 0)
		return -1;
	if (http_source(s->http, &p.http, &r, &from, err) < 0)
		return s3_unreached(s, err);
	if (from == NULL && r.status == 416)
		return get_nothing(s, &w, ret, err);
	if (from == NULL)
		return s3_refused(s, &q, &r, err);
	if (check_range(&w, &r, err) < 0)
		return -1;
	*ret = from;
	from = NULL;
	return 0;
}

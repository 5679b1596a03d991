#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/digest.h"
#include "storage/s3/s3_part.h"
#include "storage/s3/s3_upload.h"

#define DAY_MS INT64_C(86400000)

/* ---- headers ---- */

static bool ends_with(const char *name, const char *ending)
{
	size_t len = strlen(name), end = strlen(ending);
	return len >= end && strcmp(name + len - end, ending) == 0;
}

static bool is_archive(const char *name)
{
	return ends_with(name, ".tar.zst") || ends_with(name, ".tar.zst.age");
}

/* They and what vouches for them; leases, marks and verdicts of a verify come and go. */
static bool is_locked(const struct s3 *s, const char *name)
{
	return s->lock_mode != NULL &&
	       (is_archive(name) || (ends_with(name, ".json") && strstr(name, ".verify-") == NULL));
}

static char *locked_until(const struct s3 *s, char out[CLOCK_TEXT_BYTES])
{
	return clock_rfc3339(clock_wall_ms() + (int64_t)s->lock_days * DAY_MS, out);
}

int s3_put_lock(struct s3 *s, const char *name, const struct s3_head *now, struct err *err)
{
	CLEANUP(strlist_done) struct strlist headers = {0};
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(freep) char *body = NULL;
	char until[CLOCK_TEXT_BYTES];
	if (!is_locked(s, name) || now->lock_mode[0] != '\0')
		return 0;
	if (str_printf(
		&body, err,
		"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
		"<RetainUntilDate>%s</RetainUntilDate></Retention>",
		s->lock_mode, locked_until(s, until)) < 0 ||
	    s3_put_md5(body, strlen(body), &headers, err) < 0)
		return -1;
	const struct s3_request q = {
	    .method = "PUT",
	    .name = name,
	    .query = "retention=",
	    .headers = (const char *const *)headers.items,
	    .body = body,
	    .body_bytes = strlen(body),
	};
	if (s3_insist(s, &q, &r, err) < 0)
		return err_wrap(err, "object lock");
	if (r.status / 100 == 2)
		return 0;
	s3_refused(s, &q, &r, err);
	return err_wrap(err, "object lock");
}

/* Archives alone have the storage class: what is small and read often must not lie in a slow one.
 */
int s3_put_headers(const struct s3 *s, const char *name, const char *token, struct strlist *ret,
		   struct err *err)
{
	char until[CLOCK_TEXT_BYTES];
	if (strlist_pushf(ret, err, "x-amz-meta-lifeboat: %s", token) < 0 ||
	    (s->storage_class != NULL && is_archive(name) &&
	     strlist_pushf(ret, err, "x-amz-storage-class: %s", s->storage_class) < 0) ||
	    (s->encryption != NULL &&
	     strlist_pushf(ret, err, "x-amz-server-side-encryption: %s", s->encryption) < 0) ||
	    (s->encryption != NULL && s->kms_key != NULL &&
	     strlist_pushf(ret, err, "x-amz-server-side-encryption-aws-kms-key-id: %s",
			   s->kms_key) < 0))
		return -1;
	if (!is_locked(s, name))
		return 0;
	locked_until(s, until);
	return strlist_pushf(ret, err, "x-amz-object-lock-mode: %s", s->lock_mode) < 0 ||
		       strlist_pushf(ret, err, "x-amz-object-lock-retain-until-date: %s", until) < 0
		   ? -1
		   : 0;
}

int s3_put_md5(const void *data, size_t len, struct strlist *ret, struct err *err)
{
	unsigned char md5[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
	unsigned bytes = 0;
	if (EVP_Digest(data != NULL ? data : "", len, md5, &bytes, EVP_md5(), NULL) != 1)
		return err_set(err, ERR_FAILED,
			       "object lock needs MD5 sums, and OpenSSL has no MD5 here");
	EVP_EncodeBlock(text, md5, (int)bytes);
	return strlist_pushf(ret, err, "Content-MD5: %s", (const char *)text);
}

int s3_put_exists(const char *name, struct err *err)
{
	return err_set(err, ERR_EXISTS, "'%s' is there already", name);
}

/* ---- in one request ---- */

/* Is it there, and not by this very put, whose first answer got lost? */
static int find_other(struct s3 *s, const char *name, const char *token, bool *ret, struct err *err)
{
	struct s3_head h;
	struct err absent = ERR_INIT;
	*ret = false;
	if (s3_head(s, name, NULL, true, &h, &absent) == 0) {
		*ret = strcmp(h.token, token) != 0;
		return 0;
	}
	if (absent.code == ERR_ABSENT)
		return 0;
	*err = absent;
	return -1;
}

static int put_refused(struct s3 *s, const struct s3_request *q, const char *token,
		       const struct http_response *r, struct err *err)
{
	bool other;
	if (r->status != 412)
		return s3_refused(s, q, r, err);
	if (find_other(s, q->name, token, &other, err) < 0)
		return -1;
	return other ? s3_put_exists(q->name, err) : 0;
}

int s3_put_whole(struct s3 *s, const char *name, bool fresh, const char *token,
		 const struct buf *body, struct err *err)
{
	CLEANUP(strlist_done) struct strlist headers = {0};
	CLEANUP(http_response_done) struct http_response r = {0};
	bool conditional = fresh && atomic_load(&s->conditional) != S3_CONDITIONAL_NO;
	if (s3_put_headers(s, name, token, &headers, err) < 0 ||
	    (s->lock_mode != NULL && s3_put_md5(body->data, body->len, &headers, err) < 0) ||
	    (conditional && strlist_push(&headers, "If-None-Match: *", err) < 0))
		return -1;
	const struct s3_request q = {
	    .method = "PUT",
	    .name = name,
	    .headers = (const char *const *)headers.items,
	    .body = body->len > 0 ? (const void *)body->data : "",
	    .body_bytes = body->len,
	};
	if (s3_insist(s, &q, &r, err) < 0)
		return -1;
	if (r.status / 100 == 2)
		return 0;
	if (r.status == 501 && conditional) {
		/* It was not there a moment ago: more can't be had from this server. */
		atomic_store(&s->conditional, S3_CONDITIONAL_NO);
		return s3_put_whole(s, name, fresh, token, body, err);
	}
	return put_refused(s, &q, token, &r, err);
}

/* ---- as a sink ---- */

struct object {
	struct s3 *s;
	char *name;
	bool fresh;
	char token[S3_TOKEN_BYTES];
	struct buf part;          /* the one that is being filled */
	struct s3_upload *upload; /* NULL: nothing has been sent yet */
};

static int flush(struct object *o, struct err *err)
{
	if (o->upload == NULL && s3_upload_begin(o->s, o->name, o->token, &o->upload, err) < 0)
		return -1;
	return s3_upload_part(o->upload, &o->part, err);
}

static int object_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct object *o = self;
	if (cancel_check(err) < 0)
		return -1;
	while (len > 0) {
		/* Only when more comes: what fills a part exactly may be all there is. */
		if (o->part.len == o->part.max && flush(o, err) < 0)
			return -1;
		size_t room = o->part.max - o->part.len;
		size_t n = len < room ? len : room;
		if (buf_append(&o->part, data, n, err) < 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static int object_close(void *self, struct err *err)
{
	struct object *o = self;
	bool other = false;
	if (cancel_check(err) < 0)
		return -1;
	if (o->upload != NULL)
		return flush(o, err) < 0 ? -1 : s3_upload_commit(o->upload, o->fresh, err);
	/* Where the condition is ignored this is all that guards what is there. */
	if (o->fresh && find_other(o->s, o->name, o->token, &other, err) < 0)
		return -1;
	if (other)
		return s3_put_exists(o->name, err);
	return s3_put_whole(o->s, o->name, o->fresh, o->token, &o->part, err);
}

static void object_free(void *self)
{
	struct object *o = self;
	s3_upload_free(o->upload);
	buf_done(&o->part);
	free(o->name);
	free(o);
}

static const struct sink_ops object_ops = {
    .write = object_write, .close = object_close, .free = object_free};

static int make_token(char out[S3_TOKEN_BYTES], struct err *err)
{
	uint8_t raw[(S3_TOKEN_BYTES - 1) / 2];
	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
		return err_sys(err, ERR_IO, errno, "no random bytes");
	hex_encode(raw, sizeof raw, out);
	return 0;
}

int s3_put(struct s3 *s, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	struct object *o = mem_zalloc(sizeof *o, "an object of a store", err);
	if (o == NULL)
		return -1;
	bool other = false;
	o->s = s;
	o->fresh = fresh;
	buf_init(&o->part, s3_part_bytes(0));
	if (str_dup(name, &o->name, err) < 0 || make_token(o->token, err) < 0 ||
	    (fresh && find_other(s, name, o->token, &other, err) < 0) ||
	    (other && s3_put_exists(name, err) < 0)) {
		object_free(o);
		return -1;
	}
	return sink_new(&object_ops, o, ret, err);
}

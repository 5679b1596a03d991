#include "storage/s3/s3.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/retry.h"
#include "storage/s3/s3_place.h"
#include "storage/s3/s3_sign.h"

enum { TIMEOUT_MS = 60000, LEAST_WAIT_MAX_MS = 60000, URL_MAX = 8 << 10 };

/* ---- opening ---- */

static int dup_if(const char *text, char **ret, struct err *err)
{
	return text == NULL || text[0] == '\0' ? 0 : str_dup(text, ret, err);
}

static int check_credentials(const struct store_opts *o, struct err *err)
{
	bool key = o->access_key != NULL && o->access_key[0] != '\0';
	bool secret = o->secret_key != NULL && o->secret_key[0] != '\0';
	if (key && secret)
		return 0;
	err_set(err, ERR_CONFIG, "'%s' needs %s", o->url,
		key      ? "a secret_key"
		: secret ? "an access_key"
			 : "an access_key and a secret_key");
	return err_hint(err,
			"Set them in the store's section, as LIFEBOAT_STORE_<NAME>_ACCESS_KEY "
			"and …_SECRET_KEY, or as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
}

static int take_lock(struct s3 *s, const struct store_opts *o, struct err *err)
{
	if (o->object_lock == NULL || o->object_lock[0] == '\0')
		return 0;
	bool governance = strcasecmp(o->object_lock, "governance") == 0;
	if (!governance && strcasecmp(o->object_lock, "compliance") != 0)
		return err_set(err, ERR_CONFIG,
			       "object_lock is '%s', and not governance or compliance",
			       o->object_lock);
	if (o->object_lock_days == 0)
		return err_set(err, ERR_CONFIG, "object_lock without object_lock_days");
	s->lock_days = o->object_lock_days;
	return str_dup(governance ? "GOVERNANCE" : "COMPLIANCE", &s->lock_mode, err);
}

static int take_options(struct s3 *s, const struct store_opts *o, struct err *err)
{
	s->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
	s->retries = o->retries > 0 ? o->retries : STORE_RETRIES;
	s->has_ca_file = o->ca_file != NULL;
	if (check_credentials(o, err) < 0 || str_dup(o->access_key, &s->access_key, err) < 0 ||
	    secret_set(&s->secret_key, o->secret_key, err) < 0 ||
	    dup_if(o->storage_class, &s->storage_class, err) < 0 ||
	    dup_if(o->encryption, &s->encryption, err) < 0 ||
	    dup_if(o->kms_key, &s->kms_key, err) < 0 || take_lock(s, o, err) < 0)
		return -1;
	if (o->session_token != NULL && o->session_token[0] != '\0' &&
	    secret_set(&s->token, o->session_token, err) < 0)
		return -1;
	const struct http_opts http = {.ca_file = o->ca_file, .proxy = o->proxy};
	return http_open(&http, &s->http, err);
}

int s3_open(const struct store_opts *opts, struct s3 **ret, char **ret_where, struct err *err)
{
	CLEANUP(s3_freep) struct s3 *s = mem_zalloc(sizeof *s, "a store", err);
	if (s == NULL || s3_place(s, opts, ret_where, err) < 0)
		return -1;
	if (take_options(s, opts, err) < 0) {
		free(*ret_where);
		*ret_where = NULL;
		return -1;
	}
	*ret = s;
	s = NULL;
	return 0;
}

void s3_free(struct s3 *s)
{
	if (s == NULL)
		return;
	char *const texts[] = {s->base,       s->host,    s->root,       s->bucket,
			       s->prefix,     s->region,  s->access_key, s->storage_class,
			       s->encryption, s->kms_key, s->lock_mode};
	http_free(s->http);
	secret_done(&s->secret_key);
	secret_done(&s->token);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	free(s);
}

/* ---- one request ---- */

/* Path of the object, or of the bucket; at least "/". */
static int put_path(const struct s3 *s, const struct s3_request *q, struct buf *b, struct err *err)
{
	if (buf_puts(b, s->root, err) < 0)
		return -1;
	if (q->name == NULL)
		return b->len == 0 ? buf_puts(b, "/", err) : 0;
	return buf_puts(b, "/", err) < 0 || s3_sign_path(b, s->prefix, err) < 0 ||
		       s3_sign_path(b, q->name, err) < 0
		   ? -1
		   : 0;
}

static int put_headers(struct s3 *s, const struct s3_request *q, const char *hash, int64_t now_ms,
		       struct strlist *to, struct err *err)
{
	char time[CLOCK_TEXT_BYTES];
	if (strlist_pushf(to, err, "Host: %s", s->host) < 0 ||
	    strlist_pushf(to, err, "x-amz-date: %s", clock_basic(now_ms, time)) < 0 ||
	    strlist_pushf(to, err, "x-amz-content-sha256: %s", hash) < 0 ||
	    (secret_is_set(&s->token) &&
	     strlist_pushf(to, err, "x-amz-security-token: %s", secret_text(&s->token)) < 0))
		return -1;
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (strlist_push(to, q->headers[i], err) < 0)
			return -1;
	return 0;
}

static int sign(struct s3 *s, const struct s3_request *q, const char *path, const char *hash,
		int64_t now_ms, struct strlist *headers, struct err *err)
{
	const struct s3_sign what = {
	    .method = q->method,
	    .path = path,
	    .query = q->query != NULL ? q->query : "",
	    .headers = (const char *const *)headers->items,
	    .payload_sha256 = hash,
	    .region = s->region,
	    .service = "s3",
	    .access_key = s->access_key,
	    .secret_key = secret_text(&s->secret_key),
	    .time_ms = now_ms,
	};
	CLEANUP(freep) char *signature = NULL;
	if (s3_sign(&what, &signature, err) < 0)
		return -1;
	return strlist_pushf(headers, err, "Authorization: %s", signature);
}

int s3_prepare(struct s3 *s, const struct s3_request *q, struct s3_prepared *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf path;
	CLEANUP(s3_prepared_done) struct s3_prepared p = {0};
	char hash[SHA256_HEX_BYTES];
	int64_t now = clock_wall_ms();
	buf_init(&path, URL_MAX);
	if (put_path(s, q, &path, err) < 0 ||
	    sha256_of(q->body != NULL ? q->body : "", q->body != NULL ? q->body_bytes : 0, hash,
		      err) < 0 ||
	    put_headers(s, q, hash, now, &p.headers, err) < 0 ||
	    sign(s, q, buf_text(&path), hash, now, &p.headers, err) < 0 ||
	    str_printf(&p.url, err, "%s%s%s%s", s->base, buf_text(&path),
		       q->query != NULL ? "?" : "", q->query != NULL ? q->query : "") < 0)
		return -1;
	p.http = (struct http_request){
	    .method = q->method,
	    .url = p.url,
	    .headers = (const char *const *)p.headers.items,
	    .body = q->body,
	    .body_bytes = q->body_bytes,
	    .idle_ms = q->idle_ms != 0 ? q->idle_ms : s->timeout_ms,
	    .stop_fd = q->stop_fd,
	};
	*ret = p;
	p = (struct s3_prepared){0};
	return 0;
}

void s3_prepared_done(struct s3_prepared *p)
{
	free(p->url);
	secret_wipe_list(&p->headers);
	*p = (struct s3_prepared){0};
}

/* ---- tries ---- */

/* A success, but for the document that was promised with it. */
static bool lacks_document(const struct s3_request *q, const struct http_response *r)
{
	if (q->expects == NULL || r->status / 100 != 2)
		return false;
	CLEANUP(xml_freep) struct xml *x = NULL;
	struct err ignored = ERR_INIT;
	return s3_document(r, &x, &ignored) < 0 || strcmp(xml_root(x)->name, q->expects) != 0;
}

int s3_call(struct s3 *s, const struct s3_request *q, struct http_response *ret, struct err *err)
{
	CLEANUP(s3_prepared_done) struct s3_prepared p = {0};
	if (s3_prepare(s, q, &p, err) < 0)
		return -1;
	if (http_call(s->http, &p.http, ret, err) < 0)
		return s3_unreached(s, err);
	if (ret->status / 100 == 2 && !lacks_document(q, ret))
		return 0;
	struct err why = ERR_INIT;
	s3_refused(s, q, ret, &why);
	if (ret->status / 100 != 2 && !why.retryable)
		return 0;
	*err = why;
	return -1;
}

/* Servers ask for it with 503. */
static int64_t least_wait_ms(const struct http_response *r)
{
	int64_t ms = http_retry_after_ms(r);
	return ms < LEAST_WAIT_MAX_MS ? ms : LEAST_WAIT_MAX_MS;
}

int s3_insist(struct s3 *s, const struct s3_request *q, struct http_response *ret, struct err *err)
{
	struct retry again = {
	    .retries = s->retries, .base_ms = s->retry_base_ms, .stop_fd = q->stop_fd};
	*ret = (struct http_response){0};
	while (s3_call(s, q, ret, err) < 0) {
		again.least_ms = least_wait_ms(ret);
		http_response_done(ret);
		if (!retry_again(&again, err))
			return -1;
	}
	return 0;
}

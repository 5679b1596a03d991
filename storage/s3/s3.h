/*
 * The protocol of Amazon S3 (API version 2006-03-01), as store_s3.c needs it: signed requests that
 * are tried again, objects that stream in and out, lists, and errors in plain words.
 *
 *  1. s3_open                          from the options of a store; nothing is asked yet
 *  2. s3_call, s3_insist               one request with its answer; s3_refused makes an error of it
 *     s3_get, s3_put, s3_list, …       what a store does
 *  3. s3_free                          after all its streams
 *
 * A client may be used by several threads. Redirects are not followed: what they say is told.
 */
#ifndef LIFEBOAT_STORAGE_S3_S3_H
#define LIFEBOAT_STORAGE_S3_S3_H

#include <stdatomic.h>
#include "base/flow/http.h"
#include "base/secret.h"
#include "base/xml.h"
#include "storage/store/store.h"

/* Does the server mind "If-None-Match: *"? It is not asked before somebody needs to know. */
enum s3_conditional { S3_CONDITIONAL_UNKNOWN, S3_CONDITIONAL_YES, S3_CONDITIONAL_NO };

struct s3 {
	struct http *http;
	char *base; /* https://host[:port] */
	char *host; /* as the header Host says it */
	char *root; /* path of the bucket: "/bucket", or "" where the host names it */
	char *bucket;
	char *prefix; /* of all keys: "", or it ends in "/" */
	char *region;
	char *access_key;
	struct secret secret_key, token;
	char *storage_class, *encryption, *kms_key, *lock_mode; /* or NULL */
	unsigned lock_days;
	int64_t timeout_ms;
	unsigned retries;
	int64_t retry_base_ms; /* 0: that of base/retry.h */
	bool has_ca_file, is_plain;
	atomic_int conditional;
};

int s3_open(const struct store_opts *opts, struct s3 **ret, char **ret_where, struct err *err)
    MUST_USE;
void s3_free(struct s3 *s);
DEFINE_CLEANUP(struct s3, s3_free)

struct s3_request {
	const char *method;
	const char *name;           /* of an object; NULL: the bucket is meant */
	const char *query;          /* sorted, encoded, each name with "="; NULL: none */
	const char *const *headers; /* "Name: value"; NULL or NULL-terminated */
	const void *body;
	size_t body_bytes;
	const char
	    *expects;    /* the root element of a good answer; NULL: its body is not looked at */
	int64_t idle_ms; /* 0: the store's */
	int stop_fd;     /* readable: ERR_CANCELLED; 0: none */
};

/* A request and its answer. Every status is one, but for those that the next try may not have
 * (500, 503, …) and, where a root element is expected, a 2xx without it: they are retryable errors.
 * `ret` needs http_response_done, also after an error. */
int s3_call(struct s3 *s, const struct s3_request *q, struct http_response *ret, struct err *err)
    MUST_USE;
/* The same, tried again with back-off: for puts, which nobody above can repeat. */
int s3_insist(struct s3 *s, const struct s3_request *q, struct http_response *ret, struct err *err)
    MUST_USE;

/* A request that is signed and ready for base/flow/http.h. */
struct s3_prepared {
	char *url;
	struct strlist headers;
	struct http_request http;
};
int s3_prepare(struct s3 *s, const struct s3_request *q, struct s3_prepared *ret, struct err *err)
    MUST_USE;
void s3_prepared_done(struct s3_prepared *p);

/* ---- errors ---- */

/* What an answer that is no success means. -1. `err->retryable` where the next try may succeed. */
int s3_refused(const struct s3 *s, const struct s3_request *q, const struct http_response *answer,
	       struct err *err);
/* A hint for what went wrong below HTTP. -1. */
int s3_unreached(const struct s3 *s, struct err *err);
/* The document of an answer's body. */
int s3_document(const struct http_response *answer, struct xml **ret, struct err *err) MUST_USE;
/* The code of an error document ("NoSuchKey"), into `out`; "" where there is none. */
enum { S3_CODE_BYTES = 64 };
void s3_error_code(const struct http_response *answer, char out[S3_CODE_BYTES]);

/* ---- objects ---- */

enum { S3_TOKEN_BYTES = 33, S3_ETAG_BYTES = 256 };

struct s3_head {
	uint64_t bytes;
	int64_t modified_ms;
	char etag[S3_ETAG_BYTES]; /* with its quotes, as If-Match wants it */
	char
	    token[S3_TOKEN_BYTES]; /* of the put that made it: x-amz-meta-lifeboat; "": another's */
	char lock_mode[16], lock_until[40]; /* "": not locked, or not told */
};
/* `version` NULL: the current one. ERR_ABSENT. */
int s3_head(struct s3 *s, const char *name, const char *version, bool insist, struct s3_head *ret,
	    struct err *err) MUST_USE;
int s3_get(struct s3 *s, const char *name, uint64_t offset, uint64_t len, struct source **ret,
	   struct err *err) MUST_USE;
/* See store_put and store_create. */
int s3_put(struct s3 *s, const char *name, bool fresh, struct sink **ret, struct err *err) MUST_USE;
/* With object_lock: all its versions, or ERR_LOCKED that says until when it is locked. */
int s3_remove(struct s3 *s, const char *name, struct err *err) MUST_USE;

/* An object that is in memory, in one request, under a token that says whose it is. */
int s3_put_whole(struct s3 *s, const char *name, bool fresh, const char *token,
		 const struct buf *body, struct err *err) MUST_USE;
/* The headers of a request that makes an object. */
int s3_put_headers(const struct s3 *s, const char *name, const char *token, struct strlist *ret,
		   struct err *err) MUST_USE;
/* "Content-MD5: …", which object lock wants. */
int s3_put_md5(const void *data, size_t len, struct strlist *ret, struct err *err) MUST_USE;
/* Locks an object as object_lock says, if it has to be and `now` does not say that it is: some
 * servers (Ceph 18) forget the lock of what came in parts. */
int s3_put_lock(struct s3 *s, const char *name, const struct s3_head *now, struct err *err)
    MUST_USE;
int s3_put_exists(const char *name, struct err *err);

/* ---- lists ---- */

int s3_list(struct s3 *s, const char *prefix, struct store_objects *ret, struct err *err) MUST_USE;

struct s3_unfinished {
	char name[STORE_NAME_MAX + 1];
	char *id; /* encoded for a query */
	int64_t begun_ms;
};
struct s3_unfinished_list {
	struct s3_unfinished *items;
	size_t count;
	int64_t now_ms; /* by the store's clock */
};
void s3_unfinished_done(struct s3_unfinished_list *l);
/* Multipart uploads that were begun and neither completed nor aborted. */
int s3_list_unfinished(struct s3 *s, const char *prefix, struct s3_unfinished_list *ret,
		       struct err *err) MUST_USE;
/* When its newest part came, or when it was begun if it has none; INT64_MAX where the store does
 * not say. ERR_ABSENT: it has ended. */
int s3_last_part(struct s3 *s, const struct s3_unfinished *u, int64_t *ret_ms, struct err *err)
    MUST_USE;
/* Versions of one object, the oldest last; encoded for a query. The newest S3_VERSIONS_MAX. */
enum { S3_VERSIONS_MAX = 1000 };
int s3_list_versions(struct s3 *s, const char *name, struct strlist *ret, struct err *err) MUST_USE;

/* What a page of each of these lists has; appended. */
int s3_page_objects(struct s3 *s, const struct xml_node *page, const char *prefix,
		    struct store_objects *to, struct err *err) MUST_USE;
int s3_page_unfinished(struct s3 *s, const struct xml_node *page, const char *prefix,
		       struct s3_unfinished_list *to, struct err *err) MUST_USE;
int s3_page_versions(struct s3 *s, const struct xml_node *page, const char *name,
		     struct strlist *to, struct err *err) MUST_USE;

/* "Mon, 23 Nov 2026 11:00:00 GMT", "2026-11-23T11:00:00.000Z". False: neither. */
bool s3_time(const char *text, int64_t *ret_ms);

#endif

/*
 * Requests to a WebDAV server (RFC 4918), and what it answers.
 *
 *  1. webdav_open(opts, &d, err)                 where and as whom; asks nobody yet
 *  2. webdav_call(d, "DELETE", "x.json", …)      any status is an answer; webdav_refused turns one
 *                                                that is not wanted into an error
 *     webdav_look(d, "x.json", 0, …)             PROPFIND: the object, or with depth 1 the folder
 *  3. webdav_free
 *
 * One may be used by several threads.
 */
#ifndef LIFEBOAT_STORAGE_WEBDAV_WEBDAV_H
#define LIFEBOAT_STORAGE_WEBDAV_WEBDAV_H

#include <stdatomic.h>
#include "base/flow/http.h"
#include "storage/store/store.h"
#include "storage/store/store_url.h"

struct webdav {
	struct http *http;
	struct store_url at;
	char *base; /* https://host:port, or http://… */
	char *path; /* the folder as it is sent, without a '/' behind it */
	char *user; /* NULL: none */
	bool plain; /* no TLS, and not to this machine itself */
	int64_t idle_ms;
	unsigned retries; /* at the end of an upload, which nobody above can repeat */
	atomic_bool made; /* the folder is there */
};
int webdav_open(const struct store_opts *opts, bool tls, struct webdav **ret, struct err *err)
    MUST_USE;
void webdav_free(struct webdav *d);
DEFINE_CLEANUP(struct webdav, webdav_free)

/* The url of a name; "": of the folder, with a '/' behind it. */
int webdav_url(const struct webdav *d, const char *name, char **ret, struct err *err) MUST_USE;
/* `ret` needs http_response_done, also after an error. */
int webdav_call(struct webdav *d, const char *method, const char *name, const char *const *headers,
		const char *body, struct http_response *ret, struct err *err) MUST_USE;
/* What that status means: "<message>: <reason>". -1. */
int webdav_refused(const struct webdav *d, const struct http_response *answer, struct err *err,
		   const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Adds what to do where no connection came about. -1. */
int webdav_failed(const struct webdav *d, struct err *err);

/* ---- properties ---- */

struct webdav_entry {
	char *name; /* decoded, without its folder */
	bool is_folder;
	bool has_bytes;
	uint64_t bytes;
	int64_t modified_ms;
};
struct webdav_entries {
	struct webdav_entry *items;
	size_t count;
	uint64_t room;  /* quota-available-bytes of the first (RFC 4331); UINT64_MAX: none */
	int64_t now_ms; /* the server's clock; 0: it does not say */
};
void webdav_entries_done(struct webdav_entries *e);
/* The body of a 207 (RFC 4918, 13). Adds to `ret`, which is all zero at first. */
int webdav_parse(const void *data, size_t len, struct webdav_entries *ret, struct err *err)
    MUST_USE;
/* Asks for the properties of `name` ("": the folder), and with depth 1 of all that is in it.
 * ERR_ABSENT. */
int webdav_look(struct webdav *d, const char *name, unsigned depth, struct webdav_entries *ret,
		struct err *err) MUST_USE;
/* Makes the folder, and those that it is in, unless that was done before. */
int webdav_make_folder(struct webdav *d, struct err *err) MUST_USE;

#endif

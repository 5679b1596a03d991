/*
 * What the sources of http.h share: one request on its way (an exchange), and the head of an
 * answer that is read by hand.
 */
#ifndef LIFEBOAT_FLOW_HTTP_IMPL_H
#define LIFEBOAT_FLOW_HTTP_IMPL_H

#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include "base/flow/http.h"

enum {
	HTTP_IDLE_MAX = 4,        /* connections kept for the next request */
	HTTP_HEAD_MAX = 64 << 10, /* bytes of an answer's head */
	HTTP_FDS_MAX = 6,         /* wait_poll takes no more, with stop_fd */
	HTTP_IDLE_DEFAULT_MS = 60000,
	HTTP_CONNECT_DEFAULT_MS = 20000
};

struct http {
	char *unix_socket, *ca_file, *cert_file, *key_file, *proxy;
	char *user, *password;
	int64_t connect_timeout_ms;
	pthread_mutex_t lock; /* of what follows: streams of one client may be in several threads */
	CURLM *idle[HTTP_IDLE_MAX]; /* each with a connection at most */
	size_t idle_count;
	long auth; /* CURLAUTH_…: what may be used; one alone once a server has asked for it */
};

/* What the lines of a head say of the body behind it (RFC 9112, 6.3). */
struct http_framing {
	bool has_length;
	uint64_t length;
	bool has_coding; /* a Transfer-Encoding */
	bool chunked;    /* and chunked is its last */
};
/* One line of a head, without its end, as it comes. ERR_CORRUPT where lengths contradict. */
int http_framing_see(struct http_framing *f, const char *line, struct err *err) MUST_USE;

/* ---- exchange ---- */

/* How the body of the request goes out. */
enum http_upload {
	HTTP_UPLOAD_MEMORY, /* the request's own body, if it has one; it stays there to the end */
	HTTP_UPLOAD_COPY,   /* the same, and it is copied */
	HTTP_UPLOAD_STREAM, /* from `out` */
	HTTP_UPLOAD_CONNECT /* no request at all: the connection alone */
};

struct http_exchange {
	struct http *http;
	CURLM *multi;
	CURL *easy;
	bool added; /* easy is in multi */
	struct curl_slist *headers;
	char *name; /* GET 'http://host/path' */
	char said[CURL_ERROR_SIZE];

	/* What libcurl waits for. */
	struct pollfd fds[HTTP_FDS_MAX];
	size_t fd_count;
	struct deadline timer;
	int64_t idle_ms;
	int stop_fd;
	struct deadline quiet_until;
	curl_off_t moved; /* bytes in both directions, when last looked at */

	bool done; /* libcurl has ended it, with rc */
	CURLcode rc;
	struct err why; /* of a callback that stopped it; code ERR_NONE: none did */

	struct http_response answer;
	struct http_framing framing;
	size_t head_bytes;
	bool head_done;
	bool bodiless;   /* HEAD */
	bool open_ended; /* as the request's */
	long auth;       /* as the client's when it began */
	bool challenged; /* a 401 came that libcurl answers with a request anew */
	bool taken_over; /* its connection is a pipe: not to be used again */

	/* A body of a 2xx that streams goes to dest; what is more than cap waits in libcurl or,
	 * where it doesn't fit from the start, in rest. */
	bool streams;
	uint8_t *dest;
	size_t cap, got;
	bool recv_paused;
	uint8_t rest[CURL_MAX_WRITE_SIZE];
	size_t rest_at, rest_len;

	/* The body that goes out. */
	const uint8_t *out;
	size_t out_len;
	bool out_end;
	bool send_paused;
};

int http_exchange_new(struct http *h, const struct http_request *q, enum http_upload upload,
		      uint64_t length, struct http_exchange **ret, struct err *err) MUST_USE;
/* The silence that counts begins now; what was paused goes on. */
int http_exchange_resume(struct http_exchange *x, struct err *err) MUST_USE;
/* Waits for one event and handles it. 0 also when that ended it. */
int http_exchange_step(struct http_exchange *x, struct err *err) MUST_USE;
/* After `done`: was that the whole answer? */
int http_exchange_verdict(struct http_exchange *x, struct err *err) MUST_USE;
/* To the end, with the verdict. */
int http_exchange_finish(struct http_exchange *x, struct err *err) MUST_USE;
/* Before its end: breaks the connection. */
void http_exchange_free(struct http_exchange *x);
DEFINE_CLEANUP(struct http_exchange, http_exchange_free)

/* A multi handle, perhaps with a connection. */
CURLM *http_pool_take(struct http *h);
void http_pool_give(struct http *h, CURLM *multi);

/* What rc means, in our words. -1. */
int http_exchange_error(const struct http_exchange *x, struct err *err);

/* ---- requests ---- */

/* GET 'http://host/path', for messages. ERR_CONFIG where the url is not http or https, or method,
 * url or headers have characters that don't belong there. */
int http_request_name(const struct http_request *q, char **ret, struct err *err) MUST_USE;
/* Has it a header of that name? */
bool http_request_has(const struct http_request *q, const char *name);
/* Tells libcurl. */
int http_request_apply(struct http_exchange *x, const struct http_request *q,
		       enum http_upload upload, uint64_t length, struct err *err) MUST_USE;

/* ---- users (http_auth.c) ---- */

int http_auth_open(struct http *h, const struct http_opts *opts, struct err *err) MUST_USE;
void http_auth_done(struct http *h);
int http_auth_apply(struct http_exchange *x);
/* At the end of a head: is it a 401 that is not yet the answer? */
bool http_auth_awaits(struct http_exchange *x);
/* At the end of an exchange: what the server wants is what it gets from now on. */
void http_auth_learn(struct http_exchange *x);

/* ---- connections taken over ---- */

struct http_pipe {
	struct http_exchange *x; /* its connection */
	int fd;
	struct buf early; /* what came behind the head */
	size_t early_at;
	bool ended;
};
/* Once, when it is connected. */
void http_pipe_begin(struct http_pipe *p);
/* One attempt each: *ret_n == 0 where it would wait (and of recv, *ret_end is not set). */
int http_pipe_recv(struct http_pipe *p, void *buf, size_t cap, size_t *ret_n, bool *ret_end,
		   struct err *err) MUST_USE;
int http_pipe_send(struct http_pipe *p, const void *data, size_t len, size_t *ret_n,
		   struct err *err) MUST_USE;
int http_pipe_wait(struct http_pipe *p, short events, struct deadline d, struct err *err) MUST_USE;

/* ---- heads and bodies read by hand ---- */

/* Reads the head at the beginning of `data`. *ret_used is its length, or 0 when it is not yet
 * whole; then the rest is untouched. `ret` gets status and headers. ERR_CORRUPT, ERR_LIMIT. */
int http_head_parse(const uint8_t *data, size_t len, size_t *ret_used, struct http_response *ret,
		    struct http_framing *framing, struct err *err) MUST_USE;

/* Decodes a chunked body (RFC 9112, 7.1) as it comes; all zero at first. */
struct http_chunks {
	int state;
	uint64_t left;
	size_t line; /* bytes of the line so far */
	bool ended;
};
/* Appends what `data` has of the body to `body`. Bytes behind the end are ignored. */
int http_chunks_read(struct http_chunks *c, const uint8_t *data, size_t len, struct buf *body,
		     struct err *err) MUST_USE;

#endif

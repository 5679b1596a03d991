/*
 * HTTP/1.1 by libcurl: requests whose answers fit in memory, bodies that stream in or out, and
 * connections that are taken over for something else.
 *
 *  1. http_open                 one client; it keeps connections for the next request
 *  2. http_call                 a request and its whole answer
 *     http_source, http_sink    a request whose answer, or whose body, is a stream
 *     http_upgrade              a request after which the connection is a plain two-way pipe
 *  3. http_free                 after all its streams
 *
 * Every status is an answer: a function fails only when there was none. Where a stream ends, the
 * end is vouched for: all that the length or the last chunk promised has come (RFC 9112, 6.3). A
 * success with neither of them is ERR_CORRUPT where it ends. A client may be used by several
 * threads at once, each of its streams by one at a time.
 * What can't be reached is ERR_UNREACHABLE, a wrong certificate ERR_DENIED, silence ERR_TIMEOUT.
 * Messages name the url without its user, password and query.
 */
#ifndef LIFEBOAT_FLOW_HTTP_H
#define LIFEBOAT_FLOW_HTTP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

struct http_opts {
	const char *unix_socket;    /* connect there, whatever host the url names; NULL: by TCP */
	const char *ca_file;        /* for https; NULL: the system's */
	const char *cert_file;      /* client's certificate (PEM); NULL: none */
	const char *key_file;       /* its key */
	const char *proxy;          /* http://host:port; NULL: as the environment says; "": none */
	const char *user;           /* sent where a server asks; NULL: none */
	const char *password;       /* NULL: none */
	bool digest_only;           /* the password itself is never sent: Basic is not enough */
	int64_t connect_timeout_ms; /* 0: 20 s */
};

struct http;
int http_open(const struct http_opts *opts, struct http **ret, struct err *err) MUST_USE;
void http_free(struct http *h);
DEFINE_CLEANUP(struct http, http_free)

struct http_request {
	const char *method;         /* "GET" */
	const char *url;            /* absolute; http or https */
	const char *const *headers; /* "Name: value"; NULL or NULL-terminated */
	const void *body;           /* of http_call, http_source and http_upgrade; NULL: none */
	size_t body_bytes;
	int64_t idle_ms;   /* a longer silence is ERR_TIMEOUT; 0: 60 s; negative: no limit */
	int64_t answer_ms; /* the same once http_sink has sent the whole body; 0: idle_ms */
	int stop_fd;       /* readable: ERR_CANCELLED, for threads of one work; 0: none */
	/* The end of the connection may be the end of the answer (HTTP/1.0 knew no other): for who
	 * needs its status alone. Else that is ERR_CORRUPT, as it may be a cut. */
	bool open_ended;
};

enum { HTTP_BODY_MAX = 64 << 20 };

struct http_response {
	long status;
	struct strlist headers; /* "Name: value" as they came; those of the last answer alone */
	struct buf body; /* at most HTTP_BODY_MAX, else ERR_LIMIT; zero-terminated by buf_text */
};
void http_response_done(struct http_response *r);
/* The value of the first header of that name (case-insensitive), or NULL. Borrowed. */
const char *http_header(const struct http_response *r, const char *name);
/* A date (RFC 9110, 5.6.7), or what libcurl takes for one. False: none of the years to 9999. */
bool http_date(const char *text, int64_t *ret_ms);
/* How long it asks to wait by Retry-After, seconds or a date (RFC 9110, 10.2.3); 0: it does not. */
int64_t http_retry_after_ms(const struct http_response *r);

/* `ret` needs http_response_done, also after an error. */
int http_call(struct http *h, const struct http_request *q, struct http_response *ret,
	      struct err *err) MUST_USE;

/* Returns once the head of the answer is there. Status 2xx: *ret is the body as a source and
 * answer->body is empty. Any other: *ret is NULL and answer->body is the whole body. */
int http_source(struct http *h, const struct http_request *q, struct http_response *answer,
		struct source **ret, struct err *err) MUST_USE;

/* Looks at the answer to a streamed body: 0 where it is a success. */
typedef int http_judge_fn(void *ctx, const struct http_response *answer, struct err *err);

/* The body as a sink, sent as it is written: of `length` bytes exactly, or chunked where that is
 * UINT64_MAX. Close waits for the answer and succeeds if judge(ctx, answer) does. Where the server
 * answers before the body is complete, the next write or the close ends with what judge says of it
 * (or ERR_CLOSED where that was a success). An abort breaks the connection: the server sees a body
 * that is cut. */
int http_sink(struct http *h, const struct http_request *q, uint64_t length, http_judge_fn *judge,
	      void *ctx, struct sink **ret, struct err *err) MUST_USE;

/*
 * A connection of its own with "Connection: Upgrade" (RFC 9110, 7.8). Status 101 or 200: *ret is
 * the connection, and bytes that came right behind the head are its first. Any other: *ret is NULL,
 * answer->body the whole body.
 */
struct http_pipe;
int http_upgrade(struct http *h, const struct http_request *q, struct http_response *answer,
		 struct http_pipe **ret, struct err *err) MUST_USE;
/* A connection for another protocol, through the proxy where there is one: no byte is sent. `host`
 * is as in a url: an IPv6 address has its brackets. `timeout_ms` 0: the client's. */
int http_connect(struct http *h, const char *host, uint16_t port, int64_t timeout_ms,
		 struct http_pipe **ret, struct err *err) MUST_USE;
/* Its socket, which does not block and stays the pipe's. Of connections without TLS. */
int http_pipe_fd(const struct http_pipe *p);
/* Writes some of it and reads what there is, without waiting longer than until one of them goes on:
 * sends up to `len` bytes of `data` (*ret_sent), receives up to `cap` into `buf` (*ret_got). Either
 * may be 0 at the start. *ret_end: the other side has ended; no more will be received. */
int http_pipe_move(struct http_pipe *p, const void *data, size_t len, size_t *ret_sent, void *buf,
		   size_t cap, size_t *ret_got, bool *ret_end, struct deadline d, struct err *err)
    MUST_USE;
/* No more will be sent: the other side sees an end. Only where the connection is not TLS is that
 * half of it alone (shutdown(2)). */
int http_pipe_shut(struct http_pipe *p, struct err *err) MUST_USE;
void http_pipe_free(struct http_pipe *p);
DEFINE_CLEANUP(struct http_pipe, http_pipe_free)

/* Percent-encodes all but unreserved characters (RFC 3986, 2.3). Appends. */
int http_escape(struct buf *b, const char *text, struct err *err) MUST_USE;

#endif

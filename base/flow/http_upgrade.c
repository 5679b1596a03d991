#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/flow/http_impl.h"

/* ---- the request ---- */

static void text_freep(char **text)
{
	curl_free(*text);
}

static void url_freep(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* Part of the url as it stands there, or NULL. */
static int url_part(CURLU *url, CURLUPart part, char **ret, struct err *err)
{
	CURLUcode rc = curl_url_get(url, part, ret, 0);
	return rc == CURLUE_OUT_OF_MEMORY ? err_nomem(err, "a url") : 0;
}

static int write_target(CURLU *url, const struct http_request *q, struct buf *b, struct err *err)
{
	CLEANUP(text_freep) char *path = NULL;
	CLEANUP(text_freep) char *query = NULL;
	CLEANUP(text_freep) char *host = NULL;
	CLEANUP(text_freep) char *port = NULL;
	CLEANUP(text_freep) char *user = NULL;
	if (url_part(url, CURLUPART_PATH, &path, err) < 0 ||
	    url_part(url, CURLUPART_QUERY, &query, err) < 0 ||
	    url_part(url, CURLUPART_HOST, &host, err) < 0 ||
	    url_part(url, CURLUPART_PORT, &port, err) < 0 ||
	    url_part(url, CURLUPART_USER, &user, err) < 0)
		return -1;
	if (user != NULL)
		return err_set(err, ERR_CONFIG, "a user in the url of a connection to take over");
	return buf_printf(b, err, "%s %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", q->method,
			  path != NULL ? path : "/", query != NULL ? "?" : "",
			  query != NULL ? query : "", host != NULL ? host : "",
			  port != NULL ? ":" : "", port != NULL ? port : "");
}

static int write_request(const struct http_request *q, struct buf *b, struct err *err)
{
	CLEANUP(url_freep) CURLU *url = curl_url();
	if (url == NULL)
		return err_nomem(err, "a url");
	CURLUcode rc = curl_url_set(url, CURLUPART_URL, q->url, CURLU_PATH_AS_IS);
	if (rc == CURLUE_OUT_OF_MEMORY)
		return err_nomem(err, "a url");
	if (rc != CURLUE_OK)
		return err_set(err, ERR_CONFIG, "%s", curl_url_strerror(rc));
	if (write_target(url, q, b, err) < 0)
		return -1;
	static const char *const ours[][2] = {{"User-Agent", "lifeboat/" LIFEBOAT_VERSION},
					      {"Connection", "Upgrade"},
					      {"Upgrade", "tcp"}};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (!http_request_has(q, ours[i][0]) &&
		    buf_printf(b, err, "%s: %s\r\n", ours[i][0], ours[i][1]) < 0)
			return -1;
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (buf_printf(b, err, "%s\r\n", q->headers[i]) < 0)
			return -1;
	size_t len = q->body != NULL ? q->body_bytes : 0;
	if (buf_printf(b, err, "Content-Length: %zu\r\n\r\n", len) < 0)
		return -1;
	return len > 0 ? buf_append(b, q->body, len, err) : 0;
}

static int send_request(struct http_pipe *p, const struct http_request *q, struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, HTTP_BODY_MAX);
	if (write_request(q, &b, err) < 0)
		return err_wrap(err, "%s", p->x->name);
	size_t n = 0;
	for (size_t at = 0; at < b.len; at += n) {
		struct err why = ERR_INIT;
		if (http_pipe_send(p, b.data + at, b.len - at, &n, &why) < 0) {
			/* It may have said why before it closed. */
			if (why.code == ERR_CLOSED)
				return 0;
			*err = why;
			return -1;
		}
		if (n == 0 && http_pipe_wait(p, POLLOUT, deadline_in(p->x->idle_ms), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the answer ---- */

/* Appends what comes next to early; *ret_end at the end. */
static int read_more(struct http_pipe *p, bool *ret_end, struct err *err)
{
	enum { PIECE = 16 << 10 };
	size_t n;
	for (;;) {
		if (cancel_check(err) < 0)
			return err_wrap(err, "%s", p->x->name);
		if (buf_reserve(&p->early, PIECE, err) < 0)
			return err_wrap(err, "%s: the answer", p->x->name);
		if (http_pipe_recv(p, p->early.data + p->early.len, PIECE, &n, ret_end, err) < 0)
			return -1;
		if (n > 0 || *ret_end)
			break;
		if (http_pipe_wait(p, POLLIN, deadline_in(p->x->idle_ms), err) < 0)
			return -1;
	}
	p->early.len += n;
	p->early.data[p->early.len] = 0;
	return 0;
}

enum { INTERIM_MAX = 32 };

/* The head of the last answer; those of 1xx before it are skipped. What came behind it is early. */
static int read_head(struct http_pipe *p, struct http_framing *framing, struct err *err)
{
	struct http_response *r = &p->x->answer;
	size_t used = 0, heads = 0;
	bool end = false;
	for (;;) {
		struct http_response got;
		if (http_head_parse(p->early.data, p->early.len, &used, &got, framing, err) < 0)
			return err_wrap(err, "%s", p->x->name);
		if (used > 0) {
			http_response_done(r);
			*r = got;
			buf_consume(&p->early, used);
			if (r->status >= 200 || r->status == 101)
				break;
			if (++heads == INTERIM_MAX)
				return err_set(err, ERR_LIMIT,
					       "%s: more than %d answers that are none", p->x->name,
					       (int)INTERIM_MAX);
			continue;
		}
		if (end && p->early.len == 0) {
			err_set_message(err, ERR_UNREACHABLE, "%s: closed without an answer",
					p->x->name);
			err->retryable = true;
			return -1;
		}
		if (end)
			return err_set(err, ERR_CORRUPT, "%s: the head of the answer was cut",
				       p->x->name);
		if (read_more(p, &end, err) < 0)
			return -1;
	}
	p->x->head_done = true;
	return 0;
}

/* The body of a refusal: by chunks, by length, or to the end. */
static int read_refusal(struct http_pipe *p, const struct http_framing *f, struct err *err)
{
	struct http_chunks chunks = {0};
	struct buf *body = &p->x->answer.body;
	bool end = false;
	if (p->x->answer.status == 204 || p->x->answer.status == 304)
		return 0;
	for (;;) {
		size_t n = p->early.len;
		if (f->has_coding && f->chunked) {
			if (http_chunks_read(&chunks, p->early.data, n, body, err) < 0)
				return err_wrap(err, "%s", p->x->name);
		} else {
			if (!f->has_coding && f->has_length && n > f->length - body->len)
				n = (size_t)(f->length - body->len);
			if (buf_append(body, p->early.data, n, err) < 0)
				return err_wrap(err, "%s: the answer's body", p->x->name);
		}
		buf_reset(&p->early);
		bool framed = f->has_coding ? f->chunked : f->has_length;
		if (f->has_coding ? chunks.ended : f->has_length && body->len == f->length)
			return 0;
		if (end && framed)
			return err_set(err, ERR_CORRUPT, "%s: the answer was cut after %zu bytes",
				       p->x->name, body->len);
		if (end)
			return 0;
		if (read_more(p, &end, err) < 0)
			return -1;
	}
}

/* Up to the socket. */
static int open_socket(struct http_pipe *p, struct err *err)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	while (!p->x->done)
		if (http_exchange_step(p->x, err) < 0)
			return -1;
	if (p->x->rc != CURLE_OK || p->x->why.code != ERR_NONE)
		return http_exchange_error(p->x, err);
	if (curl_easy_getinfo(p->x->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return err_set(err, ERR_UNREACHABLE, "%s: the connection is gone", p->x->name);
	p->fd = fd;
	http_pipe_begin(p);
	return 0;
}

/* Of that client, for that host and no request. */
static int begin_connect(struct http *h, const char *host, uint16_t port,
			 struct http_exchange **ret, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	struct http_exchange *x;
	if (str_printf(&url, err, "http://%s:%u", host, (unsigned)port) < 0 ||
	    http_exchange_new(h, &(struct http_request){.method = "CONNECT", .url = url},
			      HTTP_UPLOAD_CONNECT, 0, &x, err) < 0)
		return -1;
	free(x->name);
	x->name = NULL;
	*ret = x;
	return str_printf(&x->name, err, "'%s' port %u", host, (unsigned)port);
}

int http_connect(struct http *h, const char *host, uint16_t port, int64_t timeout_ms,
		 struct http_pipe **ret, struct err *err)
{
	CLEANUP(http_pipe_freep)
	struct http_pipe *p = mem_zalloc(sizeof *p, "a connection", err);
	if (p == NULL || begin_connect(h, host, port, &p->x, err) < 0)
		return -1;
	if (timeout_ms > 0 && timeout_ms < INT32_MAX)
		curl_easy_setopt(p->x->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	if (open_socket(p, err) < 0)
		return -1;
	*ret = p;
	p = NULL;
	return 0;
}

int http_pipe_fd(const struct http_pipe *p)
{
	return p->fd;
}

int http_upgrade(struct http *h, const struct http_request *q, struct http_response *answer,
		 struct http_pipe **ret, struct err *err)
{
	*answer = (struct http_response){.body.max = HTTP_BODY_MAX};
	CLEANUP(http_pipe_freep)
	struct http_pipe *p = mem_zalloc(sizeof *p, "a connection", err);
	struct http_framing framing;
	if (p == NULL)
		return -1;
	buf_init(&p->early, HTTP_HEAD_MAX + (32 << 10));
	if (http_exchange_new(h, q, HTTP_UPLOAD_CONNECT, 0, &p->x, err) < 0 ||
	    open_socket(p, err) < 0 || send_request(p, q, err) < 0 ||
	    read_head(p, &framing, err) < 0)
		return -1;
	long status = p->x->answer.status;
	bool taken = status == 101 || status == 200;
	/* Then what comes is one body, and no pipe. */
	if (status == 200 && (framing.has_coding || framing.has_length))
		return err_set(err, ERR_CORRUPT, "%s: answered without handing over the connection",
			       p->x->name);
	if (!taken && read_refusal(p, &framing, err) < 0)
		return -1;
	*answer = p->x->answer;
	p->x->answer = (struct http_response){0};
	*ret = taken ? p : NULL;
	if (taken)
		p = NULL;
	return 0;
}

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/flow/http_impl.h"

/* ---- source ---- */

static int source_fn_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct http_exchange *x = self;
	if (x->rest_len > 0) {
		size_t n = x->rest_len < cap ? x->rest_len : cap;
		memcpy(buf, x->rest + x->rest_at, n);
		x->rest_at += n;
		x->rest_len -= n;
		*ret_n = n;
		return 0;
	}
	x->dest = buf;
	x->cap = cap;
	x->got = 0;
	int rc = http_exchange_resume(x, err);
	while (rc == 0 && x->got == 0 && !x->done)
		rc = http_exchange_step(x, err);
	x->dest = NULL;
	if (rc == 0 && x->got == 0)
		rc = http_exchange_verdict(x, err);
	if (rc < 0)
		return -1;
	*ret_n = x->got;
	return 0;
}

static void source_fn_free(void *self)
{
	http_exchange_free(self);
}

static const struct source_ops source_fns = {.read = source_fn_read, .free = source_fn_free};

int http_source(struct http *h, const struct http_request *q, struct http_response *answer,
		struct source **ret, struct err *err)
{
	*answer = (struct http_response){.body.max = HTTP_BODY_MAX};
	CLEANUP(http_exchange_freep) struct http_exchange *x = NULL;
	if (http_exchange_new(h, q, HTTP_UPLOAD_COPY, 0, &x, err) < 0)
		return -1;
	x->streams = true;
	while (!x->done && !x->head_done)
		if (http_exchange_step(x, err) < 0)
			return -1;
	bool success = x->head_done && x->answer.status / 100 == 2;
	if (!success && http_exchange_finish(x, err) < 0)
		return -1;
	struct http_response got = {
	    .status = x->answer.status, .headers = x->answer.headers, .body = x->answer.body};
	struct source *s = NULL;
	if (success) {
		struct http_exchange *taken = x;
		/* What is told later about the body needs the status and no more. */
		x->answer = (struct http_response){.status = got.status, .body.max = HTTP_BODY_MAX};
		x = NULL;
		if (source_new(&source_fns, taken, &s, err) < 0) {
			http_response_done(&got);
			return -1;
		}
	} else {
		x->answer = (struct http_response){0};
	}
	*answer = got;
	*ret = s;
	return 0;
}

/* ---- sink ---- */

struct http_sink {
	struct http_exchange *x;
	int64_t answer_ms;
	uint64_t length, sent;
	http_judge_fn *judge;
	void *ctx;
	struct buf late; /* what was still to be read when the connection was closed */
};

enum { LATE_MAX = HTTP_HEAD_MAX + (64 << 10), LATE_PIECE = 16 << 10 };

/* A server may answer and close while libcurl is sending: "broken pipe" is all that libcurl says
 * then, and the answer lies unread in the socket. */
static int on_close(void *self, curl_socket_t fd)
{
	struct http_sink *s = self;
	struct err ignored = ERR_INIT;
	while (!s->x->head_done && buf_reserve(&s->late, LATE_PIECE, &ignored) == 0) {
		ssize_t n = recv(fd, s->late.data + s->late.len, LATE_PIECE, MSG_DONTWAIT);
		if (n <= 0)
			break;
		s->late.len += (size_t)n;
	}
	return close(fd);
}

/* The answer in what came late, if there is one. */
static void read_late(struct http_sink *s)
{
	struct http_response r = {0};
	struct http_framing f;
	struct err ignored = ERR_INIT;
	size_t used = 0;
	while (r.status < 200) {
		http_response_done(&r);
		buf_consume(&s->late, used);
		if (http_head_parse(s->late.data, s->late.len, &used, &r, &f, &ignored) < 0 ||
		    used == 0)
			return;
	}
	struct http_chunks chunks = {0};
	const uint8_t *body = s->late.data + used;
	size_t len = s->late.len - used;
	if (f.has_length && len > f.length)
		len = (size_t)f.length;
	/* Of a body that is cut, what there is. */
	int rc = f.chunked ? http_chunks_read(&chunks, body, len, &r.body, &ignored)
			   : buf_append(&r.body, body, len, &ignored);
	(void)rc;
	http_response_done(&s->x->answer);
	s->x->answer = r;
	s->x->head_done = true;
}

/* The server has answered, or is gone, and not all of the body is sent. */
static int stopped(struct http_sink *s, struct err *err)
{
	struct http_exchange *x = s->x;
	struct err ignored = ERR_INIT;
	/* libcurl stops sending then, and waits for the rest of the answer. */
	while (x->head_done && x->answer.status >= 400 && !x->done)
		if (http_exchange_step(x, &ignored) < 0) {
			if (ignored.code != ERR_CANCELLED)
				break;
			*err = ignored;
			return -1;
		}
	if (!x->head_done)
		read_late(s);
	if (!x->head_done)
		return http_exchange_error(x, err);
	if (s->judge(s->ctx, &x->answer, err) < 0)
		return -1;
	return err_set(err, ERR_CLOSED, "%s: answered before all of the body was sent", x->name);
}

static int sink_fn_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct http_sink *s = self;
	struct http_exchange *x = s->x;
	if (len > s->length - s->sent)
		return err_set(err, ERR_FAILED, "%s: more than the %llu bytes that were announced",
			       x->name, (unsigned long long)s->length);
	x->out = data;
	x->out_len = len;
	int rc = http_exchange_resume(x, err);
	while (rc == 0 && x->out_len > 0 && !x->done && !x->head_done)
		rc = http_exchange_step(x, err);
	bool all = x->out_len == 0;
	x->out = NULL;
	x->out_len = 0;
	if (rc < 0)
		return -1;
	s->sent += len;
	/* The answer to the whole body is looked at when it is closed. */
	if (all && (s->sent == s->length || (!x->done && !x->head_done)))
		return 0;
	return stopped(s, err);
}

static int sink_fn_close(void *self, struct err *err)
{
	struct http_sink *s = self;
	struct http_exchange *x = s->x;
	if (s->length != UINT64_MAX && s->sent < s->length)
		return err_set(err, ERR_FAILED, "%s: %llu bytes of the %llu that were announced",
			       x->name, (unsigned long long)s->sent, (unsigned long long)s->length);
	x->out_end = true;
	if (s->answer_ms != 0)
		x->idle_ms = s->answer_ms;
	if (http_exchange_resume(x, err) < 0)
		return -1;
	int rc = http_exchange_finish(x, err);
	if (rc < 0 && !x->head_done)
		read_late(s);
	if (rc < 0 && !(x->done && x->head_done && x->answer.status >= 300))
		return -1;
	/* It said no, and broke off then: what it said counts. */
	struct err why = *err;
	if (s->judge(s->ctx, &x->answer, &why) < 0) {
		*err = why;
		return -1;
	}
	return rc;
}

static void sink_fn_free(void *self)
{
	struct http_sink *s = self;
	http_exchange_free(s->x);
	buf_done(&s->late);
	free(s);
}

static const struct sink_ops sink_fns = {
    .write = sink_fn_write, .close = sink_fn_close, .free = sink_fn_free};

int http_sink(struct http *h, const struct http_request *q, uint64_t length, http_judge_fn *judge,
	      void *ctx, struct sink **ret, struct err *err)
{
	struct http_sink *s = mem_zalloc(sizeof *s, "a sink", err);
	if (s == NULL)
		return -1;
	*s = (struct http_sink){
	    .length = length, .judge = judge, .ctx = ctx, .answer_ms = q->answer_ms};
	if (http_exchange_new(h, q, HTTP_UPLOAD_STREAM, length, &s->x, err) < 0) {
		free(s);
		return -1;
	}
	buf_init(&s->late, LATE_MAX);
	/* With TLS there is nothing to be read without libcurl. */
	if (strncasecmp(q->url, "http:", 5) == 0) {
		curl_easy_setopt(s->x->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
		curl_easy_setopt(s->x->easy, CURLOPT_CLOSESOCKETDATA, s);
		/* The connection must not live longer than what is called when it closes. */
		curl_easy_setopt(s->x->easy, CURLOPT_FORBID_REUSE, 1L);
	}
	return sink_new(&sink_fns, s, ret, err);
}

#include <stdlib.h>
#include <string.h>
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
	uint64_t length, sent;
	http_judge_fn *judge;
	void *ctx;
};

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
	if (x->head_done && s->length == UINT64_MAX)
		return stopped(s, err);
	x->out_end = true;
	if (http_exchange_resume(x, err) < 0)
		return -1;
	int rc = http_exchange_finish(x, err);
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
	*s = (struct http_sink){.length = length, .judge = judge, .ctx = ctx};
	if (http_exchange_new(h, q, HTTP_UPLOAD_STREAM, length, &s->x, err) < 0) {
		free(s);
		return -1;
	}
	return sink_new(&sink_fns, s, ret, err);
}

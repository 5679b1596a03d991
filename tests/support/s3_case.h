/* A scripted S3 server and a client of it. */
#ifndef LIFEBOAT_TESTS_S3_CASE_H
#define LIFEBOAT_TESTS_S3_CASE_H

#include <stdio.h>
#include <string.h>
#include "storage/s3/s3.h"
#include "tests/support/fake_http.h"

enum { S3_CASE_REPLIES = 24, S3_CASE_REPLY_BYTES = 4096 };

struct s3_case {
	struct fake_http fake;
	struct fake_reply replies[S3_CASE_REPLIES];
	char texts[S3_CASE_REPLIES][S3_CASE_REPLY_BYTES];
	size_t count;
	struct s3 *s3;
	struct err err;
};

/* The next answer: status line without "HTTP/1.1 ", headers with their line ends, body. */
static inline struct fake_reply *s3_says(struct s3_case *c, const char *status, const char *headers,
					 const char *body)
{
	assert_true(c->count < S3_CASE_REPLIES);
	char *text = c->texts[c->count];
	int n =
	    snprintf(text, S3_CASE_REPLY_BYTES, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		     status, headers, strlen(body), body);
	assert_in_range(n, 0, S3_CASE_REPLY_BYTES - 1);
	struct fake_reply *r = &c->replies[c->count++];
	*r = (struct fake_reply){.bytes = text};
	return r;
}

/* Of a HEAD, whose length is not that of a body. */
static inline void s3_says_head(struct s3_case *c, const char *status, const char *headers)
{
	assert_true(c->count < S3_CASE_REPLIES);
	char *text = c->texts[c->count];
	snprintf(text, S3_CASE_REPLY_BYTES,
		 "HTTP/1.1 %s\r\nLast-Modified: Mon, 23 Nov 2026 11:00:00 GMT\r\n%s\r\n", status,
		 headers);
	c->replies[c->count++] = (struct fake_reply){.bytes = text};
}

/* With the answers so far. */
static inline void s3_case_start(struct s3_case *c, const struct store_opts *more)
{
	struct store_opts o = more != NULL ? *more : (struct store_opts){0};
	char *where = NULL;
	fake_http_start(&c->fake, c->replies, c->count, NULL);
	o.url = o.url != NULL ? o.url : "s3://bucket/pre";
	o.endpoint = c->fake.url;
	o.access_key = "AK";
	o.secret_key = "SK";
	o.proxy = "";
	o.retries = o.retries > 0 ? o.retries : 2;
	if (s3_open(&o, &c->s3, &where, &c->err) < 0)
		fail_msg("%s", c->err.msg);
	free(where);
	c->s3->retry_base_ms = 1;
}

static inline void s3_case_stop(struct s3_case *c)
{
	s3_free(c->s3);
	fake_http_stop(&c->fake);
}

static inline void s3_case_failed(const struct s3_case *c, enum err_code code, const char *text)
{
	if (c->err.code != code || strstr(c->err.msg, text) == NULL)
		fail_msg("%s: '%s', and not %s: '%s'", err_code_name(c->err.code), c->err.msg,
			 err_code_name(code), text);
}

/* How often a request with this beginning came. */
static inline unsigned s3_case_asked(const struct s3_case *c, const char *line)
{
	unsigned times = 0;
	for (const char *at = c->fake.heads; (at = strstr(at, line)) != NULL; at++)
		times++;
	return times;
}

#endif

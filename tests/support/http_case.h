/* A fake server and a client of it, for the tests of HTTP. */
#ifndef LIFEBOAT_TESTS_HTTP_CASE_H
#define LIFEBOAT_TESTS_HTTP_CASE_H

#include <stdio.h>
#include <string.h>
#include "base/flow/http.h"
#include "tests/support/fake_http.h"

struct http_case {
	struct fake_http fake;
	struct http *client;
	struct http_response r;
	struct err err;
	char url[256];
};

static inline void http_case_start(struct http_case *c, const struct fake_reply *replies,
				   size_t count, const char *unix_path)
{
	err_clear(&c->err);
	fake_http_start(&c->fake, replies, count, unix_path);
	struct http_opts o = {.connect_timeout_ms = 5000, .unix_socket = unix_path};
	assert_int_equal(http_open(&o, &c->client, &c->err), 0);
}

static inline void http_case_stop(struct http_case *c)
{
	http_response_done(&c->r);
	http_free(c->client);
	fake_http_stop(&c->fake);
}

static inline struct http_request http_case_ask(struct http_case *c, const char *method,
						const char *path)
{
	snprintf(c->url, sizeof c->url, "%s%s", c->fake.url, path);
	return (struct http_request){.method = method, .url = c->url, .idle_ms = 20000};
}

/* Code and end of the message: the beginning has the port. Behind a '*' libcurl goes on in words
 * that differ from version to version. */
static inline void http_case_failed(const struct http_case *c, enum err_code code,
				    const char *ending)
{
	size_t all = strlen(c->err.msg), tail = strlen(ending);
	bool fits = all >= tail && strcmp(c->err.msg + all - tail, ending) == 0;
	if (tail > 0 && ending[tail - 1] == '*') {
		char text[256];
		snprintf(text, sizeof text, "%.*s", (int)tail - 1, ending);
		const char *at = strstr(c->err.msg, text);
		fits = at != NULL && at[strlen(text)] != '\0';
	}
	if (c->err.code != code || !fits)
		fail_msg("%s: '%s', and not %s: '…%s'", err_code_name(c->err.code), c->err.msg,
			 err_code_name(code), ending);
}

#endif

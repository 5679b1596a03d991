/* HTTP when memory runs out at every single point: of our own code, and of libcurl's. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/flow/http_impl.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/fake_http.h"

enum { MOST = 20000 };

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"

static struct fake_http fake;
static bool strict; /* libcurl's own memory does not run out */

/* Work that says 0 when it did all that it should. */
typedef int work_fn(struct err *err);

static int wrong(struct err *err)
{
	return err_set(err, ERR_FAILED, "wrong");
}

static int open_client(struct http **ret, struct http_request *q, struct err *err)
{
	static const char *const headers[] = {"X-B: 1", "X-Empty:", NULL};
	struct http_opts o = {.ca_file = "/nowhere", .connect_timeout_ms = 20000};
	*q = (struct http_request){.method = "PUT", .url = fake.url, .headers = headers};
	q->body = "some";
	q->body_bytes = 4;
	q->idle_ms = 20000;
	return http_open(&o, ret, err);
}

static int work_call(struct err *err)
{
	CLEANUP(http_freep) struct http *h = NULL;
	CLEANUP(http_response_done) struct http_response r = {0};
	struct http_request q;
	if (open_client(&h, &q, err) < 0 || http_call(h, &q, &r, err) < 0)
		return -1;
	http_response_done(&r);
	if (http_call(h, &q, &r, err) < 0)
		return -1;
	return strcmp(buf_text(&r.body), "hello") == 0 && r.headers.count == 2 ? 0 : wrong(err);
}

static int work_source(struct err *err)
{
	CLEANUP(http_freep) struct http *h = NULL;
	CLEANUP(source_freep) struct source *s = NULL;
	CLEANUP(http_response_done) struct http_response r = {0};
	struct http_request q;
	uint8_t b[3];
	size_t n = 1;
	if (open_client(&h, &q, err) < 0 || http_source(h, &q, &r, &s, err) < 0)
		return -1;
	while (n > 0)
		if (source_read(s, b, sizeof b, &n, err) < 0)
			return -1;
	return source_bytes(s) == 5 && r.headers.count == 2 ? 0 : wrong(err);
}

static int judge(void *ctx, const struct http_response *answer, struct err *err)
{
	(void)ctx;
	return strcmp(buf_text(&answer->body), "hello") == 0 ? 0 : wrong(err);
}

static int work_sink(struct err *err)
{
	CLEANUP(http_freep) struct http *h = NULL;
	CLEANUP(sink_freep) struct sink *s = NULL;
	struct http_request q;
	if (open_client(&h, &q, err) < 0 ||
	    http_sink(h, &q, UINT64_MAX, judge, NULL, &s, err) < 0 ||
	    sink_write(s, "hello", 5, err) < 0 || sink_write(s, "world", 5, err) < 0)
		return -1;
	return sink_close(s, err);
}

static int work_pipe(struct err *err)
{
	CLEANUP(http_freep) struct http *h = NULL;
	CLEANUP(http_pipe_freep) struct http_pipe *p = NULL;
	CLEANUP(http_response_done) struct http_response r = {0};
	struct http_request q;
	if (open_client(&h, &q, err) < 0)
		return -1;
	int rc = http_upgrade(h, &q, &r, &p, err);
	if (rc == 0)
		return p != NULL ? 0 : wrong(err);
	return rc;
}

static void run_one(work_fn *work, bool once, unsigned n)
{
	struct err err = ERR_INIT;
	if (once)
		fail_alloc_once_at(n);
	else
		fail_alloc_at(n);
	int rc = work(&err);
	fail_alloc_off();
	if (rc < 0 && strcmp(err.msg, "wrong") == 0)
		fail_msg("allocation %u: a wrong answer", n);
	if (rc < 0 && (err.msg[0] == '\0' || !fail_alloc_hit()))
		fail_msg("allocation %u: '%s'", n, err.msg);
	/* libcurl has other words for it in places, and does without in others. */
	if (strict && rc < 0 && err.code != ERR_NOMEM)
		fail_msg("allocation %u: %s", n, err.msg);
	if (strict && !once)
		assert_int_equal(rc == 0, !fail_alloc_hit());
}

static void sweep(work_fn *work, const struct fake_reply *reply, unsigned at_least)
{
	fake_http_start(&fake, reply, 1, NULL);
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		do
			run_one(work, once == 1, n);
		while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, at_least, MOST - 1);
	}
	fake_http_stop(&fake);
}

static const struct fake_reply hello = {.bytes = HELLO};
static const struct fake_reply taken = {
    .bytes = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nhello", .then = FAKE_DISCARD};

static void http__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	strict = true;
	sweep(work_call, &hello, 15);
	sweep(work_source, &hello, 10);
	sweep(work_sink, &hello, 10);
	sweep(work_pipe, &taken, 10);
}

static char *copy_text(const char *text)
{
	char *copy = malloc(strlen(text) + 1);
	return copy != NULL ? memcpy(copy, text, strlen(text) + 1) : NULL;
}

static void http__libcurls_memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	strict = false;
	/* It allocates by way of ours from here on. */
	assert_int_equal(
	    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, copy_text, calloc),
	    CURLE_OK);
	sweep(work_call, &hello, 60);
	sweep(work_source, &hello, 50);
	sweep(work_sink, &hello, 50);
	sweep(work_pipe, &taken, 50);
	curl_global_cleanup();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(http__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(http__libcurls_memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* HTTP against a server that says what it is told: answers, streams both ways, taken connections.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/flow/http.h"
#include "tests/support/fake_http.h"
#include "tests/support/temp_dir.h"

static struct fake_http fake;
static struct http *client;
static struct err err;
static char url[256];

static const char *at(const char *path)
{
	snprintf(url, sizeof url, "%s%s", fake.url, path);
	return url;
}

static void start(const struct fake_reply *replies, size_t count)
{
	fake_http_start(&fake, replies, count, NULL);
	err_clear(&err);
	assert_int_equal(http_open(&(struct http_opts){.connect_timeout_ms = 5000}, &client, &err),
			 0);
}

static void stop(void)
{
	http_free(client);
	client = NULL;
	fake_http_stop(&fake);
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
#define OK_CHUNKS                                                                                  \
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: "                                                   \
	"chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such"

static void call__length_and_chunks__whole_answers_over_one_connection(void **state)
{
	(void)state;
	struct http_response r;
	start((const struct fake_reply[]){{.bytes = OK_HELLO},
					  {.bytes = OK_CHUNKS, .piece = 1},
					  {.bytes = NOT_FOUND}},
	      3);
	struct http_request q = {.method = "GET", .url = at("/a?b")};
	static const long status[] = {200, 200, 404};
	static const char *const body[] = {"hello", "hello", "no such"};
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http_call(client, &q, &r, &err), 0);
		assert_int_equal(r.status, status[i]);
		assert_string_equal(buf_text(&r.body), body[i]);
		if (i == 0) {
			assert_string_equal(http_header(&r, "x-a"), "1");
			assert_null(http_header(&r, "x"));
			assert_int_equal(r.headers.count, 2);
		}
		http_response_done(&r);
	}
	stop();
	assert_int_equal(fake.connects, 1);
	assert_non_null(strstr(fake.heads, "GET /a?b HTTP/1.1\r\n"));
}

static void source__success__streams_to_a_vouched_end(void **state)
{
	(void)state;
	struct http_response r;
	struct source *s = NULL;
	uint8_t b[100];
	size_t n;
	start((const struct fake_reply[]){{.bytes = OK_CHUNKS}}, 1);
	struct http_request q = {.method = "GET", .url = at("/")};
	assert_int_equal(http_source(client, &q, &r, &s, &err), 0);
	assert_int_equal(r.status, 200);
	assert_non_null(s);
	assert_int_equal(source_read_full(s, b, sizeof b, &n, &err), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(b, "hello", 5);
	source_free(s);
	http_response_done(&r);
	stop();
}

static int judge_2xx(void *ctx, const struct http_response *answer, struct err *e)
{
	*(long *)ctx = answer->status;
	return answer->status / 100 == 2 ? 0
					 : err_set(e, ERR_ABSENT, "%s", buf_text(&answer->body));
}

static void sink__chunked__server_gets_every_byte(void **state)
{
	(void)state;
	struct sink *s = NULL;
	long status = 0;
	start((const struct fake_reply[]){{.bytes = OK_HELLO}}, 1);
	struct http_request q = {.method = "PUT", .url = at("/x")};
	assert_int_equal(http_sink(client, &q, UINT64_MAX, judge_2xx, &status, &s, &err), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sink_write(s, "0123456789", 10, &err), 0);
	assert_int_equal(sink_close(s, &err), 0);
	assert_int_equal(status, 200);
	sink_free(s);
	stop();
	assert_int_equal(fake.body_bytes, 1000);
	assert_int_equal(fake.whole, 1);
}

static void upgrade__bytes_behind_the_head__are_the_first(void **state)
{
	(void)state;
	struct http_response r;
	struct http_pipe *p = NULL;
	char got[100];
	size_t sent = 0, n = 0, total = 0;
	bool end = false;
	start(
	    (const struct fake_reply[]){
		{.bytes = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nearly ",
		 .then = FAKE_ECHO}},
	    1);
	struct http_request q = {
	    .method = "POST", .url = at("/exec"), .body = "{}", .body_bytes = 2};
	assert_int_equal(http_upgrade(client, &q, &r, &p, &err), 0);
	assert_int_equal(r.status, 101);
	assert_non_null(p);
	assert_int_equal(
	    http_pipe_move(p, "echo ", 5, &sent, got, 100, &n, &end, deadline_in(5000), &err), 0);
	total = n;
	assert_int_equal(sent, 5);
	assert_int_equal(http_pipe_shut(p, &err), 0);
	while (!end) {
		assert_int_equal(http_pipe_move(p, NULL, 0, &sent, got + total, 100 - total, &n,
						&end, deadline_in(5000), &err),
				 0);
		total += n;
	}
	assert_int_equal(total, 14);
	assert_memory_equal(got, "early echo bye", 14);
	http_pipe_free(p);
	http_response_done(&r);
	stop();
	assert_memory_equal(fake.body, "{}", 2);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(call__length_and_chunks__whole_answers_over_one_connection),
	    cmocka_unit_test(source__success__streams_to_a_vouched_end),
	    cmocka_unit_test(sink__chunked__server_gets_every_byte),
	    cmocka_unit_test(upgrade__bytes_behind_the_head__are_the_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Connections that are taken over, from a server that says what it is told. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/flow/http_impl.h"
#include "tests/support/http_case.h"
#include "tests/support/temp_dir.h"

#define TAKEN "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

static struct http_case c;

static struct http_pipe *open_pipe(void)
{
	struct http_pipe *p = NULL;
	struct http_request q = http_case_ask(&c, "POST", "/exec/1/start?x=y");
	q.body = "{}";
	q.body_bytes = 2;
	http_response_done(&c.r);
	if (http_upgrade(c.client, &q, &c.r, &p, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	return p;
}

/* All that comes, as a string, to the end. */
static const char *read_all(struct http_pipe *p)
{
	static char got[1000];
	size_t n, sent, total = 0;
	bool end = false;
	while (!end) {
		if (http_pipe_move(p, NULL, 0, &sent, got + total, 7, &n, &end, deadline_in(20000),
				   &c.err) < 0)
			fail_msg("%s", c.err.msg);
		total += n;
		assert_true(total < sizeof got - 7);
	}
	got[total] = '\0';
	return got;
}

static void upgrade__bytes_behind_the_head__are_the_first(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = TAKEN "some early bytes, ", .then = FAKE_ECHO},
	    {.bytes = "HTTP/1.1 100 Continue\r\n\r\n" TAKEN "early, ",
	     .piece = 1,
	     .then = FAKE_ECHO},
	    {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
	     .then = FAKE_ECHO}};
	static const char *const expected[] = {"some early bytes, echo,bye", "early, echo,bye",
					       "echo,bye"};
	http_case_start(&c, replies, 3, NULL);
	for (int i = 0; i < 3; i++) {
		size_t sent = 0, got = 9;
		bool end = true;
		struct http_pipe *p = open_pipe();
		assert_non_null(p);
		assert_int_equal(c.r.status, i < 2 ? 101 : 200);
		assert_int_equal(c.r.body.len, 0);
		assert_int_equal(http_pipe_move(p, "echo,", 5, &sent, NULL, 0, &got, &end,
						deadline_in(20000), &c.err),
				 0);
		assert_int_equal(sent, 5);
		assert_int_equal(got, 0);
		assert_false(end);
		assert_int_equal(http_pipe_shut(p, &c.err), 0);
		assert_string_equal(read_all(p), expected[i]);
		assert_string_equal(read_all(p), "");
		http_pipe_free(p);
	}
	http_case_stop(&c);
	assert_non_null(
	    strstr(c.fake.heads, "POST /exec/1/start?x=y HTTP/1.1\r\nHost: 127.0.0.1:"));
	assert_non_null(strstr(c.fake.heads, "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"));
	assert_int_equal(c.fake.body_bytes, 6);
	assert_memory_equal(c.fake.body, "{}{}{}", 6);
}

/* More than any socket holds, both ways at once. */
static void pipe__much_both_ways__nothing_is_lost(void **state)
{
	(void)state;
	enum { BYTES = 3 << 20, PIECE = 50000 };
	struct temp_dir dir;
	temp_dir_make(&dir);
	static const struct fake_reply replies[] = {{.bytes = TAKEN, .then = FAKE_ECHO}};
	http_case_start(&c, replies, 1, temp_dir_in(&dir, "s"));
	struct http_pipe *p = open_pipe();
	uint8_t *out = malloc(BYTES), *in = malloc(PIECE);
	for (size_t i = 0; i < BYTES; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	size_t sent = 0, received = 0;
	while (received < BYTES + 3) {
		size_t n_out = 0, n_in = 0, left = BYTES - sent;
		bool end;
		if (http_pipe_move(p, out + sent, left < PIECE ? left : PIECE, &n_out, in, PIECE,
				   &n_in, &end, deadline_in(20000), &c.err) < 0)
			fail_msg("%s", c.err.msg);
		if (left > 0 && n_out == left)
			assert_int_equal(http_pipe_shut(p, &c.err), 0);
		for (size_t i = 0; i < n_in && received + i < BYTES; i++)
			if (in[i] != out[received + i])
				fail_msg("byte %zu", received + i);
		sent += n_out;
		received += n_in;
		assert_true(n_in > 0 || n_out > 0);
	}
	assert_string_equal(read_all(p), "");
	http_pipe_free(p);
	http_case_stop(&c);
	temp_dir_remove(&dir);
	free(out);
	free(in);
}

static void upgrade__refused__whole_body_and_no_pipe(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such and more"},
	    {.bytes = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3;a=b\r\nno \r\n04\r\nsuch\r\n0\r\nX-T: 1\r\n\r\n",
	     .piece = 1},
	    {.bytes = "HTTP/1.1 404 Not Found\r\n\r\nno such", .then = FAKE_CLOSE},
	    {.bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such",
	     .early = true,
	     .then = FAKE_CLOSE}};
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		http_case_start(&c, &replies[i], 1, NULL);
		assert_null(open_pipe());
		assert_int_equal(c.r.status, 404);
		assert_string_equal(buf_text(&c.r.body), "no such");
		http_case_stop(&c);
	}
}

/* The server is gone before all of the request is sent, and had said why. */
static void upgrade__refused_before_the_body_was_read__still_hears_it(void **state)
{
	(void)state;
	enum { BYTES = 8 << 20 };
	static const struct fake_reply reply = {
	    .bytes = "HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n\r\nno such",
	    .early = true,
	    .then = FAKE_CLOSE};
	struct temp_dir dir;
	struct http_pipe *p = NULL;
	char *body = calloc(1, BYTES);
	temp_dir_make(&dir);
	http_case_start(&c, &reply, 1, temp_dir_in(&dir, "s"));
	struct http_request q = http_case_ask(&c, "POST", "/");
	q.body = body;
	q.body_bytes = BYTES;
	if (http_upgrade(c.client, &q, &c.r, &p, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	assert_null(p);
	assert_int_equal(c.r.status, 413);
	assert_string_equal(buf_text(&c.r.body), "no such");
	http_case_stop(&c);
	temp_dir_remove(&dir);
	free(body);
}

static void upgrade__answers_that_are_none__named_for_what_they_are(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		enum err_code code;
		const char *ending;
	} cases[] = {
	    {"", ERR_UNREACHABLE, "/': closed without an answer"},
	    {"HTTP/1.1 101 UP", ERR_CORRUPT, "/': the head of the answer was cut"},
	    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", ERR_CORRUPT,
	     "/': 'SSH-2.0-OpenSSH_9.2' is no answer of HTTP/1.1"},
	    {"HTTP/1.1 101 U\nX: y\r\n\r\n", ERR_CORRUPT,
	     "/': the answer's head has the byte 0x0a at 14"},
	    {"HTTP/1.1 101 U\r\nX: y\r\n z\r\n\r\n", ERR_CORRUPT,
	     "/': the answer's head has a line that is no header"},
	    {"HTTP/1.1 101 U\r\nno colon\r\n\r\n", ERR_CORRUPT,
	     "/': the answer's head has a line that is no header"},
	    {"HTTP/1.1 1010\r\n\r\n", ERR_CORRUPT, "/': 'HTTP/1.1 1010' is no answer of HTTP/1.1"},
	    {"HTTP/2.0 101 U\r\n\r\n", ERR_CORRUPT,
	     "/': 'HTTP/2.0 101 U' is no answer of HTTP/1.1"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ERR_CORRUPT,
	     "/': answered without handing over the connection"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ERR_CORRUPT,
	     "/': answered without handing over the connection"},
	    {"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nno such", ERR_CORRUPT,
	     "/': the answer was cut after 7 bytes"},
	    {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n", ERR_CORRUPT,
	     "/': the answer was cut after 3 bytes"},
	    {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno such", ERR_CORRUPT,
	     "/': the answer's body has a chunk longer than its size"},
	    {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nno such", ERR_CORRUPT,
	     "/': the answer's body has a chunk without a size"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_pipe *p = NULL;
		struct fake_reply reply = {.bytes = cases[i].bytes, .then = FAKE_CLOSE};
		http_case_start(&c, &reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "GET", "/");
		if (http_upgrade(c.client, &q, &c.r, &p, &c.err) == 0)
			fail_msg("accepted: %s", cases[i].bytes);
		http_case_failed(&c, cases[i].code, cases[i].ending);
		assert_null(p);
		http_case_stop(&c);
	}
}

static void upgrade__heads_without_end__are_a_limit(void **state)
{
	(void)state;
	enum { BYTES = 70000 };
	char *text = malloc(BYTES);
	memset(text, 'x', BYTES);
	memcpy(text, "HTTP/1.1 101 U", 14);
	struct fake_reply reply = {.bytes = text, .len = BYTES, .then = FAKE_CLOSE};
	struct http_pipe *p = NULL;
	http_case_start(&c, &reply, 1, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	assert_int_equal(http_upgrade(c.client, &q, &c.r, &p, &c.err), -1);
	http_case_failed(&c, ERR_LIMIT, "/': the answer's head is longer than 65536 bytes");
	http_case_stop(&c);
	static const char none[] = "HTTP/1.1 100 Continue\r\n\r\n";
	reply.len = 0;
	for (size_t n = 0; n + sizeof none < BYTES; n += sizeof none - 1, reply.len = n)
		memcpy(text + n, none, sizeof none);
	http_case_start(&c, &reply, 1, NULL);
	q = http_case_ask(&c, "GET", "/");
	assert_int_equal(http_upgrade(c.client, &q, &c.r, &p, &c.err), -1);
	http_case_failed(&c, ERR_LIMIT, "/': more than 32 answers that are none");
	http_case_stop(&c);
	free(text);
}

static void upgrade__url_with_a_user__is_refused(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = TAKEN}};
	struct http_pipe *p = NULL;
	http_case_start(&c, replies, 1, NULL);
	char url[100];
	snprintf(url, sizeof url, "http://u:p@%.60s/", c.fake.url + 7);
	struct http_request q = {.method = "GET", .url = url};
	assert_int_equal(http_upgrade(c.client, &q, &c.r, &p, &c.err), -1);
	http_case_failed(&c, ERR_CONFIG, "/': a user in the url of a connection to take over");
	http_case_stop(&c);
}

static void pipe__silence_and_closed_ends__say_so(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = TAKEN, .then = FAKE_DEAF}, {.bytes = TAKEN "last words", .then = FAKE_CLOSE}};
	struct temp_dir dir;
	temp_dir_make(&dir);
	uint8_t b[100];
	size_t sent = 0, got = 0;
	bool end = false;
	http_case_start(&c, replies, 2, temp_dir_in(&dir, "s"));
	struct http_pipe *p = open_pipe();
	assert_int_equal(
	    http_pipe_move(p, NULL, 0, &sent, b, sizeof b, &got, &end, deadline_in(30), &c.err),
	    -1);
	http_case_failed(&c, ERR_TIMEOUT, "start': timed out");
	http_pipe_free(p);
	/* With nothing to do it does not wait. */
	p = open_pipe();
	assert_int_equal(
	    http_pipe_move(p, NULL, 0, &sent, NULL, 0, &got, &end, DEADLINE_NEVER, &c.err), 0);
	assert_false(end);
	/* What was said before it closed comes first, then its end, then that it takes no more. */
	assert_string_equal(read_all(p), "last words");
	int rc = 0;
	for (int i = 0; rc == 0 && i < 1000; i++)
		rc = http_pipe_move(p, "x", 1, &sent, b, sizeof b, &got, &end, deadline_in(20000),
				    &c.err);
	http_case_failed(&c, ERR_CLOSED, "start': the other side takes no more");
	http_pipe_free(p);
	http_case_stop(&c);
	temp_dir_remove(&dir);
}

/* A program that ends without reading its input: its output is whole on a Unix socket, and may not
 * be on TCP. */
static void pipe__closed_with_bytes_unread__ends_on_unix_and_breaks_on_tcp(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = TAKEN "output", .then = FAKE_DEAF}};
	static const uint8_t input[1000];
	struct temp_dir dir;
	temp_dir_make(&dir);
	for (int tcp = 0; tcp < 2; tcp++) {
		uint8_t b[10];
		size_t sent, got = 0;
		bool end = false;
		http_case_start(&c, replies, 1, tcp ? NULL : temp_dir_in(&dir, "s"));
		struct http_pipe *p = open_pipe();
		assert_int_equal(http_pipe_move(p, input, sizeof input, &sent, NULL, 0, &got, &end,
						deadline_in(20000), &c.err),
				 0);
		assert_int_equal(sent, sizeof input);
		fake_http_stop(&c.fake);
		if (tcp) {
			while (http_pipe_move(p, NULL, 0, &sent, b, sizeof b, &got, &end,
					      deadline_in(20000), &c.err) == 0)
				assert_false(end);
			http_case_failed(&c, ERR_CORRUPT,
					 "start': the answer was cut: Recv failure: Connection "
					 "reset by peer");
		} else {
			assert_string_equal(read_all(p), "output");
		}
		http_pipe_free(p);
		http_response_done(&c.r);
		http_free(c.client);
	}
	temp_dir_remove(&dir);
}

/* The last one: nothing waits any more after that. */
static void pipe__cancelled__ends_at_once(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = TAKEN, .then = FAKE_DEAF}};
	uint8_t b[10];
	size_t sent, got;
	bool end;
	http_case_start(&c, replies, 1, NULL);
	struct http_pipe *p = open_pipe();
	cancel_request(SIGTERM);
	assert_int_equal(
	    http_pipe_move(p, NULL, 0, &sent, b, sizeof b, &got, &end, DEADLINE_NEVER, &c.err), -1);
	http_case_failed(&c, ERR_CANCELLED, "start': cancelled by SIGTERM");
	http_pipe_free(p);
	http_case_stop(&c);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(upgrade__bytes_behind_the_head__are_the_first),
	    cmocka_unit_test(pipe__much_both_ways__nothing_is_lost),
	    cmocka_unit_test(upgrade__refused__whole_body_and_no_pipe),
	    cmocka_unit_test(upgrade__refused_before_the_body_was_read__still_hears_it),
	    cmocka_unit_test(upgrade__answers_that_are_none__named_for_what_they_are),
	    cmocka_unit_test(upgrade__heads_without_end__are_a_limit),
	    cmocka_unit_test(upgrade__url_with_a_user__is_refused),
	    cmocka_unit_test(pipe__silence_and_closed_ends__say_so),
	    cmocka_unit_test(pipe__closed_with_bytes_unread__ends_on_unix_and_breaks_on_tcp),
	    cmocka_unit_test(pipe__cancelled__ends_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whole answers, from a server that says what it is told. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/http_case.h"
#include "tests/support/temp_dir.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
#define OK_CHUNKS                                                                                  \
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: "                                                   \
	"chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such"

static struct http_case c;

static int call(const struct http_request *q)
{
	http_response_done(&c.r);
	return http_call(c.client, q, &c.r, &c.err);
}

static void answered(const struct http_request *q, long status, const char *body)
{
	if (call(q) < 0)
		fail_msg("%s", c.err.msg);
	assert_int_equal(c.r.status, status);
	assert_string_equal(buf_text(&c.r.body), body);
}

static void call__length_and_chunks__whole_answers_over_one_connection(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = OK_HELLO}, {.bytes = OK_CHUNKS, .piece = 1}, {.bytes = NOT_FOUND}};
	http_case_start(&c, replies, 3, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/a/../%2f?b=c");
	answered(&q, 200, "hello");
	assert_string_equal(http_header(&c.r, "x-a"), "1");
	assert_null(http_header(&c.r, "x"));
	assert_int_equal(c.r.headers.count, 2);
	assert_string_equal(c.r.headers.items[1], "X-A: 1");
	answered(&q, 200, "hello");
	answered(&q, 404, "no such");
	http_case_stop(&c);
	assert_int_equal(c.fake.connects, 1);
	/* The path as it was given. */
	assert_non_null(strstr(c.fake.heads, "GET /a/../%2f?b=c HTTP/1.1\r\n"));
}

static void retry_after__seconds_or_a_date__is_told(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		int64_t least, most;
	} cases[] = {
	    {"Retry-After: 120", 120000, 120000},
	    {"retry-after: 0", 0, 0},
	    {"Retry-After: -5", 0, 0},
	    {"Retry-After: soon", 0, 0},
	    {"Retry-After: ", 0, 0},
	    {"Retry-After: 99999999999999999999", INT64_C(2147483647000), INT64_C(2147483647000)},
	    {"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", 0, 0},
	    {"Retry-After: Fri, 31 Dec 2100 23:59:59 GMT", 1, INT64_C(2147483647000)},
	    {"X: 7", 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_response r = {0};
		struct err err = ERR_INIT;
		assert_int_equal(strlist_push(&r.headers, cases[i].header, &err), 0);
		assert_in_range(http_retry_after_ms(&r), cases[i].least, cases[i].most);
		http_response_done(&r);
	}
}

static void call__unix_socket__goes_there(void **state)
{
	(void)state;
	struct temp_dir dir;
	temp_dir_make(&dir);
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO}};
	http_case_start(&c, replies, 1, temp_dir_in(&dir, "s"));
	/* No proxy is asked for what is on this machine. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	struct http_request q = http_case_ask(&c, "GET", "/");
	answered(&q, 200, "hello");
	unsetenv("http_proxy");
	http_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "Host: fake\r\n"));
	temp_dir_remove(&dir);
}

static void call__proxy__is_asked_or_not_as_told(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = {.method = "GET", .url = "http://far.invalid/a", .idle_ms = 20000};
	struct http_opts o = {.proxy = c.fake.url};
	http_free(c.client);
	assert_int_equal(http_open(&o, &c.client, &c.err), 0);
	answered(&q, 200, "hello");
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	o.proxy = "";
	http_free(c.client);
	assert_int_equal(http_open(&o, &c.client, &c.err), 0);
	q = http_case_ask(&c, "GET", "/b");
	answered(&q, 200, "hello");
	unsetenv("http_proxy");
	http_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "GET http://far.invalid/a HTTP/1.1\r\n"));
	assert_non_null(strstr(c.fake.heads, "GET /b HTTP/1.1\r\n"));
}

static void call__stopped__is_cancelled(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO, .pause_ms = 5000}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	q.stop_fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_CANCELLED, "/': stopped");
	close(q.stop_fd);
	http_case_stop(&c);
}

static void call__methods_and_bodies__are_sent_as_given(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, {.bytes = OK_HELLO}};
	static const char *const headers[] = {"Content-Type: text/x", "X-Empty:", "X-B:  2", NULL};
	http_case_start(&c, replies, 2, NULL);
	struct http_request q = http_case_ask(&c, "HEAD", "/h");
	answered(&q, 200, "");
	q = http_case_ask(&c, "POST", "/p");
	answered(&q, 200, "hello");
	q.body = "a\0b";
	q.body_bytes = 3;
	q.headers = headers;
	answered(&q, 200, "hello");
	q.method = "PROPFIND";
	answered(&q, 200, "hello");
	http_case_stop(&c);
	const char *post = strstr(c.fake.heads, "POST /p HTTP/1.1\r\n");
	const char *second = strstr(post + 1, "POST /p HTTP/1.1\r\n");
	const char *found = strstr(second, "PROPFIND /p HTTP/1.1\r\n");
	assert_non_null(found);
	const char *empty = strstr(post, "Content-Length: 0\r\n");
	assert_true(empty != NULL && empty < second);
	assert_true(strstr(post, "Content-Type: ") > second);
	assert_true(strstr(second, "Content-Type: text/x\r\n") < found);
	assert_true(strstr(second, "X-Empty:\r\n") < found);
	assert_null(strstr(c.fake.heads, "form-urlencoded"));
	assert_int_equal(c.fake.body_bytes, 6);
	assert_memory_equal(c.fake.body, "a\0ba\0b", 6);
}

static void call__large_body__arrives_whole(void **state)
{
	(void)state;
	enum { BYTES = 3 << 20 };
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "PUT", "/");
	q.body = calloc(1, BYTES);
	q.body_bytes = BYTES;
	answered(&q, 200, "hello");
	free((void *)(uintptr_t)q.body);
	http_case_stop(&c);
	assert_int_equal(c.fake.body_bytes, BYTES);
	assert_int_equal(c.fake.whole, 1);
}

static void call__interim_answers_and_redirects__last_answer_as_it_is(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = "HTTP/1.1 103 Early Hints\r\nX-E: 1\r\n\r\n" OK_HELLO},
	    {.bytes = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"},
	    {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: "
		      "1\r\n\r\n"},
	    {.bytes = "HTTP/1.1 204 No Content\r\n\r\n"}};
	http_case_start(&c, replies, 4, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	answered(&q, 200, "hello");
	assert_null(http_header(&c.r, "X-E"));
	answered(&q, 302, "");
	assert_string_equal(http_header(&c.r, "location"), "/x");
	answered(&q, 200, "ab");
	assert_null(http_header(&c.r, "X-T"));
	answered(&q, 204, "");
	http_case_stop(&c);
	assert_int_equal(c.fake.answers, 4);
}

static void call__open_ended__the_status_is_enough(void **state)
{
	(void)state;
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\n\r\nhello",
					      "HTTP/1.0 200 OK\r\n\r\nhello"};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct fake_reply reply = {.bytes = answers[i], .then = FAKE_CLOSE};
		http_case_start(&c, &reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "GET", "/");
		q.open_ended = true;
		answered(&q, 200, "hello");
		http_case_stop(&c);
	}
}

static void call__answers_that_are_none__named_for_what_they_are(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		enum err_code code;
		const char *ending;
	} cases[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", ERR_CORRUPT,
	     "/': the answer was cut: *"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", ERR_CORRUPT,
	     "/': the answer was cut: *"},
	    {"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nhello", ERR_CORRUPT,
	     "/': the answer was cut: *"},
	    {"HTTP/1.1 200 OK\r\n\r\nhello", ERR_CORRUPT,
	     "/': the answer has no length: where it ended can't be told from a cut"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n\r\nhello", ERR_CORRUPT, ""},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", ERR_CORRUPT,
	     "/': the answer's Content-Length '6' is another than before"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello!", ERR_CORRUPT,
	     "/': the answer's Content-Length '5x' is no number of bytes"},
	    {"SSH-2.0-OpenSSH_9.2\r\n", ERR_CORRUPT,
	     "/': not an answer of HTTP/1.1: Received HTTP/0.9 when not allowed"},
	    {"HTTP/1.1 200 OK\r\nContent-Le", ERR_CORRUPT, "/': the head of the answer was cut"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fake_reply reply = {.bytes = cases[i].bytes, .then = FAKE_CLOSE};
		http_case_start(&c, &reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "GET", "/");
		if (call(&q) == 0)
			fail_msg("accepted: %s", cases[i].bytes);
		http_case_failed(&c, cases[i].code, cases[i].ending);
		assert_int_equal(strncmp(c.err.msg, "GET 'http://127.0.0.1:", 22), 0);
		http_case_stop(&c);
	}
}

/* The end of a refusal is nothing that anyone relies on. */
static void call__refusal_without_a_length__is_an_answer(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = "HTTP/1.0 503 Busy\r\n\r\ntry later", .then = FAKE_CLOSE}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	answered(&q, 503, "try later");
	http_case_stop(&c);
}

static void call__limits_of_head_and_body__are_kept(void **state)
{
	(void)state;
	enum { LINES = 4000, BODY = HTTP_BODY_MAX + 10000 };
	char *head = malloc(LINES * 20 + 100);
	size_t n = (size_t)snprintf(head, 20, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < LINES; i++)
		n += (size_t)snprintf(head + n, 20, "X-Line: %08d\r\n", i);
	snprintf(head + n, 20, "\r\n");
	char *body = calloc(1, BODY);
	n = (size_t)snprintf(body, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
	const struct fake_reply replies[] = {{.bytes = head, .then = FAKE_CLOSE},
					     {.bytes = body, .len = BODY, .then = FAKE_CLOSE}};
	http_case_start(&c, replies, 2, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_LIMIT, "/': the answer's head is longer than 65536 bytes");
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_LIMIT, "/': the answer's body: more than 67108864 bytes");
	http_case_stop(&c);
	free(head);
	free(body);
}

static void call__connection_that_is_refused_or_closed__is_unreachable(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = "", .then = FAKE_CLOSE}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "POST", "/");
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_UNREACHABLE, "/': no answer: Empty reply from server");
	assert_true(c.err.retryable);
	/* Nobody listens any more. */
	fake_http_stop(&c.fake);
	assert_int_equal(call(&q), -1);
	assert_int_equal(c.err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(c.err.msg, "Failed to connect to 127.0.0.1 port "));
	http_free(c.client);
	struct http_opts o = {.unix_socket = "/nowhere/s"};
	assert_int_equal(http_open(&o, &c.client, &c.err), 0);
	q.url = "http://user:pa%40ss@docker/v1/x?token=secret#y";
	assert_int_equal(call(&q), -1);
	assert_int_equal(c.err.code, ERR_UNREACHABLE);
	assert_string_equal(c.err.msg, "POST 'http://docker/v1/x': can't connect to '/nowhere/s': "
				       "No such file or directory");
	http_free(c.client);
}

static void call__silence__is_a_timeout_and_slowness_is_not(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = OK_CHUNKS, .piece = 10, .pause_ms = 100}, {.bytes = "", .then = FAKE_DEAF}};
	http_case_start(&c, replies, 2, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	q.idle_ms = 700;
	answered(&q, 200, "hello");
	q.idle_ms = 50;
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_TIMEOUT, "/': nothing for 50 ms");
	http_case_stop(&c);
}

/* A kept connection that has died meanwhile is replaced; a POST never goes over a kept one. */
static void call__dead_connection__is_replaced(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO, .then = FAKE_CLOSE},
						    {.bytes = OK_HELLO}};
	http_case_start(&c, replies, 2, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	for (int i = 0; i < 3; i++)
		answered(&q, 200, "hello");
	q.method = "POST";
	for (int i = 0; i < 2; i++)
		answered(&q, 200, "hello");
	q.method = "GET";
	answered(&q, 200, "hello");
	http_case_stop(&c);
	assert_int_equal(c.fake.connects, 4);
	assert_int_equal(c.fake.answers, 6);
}

static void request__that_is_malformed__is_never_sent(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO}};
	static const char *const bad[][3] = {
	    {"GET", "ftp://h/", NULL},        {"GET", "http://h/a b", NULL},
	    {"GET", "http://h/\r\nX:", NULL}, {"GE T", "http://h/", NULL},
	    {"", "http://h/", NULL},          {"GET", "http://h/", "X: a\r\nY: b"},
	    {"GET", "http://h/", "no colon"}, {"GET", "http://h/", ": x"},
	    {"GET", "http://:99999/", NULL},
	};
	static const char *const said[] = {
	    "a url must begin with http:// or https://",
	    "a url has a space or a control character",
	    "a url has a space or a control character",
	    "'GE T' is no method of HTTP",
	    "'' is no method of HTTP",
	    "'' is no header of HTTP",
	    "'no colon' is no header of HTTP",
	    "'' is no header of HTTP",
	    "",
	};
	http_case_start(&c, replies, 1, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *const headers[] = {bad[i][2], NULL};
		struct http_request q = {.method = bad[i][0], .url = bad[i][1], .headers = headers};
		assert_int_equal(call(&q), -1);
		http_case_failed(&c, ERR_CONFIG, said[i]);
	}
	http_case_stop(&c);
	assert_int_equal(c.fake.connects, 0);
}

static void escape__all_but_unreserved__is_encoded(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 30);
	assert_int_equal(http_escape(&b, "aZ09-._~", &c.err), 0);
	assert_int_equal(http_escape(&b, "/ %\xc3\xa4", &c.err), 0);
	assert_string_equal(buf_text(&b), "aZ09-._~%2F%20%25%C3%A4");
	assert_int_equal(http_escape(&b, "//////", &c.err), -1);
	assert_string_equal(buf_text(&b), "aZ09-._~%2F%20%25%C3%A4");
	buf_done(&b);
}

static void *call_often(void *self)
{
	const struct http_request *q = self;
	for (int i = 0; i < 20; i++) {
		struct http_response r;
		struct err err = ERR_INIT;
		int rc = http_call(c.client, q, &r, &err);
		bool ok = rc == 0 && strcmp(buf_text(&r.body), "hello") == 0;
		http_response_done(&r);
		if (!ok)
			return self;
	}
	return NULL;
}

static void client__used_by_threads__keeps_a_connection_for_each(void **state)
{
	(void)state;
	enum { THREADS = 6 };
	static const struct fake_reply replies[] = {{.bytes = OK_HELLO}};
	pthread_t threads[THREADS];
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &q), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	http_case_stop(&c);
	assert_int_equal(c.fake.answers, THREADS * 20);
	/* Four are kept: with six at work one may have to begin anew now and then. */
	assert_in_range(c.fake.connects, 1, 4 + 2 * 20);
}

/* The last one: nothing waits any more after that. */
static void call__cancelled__ends_at_once(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = "", .then = FAKE_DEAF}};
	http_case_start(&c, replies, 1, NULL);
	struct http_request q = http_case_ask(&c, "GET", "/");
	q.idle_ms = -1;
	cancel_request(SIGTERM);
	assert_int_equal(call(&q), -1);
	http_case_failed(&c, ERR_CANCELLED, "/': cancelled by SIGTERM");
	http_case_stop(&c);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(call__length_and_chunks__whole_answers_over_one_connection),
	    cmocka_unit_test(retry_after__seconds_or_a_date__is_told),
	    cmocka_unit_test(call__unix_socket__goes_there),
	    cmocka_unit_test(call__proxy__is_asked_or_not_as_told),
	    cmocka_unit_test(call__stopped__is_cancelled),
	    cmocka_unit_test(call__methods_and_bodies__are_sent_as_given),
	    cmocka_unit_test(call__large_body__arrives_whole),
	    cmocka_unit_test(call__interim_answers_and_redirects__last_answer_as_it_is),
	    cmocka_unit_test(call__open_ended__the_status_is_enough),
	    cmocka_unit_test(call__answers_that_are_none__named_for_what_they_are),
	    cmocka_unit_test(call__refusal_without_a_length__is_an_answer),
	    cmocka_unit_test(call__limits_of_head_and_body__are_kept),
	    cmocka_unit_test(call__connection_that_is_refused_or_closed__is_unreachable),
	    cmocka_unit_test(call__silence__is_a_timeout_and_slowness_is_not),
	    cmocka_unit_test(call__dead_connection__is_replaced),
	    cmocka_unit_test(request__that_is_malformed__is_never_sent),
	    cmocka_unit_test(escape__all_but_unreserved__is_encoded),
	    cmocka_unit_test(client__used_by_threads__keeps_a_connection_for_each),
	    cmocka_unit_test(call__cancelled__ends_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

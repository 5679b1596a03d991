/* HTTP answers and requests that are cut at every length: never an end that is none. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/flow/http_impl.h"
#include "tests/support/http_case.h"

static struct http_case c;

static const char *const answers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"),
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
};
enum { ANSWERS = sizeof answers / sizeof *answers };

/* Cut after n bytes. */
static void start_cut(const char *bytes, size_t n)
{
	static struct fake_reply reply;
	/* No length at all would be that of the string. */
	reply = (struct fake_reply){.bytes = n > 0 ? bytes : "", .len = n, .then = FAKE_CLOSE};
	http_case_start(&c, &reply, 1, NULL);
}

/* Chunks have ended with the one of size zero (RFC 9112, 8): libcurl lets the last LF go. */
static bool is_last_lf(size_t a, size_t n)
{
	return strstr(answers[a], "chunked") != NULL && n + 1 == strlen(answers[a]);
}

static void check_error(const char *what, size_t n)
{
	if (c.err.code != ERR_CORRUPT && c.err.code != ERR_UNREACHABLE)
		fail_msg("%s cut after %zu: %s: %s", what, n, err_code_name(c.err.code), c.err.msg);
}

static void call__cut_at_every_length__never_an_answer(void **state)
{
	(void)state;
	for (size_t a = 0; a < ANSWERS; a++)
		for (size_t n = 0; n <= strlen(answers[a]); n++) {
			start_cut(answers[a], n);
			struct http_request q = http_case_ask(&c, "GET", "/");
			int rc = http_call(c.client, &q, &c.r, &c.err);
			if (n < strlen(answers[a])) {
				if (rc == 0 && !is_last_lf(a, n))
					fail_msg("answer %zu cut after %zu was whole", a, n);
				if (rc < 0)
					check_error("a call", n);
			} else {
				assert_int_equal(rc, 0);
				assert_string_equal(buf_text(&c.r.body), "hello");
			}
			http_case_stop(&c);
		}
}

static void source__cut_at_every_length__never_a_vouched_end(void **state)
{
	(void)state;
	for (size_t a = 0; a < ANSWERS; a++)
		for (size_t n = 0; n < strlen(answers[a]); n++) {
			struct source *s = NULL;
			uint8_t b[3];
			size_t got = 1;
			start_cut(answers[a], n);
			struct http_request q = http_case_ask(&c, "GET", "/");
			int rc = http_source(c.client, &q, &c.r, &s, &c.err);
			if (rc == 0 && s == NULL && !is_last_lf(a, n))
				fail_msg("answer %zu cut after %zu was whole", a, n);
			while (rc == 0 && s != NULL && got > 0)
				rc = source_read(s, b, sizeof b, &got, &c.err);
			if (rc == 0 && !is_last_lf(a, n))
				fail_msg("answer %zu cut after %zu had an end", a, n);
			if (rc < 0)
				check_error("a source", n);
			source_free(s);
			http_case_stop(&c);
		}
}

static void upgrade__cut_at_every_length__never_a_pipe_or_a_body(void **state)
{
	(void)state;
	static const char taken[] = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nhello";
	for (size_t a = 2; a <= ANSWERS; a++) {
		const char *bytes = a < ANSWERS ? answers[a] : taken;
		for (size_t n = 0; n <= strlen(bytes); n++) {
			struct http_pipe *p = NULL;
			start_cut(bytes, n);
			struct http_request q = http_case_ask(&c, "POST", "/");
			int rc = http_upgrade(c.client, &q, &c.r, &p, &c.err);
			/* Of a connection that is taken over the head alone has an end. */
			bool whole = n == strlen(bytes) || (a == ANSWERS && n + 5 >= strlen(bytes));
			if ((rc == 0) != whole)
				fail_msg("answer %zu cut after %zu: %d", a, n, rc);
			if (rc < 0)
				check_error("an upgrade", n);
			assert_int_equal(p != NULL, whole && a == ANSWERS);
			http_pipe_free(p);
			http_case_stop(&c);
		}
	}
}

static int judge(void *ctx, const struct http_response *answer, struct err *err)
{
	(void)ctx;
	return answer->status == 201 ? 0 : err_set(err, ERR_FAILED, "%ld", answer->status);
}

/* The server goes away after each number of bytes of a body; once it has them all, without a word.
 */
static void sink__server_gone_at_every_length__never_a_success(void **state)
{
	(void)state;
	static const char raw[] = "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
	for (int chunked = 0; chunked < 2; chunked++)
		for (size_t n = 0; n <= (chunked ? sizeof raw - 1 : 10); n++) {
			struct fake_reply reply = {
			    .bytes = "", .early = true, .take = n, .then = FAKE_CLOSE};
			struct sink *s = NULL;
			http_case_start(&c, &reply, 1, NULL);
			struct http_request q = http_case_ask(&c, "PUT", "/");
			assert_int_equal(http_sink(c.client, &q, chunked ? UINT64_MAX : 10, judge,
						   NULL, &s, &c.err),
					 0);
			if (sink_write(s, "hello", 5, &c.err) == 0 &&
			    sink_write(s, "world", 5, &c.err) == 0 && sink_close(s, &c.err) == 0)
				fail_msg("gone after %zu, and that was a success", n);
			assert_int_equal(c.err.code, ERR_UNREACHABLE);
			sink_free(s);
			http_case_stop(&c);
		}
}

/* Given up after each number of writes: the server never sees a whole body. */
static void sink__given_up_after_every_write__server_sees_no_whole_body(void **state)
{
	(void)state;
	static const struct fake_reply reply = {
	    .bytes = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"};
	for (int chunked = 0; chunked < 2; chunked++)
		for (int writes = 0; writes <= 10; writes++) {
			struct sink *s = NULL;
			http_case_start(&c, &reply, 1, NULL);
			struct http_request q = http_case_ask(&c, "PUT", "/");
			assert_int_equal(http_sink(c.client, &q, chunked ? UINT64_MAX : 11, judge,
						   NULL, &s, &c.err),
					 0);
			for (int i = 0; i < writes; i++)
				assert_int_equal(sink_write(s, "x", 1, &c.err), 0);
			sink_free(s);
			http_case_stop(&c);
			assert_int_equal(c.fake.whole, 0);
		}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(call__cut_at_every_length__never_an_answer),
	    cmocka_unit_test(source__cut_at_every_length__never_a_vouched_end),
	    cmocka_unit_test(upgrade__cut_at_every_length__never_a_pipe_or_a_body),
	    cmocka_unit_test(sink__server_gone_at_every_length__never_a_success),
	    cmocka_unit_test(sink__given_up_after_every_write__server_sees_no_whole_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

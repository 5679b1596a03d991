/* Bodies that stream in and out, against a server that says what it is told. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "tests/support/http_case.h"
#include "tests/support/temp_dir.h"

#define CREATED   "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such"

static struct http_case c;
/* How many pieces of bodies libcurl has sent, see send. */
static atomic_int pieces = 2;

/* ---- source ---- */

static struct source *open_source(const char *path)
{
	struct source *s = NULL;
	struct http_request q = http_case_ask(&c, "GET", path);
	http_response_done(&c.r);
	if (http_source(c.client, &q, &c.r, &s, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	return s;
}

/* Bytes that differ everywhere, in chunks of odd sizes. */
enum { BIG = 300000 };

static uint8_t big_byte(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static char *big_chunks(size_t *ret_len)
{
	char *text = malloc(BIG * 2);
	size_t n =
	    (size_t)snprintf(text, 200, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, size = 1; at < BIG; size = size * 3 % 40009) {
		size_t len = size < BIG - at ? size : BIG - at;
		n += (size_t)snprintf(text + n, 20, "%zx\r\n", len);
		for (size_t i = 0; i < len; i++)
			text[n++] = (char)big_byte(at++);
		n += (size_t)snprintf(text + n, 20, "\r\n");
	}
	*ret_len = n + (size_t)snprintf(text + n, 20, "0\r\n\r\n");
	return text;
}

static void source__read_in_any_sizes__every_byte_and_a_vouched_end(void **state)
{
	(void)state;
	static const size_t caps[] = {1, 3, 1000, 16383, 16384, 70001, 400000};
	struct fake_reply reply = {0};
	char *text = big_chunks(&reply.len);
	uint8_t *buf = malloc(400000);
	reply.bytes = text;
	http_case_start(&c, &reply, 1, NULL);
	for (size_t k = 0; k < sizeof caps / sizeof *caps; k++) {
		struct source *s = open_source("/");
		size_t n, total = 0;
		do {
			if (source_read(s, buf, caps[k], &n, &c.err) < 0)
				fail_msg("%s", c.err.msg);
			assert_true(n <= caps[k]);
			for (size_t i = 0; i < n; i++, total++)
				if (buf[i] != big_byte(total))
					fail_msg("byte %zu", total);
		} while (n > 0);
		assert_int_equal(total, BIG);
		source_free(s);
	}
	http_case_stop(&c);
	/* Streams that came to their end leave their connection to the next. */
	assert_int_equal(c.fake.connects, 1);
	free(text);
	free(buf);
}

static void source__other_status__no_source_and_the_whole_body(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = NOT_FOUND},
						    {.bytes = "HTTP/1.1 204 No\r\n\r\n"}};
	uint8_t b[10];
	size_t n = 1;
	http_case_start(&c, replies, 2, NULL);
	assert_null(open_source("/"));
	assert_int_equal(c.r.status, 404);
	assert_string_equal(buf_text(&c.r.body), "no such");
	struct source *s = open_source("/");
	assert_int_equal(c.r.status, 204);
	assert_int_equal(source_read(s, b, sizeof b, &n, &c.err), 0);
	assert_int_equal(n, 0);
	source_free(s);
	http_case_stop(&c);
}

static void source__cut_or_without_length__error_at_the_end_that_stays(void **state)
{
	(void)state;
	static const struct {
		struct fake_reply reply;
		enum err_code code;
		const char *ending;
	} cases[] = {
	    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", .then = FAKE_CLOSE},
	     ERR_CORRUPT,
	     "/': the answer was cut: *"},
	    {{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	      .then = FAKE_CLOSE},
	     ERR_CORRUPT,
	     "/': the answer was cut: *"},
	    {{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
	      .then = FAKE_CLOSE},
	     ERR_CORRUPT,
	     ""},
	    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\nhello", .then = FAKE_CLOSE},
	     ERR_CORRUPT,
	     "/': the answer has no length: where it ended can't be told from a cut"},
	    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", .then = FAKE_DEAF},
	     ERR_TIMEOUT,
	     "/': nothing for 60 ms"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t b[100];
		size_t n = 0;
		struct source *s = NULL;
		http_case_start(&c, &cases[i].reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "GET", "/");
		if (cases[i].code == ERR_TIMEOUT)
			q.idle_ms = 60;
		assert_int_equal(http_source(c.client, &q, &c.r, &s, &c.err), 0);
		while (source_read(s, b, sizeof b, &n, &c.err) == 0)
			if (n == 0)
				fail_msg("case %zu: an end", i);
		http_case_failed(&c, cases[i].code, cases[i].ending);
		/* Of chunks that are garbage nothing need come. */
		assert_int_equal(source_bytes(s), cases[i].ending[0] != '\0' ? 5 : 0);
		assert_int_equal(source_read(s, b, sizeof b, &n, &c.err), -1);
		source_free(s);
		http_case_stop(&c);
	}
}

static void source__freed_before_its_end__next_request_has_a_connection_of_its_own(void **state)
{
	(void)state;
	struct fake_reply reply = {0};
	char *text = big_chunks(&reply.len);
	reply.bytes = text;
	uint8_t b[10];
	size_t n;
	http_case_start(&c, &reply, 1, NULL);
	for (int i = 0; i < 3; i++) {
		struct source *s = open_source("/");
		assert_int_equal(source_read_full(s, b, sizeof b, &n, &c.err), 0);
		assert_int_equal(b[9], big_byte(9));
		source_free(s);
	}
	http_case_stop(&c);
	assert_int_equal(c.fake.connects, 3);
	free(text);
}

/* What nobody reads stays with the server. */
static void source__read_slowly__takes_little_from_the_server(void **state)
{
	(void)state;
	enum { BYTES = 64 << 20, FEW = 4 << 20 };
	struct temp_dir dir;
	temp_dir_make(&dir);
	char *text = calloc(1, BYTES);
	(void)snprintf(text, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BYTES);
	struct fake_reply reply = {.bytes = text, .len = BYTES};
	uint8_t b[1000];
	size_t n;
	http_case_start(&c, &reply, 1, temp_dir_in(&dir, "s"));
	struct source *s = open_source("/");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(source_read(s, b, sizeof b, &n, &c.err), 0);
	assert_true(source_bytes(s) >= 1000);
	source_free(s);
	http_case_stop(&c);
	assert_in_range(c.fake.sent, 1000, FEW);
	free(text);
	temp_dir_remove(&dir);
}

/* Two streams of one client, read in turns. */
static void sources__two_at_once__do_not_mix(void **state)
{
	(void)state;
	struct fake_reply reply = {0};
	char *text = big_chunks(&reply.len);
	reply.bytes = text;
	http_case_start(&c, &reply, 1, NULL);
	struct source *s[2] = {open_source("/1"), open_source("/2")};
	uint8_t b[999];
	size_t n[2] = {1, 1}, total[2] = {0, 0};
	while (n[0] > 0 || n[1] > 0)
		for (int k = 0; k < 2; k++) {
			assert_int_equal(source_read(s[k], b, sizeof b, &n[k], &c.err), 0);
			for (size_t i = 0; i < n[k]; i++, total[k]++)
				if (b[i] != big_byte(total[k]))
					fail_msg("byte %zu of %d", total[k], k);
		}
	assert_int_equal(total[0], BIG);
	assert_int_equal(total[1], BIG);
	source_free(s[0]);
	source_free(s[1]);
	http_case_stop(&c);
	assert_int_equal(c.fake.connects, 2);
	free(text);
}

/* ---- sink ---- */

static long judged;

static int judge(void *ctx, const struct http_response *answer, struct err *err)
{
	judged = answer->status;
	assert_ptr_equal(ctx, &c);
	return answer->status / 100 == 2
		   ? 0
		   : err_set(err, ERR_ABSENT, "the server says: %s", buf_text(&answer->body));
}

static struct sink *open_sink(uint64_t length)
{
	struct sink *s = NULL;
	struct http_request q = http_case_ask(&c, "PUT", "/x");
	judged = 0;
	if (http_sink(c.client, &q, length, judge, &c, &s, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	return s;
}

static void sink__chunked_or_of_a_length__server_gets_every_byte(void **state)
{
	(void)state;
	enum { TIMES = 300, PIECE = 9999 };
	struct temp_dir dir;
	temp_dir_make(&dir);
	static const struct fake_reply replies[] = {{.bytes = CREATED}};
	uint8_t *piece = calloc(1, PIECE);
	for (int chunked = 0; chunked < 2; chunked++) {
		http_case_start(&c, replies, 1, temp_dir_in(&dir, "s"));
		struct sink *s = open_sink(chunked ? UINT64_MAX : (uint64_t)TIMES * PIECE);
		for (int i = 0; i < TIMES; i++) {
			memset(piece, 'a' + i % 26, PIECE);
			assert_int_equal(sink_write(s, piece, PIECE, &c.err), 0);
		}
		if (sink_close(s, &c.err) < 0)
			fail_msg("%s", c.err.msg);
		assert_int_equal(judged, 201);
		sink_free(s);
		http_case_stop(&c);
		assert_int_equal(c.fake.body_bytes, TIMES * PIECE);
		assert_int_equal(c.fake.whole, 1);
		assert_non_null(
		    strstr(c.fake.heads, chunked ? "chunked\r\n" : "Content-Length: 2999700\r\n"));
		assert_non_null(strstr(c.fake.heads, "PUT /x HTTP/1.1\r\n"));
	}
	free(piece);
	temp_dir_remove(&dir);
}

static void sink__empty__is_a_body_of_nothing(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = CREATED}};
	for (int chunked = 0; chunked < 2; chunked++) {
		http_case_start(&c, replies, 1, NULL);
		struct sink *s = open_sink(chunked ? UINT64_MAX : 0);
		assert_int_equal(sink_close(s, &c.err), 0);
		assert_int_equal(judged, 201);
		sink_free(s);
		http_case_stop(&c);
		assert_int_equal(c.fake.whole, 1);
		assert_int_equal(c.fake.body_bytes, 0);
	}
}

static void sink__more_or_less_than_announced__breaks_the_connection(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = CREATED}};
	for (int more = 0; more < 2; more++) {
		http_case_start(&c, replies, 1, NULL);
		struct sink *s = open_sink(10);
		assert_int_equal(sink_write(s, "12345678", 8, &c.err), 0);
		if (more) {
			assert_int_equal(sink_write(s, "901", 3, &c.err), -1);
			http_case_failed(&c, ERR_FAILED,
					 "/x': more than the 10 bytes that were announced");
		} else {
			assert_int_equal(sink_close(s, &c.err), -1);
			http_case_failed(&c, ERR_FAILED,
					 "/x': 8 bytes of the 10 that were announced");
		}
		sink_free(s);
		http_case_stop(&c);
		assert_int_equal(c.fake.whole, 0);
		assert_int_equal(judged, 0);
	}
}

static void sink__aborted__server_sees_a_cut_body(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    /* The first bytes must have come before it is cut. */
	    {.bytes = "HTTP/1.1 100 Continue\r\n\r\n",
	     .early = true,
	     .take = 5,
	     .then = FAKE_DISCARD}};
	for (int chunked = 0; chunked < 2; chunked++) {
		static const struct fake_reply plain[] = {{.bytes = CREATED}};
		http_case_start(&c, chunked ? plain : replies, 1, NULL);
		struct sink *s = open_sink(chunked ? UINT64_MAX : 100);
		for (int i = 0; i < 5; i++)
			assert_int_equal(sink_write(s, "12345678", 8, &c.err), 0);
		sink_free(s);
		http_case_stop(&c);
		assert_int_equal(c.fake.whole, 0);
		assert_int_equal(judged, 0);
	}
}

static void sink__refused__ends_with_what_the_judge_says(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = NOT_FOUND},                                                 /* at the end */
	    {.bytes = NOT_FOUND, .early = true, .then = FAKE_CLOSE},              /* at the head */
	    {.bytes = NOT_FOUND, .early = true, .take = 5, .then = FAKE_DISCARD}, /* inside */
	    {.bytes = "HTTP/1.1 404 Not Found\r\n\r\nno such", .early = true, .then = FAKE_CLOSE},
	};
	for (int i = 0; i < 8; i++) {
		http_case_start(&c, &replies[i / 2], 1, NULL);
		struct sink *s = open_sink(i % 2 ? UINT64_MAX : 8000);
		int rc = 0;
		for (int k = 0; rc == 0 && k < 1000; k++)
			rc = sink_write(s, "12345678", 8, &c.err);
		if (rc == 0)
			rc = sink_close(s, &c.err);
		assert_int_equal(rc, -1);
		assert_int_equal(c.err.code, ERR_ABSENT);
		assert_string_equal(c.err.msg, "the server says: no such");
		assert_int_equal(judged, 404);
		assert_int_equal(sink_close(s, &c.err), -1);
		sink_free(s);
		http_case_stop(&c);
	}
}

/* What it said so far is better than that it said no more. */
static void sink__refusal_that_stalls__is_a_refusal(void **state)
{
	(void)state;
	static const struct fake_reply reply = {
	    .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno such",
	    .early = true,
	    .take = 5,
	    .then = FAKE_DEAF};
	for (int chunked = 0; chunked < 2; chunked++) {
		struct sink *s = NULL;
		http_case_start(&c, &reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "PUT", "/x");
		q.idle_ms = 60;
		assert_int_equal(
		    http_sink(c.client, &q, chunked ? UINT64_MAX : 1 << 30, judge, &c, &s, &c.err),
		    0);
		int rc = 0;
		static const uint8_t piece[20000];
		for (int n = 0; rc == 0 && n < 1000; n++)
			rc = sink_write(s, piece, sizeof piece, &c.err);
		assert_int_equal(rc, -1);
		assert_int_equal(c.err.code, ERR_ABSENT);
		assert_string_equal(c.err.msg, "the server says: no such");
		sink_free(s);
		http_case_stop(&c);
	}
}

/* libcurl sends by way of this. The second piece of a body goes out when the server has answered
 * and closed, which libcurl could not see when it began. */
static sem_t may_answer;

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	struct pollfd p = {.fd = fd};
	if (flags == MSG_NOSIGNAL && len > 10000 && atomic_fetch_add(&pieces, 1) == 1) {
		sem_post(&may_answer);
		poll(&p, 1, 20000);
		assert_int_equal(p.revents & POLLHUP, POLLHUP);
	}
	return sendto(fd, data, len, flags, NULL, 0);
}

static void wait_for_second_piece(void)
{
	sem_wait(&may_answer);
}

static void sink__answered_and_closed_while_it_sends__still_hears_the_answer(void **state)
{
	(void)state;
	enum { PIECE = 20000 };
	/* The last is none: that the connection broke is all there is to say. */
	static const char *const said[] = {NOT_FOUND "and more",
					   ("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 Not "
					    "Found\r\nTransfer-Encoding: chunked\r\n\r\n"
					    "7\r\nno such\r\n0\r\n\r\n"),
					   "HTTP/1.1 404 Not Found\r\n\r\nno such",
					   "HTTP/1.1 404 Not"};
	static const uint8_t piece[PIECE];
	struct temp_dir dir;
	temp_dir_make(&dir);
	for (int i = 0; i < 8; i++) {
		struct fake_reply reply = {.bytes = said[i / 2],
					   .early = true,
					   .take = 10000,
					   .then = FAKE_CLOSE,
					   .before = wait_for_second_piece};
		http_case_start(&c, &reply, 1, temp_dir_in(&dir, "s"));
		sem_init(&may_answer, 0, 0);
		atomic_store(&pieces, 0);
		struct sink *s = open_sink(i % 2 ? UINT64_MAX : 1 << 30);
		int rc = 0;
		for (int n = 0; rc == 0 && n < 1000; n++)
			rc = sink_write(s, piece, PIECE, &c.err);
		assert_int_equal(rc, -1);
		if (i / 2 < 3) {
			assert_int_equal(c.err.code, ERR_ABSENT);
			assert_string_equal(c.err.msg, "the server says: no such");
		} else {
			http_case_failed(&c, ERR_UNREACHABLE,
					 "/x': no answer: Send failure: Broken pipe");
		}
		sink_free(s);
		http_case_stop(&c);
		sem_destroy(&may_answer);
	}
	/* No piece is the second from here on. */
	atomic_store(&pieces, 2);
	temp_dir_remove(&dir);
}

static void sink__success_before_all_was_sent__is_no_success(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = CREATED, .early = true, .then = FAKE_DISCARD},
	    {.bytes = CREATED, .early = true, .take = 5, .then = FAKE_DISCARD}};
	for (int i = 0; i < 4; i++) {
		http_case_start(&c, &replies[i / 2], 1, NULL);
		struct sink *s = open_sink(i % 2 ? UINT64_MAX : 1 << 30);
		static const uint8_t block[100000];
		int rc = 0;
		for (int k = 0; rc == 0 && k < 1000; k++)
			rc = sink_write(s, block, sizeof block, &c.err);
		assert_int_equal(rc, -1);
		http_case_failed(&c, ERR_CLOSED, "/x': answered before all of the body was sent");
		assert_int_equal(judged, 201);
		sink_free(s);
		http_case_stop(&c);
	}
}

static void sink__no_answer__is_an_error_and_not_a_judgement(void **state)
{
	(void)state;
	static const struct {
		struct fake_reply reply;
		enum err_code code;
		const char *ending;
	} cases[] = {
	    {{.bytes = "", .then = FAKE_CLOSE},
	     ERR_UNREACHABLE,
	     "/x': no answer: Empty reply from server"},
	    {{.bytes = "", .then = FAKE_DEAF}, ERR_TIMEOUT, "/x': nothing for 60 ms"},
	    {{.bytes = "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nok", .then = FAKE_CLOSE},
	     ERR_CORRUPT,
	     "/x': the answer was cut: *"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sink *s = NULL;
		http_case_start(&c, &cases[i].reply, 1, NULL);
		struct http_request q = http_case_ask(&c, "PUT", "/x");
		judged = 0;
		if (cases[i].code == ERR_TIMEOUT)
			q.idle_ms = 60;
		assert_int_equal(http_sink(c.client, &q, 3, judge, &c, &s, &c.err), 0);
		assert_int_equal(sink_write(s, "abc", 3, &c.err), 0);
		assert_int_equal(sink_close(s, &c.err), -1);
		http_case_failed(&c, cases[i].code, cases[i].ending);
		assert_int_equal(judged, 0);
		sink_free(s);
		http_case_stop(&c);
	}
}

/* The last one: nothing waits any more after that. */
static void streams__cancelled__end_at_once(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", .then = FAKE_DEAF},
	    {.bytes = "", .then = FAKE_DEAF}};
	uint8_t b[10];
	size_t n;
	http_case_start(&c, replies, 2, NULL);
	struct source *s = open_source("/");
	struct sink *to = open_sink(UINT64_MAX);
	assert_int_equal(sink_write(to, "abc", 3, &c.err), 0);
	assert_int_equal(source_read(s, b, sizeof b, &n, &c.err), 0);
	cancel_request(SIGTERM);
	assert_int_equal(source_read(s, b, sizeof b, &n, &c.err), -1);
	http_case_failed(&c, ERR_CANCELLED, "/': cancelled by SIGTERM");
	assert_int_equal(sink_close(to, &c.err), -1);
	http_case_failed(&c, ERR_CANCELLED, "/x': cancelled by SIGTERM");
	source_free(s);
	sink_free(to);
	http_case_stop(&c);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(source__read_in_any_sizes__every_byte_and_a_vouched_end),
	    cmocka_unit_test(source__other_status__no_source_and_the_whole_body),
	    cmocka_unit_test(source__cut_or_without_length__error_at_the_end_that_stays),
	    cmocka_unit_test(
		source__freed_before_its_end__next_request_has_a_connection_of_its_own),
	    cmocka_unit_test(source__read_slowly__takes_little_from_the_server),
	    cmocka_unit_test(sources__two_at_once__do_not_mix),
	    cmocka_unit_test(sink__chunked_or_of_a_length__server_gets_every_byte),
	    cmocka_unit_test(sink__empty__is_a_body_of_nothing),
	    cmocka_unit_test(sink__more_or_less_than_announced__breaks_the_connection),
	    cmocka_unit_test(sink__aborted__server_sees_a_cut_body),
	    cmocka_unit_test(sink__refused__ends_with_what_the_judge_says),
	    cmocka_unit_test(sink__refusal_that_stalls__is_a_refusal),
	    cmocka_unit_test(sink__answered_and_closed_while_it_sends__still_hears_the_answer),
	    cmocka_unit_test(sink__success_before_all_was_sent__is_no_success),
	    cmocka_unit_test(sink__no_answer__is_an_error_and_not_a_judgement),
	    cmocka_unit_test(streams__cancelled__end_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

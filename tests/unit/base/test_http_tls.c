/* HTTP over TLS: who is believed, and how a connection that is taken over ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/flow/http.h"
#include "tests/support/fake_tls.h"
#include "tests/support/http_case.h"
#include "tests/support/temp_dir.h"

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
#define TAKEN "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"

static struct temp_dir dir;
static struct fake_tls server;
static struct err err;

static const char *in_dir(const char *name)
{
	return temp_dir_in(&dir, name);
}

static int make_certificates(void **state)
{
	(void)state;
	temp_dir_make(&dir);
	fake_tls_certificate(in_dir("cert"), in_dir("key"), "127.0.0.1");
	fake_tls_certificate(in_dir("other-cert"), in_dir("other-key"), "127.0.0.2");
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

static int call(const struct http_opts *o)
{
	struct http *h;
	struct http_response r;
	assert_int_equal(http_open(o, &h, &err), 0);
	struct http_request q = {.method = "GET", .url = server.url, .idle_ms = 20000};
	int rc = http_call(h, &q, &r, &err);
	if (rc == 0)
		assert_string_equal(buf_text(&r.body), "hello");
	http_response_done(&r);
	http_free(h);
	return rc;
}

static void expect_failure(const struct http_opts *o, enum err_code code, const char *part)
{
	assert_int_equal(call(o), -1);
	if (err.code != code || strstr(err.msg, part) == NULL)
		fail_msg("%s: '%s', and not %s: '%s'", err_code_name(err.code), err.msg,
			 err_code_name(code), part);
}

static void certificate__of_the_server__must_be_signed_and_fit(void **state)
{
	(void)state;
	server = (struct fake_tls){.reply = HELLO};
	fake_tls_start(&server, in_dir("cert"), in_dir("key"), NULL);
	struct http_opts o = {.ca_file = in_dir("cert")};
	if (call(&o) < 0)
		fail_msg("%s", err.msg);
	o.ca_file = NULL;
	expect_failure(&o, ERR_DENIED, "SSL certificate problem: self-signed certificate");
	o.ca_file = in_dir("other-cert");
	expect_failure(&o, ERR_DENIED, "SSL certificate problem: ");
	o.ca_file = "/nowhere/ca.pem";
	expect_failure(&o, ERR_CONFIG, "CA certificates '/nowhere/ca.pem': ");
	fake_tls_stop(&server);
	/* Signed well, and for another address. */
	fake_tls_start(&server, in_dir("other-cert"), in_dir("other-key"), NULL);
	o.ca_file = in_dir("other-cert");
	expect_failure(&o, ERR_DENIED, "'127.0.0.1'");
	fake_tls_stop(&server);
}

static void certificate__of_the_client__is_shown_if_there_is_one(void **state)
{
	(void)state;
	server = (struct fake_tls){.reply = HELLO};
	fake_tls_start(&server, in_dir("cert"), in_dir("key"), in_dir("cert"));
	struct http_opts o = {
	    .ca_file = in_dir("cert"), .cert_file = in_dir("cert"), .key_file = in_dir("key")};
	if (call(&o) < 0)
		fail_msg("%s", err.msg);
	o.key_file = "/nowhere/key.pem";
	expect_failure(&o, ERR_CONFIG, "key '/nowhere/key.pem': ");
	o.cert_file = o.key_file = NULL;
	expect_failure(&o, ERR_DENIED, "alert certificate required");
	fake_tls_stop(&server);
}

static void https__to_a_server_without_tls__is_unreachable(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = HELLO, .then = FAKE_CLOSE}};
	static struct fake_http plain;
	fake_http_start(&plain, replies, 1, NULL);
	snprintf(server.url, sizeof server.url, "https://%.50s", plain.url + 7);
	/* It waits for the end of a line, which a handshake may or may not have. */
	struct http_opts o = {.connect_timeout_ms = 300};
	expect_failure(&o, ERR_UNREACHABLE, "GET 'https://127.0.0.1:");
	fake_http_stop(&plain);
}

static struct http_pipe *open_pipe(struct http *h)
{
	struct http_response r;
	struct http_pipe *p = NULL;
	struct http_request q = {.method = "POST", .url = server.url, .idle_ms = 20000};
	if (http_upgrade(h, &q, &r, &p, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r.status, 101);
	http_response_done(&r);
	return p;
}

/* What waits inside of TLS while nobody reads is not forgotten. */
static void source__over_tls__every_byte_in_any_sizes(void **state)
{
	(void)state;
	enum { BYTES = 1 << 20 };
	static const size_t caps[] = {999, 40000, 300000};
	struct http *h;
	char *text = malloc(BYTES + 100);
	uint8_t *b = malloc(300000);
	size_t head = (size_t)snprintf(
	    text, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BYTES);
	for (size_t i = 0; i < BYTES; i++)
		text[head + i] = (char)('0' + i * 7 % 61);
	text[head + BYTES] = '\0';
	server = (struct fake_tls){.reply = text};
	fake_tls_start(&server, in_dir("cert"), in_dir("key"), NULL);
	struct http_opts o = {.ca_file = in_dir("cert")};
	assert_int_equal(http_open(&o, &h, &err), 0);
	for (size_t k = 0; k < 3; k++) {
		struct http_response r;
		struct source *s = NULL;
		struct http_request q = {.method = "GET", .url = server.url, .idle_ms = 20000};
		assert_int_equal(http_source(h, &q, &r, &s, &err), 0);
		size_t n = 1;
		for (size_t total = 0; n > 0; total += n) {
			if (source_read(s, b, caps[k], &n, &err) < 0)
				fail_msg("%s", err.msg);
			assert_memory_equal(b, text + head + total, n);
		}
		assert_int_equal(source_bytes(s), BYTES);
		source_free(s);
		http_response_done(&r);
	}
	http_free(h);
	fake_tls_stop(&server);
	free(text);
	free(b);
}

/* Each attempt from another place in memory; what comes back is the same, and "bye" behind it. */
static void pipe__over_tls__ends_on_one_side_and_then_on_the_other(void **state)
{
	(void)state;
	enum { BYTES = 2 << 20, PIECE = 30000 };
	struct http *h;
	size_t sent = 0, received = 0, n_out = 0, n_in = 0;
	bool end = false;
	uint8_t *in = malloc(PIECE), *out[2] = {malloc(PIECE), malloc(PIECE)};
	server = (struct fake_tls){.reply = TAKEN, .echo = true};
	fake_tls_start(&server, in_dir("cert"), in_dir("key"), NULL);
	struct http_opts o = {.ca_file = in_dir("cert")};
	assert_int_equal(http_open(&o, &h, &err), 0);
	struct http_pipe *p = open_pipe(h);
	for (int turn = 0; !end; turn = !turn) {
		size_t left = BYTES - sent < PIECE ? BYTES - sent : PIECE;
		for (size_t i = 0; i < left; i++)
			out[turn][i] = (uint8_t)((sent + i) * 7 + (sent + i) / 251);
		if (http_pipe_move(p, out[turn], left, &n_out, in, PIECE, &n_in, &end,
				   deadline_in(20000), &err) < 0)
			fail_msg("%s", err.msg);
		for (size_t i = 0; i < n_in && received + i < BYTES; i++)
			if (in[i] != (uint8_t)((received + i) * 7 + (received + i) / 251))
				fail_msg("byte %zu", received + i);
		if (left > 0 && n_out == left && sent + left == BYTES)
			assert_int_equal(http_pipe_shut(p, &err), 0);
		sent += n_out;
		received += n_in;
	}
	assert_int_equal(received, BYTES + 3);
	http_pipe_free(p);
	http_free(h);
	fake_tls_stop(&server);
	free(in);
	free(out[0]);
	free(out[1]);
}

static void pipe__over_tls_cut__is_no_end(void **state)
{
	(void)state;
	struct http *h;
	uint8_t b[10];
	size_t sent, got = 0;
	bool end = false;
	server = (struct fake_tls){.reply = TAKEN "abc", .cut = true};
	fake_tls_start(&server, in_dir("cert"), in_dir("key"), NULL);
	struct http_opts o = {.ca_file = in_dir("cert")};
	assert_int_equal(http_open(&o, &h, &err), 0);
	struct http_pipe *p = open_pipe(h);
	int rc = 0;
	for (size_t total = 0; rc == 0; total += got) {
		if (end)
			fail_msg("a cut connection had an end after %zu bytes", total);
		rc = http_pipe_move(p, NULL, 0, &sent, b, sizeof b, &got, &end, deadline_in(20000),
				    &err);
	}
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "': the answer was cut: "));
	http_pipe_free(p);
	http_free(h);
	fake_tls_stop(&server);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(certificate__of_the_server__must_be_signed_and_fit),
	    cmocka_unit_test(certificate__of_the_client__is_shown_if_there_is_one),
	    cmocka_unit_test(https__to_a_server_without_tls__is_unreachable),
	    cmocka_unit_test(source__over_tls__every_byte_in_any_sizes),
	    cmocka_unit_test(pipe__over_tls__ends_on_one_side_and_then_on_the_other),
	    cmocka_unit_test(pipe__over_tls_cut__is_no_end),
	};
	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}

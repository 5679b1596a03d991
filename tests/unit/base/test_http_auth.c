/* Users and passwords: what is sent to whom, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/http_case.h"

#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BASIC "WWW-Authenticate: Basic realm=\"x\"\r\n"
#define DIGEST                                                                                     \
	"WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"\r\n"
#define ASKS(how) "HTTP/1.1 401 Unauthorized\r\n" how "Content-Length: 3\r\n\r\nwho"

static struct http_case c;

static void start(const struct fake_reply *replies, size_t count, bool digest_only)
{
	err_clear(&c.err);
	fake_http_start(&c.fake, replies, count, NULL);
	struct http_opts o = {.user = "u", .password = "secret", .digest_only = digest_only};
	assert_int_equal(http_open(&o, &c.client, &c.err), 0);
}

static void answered(const char *method, long status, const char *body)
{
	struct http_request q = http_case_ask(&c, method, "/a");
	http_response_done(&c.r);
	if (http_call(c.client, &q, &c.r, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	assert_int_equal(c.r.status, status);
	assert_string_equal(buf_text(&c.r.body), body);
}

static size_t count(const char *what)
{
	size_t n = 0;
	for (const char *at = c.fake.heads; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* "u:secret" */
#define SENT "Authorization: Basic dTpzZWNyZXQ="

static void basic__asked_for__is_sent_from_then_on(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = ASKS(BASIC)}, {.bytes = OK}, {.bytes = OK}};
	start(replies, 3, false);
	answered("GET", 200, "ok");
	answered("GET", 200, "ok");
	http_case_stop(&c);
	assert_int_equal(count("GET /a "), 3);
	assert_int_equal(count(SENT), 2);
}

static void nothing__asked_for__nothing_is_sent(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = OK}};
	start(replies, 1, false);
	answered("GET", 200, "ok");
	http_case_stop(&c);
	assert_int_equal(count("Authorization"), 0);
}

static void basic__refused__is_the_answer(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = ASKS(BASIC)}};
	start(replies, 1, false);
	answered("GET", 401, "who");
	answered("PROPFIND", 401, "who");
	http_case_stop(&c);
}

static void basic__where_the_password_may_not_be_seen__is_never_sent(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = ASKS(BASIC)}};
	start(replies, 1, true);
	answered("GET", 401, "who");
	answered("GET", 401, "who");
	http_case_stop(&c);
	assert_int_equal(count("Authorization"), 0);
	assert_int_equal(count("dTpzZWNyZXQ="), 0);
}

static void digest__where_the_password_may_not_be_seen__is_sent(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = ASKS(BASIC DIGEST)}, {.bytes = OK}};
	start(replies, 2, true);
	answered("GET", 200, "ok");
	http_case_stop(&c);
	assert_int_equal(count("Authorization: Digest username=\"u\""), 1);
	assert_int_equal(count("Basic"), 0);
	assert_null(strstr(c.fake.heads, "secret"));
}

static void source__challenged__gives_the_second_answer(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {{.bytes = ASKS(DIGEST)}, {.bytes = OK}};
	struct source *body = NULL;
	uint8_t got[8];
	size_t n = 0;
	start(replies, 2, false);
	struct http_request q = http_case_ask(&c, "GET", "/a");
	assert_int_equal(http_source(c.client, &q, &c.r, &body, &c.err), 0);
	assert_non_null(body);
	assert_int_equal(source_read_full(body, got, sizeof got, &n, &c.err), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(got, "ok", 2);
	source_free(body);
	http_case_stop(&c);
}

static int judge(void *ctx, const struct http_response *answer, struct err *err)
{
	*(long *)ctx = answer->status;
	return answer->status == 200 ? 0 : err_set(err, ERR_DENIED, "no");
}

/* It knows Basic from an answer before: the body goes out once, with it. */
static void sink__behind_a_challenge__sends_its_body_once(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = ASKS(BASIC)}, {.bytes = OK}, {.bytes = OK}};
	struct sink *to = NULL;
	long status = 0;
	start(replies, 3, false);
	answered("GET", 200, "ok");
	struct http_request q = http_case_ask(&c, "PUT", "/b");
	assert_int_equal(http_sink(c.client, &q, 5, judge, &status, &to, &c.err), 0);
	assert_int_equal(sink_write(to, "hello", 5, &c.err), 0);
	if (sink_close(to, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	sink_free(to);
	http_case_stop(&c);
	assert_int_equal(status, 200);
	assert_int_equal(c.fake.body_bytes, 5);
	assert_int_equal(count(SENT), 2);
}

static void sink__refused__is_judged(void **state)
{
	(void)state;
	static const struct fake_reply replies[] = {
	    {.bytes = ASKS(BASIC)}, {.bytes = OK}, {.bytes = ASKS(BASIC)}};
	struct sink *to = NULL;
	long status = 0;
	start(replies, 3, false);
	answered("GET", 200, "ok");
	struct http_request q = http_case_ask(&c, "PUT", "/b");
	assert_int_equal(http_sink(c.client, &q, 5, judge, &status, &to, &c.err), 0);
	int rc = sink_write(to, "hello", 5, &c.err);
	assert_int_equal(rc < 0 ? rc : sink_close(to, &c.err), -1);
	assert_int_equal(c.err.code, ERR_DENIED);
	assert_int_equal(status, 401);
	sink_free(to);
	http_case_stop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(basic__asked_for__is_sent_from_then_on),
	    cmocka_unit_test(nothing__asked_for__nothing_is_sent),
	    cmocka_unit_test(basic__refused__is_the_answer),
	    cmocka_unit_test(basic__where_the_password_may_not_be_seen__is_never_sent),
	    cmocka_unit_test(digest__where_the_password_may_not_be_seen__is_sent),
	    cmocka_unit_test(source__challenged__gives_the_second_answer),
	    cmocka_unit_test(sink__behind_a_challenge__sends_its_body_once),
	    cmocka_unit_test(sink__refused__is_judged),
	};
	return cmocka_run_group_tests_name("base/http_auth", tests, NULL, NULL);
}

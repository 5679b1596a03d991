/* What a store says, in our words: code, message and the next step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/fake_tls.h"
#include "tests/support/s3_case.h"
#include "tests/support/temp_dir.h"

#define ERROR(code, more)                                                                          \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code "</Code>" more            \
	"<RequestId>tx0</RequestId></Error>"

struct refusal {
	const char *status, *headers, *body; /* what comes */
	enum err_code code;                  /* what is said of it */
	bool retryable;
	const char *msg, *hint;
};

static const struct refusal of_put[] = {
    {"403 Forbidden", "", ERROR("AccessDenied", "<Message>no</Message>"), ERR_DENIED, false,
     "PUT of 'x': the store answered 403 AccessDenied: no",
     "The key needs the right to s3:PutObject (docs/store-s3.md has a policy)."},
    {"403 Forbidden", "", "", ERR_DENIED, false, "PUT of 'x': the store answered 403",
     "The key needs the right to s3:PutObject (docs/store-s3.md has a policy)."},
    {"400 Bad Request", "", ERROR("ExpiredToken", "<Message>has expired.</Message>"), ERR_DENIED,
     false, "PUT of 'x': the store answered 400 ExpiredToken: has expired.",
     "Credentials with a session_token live for hours: renew them, or use a key of a user."},
    {"403 Forbidden", "", ERROR("InvalidAccessKeyId", ""), ERR_DENIED, false,
     "PUT of 'x': the store answered 403 InvalidAccessKeyId",
     "The store does not know this access_key: was it deleted, or is it another store's?"},
    {"403 Forbidden", "", ERROR("SignatureDoesNotMatch", ""), ERR_DENIED, false,
     "PUT of 'x': the store answered 403 SignatureDoesNotMatch",
     "The secret_key is not that of the access_key, or a proxy changes requests on their way."},
    {"404 Not Found", "", ERROR("NoSuchBucket", "<BucketName>bucket</BucketName>"), ERR_CONFIG,
     false, "PUT of 'x': the store answered 404 NoSuchBucket",
     "Make the bucket first, or correct the store's url and endpoint."},
    {"403 Forbidden", "", ERROR("QuotaExceeded", ""), ERR_NOSPACE, false,
     "PUT of 'x': the store answered 403 QuotaExceeded",
     "The quota of the bucket or of its owner is used up: raise it, or keep less."},
    {"503 Slow Down", "", ERROR("SlowDown", "<Message>Please reduce</Message>"), ERR_UNREACHABLE,
     true, "PUT of 'x': the store answered 503 SlowDown: Please reduce",
     "The store asks for fewer requests: try later, or set a limit."},
    {"500 Internal Server Error", "", ERROR("InternalError", ""), ERR_UNREACHABLE, true,
     "PUT of 'x': the store answered 500 InternalError", ""},
    {"502 Bad Gateway", "Content-Type: text/html\r\n", "<html><h1>Bad</h1><hr></html>",
     ERR_UNREACHABLE, true, "PUT of 'x': the store answered 502", ""},
    {"400 Bad Request", "", ERROR("RequestTimeout", ""), ERR_TIMEOUT, true,
     "PUT of 'x': the store answered 400 RequestTimeout", ""},
    {"400 Bad Request", "", ERROR("XAmzContentSHA256Mismatch", ""), ERR_CORRUPT, true,
     "PUT of 'x': the store answered 400 XAmzContentSHA256Mismatch", ""},
    {"400 Bad Request", "", ERROR("InvalidStorageClass", ""), ERR_CONFIG, false,
     "PUT of 'x': the store answered 400 InvalidStorageClass",
     "This store does not have that storage_class: leave it out or name another."},
    {"301 Moved Permanently", "",
     ERROR("PermanentRedirect", "<Endpoint>bucket.s3.eu-central-1.amazonaws.com</Endpoint>"),
     ERR_CONFIG, false, "PUT of 'x': bucket 'bucket' is elsewhere: 301 PermanentRedirect",
     "The store says it is at 'bucket.s3.eu-central-1.amazonaws.com': correct endpoint, region or "
     "addressing."},
    {"301 Moved Permanently", "x-amz-bucket-region: eu-central-1\r\n", "", ERR_CONFIG, false,
     "PUT of 'x': bucket 'bucket' is in the region 'eu-central-1', and was asked for in "
     "'us-east-1'",
     "Set region = eu-central-1."},
    {"400 Bad Request", "", ERROR("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
     ERR_CONFIG, false,
     "PUT of 'x': bucket 'bucket' is in the region 'eu-west-1', and was asked for in 'us-east-1'",
     "Set region = eu-west-1."},
    {"307 Temporary Redirect", "Location: http://elsewhere/\r\n", "", ERR_CONFIG, false,
     "PUT of 'x': bucket 'bucket' is elsewhere: 307 ", "Correct endpoint, region or addressing."},
    {"418 Teapot", "", "<ErrorResponse><Error><Code>Odd</Code></Error></ErrorResponse>", ERR_FAILED,
     false, "PUT of 'x': the store answered 418 Odd", ""},
};

static void refused__of_a_put__is_said_with_the_next_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof of_put / sizeof *of_put; i++) {
		const struct refusal *r = &of_put[i];
		struct s3_case c = {0};
		struct http_response answer = {0};
		const struct s3_request q = {
		    .method = "PUT", .name = "x", .body = "b", .body_bytes = 1};
		s3_says(&c, r->status, r->headers, r->body);
		s3_case_start(&c, NULL);
		if (s3_call(c.s3, &q, &answer, &c.err) == 0)
			s3_refused(c.s3, &q, &answer, &c.err);
		http_response_done(&answer);
		assert_string_equal(c.err.msg, r->msg);
		assert_string_equal(c.err.hint, r->hint);
		assert_int_equal(c.err.code, r->code);
		assert_int_equal(c.err.retryable, r->retryable);
		s3_case_stop(&c);
		/* Not followed, and not repeated. */
		assert_int_equal(c.fake.answers, 1);
	}
}

static void refused__by_policy__names_the_right_that_is_missing(void **state)
{
	const struct {
		struct s3_request q;
		const char *right;
	} cases[] = {
	    {{.method = "GET", .query = "list-type=2"}, "s3:ListBucket "},
	    {{.method = "GET", .query = "prefix=x&uploads="}, "s3:ListBucketMultipartUploads "},
	    {{.method = "GET", .query = "prefix=x&versions="}, "s3:ListBucketVersions "},
	    {{.method = "GET", .name = "x"}, "s3:GetObject and s3:ListBucket "},
	    {{.method = "HEAD", .name = "x", .query = "versionId=1"}, "s3:GetObjectVersion "},
	    {{.method = "DELETE", .name = "x"}, "s3:DeleteObject "},
	    {{.method = "DELETE", .name = "x", .query = "versionId=1"}, "s3:DeleteObjectVersion "},
	    {{.method = "DELETE", .name = "x", .query = "uploadId=1"}, "s3:AbortMultipartUpload "},
	    {{.method = "PUT",
	      .name = "x",
	      .headers = (const char *const[]){"x-amz-object-lock-mode: GOVERNANCE", NULL}},
	     "s3:PutObject and s3:PutObjectRetention "},
	};
	(void)state;
	struct s3_case c = {0};
	s3_case_start(&c, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_response answer = {.status = 403};
		s3_refused(c.s3, &cases[i].q, &answer, &c.err);
		assert_non_null(strstr(c.err.hint, cases[i].right));
	}
	s3_case_stop(&c);
}

static void refused__for_the_clock__tells_both_times(void **state)
{
	(void)state;
	static const char *const bodies[] = {
	    ERROR("RequestTimeTooSkewed", "<ServerTime>2030-01-02T03:04:05Z</ServerTime>"),
	    ERROR("RequestTimeTooSkewed", "")};
	for (size_t i = 0; i < 2; i++) {
		struct s3_case c = {0};
		struct http_response answer = {0};
		char now[CLOCK_TEXT_BYTES];
		const struct s3_request q = {.method = "GET", .query = "list-type=2"};
		s3_says(&c, "403 Forbidden", "Date: Wed, 02 Jan 2030 03:04:05 GMT\r\n", bodies[i]);
		s3_case_start(&c, NULL);
		assert_int_equal(s3_call(c.s3, &q, &answer, &c.err), 0);
		s3_refused(c.s3, &q, &answer, &c.err);
		s3_case_failed(&c, ERR_DENIED, "there 2030-01-02T03:04:05Z");
		s3_case_failed(&c, ERR_DENIED,
			       "bucket 'bucket': the clocks differ too much: here it is ");
		clock_rfc3339(clock_wall_ms(), now);
		now[13] = '\0';
		s3_case_failed(&c, ERR_DENIED, now);
		assert_non_null(strstr(c.err.hint, "Set this machine's clock (NTP)"));
		http_response_done(&answer);
		s3_case_stop(&c);
	}
}

static void insist__what_passes__is_tried_again(void **state)
{
	(void)state;
	struct s3_case c = {0};
	struct http_response r = {0};
	const struct s3_request q = {.method = "PUT", .name = "x", .body = "b", .body_bytes = 1};
	s3_says(&c, "500 Internal Server Error", "", ERROR("InternalError", ""));
	s3_says(&c, "200 OK", "", "")->then = FAKE_RESET;
	c.replies[1].len = 9;
	s3_says(&c, "200 OK", "", "");
	s3_case_start(&c, NULL);
	if (s3_insist(c.s3, &q, &r, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	assert_int_equal(r.status, 200);
	http_response_done(&r);
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 3);
}

static void insist__what_does_not_pass__is_given_up(void **state)
{
	(void)state;
	struct s3_case c = {0};
	struct http_response r = {0};
	const struct s3_request q = {.method = "PUT", .name = "x", .body = "b", .body_bytes = 1};
	s3_says(&c, "503 Slow Down", "", ERROR("SlowDown", "<Message>Please reduce</Message>"));
	s3_case_start(&c, NULL);
	assert_int_equal(s3_insist(c.s3, &q, &r, &c.err), -1);
	s3_case_failed(&c, ERR_UNREACHABLE,
		       "gave up after 3 tries: PUT of 'x': the store answered 503 SlowDown: "
		       "Please reduce");
	http_response_done(&r);
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 3);
}

static void call__answer_without_its_document__may_pass(void **state)
{
	(void)state;
	static const struct {
		const char *body, *says;
	} cases[] = {
	    {ERROR("InternalError", "<Message>again</Message>"), "200 InternalError: again"},
	    {ERROR("Odd", ""), "200 Odd"},
	    {"", "200 without the <R> that belongs there"},
	    {"<R><a></R>", "200 without the <R> that belongs there"},
	    {"<S/>", "200 without the <R> that belongs there"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct s3_case c = {0};
		struct http_response r = {0};
		const struct s3_request q = {.method = "GET", .query = "a=", .expects = "R"};
		s3_says(&c, "200 OK", "", cases[i].body);
		s3_says(&c, "200 OK", "", " \r\n \n<?xml version=\"1.0\"?><R/>");
		s3_case_start(&c, NULL);
		assert_int_equal(s3_call(c.s3, &q, &r, &c.err), -1);
		assert_non_null(strstr(c.err.msg, cases[i].says));
		assert_true(c.err.retryable);
		http_response_done(&r);
		/* White space may come before the document. */
		assert_int_equal(s3_call(c.s3, &q, &r, &c.err), 0);
		http_response_done(&r);
		s3_case_stop(&c);
	}
	(void)state;
}

static void call__certificate_that_nobody_trusts__is_denied(void **state)
{
	(void)state;
	struct temp_dir dir;
	struct fake_tls tls;
	struct err err = ERR_INIT;
	char cert[TEMP_DIR_BYTES + 32], key[TEMP_DIR_BYTES + 32], other[TEMP_DIR_BYTES + 32];
	temp_dir_make(&dir);
	snprintf(cert, sizeof cert, "%s", temp_dir_in(&dir, "cert.pem"));
	snprintf(key, sizeof key, "%s", temp_dir_in(&dir, "key.pem"));
	snprintf(other, sizeof other, "%s", temp_dir_in(&dir, "other.pem"));
	fake_tls_certificate(other, key, "127.0.0.1");
	fake_tls_certificate(cert, key, "127.0.0.1");
	tls = (struct fake_tls){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	fake_tls_start(&tls, cert, key, NULL);
	const struct {
		const char *ca, *hint;
	} cases[] = {
	    {NULL, "If the store's certificate is not from a public CA, name its CA's "
		   "certificate with ca_file."},
	    {other, "The certificate must be signed by a CA in the store's ca_file, for the "
		    "endpoint's host."},
	    {cert, NULL},
	};
	for (size_t i = 0; i < 3; i++) {
		const struct store_opts o = {.url = "s3://bucket",
					     .endpoint = tls.url,
					     .access_key = "AK",
					     .secret_key = "SK",
					     .proxy = "",
					     .ca_file = cases[i].ca};
		const struct s3_request q = {.method = "PUT", .name = "x"};
		struct s3 *s;
		char *where;
		struct http_response r = {0};
		assert_int_equal(s3_open(&o, &s, &where, &err), 0);
		int rc = s3_call(s, &q, &r, &err);
		if (cases[i].hint == NULL && rc < 0)
			fail_msg("%s", err.msg);
		if (cases[i].hint != NULL) {
			assert_int_equal(rc, -1);
			assert_int_equal(err.code, ERR_DENIED);
			assert_non_null(strstr(err.msg, "certificate"));
			assert_string_equal(err.hint, cases[i].hint);
			assert_false(err.retryable);
		}
		http_response_done(&r);
		free(where);
		s3_free(s);
	}
	fake_tls_stop(&tls);
	temp_dir_remove(&dir);
}

static void time__in_both_forms__is_read(void **state)
{
	(void)state;
	int64_t ms = 7;
	assert_true(s3_time("2026-11-23T11:00:00.123Z", &ms));
	assert_int_equal(ms, INT64_C(1795431600000));
	assert_true(s3_time("Mon, 23 Nov 2026 11:00:00 GMT", &ms));
	assert_int_equal(ms, INT64_C(1795431600000));
	assert_false(s3_time("", &ms));
	assert_false(s3_time("2026-99-23T11:00:00Z", &ms));
	assert_false(s3_time("soon", &ms));
	assert_false(s3_time("Mon, 01 Jan 2147483647 00:00:00 GMT", &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refused__of_a_put__is_said_with_the_next_step),
	    cmocka_unit_test(refused__by_policy__names_the_right_that_is_missing),
	    cmocka_unit_test(refused__for_the_clock__tells_both_times),
	    cmocka_unit_test(insist__what_passes__is_tried_again),
	    cmocka_unit_test(insist__what_does_not_pass__is_given_up),
	    cmocka_unit_test(call__answer_without_its_document__may_pass),
	    cmocka_unit_test(call__certificate_that_nobody_trusts__is_denied),
	    cmocka_unit_test(time__in_both_forms__is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

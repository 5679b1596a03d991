/* Objects that are written, to a server that fails on cue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "storage/s3/s3_part.h"
#include "tests/support/s3_case.h"

#define ERROR(code) "<Error><Code>" code "</Code></Error>"
#define BEGUN                                                                                      \
	"<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"        \
	"<UploadId>2~a+b</UploadId></InitiateMultipartUploadResult>"
#define COMPLETED                                                                                  \
	"<CompleteMultipartUploadResult><ETag>&quot;e-2&quot;</ETag></"                            \
	"CompleteMultipartUploadResult>"
#define ETAG      "ETag: \"0123\"\r\n"
#define TWO_PARTS "33554432"

/* Static: the thread of the fake reads it. */
static struct s3_case c;

static int reset(void **state)
{
	(void)state;
	memset(&c, 0, sizeof c);
	return 0;
}

static void must(int rc)
{
	if (rc != 0)
		fail_msg("%s (%s)", c.err.msg, err_code_name(c.err.code));
}

static int write_bytes(struct sink *to, size_t bytes)
{
	static const uint8_t block[1 << 20] = {1, 2, 3};
	int rc = 0;
	for (size_t n; rc == 0 && bytes > 0; bytes -= n) {
		n = bytes < sizeof block ? bytes : sizeof block;
		rc = sink_write(to, block, n, &c.err);
	}
	return rc;
}

/* Writes an object of so many bytes; 0 if it was taken. */
static int put(const char *name, bool fresh, size_t bytes)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (s3_put(c.s3, name, fresh, &to, &c.err) < 0 || write_bytes(to, bytes) < 0)
		return -1;
	return sink_close(to, &c.err);
}

/* ---- in one request ---- */

static void put__of_little__is_one_request_with_all_headers(void **state)
{
	(void)state;
	const struct store_opts o = {.storage_class = "STANDARD_IA",
				     .encryption = "aws:kms",
				     .kms_key = "k1",
				     .object_lock = "Compliance",
				     .object_lock_days = 30};
	char until[CLOCK_TEXT_BYTES];
	s3_says(&c, "200 OK", ETAG, "");
	s3_case_start(&c, &o);
	must(put("a.tar.zst", false, 5));
	must(put("a.json", false, 5));
	must(put("hdms.lease-000000001", false, 0));
	must(put("a.verify-20261123T050000Z.json", false, 0));
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 4);
	assert_int_equal(s3_case_asked(&c, "PUT /bucket/pre/"), 4);
	assert_int_equal(s3_case_asked(&c, "x-amz-storage-class: STANDARD_IA\r\n"), 1);
	assert_int_equal(s3_case_asked(&c, "x-amz-server-side-encryption: aws:kms\r\n"), 4);
	assert_int_equal(s3_case_asked(&c, "encryption-aws-kms-key-id: k1\r\n"), 4);
	assert_int_equal(s3_case_asked(&c, "x-amz-object-lock-mode: COMPLIANCE\r\n"), 2);
	clock_rfc3339(clock_wall_ms() + INT64_C(30) * 86400000, until);
	until[13] = '\0';
	assert_non_null(strstr(c.fake.heads, until));
	/* Of {1, 2, 3, 0, 0}, and of nothing. */
	assert_int_equal(s3_case_asked(&c, "Content-MD5: "), 4);
	assert_int_equal(s3_case_asked(&c, "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="), 2);
	assert_null(strstr(c.fake.heads, "Content-Type"));
	assert_null(strstr(c.fake.heads, "If-None-Match"));
}

static void put__refused__is_an_error_and_not_tried_again(void **state)
{
	(void)state;
	s3_says(&c, "403 Forbidden", "", ERROR("QuotaExceeded"));
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", false, 5), -1);
	s3_case_failed(&c, ERR_NOSPACE, "PUT of 'x': the store answered 403 QuotaExceeded");
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 1);
}

static void put__reset_in_the_middle__is_sent_again(void **state)
{
	(void)state;
	struct fake_reply *r = s3_says(&c, "200 OK", "", "");
	*r = (struct fake_reply){.bytes = "", .early = true, .take = 1 << 20, .then = FAKE_RESET};
	s3_says(&c, "200 OK", ETAG, "");
	s3_case_start(&c, NULL);
	must(put("x", false, 8 << 20));
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 2);
	assert_int_equal(c.fake.whole, 1);
}

static void put__stalled__is_sent_again(void **state)
{
	(void)state;
	const struct store_opts o = {.timeout_ms = 100};
	struct fake_reply *r = s3_says(&c, "200 OK", "", "");
	*r = (struct fake_reply){.bytes = "", .early = true, .take = 1 << 20, .then = FAKE_DEAF};
	s3_says(&c, "200 OK", ETAG, "");
	s3_case_start(&c, &o);
	must(put("x", false, 8 << 20));
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 2);
}

/* ---- creating ---- */

static void create__new__asks_before_and_puts_with_a_condition(void **state)
{
	(void)state;
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "200 OK", ETAG, "");
	s3_case_start(&c, NULL);
	must(put("x", true, 5));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "HEAD /bucket/pre/x "), 2);
	assert_int_equal(s3_case_asked(&c, "If-None-Match: *\r\n"), 1);
}

static void create__existing__is_refused_before_a_byte_is_sent(void **state)
{
	(void)state;
	s3_says_head(&c, "200 OK", "Content-Length: 7\r\nx-amz-meta-lifeboat: 00\r\n");
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", true, 5), -1);
	s3_case_failed(&c, ERR_EXISTS, "'x' is there already");
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 1);
}

static void create__other_was_faster__is_refused(void **state)
{
	(void)state;
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	s3_says_head(&c, "200 OK", "Content-Length: 7\r\n");
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", true, 5), -1);
	s3_case_failed(&c, ERR_EXISTS, "'x' is there already");
	s3_case_stop(&c);
}

/* The fourth answer says the token of the put that came. */
static void tell_token(void)
{
	const char *at = strstr(c.fake.heads, "x-amz-meta-lifeboat: ");
	snprintf(c.texts[4], sizeof c.texts[4],
		 "HTTP/1.1 200 OK\r\nLast-Modified: Mon, 23 Nov 2026 11:00:00 GMT\r\n"
		 "Content-Length: 5\r\nx-amz-meta-lifeboat: %.32s\r\n\r\n",
		 at != NULL ? at + 21 : "");
}

static void create__answer_lost__knows_its_own_object(void **state)
{
	(void)state;
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "200 OK", "", "")->then = FAKE_RESET;
	c.replies[2].len = 5;
	s3_says(&c, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	s3_says_head(&c, "200 OK", "");
	c.replies[4].before = tell_token;
	s3_case_start(&c, NULL);
	must(put("x", true, 5));
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 5);
}

static void create__without_conditions__is_what_head_and_put_can_do(void **state)
{
	(void)state;
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "501 Not Implemented", "", ERROR("NotImplemented"));
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "200 OK", ETAG, "");
	s3_case_start(&c, NULL);
	must(put("x", true, 5));
	assert_int_equal(atomic_load(&c.s3->conditional), S3_CONDITIONAL_NO);
	must(put("y", true, 5));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "If-None-Match: *\r\n"), 1);
	assert_int_equal(c.fake.answers, 7);
}

/* ---- in parts ---- */

static void upload__two_parts__are_sent_and_completed(void **state)
{
	(void)state;
	const struct store_opts o = {.object_lock = "governance", .object_lock_days = 1};
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "200 OK", "", COMPLETED);
	s3_says_head(&c, "200 OK", "Content-Length: " TWO_PARTS "\r\n");
	s3_says(&c, "200 OK", "", "");
	s3_case_start(&c, &o);
	must(put("a.tar.zst", false, 2 * S3_PART_BYTES));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "POST /bucket/pre/a.tar.zst?uploads= "), 1);
	assert_int_equal(s3_case_asked(&c, "x-amz-object-lock-mode: GOVERNANCE\r\n"), 1);
	assert_int_equal(s3_case_asked(&c, "?partNumber=1&uploadId=2~a%2Bb "), 1);
	assert_int_equal(s3_case_asked(&c, "?partNumber=2&uploadId=2~a%2Bb "), 1);
	assert_int_equal(s3_case_asked(&c, "Content-MD5: "), 3);
	assert_int_equal(s3_case_asked(&c, "POST /bucket/pre/a.tar.zst?uploadId=2~a%2Bb "), 1);
	assert_int_equal(s3_case_asked(&c, "DELETE"), 0);
	/* The lock was forgotten on the way. */
	assert_int_equal(s3_case_asked(&c, "PUT /bucket/pre/a.tar.zst?retention= "), 1);
	assert_int_equal(c.fake.answers, 6);
}

static void upload__not_closed__is_aborted(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "204 No Content", "", "");
	s3_case_start(&c, NULL);
	struct sink *to = NULL;
	must(s3_put(c.s3, "x", false, &to, &c.err));
	must(write_bytes(to, S3_PART_BYTES + 1));
	sink_free(to);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/x?uploadId=2~a%2Bb "), 1);
	assert_int_equal(s3_case_asked(&c, "?uploadId=2~a%2Bb "), 1);
}

static void upload__never_filled_a_part__asks_for_nothing(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", "");
	s3_case_start(&c, NULL);
	struct sink *to = NULL;
	must(s3_put(c.s3, "x", false, &to, &c.err));
	must(write_bytes(to, S3_PART_BYTES));
	sink_free(to);
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 0);
}

/* What is done to one of the two parts, and what the others say. */
static void upload_fails(enum err_code code, const char *text)
{
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", false, 2 * S3_PART_BYTES), -1);
	s3_case_failed(&c, code, text);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/x?uploadId=2~a%2Bb "), 1);
	assert_int_equal(s3_case_asked(&c, "POST /bucket/pre/x?uploads= "), 1);
}

static void upload__part_denied__is_aborted(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "403 Forbidden", "", ERROR("AccessDenied"));
	s3_says(&c, "403 Forbidden", "", ERROR("AccessDenied"));
	upload_fails(ERR_DENIED, ": PUT of 'x': the store answered 403 AccessDenied");
	assert_int_equal(s3_case_asked(&c, "POST /bucket/pre/x?uploadId"), 0);
}

static void upload__part_without_etag__is_aborted(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "200 OK", "", "");
	s3_says(&c, "200 OK", "ETag: \"a\"b\"\r\n", "");
	upload_fails(ERR_CORRUPT, " of 'x': the store took it without an ETag");
}

static void upload__parts_that_fail_for_a_moment__are_sent_again(void **state)
{
	(void)state;
	const struct store_opts o = {.timeout_ms = 200, .retries = 4};
	s3_says(&c, "500 Internal Server Error", "", ERROR("InternalError"));
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "503 Slow Down", "", ERROR("SlowDown"));
	*s3_says(&c, "200 OK", "", "") =
	    (struct fake_reply){.bytes = "", .early = true, .take = 1 << 20, .then = FAKE_RESET};
	*s3_says(&c, "200 OK", "", "") =
	    (struct fake_reply){.bytes = "", .early = true, .take = 1 << 20, .then = FAKE_DEAF};
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "200 OK", "", COMPLETED);
	s3_says_head(&c, "200 OK", "Content-Length: " TWO_PARTS "\r\n");
	s3_case_start(&c, &o);
	must(put("x", false, 2 * S3_PART_BYTES));
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 9);
}

static void begin_two_parts(void)
{
	s3_says(&c, "200 OK", "", BEGUN);
	s3_says(&c, "200 OK", ETAG, "");
	s3_says(&c, "200 OK", ETAG, "");
}

static void complete__error_under_200__is_tried_again(void **state)
{
	(void)state;
	begin_two_parts();
	s3_says(&c, "200 OK", "", ERROR("InternalError"));
	s3_says(&c, "200 OK", "", "");
	s3_says(&c, "200 OK", "", " \n" COMPLETED);
	s3_says_head(&c, "200 OK", "Content-Length: " TWO_PARTS "\r\n");
	s3_case_start(&c, NULL);
	must(put("x", false, 2 * S3_PART_BYTES));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "POST /bucket/pre/x?uploadId"), 3);
	assert_int_equal(s3_case_asked(&c, "DELETE"), 0);
}

static void complete__error_under_200_that_stays__is_aborted(void **state)
{
	(void)state;
	begin_two_parts();
	for (unsigned i = 0; i < 3; i++)
		s3_says(&c, "200 OK", "", ERROR("InternalError"));
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "204 No Content", "", "");
	upload_fails(ERR_UNREACHABLE,
		     "the end of the upload of 'x': gave up after 3 tries: POST of 'x': the store "
		     "answered 200 InternalError");
}

static void complete__wrong_etag__is_aborted(void **state)
{
	(void)state;
	begin_two_parts();
	s3_says(&c, "400 Bad Request", "",
		"<Error><Code>InvalidPart</Code><Message>etag</Message></Error>");
	s3_says(&c, "404 Not Found", "", "");
	s3_says(&c, "204 No Content", "", "");
	upload_fails(
	    ERR_FAILED,
	    "the end of the upload: POST of 'x': the store answered 400 InvalidPart: etag");
}

static void tell_upload_token(void)
{
	const char *at = strstr(c.fake.heads, "x-amz-meta-lifeboat: ");
	snprintf(c.texts[5], sizeof c.texts[5],
		 "HTTP/1.1 200 OK\r\nLast-Modified: Mon, 23 Nov 2026 11:00:00 GMT\r\n"
		 "Content-Length: " TWO_PARTS "\r\nx-amz-meta-lifeboat: %.32s\r\n\r\n",
		 at != NULL ? at + 21 : "");
}

static void complete__answer_lost__finds_that_it_was_done(void **state)
{
	(void)state;
	begin_two_parts();
	s3_says(&c, "200 OK", "", COMPLETED)->then = FAKE_RESET;
	c.replies[3].len = 5;
	s3_says(&c, "404 Not Found", "", ERROR("NoSuchUpload"));
	s3_says_head(&c, "200 OK", "");
	c.replies[5].before = tell_upload_token;
	s3_case_start(&c, NULL);
	must(put("x", false, 2 * S3_PART_BYTES));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE"), 0);
}

static void complete__object_of_another_length__is_corrupt_and_removed(void **state)
{
	(void)state;
	begin_two_parts();
	s3_says(&c, "200 OK", "", COMPLETED);
	s3_says_head(&c, "200 OK", "Content-Length: 16777216\r\n");
	s3_says(&c, "204 No Content", "", "");
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", false, 2 * S3_PART_BYTES), -1);
	s3_case_failed(&c, ERR_CORRUPT,
		       "'x' has 16777216 bytes in the store, and 33554432 were sent");
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/x "), 1);
}

static void complete__of_a_new_one_that_is_there_now__is_refused(void **state)
{
	(void)state;
	s3_says(&c, "404 Not Found", "", "");
	begin_two_parts();
	s3_says_head(&c, "200 OK", "Content-Length: 7\r\n");
	s3_says(&c, "204 No Content", "", "");
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", true, 2 * S3_PART_BYTES), -1);
	s3_case_failed(&c, ERR_EXISTS, "'x' is there already");
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/x?uploadId=2~a%2Bb "), 1);
}

static void upload__begun_without_an_id__is_corrupt(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", "<InitiateMultipartUploadResult/>");
	s3_case_start(&c, NULL);
	assert_int_equal(put("x", false, S3_PART_BYTES + 1), -1);
	s3_case_failed(&c, ERR_CORRUPT, "'x': the store began an upload without an id");
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 1);
}

#define TEST(fn) cmocka_unit_test_setup(fn, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(put__of_little__is_one_request_with_all_headers),
	    TEST(put__refused__is_an_error_and_not_tried_again),
	    TEST(put__reset_in_the_middle__is_sent_again),
	    TEST(put__stalled__is_sent_again),
	    TEST(create__new__asks_before_and_puts_with_a_condition),
	    TEST(create__existing__is_refused_before_a_byte_is_sent),
	    TEST(create__other_was_faster__is_refused),
	    TEST(create__answer_lost__knows_its_own_object),
	    TEST(create__without_conditions__is_what_head_and_put_can_do),
	    TEST(upload__two_parts__are_sent_and_completed),
	    TEST(upload__not_closed__is_aborted),
	    TEST(upload__never_filled_a_part__asks_for_nothing),
	    TEST(upload__part_denied__is_aborted),
	    TEST(upload__part_without_etag__is_aborted),
	    TEST(upload__parts_that_fail_for_a_moment__are_sent_again),
	    TEST(upload__begun_without_an_id__is_corrupt),
	    TEST(complete__error_under_200__is_tried_again),
	    TEST(complete__error_under_200_that_stays__is_aborted),
	    TEST(complete__wrong_etag__is_aborted),
	    TEST(complete__answer_lost__finds_that_it_was_done),
	    TEST(complete__object_of_another_length__is_corrupt_and_removed),
	    TEST(complete__of_a_new_one_that_is_there_now__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The examples that AWS publishes: "Signature Calculations for the Authorization Header" of Amazon
 * S3, and aws-sig-v4-test-suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "storage/s3/s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST  "Host: examplebucket.s3.amazonaws.com"
#define DATE  "x-amz-date: 20130524T000000Z"

static const struct s3_sign s3_example = {
    .method = "GET",
    .path = "/",
    .query = "",
    .payload_sha256 = EMPTY,
    .region = "us-east-1",
    .service = "s3",
    .access_key = "AKIAIOSFODNN7EXAMPLE",
    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .time_ms = INT64_C(1369353600000),
};

static const struct s3_sign suite_example = {
    .method = "GET",
    .path = "/",
    .query = "",
    .payload_sha256 = EMPTY,
    .region = "us-east-1",
    .service = "service",
    .access_key = "AKIDEXAMPLE",
    .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    .time_ms = INT64_C(1440938160000),
};

static void assert_signed(const struct s3_sign *q, const char *headers, const char *signature)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *got = NULL;
	CLEANUP(freep) char *expected = NULL;
	if (s3_sign(q, &got, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(str_printf(&expected, &err,
				    "AWS4-HMAC-SHA256 Credential=%s/%s/us-east-1/%s/aws4_request, "
				    "SignedHeaders=%s, Signature=%s",
				    q->access_key,
				    q->time_ms == s3_example.time_ms ? "20130524" : "20150830",
				    q->service, headers, signature),
			 0);
	assert_string_equal(got, expected);
}

static void sign__get_of_a_range__is_as_published(void **state)
{
	(void)state;
	struct s3_sign q = s3_example;
	q.path = "/test.txt";
	q.headers = (const char *const[]){HOST, "Range: bytes=0-9", "x-amz-content-sha256: " EMPTY,
					  DATE, NULL};
	assert_signed(&q, "host;range;x-amz-content-sha256;x-amz-date",
		      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void sign__put_with_odd_name__is_as_published(void **state)
{
	(void)state;
	static const char hash[] =
	    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	struct s3_sign q = s3_example;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf path;
	buf_init(&path, 100);
	assert_int_equal(s3_sign_path(&path, "/test$file.text", &err), 0);
	q.method = "PUT";
	q.path = buf_text(&path);
	q.headers = (const char *const[]){
	    DATE,
	    "x-amz-storage-class:REDUCED_REDUNDANCY",
	    HOST,
	    "Date: Fri, 24 May 2013 00:00:00 GMT",
	    "x-amz-content-sha256: "
	    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	    NULL};
	q.payload_sha256 = hash;
	assert_signed(&q, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void sign__queries__are_as_published(void **state)
{
	(void)state;
	struct s3_sign q = s3_example;
	q.headers = (const char *const[]){HOST, "x-amz-content-sha256: " EMPTY, DATE, NULL};
	q.query = "lifecycle=";
	assert_signed(&q, "host;x-amz-content-sha256;x-amz-date",
		      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	q.query = "max-keys=2&prefix=J";
	assert_signed(&q, "host;x-amz-content-sha256;x-amz-date",
		      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void sign__of_the_test_suite__is_as_published(void **state)
{
	(void)state;
	struct s3_sign q = suite_example;
	q.headers = (const char *const[]){"Host:example.amazonaws.com",
					  "X-Amz-Date:20150830T123600Z", NULL};
	/* get-vanilla, get-vanilla-query-order-key-case, post-vanilla */
	assert_signed(&q, "host;x-amz-date",
		      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	q.query = "Param1=value1&Param2=value2";
	assert_signed(&q, "host;x-amz-date",
		      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
	q.query = "";
	q.method = "POST";
	assert_signed(&q, "host;x-amz-date",
		      "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
	/* get-header-value-trim */
	q.method = "GET";
	q.headers =
	    (const char *const[]){"Host:example.amazonaws.com", "My-Header1: value1",
				  "My-Header2: \"a   b   c\"", "X-Amz-Date:20150830T123600Z", NULL};
	assert_signed(&q, "host;my-header1;my-header2;x-amz-date",
		      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

static void sign__name_that_begins_as_another__comes_behind_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct s3_sign q = suite_example;
	CLEANUP(freep) char *got = NULL;
	q.headers = (const char *const[]){"x-a-b: 1", "x-a: 2", "Host: h", NULL};
	assert_int_equal(s3_sign(&q, &got, &err), 0);
	assert_non_null(strstr(got, "SignedHeaders=host;x-a;x-a-b, "));
}

static void sign__too_many_headers__is_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct s3_sign q = suite_example;
	char *got = NULL;
	const char *headers[S3_SIGN_HEADERS_MAX + 2] = {0};
	for (size_t i = 0; i <= S3_SIGN_HEADERS_MAX; i++)
		headers[i] = "Host: h";
	q.headers = headers;
	assert_int_equal(s3_sign(&q, &got, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "more than 32 headers to sign");
	assert_null(got);
}

static void path__odd_names__are_encoded_but_for_slashes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 100);
	assert_int_equal(s3_sign_path(&b, "/a b/\xc3\xbc=+%/~x-._//", &err), 0);
	assert_string_equal(buf_text(&b), "/a%20b/%C3%BC%3D%2B%25/~x-._//");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sign__get_of_a_range__is_as_published),
	    cmocka_unit_test(sign__put_with_odd_name__is_as_published),
	    cmocka_unit_test(sign__queries__are_as_published),
	    cmocka_unit_test(sign__of_the_test_suite__is_as_published),
	    cmocka_unit_test(sign__name_that_begins_as_another__comes_behind_it),
	    cmocka_unit_test(sign__too_many_headers__is_a_limit),
	    cmocka_unit_test(path__odd_names__are_encoded_but_for_slashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

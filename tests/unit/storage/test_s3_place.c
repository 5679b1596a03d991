/* Urls, endpoints and options; how an upload is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/s3/s3.h"
#include "storage/s3/s3_part.h"

static const struct store_opts plain = {
    .name = "offsite", .url = "s3://bucket/pre", .access_key = "AK", .secret_key = "SK"};

static struct s3 *open_it(const struct store_opts *o, const char *where)
{
	struct err err = ERR_INIT;
	struct s3 *s = NULL;
	char *said = NULL;
	if (s3_open(o, &s, &said, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(said, where);
	free(said);
	return s;
}

static void assert_place(const struct store_opts *o, const char *where, const char *url,
			 const char *host)
{
	struct s3 *s = open_it(o, where);
	struct err err = ERR_INIT;
	struct s3_prepared p = {0};
	char line[200];
	const struct s3_request q = {.method = "GET", .name = "x", .query = "a=b"};
	assert_int_equal(s3_prepare(s, &q, &p, &err), 0);
	assert_string_equal(p.url, url);
	snprintf(line, sizeof line, "Host: %s", host);
	assert_true(strlist_has(&p.headers, line));
	s3_prepared_done(&p);
	s3_free(s);
}

static void place__of_aws_and_others__is_where_the_bucket_is(void **state)
{
	(void)state;
	struct store_opts o = plain;
	assert_place(&o, "s3://bucket/pre", "https://bucket.s3.us-east-1.amazonaws.com/pre/x?a=b",
		     "bucket.s3.us-east-1.amazonaws.com");
	o.region = "eu-central-1";
	o.addressing = "path";
	assert_place(&o, "s3://bucket/pre",
		     "https://s3.eu-central-1.amazonaws.com/bucket/pre/x?a=b",
		     "s3.eu-central-1.amazonaws.com");
	/* No certificate covers a bucket with a dot. */
	o.addressing = NULL;
	o.url = "s3://my.bucket";
	assert_place(&o, "s3://my.bucket", "https://s3.eu-central-1.amazonaws.com/my.bucket/x?a=b",
		     "s3.eu-central-1.amazonaws.com");
	o.url = "s3://bucket//a b/c//";
	o.endpoint = "http://127.0.0.1:8000/";
	assert_place(&o, "s3://bucket/a b/c at 127.0.0.1:8000",
		     "http://127.0.0.1:8000/bucket/a%20b/c/x?a=b", "127.0.0.1:8000");
	o.addressing = "virtual";
	o.endpoint = "https://s3.example.org:443";
	assert_place(&o, "s3://bucket/a b/c at s3.example.org",
		     "https://bucket.s3.example.org/a%20b/c/x?a=b", "bucket.s3.example.org");
}

static void open__with_a_session__signs_its_token(void **state)
{
	(void)state;
	struct store_opts o = plain;
	o.session_token = "T0";
	struct s3 *s = open_it(&o, "s3://bucket/pre");
	struct err err = ERR_INIT;
	struct s3_prepared p = {0};
	const struct s3_request q = {.method = "HEAD"};
	assert_int_equal(s3_prepare(s, &q, &p, &err), 0);
	assert_true(strlist_has(&p.headers, "x-amz-security-token: T0"));
	const char *signature = p.headers.items[p.headers.count - 1];
	assert_non_null(strstr(signature, "x-amz-date;x-amz-security-token, Signature="));
	s3_prepared_done(&p);
	s3_free(s);
}

static void open__wrong_options__are_told(void **state)
{
	static const struct {
		struct store_opts with;
		const char *msg;
	} cases[] = {
	    {{.url = "s3://"}, "'s3://' names no bucket"},
	    {{.url = "s3://a b/c"}, "'s3://a b/c' names no bucket"},
	    {{.url = "s3://ab"}, "'s3://ab' names no bucket"},
	    {{.url = "s3://bucket/a?b"},
	     "the prefix in 's3://bucket/a?b' has a character that can't be there"},
	    {{.endpoint = "s3.example.org"},
	     "endpoint 's3.example.org' does not begin with https:// or http://"},
	    {{.endpoint = "https://u:p@h"},
	     "endpoint '…' has a user in it: keys are options of their own"},
	    {{.endpoint = "https://h/path"}, "endpoint 'https://h/path' is more than a host"},
	    {{.endpoint = "https://h?x"}, "endpoint 'https://h?x' is no host"},
	    {{.region = "eu west"}, "region 'eu west' is none"},
	    {{.addressing = "dns"}, "addressing is 'dns', and not path or virtual"},
	    {{.access_key = ""}, "'s3://bucket/pre' needs an access_key"},
	    {{.secret_key = ""}, "'s3://bucket/pre' needs a secret_key"},
	    {{.access_key = "", .secret_key = ""},
	     "'s3://bucket/pre' needs an access_key and a secret_key"},
	    {{.object_lock = "always"},
	     "object_lock is 'always', and not governance or compliance"},
	    {{.object_lock = "governance"}, "object_lock without object_lock_days"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct s3 *s = NULL;
		char *where = NULL;
		struct store_opts o = cases[i].with;
		o.url = o.url != NULL ? o.url : plain.url;
		o.access_key = o.access_key != NULL ? o.access_key : "AK";
		o.secret_key = o.secret_key != NULL ? o.secret_key : "SK";
		assert_int_equal(s3_open(&o, &s, &where, &err), -1);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(where);
	}
}

static void part__any_archive__fits_the_limits(void **state)
{
	(void)state;
	const uint64_t gib = UINT64_C(1) << 30, most = 5 * 1024 * gib;
	uint64_t sent = 0;
	unsigned parts = 0;
	for (; sent < most; parts++) {
		size_t bytes = s3_part_bytes(sent);
		assert_in_range(bytes, S3_PART_BYTES, 5 * gib);
		assert_int_equal(bytes % (1 << 20), 0);
		assert_true(bytes >= s3_part_bytes(sent > 0 ? sent - 1 : 0));
		sent += bytes;
	}
	assert_in_range(parts, 1, S3_PARTS_MAX);
	assert_int_equal(s3_part_bytes(24 * gib), 16 << 20);
	assert_int_equal(s3_part_bytes(100 * gib), 67 << 20);
}

static void part__buffers__are_fewer_when_parts_are_large(void **state)
{
	(void)state;
	const size_t mib = 1 << 20;
	assert_int_equal(s3_part_buffers(16 * mib), 4);
	assert_int_equal(s3_part_buffers(17 * mib), 3);
	assert_int_equal(s3_part_buffers(32 * mib), 2);
	assert_int_equal(s3_part_buffers(65 * mib), 2);
	assert_int_equal(s3_part_buffers(256 * mib), 2);
	assert_int_equal(s3_part_buffers(257 * mib), 1);
	assert_int_equal(s3_part_buffers(3600 * mib), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(place__of_aws_and_others__is_where_the_bucket_is),
	    cmocka_unit_test(open__with_a_session__signs_its_token),
	    cmocka_unit_test(open__wrong_options__are_told),
	    cmocka_unit_test(part__any_archive__fits_the_limits),
	    cmocka_unit_test(part__buffers__are_fewer_when_parts_are_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

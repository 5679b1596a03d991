/* The store on a real Ceph: the suite of all kinds, and what only S3 has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/s3.h"
#include "tests/support/ceph.h"
#include "tests/support/store_suite.h"

enum { PART = 16 << 20 };

static struct ceph ceph;
static struct err err;

static struct store_opts options(const char *url)
{
	return (struct store_opts){.name = "offsite",
				   .url = url,
				   .endpoint = ceph.url,
				   .access_key = CEPH_ACCESS_KEY,
				   .secret_key = CEPH_SECRET_KEY,
				   .retries = 2};
}

static struct store *store_at(const struct store_opts *o)
{
	struct store *s = NULL;
	if (store_open(o, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static struct s3 *client(const char *url)
{
	const struct store_opts o = options(url);
	struct s3 *s = NULL;
	char *where = NULL;
	if (s3_open(&o, &s, &where, &err) < 0)
		fail_msg("%s", err.msg);
	free(where);
	return s;
}

static void must(int rc)
{
	if (rc != 0)
		fail_msg("%s (%s)", err.msg, err_code_name(err.code));
}

static void assert_failed(int rc, enum err_code code, const char *text)
{
	assert_int_equal(rc, -1);
	if (err.code != code || strstr(err.msg, text) == NULL)
		fail_msg("%s: '%s', and not %s: '%s'", err_code_name(err.code), err.msg,
			 err_code_name(code), text);
	err_clear(&err);
}

/* Any request, past the store; the status. */
static long ask(const char *url, const struct s3_request *q, struct http_response *r)
{
	struct http_response own = {0};
	struct s3 *s = client(url);
	must(s3_call(s, q, r != NULL ? r : &own, &err));
	long status = r != NULL ? r->status : own.status;
	http_response_done(&own);
	s3_free(s);
	return status;
}

static void make_bucket(const char *url, const char *const *headers)
{
	const struct s3_request q = {.method = "PUT", .headers = headers};
	assert_int_equal(ask(url, &q, NULL), 200);
}

/* ---- the suite ---- */

static int suite_open(void *ctx, const char *folder, struct store **ret, struct err *why)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct store_opts o = options(url);
	return store_open(&o, ret, why);
}

static void suite_plant(void *ctx, const char *folder, const char *name)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct s3_request q = {.method = "PUT", .name = name, .body = "x", .body_bytes = 1};
	assert_int_equal(ask(url, &q, NULL), 200);
}

static void suite_leave(void *ctx, const char *folder, const char *name)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct s3_request q = {.method = "POST", .name = name, .query = "uploads="};
	assert_int_equal(ask(url, &q, NULL), 200);
}

int main(void)
{
	ceph_start(&ceph);
	make_bucket("s3://suite", NULL);
	/* Pages of seven, and what was left a moment ago is old. */
	setenv("LIFEBOAT_FAULT", "s3-large-pages=skip,s3-sweep-age=skip", 1);
	const struct store_suite suite = {
	    .open = suite_open, .plant = suite_plant, .leave = suite_leave};
	int failed = store_suite_run("storage/store_s3", &suite);
	unsetenv("LIFEBOAT_FAULT");
	(void)assert_failed, (void)store_at;
	ceph_stop(&ceph);
	return failed;
}

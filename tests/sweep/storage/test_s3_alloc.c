/* The S3 store when memory runs out at every single point. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/fail_alloc.h"
#include "tests/support/s3_case.h"

enum { MOST = 5000 };

static struct fake_http fake;

/* Work that says 0 when it did all that it should. */
typedef int work_fn(struct s3 *s, struct err *err);

static int open_client(struct s3 **ret, struct err *err)
{
	const struct store_opts o = {.url = "s3://bucket/pre",
				     .endpoint = fake.url,
				     .access_key = "AK",
				     .secret_key = "SK",
				     .session_token = "T",
				     .storage_class = "C",
				     .encryption = "aws:kms",
				     .kms_key = "k",
				     .object_lock = "governance",
				     .object_lock_days = 1,
				     .proxy = "",
				     .retries = 1};
	char *where = NULL;
	int rc = s3_open(&o, ret, &where, err);
	free(where);
	if (rc == 0)
		(*ret)->retry_base_ms = 1;
	return rc;
}

static int work_put(struct s3 *s, struct err *err)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (s3_put(s, "x.tar.zst", false, &to, err) < 0 || sink_write(to, "12345", 5, err) < 0)
		return -1;
	return sink_close(to, err);
}

static int work_get(struct s3 *s, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	uint8_t b[10];
	size_t n;
	if (s3_get(s, "x", 0, UINT64_MAX, &from, err) < 0)
		return -1;
	return source_read(from, b, sizeof b, &n, err);
}

static int work_lists(struct s3 *s, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects found = {0};
	CLEANUP(xml_freep) struct xml *x = NULL;
	CLEANUP(s3_unfinished_done) struct s3_unfinished_list uploads = {0};
	CLEANUP(strlist_done) struct strlist versions = {0};
	static const char page[] =
	    "<Page><EncodingType>url</EncodingType><Upload><Key>pre/a</Key><UploadId>1</UploadId>"
	    "<Initiated>2026-11-23T11:00:00Z</Initiated></Upload><Version><Key>pre/x</Key>"
	    "<VersionId>v</VersionId></Version></Page>";
	if (s3_list(s, "", &found, err) < 0 || xml_parse(page, sizeof page - 1, &x, err) < 0 ||
	    s3_page_unfinished(s, xml_root(x), "", &uploads, err) < 0 ||
	    s3_page_versions(s, xml_root(x), "x", &versions, err) < 0)
		return -1;
	return found.count == 2 && uploads.count == 1 && versions.count == 1
		   ? 0
		   : err_set(err, ERR_FAILED, "something is forgotten");
}

static void run_one(work_fn *work, bool once, unsigned n)
{
	struct err err = ERR_INIT;
	struct s3 *s = NULL;
	(once ? fail_alloc_once_at : fail_alloc_at)(n);
	int rc = open_client(&s, &err);
	if (rc == 0)
		rc = work(s, &err);
	s3_free(s);
	fail_alloc_off();
	/* libcurl's own memory is not ours; what an answer said of its failure is not needed. */
	if (!fail_alloc_hit() && rc < 0)
		fail_msg("%s", err.msg);
	if (rc < 0 && err.code != ERR_NOMEM && err.code != ERR_CORRUPT && err.code != ERR_FAILED &&
	    err.code != ERR_UNREACHABLE)
		fail_msg("allocation %u: %s", n, err.msg);
}

static void sweep(work_fn *work, const char *reply, unsigned at_least)
{
	const struct fake_reply replies[] = {{.bytes = reply}};
	fake_http_start(&fake, replies, 1, NULL);
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		do
			run_one(work, once == 1, n);
		while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, at_least, MOST - 1);
	}
	fake_http_stop(&fake);
}

static void s3__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	static const char list[] =
	    "HTTP/1.1 200 OK\r\nContent-Length: 237\r\n\r\n"
	    "<ListBucketResult>"
	    "<Contents><Key>pre/a</Key><Size>1</Size><LastModified>2026-11-23T11:00:00Z"
	    "</LastModified></Contents>"
	    "<Contents><Key>pre/b</Key><Size>1</Size><LastModified>2026-11-23T11:00:00Z"
	    "</LastModified></Contents></ListBucketResult>";
	sweep(work_put, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n", 60);
	sweep(work_get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n123", 40);
	sweep(work_lists, list, 60);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s3__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

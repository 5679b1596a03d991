/* Ranges, lists, removing and sweeping, from a server that says odd things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/s3_case.h"

#define ERROR(code)  "<Error><Code>" code "</Code></Error>"
#define LIST(inside) "<ListBucketResult>" inside "</ListBucketResult>"
#define ITEM(key, size)                                                                            \
	"<Contents><Key>" key "</Key><Size>" size                                                  \
	"</Size><LastModified>2026-11-23T11:00:00.000Z</LastModified></Contents>"
#define MORE(token)                                                                                \
	"<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"
#define DATE "Date: Mon, 23 Nov 2026 11:00:00 GMT\r\n"

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

/* ---- ranges ---- */

static int get(uint64_t offset, uint64_t len, struct buf *b)
{
	CLEANUP(source_freep) struct source *from = NULL;
	uint8_t piece[100];
	size_t n = 1;
	if (s3_get(c.s3, "x", offset, len, &from, &c.err) < 0)
		return -1;
	while (n > 0) {
		if (source_read(from, piece, sizeof piece, &n, &c.err) < 0)
			return -1;
		must(buf_append(b, piece, n, &c.err));
	}
	return 0;
}

static void assert_got(uint64_t offset, uint64_t len, const char *text)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 1000);
	must(get(offset, len, &b));
	assert_string_equal(buf_text(&b), text);
}

static void assert_not_got(uint64_t offset, uint64_t len, enum err_code code, const char *msg)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 1000);
	assert_int_equal(get(offset, len, &b), -1);
	s3_case_failed(&c, code, msg);
	err_clear(&c.err);
}

static void get__ranges__are_asked_for_and_checked(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", "0123456789");
	s3_says(&c, "206 Partial Content", "Content-Range: bytes 2-4/10\r\n", "234");
	s3_says(&c, "206 Partial Content", "Content-Range: bytes 7-9/10\r\n", "789");
	s3_case_start(&c, NULL);
	assert_got(0, UINT64_MAX, "0123456789");
	assert_got(2, 3, "234");
	assert_got(7, UINT64_MAX, "789");
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "Range: "), 2);
	assert_int_equal(s3_case_asked(&c, "Range: bytes=2-4\r\n"), 1);
	assert_int_equal(s3_case_asked(&c, "Range: bytes=7-\r\n"), 1);
}

static void get__other_than_asked_for__is_corrupt(void **state)
{
	static const struct {
		const char *status, *headers, *msg;
	} cases[] = {
	    {"200 OK", "", "was asked for bytes from 2 on, and answered 200 with ''"},
	    {"206 Partial Content", "", "answered 206 with ''"},
	    {"206 Partial Content", "Content-Range: bytes 1-3/10\r\n", "206 with 'bytes 1-3/10'"},
	    {"206 Partial Content", "Content-Range: bytes 2-4/x\r\n", "206 with 'bytes 2-4/x'"},
	    {"206 Partial Content", "Content-Range: bytes 2-4/3\r\n", "206 with 'bytes 2-4/3'"},
	    {"206 Partial Content", "Content-Range: bytes 2-3/4\r\n",
	     "'x' has 4 bytes: too few to read 3 at offset 2"},
	    {"206 Partial Content", "Content-Range: bytes 2-5/10\r\n", "too few to read 3 at"},
	    {"206 Partial Content", "Content-Range: bytes 2-4/10\r\nX: y\r\n",
	     "'x': the store's range and length differ"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		reset(NULL);
		s3_says(&c, cases[i].status, cases[i].headers, "23");
		s3_case_start(&c, NULL);
		assert_not_got(2, 3, ERR_CORRUPT, cases[i].msg);
		s3_case_stop(&c);
	}
}

static void get__cut__is_retryable(void **state)
{
	(void)state;
	s3_says(&c, "206 Partial Content", "Content-Range: bytes 2-4/10\r\n", "234");
	c.replies[0].len = strlen(c.texts[0]) - 1;
	c.replies[0].then = FAKE_CLOSE;
	s3_case_start(&c, NULL);
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 100);
	assert_int_equal(get(2, 3, &b), -1);
	assert_true(c.err.retryable);
	assert_string_equal(buf_text(&b), "23");
	s3_case_stop(&c);
}

static void get__of_nothing__asks_for_the_length(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		s3_says_head(&c, "200 OK", "Content-Length: 10\r\n");
	s3_says(&c, "416 Range Not Satisfiable", "", ERROR("InvalidRange"));
	s3_says_head(&c, "200 OK", "Content-Length: 10\r\n");
	s3_says(&c, "416 Range Not Satisfiable", "", ERROR("InvalidRange"));
	s3_says_head(&c, "200 OK", "Content-Length: 10\r\n");
	s3_says(&c, "404 Not Found", "", "");
	s3_case_start(&c, NULL);
	assert_got(0, 0, "");
	assert_got(10, 0, "");
	assert_not_got(11, 0, ERR_CORRUPT, "'x' has 10 bytes: too few to read 0 at offset 11");
	assert_got(10, UINT64_MAX, "");
	assert_not_got(UINT64_MAX - 3, 10, ERR_CORRUPT, "'x' has 10 bytes: too few to read ");
	assert_not_got(0, 0, ERR_ABSENT, "there is no 'x' in bucket 'bucket'");
	s3_case_stop(&c);
}

static void head__that_lacks_something__is_corrupt(void **state)
{
	(void)state;
	struct s3_head h;
	s3_says(&c, "200 OK", "", "");
	c.replies[0].bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
	s3_says_head(&c, "200 OK", "");
	s3_says_head(&c, "200 OK",
		     "Content-Length: 3\r\nETag: \"e\"\r\nx-amz-object-lock-mode: COMPLIANCE\r\n"
		     "x-amz-object-lock-retain-until-date: 2030-01-01T00:00:00Z\r\n");
	s3_case_start(&c, NULL);
	assert_int_equal(s3_head(c.s3, "x", NULL, false, &h, &c.err), -1);
	s3_case_failed(&c, ERR_CORRUPT, "HEAD of 'x': the store does not say its time");
	assert_int_equal(s3_head(c.s3, "x", NULL, false, &h, &c.err), -1);
	s3_case_failed(&c, ERR_CORRUPT, "HEAD of 'x': the store does not say its length");
	must(s3_head(c.s3, "x", NULL, false, &h, &c.err));
	assert_int_equal(h.bytes, 3);
	assert_int_equal(h.modified_ms, INT64_C(1795431600000));
	assert_string_equal(h.etag, "\"e\"");
	assert_string_equal(h.token, "");
	assert_string_equal(h.lock_mode, "COMPLIANCE");
	assert_string_equal(h.lock_until, "2030-01-01T00:00:00Z");
	s3_case_stop(&c);
}

/* ---- lists ---- */

static void list__pages__are_joined_and_foreign_keys_skipped(void **state)
{
	(void)state;
	struct store_objects found = {0};
	s3_says(&c, "200 OK", "",
		LIST("<EncodingType>url</EncodingType>" ITEM("pre/a%2Dx", "1")
			 ITEM("pre/with+space", "1") ITEM("pre/x.part", "1") ITEM("pre/%zz", "1")
			     ITEM("other/a-y", "1") MORE("t/+&amp;1")));
	s3_says(&c, "200 OK", "",
		LIST(ITEM("pre/a-z", "18446744073709551615") ITEM(
		    "pre/b", "2") "<CommonPrefixes><Prefix>pre/deep/</Prefix></CommonPrefixes>"
				  "<IsTruncated>false</IsTruncated>"));
	s3_case_start(&c, NULL);
	must(s3_list(c.s3, "a-", &found, &c.err));
	assert_int_equal(found.count, 2);
	assert_string_equal(found.items[0].name, "a-x");
	assert_int_equal(found.items[0].bytes, 1);
	assert_int_equal(found.items[0].modified_ms, INT64_C(1795431600000));
	assert_string_equal(found.items[1].name, "a-z");
	assert_true(found.items[1].bytes == UINT64_MAX);
	store_objects_done(&found);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "GET /bucket?delimiter=%2F&encoding-type=url&list-type=2"
					   "&max-keys=1000&prefix=pre%2Fa- "),
			 1);
	assert_int_equal(s3_case_asked(&c, "GET /bucket?continuation-token=t%2F%2B%261&delimiter="),
			 1);
}

static void list__that_can_not_be__is_an_error(void **state)
{
	static const struct {
		const char *first, *second;
		enum err_code code;
		const char *msg;
	} cases[] = {
	    {LIST("<IsTruncated>true</IsTruncated>"), "", ERR_CORRUPT,
	     "bucket 'bucket': the store's list goes on, and does not say where"},
	    {LIST(MORE("t")), LIST(MORE("t")), ERR_CORRUPT, "goes on, and does not say where"},
	    {LIST(ITEM("pre/a", "")), "", ERR_CORRUPT,
	     "the store's list has no size or time of 'a'"},
	    {LIST(ITEM("pre/a", "1x")), "", ERR_CORRUPT, "no size or time of 'a'"},
	    {LIST("<Contents><Key>pre/a</Key><Size>1</Size></Contents>"), "", ERR_CORRUPT,
	     "no size or time of 'a'"},
	    {"<html></html>", "", ERR_CORRUPT,
	     "bucket 'bucket': the store answered 200 without the <ListBucketResult> that belongs"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct store_objects found = {0};
		reset(NULL);
		s3_says(&c, "200 OK", "", cases[i].first);
		s3_says(&c, "200 OK", "", cases[i].second);
		s3_case_start(&c, NULL);
		assert_int_equal(s3_list(c.s3, "", &found, &c.err), -1);
		s3_case_failed(&c, cases[i].code, cases[i].msg);
		assert_null(found.items);
		s3_case_stop(&c);
	}
}

static void list__of_no_bucket__says_so(void **state)
{
	(void)state;
	struct store_objects found = {0};
	s3_says(&c, "404 Not Found", "", ERROR("NoSuchBucket"));
	s3_case_start(&c, NULL);
	assert_int_equal(s3_list(c.s3, "", &found, &c.err), -1);
	s3_case_failed(&c, ERR_CONFIG, "bucket 'bucket': the store answered 404 NoSuchBucket");
	assert_string_equal(c.err.hint,
			    "Make the bucket first, or correct the store's url and endpoint.");
	s3_case_stop(&c);
}

/* ---- sweeping ---- */

#define UPLOAD(key, id, begun)                                                                     \
	"<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>" begun                   \
	"</Initiated></Upload>"
#define UPLOADS(inside) "<ListMultipartUploadsResult>" inside "</ListMultipartUploadsResult>"

#define PARTS(inside)        "<ListPartsResult>" inside "</ListPartsResult>"
#define PART(when)           "<Part><PartNumber>1</PartNumber><LastModified>" when "</LastModified></Part>"
#define OLD                  "2026-01-01T00:00:00.000Z"
#define BACKUP(tail)         "20261101T020000Z-3f9" tail ".tar.zst"
#define GOES_ON(name, value) "<IsTruncated>true</IsTruncated><" name ">" value "</" name ">"

static void sweep__of_old_uploads__leaves_young_and_foreign_ones(void **state)
{
	(void)state;
	struct strlist swept = {0};
	static const char first[] = UPLOAD("pre/hdms-" BACKUP("a"), "1", "2026-11-22T10:59:59.000Z")
	    UPLOAD("pre/hdms-" BACKUP("b"), "2", "2026-11-22T11:00:01.000Z")
		UPLOAD("pre/with space", "3", OLD) UPLOAD("pre/other-" BACKUP("a"), "4", OLD)
		    UPLOAD("pre/hdms-" BACKUP("6"), "6", "")
			UPLOAD("pre/hdms-eu-" BACKUP("e"), "7", OLD) UPLOAD("pre/hdms-a", "8", OLD)
			    GOES_ON("NextKeyMarker",
				    "pre/x y") "<NextUploadIdMarker>4</NextUploadIdMarker>";
	char page[sizeof first + 100];
	snprintf(page, sizeof page, UPLOADS("%s"), first);
	s3_says(&c, "200 OK", DATE, page);
	s3_says(&c, "200 OK", DATE, UPLOADS(UPLOAD("pre/hdms-" BACKUP("c"), "5/x", OLD)));
	s3_says(&c, "200 OK", "", PARTS(""));
	s3_says(&c, "204 No Content", "", "");
	s3_says(&c, "200 OK", "",
		PARTS(PART("2026-11-22T10:00:00.000Z") GOES_ON("NextPartNumberMarker", "1000")));
	s3_says(&c, "200 OK", "", PARTS(PART("2026-11-22T10:59:59.000Z")));
	s3_says(&c, "404 Not Found", "", ERROR("NoSuchUpload"));
	s3_case_start(&c, NULL);
	must(store_s3_ops.sweep(c.s3, "hdms", false, &swept, &c.err));
	assert_int_equal(swept.count, 2);
	assert_string_equal(swept.items[0], "hdms-" BACKUP("a"));
	assert_string_equal(swept.items[1], "hdms-" BACKUP("c"));
	strlist_done(&swept);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "GET /bucket?delimiter=%2F&encoding-type=url"
					   "&max-uploads=1000&prefix=pre%2Fhdms&uploads= "),
			 1);
	assert_int_equal(s3_case_asked(&c, "&key-marker=pre%2Fx%20y&max-uploads=1000&prefix="
					   "pre%2Fhdms&upload-id-marker=4&uploads= "),
			 1);
	assert_int_equal(
	    s3_case_asked(&c, "?max-parts=1000&part-number-marker=1000&uploadId=5%2Fx "), 1);
	assert_int_equal(s3_case_asked(&c, "DELETE "), 2);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/hdms-" BACKUP("a") "?uploadId=1 "),
			 1);
	assert_int_equal(
	    s3_case_asked(&c, "DELETE /bucket/pre/hdms-" BACKUP("c") "?uploadId=5%2Fx "), 1);
}

static void sweep__of_an_old_upload_that_still_grows__leaves_it(void **state)
{
	(void)state;
	struct strlist swept = {0};
	s3_says(&c, "200 OK", DATE,
		UPLOADS(UPLOAD("pre/hdms-" BACKUP("a"), "1", OLD) UPLOAD(
		    "pre/hdms-" BACKUP("b"), "2", OLD) UPLOAD("pre/hdms-" BACKUP("c"), "3", OLD)));
	s3_says(&c, "200 OK", "",
		PARTS(PART("2026-11-22T11:00:01.000Z") PART("2026-11-20T11:00:01.000Z")));
	/* One whose last sign of life is not known, and one that has just ended. */
	s3_says(&c, "200 OK", "", PARTS("<Part><PartNumber>1</PartNumber></Part>"));
	s3_says(&c, "404 Not Found", "", ERROR("NoSuchUpload"));
	s3_case_start(&c, NULL);
	must(store_s3_ops.sweep(c.s3, "hdms", false, &swept, &c.err));
	assert_int_equal(swept.count, 0);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE "), 0);
}

static void sweep__without_the_right_to_look_at_parts__aborts_nothing(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", DATE, UPLOADS(UPLOAD("pre/hdms-" BACKUP("a"), "1", OLD)));
	s3_says(&c, "403 Forbidden", "", ERROR("AccessDenied"));
	s3_case_start(&c, NULL);
	assert_int_equal(store_s3_ops.sweep(c.s3, "hdms", false, NULL, &c.err), -1);
	assert_int_equal(c.err.code, ERR_DENIED);
	assert_non_null(strstr(c.err.hint, "s3:ListMultipartUploadParts"));
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE "), 0);
}

static void sweep__dry_or_without_the_time__aborts_nothing(void **state)
{
	(void)state;
	struct strlist swept = {0};
	s3_says(&c, "200 OK", DATE, UPLOADS(UPLOAD("pre/hdms-" BACKUP("a"), "1", OLD)));
	s3_says(&c, "200 OK", "", PARTS(""));
	s3_says(&c, "200 OK", "", UPLOADS(UPLOAD("pre/hdms-" BACKUP("a"), "1", OLD)));
	s3_case_start(&c, NULL);
	must(store_s3_ops.sweep(c.s3, "hdms", true, &swept, &c.err));
	assert_int_equal(swept.count, 1);
	strlist_done(&swept);
	assert_int_equal(store_s3_ops.sweep(c.s3, "hdms", false, NULL, &c.err), -1);
	s3_case_failed(&c, ERR_CORRUPT,
		       "bucket 'bucket': the store's list came without the store's own time");
	s3_case_stop(&c);
	assert_int_equal(c.fake.answers, 3);
}

/* ---- removing ---- */

static void remove__plainly__is_one_request(void **state)
{
	(void)state;
	s3_says(&c, "204 No Content", "", "");
	s3_says(&c, "404 Not Found", "", ERROR("NoSuchKey"));
	s3_says(&c, "403 Forbidden", "", ERROR("AccessDenied"));
	s3_says(&c, "404 Not Found", "", "");
	s3_case_start(&c, NULL);
	must(s3_remove(c.s3, "x", &c.err));
	must(s3_remove(c.s3, "x", &c.err));
	assert_int_equal(s3_remove(c.s3, "x", &c.err), -1);
	s3_case_failed(&c, ERR_DENIED, "DELETE of 'x': the store answered 403 AccessDenied");
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/x "), 3);
}

#define VERSIONS                                                                                   \
	"<ListVersionsResult>"                                                                     \
	"<DeleteMarker><Key>pre/x</Key><VersionId>v3</VersionId></DeleteMarker>"                   \
	"<Version><Key>pre/x</Key><VersionId>v2</VersionId></Version>"                             \
	"<Version><Key>pre/xy</Key><VersionId>w1</VersionId></Version>"                            \
	"<Version><Key>pre/x</Key><VersionId>v/1</VersionId></Version></ListVersionsResult>"

static const struct store_opts locking = {.object_lock = "compliance", .object_lock_days = 7};

static void remove__with_object_lock__takes_the_oldest_version_first(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", VERSIONS);
	for (unsigned i = 0; i < 3; i++)
		s3_says(&c, "204 No Content", "", "");
	s3_case_start(&c, &locking);
	must(s3_remove(c.s3, "x", &c.err));
	s3_case_stop(&c);
	assert_int_equal(
	    s3_case_asked(&c,
			  "GET /bucket?encoding-type=url&max-keys=1000&prefix=pre%2Fx&versions= "),
	    1);
	const char *first = strstr(c.fake.heads, "DELETE /bucket/pre/x?versionId=v%2F1 ");
	const char *second = strstr(c.fake.heads, "DELETE /bucket/pre/x?versionId=v2 ");
	const char *third = strstr(c.fake.heads, "DELETE /bucket/pre/x?versionId=v3 ");
	assert_true(first != NULL && second > first && third > second);
	assert_int_equal(c.fake.answers, 4);
}

/* A removal that is refused with `status` and `body`, of an object locked until then. */
static void refuse_locked(const char *status, const char *body, const char *until)
{
	char headers[256];
	snprintf(headers, sizeof headers,
		 "Content-Length: 3\r\nx-amz-object-lock-mode: COMPLIANCE\r\n"
		 "x-amz-object-lock-retain-until-date: %s\r\n",
		 until);
	s3_says(&c, "200 OK", "", VERSIONS);
	s3_says(&c, status, "", body);
	s3_says_head(&c, "200 OK", headers);
	s3_case_start(&c, &locking);
	assert_int_equal(s3_remove(c.s3, "x", &c.err), -1);
	s3_case_stop(&c);
	assert_int_equal(s3_case_asked(&c, "HEAD /bucket/pre/x?versionId=v%2F1 "), 1);
	assert_int_equal(c.fake.answers, 3);
}

static void remove__locked__says_until_when(void **state)
{
	(void)state;
	refuse_locked("403 Forbidden", ERROR("AccessDenied"), "2999-01-01T00:00:00Z");
	s3_case_failed(&c, ERR_LOCKED, "'x' is locked (COMPLIANCE) until 2999-01-01T00:00:00Z");
	assert_string_equal(c.err.hint,
			    "It can be removed after that; until then the store keeps it.");
	assert_false(c.err.retryable);
}

/* So MinIO says it. */
static void remove__locked_and_called_a_bad_request__says_until_when(void **state)
{
	(void)state;
	refuse_locked("400 Bad Request", ERROR("InvalidRequest"), "2999-01-01T00:00:00.000Z");
	s3_case_failed(&c, ERR_LOCKED, "'x' is locked (COMPLIANCE) until 2999-01-01T00:00:00.000Z");
}

/* Servers still tell the date of a lock that is over. */
static void remove__refused_after_the_lock__is_a_missing_right(void **state)
{
	(void)state;
	refuse_locked("403 Forbidden", ERROR("AccessDenied"), "2020-01-01T00:00:00Z");
	s3_case_failed(&c, ERR_DENIED, "DELETE of 'x': the store answered 403 AccessDenied");
	assert_non_null(strstr(c.err.hint, "s3:DeleteObjectVersion"));
}

/* ---- caveats ---- */

static void assert_caveats(const struct store_opts *o, size_t count, const char *text)
{
	struct strlist said = {0};
	s3_case_start(&c, o);
	must(store_s3_ops.caveats(c.s3, &said, &c.err));
	s3_case_stop(&c);
	assert_int_equal(said.count, count);
	/* The fake is without TLS. */
	assert_string_equal(said.items[count - 1],
			    "the endpoint is http://: what is sent can be read on its way");
	if (text != NULL)
		assert_non_null(strstr(said.items[0], text));
	strlist_done(&said);
}

static void caveats__of_a_good_server__are_none(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "", "");
	s3_says(&c, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	s3_says(&c, "204 No Content", "", "");
	assert_caveats(NULL, 1, NULL);
	assert_int_equal(s3_case_asked(&c, "PUT /bucket/pre/lifeboat-probe "), 2);
	assert_int_equal(s3_case_asked(&c, "DELETE /bucket/pre/lifeboat-probe "), 1);
}

static void caveats__left_probe__serves_as_well(void **state)
{
	(void)state;
	s3_says(&c, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	s3_says(&c, "204 No Content", "", "");
	assert_caveats(NULL, 1, NULL);
}

static void caveats__without_conditions__are_told(void **state)
{
	(void)state;
	s3_says(&c, "501 Not Implemented", "", ERROR("NotImplemented"));
	assert_caveats(NULL, 2, "this server has no conditional put: two agents ");
	reset(NULL);
	/* Ignored: both succeed. */
	s3_says(&c, "200 OK", "", "");
	s3_says(&c, "200 OK", "", "");
	s3_says(&c, "204 No Content", "", "");
	assert_caveats(NULL, 2, "this server has no conditional put: two agents ");
}

static void caveats__of_versions_and_locks__are_told(void **state)
{
	(void)state;
	s3_says(&c, "200 OK", "x-amz-version-id: v1\r\n", "");
	s3_says(&c, "412 Precondition Failed", "", "");
	s3_says(&c, "204 No Content", "", "");
	assert_caveats(NULL, 2, "bucket 'bucket' keeps old versions: ");
	reset(NULL);
	s3_says(&c, "200 OK", "x-amz-version-id: v1\r\n", "");
	s3_says(&c, "412 Precondition Failed", "", "");
	s3_says(&c, "200 OK", "", "<ListVersionsResult/>");
	s3_says(&c, "404 Not Found", "", ERROR("ObjectLockConfigurationNotFoundError"));
	assert_caveats(&locking, 2,
		       "object_lock is set, and bucket 'bucket' was made without it: uploads");
}

#define TEST(fn) cmocka_unit_test_setup(fn, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(get__ranges__are_asked_for_and_checked),
	    TEST(get__other_than_asked_for__is_corrupt),
	    TEST(get__cut__is_retryable),
	    TEST(get__of_nothing__asks_for_the_length),
	    TEST(head__that_lacks_something__is_corrupt),
	    TEST(list__pages__are_joined_and_foreign_keys_skipped),
	    TEST(list__that_can_not_be__is_an_error),
	    TEST(list__of_no_bucket__says_so),
	    TEST(sweep__of_old_uploads__leaves_young_and_foreign_ones),
	    TEST(sweep__of_an_old_upload_that_still_grows__leaves_it),
	    TEST(sweep__without_the_right_to_look_at_parts__aborts_nothing),
	    TEST(sweep__dry_or_without_the_time__aborts_nothing),
	    TEST(remove__plainly__is_one_request),
	    TEST(remove__with_object_lock__takes_the_oldest_version_first),
	    TEST(remove__locked__says_until_when),
	    TEST(remove__locked_and_called_a_bad_request__says_until_when),
	    TEST(remove__refused_after_the_lock__is_a_missing_right),
	    TEST(caveats__of_a_good_server__are_none),
	    TEST(caveats__left_probe__serves_as_well),
	    TEST(caveats__without_conditions__are_told),
	    TEST(caveats__of_versions_and_locks__are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What an S3 server answers, from anywhere: no crash, every refusal is an error with words, and
 * lists name nothing that a store could not hold. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "storage/s3/s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct s3 *client(void)
{
	static struct s3 *s;
	struct err err = ERR_INIT;
	char *where = NULL;
	const struct store_opts o = {.name = "s",
				     .url = "s3://bucket/pre",
				     .endpoint = "http://127.0.0.1:1",
				     .access_key = "AK",
				     .secret_key = "SK",
				     .object_lock = "governance",
				     .object_lock_days = 1};
	if (s == NULL && s3_open(&o, &s, &where, &err) < 0)
		abort();
	free(where);
	return s;
}

static void read_pages(struct s3 *s, const struct xml_node *page)
{
	struct err err = ERR_INIT;
	CLEANUP(store_objects_done) struct store_objects objects = {0};
	CLEANUP(s3_unfinished_done) struct s3_unfinished_list uploads = {0};
	CLEANUP(strlist_done) struct strlist versions = {0};
	int rc = s3_page_objects(s, page, "", &objects, &err);
	assert(rc == 0 || err.msg[0] != '\0');
	for (size_t i = 0; i < objects.count; i++)
		assert(store_name_is_valid(objects.items[i].name));
	rc = s3_page_unfinished(s, page, "a", &uploads, &err);
	assert(rc == 0 || err.msg[0] != '\0');
	for (size_t i = 0; i < uploads.count; i++) {
		assert(store_name_is_valid(uploads.items[i].name));
		assert(uploads.items[i].name[0] == 'a');
		/* It goes into a query. */
		assert(strpbrk(uploads.items[i].id, "&=?# \r\n/+") == NULL);
	}
	rc = s3_page_versions(s, page, "x", &versions, &err);
	assert(rc == 0 || err.msg[0] != '\0');
	for (size_t i = 0; i < versions.count; i++)
		assert(strpbrk(versions.items[i], "&=?# \r\n/+") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = {200, 206, 301, 307, 400, 403, 404, 409,
					412, 416, 429, 500, 501, 503, 507, 999};
	static char date[] = "Date: Mon, 23 Nov 2026 11:00:00 GMT";
	static char *headers[] = {date, NULL};
	struct s3 *s = client();
	struct err err = ERR_INIT;
	char code[S3_CODE_BYTES];
	int64_t ms = -1;
	if (size == 0)
		return 0;
	struct http_response r = {.status = statuses[data[0] % 16],
				  .headers = {.items = headers, .count = 1}};
	buf_init(&r.body, 1 << 20);
	if (buf_append(&r.body, data + 1, size - 1, &err) < 0)
		return 0;
	const struct s3_request q = {.method = data[0] & 16 ? "PUT" : "GET",
				     .name = data[0] & 32 ? "x" : NULL,
				     .expects = data[0] & 64 ? "ListBucketResult" : NULL};
	int rc = s3_refused(s, &q, &r, &err);
	assert(rc == -1 && err.code != ERR_NONE && err.msg[0] != '\0');
	/* A redirect is told, never taken for something that passes. */
	assert(r.status / 100 != 3 || !err.retryable);
	s3_error_code(&r, code);
	assert(strlen(code) < sizeof code);
	if (!s3_time(buf_text(&r.body), &ms))
		assert(ms == -1);
	CLEANUP(xml_freep) struct xml *x = NULL;
	if (s3_document(&r, &x, &err) == 0)
		read_pages(s, xml_root(x));
	buf_done(&r.body);
	return 0;
}

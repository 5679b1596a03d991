#include "storage/s3/s3_sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/flow/http.h"

enum { REQUEST_MAX = 64 << 10 };

/* A header as it is signed. */
struct signed_header {
	char *name; /* in lower case */
	const char *value;
};

static int by_name(const void *a, const void *b)
{
	const struct signed_header *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void free_names(struct signed_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(headers[i].name);
}

/* Names in lower case, sorted by them alone: "a-b" comes behind "a", whatever its value. */
static int take_headers(const char *const *lines, struct signed_header *to, size_t *count,
			struct err *err)
{
	for (; *lines != NULL; lines++) {
		size_t len = strcspn(*lines, ":");
		if (*count == S3_SIGN_HEADERS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d headers to sign",
				       (int)S3_SIGN_HEADERS_MAX);
		struct signed_header *h = &to[*count];
		if (str_dupn(*lines, len, &h->name, err) < 0)
			return -1;
		++*count;
		for (char *c = h->name; *c != '\0'; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c | 0x20);
		h->value = *lines + len + ((*lines)[len] == ':');
	}
	qsort(to, *count, sizeof *to, by_name);
	return 0;
}

/* Without white space around it, and with single spaces inside. */
static int put_value(struct buf *b, const char *value, struct err *err)
{
	for (bool first = true; *value != '\0'; first = false) {
		value += strspn(value, " \t");
		size_t len = strcspn(value, " \t");
		if (len == 0)
			break;
		if ((!first && buf_append(b, " ", 1, err) < 0) ||
		    buf_append(b, value, len, err) < 0)
			return -1;
		value += len;
	}
	return 0;
}

static int put_names(struct buf *b, const struct signed_header *headers, size_t count,
		     struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (buf_printf(b, err, "%s%s", i > 0 ? ";" : "", headers[i].name) < 0)
			return -1;
	return 0;
}

/* "Create a canonical request" */
static int put_request(struct buf *b, const struct s3_sign *q, const struct signed_header *headers,
		       size_t count, struct err *err)
{
	if (buf_printf(b, err, "%s\n%s\n%s\n", q->method, q->path, q->query) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (buf_printf(b, err, "%s:", headers[i].name) < 0 ||
		    put_value(b, headers[i].value, err) < 0 || buf_append(b, "\n", 1, err) < 0)
			return -1;
	if (buf_append(b, "\n", 1, err) < 0 || put_names(b, headers, count, err) < 0)
		return -1;
	return buf_printf(b, err, "\n%s", q->payload_sha256);
}

static int hmac(const void *key, size_t key_len, const char *text, uint8_t out[SHA256_BYTES],
		struct err *err)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), mac,
		 &len) == NULL ||
	    len != SHA256_BYTES)
		return err_nomem(err, "a signature");
	memcpy(out, mac, SHA256_BYTES);
	OPENSSL_cleanse(mac, sizeof mac);
	return 0;
}

/* "Calculate the signature" of `text`, with a key that is good for one day, region and service. */
static int seal(const struct s3_sign *q, const char *date, const char *text,
		char out[SHA256_HEX_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf secret;
	uint8_t key[SHA256_BYTES];
	const char *const rest[] = {q->region, q->service, "aws4_request", text};
	buf_init(&secret, REQUEST_MAX);
	/* Twice as much from the start, so that growing leaves no copy behind. */
	int rc = buf_reserve(&secret, strlen(q->secret_key) + 8, err);
	if (rc == 0)
		rc = buf_printf(&secret, err, "AWS4%s", q->secret_key);
	if (rc == 0)
		rc = hmac(secret.data, secret.len, date, key, err);
	for (size_t i = 0; rc == 0 && i < sizeof rest / sizeof *rest; i++)
		rc = hmac(key, sizeof key, rest[i], key, err);
	if (rc == 0)
		hex_encode(key, sizeof key, out);
	if (secret.data != NULL)
		OPENSSL_cleanse(secret.data, secret.cap);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

static int sign(const struct s3_sign *q, const struct signed_header *headers, size_t count,
		char **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf request, text, out;
	char time[CLOCK_TEXT_BYTES], date[9], hash[SHA256_HEX_BYTES], seal_hex[SHA256_HEX_BYTES];
	buf_init(&request, REQUEST_MAX);
	buf_init(&text, REQUEST_MAX);
	buf_init(&out, REQUEST_MAX);
	memcpy(date, clock_basic(q->time_ms, time), 8);
	date[8] = '\0';
	if (put_request(&request, q, headers, count, err) < 0 ||
	    sha256_of(request.data, request.len, hash, err) < 0 ||
	    buf_printf(&text, err, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", time, date,
		       q->region, q->service, hash) < 0 ||
	    seal(q, date, buf_text(&text), seal_hex, err) < 0 ||
	    buf_printf(&out, err,
		       "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=",
		       q->access_key, date, q->region, q->service) < 0 ||
	    put_names(&out, headers, count, err) < 0 ||
	    buf_printf(&out, err, ", Signature=%s", seal_hex) < 0)
		return -1;
	return buf_take(&out, ret, err);
}

int s3_sign(const struct s3_sign *q, char **ret, struct err *err)
{
	struct signed_header headers[S3_SIGN_HEADERS_MAX] = {0};
	size_t count = 0;
	int rc = take_headers(q->headers, headers, &count, err);
	if (rc == 0)
		rc = sign(q, headers, count, ret, err);
	free_names(headers, count);
	return rc;
}

int s3_sign_path(struct buf *b, const char *text, struct err *err)
{
	size_t before = b->len;
	for (;;) {
		size_t len = strcspn(text, "/");
		CLEANUP(freep) char *segment = NULL;
		if (str_dupn(text, len, &segment, err) < 0 || http_escape(b, segment, err) < 0 ||
		    (text[len] == '/' && buf_append(b, "/", 1, err) < 0)) {
			buf_cut(b, before);
			return -1;
		}
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

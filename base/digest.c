#include "base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include "base/buf.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

int sha256_new(struct sha256 **ret, struct err *err)
{
	struct sha256 *h = mem_zalloc(sizeof *h, "a digest", err);
	if (h == NULL)
		return -1;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
		sha256_free(h);
		return err_nomem(err, "a digest");
	}
	*ret = h;
	return 0;
}

void sha256_update(struct sha256 *h, const void *data, size_t len)
{
	/* Fails only on a context that was not initialised. */
	EVP_DigestUpdate(h->ctx, data, len);
}

void hex_encode(const void *data, size_t len, char *out)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = "0123456789abcdef"[p[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	out[2 * len] = '\0';
}

void sha256_hex(struct sha256 *h, char out[SHA256_HEX_BYTES])
{
	uint8_t raw[EVP_MAX_MD_SIZE] = {0};
	EVP_DigestFinal_ex(h->ctx, raw, NULL);
	hex_encode(raw, SHA256_BYTES, out);
}

int sha256_so_far(const struct sha256 *h, char out[SHA256_HEX_BYTES], struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *copy = NULL;
	if (sha256_new(&copy, err) < 0)
		return -1;
	if (EVP_MD_CTX_copy_ex(copy->ctx, h->ctx) != 1)
		return err_nomem(err, "a digest");
	sha256_hex(copy, out);
	return 0;
}

void sha256_free(struct sha256 *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int sha256_of(const void *data, size_t len, char out[SHA256_HEX_BYTES], struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *h = NULL;
	if (sha256_new(&h, err) < 0)
		return -1;
	sha256_update(h, data, len);
	sha256_hex(h, out);
	return 0;
}

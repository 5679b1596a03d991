/* What age needs of OpenSSL, each in one call. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include "base/flow/age_impl.h"

static int openssl_failed(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "OpenSSL refuses %s", what);
}

int age_random(uint8_t *out, size_t len, struct err *err)
{
	return RAND_priv_bytes(out, (int)len) == 1 ? 0 : openssl_failed(err, "random bytes");
}

int age_hmac(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
	     uint8_t out[AGE_KEY_BYTES], struct err *err)
{
	unsigned made = 0;
	/* A key of length 0 is a key, but no pointer is none. */
	static const uint8_t nothing[1];
	if (HMAC(EVP_sha256(), key_len > 0 ? key : nothing, (int)key_len, data, len, out, &made) ==
		NULL ||
	    made != AGE_KEY_BYTES)
		return openssl_failed(err, "HMAC");
	return 0;
}

int age_hkdf(const uint8_t *secret, size_t len, const uint8_t *salt, size_t salt_len,
	     const char *info, uint8_t out[AGE_KEY_BYTES], struct err *err)
{
	uint8_t extracted[AGE_KEY_BYTES], block[64];
	size_t info_len = strlen(info);
	if (info_len >= sizeof block)
		return openssl_failed(err, "HKDF");
	/* 32 bytes are one block of the expansion: T(1) = HMAC(PRK, info | 0x01). */
	memcpy(block, info, info_len);
	block[info_len] = 1;
	int rc = age_hmac(salt, salt_len, secret, len, extracted, err);
	if (rc == 0)
		rc = age_hmac(extracted, sizeof extracted, block, info_len + 1, out, err);
	OPENSSL_cleanse(extracted, sizeof extracted);
	return rc;
}

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cipher_freep(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}

int age_public_key(const uint8_t identity[AGE_KEY_BYTES], uint8_t ret[AGE_KEY_BYTES],
		   struct err *err)
{
	CLEANUP(pkey_freep)
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, identity, AGE_KEY_BYTES);
	size_t len = AGE_KEY_BYTES;
	if (key == NULL || EVP_PKEY_get_raw_public_key(key, ret, &len) != 1)
		return openssl_failed(err, "an X25519 key");
	return 0;
}

int age_shared_secret(const uint8_t identity[AGE_KEY_BYTES], const uint8_t share[AGE_KEY_BYTES],
		      uint8_t ret[AGE_KEY_BYTES], struct err *err)
{
	static const uint8_t zeros[AGE_KEY_BYTES];
	CLEANUP(pkey_freep)
	EVP_PKEY *own =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, identity, AGE_KEY_BYTES);
	CLEANUP(pkey_freep)
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, AGE_KEY_BYTES);
	CLEANUP(pkey_ctx_freep)
	EVP_PKEY_CTX *ctx = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t len = AGE_KEY_BYTES;
	if (ctx == NULL || theirs == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, theirs) != 1)
		return openssl_failed(err, "X25519");
	/* OpenSSL itself refuses an all-zero result; that is not left to its version. */
	if (EVP_PKEY_derive(ctx, ret, &len) != 1 || CRYPTO_memcmp(ret, zeros, sizeof zeros) == 0)
		return err_set(err, ERR_CORRUPT, "an X25519 share is of low order");
	return 0;
}

int age_seal(const uint8_t key[AGE_KEY_BYTES], const uint8_t nonce[12], const uint8_t *in,
	     size_t len, uint8_t *out, struct err *err)
{
	CLEANUP(cipher_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int made = 0, rest = 0;
	if (ctx == NULL ||
	    EVP_EncryptInit_ex(ctx, EVP_chacha20_poly1305(), NULL, key, nonce) != 1 ||
	    (len > 0 && EVP_EncryptUpdate(ctx, out, &made, in, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(ctx, out + made, &rest) != 1 || (size_t)made != len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AGE_TAG_BYTES, out + len) != 1)
		return openssl_failed(err, "ChaCha20-Poly1305");
	return 0;
}

int age_unseal_bytes(const uint8_t key[AGE_KEY_BYTES], const uint8_t nonce[12], const uint8_t *in,
		     size_t len, uint8_t *out, bool *ret_ok, struct err *err)
{
	CLEANUP(cipher_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[AGE_TAG_BYTES];
	int made = 0, rest = 0;
	if (len < AGE_TAG_BYTES) {
		*ret_ok = false;
		return 0;
	}
	size_t plain = len - AGE_TAG_BYTES;
	memcpy(tag, in + plain, sizeof tag);
	if (ctx == NULL ||
	    EVP_DecryptInit_ex(ctx, EVP_chacha20_poly1305(), NULL, key, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1 ||
	    (plain > 0 && EVP_DecryptUpdate(ctx, out, &made, in, (int)plain) != 1))
		return openssl_failed(err, "ChaCha20-Poly1305");
	uint8_t none[16];
	*ret_ok = EVP_DecryptFinal_ex(ctx, none, &rest) == 1 && (size_t)made == plain;
	if (!*ret_ok)
		OPENSSL_cleanse(out, plain);
	return 0;
}

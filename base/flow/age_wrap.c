/* How the key of an age file is wrapped for its recipients, and found again by their identities. */
#include <openssl/crypto.h>
#include <string.h>
#include "base/flow/age_impl.h"

static const uint8_t zero_nonce[12];

/* The key that wraps: of the shared secret, the share and the recipient. */
static int wrapping_key(const uint8_t shared[AGE_KEY_BYTES], const uint8_t share[AGE_KEY_BYTES],
			const uint8_t recipient[AGE_KEY_BYTES], uint8_t ret[AGE_KEY_BYTES],
			struct err *err)
{
	uint8_t salt[2 * AGE_KEY_BYTES];
	memcpy(salt, share, AGE_KEY_BYTES);
	memcpy(salt + AGE_KEY_BYTES, recipient, AGE_KEY_BYTES);
	return age_hkdf(shared, AGE_KEY_BYTES, salt, sizeof salt, "age-encryption.org/v1/X25519",
			ret, err);
}

static int header_mac(const uint8_t file_key[AGE_FILE_KEY_BYTES], const uint8_t *data, size_t len,
		      uint8_t ret[AGE_KEY_BYTES], struct err *err)
{
	uint8_t key[AGE_KEY_BYTES];
	int rc = age_hkdf(file_key, AGE_FILE_KEY_BYTES, NULL, 0, "header", key, err);
	if (rc == 0)
		rc = age_hmac(key, sizeof key, data, len, ret, err);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

static int unwrap_one(const struct age_stanza *s, const uint8_t identity[AGE_KEY_BYTES],
		      uint8_t ret[AGE_FILE_KEY_BYTES], bool *ret_ok, struct err *err)
{
	uint8_t recipient[AGE_KEY_BYTES], shared[AGE_KEY_BYTES], key[AGE_KEY_BYTES];
	int rc = -1;
	if (age_public_key(identity, recipient, err) == 0 &&
	    age_shared_secret(identity, s->share, shared, err) == 0 &&
	    wrapping_key(shared, s->share, recipient, key, err) == 0)
		rc = age_unseal_bytes(key, zero_nonce, s->body, sizeof s->body, ret, ret_ok, err);
	OPENSSL_cleanse(shared, sizeof shared);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

static int nobody_fits(const struct age_header *h, const struct age_identities *i, struct err *err)
{
	if (h->passphrase) {
		err_set(err, ERR_DENIED, "it is encrypted with a passphrase, not to a key");
		return err_hint(err, "'age -d' opens it.");
	}
	err_set(err, ERR_DENIED, "it is encrypted to others: %s opens it",
		i->count == 1 ? "the identity that was given does not fit, and no other"
			      : "none of the identities that were given");
	return err_hint(err, "Give the identity of one of its recipients. Where that is lost, the "
			     "file can't be opened by anyone.");
}

int age_header_unwrap(const struct age_header *h, const uint8_t *data,
		      const struct age_identities *i, uint8_t ret[AGE_FILE_KEY_BYTES],
		      struct err *err)
{
	uint8_t file_key[AGE_FILE_KEY_BYTES] = {0}, mac[AGE_KEY_BYTES];
	bool ok = false;
	for (size_t s = 0; !ok && s < h->count; s++)
		for (size_t k = 0; !ok && k < i->count; k++)
			if (unwrap_one(&h->stanzas[s], i->keys[k], file_key, &ok, err) < 0)
				return -1;
	if (!ok)
		return nobody_fits(h, i, err);
	int rc = header_mac(file_key, data, h->mac_bytes, mac, err);
	if (rc == 0 && CRYPTO_memcmp(mac, h->mac, sizeof mac) != 0)
		rc = err_set(err, ERR_CORRUPT, "its age header was changed: the MAC does not fit");
	if (rc == 0)
		memcpy(ret, file_key, sizeof file_key);
	OPENSSL_cleanse(file_key, sizeof file_key);
	return rc;
}

static int put_stanza(struct buf *out, const uint8_t recipient[AGE_KEY_BYTES],
		      const uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
	uint8_t own[AGE_KEY_BYTES], share[AGE_KEY_BYTES], shared[AGE_KEY_BYTES], key[AGE_KEY_BYTES];
	uint8_t body[AGE_FILE_KEY_BYTES + AGE_TAG_BYTES];
	int rc = -1;
	if (age_random(own, sizeof own, err) == 0 && age_public_key(own, share, err) == 0 &&
	    age_shared_secret(own, recipient, shared, err) == 0 &&
	    wrapping_key(shared, share, recipient, key, err) == 0 &&
	    age_seal(key, zero_nonce, file_key, AGE_FILE_KEY_BYTES, body, err) == 0 &&
	    buf_puts(out, "-> X25519 ", err) == 0 &&
	    age_base64_put(out, share, sizeof share, err) == 0 && buf_puts(out, "\n", err) == 0 &&
	    age_base64_put(out, body, sizeof body, err) == 0 && buf_puts(out, "\n", err) == 0)
		rc = 0;
	OPENSSL_cleanse(own, sizeof own);
	OPENSSL_cleanse(shared, sizeof shared);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

int age_header_write(const struct age_recipients *r, const uint8_t file_key[AGE_FILE_KEY_BYTES],
		     struct buf *out, struct err *err)
{
	uint8_t mac[AGE_KEY_BYTES];
	size_t begin = out->len;
	if (buf_puts(out, AGE_VERSION_LINE, err) < 0)
		return -1;
	for (size_t i = 0; i < r->count; i++)
		if (put_stanza(out, r->keys[i], file_key, err) < 0)
			return -1;
	if (buf_puts(out, "---", err) < 0 ||
	    header_mac(file_key, out->data + begin, out->len - begin, mac, err) < 0 ||
	    buf_puts(out, " ", err) < 0 || age_base64_put(out, mac, sizeof mac, err) < 0)
		return -1;
	return buf_puts(out, "\n", err);
}

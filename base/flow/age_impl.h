/* Inside of age_*.c (and their tests). */
#ifndef LIFEBOAT_FLOW_AGE_IMPL_H
#define LIFEBOAT_FLOW_AGE_IMPL_H

#include "base/flow/age.h"

enum { AGE_KEY_BYTES = 32, AGE_FILE_KEY_BYTES = 16, AGE_TAG_BYTES = 16, AGE_NONCE_BYTES = 16 };

/* ---- Bech32 (BIP-173, without its limit of 90 characters) ---- */

enum { AGE_BECH32_HRP_MAX = 83, AGE_BECH32_VALUES_MAX = 128 };
struct age_bech32 {
	char hrp[AGE_BECH32_HRP_MAX + 1];      /* lower-case */
	uint8_t values[AGE_BECH32_VALUES_MAX]; /* of 5 bits; without the checksum */
	size_t count;
};
/* False for what is no Bech32 text, of mixed case, too long, or with a wrong checksum. */
bool age_bech32_decode(const char *text, struct age_bech32 *ret);
/* The same of a 32 byte key with that prefix (lower-case). */
bool age_bech32_key(const char *text, const char *hrp, uint8_t ret[AGE_KEY_BYTES]);
/* Lower-case. `out` has room for prefix, 1, 52 + 6 characters and a NUL. */
void age_bech32_encode(const char *hrp, const uint8_t key[AGE_KEY_BYTES], char *out);

/* ---- what OpenSSL does; a failure that is no verdict is ERR_FAILED ---- */

int age_random(uint8_t *out, size_t len, struct err *err) MUST_USE;
int age_hmac(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
	     uint8_t out[AGE_KEY_BYTES], struct err *err) MUST_USE;
/* HKDF-SHA-256 (RFC 5869) for 32 bytes. An empty salt is of length 0. */
int age_hkdf(const uint8_t *secret, size_t len, const uint8_t *salt, size_t salt_len,
	     const char *info, uint8_t out[AGE_KEY_BYTES], struct err *err) MUST_USE;
/* X25519 (RFC 7748) */
int age_public_key(const uint8_t identity[AGE_KEY_BYTES], uint8_t ret[AGE_KEY_BYTES],
		   struct err *err) MUST_USE;
/* ERR_CORRUPT for a share of low order, whose shared secret would be no secret. */
int age_shared_secret(const uint8_t identity[AGE_KEY_BYTES], const uint8_t share[AGE_KEY_BYTES],
		      uint8_t ret[AGE_KEY_BYTES], struct err *err) MUST_USE;
/* ChaCha20-Poly1305 (RFC 8439). `out` gets len + 16 bytes, or len - 16. Of what was not sealed with
 * this key and nonce *ret_ok is false and `out` all zero. */
int age_seal(const uint8_t key[AGE_KEY_BYTES], const uint8_t nonce[12], const uint8_t *in,
	     size_t len, uint8_t *out, struct err *err) MUST_USE;
int age_unseal_bytes(const uint8_t key[AGE_KEY_BYTES], const uint8_t nonce[12], const uint8_t *in,
		     size_t len, uint8_t *out, bool *ret_ok, struct err *err) MUST_USE;

/* ---- header ---- */

#define AGE_VERSION_LINE "age-encryption.org/v1\n"
#define AGE_ARMOUR_LINE  "-----BEGIN AGE ENCRYPTED FILE-----"

struct age_stanza { /* of type X25519 */
	uint8_t share[AGE_KEY_BYTES];
	uint8_t body[AGE_FILE_KEY_BYTES + AGE_TAG_BYTES];
};
struct age_header {
	size_t bytes;     /* with the last line's end */
	size_t mac_bytes; /* of them, what the MAC covers */
	uint8_t mac[AGE_KEY_BYTES];
	struct age_stanza *stanzas;
	size_t count;
	size_t others;   /* stanzas of types that are not read */
	bool passphrase; /* the one stanza is of type scrypt */
};
void age_header_done(struct age_header *h);
/* ERR_CORRUPT where it is none, ERR_LIMIT. *ret_used is 0 when it is not yet whole; then the rest
 * is untouched. */
int age_header_parse(const uint8_t *data, size_t len, size_t *ret_used, struct age_header *ret,
		     struct err *err) MUST_USE;
/* The file key that one of the identities finds in the stanzas, after the MAC was checked. `data`
 * is what `h` was parsed from. ERR_DENIED when none fits. */
int age_header_unwrap(const struct age_header *h, const uint8_t *data,
		      const struct age_identities *i, uint8_t ret[AGE_FILE_KEY_BYTES],
		      struct err *err) MUST_USE;
/* Appends a header that wraps the file key for each of the recipients. */
int age_header_write(const struct age_recipients *r, const uint8_t file_key[AGE_FILE_KEY_BYTES],
		     struct buf *out, struct err *err) MUST_USE;

/* Canonical base64 (RFC 4648, 4) without padding. False where it is not `want` bytes. */
bool age_base64_decode(const char *text, size_t len, uint8_t *out, size_t want);
/* Whether it is canonical base64 of any bytes. */
bool age_base64_is_valid(const char *text, size_t len);
int age_base64_put(struct buf *out, const uint8_t *data, size_t len, struct err *err) MUST_USE;

/* ---- payload ---- */

int age_payload_key(const uint8_t file_key[AGE_FILE_KEY_BYTES],
		    const uint8_t nonce[AGE_NONCE_BYTES], uint8_t ret[AGE_KEY_BYTES],
		    struct err *err) MUST_USE;
/* `out`: len + 16 bytes. */
int age_chunk_seal(const uint8_t key[AGE_KEY_BYTES], uint64_t number, bool last, const uint8_t *in,
		   size_t len, uint8_t *out, struct err *err) MUST_USE;

#endif

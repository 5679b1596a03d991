/* An age file's payload: chunks of 64 KiB, each sealed by itself under its number and the word
 * whether it is the last (STREAM). */
#include <openssl/crypto.h>
#include <string.h>
#include "base/flow/age_impl.h"

int age_payload_key(const uint8_t file_key[AGE_FILE_KEY_BYTES],
		    const uint8_t nonce[AGE_NONCE_BYTES], uint8_t ret[AGE_KEY_BYTES],
		    struct err *err)
{
	return age_hkdf(file_key, AGE_FILE_KEY_BYTES, nonce, AGE_NONCE_BYTES, "payload", ret, err);
}

/* 11 bytes of counter, big-endian, and a flag. */
static void chunk_nonce(uint64_t number, bool last, uint8_t ret[12])
{
	memset(ret, 0, 12);
	for (unsigned i = 0; i < 8; i++)
		ret[10 - i] = (uint8_t)(number >> 8 * i);
	ret[11] = last;
}

int age_chunk_seal(const uint8_t key[AGE_KEY_BYTES], uint64_t number, bool last, const uint8_t *in,
		   size_t len, uint8_t *out, struct err *err)
{
	uint8_t nonce[12];
	chunk_nonce(number, last, nonce);
	return age_seal(key, nonce, in, len, out, err);
}

int age_open(const struct age_identities *i, const uint8_t *data, size_t len, struct age_file *ret,
	     struct err *err)
{
	CLEANUP(age_header_done) struct age_header h = {0};
	uint8_t file_key[AGE_FILE_KEY_BYTES];
	size_t used;
	if (age_header_parse(data, len, &used, &h, err) < 0)
		return -1;
	if (used == 0 || len - used < AGE_NONCE_BYTES)
		return err_set(err, ERR_CORRUPT, "it ends inside its age header");
	if (age_header_unwrap(&h, data, i, file_key, err) < 0)
		return -1;
	struct age_file f = {.header_bytes = used + AGE_NONCE_BYTES};
	int rc = age_payload_key(file_key, data + used, f.key, err);
	OPENSSL_cleanse(file_key, sizeof file_key);
	if (rc == 0)
		*ret = f;
	OPENSSL_cleanse(&f, sizeof f);
	return rc;
}

void age_file_done(struct age_file *f)
{
	OPENSSL_cleanse(f, sizeof *f);
}

int age_plain_bytes(const struct age_file *f, uint64_t stored, uint64_t *ret, struct err *err)
{
	uint64_t sealed = stored > f->header_bytes ? stored - f->header_bytes : 0;
	uint64_t chunks = sealed / AGE_SEALED_BYTES, rest = sealed % AGE_SEALED_BYTES;
	/* Only an empty file has an empty chunk. */
	if (sealed == 0 || (rest > 0 && rest < AGE_TAG_BYTES) ||
	    (rest == AGE_TAG_BYTES && chunks > 0))
		return err_set(err, ERR_CORRUPT, "no age file has %llu bytes behind its header",
			       (unsigned long long)sealed);
	chunks += rest > 0;
	*ret = sealed - chunks * AGE_TAG_BYTES;
	return 0;
}

int age_unseal(const struct age_file *f, uint64_t number, bool last, const uint8_t *sealed,
	       size_t len, uint8_t *out, size_t *ret_len, struct err *err)
{
	uint8_t nonce[12];
	bool ok = false;
	size_t plain = len >= AGE_TAG_BYTES ? len - AGE_TAG_BYTES : 0;
	bool can_be = len >= AGE_TAG_BYTES && plain <= AGE_CHUNK_BYTES &&
		      (last ? plain > 0 || number == 0 : plain == AGE_CHUNK_BYTES);
	chunk_nonce(number, last, nonce);
	if (can_be && age_unseal_bytes(f->key, nonce, sealed, len, out, &ok, err) < 0)
		return -1;
	if (!ok)
		return err_set(err, ERR_CORRUPT,
			       "chunk %llu is not what was encrypted: it was changed, or bytes are "
			       "missing or added",
			       (unsigned long long)number);
	*ret_len = plain;
	return 0;
}

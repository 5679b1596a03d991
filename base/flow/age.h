/*
 * Encryption: age version 1 (age-encryption.org/v1), X25519 recipients, by OpenSSL's X25519,
 * HKDF-SHA-256, HMAC and ChaCha20-Poly1305. Files are those of the program age, both ways.
 *
 *  1. age_recipients_add(&r, "age1…", err)           public keys; needed to encrypt
 *     filter_age_encrypt(&r, &filter, err)           for sink_filtered
 *  2. age_identities_add_file(&i, "key.txt", err)    private keys; needed to decrypt
 *     filter_age_decrypt(&i, &filter, err)           a whole file, from its first byte
 *  3. age_open(&i, header, len, &file, err)          for reading a part of one: chunks of 64 KiB,
 *     age_plain_bytes, age_unseal                    each sealed by itself
 *
 * What was changed in any byte, cut or lengthened is ERR_CORRUPT; a file for others is ERR_DENIED
 * and says so. Keys are zeroed. Passphrases (scrypt), plugins and ssh keys are ERR_CONFIG with what
 * to do; ASCII armour is not read.
 */
#ifndef LIFEBOAT_FLOW_AGE_H
#define LIFEBOAT_FLOW_AGE_H

#include "base/buf.h"
#include "base/flow/filter.h"

enum {
	AGE_CHUNK_BYTES = 64 << 10,              /* of plain text */
	AGE_SEALED_BYTES = AGE_CHUNK_BYTES + 16, /* the same, sealed */
	AGE_HEADER_MAX = 64 << 10,               /* a longer header is ERR_LIMIT */
	AGE_RECIPIENTS_MAX = 64
};

struct age_recipients {
	uint8_t (*keys)[32];
	size_t count;
};
/* "age1…" (Bech32), or a file of them as `age -R` takes it: one to a line, '#' comments. */
int age_recipients_add(struct age_recipients *r, const char *text, struct err *err) MUST_USE;
int age_recipients_add_file(struct age_recipients *r, const char *path, struct err *err) MUST_USE;
void age_recipients_done(struct age_recipients *r);
/* "age1…" of a key. */
enum { AGE_RECIPIENT_BYTES = 63, AGE_IDENTITY_BYTES = 75 };
void age_recipient_text(const uint8_t key[32], char ret[AGE_RECIPIENT_BYTES]);

struct age_identities {
	uint8_t (*keys)[32]; /* secret */
	size_t count;
};
/* "AGE-SECRET-KEY-1…", or a file as age-keygen writes it. A file that everyone may read is a
 * warning for the caller to print (*ret_open; may be NULL). */
int age_identities_add(struct age_identities *i, const char *text, struct err *err) MUST_USE;
/* What stands in such a file. */
int age_identities_add_text(struct age_identities *i, const char *text, struct err *err) MUST_USE;
int age_identities_add_file(struct age_identities *i, const char *path, bool *ret_open,
			    struct err *err) MUST_USE;
/* Zeroes them. */
void age_identities_done(struct age_identities *i);
/* The public key of an identity. */
int age_identity_recipient(const uint8_t identity[32], uint8_t ret[32], struct err *err) MUST_USE;

/* A new key pair, as text. `identity` is secret. */
int age_keygen(char identity[AGE_IDENTITY_BYTES], char recipient[AGE_RECIPIENT_BYTES],
	       struct err *err) MUST_USE;

int filter_age_encrypt(const struct age_recipients *r, struct filter **ret, struct err *err)
    MUST_USE;
int filter_age_decrypt(const struct age_identities *i, struct filter **ret, struct err *err)
    MUST_USE;

/* A file that is read in parts. `data`: its beginning, AGE_HEADER_MAX bytes or all there are. */
struct age_file {
	uint8_t key[32];       /* of the payload; secret */
	uint64_t header_bytes; /* before the first chunk: header and nonce */
};
int age_open(const struct age_identities *i, const uint8_t *data, size_t len, struct age_file *ret,
	     struct err *err) MUST_USE;
void age_file_done(struct age_file *f);
/* How long the plain text of a file of `stored` bytes is. ERR_CORRUPT where no file can be so. */
int age_plain_bytes(const struct age_file *f, uint64_t stored, uint64_t *ret, struct err *err)
    MUST_USE;
/* One chunk: its number from 0, and whether it is the last of the file. *ret_len: at most
 * AGE_CHUNK_BYTES. */
int age_unseal(const struct age_file *f, uint64_t number, bool last, const uint8_t *sealed,
	       size_t len, uint8_t *out, size_t *ret_len, struct err *err) MUST_USE;

#endif

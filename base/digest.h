/* SHA-256 (FIPS 180-4, by OpenSSL) and hexadecimal. */
#ifndef LIFEBOAT_BASE_DIGEST_H
#define LIFEBOAT_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 65 };

struct sha256;
int sha256_new(struct sha256 **ret, struct err *err) MUST_USE;
void sha256_update(struct sha256 *h, const void *data, size_t len);
/* Lower-case hexadecimal with NUL; the object can then only be freed. */
void sha256_hex(struct sha256 *h, char out[SHA256_HEX_BYTES]);
/* The same of what came so far; more may follow. */
int sha256_so_far(const struct sha256 *h, char out[SHA256_HEX_BYTES], struct err *err) MUST_USE;
void sha256_free(struct sha256 *h);
DEFINE_CLEANUP(struct sha256, sha256_free)

/* One call for what is in memory. */
int sha256_of(const void *data, size_t len, char out[SHA256_HEX_BYTES], struct err *err) MUST_USE;

/* `len` bytes as 2*len lower-case digits and a NUL. */
void hex_encode(const void *data, size_t len, char *out);

#endif

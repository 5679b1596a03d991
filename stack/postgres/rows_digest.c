/* The digest of rows: shared by the reader of dumps and by what asks a server. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include "stack/postgres/pgdump.h"

void rows_digest_add_hash(struct rows_digest *d, uint64_t low, uint64_t high)
{
	d->rows++;
	d->low += low;
	d->high += high + (d->low < low ? 1 : 0);
}

void rows_digest_add(struct rows_digest *d, const void *row, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(row, len);
	rows_digest_add_hash(d, h.low64, h.high64);
}

void rows_digest_merge(struct rows_digest *d, const struct rows_digest *more)
{
	d->rows += more->rows;
	d->low += more->low;
	d->high += more->high + (d->low < more->low ? 1 : 0);
}

void rows_digest_hex(const struct rows_digest *d, char out[ROWS_DIGEST_BYTES])
{
	snprintf(out, ROWS_DIGEST_BYTES, "%016" PRIx64 "%016" PRIx64, d->high, d->low);
}

int rows_digest_parse(const char *text, struct rows_digest *ret)
{
	uint64_t half[2] = {0, 0};
	if (strspn(text, "0123456789abcdef") != ROWS_DIGEST_BYTES - 1 ||
	    text[ROWS_DIGEST_BYTES - 1] != '\0')
		return -1;
	for (size_t i = 0; i < ROWS_DIGEST_BYTES - 1; i++) {
		char c = text[i];
		uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		half[i / 16] = half[i / 16] << 4 | digit;
	}
	ret->high = half[0];
	ret->low = half[1];
	return 0;
}

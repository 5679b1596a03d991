/* CRC-64 with the Jones polynomial, sixteen bytes at a time (table slicing after Kounavis and
 * Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC Generation"). */
#include "stack/redis/rdb.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#define POLYNOMIAL UINT64_C(0x95AC9329AC4BC9B5)
enum { SLICES = 16 };

/* table[k][b] is the effect of byte b when k more bytes follow it. */
static uint64_t table[SLICES][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
	for (unsigned b = 0; b < 256; b++) {
		uint64_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
		table[0][b] = crc;
	}
	for (unsigned k = 1; k < SLICES; k++)
		for (unsigned b = 0; b < 256; b++)
			table[k][b] = table[0][table[k - 1][b] & 0xff] ^ (table[k - 1][b] >> 8);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

/* The effect of eight bytes when `after` more follow them. */
static inline uint64_t eight(uint64_t v, unsigned after)
{
	return table[after + 7][v & 0xff] ^ table[after + 6][(v >> 8) & 0xff] ^
	       table[after + 5][(v >> 16) & 0xff] ^ table[after + 4][(v >> 24) & 0xff] ^
	       table[after + 3][(v >> 32) & 0xff] ^ table[after + 2][(v >> 40) & 0xff] ^
	       table[after + 1][(v >> 48) & 0xff] ^ table[after][v >> 56];
}

uint64_t rdb_crc64(uint64_t crc, const void *data, size_t len)
{
	pthread_once(&table_once, fill_table);
	const uint8_t *p = data;
	for (; len >= 16; p += 16, len -= 16)
		crc = eight(crc ^ load64(p), 8) ^ eight(load64(p + 8), 0);
	for (; len > 0; p++, len--)
		crc = table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return crc;
}

/*
 * Lengths and string headers of an RDB file (src/rdb.h: "Defines related to the dump file format").
 *
 * Each takes the bytes there are and returns how many the header uses, RDB_DECODE_MORE when it is
 * cut, RDB_DECODE_UNKNOWN when it is none. In a header so that the reader's loop can inline them.
 */
#ifndef LIFEBOAT_STACK_REDIS_RDB_TOKEN_H
#define LIFEBOAT_STACK_REDIS_RDB_TOKEN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RDB_TOKEN_BYTES = 19 }; /* the longest: an LZF string with two lengths of 64 bits */

enum rdb_decoded {
	RDB_DECODE_UNKNOWN = -1,
	RDB_DECODE_MORE = 0
}; /* above: how many bytes it takes */

static inline int rdb_decode_len(const uint8_t *p, size_t n, uint64_t *ret)
{
	if (n < 1)
		return RDB_DECODE_MORE;
	uint8_t first = p[0];
	if (first < 0x40) {
		*ret = first;
		return 1;
	}
	if (first < 0x80) {
		if (n < 2)
			return RDB_DECODE_MORE;
		*ret = ((uint64_t)(first & 0x3f) << 8) | p[1];
		return 2;
	}
	if (first == 0x80) {
		if (n < 5)
			return RDB_DECODE_MORE;
		uint32_t v;
		memcpy(&v, p + 1, sizeof v);
		*ret = be32toh(v);
		return 5;
	}
	if (first == 0x81) {
		if (n < 9)
			return RDB_DECODE_MORE;
		uint64_t v;
		memcpy(&v, p + 1, sizeof v);
		*ret = be64toh(v);
		return 9;
	}
	return RDB_DECODE_UNKNOWN;
}

struct rdb_string {
	uint64_t bytes; /* that follow the header */
	bool is_raw, is_number;
	int32_t number;
};

static inline int rdb_decode_number(const uint8_t *p, size_t n, unsigned width,
				    struct rdb_string *ret)
{
	if (n < 1 + width)
		return RDB_DECODE_MORE;
	uint32_t v = 0;
	for (unsigned i = 0; i < width; i++)
		v |= (uint32_t)p[1 + i] << (8 * i);
	ret->number = width == 1 ? (int8_t)v : width == 2 ? (int16_t)v : (int32_t)v;
	ret->is_number = true;
	return (int)(1 + width);
}

static inline int rdb_decode_lzf(const uint8_t *p, size_t n, struct rdb_string *ret)
{
	uint64_t packed, whole;
	int used = 1;
	int len = rdb_decode_len(p + used, n - (size_t)used, &packed);
	if (len <= 0)
		return len;
	used += len;
	len = rdb_decode_len(p + used, n - (size_t)used, &whole);
	if (len <= 0)
		return len;
	ret->bytes = packed;
	return used + len;
}

static inline int rdb_decode_string(const uint8_t *p, size_t n, struct rdb_string *ret)
{
	*ret = (struct rdb_string){0};
	if (n < 1)
		return RDB_DECODE_MORE;
	switch (p[0]) {
	case 0xc0:
		return rdb_decode_number(p, n, 1, ret);
	case 0xc1:
		return rdb_decode_number(p, n, 2, ret);
	case 0xc2:
		return rdb_decode_number(p, n, 4, ret);
	case 0xc3:
		return rdb_decode_lzf(p, n, ret);
	default:
		ret->is_raw = true;
		return rdb_decode_len(p, n, &ret->bytes);
	}
}

#endif

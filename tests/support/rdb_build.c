#include "tests/support/rdb_build.h"

#include <stdlib.h>
#include <string.h>

static void must(int result)
{
	if (result < 0)
		abort();
}

void rb_raw(struct buf *b, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	must(buf_append(b, data, len, &err));
}

void rb_byte(struct buf *b, unsigned byte)
{
	uint8_t v = (uint8_t)byte;
	rb_raw(b, &v, 1);
}

void rb_zeros(struct buf *b, size_t len)
{
	while (len-- > 0)
		rb_byte(b, 0);
}

void rb_u64(struct buf *b, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		rb_byte(b, (unsigned)(v >> (8 * i)) & 0xff);
}

void rb_start(struct buf *b, const char *magic)
{
	buf_reset(b);
	rb_raw(b, magic, strlen(magic));
}

void rb_len(struct buf *b, uint64_t v)
{
	int bytes = 0;
	if (v < 0x40) {
		rb_byte(b, (unsigned)v);
	} else if (v < 0x4000) {
		rb_byte(b, 0x40 | (unsigned)(v >> 8));
		rb_byte(b, (unsigned)v & 0xff);
	} else if (v <= UINT32_MAX) {
		rb_byte(b, 0x80);
		bytes = 4;
	} else {
		rb_byte(b, 0x81);
		bytes = 8;
	}
	while (bytes-- > 0)
		rb_byte(b, (unsigned)(v >> (8 * bytes)) & 0xff);
}

void rb_str(struct buf *b, const char *text)
{
	rb_len(b, strlen(text));
	rb_raw(b, text, strlen(text));
}

void rb_lzf(struct buf *b, size_t packed, size_t whole)
{
	rb_byte(b, 0xc3);
	rb_len(b, packed);
	rb_len(b, whole);
	while (packed-- > 0)
		rb_byte(b, 0xfe);
}

void rb_aux(struct buf *b, const char *name, const char *value)
{
	rb_byte(b, 250);
	rb_str(b, name);
	rb_str(b, value);
}

void rb_select(struct buf *b, uint64_t number)
{
	rb_byte(b, 254);
	rb_len(b, number);
}

void rb_resize(struct buf *b, uint64_t keys, uint64_t expiring)
{
	rb_byte(b, 251);
	rb_len(b, keys);
	rb_len(b, expiring);
}

void rb_key(struct buf *b, unsigned type, const char *key)
{
	rb_byte(b, type);
	rb_str(b, key);
}

static void pending(struct buf *b, unsigned count, int with_counts)
{
	rb_len(b, count);
	for (unsigned i = 0; i < count; i++) {
		rb_zeros(b, 16);
		if (with_counts) {
			rb_u64(b, 1700000000000);
			rb_len(b, 300);
		}
	}
}

static void stream(struct buf *b, int version)
{
	rb_len(b, 2);
	for (int i = 0; i < 2; i++) {
		rb_len(b, 16);
		rb_zeros(b, 16);
		rb_lzf(b, 40, 4096);
	}
	for (int i = 0; i < (version == 1 ? 3 : 8); i++)
		rb_len(b, (uint64_t)1700000000000 + (uint64_t)i);
	rb_len(b, 2); /* groups */
	for (int g = 0; g < 2; g++) {
		rb_str(b, "group");
		for (int i = 0; i < (version == 1 ? 2 : 3); i++)
			rb_len(b, 77);
		pending(b, g == 0 ? 3 : 0, 1);
		rb_len(b, g == 0 ? 2 : 0); /* consumers */
		for (int c = 0; g == 0 && c < 2; c++) {
			rb_str(b, "consumer");
			rb_zeros(b, version == 3 ? 16 : 8);
			pending(b, c == 0 ? 3 : 0, 0);
		}
	}
}

static void module_values(struct buf *b)
{
	rb_len(b, 1);
	rb_len(b, 5);
	rb_len(b, 2);
	rb_len(b, UINT64_MAX);
	rb_len(b, 3);
	rb_zeros(b, 4);
	rb_len(b, 4);
	rb_zeros(b, 8);
	rb_len(b, 5);
	rb_str(b, "a string of the module");
	rb_len(b, 5);
	rb_lzf(b, 9, 30);
	rb_len(b, 0);
}

static void zset(struct buf *b)
{
	rb_len(b, 4);
	rb_str(b, "a");
	rb_byte(b, 4);
	rb_raw(b, "1.25", 4);
	for (unsigned kind = 253; kind <= 255; kind++) {
		rb_str(b, "b");
		rb_byte(b, kind);
	}
}

static void hash_with_ttl(struct buf *b, unsigned type, int valkey)
{
	if (type == 24)
		rb_u64(b, 1700000000000);
	rb_len(b, 2);
	for (int i = 0; i < 2; i++) {
		if (!valkey)
			rb_len(b, i == 0 ? 0 : (uint64_t)1700000000000);
		rb_str(b, "field");
		rb_str(b, "value");
		if (valkey)
			rb_u64(b, 1700000000000);
	}
}

void rb_value(struct buf *b, unsigned type, int valkey)
{
	switch (type) {
	case 1:
	case 2:
	case 14:
		rb_len(b, 3);
		rb_str(b, "one");
		rb_byte(b, 0xc0);
		rb_byte(b, 200);
		rb_lzf(b, 5, 100);
		break;
	case 3:
		zset(b);
		break;
	case 4:
		rb_len(b, 1);
		rb_str(b, "field");
		rb_str(b, "value");
		break;
	case 5:
		rb_len(b, 2);
		for (int i = 0; i < 2; i++) {
			rb_str(b, "member");
			rb_zeros(b, 8);
		}
		break;
	case 7:
		rb_len(b, 0x123456789abcdef);
		module_values(b);
		break;
	case 15:
	case 19:
	case 21:
		stream(b, type == 15 ? 1 : type == 19 ? 2 : 3);
		break;
	case 18:
		rb_len(b, 2);
		rb_len(b, 1);
		rb_str(b, "a node of one plain element");
		rb_len(b, 2);
		rb_lzf(b, 20, 200);
		break;
	case 22:
	case 24:
		hash_with_ttl(b, type, valkey);
		break;
	case 25:
		rb_u64(b, 1700000000000);
		rb_str(b, "a listpack");
		break;
	default: /* a string, or what is packed into one */
		rb_str(b, "a value");
		break;
	}
}

uint64_t rb_crc64(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t crc = 0;
	for (; len > 0; len--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? (crc >> 1) ^ UINT64_C(0x95AC9329AC4BC9B5) : crc >> 1;
	}
	return crc;
}

void rb_end(struct buf *b)
{
	rb_byte(b, 255);
	rb_u64(b, rb_crc64(b->data, b->len));
}

void rb_fix(struct buf *b)
{
	b->len -= 8;
	rb_u64(b, rb_crc64(b->data, b->len));
}

void rb_everything(struct buf *b, const char *magic, unsigned *ret_keys)
{
	int valkey = magic[0] == 'V';
	unsigned keys = 0;
	rb_start(b, magic);
	rb_aux(b, valkey ? "valkey-ver" : "redis-ver", valkey ? "9.1.2" : "8.0.6");
	rb_byte(b, 250);
	rb_str(b, "ctime");
	rb_byte(b, 0xc2);
	rb_raw(b, "\x00\xf1\x53\x65", 4); /* 1700000000 */
	rb_aux(b, "a-long-one", "text that is longer than anything that is kept of such a field");
	rb_byte(b, 245);
	rb_str(b, "#!lua name=mylib\nredis.register_function('f', function() return 1 end)");
	rb_byte(b, 247);
	rb_len(b, 0x123456789abcdef);
	rb_len(b, 2);
	rb_len(b, 1);
	module_values(b);
	rb_select(b, 0);
	for (unsigned type = 0; type <= 25; type++) {
		if (type == 6 || type == 8 || (valkey && type > 22))
			continue;
		rb_key(b, type, "key");
		rb_value(b, type, valkey);
		keys++;
	}
	rb_select(b, 2);
	rb_resize(b, 4, 3);
	rb_byte(b, 252);
	rb_u64(b, 1700000000000);
	rb_byte(b, 249);
	rb_byte(b, 7);
	rb_key(b, 0, "ms");
	rb_value(b, 0, 0);
	rb_byte(b, 253);
	rb_raw(b, "\x00\xf1\x53\x65", 4);
	rb_byte(b, 248);
	rb_len(b, 70000);
	rb_key(b, 0, "s");
	rb_value(b, 0, 0);
	rb_byte(b, 252);
	rb_u64(b, 1700000000001);
	rb_key(b, 0, "later");
	rb_byte(b, 0xc1);
	rb_raw(b, "\x01\x80", 2);
	rb_key(b, 4, "no expiry");
	rb_value(b, 4, 0);
	rb_select(b, 9);
	rb_resize(b, 1, 0);
	rb_byte(b, 244);
	for (unsigned i = 0; i < 3; i++)
		rb_len(b, i * 10000);
	rb_key(b, 0, "last");
	rb_lzf(b, 70, 20000);
	rb_end(b);
	*ret_keys = keys + 5;
}

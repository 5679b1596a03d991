/* Base64 as age writes it: no padding, and one text only for the same bytes. */
#include <string.h>
#include "base/flow/age_impl.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0 to 63, or -1. */
static int value_of(char c)
{
	const char *digit = c != '\0' ? strchr(digits, c) : NULL;
	return digit != NULL ? (int)(digit - digits) : -1;
}

/* `out` NULL: only looks. */
static bool decode(const char *text, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (out != NULL)
				*out++ = (uint8_t)(bits >> have);
		}
	}
	/* Bits that are left over could say anything: they must say nothing. */
	return (bits & ((1u << have) - 1)) == 0;
}

bool age_base64_is_valid(const char *text, size_t len)
{
	return decode(text, len, NULL);
}

bool age_base64_decode(const char *text, size_t len, uint8_t *out, size_t want)
{
	return len == (want * 4 + 2) / 3 && decode(text, len, out);
}

int age_base64_put(struct buf *out, const uint8_t *data, size_t len, struct err *err)
{
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		have += 8;
		for (; have >= 6; have -= 6)
			if (buf_append(out, &digits[bits >> (have - 6) & 63], 1, err) < 0)
				return -1;
	}
	return have > 0 ? buf_append(out, &digits[bits << (6 - have) & 63], 1, err) : 0;
}

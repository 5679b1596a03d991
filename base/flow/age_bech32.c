/* Bech32 (BIP-173): how keys are written down. */
#include <string.h>
#include "base/flow/age_impl.h"

enum { CHECKSUM_VALUES = 6, KEY_VALUES = 52 };

static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t polymod(uint32_t sum, unsigned value)
{
	static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
					      0x2a1462b3};
	uint32_t top = sum >> 25;
	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (unsigned i = 0; i < 5; i++)
		if ((top >> i & 1) != 0)
			sum ^= generator[i];
	return sum;
}

static uint32_t polymod_hrp(const char *hrp)
{
	uint32_t sum = 1;
	for (const char *p = hrp; *p != '\0'; p++)
		sum = polymod(sum, (unsigned)(uint8_t)*p >> 5);
	sum = polymod(sum, 0);
	for (const char *p = hrp; *p != '\0'; p++)
		sum = polymod(sum, (unsigned)(uint8_t)*p & 31);
	return sum;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Printable, and not in both cases. */
static bool has_one_case(const char *text)
{
	bool small = false, large = false;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < 33 || *p > 126)
			return false;
		small = small || (*p >= 'a' && *p <= 'z');
		large = large || (*p >= 'A' && *p <= 'Z');
	}
	return !small || !large;
}

bool age_bech32_decode(const char *text, struct age_bech32 *ret)
{
	const char *separator = strrchr(text, '1');
	if (separator == NULL || separator == text || !has_one_case(text))
		return false;
	struct age_bech32 found = {.count = 0};
	size_t hrp = (size_t)(separator - text), count = strlen(separator + 1);
	if (hrp > AGE_BECH32_HRP_MAX || count < CHECKSUM_VALUES || count > AGE_BECH32_VALUES_MAX)
		return false;
	for (size_t i = 0; i < hrp; i++)
		found.hrp[i] = lower(text[i]);
	uint32_t sum = polymod_hrp(found.hrp);
	for (size_t i = 0; i < count; i++) {
		const char *digit = strchr(digits, lower(separator[1 + i]));
		if (digit == NULL)
			break;
		found.values[i] = (uint8_t)(digit - digits);
		sum = polymod(sum, found.values[i]);
		found.count++;
	}
	bool ok = found.count == count && sum == 1;
	if (ok) {
		found.count -= CHECKSUM_VALUES;
		*ret = found;
	}
	explicit_bzero(&found, sizeof found);
	return ok;
}

bool age_bech32_key(const char *text, const char *hrp, uint8_t ret[AGE_KEY_BYTES])
{
	struct age_bech32 b;
	if (!age_bech32_decode(text, &b))
		return false;
	bool ok = strcmp(b.hrp, hrp) == 0 && b.count == KEY_VALUES;
	/* 52 values are 260 bits: the last four are padding and must be zero. */
	ok = ok && (b.values[KEY_VALUES - 1] & 15) == 0;
	if (ok) {
		uint32_t bits = 0;
		unsigned have = 0;
		size_t made = 0;
		for (size_t i = 0; i < KEY_VALUES; i++) {
			bits = bits << 5 | b.values[i];
			have += 5;
			if (have >= 8) {
				have -= 8;
				ret[made++] = (uint8_t)(bits >> have);
			}
		}
	}
	explicit_bzero(&b, sizeof b);
	return ok;
}

void age_bech32_encode(const char *hrp, const uint8_t key[AGE_KEY_BYTES], char *out)
{
	uint32_t sum = polymod_hrp(hrp), bits = 0;
	unsigned have = 0;
	size_t used = 0;
	char *to = out + strlen(hrp);
	memcpy(out, hrp, strlen(hrp));
	*to++ = '1';
	for (size_t i = 0; i < KEY_VALUES; i++) {
		if (have < 5) {
			bits = bits << 8 | (used < AGE_KEY_BYTES ? key[used] : 0u);
			used++;
			have += 8;
		}
		have -= 5;
		unsigned value = bits >> have & 31;
		sum = polymod(sum, value);
		*to++ = digits[value];
	}
	for (unsigned i = 0; i < CHECKSUM_VALUES; i++)
		sum = polymod(sum, 0);
	sum ^= 1;
	for (unsigned i = 0; i < CHECKSUM_VALUES; i++)
		*to++ = digits[sum >> 5 * (CHECKSUM_VALUES - 1 - i) & 31];
	*to = '\0';
}

#include "tests/support/rdb_mutate.h"

#include <string.h>

/* splitmix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators"). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t bound)
{
	return (size_t)(next(state) % bound);
}

/* Where: anywhere, but the beginning and the end more often than their share. */
static size_t place(uint64_t *state, size_t len)
{
	size_t near = len < 64 ? len : 64;
	switch (below(state, 4)) {
	case 0:
		return below(state, near);
	case 1:
		return len - 1 - below(state, near);
	default:
		return below(state, len);
	}
}

size_t rdb_mutate(uint8_t *data, size_t len, uint64_t seed)
{
	uint64_t s = seed;
	size_t at = place(&s, len);
	size_t run = 1 + below(&s, 32);
	if (run > len - at)
		run = len - at;
	switch (below(&s, 8)) {
	case 0:
		return at;
	case 1: /* noise */
		for (size_t i = 0; i < run; i++)
			data[at + i] = (uint8_t)next(&s);
		return len;
	case 2:
		memset(data + at, 0, run);
		return len;
	case 3: /* left out */
		memmove(data + at, data + at + run, len - at - run);
		return len - run;
	case 4: /* twice */
		memmove(data + at + run, data + at, len - at);
		return len + run;
	case 5: /* a copy of another place */
		memmove(data + at, data + below(&s, len - run + 1), run);
		return len;
	default:
		for (size_t flips = 1 + below(&s, 3); flips > 0; flips--)
			data[place(&s, len)] ^= (uint8_t)(1U << below(&s, 8));
		return len;
	}
}

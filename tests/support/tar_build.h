/* Tar archives of a few files, head by head, as Go's archive/tar writes them: for those who read
 * what a Docker daemon sends, and for lies. */
#ifndef LIFEBOAT_TESTS_TAR_BUILD_H
#define LIFEBOAT_TESTS_TAR_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tar_build {
	uint8_t bytes[64 << 10];
	size_t len;
};

/* Blocks of zeros that are not yet counted. */
static inline uint8_t *tar_build_room(struct tar_build *t, size_t bytes)
{
	uint8_t *at = t->bytes + t->len;
	size_t blocks = (bytes + 511) / 512 * 512;
	if (blocks > sizeof t->bytes - t->len)
		abort();
	memset(at, 0, blocks);
	t->len += blocks;
	return at;
}

static inline void tar_build_sum(uint8_t *block)
{
	unsigned sum = 0;
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
}

/* The head alone. It may be changed; then tar_build_sum. */
static inline uint8_t *tar_build_head(struct tar_build *t, char type, const char *name,
				      const char *link, unsigned mode, size_t size)
{
	uint8_t *b = tar_build_room(t, 512);
	snprintf((char *)b, 100, "%s", name);
	snprintf((char *)b + 100, 8, "%07o", mode);
	snprintf((char *)b + 108, 8, "%07o", 999U);
	snprintf((char *)b + 116, 8, "%07o", 998U);
	snprintf((char *)b + 124, 12, "%011llo", size & 077777777777ULL);
	snprintf((char *)b + 136, 12, "%011lo", 1600000000L);
	b[156] = (uint8_t)type;
	snprintf((char *)b + 157, 100, "%s", link != NULL ? link : "");
	memcpy(b + 257,
	       "ustar\0"
	       "00",
	       8);
	snprintf((char *)b + 265, 32, "postgres");
	tar_build_sum(b);
	return b;
}

static inline void tar_build_file(struct tar_build *t, const char *name, const char *text)
{
	tar_build_head(t, '0', name, NULL, 0640, strlen(text));
	memcpy(tar_build_room(t, strlen(text)), text, strlen(text));
}

/* Records that describe the next head. */
static inline void tar_build_pax(struct tar_build *t, const char *records, size_t len)
{
	tar_build_head(t, 'x', "PaxHeaders.0/x", NULL, 0644, len);
	memcpy(tar_build_room(t, len), records, len);
}

static inline void tar_build_end(struct tar_build *t)
{
	tar_build_room(t, 1024);
}

#endif

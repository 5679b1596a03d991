/* Any bytes as the tar stream of a container's folder; sums are mended, which would stop most. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct source *from_memory(const uint8_t *data, size_t size)
{
	struct source *s = NULL;
	struct err err = ERR_INIT;
	if (source_memory(data, size, &s, &err) < 0)
		abort();
	return s;
}

static void take_apart(const uint8_t *data, size_t size)
{
	struct docker_tar *t = NULL;
	struct err err = ERR_INIT;
	uint64_t total = 0;
	int rc = docker_tar_open(from_memory(data, size), "x", &t, &err);
	for (unsigned i = 0; rc == 0; i++) {
		struct archive_entry *e = NULL;
		uint8_t block[100];
		rc = docker_tar_next(t, &e, &err);
		if (rc < 0 || e == NULL)
			break;
		if (archive_entry_pathname(e) == NULL || archive_entry_pathname(e)[0] == '\0' ||
		    archive_entry_size(e) < 0)
			abort();
		/* Every second one is passed over. */
		for (size_t n = 1; rc == 0 && n > 0 && i % 2 == 0; total += n)
			rc = docker_tar_read(t, block, sizeof block, &n, &err);
		archive_entry_free(e);
	}
	if ((rc < 0) != (err.code != ERR_NONE) || total > size + 1)
		abort();
	docker_tar_free(t);
}

static void mend(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 512 <= size; at += 512) {
		uint8_t *b = data + at;
		unsigned sum = 0;
		if (memcmp(b + 257, "ustar", 5) != 0)
			continue;
		memset(b + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += b[i];
		snprintf((char *)b + 148, 8, "%06o", sum);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	for (int mended = 0; mended < 2; mended++) {
		take_apart(copy, size);
		mend(copy, size);
	}
	free(copy);
	return 0;
}

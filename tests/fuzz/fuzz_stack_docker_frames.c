/* Any bytes as Docker's frames, in pieces of any size: no crash, the same result however they are
 * cut, and never more payload than input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	int rc;
	size_t bytes[4];
	uint64_t sum[4];
	char msg[ERR_MSG_BYTES];
};

static void feed(const uint8_t *data, size_t size, size_t step, struct result *r)
{
	struct docker_frames f = {0};
	struct err err = ERR_INIT;
	memset(r, 0, sizeof *r);
	for (size_t at = 0; at < size && r->rc == 0;) {
		struct docker_piece piece;
		size_t used = 0, n = size - at < step ? size - at : step;
		/* A copy of its own: reading behind it is found. */
		uint8_t *part = malloc(n);
		if (part == NULL)
			abort();
		memcpy(part, data + at, n);
		r->rc = docker_frames_next(&f, part, n, &used, &piece, &err);
		if (r->rc == 0) {
			if (used == 0 || used > n || piece.stream < 0 || piece.stream > 3 ||
			    (piece.stream != 0 &&
			     (piece.data < part || piece.data + piece.len > part + used)))
				abort();
			r->bytes[piece.stream] += piece.len;
			for (size_t i = 0; i < piece.len; i++)
				r->sum[piece.stream] = r->sum[piece.stream] * 31 + piece.data[i];
		}
		free(part);
		at += used;
	}
	if (r->rc == 0)
		r->rc = docker_frames_end(&f, &err);
	if (r->rc < 0 && err.code != ERR_CORRUPT)
		abort();
	strncpy(r->msg, err.msg, sizeof r->msg - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct result whole, pieces;
	size_t step = (size_t)data[0] % 40 + 1;
	feed(data + 1, size - 1, size, &whole);
	feed(data + 1, size - 1, step, &pieces);
	if (memcmp(&whole, &pieces, sizeof whole) != 0 || whole.bytes[0] != 0 ||
	    whole.bytes[1] + whole.bytes[2] + whole.bytes[3] > size)
		abort();
	return 0;
}

/*
 * Docker's frames: how stdout and stderr share one connection ("Stream format" in the Engine API
 * under "Attach to a container"). Each frame is a head of 8 bytes, stream (1 stdout, 2 stderr),
 * three zeros, length (big-endian), and then its bytes.
 *
 *  1. struct docker_frames f = {0};
 *  2. docker_frames_next until all of `data` is used     one piece of one stream per call
 *  3. docker_frames_end                                  may the connection end here?
 */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_FRAMES_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Docker's own are at most 32 KiB: what is far larger is no frame. */
enum { DOCKER_FRAME_HEAD = 8, DOCKER_FRAME_MAX = 16 << 20 };
enum { DOCKER_STDOUT = 1, DOCKER_STDERR = 2, DOCKER_SYSTEM_ERROR = 3 };

struct docker_frames {
	uint8_t head[DOCKER_FRAME_HEAD];
	size_t have;   /* bytes of the head */
	uint32_t left; /* bytes of the frame that are still to come */
};

struct docker_piece {
	int stream; /* 0: nothing to deliver yet */
	const uint8_t *data;
	size_t len;
};

/* Uses 1 … len bytes of `data` (len > 0); *ret lies inside of it. ERR_CORRUPT. */
int docker_frames_next(struct docker_frames *f, const uint8_t *data, size_t len, size_t *ret_used,
		       struct docker_piece *ret, struct err *err) MUST_USE;
/* 0 between frames; inside of one ERR_CORRUPT. */
int docker_frames_end(const struct docker_frames *f, struct err *err) MUST_USE;

#endif

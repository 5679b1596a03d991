#include "stack/docker/docker_frames.h"

#include <string.h>

static int check_head(struct docker_frames *f, struct err *err)
{
	const uint8_t *h = f->head;
	uint32_t len = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	if (h[0] < DOCKER_STDOUT || h[0] > DOCKER_SYSTEM_ERROR || h[1] != 0 || h[2] != 0 ||
	    h[3] != 0 || len > DOCKER_FRAME_MAX)
		return err_set(err, ERR_CORRUPT,
			       "no head of a frame: %02x %02x %02x %02x %02x %02x %02x %02x", h[0],
			       h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
	f->left = len;
	/* A frame without bytes is over with its head. */
	if (len == 0)
		f->have = 0;
	return 0;
}

int docker_frames_next(struct docker_frames *f, const uint8_t *data, size_t len, size_t *ret_used,
		       struct docker_piece *ret, struct err *err)
{
	size_t used = 0;
	if (f->have < DOCKER_FRAME_HEAD) {
		used = DOCKER_FRAME_HEAD - f->have;
		if (used > len)
			used = len;
		memcpy(f->head + f->have, data, used);
		f->have += used;
		if (f->have == DOCKER_FRAME_HEAD && check_head(f, err) < 0)
			return -1;
	}
	*ret = (struct docker_piece){0};
	if (f->have == DOCKER_FRAME_HEAD && used < len) {
		size_t n = len - used < f->left ? len - used : f->left;
		*ret = (struct docker_piece){f->head[0], data + used, n};
		used += n;
		f->left -= (uint32_t)n;
		if (f->left == 0)
			f->have = 0;
	}
	*ret_used = used;
	return 0;
}

int docker_frames_end(const struct docker_frames *f, struct err *err)
{
	if (f->have == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "the connection ended inside a frame, %s",
		       f->have < DOCKER_FRAME_HEAD ? "in its head" : "before all of its bytes");
}

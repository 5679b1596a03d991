#include "base/flow/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

#define SECOND_NS INT64_C(1000000000)

struct throttle {
	pthread_mutex_t mutex;
	struct throttle_bucket bucket;
	size_t block;
};

int64_t throttle_bucket_take(struct throttle_bucket *b, size_t bytes, int64_t now_ns)
{
	int64_t earliest = now_ns - THROTTLE_BURST_MS * (SECOND_NS / 1000);
	if (b->free_ns < earliest)
		b->free_ns = earliest;
	b->free_ns += (int64_t)((uint64_t)bytes * (uint64_t)SECOND_NS / b->bytes_s);
	return b->free_ns > now_ns ? b->free_ns - now_ns : 0;
}

size_t throttle_block(uint64_t bytes_s)
{
	uint64_t tenth = bytes_s / 10;
	if (tenth > THROTTLE_BLOCK)
		return THROTTLE_BLOCK;
	return tenth > 0 ? (size_t)tenth : 1;
}

int throttle_new(uint64_t bytes_s, struct throttle **ret, struct err *err)
{
	struct throttle *t = mem_zalloc(sizeof *t, "a limit", err);
	if (t == NULL)
		return -1;
	pthread_mutex_init(&t->mutex, NULL);
	t->bucket.bytes_s = bytes_s > 0 ? bytes_s : 1;
	t->block = throttle_block(bytes_s);
	*ret = t;
	return 0;
}

void throttle_free(struct throttle *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

/* Waits until `bytes` may pass. Whoever comes next waits behind these. */
static int take(struct throttle *t, size_t bytes, struct err *err)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&t->mutex);
	int64_t wait_ns =
	    throttle_bucket_take(&t->bucket, bytes, (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec);
	pthread_mutex_unlock(&t->mutex);
	/* Less than a millisecond adds up to the next wait. */
	return wait_ns >= SECOND_NS / 1000 ? wait_ms(wait_ns / (SECOND_NS / 1000), err) : 0;
}

/* ---- source ---- */

struct throttled_source {
	struct source *from;
	struct throttle *throttle;
};

static int throttled_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct throttled_source *s = self;
	size_t n, block = s->throttle->block;
	if (source_read(s->from, buf, cap < block ? cap : block, &n, err) < 0 ||
	    (n > 0 && take(s->throttle, n, err) < 0))
		return -1;
	*ret_n = n;
	return 0;
}

static void throttled_source_free(void *self)
{
	struct throttled_source *s = self;
	source_free(s->from);
	free(s);
}

int source_throttled(struct source *s, struct throttle *t, struct source **ret, struct err *err)
{
	static const struct source_ops ops = {.read = throttled_read,
					      .free = throttled_source_free};
	struct throttled_source *self = mem_zalloc(sizeof *self, "a source", err);
	if (self == NULL) {
		source_free(s);
		return -1;
	}
	*self = (struct throttled_source){.from = s, .throttle = t};
	return source_new(&ops, self, ret, err);
}

/* ---- sink ---- */

struct throttled_sink {
	struct sink *to;
	struct throttle *throttle;
};

static int throttled_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct throttled_sink *s = self;
	while (len > 0) {
		size_t n = len < s->throttle->block ? len : s->throttle->block;
		if (take(s->throttle, n, err) < 0 || sink_write(s->to, data, n, err) < 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

/* No more than is written in one go: the rest of it would no longer be at its beginning. */
static int throttled_lend(void *self, uint8_t **ret, size_t *ret_cap, struct err *err)
{
	struct throttled_sink *s = self;
	if (sink_lend(s->to, ret, ret_cap, err) < 0)
		return -1;
	if (*ret_cap > s->throttle->block)
		*ret_cap = s->throttle->block;
	return 0;
}

static int throttled_close(void *self, struct err *err)
{
	struct throttled_sink *s = self;
	return sink_close(s->to, err);
}

static void throttled_sink_free(void *self)
{
	struct throttled_sink *s = self;
	sink_free(s->to);
	free(s);
}

int sink_throttled(struct sink *s, struct throttle *t, struct sink **ret, struct err *err)
{
	static const struct sink_ops ops = {.write = throttled_write,
					    .lend = throttled_lend,
					    .close = throttled_close,
					    .free = throttled_sink_free};
	struct throttled_sink *self = mem_zalloc(sizeof *self, "a sink", err);
	if (self == NULL) {
		sink_free(s);
		return -1;
	}
	*self = (struct throttled_sink){.to = s, .throttle = t};
	return sink_new(&ops, self, ret, err);
}

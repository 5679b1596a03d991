#include "storage/archive/unpack_pipe.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "storage/archive/frame.h"
#include "storage/archive/part_pipe.h"

enum { MAX_THREADS = 4, MAX_SLOTS = MAX_THREADS + 2, CANCEL_POLL_MS = 100 };
/* Of all buffers together, as long as two slots fit. */
#define MEMORY_BYTES ((size_t)80 << 20)

/* The n-th frame to come is in slot n % slot_count. */
struct slot {
	uint8_t *raw;
	size_t frame;
	bool done;
	struct err err;
};

struct unpack_pipe {
	struct unpack_pipe_opts opts;
	struct unpack_span *spans;
	size_t total; /* frames in all spans */
	size_t raw_max, stored_max;
	struct slot slots[MAX_SLOTS];
	size_t slot_count;
	bool holds; /* the consumer still has the slot at `tail` */

	/* Held by the thread whose turn it is to read; guards what it needs for that. */
	pthread_mutex_t turn;
	struct source *source; /* of the current span */
	size_t span, in_span;  /* the frame to read next */
	bool broken;           /* reading failed: nothing follows */

	pthread_mutex_t lock; /* guards what follows, and slot->done */
	pthread_cond_t freed, unpacked;
	size_t next, tail;
	bool stop;

	pthread_t threads[MAX_THREADS];
	unsigned thread_count, wanted_threads;
};

/* Waits for the slot of the next frame. With the turn held. */
static struct slot *take_slot(struct unpack_pipe *p)
{
	struct slot *s = NULL;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && p->next < p->total && p->next - p->tail >= p->slot_count)
		pthread_cond_wait(&p->freed, &p->lock);
	if (!p->stop && p->next < p->total)
		s = &p->slots[p->next++ % p->slot_count];
	pthread_mutex_unlock(&p->lock);
	return s;
}

static int open_span(struct unpack_pipe *p, struct err *err)
{
	const struct unpack_span *span = &p->spans[p->span];
	const struct seek_frame *first = &p->opts.frames->frames[span->first];
	const struct seek_frame *last = first + (span->count - 1);
	return store_get(p->opts.store, p->opts.object, first->offset,
			 last->offset + last->stored_bytes - first->offset, &p->source, err);
}

/* The next frame's stored bytes. With the turn held. */
static int fetch(struct unpack_pipe *p, struct slot *s, uint8_t *stored, struct err *err)
{
	const struct unpack_span *span = &p->spans[p->span];
	const struct seek_frame *f = &p->opts.frames->frames[s->frame];
	size_t n;
	if (p->in_span == 0 && open_span(p, err) < 0)
		return -1;
	if (source_read_full(p->source, stored, f->stored_bytes, &n, err) < 0)
		return -1;
	if (n != f->stored_bytes)
		return err_set(err, ERR_CORRUPT, "it ends after %zu of %u bytes", n,
			       f->stored_bytes);
	if (p->opts.digest != NULL)
		sha256_update(p->opts.digest, stored, n);
	if (p->opts.fetched_bytes != NULL)
		atomic_fetch_add(p->opts.fetched_bytes, n);
	if (++p->in_span == span->count) {
		source_free(p->source);
		p->source = NULL;
		p->in_span = 0;
		p->span++;
	}
	return 0;
}

static int unpack(struct unpack_pipe *p, ZSTD_DCtx *ctx, struct slot *s, const uint8_t *stored,
		  struct err *err)
{
	const struct seek_frame *f = &p->opts.frames->frames[s->frame];
	if (s->raw == NULL && (s->raw = malloc(p->raw_max)) == NULL)
		return err_nomem(err, "a frame");
	if (frame_unpack(ctx, stored, f->stored_bytes, s->raw, f->raw_bytes, err) < 0)
		return -1;
	if (p->opts.check_table && frame_checksum(stored, f->stored_bytes) != f->checksum)
		return err_set(err, ERR_CORRUPT, "the seek table has another checksum for it");
	return 0;
}

/* One frame: fetched in turn, unpacked beside the others. False when there is nothing left to do.
 */
static bool work_once(struct unpack_pipe *p, ZSTD_DCtx *ctx, uint8_t *stored)
{
	pthread_mutex_lock(&p->turn);
	struct slot *s = p->broken ? NULL : take_slot(p);
	if (s == NULL) {
		pthread_mutex_unlock(&p->turn);
		return false;
	}
	s->frame = p->spans[p->span].first + p->in_span;
	err_clear(&s->err);
	if (ctx == NULL || stored == NULL)
		p->broken = err_nomem(&s->err, "decompression") < 0;
	else
		p->broken = fetch(p, s, stored, &s->err) < 0;
	bool fetched = !p->broken;
	pthread_mutex_unlock(&p->turn);

	bool good = fetched && unpack(p, ctx, s, stored, &s->err) == 0;
	if (!good)
		err_wrap(&s->err, "frame %zu of '%s' at byte %llu", s->frame, p->opts.object,
			 (unsigned long long)p->opts.frames->frames[s->frame].offset);
	pthread_mutex_lock(&p->lock);
	s->done = true;
	/* Nothing behind it is wanted any more. */
	if (!good)
		p->total = p->next;
	pthread_cond_signal(&p->unpacked);
	pthread_mutex_unlock(&p->lock);
	return good;
}

static void *work(void *arg)
{
	struct unpack_pipe *p = arg;
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	uint8_t *stored = malloc(p->stored_max);
	while (work_once(p, ctx, stored))
		;
	free(stored);
	ZSTD_freeDCtx(ctx);
	return NULL;
}

static int start_threads(struct unpack_pipe *p, struct err *err)
{
	sigset_t all, before;
	int rc = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (rc == 0 && p->thread_count < p->wanted_threads) {
		rc = pthread_create(&p->threads[p->thread_count], NULL, work, p);
		p->thread_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : err_sys(err, ERR_FAILED, rc, "can't start a thread");
}

static int measure(struct unpack_pipe *p, struct err *err)
{
	const struct unpack_pipe_opts *o = &p->opts;
	p->spans = mem_zalloc((o->span_count + 1) * sizeof *p->spans, "the frames", err);
	if (p->spans == NULL)
		return -1;
	for (size_t i = 0; i < o->span_count; i++) {
		p->spans[i] = o->spans[i];
		p->total += o->spans[i].count;
		for (size_t k = 0; k < o->spans[i].count; k++) {
			const struct seek_frame *f = &o->frames->frames[o->spans[i].first + k];
			if (f->raw_bytes > p->raw_max)
				p->raw_max = f->raw_bytes;
			if (f->stored_bytes > p->stored_max)
				p->stored_max = f->stored_bytes;
		}
	}
	return 0;
}

/* As many threads as there is work and memory for. */
static void plan_threads(struct unpack_pipe *p)
{
	size_t n = p->opts.threads != 0 ? p->opts.threads : part_pipe_default_threads();
	if (p->opts.threads == 0 && n < 2)
		n = 2; /* one may wait for the store */
	if (n > MAX_THREADS)
		n = MAX_THREADS;
	while (n > 1 && (n + 2) * p->raw_max + n * p->stored_max > MEMORY_BYTES)
		n--;
	if (n > p->total)
		n = p->total;
	p->wanted_threads = (unsigned)n;
	p->slot_count = n + 2;
}

int unpack_pipe_open(const struct unpack_pipe_opts *opts, struct unpack_pipe **ret, struct err *err)
{
	struct unpack_pipe *p = mem_zalloc(sizeof *p, "the unpacking pipeline", err);
	if (p == NULL)
		return -1;
	p->opts = *opts;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->turn, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->freed, NULL);
	pthread_cond_init(&p->unpacked, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (measure(p, err) < 0) {
		unpack_pipe_free(p);
		return -1;
	}
	plan_threads(p);
	if (start_threads(p, err) < 0) {
		unpack_pipe_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* With the lock held. */
static int await_unpacked(struct unpack_pipe *p, const struct slot *s, struct err *err)
{
	while (!s->done) {
		if (cancel_check(err) < 0)
			return -1;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += CANCEL_POLL_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&p->unpacked, &p->lock, &until);
	}
	return cancel_check(err);
}

int unpack_pipe_next(struct unpack_pipe *p, struct unpacked *ret, struct err *err)
{
	struct slot *s = NULL;
	int rc = 0;
	pthread_mutex_lock(&p->lock);
	if (p->holds) {
		p->slots[p->tail % p->slot_count].done = false;
		p->tail++;
		p->holds = false;
		pthread_cond_broadcast(&p->freed);
	}
	if (p->tail < p->total) {
		s = &p->slots[p->tail % p->slot_count];
		rc = await_unpacked(p, s, err);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc < 0)
		return -1;
	if (s == NULL) {
		*ret = (struct unpacked){.data = NULL};
		return 0;
	}
	if (s->err.code != ERR_NONE) {
		*err = s->err;
		return -1;
	}
	p->holds = true;
	*ret = (struct unpacked){
	    .data = s->raw, .len = p->opts.frames->frames[s->frame].raw_bytes, .frame = s->frame};
	return 0;
}

void unpack_pipe_free(struct unpack_pipe *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->freed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (size_t i = 0; i < MAX_SLOTS; i++)
		free(p->slots[i].raw);
	source_free(p->source);
	free(p->spans);
	pthread_cond_destroy(&p->freed);
	pthread_cond_destroy(&p->unpacked);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->turn);
	free(p);
}

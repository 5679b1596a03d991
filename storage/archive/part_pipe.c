#include "storage/archive/part_pipe.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/fault.h"
#include "storage/archive/frame.h"

enum { MAX_THREADS = 16, DEFAULT_MAX_THREADS = 4, CANCEL_POLL_MS = 100 };

/* A frame on its way. Slots are used in turn: frame n is in slot n % slot_count. */
struct slot {
	uint8_t *raw;    /* filled by the producer */
	uint8_t *packed; /* filled by a worker; NULL unless it has been taken */
	struct part_pipe_job job;
	size_t packed_bytes;
	bool done; /* compressed */
};

struct part_pipe {
	struct part_pipe_opts opts;
	struct sink *out;
	struct sha256 *sha;
	struct seek_table frames;
	struct slot *slots;
	size_t slot_count;

	pthread_mutex_t lock;  /* guards all that follows, and slot->done */
	pthread_cond_t freed;  /* a slot: for the producer */
	pthread_cond_t filled; /* a slot: for workers and the writer thread */
	pthread_cond_t packed; /* a slot: for the writer thread */
	uint64_t head;         /* frames submitted */
	uint64_t next;         /* frames that a worker has taken */
	uint64_t tail;         /* frames written */
	uint64_t stored_bytes;
	/* Buffers for packed frames go round: one per worker, and one for the writer. They are
	 * given out in the order of the frames, so the frame to write next always has one. */
	uint8_t *spare[MAX_THREADS + 1];
	unsigned spare_count, buffer_count;
	bool ending; /* no more frames will come */
	bool stop;   /* drop everything */
	struct err failed;

	pthread_t writer, workers[MAX_THREADS];
	unsigned worker_count;
	bool has_writer;
};

unsigned part_pipe_default_threads(void)
{
	cpu_set_t set;
	unsigned n = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > DEFAULT_MAX_THREADS ? DEFAULT_MAX_THREADS : n;
}

/* ---- the threads ---- */

/* The first failure stays; everyone wakes up and leaves. */
static void fail(struct part_pipe *p, const struct err *err)
{
	pthread_mutex_lock(&p->lock);
	if (p->failed.code == ERR_NONE)
		p->failed = *err;
	p->stop = true;
	pthread_cond_broadcast(&p->freed);
	pthread_cond_broadcast(&p->filled);
	pthread_cond_broadcast(&p->packed);
	pthread_mutex_unlock(&p->lock);
}

static bool can_take(const struct part_pipe *p)
{
	return p->next < p->head && (p->spare_count > 0 || p->buffer_count <= p->opts.threads);
}

/* The next frame to compress, with a buffer if there is one already; NULL when there is nothing
 * left to do. */
static struct slot *take(struct part_pipe *p)
{
	struct slot *s = NULL;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && !(p->ending && p->next == p->head) && !can_take(p))
		pthread_cond_wait(&p->filled, &p->lock);
	if (!p->stop && p->next < p->head) {
		s = &p->slots[p->next++ % p->slot_count];
		if (p->spare_count > 0)
			s->packed = p->spare[--p->spare_count];
		else
			p->buffer_count++;
	}
	pthread_mutex_unlock(&p->lock);
	return s;
}

static int pack(struct part_pipe *p, ZSTD_CCtx *ctx, struct slot *s, struct err *err)
{
	size_t cap = ZSTD_compressBound(p->opts.raw_bytes);
	if (ctx == NULL)
		return err_nomem(err, "compression");
	if (s->packed == NULL)
		s->packed = mem_zalloc(cap, "compression", err);
	if (s->packed == NULL)
		return -1;
	return frame_pack(ctx, s->raw + s->job.from, s->job.len, s->packed, cap, &s->packed_bytes,
			  err);
}

static void *work(void *arg)
{
	struct part_pipe *p = arg;
	struct err err = ERR_INIT;
	ZSTD_CCtx *ctx = frame_packer(p->opts.level);
	for (struct slot *s; (s = take(p)) != NULL;) {
		if (pack(p, ctx, s, &err) < 0) {
			fail(p, &err);
			break;
		}
		pthread_mutex_lock(&p->lock);
		s->done = true;
		pthread_cond_signal(&p->packed);
		pthread_mutex_unlock(&p->lock);
	}
	ZSTD_freeCCtx(ctx);
	return NULL;
}

static int put_bytes(struct part_pipe *p, const void *data, size_t len, struct err *err)
{
	if (sink_write(p->out, data, len, err) < 0)
		return -1;
	sha256_update(p->sha, data, len);
	pthread_mutex_lock(&p->lock);
	p->stored_bytes += len;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int put_frame(struct part_pipe *p, const uint8_t *packed, size_t len, size_t raw,
		     struct err *err)
{
	if (fault_point("frame", err) < 0 || put_bytes(p, packed, len, err) < 0)
		return -1;
	return seek_table_add(&p->frames, (uint32_t)len, (uint32_t)raw, frame_checksum(packed, len),
			      err);
}

/* The slot to write next, as soon as it is filled; NULL at the end. */
static struct slot *await_filled(struct part_pipe *p)
{
	struct slot *s = NULL;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && !p->ending && p->tail == p->head)
		pthread_cond_wait(&p->filled, &p->lock);
	if (!p->stop && p->tail < p->head)
		s = &p->slots[p->tail % p->slot_count];
	pthread_mutex_unlock(&p->lock);
	return s;
}

static bool await_packed(struct part_pipe *p, const struct slot *s)
{
	pthread_mutex_lock(&p->lock);
	while (!p->stop && !s->done)
		pthread_cond_wait(&p->packed, &p->lock);
	bool done = !p->stop;
	pthread_mutex_unlock(&p->lock);
	return done;
}

static void release(struct part_pipe *p, struct slot *s)
{
	pthread_mutex_lock(&p->lock);
	s->done = false;
	p->spare[p->spare_count++] = s->packed;
	s->packed = NULL;
	p->tail++;
	pthread_cond_signal(&p->freed);
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
}

static void *write_in_order(void *arg)
{
	struct part_pipe *p = arg;
	struct err err = ERR_INIT;
	for (struct slot *s; (s = await_filled(p)) != NULL;) {
		/* While a worker compresses it. */
		if (s->job.digest != NULL)
			sha256_update(s->job.digest, s->raw + s->job.digest_from,
				      s->job.digest_len);
		if (!await_packed(p, s))
			break;
		if (put_frame(p, s->packed, s->packed_bytes, s->job.len, &err) < 0) {
			fail(p, &err);
			break;
		}
		release(p, s);
	}
	return NULL;
}

/* ---- the producer's side ---- */

/* Signals belong to the main thread, whose waits they shall interrupt. */
static int start_threads(struct part_pipe *p, struct err *err)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&p->writer, NULL, write_in_order, p);
	p->has_writer = rc == 0;
	while (rc == 0 && p->worker_count < p->opts.threads) {
		rc = pthread_create(&p->workers[p->worker_count], NULL, work, p);
		p->worker_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : err_sys(err, ERR_FAILED, rc, "can't start a thread");
}

static void join_threads(struct part_pipe *p)
{
	for (; p->worker_count > 0; p->worker_count--)
		pthread_join(p->workers[p->worker_count - 1], NULL);
	if (p->has_writer)
		pthread_join(p->writer, NULL);
	p->has_writer = false;
}

static void free_slots(struct part_pipe *p)
{
	for (size_t i = 0; p->slots != NULL && i < p->slot_count; i++) {
		free(p->slots[i].raw);
		free(p->slots[i].packed);
	}
	for (; p->spare_count > 0; p->spare_count--)
		free(p->spare[p->spare_count - 1]);
	free(p->slots);
	p->slots = NULL;
}

int part_pipe_open(struct sink *out, const struct part_pipe_opts *opts, struct part_pipe **ret,
		   struct err *err)
{
	struct part_pipe *p = mem_zalloc(sizeof *p, "the part pipeline", err);
	if (p == NULL) {
		sink_free(out);
		return -1;
	}
	p->opts = *opts;
	if (p->opts.threads > MAX_THREADS)
		p->opts.threads = MAX_THREADS;
	p->out = out;
	p->slot_count = p->opts.threads + 2;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->freed, &monotonic);
	pthread_cond_init(&p->filled, NULL);
	pthread_cond_init(&p->packed, NULL);
	pthread_condattr_destroy(&monotonic);
	p->slots = mem_zalloc(p->slot_count * sizeof *p->slots, "the part pipeline", err);
	if (p->slots == NULL || sha256_new(&p->sha, err) < 0 || start_threads(p, err) < 0) {
		part_pipe_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* Waits until at most `most` frames are unfinished. With the lock held. */
static int await_room(struct part_pipe *p, uint64_t most, struct err *err)
{
	for (;;) {
		if (p->failed.code != ERR_NONE) {
			*err = p->failed;
			return -1;
		}
		if (cancel_check(err) < 0)
			return -1;
		if (p->head - p->tail <= most)
			return 0;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += CANCEL_POLL_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&p->freed, &p->lock, &until);
	}
}

int part_pipe_buffer(struct part_pipe *p, uint8_t **ret, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	int rc = await_room(p, p->slot_count - 1, err);
	struct slot *s = &p->slots[p->head % p->slot_count];
	pthread_mutex_unlock(&p->lock);
	if (rc < 0)
		return -1;
	if (s->raw == NULL)
		s->raw = mem_zalloc(p->opts.raw_bytes, "a part", err);
	if (s->raw == NULL)
		return -1;
	*ret = s->raw;
	return 0;
}

int part_pipe_submit(struct part_pipe *p, const struct part_pipe_job *job, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	int rc = 0;
	if (p->failed.code != ERR_NONE) {
		*err = p->failed;
		rc = -1;
	} else {
		p->slots[p->head % p->slot_count].job = *job;
		p->head++;
		pthread_cond_broadcast(&p->filled);
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int part_pipe_drain(struct part_pipe *p, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	int rc = await_room(p, 0, err);
	if (rc == 0) {
		p->ending = true;
		pthread_cond_broadcast(&p->filled);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc < 0)
		return -1;
	join_threads(p);
	free_slots(p);
	return 0;
}

int part_pipe_sha256(struct part_pipe *p, char out[SHA256_HEX_BYTES], struct err *err)
{
	return sha256_so_far(p->sha, out, err);
}

static void packer_freep(ZSTD_CCtx **ctx)
{
	ZSTD_freeCCtx(*ctx);
}

int part_pipe_frame(struct part_pipe *p, const void *data, size_t len, struct err *err)
{
	size_t cap = ZSTD_compressBound(len), n;
	CLEANUP(packer_freep) ZSTD_CCtx *ctx = frame_packer(p->opts.level);
	CLEANUP(freep) uint8_t *packed = malloc(cap);
	if (ctx == NULL || packed == NULL)
		return err_nomem(err, "compression");
	if (frame_pack(ctx, data, len, packed, cap, &n, err) < 0)
		return -1;
	return put_frame(p, packed, n, len, err);
}

int part_pipe_bytes(struct part_pipe *p, const void *data, size_t len, struct err *err)
{
	return put_bytes(p, data, len, err);
}

int part_pipe_close(struct part_pipe *p, struct err *err)
{
	return sink_close(p->out, err);
}

void part_pipe_free(struct part_pipe *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->filled);
	pthread_cond_broadcast(&p->packed);
	pthread_mutex_unlock(&p->lock);
	join_threads(p);
	free_slots(p);
	sink_free(p->out);
	sha256_free(p->sha);
	seek_table_done(&p->frames);
	pthread_cond_destroy(&p->freed);
	pthread_cond_destroy(&p->filled);
	pthread_cond_destroy(&p->packed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const struct seek_table *part_pipe_frames(const struct part_pipe *p)
{
	return &p->frames;
}

uint64_t part_pipe_stored_bytes(struct part_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	uint64_t n = p->stored_bytes;
	pthread_mutex_unlock(&p->lock);
	return n;
}

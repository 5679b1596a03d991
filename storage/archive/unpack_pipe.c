#include "storage/archive/unpack_pipe.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "storage/archive/frame.h"
#include "storage/archive/part_pipe.h"

enum {
	MAX_THREADS = 4,
	MAX_SLOTS = MAX_THREADS + 2,
	MAX_READS = 4,
	LOCAL_READS = 2,
	CANCEL_POLL_MS = 100
};

/* Neighbours that are fetched with one read. */
struct run {
	size_t first, count; /* frames */
	uint64_t offset, bytes;
};

/* What was fetched: run k is on shelf k % reads. */
struct shelf {
	uint8_t *data;
	size_t got, left; /* bytes; frames that are not unpacked yet */
	bool taken, ready;
	struct err err; /* why not all of it came */
};

/* The n-th frame to come is in slot n % slot_count. */
struct slot {
	uint8_t *raw;
	size_t frame;
	bool done, damaged;
	struct err err;
};

struct unpack_pipe {
	struct unpack_pipe_opts opts;
	struct run *runs;
	uint64_t run_max; /* bytes of the largest */
	size_t raw_max;
	struct shelf shelves[MAX_READS];
	struct slot slots[MAX_SLOTS];
	size_t slot_count;
	unsigned reads, unpackers;
	bool holds; /* the consumer still has the slot at `tail` */

	pthread_mutex_t lock; /* guards what follows, and the flags of shelves and slots */
	pthread_cond_t changed, unpacked;
	size_t run_count, next_run; /* the next run to fetch */
	size_t digested;            /* runs that went into the digest */
	size_t total;               /* frames of all runs */
	size_t next, tail;          /* frames: to unpack, to hand out */
	size_t unpack_run, unpack_in_run;
	atomic_bool stop;

	pthread_t threads[MAX_THREADS + MAX_READS];
	unsigned thread_count;
};

/* ---- fetching ---- */

/* What is stored is damaged in a way that does not let all of it be read: encrypted chunks. */
static bool is_damage(const struct unpack_pipe *p, const struct err *err)
{
	return p->opts.past_damage && err->code == ERR_CORRUPT;
}

static int fetch(struct unpack_pipe *p, const struct run *run, struct shelf *s, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	size_t n = 1;
	s->got = 0;
	if (s->data == NULL && (s->data = malloc((size_t)p->run_max)) == NULL)
		return err_nomem(err, "stored frames");
	if (store_get(p->opts.store, p->opts.object, run->offset, run->bytes, &from, err) < 0)
		return -1;
	while (s->got < run->bytes && n > 0 && !atomic_load(&p->stop)) {
		if (source_read(from, s->data + s->got, (size_t)run->bytes - s->got, &n, err) < 0)
			return -1;
		s->got += n;
		if (p->opts.fetched_bytes != NULL)
			atomic_fetch_add(p->opts.fetched_bytes, n);
	}
	if (s->got < run->bytes)
		return err_set(err, ERR_CORRUPT, "it ends after %zu of %llu bytes", s->got,
			       (unsigned long long)run->bytes);
	return 0;
}

/* With the lock held: the number of the next run to fetch, once its shelf is free. */
static bool take_run(struct unpack_pipe *p, size_t *ret)
{
	while (!p->stop && p->next_run < p->run_count && p->shelves[p->next_run % p->reads].taken)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->stop || p->next_run >= p->run_count)
		return false;
	*ret = p->next_run++;
	struct shelf *s = &p->shelves[*ret % p->reads];
	s->taken = true;
	s->left = p->runs[*ret].count;
	return true;
}

static void *fetch_all(void *arg)
{
	struct unpack_pipe *p = arg;
	size_t k;
	pthread_mutex_lock(&p->lock);
	while (take_run(p, &k)) {
		struct shelf *s = &p->shelves[k % p->reads];
		pthread_mutex_unlock(&p->lock);
		err_clear(&s->err);
		int rc = fetch(p, &p->runs[k], s, &s->err);
		pthread_mutex_lock(&p->lock);
		while (!p->stop && p->opts.digest != NULL && p->digested != k)
			pthread_cond_wait(&p->changed, &p->lock);
		if (!p->stop && p->opts.digest != NULL) {
			pthread_mutex_unlock(&p->lock);
			sha256_update(p->opts.digest, s->data, s->got);
			pthread_mutex_lock(&p->lock);
		}
		p->digested++;
		s->ready = true;
		/* Nothing behind it is wanted any more. */
		if (rc < 0 && !is_damage(p, &s->err) && p->run_count > k + 1)
			p->run_count = k + 1;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- unpacking ---- */

/* A frame of a run whose damage may lie in another one. */
static int fetch_alone(struct unpack_pipe *p, const struct seek_frame *f, uint8_t **ret,
		       struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(freep) uint8_t *data = malloc((size_t)f->stored_bytes + 1);
	size_t n;
	if (data == NULL)
		return err_nomem(err, "a stored frame");
	if (store_get(p->opts.store, p->opts.object, f->offset, f->stored_bytes, &from, err) < 0 ||
	    source_read_full(from, data, f->stored_bytes, &n, err) < 0)
		return -1;
	if (p->opts.fetched_bytes != NULL)
		atomic_fetch_add(p->opts.fetched_bytes, n);
	if (n < f->stored_bytes)
		return err_set(err, ERR_CORRUPT, "it ends after %zu of %u bytes", n,
			       f->stored_bytes);
	*ret = data;
	data = NULL;
	return 0;
}

/* Memory for a frame, which the slot keeps. */
static int furnish(struct slot *s, size_t bytes)
{
	uint8_t *raw = s->raw != NULL ? s->raw : malloc(bytes);
	s->raw = raw;
	return raw != NULL ? 0 : -1;
}

static int unpack(struct unpack_pipe *p, ZSTD_DCtx *ctx, const struct run *run,
		  const struct shelf *shelf, struct slot *s, struct err *err)
{
	const struct seek_frame *f = &p->opts.frames->frames[s->frame];
	size_t at = (size_t)(f->offset - run->offset);
	if (ctx == NULL || furnish(s, p->raw_max) < 0)
		return err_nomem(err, "a frame");
	CLEANUP(freep) uint8_t *again = NULL;
	const uint8_t *stored = shelf->data + at;
	if (at > shelf->got || f->stored_bytes > shelf->got - at) {
		*err = shelf->err;
		if (!is_damage(p, err))
			return -1;
		err_clear(err);
		if (fetch_alone(p, f, &again, err) < 0) {
			s->damaged = is_damage(p, err);
			return -1;
		}
		stored = again;
	}
	s->damaged = frame_unpack(ctx, stored, f->stored_bytes, s->raw, f->raw_bytes, err) < 0;
	if (!s->damaged && p->opts.check_table &&
	    frame_checksum(stored, f->stored_bytes) != f->checksum) {
		s->damaged = true;
		err_set(err, ERR_CORRUPT, "the seek table has another checksum for it");
	}
	return s->damaged ? -1 : 0;
}

/* With the lock held: the next frame to unpack, once its slot is free and its bytes have come.
 * NULL: there is none any more. */
static struct slot *take_frame(struct unpack_pipe *p, size_t *ret_run)
{
	while (!p->stop && p->next < p->total && p->next - p->tail >= p->slot_count)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->stop || p->next >= p->total)
		return NULL;
	size_t k = p->unpack_run;
	struct slot *s = &p->slots[p->next++ % p->slot_count];
	s->frame = p->runs[k].first + p->unpack_in_run;
	if (++p->unpack_in_run == p->runs[k].count) {
		p->unpack_in_run = 0;
		p->unpack_run++;
	}
	/* The run before it on this shelf must have gone, and this one have come. */
	while (!p->stop && !(p->next_run > k && p->shelves[k % p->reads].ready))
		pthread_cond_wait(&p->changed, &p->lock);
	*ret_run = k;
	return p->stop ? NULL : s;
}

static void *unpack_all(void *arg)
{
	struct unpack_pipe *p = arg;
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	struct slot *s;
	size_t k;
	pthread_mutex_lock(&p->lock);
	while ((s = take_frame(p, &k)) != NULL) {
		struct shelf *shelf = &p->shelves[k % p->reads];
		pthread_mutex_unlock(&p->lock);
		err_clear(&s->err);
		s->damaged = false;
		bool good = unpack(p, ctx, &p->runs[k], shelf, s, &s->err) == 0;
		if (!good)
			err_wrap(&s->err, "frame %zu of '%s' at byte %llu", s->frame,
				 p->opts.object,
				 (unsigned long long)p->opts.frames->frames[s->frame].offset);
		pthread_mutex_lock(&p->lock);
		s->done = true;
		if (!good && !(s->damaged && p->opts.past_damage))
			p->total = p->next;
		if (--shelf->left == 0)
			shelf->taken = shelf->ready = false;
		pthread_cond_broadcast(&p->changed);
		pthread_cond_signal(&p->unpacked);
	}
	pthread_mutex_unlock(&p->lock);
	ZSTD_freeDCtx(ctx);
	return NULL;
}

/* ---- life ---- */

static int start_threads(struct unpack_pipe *p, struct err *err)
{
	sigset_t all, before;
	int rc = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (rc == 0 && p->thread_count < p->reads + p->unpackers) {
		rc = pthread_create(&p->threads[p->thread_count], NULL,
				    p->thread_count < p->reads ? fetch_all : unpack_all, p);
		p->thread_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : err_sys(err, ERR_FAILED, rc, "can't start a thread");
}

/* Frame `i` goes into the last run if it is its neighbour and there is room, else into a new one.
 */
static void add_frame(struct unpack_pipe *p, size_t i)
{
	const struct seek_frame *f = &p->opts.frames->frames[i];
	struct run *run = p->run_count > 0 ? &p->runs[p->run_count - 1] : NULL;
	if (run == NULL || run->first + run->count != i ||
	    run->bytes + f->stored_bytes > UNPACK_RUN_BYTES) {
		run = &p->runs[p->run_count++];
		*run = (struct run){.first = i, .offset = f->offset};
	}
	run->count++;
	run->bytes += f->stored_bytes;
	p->total++;
	if (f->raw_bytes > p->raw_max)
		p->raw_max = f->raw_bytes;
	if (run->bytes > p->run_max)
		p->run_max = run->bytes;
}

static int plan_runs(struct unpack_pipe *p, struct err *err)
{
	const struct unpack_pipe_opts *o = &p->opts;
	size_t frames = 0;
	for (size_t i = 0; i < o->span_count; i++)
		frames += o->spans[i].count;
	p->runs = mem_zalloc((frames + 1) * sizeof *p->runs, "the frames", err);
	if (p->runs == NULL)
		return -1;
	for (size_t i = 0; i < o->span_count; i++)
		for (size_t k = 0; k < o->spans[i].count; k++)
			add_frame(p, o->spans[i].first + k);
	return 0;
}

static unsigned at_most(size_t a, size_t b)
{
	return (unsigned)(a < b ? a : b);
}

/* As many threads and reads as there is work and memory for. */
static void plan_threads(struct unpack_pipe *p)
{
	size_t n = p->opts.threads != 0 ? p->opts.threads : part_pipe_default_threads();
	size_t reads = p->opts.reads != 0               ? p->opts.reads
		       : store_is_remote(p->opts.store) ? MAX_READS
							: LOCAL_READS;
	if (p->opts.threads == 0 && n < 2)
		n = 2;
	n = at_most(at_most(n, MAX_THREADS), p->total);
	reads = at_most(at_most(reads, MAX_READS), p->run_count);
	while ((n > 1 || reads > 1) &&
	       (n + 2) * p->raw_max + reads * p->run_max > UNPACK_MEMORY_BYTES) {
		if (reads > 1 && (reads >= n || n == 1))
			reads--;
		else
			n--;
	}
	p->unpackers = (unsigned)n;
	p->reads = (unsigned)reads;
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
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	pthread_cond_init(&p->unpacked, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int rc = plan_runs(p, err);
	if (rc == 0)
		plan_threads(p);
	if (rc == 0)
		rc = start_threads(p, err);
	if (rc < 0)
		unpack_pipe_free(p);
	else
		*ret = p;
	return rc;
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
		pthread_cond_broadcast(&p->changed);
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
	bool damaged = s->damaged && p->opts.past_damage;
	if (s->err.code != ERR_NONE && !damaged) {
		*err = s->err;
		return -1;
	}
	p->holds = true;
	*ret = (struct unpacked){.frame = s->frame};
	if (damaged) {
		ret->damage = &s->err;
	} else {
		ret->data = s->raw;
		ret->len = p->opts.frames->frames[s->frame].raw_bytes;
	}
	return 0;
}

void unpack_pipe_free(struct unpack_pipe *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (size_t i = 0; i < MAX_SLOTS; i++)
		free(p->slots[i].raw);
	for (size_t i = 0; i < MAX_READS; i++)
		free(p->shelves[i].data);
	free(p->runs);
	pthread_cond_destroy(&p->changed);
	pthread_cond_destroy(&p->unpacked);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

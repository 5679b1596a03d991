#include "tests/support/memory_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "storage/store/store_impl.h"

enum { MAX_OBJECTS = 64 };
#define MAX_BYTES ((size_t)1 << 30)

struct object {
	char name[201];
	uint8_t *data;
	size_t len;
	int64_t modified_ms;
};

struct memory_store {
	pthread_mutex_t mutex; /* of the objects */
	int64_t now_ms;
	atomic_uint spare[MEMORY_CALLS];  /* calls before those that fail */
	atomic_uint refuse[MEMORY_CALLS]; /* how many of the next calls fail */
	atomic_uint calls[MEMORY_CALLS];
	enum err_code refuse_code;
	bool refuse_retryable;
	bool weak_create;
	atomic_uint lose;   /* answers of so many more puts get lost */
	size_t break_after; /* bytes of each source, where .breaks says so */
	atomic_uint breaks; /* so many sources more */
	struct object objects[MAX_OBJECTS];
	size_t count;
	size_t chop;
	unsigned slow_ms;
	atomic_uint fail_write, fail_read; /* calls until one fails, plus one; 0: never */
	unsigned slow_get_ms, gather;
	atomic_uint gets, open_gets, gets_at_once, open_puts;
	_Atomic uint64_t got, last_offset;
	atomic_uint until_write, until_read; /* calls of what follows; as above */
	void (*at_write)(void), (*at_read)(void);
};

/* A test without memory has nothing to say. */
static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static struct object *find(const struct memory_store *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->objects[i].name, name) == 0)
			return must((void *)(uintptr_t)&m->objects[i]);
	return NULL;
}

const uint8_t *memory_store_bytes(const struct memory_store *m, const char *name, size_t *ret_len)
{
	const struct object *o = find(m, name);
	if (o == NULL)
		return NULL;
	*ret_len = o->len;
	return o->data;
}

static void set(struct memory_store *m, const char *name, const void *data, size_t len)
{
	struct object *o = find(m, name);
	if (o == NULL) {
		if (m->count == MAX_OBJECTS)
			abort();
		o = &m->objects[m->count++];
		memset(o, 0, sizeof *o);
		strncpy(o->name, name, sizeof o->name - 1);
	}
	uint8_t *copy = must(malloc(len + 1));
	if (len > 0)
		memcpy(copy, data, len);
	free(o->data);
	o->data = copy;
	o->len = len;
	o->modified_ms = m->now_ms;
}

void memory_store_set(struct memory_store *m, const char *name, const void *data, size_t len)
{
	pthread_mutex_lock(&m->mutex);
	set(m, name, data, len);
	pthread_mutex_unlock(&m->mutex);
}

void memory_store_set_time(struct memory_store *m, int64_t now_ms)
{
	pthread_mutex_lock(&m->mutex);
	m->now_ms = now_ms;
	pthread_mutex_unlock(&m->mutex);
}

void memory_store_refuse(struct memory_store *m, enum memory_call call, unsigned times,
			 enum err_code code, bool retryable)
{
	m->refuse_code = code;
	m->refuse_retryable = retryable;
	atomic_store(&m->refuse[call], times);
}

void memory_store_refuse_later(struct memory_store *m, enum memory_call call, unsigned after,
			       enum err_code code)
{
	memory_store_refuse(m, call, 1, code, false);
	atomic_store(&m->spare[call], after);
}

void memory_store_lose_answers(struct memory_store *m, unsigned times)
{
	atomic_store(&m->lose, times);
}

void memory_store_weak_create(struct memory_store *m)
{
	m->weak_create = true;
}

unsigned memory_store_calls(const struct memory_store *m, enum memory_call call)
{
	return atomic_load(&m->calls[call]);
}

void memory_store_break_reads(struct memory_store *m, unsigned sources, size_t after_bytes)
{
	m->refuse_code = ERR_UNREACHABLE;
	m->refuse_retryable = true;
	m->break_after = after_bytes;
	atomic_store(&m->breaks, sources);
}

static int broken(const struct memory_store *m, struct err *err)
{
	err_set_message(err, m->refuse_code, "the store in memory refuses");
	err->retryable = m->refuse_retryable;
	return -1;
}

/* Counts the call; -1 when it is one of those that fail. */
static int called(struct memory_store *m, enum memory_call call, struct err *err)
{
	atomic_fetch_add(&m->calls[call], 1);
	unsigned left = atomic_load(&m->refuse[call]), spare = atomic_load(&m->spare[call]);
	if (spare > 0)
		atomic_store(&m->spare[call], spare - 1);
	if (left == 0 || spare > 0)
		return 0;
	atomic_store(&m->refuse[call], left - 1);
	return broken(m, err);
}

void memory_store_fail_write(struct memory_store *m, unsigned nth)
{
	atomic_store(&m->fail_write, nth);
}

void memory_store_fail_read(struct memory_store *m, unsigned nth)
{
	atomic_store(&m->fail_read, nth);
}

void memory_store_chop_reads(struct memory_store *m, size_t bytes)
{
	m->chop = bytes;
}

void memory_store_slow_writes(struct memory_store *m, unsigned ms)
{
	m->slow_ms = ms;
}

unsigned memory_store_gets(const struct memory_store *m)
{
	return atomic_load(&m->gets);
}

void memory_store_slow_gets(struct memory_store *m, unsigned ms)
{
	m->slow_get_ms = ms;
}

void memory_store_gather_gets(struct memory_store *m, unsigned count)
{
	m->gather = count;
}

uint64_t memory_store_got(const struct memory_store *m)
{
	return atomic_load(&m->got);
}

uint64_t memory_store_last_offset(const struct memory_store *m)
{
	return atomic_load(&m->last_offset);
}

unsigned memory_store_gets_at_once(const struct memory_store *m)
{
	return atomic_load(&m->gets_at_once);
}

unsigned memory_store_open_puts(const struct memory_store *m)
{
	return atomic_load(&m->open_puts);
}

/* Counts down to the call that fails; from then on all do. */
static bool fails(atomic_uint *left)
{
	unsigned n = atomic_load(left);
	if (n > 1)
		atomic_store(left, n - 1);
	return n == 1;
}

void memory_store_at_write(struct memory_store *m, unsigned nth, void (*fn)(void))
{
	m->at_write = fn;
	atomic_store(&m->until_write, nth);
}

void memory_store_at_read(struct memory_store *m, unsigned nth, void (*fn)(void))
{
	m->at_read = fn;
	atomic_store(&m->until_read, nth);
}

/* Counts down to the call that is the one, and stops there. */
static void remind(atomic_uint *left, void (*fn)(void))
{
	unsigned n = atomic_load(left);
	if (n > 0)
		atomic_store(left, n - 1);
	if (n == 1)
		fn();
}

/* ---- put ---- */

struct put {
	struct memory_store *m;
	char name[201];
	bool fresh;
	struct buf data;
};

static int put_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct put *p = self;
	if (p->m->slow_ms > 0) {
		struct timespec t = {.tv_nsec = p->m->slow_ms * 1000000L};
		nanosleep(&t, NULL);
	}
	remind(&p->m->until_write, p->m->at_write);
	if (fails(&p->m->fail_write))
		return err_set(err, ERR_NOSPACE, "the store in memory is full");
	return buf_append(&p->data, data, len, err);
}

static int put_close(void *self, struct err *err)
{
	struct put *p = self;
	remind(&p->m->until_write, p->m->at_write);
	if (fails(&p->m->fail_write))
		return err_set(err, ERR_NOSPACE, "the store in memory is full");
	pthread_mutex_lock(&p->m->mutex);
	bool there = p->fresh && !p->m->weak_create && find(p->m, p->name) != NULL;
	if (!there)
		set(p->m, p->name, p->data.data, p->data.len);
	pthread_mutex_unlock(&p->m->mutex);
	if (there)
		return err_set(err, ERR_EXISTS, "'%s' is there already", p->name);
	unsigned lose = atomic_load(&p->m->lose);
	if (lose == 0)
		return 0;
	atomic_store(&p->m->lose, lose - 1);
	p->m->refuse_code = ERR_UNREACHABLE;
	p->m->refuse_retryable = true;
	return broken(p->m, err);
}

static void put_free(void *self)
{
	struct put *p = self;
	atomic_fetch_sub(&p->m->open_puts, 1);
	buf_done(&p->data);
	free(p);
}

static int store_put_op(void *self, const char *name, bool fresh, struct sink **ret,
			struct err *err)
{
	static const struct sink_ops ops = {
	    .write = put_write, .close = put_close, .free = put_free};
	if (called(self, MEMORY_PUT, err) < 0)
		return -1;
	struct put *p = must(calloc(1, sizeof *p));
	p->m = self;
	p->fresh = fresh;
	strncpy(p->name, name, sizeof p->name - 1);
	buf_init(&p->data, MAX_BYTES);
	atomic_fetch_add(&p->m->open_puts, 1);
	return sink_new(&ops, p, ret, err);
}

/* ---- get ---- */

struct get {
	struct memory_store *m;
	const uint8_t *data; /* in `copy`: the object may go meanwhile */
	uint8_t *copy;
	size_t left;
	size_t until_break; /* SIZE_MAX: does not */
};

static int get_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct get *g = self;
	remind(&g->m->until_read, g->m->at_read);
	if (fails(&g->m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	if (g->until_break == 0)
		return broken(g->m, err);
	size_t n = g->left < cap ? g->left : cap;
	if (n > g->until_break)
		n = g->until_break;
	if (g->m->chop > 0 && n > g->m->chop)
		n = g->m->chop;
	if (n > 0)
		memcpy(buf, g->data, n);
	g->data += n;
	g->left -= n;
	if (g->until_break != SIZE_MAX)
		g->until_break -= n;
	atomic_fetch_add(&g->m->got, n);
	*ret_n = n;
	return 0;
}

static void get_free(void *self)
{
	struct get *g = self;
	atomic_fetch_sub(&g->m->open_gets, 1);
	free(g->copy);
	free(g);
}

/* Notes a request, and lets it wait. */
static void begin_get(struct memory_store *m, uint64_t offset)
{
	unsigned open = atomic_fetch_add(&m->open_gets, 1) + 1,
		 most = atomic_load(&m->gets_at_once);
	atomic_store(&m->last_offset, offset);
	while (open > most && !atomic_compare_exchange_weak(&m->gets_at_once, &most, open))
		;
	for (int i = 0; atomic_load(&m->gets_at_once) < m->gather && i < 10000; i++) {
		struct timespec t = {.tv_nsec = 1000000L};
		nanosleep(&t, NULL);
	}
	if (m->slow_get_ms > 0) {
		struct timespec t = {.tv_sec = m->slow_get_ms / 1000,
				     .tv_nsec = m->slow_get_ms % 1000 * 1000000L};
		nanosleep(&t, NULL);
	}
}

/* Copies the range. */
static int get_range(struct memory_store *m, const char *name, uint64_t offset, uint64_t len,
		     struct get *g, struct err *err)
{
	const struct object *o = find(m, name);
	if (o == NULL)
		return err_set(err, ERR_ABSENT, "there is no '%s'", name);
	if (len == UINT64_MAX && offset <= o->len)
		len = o->len - offset;
	if (offset > o->len || len > o->len - offset)
		return err_set(err, ERR_CORRUPT, "'%s' has only %zu bytes", name, o->len);
	g->copy = must(malloc((size_t)len + 1));
	if (len > 0)
		memcpy(g->copy, o->data + offset, (size_t)len);
	g->data = g->copy;
	g->left = (size_t)len;
	return 0;
}

static int store_get_op(void *self, const char *name, uint64_t offset, uint64_t len,
			struct source **ret, struct err *err)
{
	static const struct source_ops ops = {.read = get_read, .free = get_free};
	struct memory_store *m = self;
	atomic_fetch_add(&m->gets, 1);
	if (fails(&m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	if (called(m, MEMORY_GET, err) < 0)
		return -1;
	struct get *g = must(calloc(1, sizeof *g));
	g->m = m;
	begin_get(m, offset);
	pthread_mutex_lock(&m->mutex);
	int rc = get_range(m, name, offset, len, g, err);
	pthread_mutex_unlock(&m->mutex);
	if (rc < 0) {
		get_free(g);
		return -1;
	}
	unsigned breaks = atomic_load(&m->breaks);
	g->until_break = breaks > 0 ? m->break_after : SIZE_MAX;
	if (breaks > 0)
		atomic_store(&m->breaks, breaks - 1);
	return source_new(&ops, g, ret, err);
}

/* ---- the rest ---- */

static int store_stat_op(void *self, const char *name, struct store_object *ret, struct err *err)
{
	struct memory_store *m = self;
	if (fails(&m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	if (called(m, MEMORY_STAT, err) < 0)
		return -1;
	pthread_mutex_lock(&m->mutex);
	const struct object *o = find(m, name);
	if (o != NULL) {
		*ret = (struct store_object){.bytes = o->len, .modified_ms = o->modified_ms};
		memcpy(ret->name, o->name, sizeof ret->name);
	}
	pthread_mutex_unlock(&m->mutex);
	return o != NULL ? 0 : err_set(err, ERR_ABSENT, "there is no '%s'", name);
}

static int store_list_op(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	struct memory_store *m = self;
	if (called(m, MEMORY_LIST, err) < 0)
		return -1;
	struct store_objects found = {.items = must(calloc(MAX_OBJECTS, sizeof *found.items))};
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < m->count; i++) {
		const struct object *o = &m->objects[i];
		if (strncmp(o->name, prefix, strlen(prefix)) != 0)
			continue;
		struct store_object *to = &found.items[found.count++];
		memcpy(to->name, o->name, sizeof to->name);
		to->bytes = o->len;
		to->modified_ms = o->modified_ms;
	}
	pthread_mutex_unlock(&m->mutex);
	*ret = found;
	return 0;
}

static int store_remove_op(void *self, const char *name, struct err *err)
{
	struct memory_store *m = self;
	if (called(m, MEMORY_REMOVE, err) < 0)
		return -1;
	pthread_mutex_lock(&m->mutex);
	struct object *o = find(m, name);
	if (o != NULL) {
		free(o->data);
		*o = m->objects[--m->count];
	}
	pthread_mutex_unlock(&m->mutex);
	return 0;
}

static void store_free_op(void *self)
{
	struct memory_store *m = self;
	for (size_t i = 0; i < m->count; i++)
		free(m->objects[i].data);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}

/* Nothing unfinished is ever left. */
static int store_sweep_op(void *self, const char *stack, bool dry_run, struct strlist *ret,
			  struct err *err)
{
	(void)self, (void)stack, (void)dry_run, (void)ret, (void)err;
	return 0;
}

static const struct store_ops memory_ops = {
    .scheme = "memory",
    .free = store_free_op,
    .put = store_put_op,
    .get = store_get_op,
    .stat = store_stat_op,
    .list = store_list_op,
    .remove = store_remove_op,
    .sweep = store_sweep_op,
};

static const struct store_ops remote_ops = {
    .scheme = "memory",
    .remote = true,
    .free = store_free_op,
    .put = store_put_op,
    .get = store_get_op,
    .stat = store_stat_op,
    .list = store_list_op,
    .remove = store_remove_op,
    .sweep = store_sweep_op,
};

static void begin(const struct store_ops *ops, struct memory_store **ret, struct store **ret_store)
{
	struct memory_store *m = must(calloc(1, sizeof *m));
	struct err err = ERR_INIT;
	pthread_mutex_init(&m->mutex, NULL);
	if (store_wrap(ops, m, "memory", ret_store, &err) < 0)
		abort();
	*ret = m;
}

void memory_store_open(struct memory_store **ret, struct store **ret_store)
{
	begin(&memory_ops, ret, ret_store);
}

static int no_wait(int64_t ms, struct err *err)
{
	(void)ms, (void)err;
	return 0;
}

void memory_store_open_remote(struct memory_store **ret, struct store **ret_store)
{
	begin(&remote_ops, ret, ret_store);
	(*ret_store)->retry.wait = no_wait;
}

void memory_store_share(struct memory_store *m, struct store **ret_store)
{
	static struct store_ops ops;
	struct err err = ERR_INIT;
	ops = remote_ops;
	ops.free = NULL;
	if (store_wrap(&ops, m, "memory", ret_store, &err) < 0)
		abort();
	(*ret_store)->retry.wait = no_wait;
}

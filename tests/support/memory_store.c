#include "tests/support/memory_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_OBJECTS = 16 };
#define MAX_BYTES ((size_t)1 << 30)

struct object {
	char name[201];
	uint8_t *data;
	size_t len;
};

struct memory_store {
	struct object objects[MAX_OBJECTS];
	size_t count;
	size_t chop;
	unsigned slow_ms;
	atomic_uint fail_write, fail_read; /* calls until one fails, plus one; 0: never */
	atomic_uint gets, open_puts;
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

void memory_store_set(struct memory_store *m, const char *name, const void *data, size_t len)
{
	struct object *o = find(m, name);
	if (o == NULL) {
		if (m->count == MAX_OBJECTS)
			abort();
		o = &m->objects[m->count++];
		strncpy(o->name, name, sizeof o->name - 1);
	}
	uint8_t *copy = must(malloc(len + 1));
	if (len > 0)
		memcpy(copy, data, len);
	free(o->data);
	o->data = copy;
	o->len = len;
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
	if (p->fresh && find(p->m, p->name) != NULL)
		return err_set(err, ERR_EXISTS, "'%s' is there already", p->name);
	memory_store_set(p->m, p->name, p->data.data, p->data.len);
	return 0;
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
	const uint8_t *data;
	size_t left;
};

static int get_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct get *g = self;
	remind(&g->m->until_read, g->m->at_read);
	if (fails(&g->m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	size_t n = g->left < cap ? g->left : cap;
	if (g->m->chop > 0 && n > g->m->chop)
		n = g->m->chop;
	if (n > 0)
		memcpy(buf, g->data, n);
	g->data += n;
	g->left -= n;
	*ret_n = n;
	return 0;
}

static int store_get_op(void *self, const char *name, uint64_t offset, uint64_t len,
			struct source **ret, struct err *err)
{
	static const struct source_ops ops = {.read = get_read, .free = free};
	struct memory_store *m = self;
	const struct object *o = find(m, name);
	atomic_fetch_add(&m->gets, 1);
	if (fails(&m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	if (o == NULL)
		return err_set(err, ERR_ABSENT, "there is no '%s'", name);
	if (len == UINT64_MAX && offset <= o->len)
		len = o->len - offset;
	if (offset > o->len || len > o->len - offset)
		return err_set(err, ERR_CORRUPT, "'%s' has only %zu bytes", name, o->len);
	struct get *g = must(calloc(1, sizeof *g));
	*g = (struct get){.m = m, .data = o->data + offset, .left = (size_t)len};
	return source_new(&ops, g, ret, err);
}

/* ---- the rest ---- */

static int store_stat_op(void *self, const char *name, struct store_object *ret, struct err *err)
{
	struct memory_store *m = self;
	const struct object *o = find(m, name);
	if (fails(&m->fail_read))
		return err_set(err, ERR_IO, "the store in memory can't be read");
	if (o == NULL)
		return err_set(err, ERR_ABSENT, "there is no '%s'", name);
	*ret = (struct store_object){.bytes = o->len};
	memcpy(ret->name, o->name, sizeof ret->name);
	return 0;
}

static void store_free_op(void *self)
{
	struct memory_store *m = self;
	for (size_t i = 0; i < m->count; i++)
		free(m->objects[i].data);
	free(m);
}

static const struct store_ops memory_ops = {
    .scheme = "memory",
    .free = store_free_op,
    .put = store_put_op,
    .get = store_get_op,
    .stat = store_stat_op,
};

void memory_store_open(struct memory_store **ret, struct store **ret_store)
{
	struct memory_store *m = must(calloc(1, sizeof *m));
	struct err err = ERR_INIT;
	if (store_wrap(&memory_ops, m, "memory", ret_store, &err) < 0)
		abort();
	*ret = m;
}

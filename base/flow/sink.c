#include "base/flow/sink.h"

#include <stdlib.h>
#include "base/buf.h"
#include "base/child.h"
#include "base/digest.h"
#include "base/flow/filter.h"
#include "base/flow/source.h"

struct sink {
	const struct sink_ops *ops;
	void *self;
	uint64_t bytes;
	bool closed;
	struct err failed; /* the sticky error; here, so that keeping it needs no memory */
};

int sink_new(const struct sink_ops *ops, void *self, struct sink **ret, struct err *err)
{
	struct sink *s = mem_zalloc(sizeof *s, "a sink", err);
	if (s == NULL) {
		if (ops->free != NULL)
			ops->free(self);
		return -1;
	}
	s->ops = ops;
	s->self = self;
	*ret = s;
	return 0;
}

static int remember(struct sink *s, const struct err *err)
{
	s->failed = *err;
	return -1;
}

static int check_usable(const struct sink *s, struct err *err)
{
	if (s->failed.code != ERR_NONE) {
		*err = s->failed;
		return -1;
	}
	if (s->closed)
		return err_set(err, ERR_FAILED, "a closed sink was written to");
	return 0;
}

int sink_write(struct sink *s, const void *data, size_t len, struct err *err)
{
	if (check_usable(s, err) < 0)
		return -1;
	if (len == 0)
		return 0;
	if (s->ops->write(s->self, data, len, err) < 0)
		return remember(s, err);
	s->bytes += len;
	return 0;
}

int sink_lend(struct sink *s, uint8_t **ret, size_t *ret_cap, struct err *err)
{
	uint8_t *memory = NULL;
	size_t cap = 0;
	if (check_usable(s, err) < 0)
		return -1;
	if (s->ops->lend != NULL && s->ops->lend(s->self, &memory, &cap, err) < 0)
		return remember(s, err);
	*ret = memory;
	*ret_cap = cap;
	return 0;
}

int sink_close(struct sink *s, struct err *err)
{
	if (check_usable(s, err) < 0)
		return -1;
	if (s->ops->close != NULL && s->ops->close(s->self, err) < 0)
		return remember(s, err);
	s->closed = true;
	return 0;
}

void sink_free(struct sink *s)
{
	if (s == NULL)
		return;
	if (s->ops->free != NULL)
		s->ops->free(s->self);
	free(s);
}

uint64_t sink_bytes(const struct sink *s)
{
	return s->bytes;
}

/* No larger: what was just read is still in the processor's cache when it is looked at. */
enum { COPY_BYTES = 256 << 10 };

int flow_copy(struct source *from, struct sink *to, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(freep) uint8_t *own = NULL;
	uint64_t total = 0;
	for (;;) {
		uint8_t *block;
		size_t n, cap;
		if (sink_lend(to, &block, &cap, err) < 0)
			return -1;
		if (block == NULL) {
			if (own == NULL && (own = malloc(COPY_BYTES)) == NULL)
				return err_nomem(err, "a copy");
			block = own;
			cap = COPY_BYTES;
		}
		if (source_read(from, block, cap < COPY_BYTES ? cap : COPY_BYTES, &n, err) < 0)
			return -1;
		if (n == 0)
			break;
		if (sink_write(to, block, n, err) < 0)
			return -1;
		total += n;
	}
	if (ret_bytes != NULL)
		*ret_bytes = total;
	return 0;
}

/* ---- buffer, digest, nowhere ---- */

static int buf_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	return buf_append(self, data, len, err);
}

static const struct sink_ops buf_ops = {.write = buf_write};

int sink_buf(struct buf *b, struct sink **ret, struct err *err)
{
	return sink_new(&buf_ops, b, ret, err);
}

static int sha256_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	(void)err;
	sha256_update(self, data, len);
	return 0;
}

static const struct sink_ops sha256_ops = {.write = sha256_write};

int sink_sha256(struct sha256 *h, struct sink **ret, struct err *err)
{
	return sink_new(&sha256_ops, h, ret, err);
}

static int null_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	(void)self, (void)data, (void)len, (void)err;
	return 0;
}

static const struct sink_ops null_ops = {.write = null_write};

int sink_null(struct sink **ret, struct err *err)
{
	return sink_new(&null_ops, NULL, ret, err);
}

/* ---- meter ---- */

struct meter {
	void (*seen)(void *ctx, size_t n);
	void *ctx;
};

static int meter_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	(void)data, (void)err;
	struct meter *m = self;
	m->seen(m->ctx, len);
	return 0;
}

static const struct sink_ops meter_ops = {.write = meter_write, .free = free};

int sink_meter(void (*seen)(void *ctx, size_t n), void *ctx, struct sink **ret, struct err *err)
{
	struct meter *m = mem_zalloc(sizeof *m, "a meter", err);
	if (m == NULL)
		return -1;
	*m = (struct meter){.seen = seen, .ctx = ctx};
	return sink_new(&meter_ops, m, ret, err);
}

/* ---- child ---- */

struct child_sink {
	struct child *child;
	int64_t close_ms;
};

static int child_sink_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct child_sink *c = self;
	if (child_write(c->child, data, len, DEADLINE_NEVER, err) == 0)
		return 0;
	if (err->code != ERR_FAILED)
		return -1;
	/* It stopped reading. Why, its exit status and stderr say better than "broken pipe". */
	struct err why = ERR_INIT;
	if (child_wait(c->child, deadline_in(5000), &why) == 0)
		err->code = ERR_CLOSED;
	else if (why.code == ERR_FAILED)
		*err = why;
	return -1;
}

static int child_sink_close(void *self, struct err *err)
{
	struct child_sink *c = self;
	child_close_stdin(c->child);
	return child_wait(c->child, deadline_in(c->close_ms), err);
}

static void child_sink_free(void *self)
{
	struct child_sink *c = self;
	child_free(c->child);
	free(c);
}

static const struct sink_ops child_ops = {
    .write = child_sink_write, .close = child_sink_close, .free = child_sink_free};

int sink_child(struct child *c, int64_t close_ms, struct sink **ret, struct err *err)
{
	struct child_sink *s = mem_zalloc(sizeof *s, "a sink", err);
	if (s == NULL) {
		child_free(c);
		return -1;
	}
	*s = (struct child_sink){.child = c, .close_ms = close_ms};
	return sink_new(&child_ops, s, ret, err);
}

/* ---- two at once ---- */

struct both {
	struct sink *a, *b;
};

static int both_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct both *two = self;
	return sink_write(two->a, data, len, err) < 0 ? -1 : sink_write(two->b, data, len, err);
}

static int both_close(void *self, struct err *err)
{
	struct both *two = self;
	return sink_close(two->a, err) < 0 ? -1 : sink_close(two->b, err);
}

static void both_free(void *self)
{
	struct both *two = self;
	sink_free(two->a);
	sink_free(two->b);
	free(two);
}

static const struct sink_ops both_ops = {
    .write = both_write, .close = both_close, .free = both_free};

int sink_both(struct sink *a, struct sink *b, struct sink **ret, struct err *err)
{
	struct both *two = mem_zalloc(sizeof *two, "a sink", err);
	if (two == NULL) {
		sink_free(a);
		sink_free(b);
		return -1;
	}
	*two = (struct both){.a = a, .b = b};
	return sink_new(&both_ops, two, ret, err);
}

/* ---- filtered ---- */

enum { FILTER_OUT_BYTES = 1 << 17 };

struct filtered {
	struct filter *filter;
	struct sink *to;
	uint8_t out[FILTER_OUT_BYTES];
};

static int push_through(struct filtered *f, const uint8_t *data, size_t len, bool last,
			enum filter_state *ret_state, struct err *err)
{
	enum filter_state state;
	do {
		size_t used = 0, made = 0;
		if (filter_step(f->filter, data, len, last, &used, f->out, sizeof f->out, &made,
				&state, err) < 0 ||
		    sink_write(f->to, f->out, made, err) < 0)
			return -1;
		if (used == 0 && made == 0 && (len > 0 || state == FILTER_FULL))
			return err_set(err, ERR_FAILED, "a filter makes no progress");
		data += used;
		len -= used;
	} while (len > 0 || state == FILTER_FULL);
	*ret_state = state;
	return 0;
}

static int filtered_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	enum filter_state state;
	return push_through(self, data, len, false, &state, err);
}

static int filtered_close(void *self, struct err *err)
{
	struct filtered *f = self;
	enum filter_state state;
	static const uint8_t nothing[1];
	if (push_through(f, nothing, 0, true, &state, err) < 0)
		return -1;
	if (state == FILTER_INSIDE)
		return err_set(err, ERR_CORRUPT, "stream ended inside a frame");
	return sink_close(f->to, err);
}

static void filtered_free(void *self)
{
	struct filtered *f = self;
	filter_free(f->filter);
	sink_free(f->to);
	free(f);
}

static const struct sink_ops filtered_ops = {
    .write = filtered_write, .close = filtered_close, .free = filtered_free};

int sink_filtered(struct filter *filter, struct sink *s, struct sink **ret, struct err *err)
{
	struct filtered *f = mem_zalloc(sizeof *f, "a sink", err);
	if (f == NULL) {
		filter_free(filter);
		sink_free(s);
		return -1;
	}
	f->filter = filter;
	f->to = s;
	return sink_new(&filtered_ops, f, ret, err);
}

#include "tests/support/fake_flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *make(size_t bytes)
{
	void *p = calloc(1, bytes);
	if (p == NULL)
		abort();
	return p;
}

static _Noreturn void give_up(const struct err *err)
{
	fprintf(stderr, "fake_flow: %s\n", err->msg);
	abort();
}

struct fake {
	struct fake_log *log;
	size_t left, piece;
	unsigned fail_at;
	bool fail_close;
	enum fake_filter_kind kind;
	/* of a filter */
	unsigned char pending;
	bool has_pending, inside;
	size_t tail;
};

static void fake_free(void *self)
{
	((struct fake *)self)->log->freed++;
	free(self);
}

static int fake_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct fake *f = self;
	if (++f->log->calls == f->fail_at)
		return err_set(err, ERR_IO, "the source broke");
	size_t n = f->left < cap ? f->left : cap;
	if (n > f->piece)
		n = f->piece;
	memset(buf, 'a', n);
	f->left -= n;
	f->log->bytes += n;
	*ret_n = n;
	return 0;
}

static const struct source_ops source_ops = {.read = fake_read, .free = fake_free};

struct source *fake_source(struct fake_log *log, size_t len, size_t piece, unsigned fail_at)
{
	struct err err = ERR_INIT;
	struct source *s;
	struct fake *f = make(sizeof *f);
	*f = (struct fake){.log = log, .left = len, .piece = piece, .fail_at = fail_at};
	if (source_new(&source_ops, f, &s, &err) < 0)
		give_up(&err);
	return s;
}

static int fake_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct fake *f = self;
	(void)data;
	if (++f->log->calls == f->fail_at)
		return err_set(err, ERR_NOSPACE, "the sink broke");
	f->log->bytes += len;
	return 0;
}

static int fake_close(void *self, struct err *err)
{
	struct fake *f = self;
	if (f->fail_close)
		return err_set(err, ERR_NOSPACE, "the sink broke");
	f->log->closed++;
	return 0;
}

static const struct sink_ops sink_ops = {
    .write = fake_write, .close = fake_close, .free = fake_free};

struct sink *fake_sink(struct fake_log *log, unsigned fail_at, bool fail_close)
{
	struct err err = ERR_INIT;
	struct sink *s;
	struct fake *f = make(sizeof *f);
	*f = (struct fake){.log = log, .fail_at = fail_at, .fail_close = fail_close};
	if (sink_new(&sink_ops, f, &s, &err) < 0)
		give_up(&err);
	return s;
}

/* Each byte twice; a byte whose second copy found no room waits. */
static void double_bytes(struct fake *f, const uint8_t *in, size_t in_len, size_t *used,
			 uint8_t *out, size_t cap, size_t *made)
{
	for (;;) {
		if (*made == cap)
			return;
		if (f->has_pending) {
			out[(*made)++] = f->pending;
			f->has_pending = false;
		} else if (*used < in_len) {
			f->pending = in[(*used)++];
			f->has_pending = true;
			out[(*made)++] = f->pending;
			f->inside = f->pending == '(' || (f->inside && f->pending != ')');
		} else {
			return;
		}
	}
}

static void pass_and_add_tail(struct fake *f, const uint8_t *in, size_t in_len, bool last,
			      size_t *used, uint8_t *out, size_t cap, size_t *made,
			      enum filter_state *state)
{
	*used = in_len < cap ? in_len : cap;
	memcpy(out, in, *used);
	*made = *used;
	if (!last || *used < in_len)
		return;
	size_t n = f->tail < cap - *made ? f->tail : cap - *made;
	memset(out + *made, 'z', n);
	f->tail -= n;
	*made += n;
	if (f->tail > 0)
		*state = FILTER_FULL;
}

static int fake_step(void *self, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
		     uint8_t *out, size_t out_cap, size_t *ret_made, enum filter_state *ret_state,
		     struct err *err)
{
	struct fake *f = self;
	f->log->calls++;
	*ret_used = *ret_made = 0;
	*ret_state = FILTER_BETWEEN;
	switch (f->kind) {
	case FAKE_FILTER_DOUBLE:
		double_bytes(f, in, in_len, ret_used, out, out_cap, ret_made);
		if (f->has_pending)
			*ret_state = FILTER_FULL;
		else if (f->inside)
			*ret_state = FILTER_INSIDE;
		return 0;
	case FAKE_FILTER_STUCK:
		return 0;
	case FAKE_FILTER_FULL:
		*ret_state = FILTER_FULL;
		return 0;
	case FAKE_FILTER_BREAKS:
		return err_set(err, ERR_CORRUPT, "the filter broke");
	case FAKE_FILTER_TAIL:
		pass_and_add_tail(f, in, in_len, last, ret_used, out, out_cap, ret_made, ret_state);
		return 0;
	}
	return 0;
}

static const struct filter_ops filter_ops = {.step = fake_step, .free = fake_free};

struct filter *fake_filter(struct fake_log *log, enum fake_filter_kind kind)
{
	struct err err = ERR_INIT;
	struct filter *ret;
	struct fake *f = make(sizeof *f);
	*f = (struct fake){.log = log, .kind = kind, .tail = 100000};
	if (filter_new(&filter_ops, f, &ret, &err) < 0)
		give_up(&err);
	return ret;
}

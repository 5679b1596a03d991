#include "base/flow/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/child.h"
#include "base/file.h"
#include "base/flow/filter.h"
#include "base/flow/sink.h"

struct source {
	const struct source_ops *ops;
	void *self;
	uint64_t bytes;
	bool ended;
	struct err failed; /* the sticky error; here, so that keeping it needs no memory */
};

int source_new(const struct source_ops *ops, void *self, struct source **ret, struct err *err)
{
	struct source *s = mem_zalloc(sizeof *s, "a source", err);
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

int source_read(struct source *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	if (s->failed.code != ERR_NONE) {
		*err = s->failed;
		return -1;
	}
	if (s->ended) {
		*ret_n = 0;
		return 0;
	}
	size_t n = 0;
	if (s->ops->read(s->self, buf, cap, &n, err) < 0) {
		s->failed = *err;
		return -1;
	}
	s->bytes += n;
	s->ended = n == 0;
	*ret_n = n;
	return 0;
}

int source_read_full(struct source *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	size_t total = 0;
	while (total < cap) {
		size_t n;
		if (source_read(s, buf + total, cap - total, &n, err) < 0)
			return -1;
		if (n == 0)
			break;
		total += n;
	}
	*ret_n = total;
	return 0;
}

uint64_t source_bytes(const struct source *s)
{
	return s->bytes;
}

void source_free(struct source *s)
{
	if (s == NULL)
		return;
	if (s->ops->free != NULL)
		s->ops->free(s->self);
	free(s);
}

/* ---- memory ---- */

struct memory {
	const uint8_t *data;
	size_t left;
};

static int memory_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	(void)err;
	struct memory *m = self;
	size_t n = m->left < cap ? m->left : cap;
	if (n > 0)
		memcpy(buf, m->data, n);
	m->data += n;
	m->left -= n;
	*ret_n = n;
	return 0;
}

static const struct source_ops memory_ops = {.read = memory_read, .free = free};

int source_memory(const void *data, size_t len, struct source **ret, struct err *err)
{
	struct memory *m = mem_zalloc(sizeof *m, "a source", err);
	if (m == NULL)
		return -1;
	static const uint8_t nothing[1];
	m->data = len > 0 ? data : nothing;
	m->left = len;
	return source_new(&memory_ops, m, ret, err);
}

/* ---- file descriptor ---- */

struct fd_source {
	int fd;
	uint64_t left; /* UINT64_MAX: until its end */
	uint64_t done;
	char *name;
};

static int fd_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct fd_source *f = self;
	if (cancel_check(err) < 0)
		return -1;
	if (f->left != UINT64_MAX && cap > f->left)
		cap = (size_t)f->left;
	ssize_t n = 0;
	if (cap > 0) {
		do
			n = read(f->fd, buf, cap);
		while (n < 0 && errno == EINTR);
		/* A bad sector: what was written there is lost, as if it were another. */
		if (n < 0)
			return err_sys(err, errno == EIO ? ERR_CORRUPT : ERR_IO, errno,
				       "can't read '%s'", f->name);
	}
	if (f->left != UINT64_MAX) {
		if (n == 0 && f->left > 0)
			return err_set(err, ERR_CORRUPT,
				       "'%s' ended after %llu bytes, %llu too early", f->name,
				       (unsigned long long)f->done, (unsigned long long)f->left);
		f->left -= (uint64_t)n;
	}
	f->done += (uint64_t)n;
	*ret_n = (size_t)n;
	return 0;
}

static void fd_free(void *self)
{
	struct fd_source *f = self;
	close(f->fd);
	free(f->name);
	free(f);
}

static const struct source_ops fd_ops = {.read = fd_read, .free = fd_free};

int source_fd(int fd, uint64_t len, const char *name, struct source **ret, struct err *err)
{
	struct fd_source *f = mem_zalloc(sizeof *f, "a source", err);
	char *copy = NULL;
	if (f == NULL || str_dup(name, &copy, err) < 0) {
		free(f);
		close(fd);
		return -1;
	}
	*f = (struct fd_source){.fd = fd, .left = len, .name = copy};
	return source_new(&fd_ops, f, ret, err);
}

/* ---- child ---- */

struct child_source {
	struct child *child;
	int64_t idle_ms;
};

static int child_source_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct child_source *c = self;
	size_t n;
	if (child_read(c->child, buf, cap, &n, deadline_in(c->idle_ms), err) < 0)
		return -1;
	/* Its output has ended; only its exit status says whether that was the whole of it. */
	if (n == 0 && child_wait(c->child, deadline_in(c->idle_ms), err) < 0)
		return -1;
	*ret_n = n;
	return 0;
}

static void child_source_free(void *self)
{
	struct child_source *c = self;
	child_free(c->child);
	free(c);
}

static const struct source_ops child_ops = {.read = child_source_read, .free = child_source_free};

int source_child(struct child *c, int64_t idle_ms, struct source **ret, struct err *err)
{
	struct child_source *s = mem_zalloc(sizeof *s, "a source", err);
	if (s == NULL) {
		child_free(c);
		return -1;
	}
	*s = (struct child_source){.child = c, .idle_ms = idle_ms};
	return source_new(&child_ops, s, ret, err);
}

/* ---- tee ---- */

struct tee {
	struct source *from;
	struct sink *side;
};

static int tee_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct tee *t = self;
	size_t n;
	if (source_read(t->from, buf, cap, &n, err) < 0)
		return -1;
	if (n > 0 ? sink_write(t->side, buf, n, err) < 0 : sink_close(t->side, err) < 0)
		return -1;
	*ret_n = n;
	return 0;
}

static void tee_free(void *self)
{
	struct tee *t = self;
	source_free(t->from);
	sink_free(t->side);
	free(t);
}

static const struct source_ops tee_ops = {.read = tee_read, .free = tee_free};

int source_tee(struct source *s, struct sink *side, struct source **ret, struct err *err)
{
	struct tee *t = mem_zalloc(sizeof *t, "a source", err);
	if (t == NULL) {
		source_free(s);
		sink_free(side);
		return -1;
	}
	*t = (struct tee){.from = s, .side = side};
	return source_new(&tee_ops, t, ret, err);
}

/* ---- filtered ---- */

enum { FILTER_IN_BYTES = 1 << 17 };

struct filtered {
	struct source *from;
	struct filter *filter;
	size_t start, end; /* input not yet used: in[start..end) */
	bool last;
	enum filter_state state;
	uint8_t in[FILTER_IN_BYTES];
};

static int filtered_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct filtered *f = self;
	for (;;) {
		if (f->start == f->end && !f->last && f->state != FILTER_FULL) {
			size_t n;
			if (source_read(f->from, f->in, sizeof f->in, &n, err) < 0)
				return -1;
			f->start = 0;
			f->end = n;
			f->last = n == 0;
		}
		size_t used = 0, made = 0;
		if (filter_step(f->filter, f->in + f->start, f->end - f->start, f->last, &used, buf,
				cap, &made, &f->state, err) < 0)
			return -1;
		f->start += used;
		if (made > 0) {
			*ret_n = made;
			return 0;
		}
		if (f->last && f->start == f->end && f->state != FILTER_FULL) {
			if (f->state == FILTER_INSIDE)
				return err_set(err, ERR_CORRUPT, "stream ended inside a frame");
			*ret_n = 0;
			return 0;
		}
		if (used == 0 && (f->start < f->end || f->state == FILTER_FULL))
			return err_set(err, ERR_FAILED, "a filter makes no progress");
	}
}

static void filtered_free(void *self)
{
	struct filtered *f = self;
	source_free(f->from);
	filter_free(f->filter);
	free(f);
}

static const struct source_ops filtered_ops = {.read = filtered_read, .free = filtered_free};

int source_filtered(struct source *s, struct filter *filter, struct source **ret, struct err *err)
{
	struct filtered *f = mem_zalloc(sizeof *f, "a source", err);
	if (f == NULL) {
		source_free(s);
		filter_free(filter);
		return -1;
	}
	f->from = s;
	f->filter = filter;
	f->state = FILTER_BETWEEN;
	return source_new(&filtered_ops, f, ret, err);
}

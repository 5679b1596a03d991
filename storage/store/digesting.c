#include "storage/store/digesting.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ahead {
	uint64_t offset;
	size_t len;
	uint8_t *data;
};

struct digesting {
	struct store_ops ops; /* remote where the inner store is */
	struct store *inner;
	char *object;
	pthread_mutex_t mutex; /* of what follows */
	struct digested *to;
	struct ahead *ahead; /* in no order */
	size_t ahead_count, ahead_bytes;
};

struct watched {
	struct digesting *d;
	struct source *from;
	uint64_t at; /* in the object */
};

/* What of these bytes comes next, if any does. */
static void digest(struct digested *to, uint64_t offset, const uint8_t *data, size_t len)
{
	if (offset > to->bytes || offset + len <= to->bytes)
		return;
	size_t known = (size_t)(to->bytes - offset);
	sha256_update(to->sha, data + known, len - known);
	to->bytes += len - known;
}

/* What there is no room for is read again. */
static void keep(struct digesting *d, uint64_t offset, const uint8_t *data, size_t len)
{
	struct err ignored = ERR_INIT;
	if (len > DIGESTING_AHEAD_BYTES - d->ahead_bytes)
		return;
	struct ahead *more =
	    mem_grow(d->ahead, d->ahead_count, sizeof *d->ahead, "bytes ahead", &ignored);
	if (more == NULL)
		return;
	d->ahead = more;
	uint8_t *copy = mem_zalloc(len, "bytes ahead", &ignored);
	if (copy == NULL)
		return;
	memcpy(copy, data, len);
	d->ahead[d->ahead_count++] = (struct ahead){.offset = offset, .len = len, .data = copy};
	d->ahead_bytes += len;
}

static void drop(struct digesting *d, size_t i)
{
	d->ahead_bytes -= d->ahead[i].len;
	free(d->ahead[i].data);
	d->ahead[i] = d->ahead[--d->ahead_count];
}

/* The first of those that were kept whose turn has come; all of them when there is none. */
static size_t next_kept(const struct digesting *d)
{
	size_t i = 0;
	while (i < d->ahead_count && d->ahead[i].offset > d->to->bytes)
		i++;
	return i;
}

static void seen(struct digesting *d, uint64_t offset, const uint8_t *data, size_t len)
{
	pthread_mutex_lock(&d->mutex);
	if (offset > d->to->bytes)
		keep(d, offset, data, len);
	else
		digest(d->to, offset, data, len);
	for (size_t i; (i = next_kept(d)) < d->ahead_count;) {
		digest(d->to, d->ahead[i].offset, d->ahead[i].data, d->ahead[i].len);
		drop(d, i);
	}
	pthread_mutex_unlock(&d->mutex);
}

static int watched_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct watched *w = self;
	size_t n;
	if (source_read(w->from, buf, cap, &n, err) < 0)
		return -1;
	if (n > 0)
		seen(w->d, w->at, buf, n);
	w->at += n;
	*ret_n = n;
	return 0;
}

static void watched_free(void *self)
{
	struct watched *w = self;
	source_free(w->from);
	free(w);
}

static const struct source_ops watched_ops = {.read = watched_read, .free = watched_free};

static int digesting_get(void *self, const char *name, uint64_t offset, uint64_t len,
			 struct source **ret, struct err *err)
{
	struct digesting *d = self;
	if (strcmp(name, d->object) != 0)
		return store_get(d->inner, name, offset, len, ret, err);
	struct watched *w = mem_zalloc(sizeof *w, "a digest", err);
	if (w == NULL)
		return -1;
	w->d = d;
	w->at = offset;
	if (store_get(d->inner, name, offset, len, &w->from, err) < 0) {
		free(w);
		return -1;
	}
	return source_new(&watched_ops, w, ret, err);
}

static int digesting_stat(void *self, const char *name, struct store_object *ret, struct err *err)
{
	struct digesting *d = self;
	return store_stat(d->inner, name, ret, err);
}

static int digesting_list(void *self, const char *prefix, struct store_objects *ret,
			  struct err *err)
{
	struct digesting *d = self;
	return store_list(d->inner, prefix, ret, err);
}

static void digesting_free(void *self)
{
	struct digesting *d = self;
	while (d->ahead_count > 0)
		drop(d, 0);
	free(d->ahead);
	pthread_mutex_destroy(&d->mutex);
	free(d->object);
	free(d);
}

static const struct store_ops digesting_ops = {
    .scheme = "sha256",
    .around = true,
    .free = digesting_free,
    .get = digesting_get,
    .stat = digesting_stat,
    .list = digesting_list,
};

int store_digesting(struct store *inner, const char *object, struct digested *to,
		    struct store **ret, struct err *err)
{
	struct digesting *d = mem_zalloc(sizeof *d, "a digest", err);
	if (d == NULL)
		return -1;
	d->ops = digesting_ops;
	d->ops.remote = store_is_remote(inner);
	d->inner = inner;
	d->to = to;
	if (str_dup(object, &d->object, err) < 0) {
		free(d);
		return -1;
	}
	int rc = pthread_mutex_init(&d->mutex, NULL);
	if (rc != 0) {
		free(d->object);
		free(d);
		return err_sys(err, ERR_FAILED, rc, "a mutex");
	}
	return store_wrap(&d->ops, d, store_name(inner), ret, err);
}

int store_digest_rest(struct store *inner, const char *object, struct digested *d, struct err *err)
{
	CLEANUP(source_freep) struct source *rest = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct store_object o;
	uint64_t bytes;
	if (store_stat(inner, object, &o, err) < 0)
		return -1;
	if (o.bytes == d->bytes)
		return 0;
	if (store_get(inner, object, d->bytes, UINT64_MAX, &rest, err) < 0 ||
	    sink_sha256(d->sha, &to, err) < 0 || flow_copy(rest, to, &bytes, err) < 0)
		return -1;
	d->bytes += bytes;
	return 0;
}

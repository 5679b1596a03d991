#include "storage/digesting.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct digesting {
	struct store *inner;
	char *object;
	pthread_mutex_t mutex; /* of *to */
	struct digested *to;
};

struct watched {
	struct digesting *d;
	struct source *from;
	uint64_t at; /* in the object */
};

static int watched_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct watched *w = self;
	size_t n;
	if (source_read(w->from, buf, cap, &n, err) < 0)
		return -1;
	pthread_mutex_lock(&w->d->mutex);
	struct digested *to = w->d->to;
	if (w->at <= to->bytes && w->at + n > to->bytes) {
		size_t known = (size_t)(to->bytes - w->at);
		sha256_update(to->sha, buf + known, n - known);
		to->bytes += n - known;
	}
	pthread_mutex_unlock(&w->d->mutex);
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
	return store_wrap(&digesting_ops, d, store_name(inner), ret, err);
}

#include "storage/store/store_impl.h"

#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "storage/store/lease.h"

/* The kinds of stores. A new one is a new file and a line here. */
static const struct store_ops *const kinds[] = {&store_file_ops, &store_s3_ops, &store_sftp_ops,
						&store_dav_ops, &store_davs_ops};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Of the kind's own making, or a lease. */
struct store_lock {
	const struct store_ops *ops;
	void *held;
	struct lease *lease;
};

bool store_name_is_valid(const char *name)
{
	static const char suffix[] = STORE_PART_SUFFIX;
	size_t len = strlen(name);
	if (len == 0 || len > STORE_NAME_MAX || name[0] == '.')
		return false;
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
	    len)
		return false;
	/* That is how unfinished objects are called. */
	size_t end = sizeof suffix - 1;
	return len < end || strcmp(name + len - end, suffix) != 0;
}

static int check_name(const struct store *s, const char *name, struct err *err)
{
	if (store_name_is_valid(name))
		return 0;
	return err_set(err, ERR_USAGE, "store '%s': '%.220s' can't be the name of an object",
		       s->name, name);
}

static int in_store(const struct store *s, struct err *err)
{
	size_t len = strlen(s->name);
	/* Once: a lease asks the store that it is taken in. */
	bool said = strncmp(err->msg, "store '", 7) == 0 &&
		    strncmp(err->msg + 7, s->name, len) == 0 && err->msg[7 + len] == '\'';
	if (s->ops->around || said)
		return -1;
	return err_wrap(err, "store '%s'", s->name);
}

/* The kind that a URL names, or NULL. Only the scheme is shown: a URL may hold a password. */
static const struct store_ops *find_kind(const struct store_opts *opts, struct err *err)
{
	size_t scheme = strcspn(opts->url, ":");
	bool is_url = strncmp(opts->url + scheme, "://", 3) == 0;
	for (size_t i = 0; is_url && i < KINDS; i++)
		if (strlen(kinds[i]->scheme) == scheme &&
		    strncmp(kinds[i]->scheme, opts->url, scheme) == 0)
			return kinds[i];
	if (is_url)
		err_set(err, ERR_CONFIG, "store '%s': there is no kind of store for '%.*s://'",
			opts->name, (int)(scheme < 32 ? scheme : 32), opts->url);
	else
		err_set(err, ERR_CONFIG, "store '%s': its url has no 'scheme://'", opts->name);
	err_hint(err, "A folder of this machine is written as file:///absolute/folder.");
	return NULL;
}

int store_open(const struct store_opts *opts, struct store **ret, struct err *err)
{
	const struct store_ops *ops = find_kind(opts, err);
	if (ops == NULL)
		return -1;
	CLEANUP(freep) char *where = NULL;
	void *self;
	if (ops->open(opts, &self, &where, err) < 0)
		return err_wrap(err, "store '%s'", opts->name);
	CLEANUP(store_freep) struct store *s = NULL;
	if (store_wrap(ops, self, opts->name, &s, err) < 0)
		return -1;
	free(s->where);
	s->where = where;
	where = NULL;
	if (opts->retries > 0)
		s->retry.retries = opts->retries;
	if (opts->limit_bytes_s > 0 && throttle_new(opts->limit_bytes_s, &s->throttle, err) < 0)
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

int store_wrap(const struct store_ops *ops, void *self, const char *name, struct store **ret,
	       struct err *err)
{
	CLEANUP(store_freep) struct store *s = mem_zalloc(sizeof *s, "a store", err);
	if (s == NULL) {
		if (ops->free != NULL)
			ops->free(self);
		return -1;
	}
	s->ops = ops;
	s->self = self;
	s->retry.retries = ops->remote && !ops->around ? STORE_RETRIES : 0;
	if (str_dup(name, &s->name, err) < 0 || str_dup(name, &s->where, err) < 0)
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	if (s->ops->free != NULL)
		s->ops->free(s->self);
	throttle_free(s->throttle);
	free(s->name);
	free(s->where);
	free(s);
}

const char *store_name(const struct store *s)
{
	return s->name;
}

const char *store_where(const struct store *s)
{
	return s->where;
}

bool store_is_remote(const struct store *s)
{
	return s->ops->remote;
}

int store_caveats(struct store *s, struct strlist *ret, struct err *err)
{
	if (s->ops->caveats == NULL)
		return 0;
	return s->ops->caveats(s->self, ret, err) < 0 ? in_store(s, err) : 0;
}

static int begin_put(struct store *s, const char *name, bool fresh, struct sink **ret,
		     struct err *err)
{
	struct sink *object;
	if (check_name(s, name, err) < 0)
		return -1;
	if (s->ops->put(s->self, name, fresh, &object, err) < 0)
		return in_store(s, err);
	if (s->throttle != NULL && sink_throttled(object, s->throttle, &object, err) < 0)
		return -1;
	*ret = object;
	return 0;
}

int store_put(struct store *s, const char *name, struct sink **ret, struct err *err)
{
	return begin_put(s, name, false, ret, err);
}

int store_create(struct store *s, const char *name, struct sink **ret, struct err *err)
{
	return begin_put(s, name, true, ret, err);
}

static int put_once(struct store *s, const char *name, bool fresh, const void *data, size_t len,
		    struct err *err)
{
	CLEANUP(sink_freep) struct sink *object = NULL;
	if (begin_put(s, name, fresh, &object, err) < 0)
		return -1;
	if (sink_write(object, data, len, err) < 0 || sink_close(object, err) < 0)
		return in_store(s, err);
	return 0;
}

/* Has the object these bytes? */
static bool is_there(struct store *s, const char *name, const void *data, size_t len)
{
	CLEANUP(buf_done) struct buf got;
	struct err ignored = ERR_INIT;
	buf_init(&got, len + 1);
	return store_get_bytes(s, name, &got, &ignored) == 0 && got.len == len &&
	       (len == 0 || memcmp(got.data, data, len) == 0);
}

static int put_bytes(struct store *s, const char *name, bool fresh, const void *data, size_t len,
		     struct err *err)
{
	struct retry r = s->retry;
	if (s->ops->puts_again)
		r.retries = 0;
	while (put_once(s, name, fresh, data, len, err) < 0) {
		/* The try before had succeeded, and only its answer was lost. */
		if (err->code == ERR_EXISTS && r.failed > 0 && is_there(s, name, data, len)) {
			err_clear(err);
			return 0;
		}
		if (!store_again(s, &r, name, err))
			return -1;
	}
	return 0;
}

int store_put_bytes(struct store *s, const char *name, const void *data, size_t len,
		    struct err *err)
{
	return put_bytes(s, name, false, data, len, err);
}

int store_create_bytes(struct store *s, const char *name, const void *data, size_t len,
		       struct err *err)
{
	return put_bytes(s, name, true, data, len, err);
}

int store_get(struct store *s, const char *name, uint64_t offset, uint64_t len, struct source **ret,
	      struct err *err)
{
	struct source *object;
	if (check_name(s, name, err) < 0)
		return -1;
	if (store_get_lasting(s, name, offset, len, &object, err) < 0)
		return in_store(s, err);
	if (s->throttle != NULL && source_throttled(object, s->throttle, &object, err) < 0)
		return -1;
	*ret = object;
	return 0;
}

int store_get_bytes(struct store *s, const char *name, struct buf *out, struct err *err)
{
	CLEANUP(source_freep) struct source *object = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (store_get(s, name, 0, UINT64_MAX, &object, err) < 0)
		return -1;
	size_t before = out->len;
	if (sink_buf(out, &to, err) < 0 || flow_copy(object, to, NULL, err) < 0) {
		buf_cut(out, before);
		err_wrap(err, "'%s'", name);
		return in_store(s, err);
	}
	return 0;
}

int store_stat(struct store *s, const char *name, struct store_object *ret, struct err *err)
{
	if (check_name(s, name, err) < 0)
		return -1;
	struct retry r = s->retry;
	while (s->ops->stat(s->self, name, ret, err) < 0)
		if (!store_again(s, &r, name, err))
			return in_store(s, err);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct store_object *x = a, *y = b;
	return strcmp(x->name, y->name);
}

int store_list(struct store *s, const char *prefix, struct store_objects *ret, struct err *err)
{
	struct store_objects found = {0};
	struct retry r = s->retry;
	while (s->ops->list(s->self, prefix, &found, err) < 0)
		if (!store_again(s, &r, prefix, err))
			return in_store(s, err);
	if (found.count > 1)
		qsort(found.items, found.count, sizeof *found.items, by_name);
	*ret = found;
	return 0;
}

void store_objects_done(struct store_objects *o)
{
	free(o->items);
	*o = (struct store_objects){0};
}

int store_remove(struct store *s, const char *name, struct err *err)
{
	if (check_name(s, name, err) < 0)
		return -1;
	struct retry r = s->retry;
	while (s->ops->remove(s->self, name, err) < 0)
		if (!store_again(s, &r, name, err))
			return in_store(s, err);
	return 0;
}

int store_lock(struct store *s, const char *stack, struct store_lock **ret, struct err *err)
{
	if (check_name(s, stack, err) < 0)
		return -1;
	struct store_lock *l = mem_zalloc(sizeof *l, "a lock", err);
	if (l == NULL)
		return -1;
	l->ops = s->ops;
	int rc = s->ops->lock != NULL ? s->ops->lock(s->self, stack, &l->held, err)
				      : lease_take(s, stack, NULL, &l->lease, err);
	if (rc < 0) {
		free(l);
		return in_store(s, err);
	}
	*ret = l;
	return 0;
}

void store_unlock(struct store_lock *l)
{
	if (l == NULL)
		return;
	if (l->lease == NULL)
		l->ops->unlock(l->held);
	lease_free(l->lease);
	free(l);
}

int store_lock_check(struct store_lock *l, struct err *err)
{
	return l->lease != NULL ? lease_check(l->lease, err) : 0;
}

int store_sweep(struct store *s, const char *stack, bool dry_run, struct strlist *ret,
		struct err *err)
{
	return fault_point("store-sweep", err) < 0 ||
		       s->ops->sweep(s->self, stack, dry_run, ret, err) < 0
		   ? in_store(s, err)
		   : 0;
}

int store_free_bytes(struct store *s, uint64_t *ret, struct err *err)
{
	return s->ops->free_bytes(s->self, ret, err) < 0 ? in_store(s, err) : 0;
}

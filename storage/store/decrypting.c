#include "storage/store/decrypting.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The first attempt at a header: two recipients take 300 bytes, 64 take 6500. */
#define HEAD_BYTES ((uint64_t)4 << 10)

/* What is known of an object whose header was read. */
struct opened {
	struct store_object object; /* .bytes: as stored */
	struct age_file file;
	uint64_t plain; /* bytes */
};

struct decrypting {
	struct store_ops ops; /* remote where the inner store is */
	struct store *inner;
	const struct age_identities *identities;
	pthread_mutex_t mutex; /* of what follows */
	struct opened **items;
	size_t count;
};

bool storage_is_encrypted(const char *object)
{
	size_t len = strlen(object), suffix = sizeof STORAGE_AGE_SUFFIX - 1;
	return len > suffix && strcmp(object + len - suffix, STORAGE_AGE_SUFFIX) == 0;
}

/* ---- headers ---- */

static int no_identity(const char *name, struct err *err)
{
	err_set(err, ERR_UNVERIFIED, "'%s' is encrypted, and no identity is given", name);
	return err_hint(err, "Name the file of the identity: identity = FILE in [archive], or "
			     "LIFEBOAT_ARCHIVE_IDENTITY=FILE.");
}

static int read_head(struct decrypting *d, struct opened *o, uint64_t bytes, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(freep) uint8_t *head = malloc((size_t)bytes + 1);
	size_t n;
	if (head == NULL)
		return err_nomem(err, "an age header");
	if (store_get(d->inner, o->object.name, 0, bytes, &from, err) < 0 ||
	    source_read_full(from, head, (size_t)bytes, &n, err) < 0)
		return -1;
	return age_open(d->identities, head, n, &o->file, err);
}

static int open_object(struct decrypting *d, const char *name, struct opened *o, struct err *err)
{
	enum { MOST = AGE_HEADER_MAX + 16 };
	if (store_stat(d->inner, name, &o->object, err) < 0)
		return -1;
	if (d->identities->count == 0)
		return no_identity(name, err);
	uint64_t bytes = o->object.bytes, most = bytes < MOST ? bytes : MOST;
	uint64_t first = bytes < HEAD_BYTES ? bytes : HEAD_BYTES;
	struct err why = ERR_INIT;
	if (read_head(d, o, first, &why) < 0) {
		/* It may go on behind these bytes. */
		if (why.code != ERR_CORRUPT || first == most) {
			*err = why;
			return err_wrap(err, "'%s'", name);
		}
		if (read_head(d, o, most, err) < 0)
			return err_wrap(err, "'%s'", name);
	}
	if (age_plain_bytes(&o->file, bytes, &o->plain, err) < 0)
		return err_wrap(err, "'%s'", name);
	return 0;
}

static void opened_free(struct opened *o)
{
	if (o == NULL)
		return;
	age_file_done(&o->file);
	free(o);
}
DEFINE_CLEANUP(struct opened, opened_free)

static int find_locked(struct decrypting *d, const char *name, const struct opened **ret,
		       struct err *err)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->items[i]->object.name, name) == 0) {
			*ret = d->items[i];
			return 0;
		}
	CLEANUP(opened_freep) struct opened *o = mem_zalloc(sizeof *o, "an age header", err);
	if (o == NULL || open_object(d, name, o, err) < 0)
		return -1;
	struct opened **more = mem_grow(d->items, d->count, sizeof *d->items, "headers", err);
	if (more == NULL)
		return -1;
	d->items = more;
	*ret = d->items[d->count++] = o;
	o = NULL;
	return 0;
}

/* Valid as long as the store. */
static int find(struct decrypting *d, const char *name, const struct opened **ret, struct err *err)
{
	pthread_mutex_lock(&d->mutex);
	int rc = find_locked(d, name, ret, err);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

/* ---- ranges ---- */

struct unsealed {
	const struct opened *object;
	struct source *from;     /* sealed chunks */
	uint64_t number, chunks; /* of the next one; of all */
	size_t skip;             /* bytes of the next one that were not asked for */
	uint64_t left;           /* bytes to give */
	bool ended;
	size_t at, len; /* plain[at..len) */
	uint8_t sealed[AGE_SEALED_BYTES], plain[AGE_CHUNK_BYTES];
};

static uint64_t sealed_bytes(const struct opened *o)
{
	return o->object.bytes - o->file.header_bytes;
}

static int next_chunk(struct unsealed *u, struct err *err)
{
	uint64_t rest = sealed_bytes(u->object) - u->number * AGE_SEALED_BYTES;
	size_t want = rest < AGE_SEALED_BYTES ? (size_t)rest : AGE_SEALED_BYTES, n;
	if (source_read_full(u->from, u->sealed, want, &n, err) < 0)
		return -1;
	if (age_unseal(&u->object->file, u->number, u->number + 1 == u->chunks, u->sealed, n,
		       u->plain, &u->len, err) < 0)
		return err_wrap(err, "'%s'", u->object->object.name);
	u->number++;
	u->at = u->skip;
	u->skip = 0;
	if (u->len - u->at > u->left)
		u->len = u->at + (size_t)u->left;
	u->left -= u->len - u->at;
	return 0;
}

/* The inner source's own end: until it is seen, its connection can't be used again. */
static int end_of_range(struct unsealed *u, struct err *err)
{
	size_t n;
	if (source_read(u->from, u->sealed, 1, &n, err) < 0)
		return -1;
	if (n > 0)
		return err_set(err, ERR_CORRUPT, "'%s': more was read than was asked for",
			       u->object->object.name);
	u->ended = true;
	return 0;
}

static int unsealed_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct unsealed *u = self;
	/* Of an empty file the one chunk is looked at too. */
	bool first = u->len == 0;
	if (u->at == u->len && !u->ended && (u->left > 0 || first) && next_chunk(u, err) < 0)
		return -1;
	if (u->at == u->len && !u->ended && end_of_range(u, err) < 0)
		return -1;
	size_t n = u->len - u->at < cap ? u->len - u->at : cap;
	if (n > 0)
		memcpy(buf, u->plain + u->at, n);
	u->at += n;
	*ret_n = n;
	return 0;
}

static void unsealed_free(void *self)
{
	struct unsealed *u = self;
	source_free(u->from);
	OPENSSL_cleanse(u->plain, sizeof u->plain);
	free(u);
}

static const struct source_ops unsealed_ops = {.read = unsealed_read, .free = unsealed_free};

static int check_range(const struct opened *o, uint64_t offset, uint64_t len, struct err *err)
{
	if (offset <= o->plain && (len == UINT64_MAX || len <= o->plain - offset))
		return 0;
	return err_set(err, ERR_CORRUPT, "'%s' has %llu bytes: too few to read %llu at offset %llu",
		       o->object.name, (unsigned long long)o->plain,
		       (unsigned long long)(len != UINT64_MAX ? len : 0),
		       (unsigned long long)offset);
}

/* Bytes of an object that is encrypted. */
static int get_range(struct decrypting *d, const struct opened *o, uint64_t offset, uint64_t len,
		     struct source **ret, struct err *err)
{
	uint64_t chunks = (sealed_bytes(o) + AGE_SEALED_BYTES - 1) / AGE_SEALED_BYTES;
	uint64_t first = offset / AGE_CHUNK_BYTES;
	if (first == chunks) /* the very end of a file of whole chunks */
		first--;
	uint64_t last = len > 0 ? (offset + len - 1) / AGE_CHUNK_BYTES : first;
	uint64_t from = first * AGE_SEALED_BYTES, to = (last + 1) * AGE_SEALED_BYTES;
	if (to > sealed_bytes(o))
		to = sealed_bytes(o);
	struct unsealed *u = mem_zalloc(sizeof *u, "decryption", err);
	if (u == NULL)
		return -1;
	u->object = o;
	u->number = first;
	u->chunks = chunks;
	u->skip = (size_t)(offset - first * AGE_CHUNK_BYTES);
	u->left = len;
	if (store_get(d->inner, o->object.name, o->file.header_bytes + from, to - from, &u->from,
		      err) < 0) {
		free(u);
		return -1;
	}
	return source_new(&unsealed_ops, u, ret, err);
}

/* ---- the store ---- */

static int decrypting_get(void *self, const char *name, uint64_t offset, uint64_t len,
			  struct source **ret, struct err *err)
{
	struct decrypting *d = self;
	const struct opened *o;
	if (!storage_is_encrypted(name))
		return store_get(d->inner, name, offset, len, ret, err);
	if (find(d, name, &o, err) < 0 || check_range(o, offset, len, err) < 0)
		return -1;
	return get_range(d, o, offset, len != UINT64_MAX ? len : o->plain - offset, ret, err);
}

static int decrypting_stat(void *self, const char *name, struct store_object *ret, struct err *err)
{
	struct decrypting *d = self;
	const struct opened *o;
	if (!storage_is_encrypted(name))
		return store_stat(d->inner, name, ret, err);
	if (find(d, name, &o, err) < 0)
		return -1;
	*ret = o->object;
	ret->bytes = o->plain;
	return 0;
}

static int decrypting_list(void *self, const char *prefix, struct store_objects *ret,
			   struct err *err)
{
	struct decrypting *d = self;
	return store_list(d->inner, prefix, ret, err);
}

static int decrypting_free_bytes(void *self, uint64_t *ret, struct err *err)
{
	struct decrypting *d = self;
	return store_free_bytes(d->inner, ret, err);
}

static int read_only(const char *name, struct err *err)
{
	return err_set(err, ERR_USAGE, "'%s': archives are decrypted for reading only", name);
}

static int refuse_put(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	(void)self, (void)fresh, (void)ret;
	return read_only(name, err);
}

static int refuse_remove(void *self, const char *name, struct err *err)
{
	(void)self;
	return read_only(name, err);
}

static int refuse_lock(void *self, const char *stack, void **ret, struct err *err)
{
	(void)self, (void)ret;
	return read_only(stack, err);
}

static void no_lock(void *lock)
{
	(void)lock;
}

static int refuse_sweep(void *self, const char *stack, bool dry_run, struct strlist *ret,
			struct err *err)
{
	(void)self, (void)dry_run, (void)ret;
	return read_only(stack, err);
}

static void decrypting_free(void *self)
{
	struct decrypting *d = self;
	for (size_t i = 0; i < d->count; i++)
		opened_free(d->items[i]);
	free(d->items);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

static const struct store_ops decrypting_ops = {
    .scheme = "age",
    .around = true,
    .free = decrypting_free,
    .put = refuse_put,
    .get = decrypting_get,
    .stat = decrypting_stat,
    .list = decrypting_list,
    .remove = refuse_remove,
    .lock = refuse_lock,
    .unlock = no_lock,
    .sweep = refuse_sweep,
    .free_bytes = decrypting_free_bytes,
};

int store_decrypting(struct store *inner, const struct age_identities *i, struct store **ret,
		     struct err *err)
{
	struct decrypting *d = mem_zalloc(sizeof *d, "decryption", err);
	if (d == NULL)
		return -1;
	d->ops = decrypting_ops;
	d->ops.remote = store_is_remote(inner);
	d->inner = inner;
	d->identities = i;
	int rc = pthread_mutex_init(&d->mutex, NULL);
	if (rc != 0) {
		free(d);
		return err_sys(err, ERR_FAILED, rc, "a mutex");
	}
	return store_wrap(&d->ops, d, store_name(inner), ret, err);
}

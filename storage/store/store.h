/*
 * A store: where archives live. One folder or prefix, flat names, whole objects.
 *
 *  1. store_open(&(struct store_opts){.url = "file:///var/backups/hdms"}, &store, err)
 *  2. store_put(store, "x.tar.zst", …) gives a sink: close publishes the object whole, free without
 *     close leaves nothing visible. store_create does the same where no such object is there yet.
 *  3. store_get reads a range, store_list names what is there, store_remove deletes one object
 *  4. store_free
 *
 * A name is [A-Za-z0-9._-]+, not beginning with a dot nor ending in ".part", at most 200 bytes
 * (store_name_is_valid); everything else is refused before it reaches a file system or a network.
 * What does not exist is ERR_ABSENT, a store that does not answer ERR_UNREACHABLE.
 *
 * A new kind of store is one new file and one line in the table in store.c.
 */
#ifndef LIFEBOAT_STORAGE_STORE_STORE_H
#define LIFEBOAT_STORAGE_STORE_STORE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

enum { STORE_NAME_MAX = 200 };
/* How an unfinished object is called, where a store can't hide it otherwise. */
#define STORE_PART_SUFFIX ".part"

/* What a kind has no use for is not looked at. All strings are borrowed for store_open alone. */
struct store_opts {
	const char *name; /* of the section: "local" */
	/* file:///absolute/folder, s3://bucket[/prefix], sftp://[user@]host[:port]/absolute/folder,
	 * davs://host[:port]/folder, dav://host[:port]/folder. Never with a password. */
	const char *url;

	/* of all that are reached over a network */
	uint64_t limit_bytes_s; /* no faster than this, both ways together; 0: no limit */
	int64_t timeout_ms;     /* a longer silence ends a request; 0: 60 s */
	unsigned retries;       /* of one request, after the first try; 0: STORE_RETRIES */
	const char *proxy;      /* NULL: as the environment says; "": none */
	const char *ca_file;    /* NULL: the system's certificates */

	/* s3 */
	const char *endpoint;   /* https://host[:port]; NULL: that of AWS for the region */
	const char *region;     /* NULL: us-east-1 */
	const char *addressing; /* "path" or "virtual"; NULL: path with an endpoint, else virtual */
	const char *access_key, *secret_key;
	const char *session_token; /* NULL: none */
	const char *storage_class; /* NULL: the bucket's */
	const char *encryption;    /* at rest: "AES256", "aws:kms"; NULL: the bucket's */
	const char *kms_key;       /* for aws:kms; NULL: the bucket's */
	const char *object_lock;   /* "governance", "compliance"; NULL: none */
	unsigned object_lock_days;

	/* sftp and dav */
	const char *user;     /* NULL: that of the url, else the process's own (sftp), none (dav) */
	const char *password; /* dav */
	const char *key_file; /* sftp: private key; NULL: the agent's */
	const char *key_passphrase; /* NULL: none */
	const char *known_hosts;    /* sftp; NULL: ~/.ssh/known_hosts */
};
/* What was sent goes to the server's disk at the end, in a silence that may be so many times longer
 * than others. */
enum { STORE_RETRIES = 5, STORE_STORING = 5 };

struct store_object {
	char name[STORE_NAME_MAX + 1];
	uint64_t bytes;
	int64_t modified_ms; /* wall clock of the store */
};

struct store_objects {
	struct store_object *items; /* sorted by name */
	size_t count;
};
void store_objects_done(struct store_objects *o);

struct store;
int store_open(const struct store_opts *opts, struct store **ret, struct err *err) MUST_USE;
void store_free(struct store *s);
DEFINE_CLEANUP(struct store, store_free)
/* The section's name, and where it is, for messages (no secrets). */
const char *store_name(const struct store *s);
const char *store_where(const struct store *s);

/* Is it on another machine? */
bool store_is_remote(const struct store *s);
/* What this store can't do that others can, each a sentence; for `check`. Asks the store. */
int store_caveats(struct store *s, struct strlist *ret, struct err *err) MUST_USE;

bool store_name_is_valid(const char *name);

/* Replaces an object of that name, in one step, when the sink is closed. */
int store_put(struct store *s, const char *name, struct sink **ret, struct err *err) MUST_USE;
/* put of what is in memory, closed. */
int store_put_bytes(struct store *s, const char *name, const void *data, size_t len,
		    struct err *err) MUST_USE;
/* The same, but what is there stays: then, at the latest, close is ERR_EXISTS. Of two that create
 * one name at the same time one succeeds (but see store_caveats). */
int store_create(struct store *s, const char *name, struct sink **ret, struct err *err) MUST_USE;
int store_create_bytes(struct store *s, const char *name, const void *data, size_t len,
		       struct err *err) MUST_USE;
/* Bytes [offset, offset + len) exactly; len UINT64_MAX: to the end. Fewer is ERR_CORRUPT. Several
 * threads may do so at the same time, each reading its own. */
int store_get(struct store *s, const char *name, uint64_t offset, uint64_t len, struct source **ret,
	      struct err *err) MUST_USE;
/* Appends the whole object to a bounded buffer. */
int store_get_bytes(struct store *s, const char *name, struct buf *out, struct err *err) MUST_USE;
int store_stat(struct store *s, const char *name, struct store_object *ret, struct err *err)
    MUST_USE;
/* Published objects whose names begin with `prefix`. */
int store_list(struct store *s, const char *prefix, struct store_objects *ret, struct err *err)
    MUST_USE;
/* Absent is fine. ERR_LOCKED: the store keeps it for now (object lock); the message says until
 * when, where that is known. */
int store_remove(struct store *s, const char *name, struct err *err) MUST_USE;

/* One job per stack at a time. ERR_LOCKED names the holder. Released by store_unlock or death. */
struct store_lock;
int store_lock(struct store *s, const char *stack, struct store_lock **ret, struct err *err)
    MUST_USE;
/* Before a commit: ERR_LOCKED when it was lost, for instance because the host slept too long. */
int store_lock_check(struct store_lock *l, struct err *err) MUST_USE;
void store_unlock(struct store_lock *l);
DEFINE_CLEANUP(struct store_lock, store_unlock)

/* Unfinished puts of objects of that stack (catalog_name_belongs) that nobody is writing any more;
 * removed unless `dry_run`. Their names are appended to `ret` (may be NULL). */
int store_sweep(struct store *s, const char *stack, bool dry_run, struct strlist *ret,
		struct err *err) MUST_USE;
/* Room left; UINT64_MAX where a store does not say. */
int store_free_bytes(struct store *s, uint64_t *ret, struct err *err) MUST_USE;

/* ---- for the kinds ---- */
struct store_ops {
	const char *scheme; /* "file" */
	bool remote;
	bool puts_again; /* a put that fails for a moment is repeated within */
	bool around;     /* around another store, which tries again and names itself in messages */
	int (*open)(const struct store_opts *opts, void **ret_self, char **ret_where,
		    struct err *err);
	void (*free)(void *self);
	/* `fresh`: store_create. */
	int (*put)(void *self, const char *name, bool fresh, struct sink **ret, struct err *err);
	int (*get)(void *self, const char *name, uint64_t offset, uint64_t len, struct source **ret,
		   struct err *err);
	int (*stat)(void *self, const char *name, struct store_object *ret, struct err *err);
	int (*list)(void *self, const char *prefix, struct store_objects *ret, struct err *err);
	int (*remove)(void *self, const char *name, struct err *err);
	/* NULL: a lease (storage/store/lease.h), kept in the store itself. */
	int (*lock)(void *self, const char *stack, void **ret_lock, struct err *err);
	void (*unlock)(void *lock);
	int (*sweep)(void *self, const char *stack, bool dry_run, struct strlist *ret,
		     struct err *err);
	int (*free_bytes)(void *self, uint64_t *ret, struct err *err);
	int (*caveats)(void *self, struct strlist *ret, struct err *err); /* NULL: none */
};
extern const struct store_ops store_file_ops, store_s3_ops, store_sftp_ops, store_dav_ops,
    store_davs_ops;

/* A store of ready-made operations under `name` (which is also its store_where): stores in memory
 * and failing neighbours in tests. Takes `self`, also on failure; `ops` stays the caller's. */
int store_wrap(const struct store_ops *ops, void *self, const char *name, struct store **ret,
	       struct err *err) MUST_USE;

#endif

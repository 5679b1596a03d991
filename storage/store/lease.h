/*
 * A lease: "somebody is at work here", told to every host that shares a store. It runs out when its
 * holder dies, and a thread renews it while the holder lives.
 *
 *  1. lease_take(store, "hdms", "backup", &lease, err)   one holder at a time; ERR_LOCKED says who
 *     lease_check(lease, err)    before a commit: is it still ours? ERR_LOCKED once it was lost
 *  2. lease_mark(store, "hdms-<id>", "restore", …)       any number of holders: that backup is in
 *                                                        use (read, or being copied there)
 *  3. lease_free                                         at the end of the work
 *
 * A lease is an object `<name>.lease-<nine digits>` of JSON: host, process, command, a random
 * token. Taking one creates the next number (store_create: of two who try, one succeeds); the
 * highest number counts. It is renewed by writing the same object again, and given back by writing
 * it as ended: the highest number is never deleted, or two could begin with the same one. A mark is
 * an object `<name>.mark-<16 digits>`, deleted at the end.
 *
 * A holder that is not heard of for LEASE_MS is dead. No clock of a host counts in that: it is the
 * store's own time of the object against its time of a probe that was written just now. A holder
 * that was a process of this very machine and is not there any more is dead at once.
 * docs/leases.md.
 */
#ifndef LIFEBOAT_STORAGE_STORE_LEASE_H
#define LIFEBOAT_STORAGE_STORE_LEASE_H

#include "storage/store/store.h"

enum { LEASE_MS = 15 * 60 * 1000, LEASE_RENEW_MS = 5 * 60 * 1000 };

struct lease;
/* `store` must outlive it and stand calls from two threads. `command` may be NULL. */
int lease_take(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err) MUST_USE;
int lease_mark(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err) MUST_USE;
/* Asks the store and renews: a lease that passes has nearly all of LEASE_MS left. */
int lease_check(struct lease *l, struct err *err) MUST_USE;
/* Has the thread renew it now. */
void lease_renew_now(struct lease *l);
void lease_free(struct lease *l);
DEFINE_CLEANUP(struct lease, lease_free)

/* What is marked by holders that may live, of names that begin with `prefix`. Where the store's
 * time can't be learned (no right to write) all that can't be told dead are taken for alive. */
struct lease_marked {
	char name[STORE_NAME_MAX + 1]; /* "hdms-<id>" */
	char holder[160];              /* "host a, pid 17 (restore)" */
};
struct lease_marks {
	struct lease_marked *items;
	size_t count;
};
int lease_find_marks(struct store *store, const char *prefix, struct lease_marks *ret,
		     struct err *err) MUST_USE;
void lease_marks_done(struct lease_marks *m);
/* Who uses `name`; NULL: nobody. */
const char *lease_marks_holder(const struct lease_marks *m, const char *name);

/* The store's own clock, told by an object `<name>.probe-<16 digits>` that is written, looked at
 * and deleted. */
int lease_store_time(struct store *store, const char *name, int64_t *ret_ms, struct err *err)
    MUST_USE;

/* Removes what leases of the stack left behind: marks and probes of the dead, and all leases but
 * the highest. (What was left unfinished, store_sweep finds.) Names are appended to `ret` (may be
 * NULL). */
int lease_sweep(struct store *store, const char *stack, bool dry_run, struct strlist *ret,
		struct err *err) MUST_USE;

/* Is that the name of a lease's, mark's or probe's object? They are no backups' objects, nor
 * orphans. */
bool lease_name_is(const char *object);

#endif

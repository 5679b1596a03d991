/*
 * A lease: "somebody is at work here", told to every host that shares a store. It runs out when its
 * holder dies, and a thread renews it while the holder lives.
 *
 *  1. lease_take(store, "hdms", "backup", &lease, err)   one holder at a time; ERR_LOCKED says who
 *     lease_check(lease, err)    before a commit: is it still ours? ERR_LOCKED once it was lost
 *  2. lease_mark(store, "hdms-<id>.reading", …)          any number of holders: "this is being
 * read"
 *  3. lease_free                                         at the end of the work
 *
 * A lease is an object `<name>.lease-<nine digits>` of JSON: holder (host, pid, command), a random
 * token, and how long it is good for. Taking one creates the next number (store_create: of two who
 * try, one succeeds); the highest number counts. It is renewed by writing the same object again,
 * and given back by writing it as ended: the highest number is never deleted, or two could begin
 * with the same one. A holder that is not heard of for LEASE_MS is dead, and the next number may be
 * taken. Marks are objects of random names, deleted at the end.
 *
 * A wall clock that is wrong by more than a minute or two does harm: what counts is the store's own
 * time of the object against the time at which that store wrote a probe of ours.
 */
#ifndef LIFEBOAT_STORAGE_LEASE_H
#define LIFEBOAT_STORAGE_LEASE_H

#include "storage/store.h"

enum { LEASE_MS = 15 * 60 * 1000, LEASE_RENEW_MS = 5 * 60 * 1000 };

struct lease;
/* `store` must outlive it and stand calls from two threads. */
int lease_take(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err) MUST_USE;
int lease_mark(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err) MUST_USE;
int lease_check(struct lease *l, struct err *err) MUST_USE;
void lease_free(struct lease *l);
DEFINE_CLEANUP(struct lease, lease_free)

/* Is there a mark of that name whose holder may live? *ret_holder: who, for messages; free() it. */
int lease_find_mark(struct store *store, const char *name, bool *ret, char **ret_holder,
		    struct err *err) MUST_USE;
/* Is that the name of a lease's or mark's object? They are no backups' objects, nor orphans. */
bool lease_name_is(const char *object);

#endif

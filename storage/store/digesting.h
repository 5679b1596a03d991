/*
 * A store that watches one object being read: SHA-256 of its stored bytes comes along with whatever
 * else is done with them, so that nothing is fetched twice.
 *
 *  1. struct digested d = {.sha = sha};
 *     store_digesting(inner, "x.tar.zst.age", &d, &s, err)   reads of `s` are reads of `inner`
 *  2. store_digest_rest(inner, "x.tar.zst.age", &d, err)     reads what nobody read
 *
 * Ranges may be read in any order, several at once and more than once. Those that are ahead of the
 * digest wait in memory, at most DIGESTING_AHEAD_BYTES of them; what has no room there is for the
 * second step.
 */
#ifndef LIFEBOAT_STORAGE_STORE_DIGESTING_H
#define LIFEBOAT_STORAGE_STORE_DIGESTING_H

#include "base/digest.h"
#include "storage/store/store.h"

/* What the reader of archives fetches side by side, four times 8 MiB, and its end. */
#define DIGESTING_AHEAD_BYTES ((size_t)40 << 20)

struct digested {
	struct sha256 *sha; /* the caller's */
	uint64_t bytes;     /* so many, from the beginning, are in it */
};

/* Everything is borrowed and must outlive it. For reading. */
int store_digesting(struct store *inner, const char *object, struct digested *d, struct store **ret,
		    struct err *err) MUST_USE;
/* To the object's end. No source of the store above may be open any more. */
int store_digest_rest(struct store *inner, const char *object, struct digested *d, struct err *err)
    MUST_USE;

#endif

/*
 * A store that watches one object being read: SHA-256 of its stored bytes comes along with whatever
 * else is done with them, so that nothing is fetched twice. Of a range that was read before, or
 * that begins behind what was read so far, only the bytes that come next count.
 *
 *  1. store_digesting(inner, "x.tar.zst.age", &d, &s, err)   reads of `s` are reads of `inner`
 *  2. d.bytes                                          so many, from the beginning, are in d.sha
 */
#ifndef LIFEBOAT_STORAGE_DIGESTING_H
#define LIFEBOAT_STORAGE_DIGESTING_H

#include "base/digest.h"
#include "storage/store.h"

struct digested {
	struct sha256 *sha; /* the caller's */
	uint64_t bytes;     /* so many are in it */
};

/* Everything is borrowed and must outlive it. For reading. */
int store_digesting(struct store *inner, const char *object, struct digested *d, struct store **ret,
		    struct err *err) MUST_USE;

#endif

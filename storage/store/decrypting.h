/*
 * A store seen through a key: objects whose names end in ".age" read as their plain text, ranges
 * too (only the chunks that hold them are fetched). For the reader of archives, which then knows
 * nothing of encryption. Everything else passes through; putting, removing and locking do not.
 */
#ifndef LIFEBOAT_STORAGE_STORE_DECRYPTING_H
#define LIFEBOAT_STORAGE_STORE_DECRYPTING_H

#include "base/flow/age.h"
#include "storage/store/store.h"

#define STORAGE_AGE_SUFFIX ".age"
bool storage_is_encrypted(const char *object);

/* Both are borrowed and must outlive it. An object for which no identity fits is ERR_DENIED with
 * the hint to give the right one; with no identities at all, ERR_UNVERIFIED says that one is
 * needed. */
int store_decrypting(struct store *inner, const struct age_identities *i, struct store **ret,
		     struct err *err) MUST_USE;

#endif

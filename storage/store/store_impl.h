/* What the files of the store share. */
#ifndef LIFEBOAT_STORAGE_STORE_STORE_IMPL_H
#define LIFEBOAT_STORAGE_STORE_STORE_IMPL_H

#include "base/flow/throttle.h"
#include "base/retry.h"
#include "storage/store/store.h"

struct store {
	const struct store_ops *ops;
	void *self;
	char *name;
	char *where;
	struct retry retry;        /* as every call begins with it */
	struct throttle *throttle; /* NULL: no limit */
};

/* After a failed call about `what`: waits and says whether to try again (base/retry.h). */
bool store_again(const struct store *s, struct retry *r, const char *what, struct err *err)
    MUST_USE;

/* ops->get, tried again; and what it gives goes on where it stood when its connection breaks. */
int store_get_lasting(struct store *s, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err) MUST_USE;

#endif

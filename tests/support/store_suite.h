/*
 * The tests that every kind of store must pass: what storage/store/store.h promises, on a real
 * place.
 *
 *  1. struct store_suite s = {.open = …, .ctx = …, .plant = …, .leave = …}
 *  2. return store_suite_run("storage/store_file", &s)       in main; 0: all passed
 *
 * Each test works in a folder of its own, which is not there before. What else a kind does when
 * things go wrong is for a test of its own.
 */
#ifndef LIFEBOAT_TESTS_STORE_SUITE_H
#define LIFEBOAT_TESTS_STORE_SUITE_H

#include "storage/store/store.h"

struct store_suite {
	/* Another connection to `folder` ([a-z0-9-]+), as an agent that starts makes it. */
	int (*open)(void *ctx, const char *folder, struct store **ret, struct err *err);
	void *ctx;
	/* Puts something into the folder that is not ours, past the store. NULL: can't be. */
	void (*plant)(void *ctx, const char *folder, const char *name);
	/* Leaves there what a writer of `name` leaves that died long ago. NULL: nothing is left. */
	void (*leave)(void *ctx, const char *folder, const char *name);
	/* How many objects the test of lists makes; 0: 30. More than fit a page. */
	unsigned many;
	/* Of two that create one name at the same time both may succeed. */
	bool create_is_weak;
};

int store_suite_run(const char *name, const struct store_suite *s) MUST_USE;

#endif

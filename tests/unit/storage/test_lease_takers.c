/* Threads that take one lease in turn. A holder is known by when its process began, which qemu-user
 * makes up for each thread: this one is not run there. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "storage/store/lease.h"
#include "tests/support/memory_store.h"

enum { TAKERS = 6, TURNS = 10 };
static atomic_int holders, most_holders, turns;

static void *take_turns(void *own_store)
{
	for (int held = 0; held < TURNS;) {
		struct err err = ERR_INIT;
		struct lease *l;
		if (lease_take(own_store, "hdms", "backup", &l, &err) < 0) {
			if (err.code != ERR_LOCKED)
				abort();
			sched_yield();
			continue;
		}
		int now = atomic_fetch_add(&holders, 1) + 1;
		if (now > atomic_load(&most_holders))
			atomic_store(&most_holders, now);
		if (lease_check(l, &err) < 0)
			abort();
		atomic_fetch_sub(&holders, 1);
		lease_free(l);
		held++;
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

static void many_takers__for_many_turns__are_never_two(void **state)
{
	(void)state;
	struct memory_store *m;
	struct store *store;
	memory_store_open_remote(&m, &store);
	memory_store_set_time(m, 1000000);
	pthread_t threads[TAKERS];
	struct store *stores[TAKERS];
	for (size_t i = 0; i < TAKERS; i++)
		memory_store_share(m, &stores[i]);
	for (size_t i = 0; i < TAKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_turns, stores[i]), 0);
	for (size_t i = 0; i < TAKERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < TAKERS; i++)
		store_free(stores[i]);
	store_free(store);
	assert_int_equal(atomic_load(&turns), TAKERS * TURNS);
	assert_int_equal(atomic_load(&most_holders), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_takers__for_many_turns__are_never_two),
	};
	return cmocka_run_group_tests_name("storage/lease_takers", tests, NULL, NULL);
}

/*
 * Memory that runs out on cue, for sweeps: programs of tests/sweep/.../test_*alloc.c are linked
 * so that every malloc, calloc, realloc and reallocarray of our own code comes here.
 *
 *  for (unsigned n = 1; n == 1 || fail_alloc_hit(); n++) { fail_alloc_at(n); …; fail_alloc_off(); }
 */
#ifndef LIFEBOAT_TESTS_FAIL_ALLOC_H
#define LIFEBOAT_TESTS_FAIL_ALLOC_H

#include <stdbool.h>

/* The nth allocation from now on fails, and all after it. */
void fail_alloc_at(unsigned n);
/* The nth fails, and those after it work again: what failed must not be forgotten. */
void fail_alloc_once_at(unsigned n);
void fail_alloc_off(void);
/* Did one fail since fail_alloc_at? */
bool fail_alloc_hit(void);

#endif

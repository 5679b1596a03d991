/* Damage on purpose, the same for the same seed. */
#ifndef LIFEBOAT_TESTS_RDB_MUTATE_H
#define LIFEBOAT_TESTS_RDB_MUTATE_H

#include <stddef.h>
#include <stdint.h>

enum { RDB_MUTATE_ROOM = 64 }; /* how much longer than before it may get */

/* Damages `len` (> 0) bytes in place: flipped bits, runs of noise or of zeros, a run left out, put
 * in twice or elsewhere, a cut. Returns the new length. */
size_t rdb_mutate(uint8_t *data, size_t len, uint64_t seed);

#endif

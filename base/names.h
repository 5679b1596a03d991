/* "Did you mean …": the nearest of a few known names. */
#ifndef LIFEBOAT_BASE_NAMES_H
#define LIFEBOAT_BASE_NAMES_H

#include <stddef.h>

/* Edit distance: insertions, deletions, replacements and swaps of neighbours (optimal string
 * alignment), letters without regard to case. Only the first 64 bytes count. */
unsigned names_distance(const char *a, const char *b);

/* The candidate that `word` is most likely a slip of: at most a third of its letters are wrong, or
 * it is the beginning of exactly one. NULL if none is near. Borrowed. NULL candidates are skipped.
 */
const char *names_nearest(const char *word, const char *const *candidates, size_t count);

#endif

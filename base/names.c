#include "base/names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned names_distance(const char *a, const char *b)
{
	/* Three rows of the table are enough: this one, the last, and the one before for swaps. */
	unsigned rows[3][LONGEST + 1] = {{0}};
	size_t a_len = strnlen(a, LONGEST), b_len = strnlen(b, LONGEST);
	for (size_t k = 0; k <= b_len; k++)
		rows[0][k] = (unsigned)k;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= b_len; k++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[k - 1]);
			row[k] = least(least(last[k] + 1, row[k - 1] + 1), last[k - 1] + (x != y));
			if (i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				row[k] = least(row[k], before[k - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *names_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = strlen(word);
	const char *best = NULL, *begins = NULL;
	unsigned best_distance = (unsigned)(len / 3 > 0 ? len / 3 : 1) + 1;
	size_t beginning = 0;
	if (len == 0 || len > LONGEST)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (candidates[i] == NULL)
			continue;
		unsigned distance = names_distance(word, candidates[i]);
		/* Nothing in common is no slip, however short the two are. */
		if (distance < best_distance && distance < strlen(candidates[i])) {
			best = candidates[i];
			best_distance = distance;
		}
		if (strncasecmp(word, candidates[i], len) == 0) {
			begins = candidates[i];
			beginning++;
		}
	}
	if (best != NULL)
		return best;
	return beginning == 1 ? begins : NULL;
}

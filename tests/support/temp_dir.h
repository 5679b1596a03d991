/* A folder of a test's own under TMPDIR, /dev/shm or /tmp, which may be a small file system to be
 * filled up. Failures end the test program. */
#ifndef LIFEBOAT_TESTS_TEMP_DIR_H
#define LIFEBOAT_TESTS_TEMP_DIR_H

#include <stdbool.h>
#include <stddef.h>

enum { TEMP_DIR_BYTES = 512 };

struct temp_dir {
	char path[TEMP_DIR_BYTES];
	bool mounted;
};

void temp_dir_make(struct temp_dir *d);
/* A file system of its own of that size; false where mounting is not allowed. */
bool temp_dir_make_small(struct temp_dir *d, size_t bytes);
void temp_dir_remove(struct temp_dir *d);

/* "<folder>/name" in a buffer that is used again after eight calls. */
const char *temp_dir_in(const struct temp_dir *d, const char *name);
void temp_dir_write(const struct temp_dir *d, const char *name, const void *data, size_t len);
/* How many names there are in the folder, dotfiles too. */
size_t temp_dir_count(const struct temp_dir *d);

#endif

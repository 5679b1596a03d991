/* A temporary folder of a test, and files in it. Failures end the test. */
#ifndef LIFEBOAT_TESTS_SCRATCH_H
#define LIFEBOAT_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A new folder, mode 0755, open to every user. */
char *scratch_new(void);
/* Removes it with everything in it and frees the path. */
void scratch_free(char *dir);

/* "DIR/NAME" for the formatted NAME: a new string. */
char *scratch_path(const char *dir, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes a file; folders on the way are made. */
void scratch_file(const char *dir, const char *name, const char *text);
/* The whole content, a new string. */
char *scratch_read(const char *dir, const char *name);
bool scratch_has(const char *dir, const char *name);

#endif

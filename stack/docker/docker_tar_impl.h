/* What docker_tar*.c share. */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_TAR_IMPL_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_TAR_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <archive_entry.h>
#include "base/err.h"

static inline void docker_tar_entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* A field of a ustar head. ERR_CORRUPT. */
int docker_tar_number(const uint8_t *field, size_t len, uint64_t *ret, struct err *err) MUST_USE;
/* The stream stopped before its two blocks of zeros. `inside` (may be NULL) names the file whose
 * content was cut. ERR_FAILED. */
int docker_tar_cut(const char *what, const char *inside, struct err *err) MUST_USE;

#endif

/* What child.c and child_start.c share. */
#ifndef LIFEBOAT_BASE_CHILD_IMPL_H
#define LIFEBOAT_BASE_CHILD_IMPL_H

#include "base/child.h"

enum { CHILD_STDERR_KEPT = 8192, CHILD_STDERR_READ = 4096 };

struct child {
	pid_t pid; /* 0 once reaped */
	int status;
	int in, out, errs; /* our ends, -1 when closed */
	uint64_t read_bytes;
	/* The end of its stderr; fixed, so that keeping it never fails. */
	char tail[CHILD_STDERR_KEPT + CHILD_STDERR_READ + 1];
	size_t tail_len;
	char *name;
};

#endif

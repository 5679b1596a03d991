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
	struct child *next; /* in the list of those that are not reaped yet */
};

/* That list, in child_orphans.c. Locked from before a fork until its child is in the list. */
void child_list_lock(void);
void child_list_unlock(void);
void child_list_add(struct child *c);
/* Locks by itself; one that is not in the list is fine. */
void child_list_remove(struct child *c);

#endif

/* Which process it is, told apart from every other one of this machine since it was started, also
 * from those in other containers and from a later one of the same number. */
#ifndef LIFEBOAT_BASE_PROCESS_H
#define LIFEBOAT_BASE_PROCESS_H

#include <stdint.h>
#include "base/err.h"

struct process_name {
	char host[65];  /* for people; it decides nothing */
	char boot[37];  /* /proc/sys/kernel/random/boot_id; "": not known */
	uint64_t space; /* the namespace that gave it its number; 0: not known */
	uint64_t pid;
	uint64_t started; /* in ticks since the boot: proc(5), field 22; 0: not known */
};

struct process_name process_self(void);
/* True only when it is certain: it was a process of this boot and of our own namespace, and is not
 * there any more. */
bool process_is_dead(const struct process_name *p);

#endif

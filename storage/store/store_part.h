/* How an unfinished object is called where several agents may write to one folder:
 * "<name>.<8 hex digits>.part", another at each try. */
#ifndef LIFEBOAT_STORAGE_STORE_STORE_PART_H
#define LIFEBOAT_STORAGE_STORE_STORE_PART_H

#include "storage/store/store.h"

/* A new one for `name`, which may have a path before it; free() it. */
int store_part_make(const char *name, char **ret, struct err *err) MUST_USE;
/* Is `part` one of an object of the stack (catalog_name_belongs)? */
bool store_part_is(const char *part, const char *stack);

/* So old, by the store's clock, nobody is writing it any more: a day. */
enum { STORE_PART_AGE_MS = 24 * 3600 * 1000 };

#endif

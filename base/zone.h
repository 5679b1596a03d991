/*
 * Time zones by name, without touching the process's own: TZif files (RFC 9636), which the system's
 * tzdata package keeps in /usr/share/zoneinfo, and the rule for later years at their end.
 *
 *  1. zone_load("Europe/Berlin", &z, err)
 *  2. zone_offset_s(z, unix_s)          seconds east of UTC at that moment
 *  3. zone_free
 */
#ifndef LIFEBOAT_BASE_ZONE_H
#define LIFEBOAT_BASE_ZONE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct zone;
/* NULL and "UTC": UTC, without any file. ERR_CONFIG for a name that is none or is not known. */
int zone_load(const char *name, struct zone **ret, struct err *err) MUST_USE;
/* From the bytes of a TZif file. ERR_CORRUPT. */
int zone_parse(const void *data, size_t len, struct zone **ret, struct err *err) MUST_USE;
/* Always between -26 and 26 hours. */
int64_t zone_offset_s(const struct zone *z, int64_t unix_s);
void zone_free(struct zone *z);
DEFINE_CLEANUP(struct zone, zone_free)

#endif

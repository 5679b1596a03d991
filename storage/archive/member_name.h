/*
 * Names of members: what a path inside an archive may look like.
 *
 * At most 1024 bytes, relative, components that are neither empty nor "..", and "." only as the
 * last one ("volumes/media/." carries the attributes of the folder itself). Whatever unpacks such
 * names below a folder stays below it.
 */
#ifndef LIFEBOAT_ARCHIVE_MEMBER_NAME_H
#define LIFEBOAT_ARCHIVE_MEMBER_NAME_H

#include "base/buf.h"

enum { MEMBER_NAME_MAX = 1024, MEMBER_NAME_SHOWN_BYTES = 160 };

/* NULL when the name is fine, else what is wrong with it: "begins with '/'". */
const char *member_name_fault(const char *name);
/* Without a leading "./", a "." in the middle and a trailing "/"; free() it. ERR_FAILED when what
 * is left is at fault. */
int member_name_clean(const char *name, char **ret, struct err *err) MUST_USE;
/* For messages: cut to fit, control characters as '?'. Returns out. */
char *member_name_shown(const char *name, char out[MEMBER_NAME_SHOWN_BYTES]);

#endif

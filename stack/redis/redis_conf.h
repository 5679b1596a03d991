/*
 * Lines of redis.conf, as far as they lead to other files.
 */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_CONF_H
#define LIFEBOAT_STACK_REDIS_REDIS_CONF_H

#include "base/err.h"

/* How deep files may include each other here; Redis knows no limit. */
enum { REDIS_CONF_DEPTH = 10 };

/* What the line that begins at `line` includes, without its quotes; *ret NULL: it is another line.
 * A new string. */
int redis_conf_include(const char *line, char **ret, struct err *err) MUST_USE;

#endif

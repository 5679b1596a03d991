/*
 * Messages for the person who runs it. Libraries speak at debug level only; agent/ says the rest.
 * One line per call, to stderr: "lifeboat: warning: …"; where that is systemd's journal, with the
 * priority in its place. Safe from any thread.
 */
#ifndef LIFEBOAT_BASE_LOG_H
#define LIFEBOAT_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level most_detailed);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What to do about the message before it: "HINT: …". Nothing where it is empty. */
void log_hint(enum log_level level, const char *hint);
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Called around each line, so that a progress bar can step aside. NULL: none. */
void log_set_hooks(void (*before)(void), void (*after)(void));

#endif

#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static enum log_level most_detailed = LOG_INFO;
static pthread_mutex_t one_line = PTHREAD_MUTEX_INITIALIZER;
static void (*before_line)(void), (*after_line)(void);

void log_set_level(enum log_level level)
{
	most_detailed = level;
}

bool log_enabled(enum log_level level)
{
	return level <= most_detailed;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
	before_line = before;
	after_line = after;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {
	    [LOG_ERROR] = "lifeboat: error: ",
	    [LOG_WARN] = "lifeboat: warning: ",
	    [LOG_INFO] = "",
	    [LOG_DEBUG] = "lifeboat: debug: ",
	};
	if (!log_enabled(level))
		return;
	va_list args;
	va_start(args, fmt);
	pthread_mutex_lock(&one_line);
	if (before_line != NULL)
		before_line();
	fputs(prefix[level], stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	if (after_line != NULL)
		after_line();
	pthread_mutex_unlock(&one_line);
	va_end(args);
}

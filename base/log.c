#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

/* A message may have text from a server in it: no control character gets out, none of C1 either. */
static void put_plain(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		bool c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F;
		if (*c == '\n')
			fputs("\n  ", stderr);
		else if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
			fprintf(stderr, "\\x%02x", *c);
		else if (c1)
			fprintf(stderr, "\\u%04x", *++c);
		else
			fputc(*c, stderr);
	}
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
	char *text = NULL;
	if (vasprintf(&text, fmt, args) >= 0)
		put_plain(text);
	else
		fputs("out of memory", stderr);
	free(text);
	fputc('\n', stderr);
	if (after_line != NULL)
		after_line();
	pthread_mutex_unlock(&one_line);
	va_end(args);
}

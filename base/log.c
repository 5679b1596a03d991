#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Is stderr the journal itself? (systemd.exec(5), JOURNAL_STREAM) Then each line begins with its
 * priority, as sd-daemon(3) has them, and the program's name is there already. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];
	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(own, stream) == 0;
}

/* A message may have text from a server in it: no control character gets out, none of C1 either.
 * `line` begins every line but the first. */
static void put_plain(const char *text, const char *line)
{
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		bool c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F;
		if (*c == '\n')
			fprintf(stderr, "\n%s  ", line);
		else if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
			fprintf(stderr, "\\x%02x", *c);
		else if (c1)
			fprintf(stderr, "\\u%04x", *++c);
		else
			fputc(*c, stderr);
	}
}

/* `name` stands before it except in the journal. */
static void put(enum log_level level, const char *name, const char *word, const char *text)
{
	static const char *const priorities[] = {
	    [LOG_ERROR] = "<3>", [LOG_WARN] = "<4>", [LOG_INFO] = "<6>", [LOG_DEBUG] = "<7>"};
	bool journal = is_journal();
	const char *priority = journal ? priorities[level] : "";
	pthread_mutex_lock(&one_line);
	if (before_line != NULL)
		before_line();
	fprintf(stderr, "%s%s%s", priority, journal ? "" : name, word);
	put_plain(text, priority);
	fputc('\n', stderr);
	if (after_line != NULL)
		after_line();
	pthread_mutex_unlock(&one_line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const words[] = {[LOG_ERROR] = "error: ",
					    [LOG_WARN] = "warning: ",
					    [LOG_INFO] = "",
					    [LOG_DEBUG] = "debug: "};
	va_list args;
	char *text = NULL;
	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	put(level, level == LOG_INFO ? "" : "lifeboat: ", words[level],
	    text != NULL ? text : "out of memory");
	free(text);
}

void log_hint(enum log_level level, const char *hint)
{
	if (hint[0] != '\0')
		put(level, "", "HINT: ", hint);
}

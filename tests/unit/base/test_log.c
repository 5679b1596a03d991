#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"

/* What is logged while stderr is `fd`; `journal`: JOURNAL_STREAM names it. */
static void logged(bool journal, char *ret, size_t bytes)
{
	char name[64] = "1:2";
	struct stat st;
	int kept = dup(STDERR_FILENO), fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	if (journal)
		snprintf(name, sizeof name, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	log_line(LOG_ERROR, "one\ntwo\x1b");
	log_hint(LOG_ERROR, "do this");
	log_hint(LOG_ERROR, "");
	log_line(LOG_WARN, "careful");
	log_line(LOG_INFO, "done");
	log_debug("not said");
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	ssize_t n = pread(fd, ret, bytes - 1, 0);
	assert_true(n >= 0);
	ret[n] = '\0';
	close(fd);
	unsetenv("JOURNAL_STREAM");
}

static void log_line__anywhere__begins_with_the_name(void **state)
{
	(void)state;
	char text[512];
	logged(false, text, sizeof text);
	assert_string_equal(text, "lifeboat: error: one\n  two\\x1b\nHINT: do this\n"
				  "lifeboat: warning: careful\ndone\n");
}

static void log_line__in_the_journal__begins_with_its_priority(void **state)
{
	(void)state;
	char text[512];
	logged(true, text, sizeof text);
	assert_string_equal(text, "<3>error: one\n<3>  two\\x1b\n<3>HINT: do this\n"
				  "<4>warning: careful\n<6>done\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(log_line__anywhere__begins_with_the_name),
	    cmocka_unit_test(log_line__in_the_journal__begins_with_its_priority),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/output/progress.h"
#include "base/log.h"

static int64_t clock_ms;

static int64_t now(void)
{
	return clock_ms;
}

/* What stands in the file behind `fd`. */
static const char *written(int fd)
{
	static char text[4096];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int scratch(void)
{
	char name[] = "/tmp/lifeboat-progress-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static struct progress *started(int fd, int terminal, bool quiet, uint64_t total)
{
	struct progress *p = NULL;
	struct err err = ERR_INIT;
	struct progress_opts opts = {.label = "postgres/hdms",
				     .total_bytes = total,
				     .quiet = quiet,
				     .fd = fd,
				     .now = now,
				     .terminal = terminal};
	clock_ms = 1000;
	assert_int_equal(progress_new(&opts, &p, &err), 0);
	return p;
}

static void progress__terminal__shows_a_bar_and_takes_it_away(void **state)
{
	(void)state;
	int fd = scratch();
	struct progress *p = started(fd, 1, false, 4 << 20);
	progress_add(p, 1 << 20);
	assert_string_equal(written(fd), "");
	clock_ms += 1000;
	progress_add(p, 1 << 20);
	assert_string_equal(written(fd), "\rpostgres/hdms [##########          ] 2.0 MiB of 4.0 "
					 "MiB, 2.0 MiB/s, 1 s left\033[K");
	progress_add(p, 1 << 20);
	assert_int_equal(progress_bytes(p), 3 << 20);
	progress_free(p);
	assert_non_null(strstr(written(fd), "left\033[K\r\033[K"));
	close(fd);
}

static void progress__unknown_or_passed_total__promises_nothing(void **state)
{
	(void)state;
	int fd = scratch();
	struct progress *p = started(fd, 1, false, 0);
	clock_ms += 2000;
	progress_add(p, 3 << 20);
	assert_string_equal(written(fd), "\rpostgres/hdms 3.0 MiB, 1.5 MiB/s\033[K");
	progress_label(p, "next");
	clock_ms += 1000;
	progress_add(p, 3 << 20);
	assert_non_null(strstr(written(fd), "\rnext 6.0 MiB, 2.0 MiB/s\033[K"));
	progress_free(p);
	p = started(fd, 1, false, 1);
	clock_ms += 1000;
	progress_add(p, 1024);
	assert_non_null(strstr(written(fd),
			       "\rpostgres/hdms [####################] 1.0 KiB of 1 B, "
			       "1.0 KiB/s\033[K"));
	progress_free(p);
	close(fd);
}

static void progress__label_with_control_characters__plays_no_tricks(void **state)
{
	(void)state;
	int fd = scratch();
	struct progress *p = started(fd, 1, false, 0);
	progress_label(p, "a\x1b]0;b\x07\n\tc\xC2\x9B");
	clock_ms += 2000;
	progress_add(p, 3 << 20);
	assert_string_equal(written(fd), "\ra\\x1b]0;b\\x07  c\\u009b 3.0 MiB, 1.5 MiB/s\033[K");
	progress_free(p);
	close(fd);
}

static void progress__no_terminal__is_a_line_every_ten_seconds(void **state)
{
	(void)state;
	int fd = scratch(), kept = dup(STDERR_FILENO);
	struct progress *p = started(STDERR_FILENO, -1, false, 4 << 20);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	for (int i = 0; i < 24; i++) {
		clock_ms += 1000;
		progress_add(p, 100 << 10);
	}
	progress_free(p);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	assert_string_equal(written(fd),
			    "postgres/hdms: 24 %, 1000.0 KiB of 4.0 MiB, 100.0 KiB/s, 30 s left\n"
			    "postgres/hdms: 49 %, 2.0 MiB of 4.0 MiB, 100.0 KiB/s, 20 s left\n");
	close(fd);
}

static void progress__quiet__writes_nothing(void **state)
{
	(void)state;
	int fd = scratch();
	struct progress *p = started(fd, 1, true, 4 << 20);
	clock_ms += 60000;
	progress_add(p, 1 << 20);
	progress_free(p);
	assert_string_equal(written(fd), "");
	close(fd);
	progress_free(NULL);
}

static void progress__a_message__takes_the_bar_away_first(void **state)
{
	(void)state;
	int fd = scratch(), kept = dup(STDERR_FILENO);
	struct progress *p = started(fd, 1, false, 0);
	clock_ms += 1000;
	progress_add(p, 1);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	log_line(LOG_WARN, "hello");
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	assert_non_null(strstr(written(fd), "/s\033[K\r\033[Klifeboat: warning: hello\n"));
	progress_free(p);
	close(fd);
}

static void *count(void *p)
{
	for (int i = 0; i < 10000; i++)
		progress_add(p, 3);
	return NULL;
}

static void progress_add__many_threads__miss_nothing(void **state)
{
	(void)state;
	int fd = open("/dev/null", O_WRONLY);
	struct progress *p = started(fd, 1, false, 0);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, p), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(progress_bytes(p), 120000);
	progress_free(p);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(progress__terminal__shows_a_bar_and_takes_it_away),
	    cmocka_unit_test(progress__unknown_or_passed_total__promises_nothing),
	    cmocka_unit_test(progress__label_with_control_characters__plays_no_tricks),
	    cmocka_unit_test(progress__no_terminal__is_a_line_every_ten_seconds),
	    cmocka_unit_test(progress__quiet__writes_nothing),
	    cmocka_unit_test(progress__a_message__takes_the_bar_away_first),
	    cmocka_unit_test(progress_add__many_threads__miss_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

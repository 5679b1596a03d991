#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/daemon/systemd.h"
#include "tests/support/temp_dir.h"

/* Listens where `path` says, tells, and gives what arrived. */
static void assert_told(const char *path, const char *text)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char got[256];
	size_t len = strlen(path);
	memcpy(at.sun_path, path, len);
	if (path[0] == '@')
		at.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	systemd_tell(text);
	ssize_t n = recv(fd, got, sizeof got - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
	close(fd);
}

static void tell__path_or_abstract__arrives(void **state)
{
	(void)state;
	struct temp_dir dir;
	char abstract[64];
	temp_dir_make(&dir);
	assert_told(temp_dir_in(&dir, "notify"), "READY=1\nSTATUS=next");
	temp_dir_remove(&dir);
	snprintf(abstract, sizeof abstract, "@lifeboat-test-%ld", (long)getpid());
	assert_told(abstract, "WATCHDOG=1");
}

static void tell__nobody_or_nonsense__is_nothing(void **state)
{
	(void)state;
	char longest[300];
	memset(longest, 'a', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	const char *const places[] = {"", "/", "relative", "/nobody/there", longest};
	unsetenv("NOTIFY_SOCKET");
	systemd_tell("READY=1");
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		setenv("NOTIFY_SOCKET", places[i], 1);
		systemd_tell("READY=1");
	}
}

static void watchdog__of_this_process__is_twice_as_often(void **state)
{
	(void)state;
	char pid[32];
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(systemd_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(systemd_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tell__path_or_abstract__arrives),
	    cmocka_unit_test(tell__nobody_or_nonsense__is_nothing),
	    cmocka_unit_test(watchdog__of_this_process__is_twice_as_often),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

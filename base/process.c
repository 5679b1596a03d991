#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"

/* The beginning of a small file of /proc; "" when it can't be read. */
static void read_line(const char *path, char *out, size_t out_bytes)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, out_bytes - 1) : 0;
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* Field 22 of /proc/<pid>/stat; the name in field 2 may hold blanks and parentheses. */
static uint64_t started_of(uint64_t pid)
{
	char path[48], line[1024];
	snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
	read_line(path, line, sizeof line);
	const char *at = strrchr(line, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoull(at, NULL, 10) : 0;
}

struct process_name process_self(void)
{
	struct process_name p = {.pid = (uint64_t)getpid()};
	struct stat space;
	if (gethostname(p.host, sizeof p.host - 1) < 0)
		p.host[0] = '\0';
	read_line("/proc/sys/kernel/random/boot_id", p.boot, sizeof p.boot);
	if (stat("/proc/self/ns/pid", &space) == 0)
		p.space = (uint64_t)space.st_ino;
	p.started = started_of(p.pid);
	return p;
}

bool process_is_dead(const struct process_name *p)
{
	struct process_name self = process_self();
	if (self.boot[0] == '\0' || strcmp(self.boot, p->boot) != 0 || self.space == 0 ||
	    self.space != p->space || p->pid == 0 || p->pid > INT32_MAX)
		return false;
	if (kill((pid_t)p->pid, 0) < 0)
		return errno == ESRCH;
	uint64_t started = started_of(p->pid);
	return started != 0 && p->started != 0 && started != p->started;
}

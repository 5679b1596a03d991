#include "stack/engine/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/attr.h"
#include "base/file.h"

static bool read_line(const char *path, char *out, size_t cap)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : -1;
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return n > 0;
}

uint64_t process_start(long pid)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	/* The second field is the program's name in parentheses; it may contain anything. */
	if (!read_line(path, line, sizeof line))
		return 0;
	const char *p = strrchr(line, ')');
	if (p == NULL || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	for (int field = 2; field < 22 && p != NULL; field++)
		p = strchr(p + 1, ' ');
	return p != NULL ? strtoull(p + 1, NULL, 10) : 0;
}

void process_boot(char out[64])
{
	read_line("/proc/sys/kernel/random/boot_id", out, 64);
}

void process_space(char out[64])
{
	ssize_t n = readlink("/proc/self/ns/pid", out, 63);
	out[n > 0 ? n : 0] = '\0';
}

/* Which processes are children that we started, and which ones came to us when their parent died.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/child_impl.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *list;

void child_list_lock(void)
{
	pthread_mutex_lock(&list_lock);
}

void child_list_unlock(void)
{
	pthread_mutex_unlock(&list_lock);
}

void child_list_add(struct child *c)
{
	c->next = list;
	list = c;
}

void child_list_remove(struct child *c)
{
	child_list_lock();
	for (struct child **at = &list; *at != NULL; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	child_list_unlock();
}

static bool is_ours(pid_t pid)
{
	for (const struct child *c = list; c != NULL; c = c->next)
		if (c->pid == pid)
			return true;
	return false;
}

int child_adopt_orphans(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, ERR_FAILED, errno, "adopting orphaned processes");
	return 0;
}

void child_reap_orphans(void)
{
	child_list_lock();
	for (;;) {
		siginfo_t who = {.si_pid = 0};
		/* Only looked at: one that we started is reaped by whoever has its object. */
		if (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) < 0 || who.si_pid == 0 ||
		    is_ours(who.si_pid))
			break;
		waitpid(who.si_pid, NULL, WNOHANG);
	}
	child_list_unlock();
}

/* ---- those that still run ---- */

/* Fields of /proc/PID/stat (proc(5)), counted from 1. */
enum { STAT_PPID = 4, STAT_START = 22, STAT_BYTES = 1024, ROUNDS_MAX = 100 };

/* A number of /proc/PID/stat; -1 when there is no such process. */
static long long stat_field(pid_t pid, int field)
{
	char path[64], text[STAT_BYTES];
	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The second field is a name in parentheses, with anything in it. */
	char *at = strrchr(text, ')');
	for (int i = 2; at != NULL && i < field; i++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoll(at, NULL, 10) : -1;
}

long long child_birth(pid_t pid)
{
	return stat_field(pid, STAT_START);
}

/* Signals those that are there now (0: only looks), and reaps what has ended. How many still run.
 */
static int signal_round(long long since, int signal_number, bool *ret_reaped)
{
	int found = 0;
	DIR *all = opendir("/proc");
	*ret_reaped = false;
	for (const struct dirent *e; all != NULL && (e = readdir(all)) != NULL;) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 0 || stat_field(pid, STAT_PPID) != getpid() || is_ours(pid) ||
		    stat_field(pid, STAT_START) < since)
			continue;
		kill(pid, signal_number);
		if (waitpid(pid, NULL, WNOHANG) > 0)
			*ret_reaped = true;
		else
			found++;
	}
	if (all != NULL)
		closedir(all);
	return found;
}

int child_signal_orphans(long long since, int signal_number)
{
	int found = 0;
	bool reaped = since >= 0;
	child_list_lock();
	/* The children of one that has ended have come to us, perhaps behind our back. */
	for (int round = 0; round < ROUNDS_MAX && reaped; round++)
		found = signal_round(since, signal_number, &reaped);
	child_list_unlock();
	return found;
}

void child_kill_orphans(long long since)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	bool reaped = false;
	if (since < 0)
		return;
	child_list_lock();
	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (signal_round(since, SIGKILL, &reaped) == 0 && !reaped)
			break;
		nanosleep(&moment, NULL);
	}
	child_list_unlock();
}

/* Which processes are children that we started, and which ones came to us when their parent died.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

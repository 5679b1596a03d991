#include "base/fault.h"

#ifdef LIFEBOAT_FAULTS
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED_FAULTS = 16 };

/* How often the points that carry "@n" have been passed. */
static struct {
	char name[64];
	unsigned long seen;
} counted[COUNTED_FAULTS];
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static unsigned long count(const char *name)
{
	unsigned long seen = 0;
	pthread_mutex_lock(&counting);
	for (size_t i = 0; i < COUNTED_FAULTS && seen == 0; i++) {
		if (counted[i].name[0] == '\0')
			strncpy(counted[i].name, name, sizeof counted[i].name - 1);
		if (strcmp(counted[i].name, name) == 0)
			seen = ++counted[i].seen;
	}
	pthread_mutex_unlock(&counting);
	return seen;
}

/* The action asked for at this point, at this time: "kill", … or "". */
static void action_at(const char *name, char action[16])
{
	action[0] = '\0';
	const char *spec = getenv("LIFEBOAT_FAULT");
	size_t name_len = strlen(name);
	while (spec != NULL && *spec != '\0') {
		size_t len = strcspn(spec, ",");
		if (len > name_len && strncmp(spec, name, name_len) == 0 && spec[name_len] == '=') {
			const char *what = spec + name_len + 1;
			size_t what_len = strcspn(what, ",@");
			const char *at = what[what_len] == '@' ? what + what_len + 1 : NULL;
			if (what_len < 16 && (at == NULL || count(name) == strtoul(at, NULL, 10))) {
				memcpy(action, what, what_len);
				action[what_len] = '\0';
			}
			return;
		}
		spec += len + (spec[len] == ',');
	}
}

int fault_point(const char *name, struct err *err)
{
	char action[16];
	action_at(name, action);
	if (strcmp(action, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(action, "term") == 0)
		raise(SIGTERM);
	if (strcmp(action, "stop") == 0)
		raise(SIGSTOP);
	if (strcmp(action, "fail") == 0)
		return err_set(err, ERR_FAILED, "injected fault '%s'", name);
	return 0;
}

bool fault_skips(const char *name)
{
	char action[16];
	action_at(name, action);
	return strcmp(action, "skip") == 0;
}
#else
/* A translation unit must not be empty. */
extern const int fault_points_are_off;
const int fault_points_are_off = 1;
#endif

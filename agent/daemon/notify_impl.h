/* What notify_part.c (deciding and sending) and notify_memory.c (what survives a restart, and what
 * daemon_status shows) share. */
#ifndef LIFEBOAT_AGENT_NOTIFY_IMPL_H
#define LIFEBOAT_AGENT_NOTIFY_IMPL_H

#include "agent/daemon/alarm.h"
#include "agent/daemon/daemon_impl.h"

enum { NOTIFY_QUEUE_MAX = 32 };

/* One notifier and what waits for it. */
struct outlet {
	char *label;
	json_t *queue; /* array of notices; the first is the one that is sent */
	struct child *child;
	int pidfd;
	unsigned failed;     /* tries of the first notice */
	struct deadline due; /* of the next try, or of the child's end */
	/* Since it last worked: */
	int64_t failing_ms; /* when a try failed first; 0: none did */
	unsigned lost;      /* notices that were given up */
	char error[512];    /* of the last try */
	size_t shown;       /* how many wait by what daemon_status says */
};

struct notify {
	struct daemon *daemon;
	const struct config *config;
	struct alarms *alarms;
	struct outlet *outlets; /* in the order of the configuration */
	size_t count;
	char *path;
	int epoll;
	bool changed;     /* what is remembered is another */
	bool differs;     /* what daemon_status says is no longer so */
	bool save_failed; /* said once */
};

/* ---- notify_part.c ---- */

/* Before the next try of a notice that failed so often. What the receiver asks for (0: nothing) is
 * the least of it: one that is down for an hour and asks for a second each time would use up all
 * tries in a moment. */
int64_t notify_pause_ms(unsigned failed, int64_t asked_ms, uint64_t random);

/* ---- notify_memory.c ---- */

/* Writes it down and lets daemon_status know, where something has changed. */
void notify_save(struct notify *p);
/* What can't be read is begun anew: an alarm too many is better than none. */
void notify_load(struct notify *p);
/* "notifiers" of daemon_status. */
int notify_describe(void *part, json_t *doc, struct err *err) MUST_USE;

#endif

/* What daemon.c (life, configuration, state) and daemon_loop.c (jobs, sleeping) share. */
#ifndef LIFEBOAT_AGENT_DAEMON_IMPL_H
#define LIFEBOAT_AGENT_DAEMON_IMPL_H

#include "agent/daemon/agenda.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/state.h"
#include "agent/daemon/supervise.h"
#include "agent/daemon/wake.h"
#include "agent/daemon/hook.h"

enum { DAEMON_PARTS_MAX = 8 };

struct daemon {
	struct config *config;
	int config_fd; /* the text that it was read from; -1 */
	struct zone *zone;
	struct agenda agenda;
	struct state *state;
	struct wake wake;
	int64_t started_ms, loaded_ms;
	json_t *refused; /* as in daemon_status; NULL: nothing */
	bool save_fails; /* said once */

	/* the job that runs */
	struct supervised *job;
	json_t *run;
	int64_t run_began_ms; /* monotonic */
	struct child *hook;   /* after a job that was killed */
	struct deadline hook_until;

	bool stopping;
	unsigned stop_signals; /* that were heeded */
	struct deadline watchdog;
	int64_t watchdog_ms; /* 0: none */

	void *parts[DAEMON_PARTS_MAX]; /* NULL: not running */
};

/* ---- daemon.c ---- */

void daemon_raise(struct daemon *d, enum daemon_event_kind kind, enum job_kind job,
		  const json_t *facts);
/* Writes the state file. What fails is a warning. */
void daemon_publish(struct daemon *d);
/* The present document; NULL without memory. A new reference. */
json_t *daemon_facts(struct daemon *d);
void daemon_reload(struct daemon *d);
void daemon_say(const struct daemon *d, const char *state);

/* ---- daemon_loop.c ---- */

/* Until it is told to end and no job runs. */
int daemon_loop(struct daemon *d, struct err *err) MUST_USE;
/* What a daemon that died left as running. */
int daemon_note_lost(struct daemon *d, struct err *err) MUST_USE;
/* What is overdue or was missed. */
void daemon_tell_news(struct daemon *d, const struct agenda_look *look);

#endif

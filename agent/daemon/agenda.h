/*
 * What runs when: schedules, what has happened so far, and the time of day become "run this now" or
 * "nothing until then". Nothing here looks at a clock, a file or a process.
 *
 *  1. fill opts, rules and (from the state file) entries of a struct agenda; agenda_resume
 *  2. agenda_look(a, now, &look)       whenever something happened, and at look.wake_ms
 *  3. agenda_began, agenda_ended       around each run that it asked for
 *
 * One job at a time. What becomes due while another runs waits its turn; if its time comes again
 * meanwhile, it is one run. A time that passed while nobody looked is caught up once, if it is not
 * older than the limit; older ones are reported as missed.
 *
 * Everything goes by the wall clock, which may jump. Forward is like having been switched off.
 * Back: times of day that were served are not served again, unless the clock went back by more than
 * three hours, which is a clock that was wrong before; schedules that follow elapsed time go on by
 * the new time at once.
 */
#ifndef LIFEBOAT_AGENT_DAEMON_AGENDA_H
#define LIFEBOAT_AGENT_DAEMON_AGENDA_H

#include <stdbool.h>
#include "agent/config/cron.h"
#include "agent/config/jobs.h"

#define AGENDA_NEVER INT64_MAX

struct agenda_opts {
	const struct zone *zone;
	int64_t delay_ms;    /* how much later than written this host's jobs begin */
	int64_t catch_up_ms; /* how old a missed time may be */
	int64_t overdue_ms;  /* how long after its time a job may be without success */
	unsigned retries;
	int64_t retry_wait_ms; /* before the first retry; doubles, up to an hour */
};

struct agenda_rule {
	bool scheduled;
	struct cron cron;
};

/* Milliseconds since 1970; 0: never, none. */
struct agenda_entry {
	int64_t since_ms;   /* this schedule is followed since then */
	int64_t handled_ms; /* all its times up to here are dealt with */
	int64_t due_ms;     /* waits to be run */
	enum job_trigger trigger;
	int64_t retry_ms;  /* is tried again then */
	unsigned attempts; /* of what is to be retried */
	/* of the run that goes on or was the last */
	int64_t run_began_ms, run_due_ms;
	enum job_trigger run_trigger;
	unsigned run_attempt;
	int64_t success_ms; /* when the newest successful run began */
	unsigned failures;  /* in a row */
	int64_t failing_since_ms;
	int64_t overdue_since_ms;
};

struct agenda {
	struct agenda_opts opts;
	struct agenda_rule rules[JOB_KINDS];
	struct agenda_entry entries[JOB_KINDS];
	enum job_kind running; /* JOB_KINDS: none */
};

struct agenda_look {
	enum job_kind run; /* JOB_KINDS: nothing now */
	int64_t wake_ms;   /* look again then, or AGENDA_NEVER */
	/* News, told once. */
	bool overdue[JOB_KINDS];
	int64_t missed_ms[JOB_KINDS]; /* the first time that is given up */
};

/* After a start: what waited too long while nobody was there is given up, and reported by the next
 * look; a schedule that is new begins now. */
void agenda_resume(struct agenda *a, int64_t now_ms, struct agenda_look *ret);
/* The schedule of `kind` is another one: its past times are no debt. Without one its failures are
 * over. */
void agenda_reschedule(struct agenda *a, enum job_kind kind, int64_t now_ms);
void agenda_look(struct agenda *a, int64_t now_ms, struct agenda_look *ret);

/* Somebody wants a run now. False when one goes on or waits already. */
bool agenda_request(struct agenda *a, enum job_kind kind, int64_t now_ms);

/* The run that look asked for has begun: entry->run_* say what it is. */
void agenda_began(struct agenda *a, enum job_kind kind, int64_t now_ms);

struct agenda_end {
	bool recovered; /* the first success after failures or being overdue */
	bool was_overdue;
	unsigned failures; /* before this success */
	int64_t failing_since_ms;
};
/* `exit_status`: -1 when there is none. `random`: for the wait before a retry. */
void agenda_ended(struct agenda *a, enum job_kind kind, int64_t now_ms, enum job_outcome outcome,
		  int exit_status, uint64_t random, struct agenda_end *ret);

/* After a backup that failed and is nevertheless safe in its first store: only the other stores
 * lack it, so what is tried again is the copying. Given up it is tried once more when a backup has
 * succeeded, unless it has a schedule of its own. */
void agenda_copy_instead(struct agenda *a);
/* After a copy that succeeded: where the last backup lacked nothing else it has recovered too, as
 * *ret then says. */
void agenda_copied(struct agenda *a, struct agenda_end *ret);

/* The next time of its schedule, with the delay of this host; AGENDA_NEVER without one. */
int64_t agenda_next_ms(const struct agenda *a, enum job_kind kind, int64_t now_ms);

/* The part of `jitter_ms` that falls to the host and stack in `seed`; always the same. */
int64_t agenda_delay_ms(const char *seed, int64_t jitter_ms);

#endif

/*
 * `lifeboat run` as its parts see it: the scheduler and supervisor in the middle, and around it
 * parts (notifiers, the page) that hear of what happens and may have a say in its one loop.
 *
 *  1. A part is a const record of functions, listed in daemon_parts[] (parts.c).
 *  2. daemon_run calls start, then event and wake as things happen, reload after SIGHUP, stop.
 *  3. All of them are called from the daemon's one thread and must not block: what takes long is a
 *     child process, a descriptor in `poll`, or a thread of the part's own. A part that can't start
 *     is a warning; backups are taken nevertheless.
 *
 * Facts are JSON objects, the same in events, in the state file (state.h) and in what daemon_status
 * gives. Times are RFC 3339 in UTC ("2026-11-23T02:00:00Z"); what is not known is null.
 *
 * Of a run:
 *   run         "20261123T020000Z-3f9c", its own id
 *   job         "backup", "copy", "drill", "verify" or "prune"
 *   trigger     "schedule", "catch-up", "retry" or "signal"
 *   attempt     1, and one more with each retry
 *   due, began  times; due is null for a run that no schedule asked for
 *   pid         of its process, while it runs
 * and once it has ended:
 *   ended, duration_ms
 *   outcome     see enum job_outcome: "success", "failure", …
 *   exit_status a number, or null when a signal ended it
 *   signal      "KILL", or null
 *   error       null, or {"code", "message", "hint"}
 *   backup      the id of the backup that it took or looked at, or null
 *   result      (events only) the job's own JSON document, null when it left none
 *   retry_at    when it is tried again, or null
 */
#ifndef LIFEBOAT_AGENT_DAEMON_H
#define LIFEBOAT_AGENT_DAEMON_H

#include "agent/config/config.h"
#include "agent/config/jobs.h"
#include "base/clock.h"
#include "base/json.h"

struct daemon;

enum daemon_event_kind {
	DAEMON_STARTED,   /* facts: daemon_status */
	DAEMON_JOB_BEGAN, /* facts: the run */
	DAEMON_JOB_ENDED, /* facts: the run */
	/* A job has not succeeded although its time is long past. Once, until it has.
	 * facts: job, due, overdue_since, last_success (or null) */
	DAEMON_OVERDUE,
	/* The first success after a failure or after being overdue; comes after its JOB_ENDED, and
	 * of a backup that lacked its copies alone after that of the copying.
	 * facts: job, failures (how many runs failed in a row), failing_since, was_overdue */
	DAEMON_RECOVERED,
	/* The time of a run passed while the daemon was not there, too long ago to catch up.
	 * facts: job, due (the first of them) */
	DAEMON_MISSED,
	DAEMON_RELOADED, /* facts: daemon_status */
	/* SIGHUP found a broken configuration; the old one stays. facts: error, loaded (the old
	 * one's time) */
	DAEMON_REFUSED,
	DAEMON_STOPPING /* facts: daemon_status */
};

struct daemon_event {
	enum daemon_event_kind kind;
	enum job_kind job; /* JOB_KINDS where there is none */
	int64_t wall_ms;
	const json_t *facts; /* borrowed: valid during the call */
};

/* What a part wants of the loop until it is asked again, before every sleep. */
struct daemon_wish {
	int fd;              /* wake when it is readable (an epoll descriptor holds many); -1 */
	struct deadline due; /* wake then at the latest; DEADLINE_NEVER */
};

struct daemon_part {
	const char *name; /* "page" */
	/* `c` and its strings stay until reload or stop returns. *ret_part may stay NULL for a
	 * part that has nothing to do: it is not called again until a reload, which starts it
	 * anew. */
	int (*start)(struct daemon *d, const struct config *c, void **ret_part, struct err *err);
	/* A new configuration; the old one goes afterwards. On failure the part goes on with what
	 * it has, but keeps no pointer into the old one. */
	int (*reload)(void *part, const struct config *c, struct err *err);
	void (*event)(void *part, const struct daemon_event *e); /* NULL: does not listen */
	void (*wish)(void *part, struct daemon_wish *w); /* NULL: wants nothing of the loop */
	void (*wake)(void *part);                        /* fd is readable, or due has come */
	void (*stop)(void *part);                        /* frees it; waits for nothing long */
	/* Puts fields of its own into what daemon_status gives; NULL: has none. When they change
	 * it calls daemon_publish. */
	int (*describe)(void *part, json_t *doc, struct err *err);
};

/* NULL-terminated; in parts.c. */
extern const struct daemon_part *const daemon_parts[];
extern const struct daemon_part web_part;    /* the page; in web_part.c */
extern const struct daemon_part notify_part; /* alarms; in notify_part.c */

/*
 * How things stand, as a new object that the caller owns: what the state file says (state.h).
 * `running`, `refused` and pid are null unless a daemon holds the lock. ERR_ABSENT when there is no
 * state file. For `lifeboat status`, its page and its metrics.
 *   stack, pid, started, config (its path), timezone, state_dir, warnings (of the state file)
 *   loaded    when the configuration in use was read
 *   refused   null, or what SIGHUP found since and refused: {"since", "error"}
 *   notifiers of each: {"notifier", "waiting" (notices), "failing_since" (or null), "error" (of the
 *             last try, or null), "retry_at", "lost" (notices that were given up since it last
 *             worked)}
 *   running   the run that goes on, or null
 *   jobs      {"backup": {…}} for each kind that has a schedule or has ever run:
 *             schedule (cron text or null), next (time or null), retry_at, overdue (bool),
 *             overdue_since, failures, failing_since, last (the newest run or null),
 *             last_success (the newest run that succeeded or null), counts of all runs that
 *             have ended, or null: runs {"success": 12, …} by outcome, failures
 *             {"unreachable": 1, …} by kind: the error's code, "crashed" or "lost"
 *   history   ended runs, the newest first
 */
int daemon_status(const struct config *c, json_t **ret, struct err *err) MUST_USE;

/* `lifeboat run`: until a signal ends it. */
int daemon_run(const struct config *c, struct err *err) MUST_USE;

#endif

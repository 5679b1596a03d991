/*
 * What the daemon remembers: one JSON file for each stack, `<state_dir>/<stack>.json`, and beside
 * it the lock that keeps a second daemon away.
 *
 *  1. state_open(config, &s, err)     takes the lock (ERR_LOCKED), reads the file
 *  2. s->entries go into the agenda; runs are noted with state_began, state_ended
 *  3. state_document, state_save      after each change
 *  4. state_close
 *
 * The file is what daemon_status gives (daemon.h), with "version" in front and in each job an
 * "agenda" of its own. One that can't be read is set aside as `<stack>.json.broken`, and a new one
 * begun: a daemon that forgets still takes backups.
 */
#ifndef LIFEBOAT_AGENT_DAEMON_STATE_H
#define LIFEBOAT_AGENT_DAEMON_STATE_H

#include "agent/config/config.h"
#include "agent/daemon/agenda.h"
#include "base/json.h"

enum { STATE_HISTORY = 300 };

struct state {
	char *dir, *path;
	int lock; /* descriptor */
	struct agenda_entry entries[JOB_KINDS];
	char *plans[JOB_KINDS]; /* schedule and time zone that the entries belong to, or NULL */
	json_t *running;        /* facts of runs, see daemon.h; NULL: none */
	json_t *last[JOB_KINDS], *last_success[JOB_KINDS];
	json_t *counts[JOB_KINDS]; /* of all runs ever, see daemon.h; NULL: none */
	json_t *history;           /* array, the newest first */
	char *warning;             /* why it begins anew, or NULL */
};

int state_open(const struct config *c, struct state **ret, struct err *err) MUST_USE;
void state_close(struct state *s);
DEFINE_CLEANUP(struct state, state_close)

/* The folder as the configuration or the system has it. free() it. */
int state_folder(const struct config *c, char **ret, struct err *err) MUST_USE;

/* `run` is borrowed. */
void state_began(struct state *s, json_t *run);
int state_ended(struct state *s, enum job_kind kind, bool success, json_t *run, struct err *err)
    MUST_USE;

struct state_facts {
	const struct config *config;
	const struct agenda *agenda;
	int64_t now_ms, started_ms, loaded_ms;
	json_t *refused; /* NULL: none */
	const struct strlist *warnings;
};
/* daemon_status, and "version" and "agenda". A new reference. */
int state_document(const struct state *s, const struct state_facts *facts, json_t **ret,
		   struct err *err) MUST_USE;
int state_save(const struct state *s, const char *text, struct err *err) MUST_USE;

/* ---- counts, in state_counts.c ---- */

/* One more run, which has ended as `run` says. */
int state_counts_add(struct state *s, enum job_kind kind, const json_t *run, struct err *err)
    MUST_USE;
/* What a job of the state file has as "counts"; one without them begins at 0. */
int state_counts_read(struct state *s, enum job_kind kind, json_t *counts, struct err *err)
    MUST_USE;

/* "2026-11-23T02:00:00Z" or null where there is none (0, AGENDA_NEVER); NULL without memory. */
json_t *state_time(int64_t ms);

#endif

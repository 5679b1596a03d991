/*
 * What is wrong, who has been told, and so what is to be told now: pure, with the clock as an
 * argument, and remembered as JSON.
 *
 *  1. alarms_heed(a, event)             what happened; says what it is for those who want each one
 *  2. alarms_next(a, notifier, now, &n) until it says false: one notice that this notifier is to
 *                                       get now. It counts as told.
 *  3. alarms_due(a, notifier, now)      when to ask again, if nothing happens before
 *
 * A state is told once when it begins; again after `remind` while it goes on; and once when all
 * that was wrong with the job has ended. A notice is a JSON object, see notice.h.
 */
#ifndef LIFEBOAT_AGENT_ALARM_H
#define LIFEBOAT_AGENT_ALARM_H

#include "agent/config/alarm_event.h"
#include "agent/daemon/daemon.h"

struct alarms;
/* `now`: from when on a stack that has never been proved is unproven. */
int alarms_new(int64_t now_ms, struct alarms **ret, struct err *err) MUST_USE;
void alarms_free(struct alarms *a);
DEFINE_CLEANUP(struct alarms, alarms_free)

/* ALARM_FAILURE, ALARM_SUCCESS, ALARM_START: a run failed, succeeded, began; else ALARM_EVENTS.
 * Without memory less is told. */
enum alarm_event alarms_heed(struct alarms *a, const struct daemon_event *e);

/* The notice that a ping sends for what alarms_heed said; ALARM_EVENTS: none. */
enum alarm_event alarms_ping(const struct config_notify *n, enum alarm_event e, enum job_kind job);

/* `stack` is for the notice. False: nothing is to be told. */
bool alarms_next(struct alarms *a, const struct config_notify *n, const char *stack, int64_t now_ms,
		 json_t **ret);
/* Wall time; INT64_MAX: never. */
int64_t alarms_due(const struct alarms *a, const struct config_notify *n, int64_t now_ms);

/* Forgets what was told to notifiers that are none of these any more. */
void alarms_keep(struct alarms *a, const struct config_notify *all, size_t count);

/* A new reference; NULL without memory. */
json_t *alarms_document(const struct alarms *a);
/* What alarms_document gave. What is not as it should be is left out: it is told once more. */
void alarms_restore(struct alarms *a, const json_t *doc);

#endif

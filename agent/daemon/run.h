/* The facts of one run, as daemon.h describes them. */
#ifndef LIFEBOAT_AGENT_DAEMON_RUN_H
#define LIFEBOAT_AGENT_DAEMON_RUN_H

#include <sys/types.h>
#include "agent/daemon/agenda.h"
#include "agent/daemon/supervise.h"

/* `e`: after agenda_began. A new reference. */
int run_new(enum job_kind kind, const struct agenda_entry *e, pid_t pid, json_t **ret,
	    struct err *err) MUST_USE;
/* Adds how it ended. `e`: after agenda_ended. */
int run_finish(json_t *run, enum job_kind kind, const struct agenda_entry *e, int64_t now_ms,
	       int64_t took_ms, const struct supervise_end *end, struct err *err) MUST_USE;
/* A copy with the job's own document, for events. NULL without memory. */
json_t *run_with_result(const json_t *run, const json_t *result);
/* The backup that a document of that job speaks of, or NULL. Borrowed. */
const char *run_backup(enum job_kind kind, const json_t *result);

#endif

/*
 * The status document: everything that says whether the stack is safe now, as JSON. docs/json.md
 * lists its fields. `lifeboat status` prints it; the metrics and the page are made from it.
 *
 *  1. overview_load(config, label, agent, …)    looks into the stores; a store that does not answer
 *                                               is in the document, and no error
 *  2. overview_build(&facts, &doc, err)         the same from facts alone, without any I/O
 */
#ifndef LIFEBOAT_AGENT_REPORT_OVERVIEW_H
#define LIFEBOAT_AGENT_REPORT_OVERVIEW_H

#include "agent/config/config.h"
#include "storage/catalog.h"

struct overview_store {
	const struct config_store *config;
	const char *where; /* NULL: not known */
	bool remote;
	uint64_t free_bytes; /* UINT64_MAX: not known */
	struct catalog catalog;
	struct err error; /* code ERR_NONE: it was reached */
};

struct overview_facts {
	const struct config *config;
	int64_t now_ms;
	const struct overview_store *stores;
	size_t store_count;
	const json_t *agent;   /* what `lifeboat run` says of itself (daemon.h); NULL: nothing */
	const json_t *missing; /* array of {"what", "why"}; NULL: nothing */
};

int overview_build(const struct overview_facts *facts, json_t **ret, struct err *err) MUST_USE;

/* `store_label` NULL: all stores. ERR_CONFIG, ERR_USAGE for a label that is none. */
int overview_load(const struct config *c, const char *store_label, const json_t *agent,
		  json_t **ret, struct err *err) MUST_USE;

/* Puts "level", "verdict" and "reasons" into the document, judged by its other fields. In
 * overview_verdict.c. */
int overview_judge(json_t *doc, const struct config *c, struct err *err) MUST_USE;
/* Puts "days" into it: the last 90 in the zone of the configuration. In overview_days.c. */
int overview_days(json_t *doc, const struct config *c, int64_t now_ms, struct err *err) MUST_USE;

/* One drill's evidence as "drills" has it. A new reference. */
int overview_drill(const json_t *evidence, const char *id, const char *store, json_t **ret,
		   struct err *err) MUST_USE;

/* When a job of "agent" runs next: by its schedule, or earlier as another try (*ret_again). 0: it
 * does not. */
int64_t overview_next(const json_t *job, bool *ret_again);

/* Time of an RFC 3339 field of `obj`; 0 when it is not there. */
int64_t overview_time(const json_t *obj, const char *key);

#endif

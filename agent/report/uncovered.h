/*
 * What of the stack no section of agent.conf names: a volume of another service, a second database,
 * a folder of the host that a container writes to. It is told by `check` and `status` and on the
 * page, and is no failure: it may be left out on purpose.
 */
#ifndef LIFEBOAT_AGENT_REPORT_UNCOVERED_H
#define LIFEBOAT_AGENT_REPORT_UNCOVERED_H

#include "agent/config/config.h"
#include "stack/engine/engine.h"

/* Calls `found` for each, in no order; `what`: "volume 'hdms_media'", `why`: "service 'web' (image
 * web:2) writes to it at /media, and no section names it". */
struct uncovered_sink {
	int (*found)(void *ctx, const char *what, const char *why, struct err *err);
	void *ctx;
};
int uncovered_find(const struct config *c, struct engine *e, const struct uncovered_sink *to,
		   struct err *err) MUST_USE;

/* The same with an engine of its own. What the engine can't tell is passed over: the status must
 * not fail because Docker does not answer. */
int uncovered_look(const struct config *c, const struct uncovered_sink *to, struct err *err)
    MUST_USE;

#endif

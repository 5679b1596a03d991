/*
 * What other stores know of a backup. `pin` reaches the stores that are there; one that was away
 * must not prune its copy before `copy` has told it.
 *
 *  1. struct elsewhere e = {.app = app, .but = this_section}
 *  2. elsewhere_is_pinned(&e, backup, &label, err)      a store is opened when it is first asked
 *  3. elsewhere_done(&e)
 */
#ifndef LIFEBOAT_AGENT_ELSEWHERE_H
#define LIFEBOAT_AGENT_ELSEWHERE_H

#include "agent/app.h"
#include "storage/catalog.h"

struct elsewhere {
	struct app *app;
	const struct config_store *but; /* the store whose backup it is */
	struct store **stores;          /* by section; NULL: not asked yet */
	bool *silent;                   /* it did not answer, and is not asked again */
};
void elsewhere_done(struct elsewhere *e);

/* *ret: the label of a store whose sidecar of the same archive would leave this one pinned too;
 * NULL: there is none that answers. -1 when it was cancelled or memory is out. */
int elsewhere_is_pinned(struct elsewhere *e, const struct backup *b, const char **ret,
			struct err *err) MUST_USE;

#endif

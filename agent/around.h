/* A command between its hooks, in the job's own process. */
#ifndef LIFEBOAT_AGENT_AROUND_H
#define LIFEBOAT_AGENT_AROUND_H

#include "base/err.h"

struct app;

/* What `run` returns and sets, unless the hook before it fails: then `run` is not called. Commands
 * that are no job, and jobs without hooks, are just run. */
int around_run(struct app *app, int (*run)(struct app *app, struct err *err), struct err *err)
    MUST_USE;

#endif

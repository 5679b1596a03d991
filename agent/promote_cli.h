/* What `promote` and `rollback` share: the plan as text, the question, the result. */
#ifndef LIFEBOAT_AGENT_PROMOTE_CLI_H
#define LIFEBOAT_AGENT_PROMOTE_CLI_H

#include "agent/app.h"

/* `back`: a rollback. */
int promote_cli(struct app *app, bool back, struct err *err) MUST_USE;

#endif

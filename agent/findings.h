/* What `check` finds: told at once, kept for --json, counted for the exit status. */
#ifndef LIFEBOAT_AGENT_FINDINGS_H
#define LIFEBOAT_AGENT_FINDINGS_H

#include "agent/app.h"

struct findings {
	struct app *app;
	json_t *list;
	size_t bad, warnings;
	struct err first; /* decides the exit status */
};

/* `level`: "ok", "warning" or "failed". */
int findings_add(struct findings *f, const char *level, const char *what, const char *text,
		 struct err *err) MUST_USE;
int findings_fail(struct findings *f, const char *what, const struct err *why, struct err *err)
    MUST_USE;

#endif

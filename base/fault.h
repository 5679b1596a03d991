/*
 * Faults on cue: named points at which a test build can be told to fail, stop or die.
 *
 *   LIFEBOAT_FAULT="archive-close=kill"            SIGKILL to ourselves there
 *   LIFEBOAT_FAULT="before-proof=stop"             SIGSTOP: the test looks around, then continues
 * us LIFEBOAT_FAULT="sidecar=fail,frame=kill@3"     ERR_FAILED at one, death at the third of
 * another LIFEBOAT_FAULT="negative-control=skip"         the step is left out (where fault_skips is
 * asked)
 *
 * Only in builds with LIFEBOAT_FAULTS (Debug presets): elsewhere the points cost nothing and the
 * variable means nothing.
 */
#ifndef LIFEBOAT_BASE_FAULT_H
#define LIFEBOAT_BASE_FAULT_H

#include "base/err.h"

#ifdef LIFEBOAT_FAULTS
int fault_point(const char *name, struct err *err) MUST_USE;
bool fault_skips(const char *name);
#else
static inline int fault_point(const char *name, struct err *err)
{
	(void)name, (void)err;
	return 0;
}
static inline bool fault_skips(const char *name)
{
	(void)name;
	return false;
}
#endif

#endif

/* The part of `check` that asks the stores: can each be written, what can't it do, does it lag
 * behind, and do they all burn down together? */
#ifndef LIFEBOAT_AGENT_CHECK_STORES_H
#define LIFEBOAT_AGENT_CHECK_STORES_H

#include "agent/findings.h"

/* `bytes`: of the data that a backup would take. */
int check_stores(struct findings *f, uint64_t bytes, struct err *err) MUST_USE;

#endif

/* The steps that a restore and a drill share. Inside restore/ only. */
#ifndef LIFEBOAT_RESTORE_IMPL_H
#define LIFEBOAT_RESTORE_IMPL_H

#include "restore/restore.h"

struct sandbox;

/* What stands in the way, before anything is made. */
int restore_preflight(struct sandbox *sb, struct err *err) MUST_USE;
/* Volumes, contents, servers on real settings, after a restart. */
int restore_load(struct sandbox *sb, struct err *err) MUST_USE;
/* Every part against the manifest, then the user's own checks. */
int restore_prove(struct sandbox *sb, struct report *report, struct err *err) MUST_USE;
/* The negative control of every part that has one: {"postgres": report, …}; OUTCOME_PASSED when
 * each change was noticed, else OUTCOME_UNVERIFIED: a proof that can't fail proves nothing.
 * *ret_changes: how many changes there were; 0 when nothing in the backup could be changed. */
int restore_control(struct sandbox *sb, json_t **ret, enum outcome *ret_outcome,
		    size_t *ret_changes, struct err *err) MUST_USE;

#endif

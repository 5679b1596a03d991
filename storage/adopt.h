/*
 * An archive whose sidecar was lost becomes a backup again: it is read back as a whole, and what
 * its manifest says is written as a new sidecar.
 */
#ifndef LIFEBOAT_STORAGE_ADOPT_H
#define LIFEBOAT_STORAGE_ADOPT_H

#include "storage/archive/reader.h"
#include "storage/sidecar.h"
#include "storage/suspicion.h"

struct adopt_opts {
	const char *stack;
	const char *archive; /* object name */
	/* Through which the archive reads as its plain text (decrypting.h); NULL: as it is. */
	struct store *plain;
	bool pinned;
	struct suspicion_rules suspicion; /* beside the backups before it; all 0: never */
	struct store_lock *lock;          /* asked before the commit; may be NULL */
	const struct reader_watch *watch; /* may be NULL */
};

/* ERR_USAGE for what is no archive of the stack, ERR_EXISTS when it has a sidecar, ERR_CORRUPT when
 * a byte of it is wrong, ERR_LOCKED when the lock was lost meanwhile. *ret: the sidecar, a new
 * reference. */
int adopt_run(struct store *store, const struct adopt_opts *opts, json_t **ret, struct err *err)
    MUST_USE;

/* Fills the counts of a sidecar, but for raw_bytes, with what a manifest says. What is not there
 * counts 0. */
void adopt_counts(const json_t *manifest, struct sidecar *ret);

#endif

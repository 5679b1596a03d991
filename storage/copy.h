/*
 * Copies of backups in further stores.
 *
 *  1. copy_plan(…)       which backups of one store another should get
 *  2. copy_backup(…)     one of them: archive, evidence, and the sidecar last, which is the commit
 *  3. copy_evidence(…)   drills of later days, of backups that are there already
 *     copy_decisions(…)  pins and trust of later days
 *
 * The bytes are copied as they are stored; nothing is decrypted. The archive's SHA-256 and size are
 * compared with its sidecar while it passes, before the copy becomes visible. What is there and
 * committed stays; what a killed copy left is replaced. So both may be called again at any time,
 * and by several agents at once. docs/stores.md.
 */
#ifndef LIFEBOAT_STORAGE_COPY_H
#define LIFEBOAT_STORAGE_COPY_H

#include "storage/catalog.h"
#include "storage/retention.h"

/* Sets ret[i] for each backup of `from` that `to` should get: not broken, not there (or broken
 * there), and kept by the rules of `to` if all of them were there; otherwise the next prune would
 * delete what was just copied. `zone` and `now_ms`: as of retention_plan. Pure. */
int copy_plan(const struct catalog *from, const struct catalog *to,
	      const struct retention_rules *rules, const char *zone, int64_t now_ms, bool *ret,
	      struct err *err) MUST_USE;

/* Called with the bytes that have passed since the last call; from the caller's thread. */
struct copy_progress {
	void (*add)(void *ctx, size_t bytes); /* NULL: nobody asks */
	void *ctx;
};

/* *ret_bytes: copied of the archive; 0 when it was there. ERR_CORRUPT names the store of which the
 * archive is not what its sidecar says. ERR_EXISTS: there is another backup of that id. */
int copy_backup(struct store *from, const char *stack, const struct backup *b, struct store *to,
		const struct copy_progress *progress, uint64_t *ret_bytes, struct err *err)
    MUST_USE;

/* Evidence that `to` lacks, of the backup `id` or, with NULL, of all that are in `to`. None is
 * written over another: of two drills that began in the same second the second is called after the
 * next. *ret_count: how many were copied. */
int copy_evidence(struct store *from, const char *stack, const char *id, struct store *to,
		  size_t *ret_count, struct err *err) MUST_USE;

/* Hears of each sidecar that changes. `change`: "pinned", "not pinned", "trusted"; what shows
 * nowhere is not told. */
struct copy_told {
	void (*decided)(void *ctx, const char *id, const char *change); /* NULL: nobody asks */
	void *ctx;
};

/* Brings the decisions about `id`, or with NULL about all backups that both have, to `to`, whose
 * lock is taken if there is anything to bring. `held` is what `to` has, as it was just loaded. */
int copy_decisions(const struct catalog *from, struct store *to, const struct catalog *held,
		   const char *stack, const char *id, const struct copy_told *told, struct err *err)
    MUST_USE;

#endif

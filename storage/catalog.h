/*
 * The catalog: which backups a store holds, told from their sidecars alone.
 *
 *  1. catalog_load(store, "hdms", &c, err)           reads every sidecar and all evidence
 *  2. catalog_find(&c, "latest", &b, err)            b is borrowed from c
 *  3. catalog_done(&c)
 *
 * A sidecar `<stack>-<id>.json` is the commit of a backup; without it there is none. Evidence of a
 * drill is `<stack>-<id>.drill-<time>.json`, the verdict of a verify `….verify-<time>.json`. Names
 * of other stacks, even "hdms-2" beside "hdms", never match. docs/sidecar.md describes both.
 *
 * A sidecar that can't be used (no JSON, another stack's, its archive gone or of another size) is
 * listed as broken with the reason. Evidence that can't be used counts as a drill that could not
 * verify. A store that can't be read at all is an error.
 */
#ifndef LIFEBOAT_STORAGE_CATALOG_H
#define LIFEBOAT_STORAGE_CATALOG_H

#include "base/json.h"
#include "storage/store/catalog_name.h"
#include "storage/store/store.h"

enum { CATALOG_EVIDENCE_MAX_BYTES = 4 << 20 };

enum proof { PROOF_NONE, PROOF_PASSED, PROOF_FAILED, PROOF_UNVERIFIED };
const char *proof_name(enum proof p); /* "none", "passed", "failed", "could not verify" */
/* Of one drill or verify; false for other words. */
bool proof_parse(const char *name, enum proof *ret);

struct backup {
	char id[32];       /* 20261123T020000Z-3f9c */
	char archive[201]; /* object name */
	char sidecar[201];
	int64_t taken_ms; /* the time in its id, which no sidecar can gainsay */
	uint64_t stored_bytes;
	char sha256[65];
	bool pinned, suspicious;
	bool partial;      /* taken with --only: "latest" and "proven" pass it over */
	enum proof proof;  /* failed while a failed drill stands unanswered (failures.h), passed if
			    * any other passed, else unverified if there was any drill */
	int64_t proved_ms; /* when; 0: never */
	/* Of verify, in this very store (storage/verdict.h): the newest of the whole archive, and
	 * whether any has found damage since the last whole one passed. */
	enum proof verified;
	int64_t verified_ms; /* when; 0: never */
	bool damaged;
	json_t *verdicts;     /* array by name, each with its name as `object`; may be empty */
	json_t *sidecar_json; /* all of it */
	json_t *evidence;     /* the same of all drills */
	char broken[256];     /* not empty: why the sidecar can't be used */
};

/* Its proof as retention counts it: an archive that is damaged or not there proves nothing any more
 * and takes no sound one's place, whatever a drill said before. */
enum proof backup_standing(const struct backup *b);

/* What `restore proven` takes: a whole backup whose proof stands, and that is not suspicious. */
bool backup_is_proven(const struct backup *b);

/* Sets `proof` and `proved_ms`, which are zero at first, from `evidence`. */
void catalog_settle_proof(struct backup *b);

struct catalog {
	struct backup *items; /* newest first */
	size_t count;
};

int catalog_load(struct store *s, const char *stack, struct catalog *ret, struct err *err) MUST_USE;
void catalog_done(struct catalog *c);
/* An id, a unique prefix of one, "latest", or "proven", which is none that is damaged or
 * suspicious. ERR_ABSENT says what there is; an ambiguous prefix is ERR_USAGE and names the
 * candidates. A broken one is found by its whole id only: look at `broken`. Borrowed. */
int catalog_find(const struct catalog *c, const char *which, const struct backup **ret,
		 struct err *err) MUST_USE;

/* Is this manifest, read out of b's archive, b's own? ERR_CORRUPT says whose it is. */
int catalog_check_manifest(const struct backup *b, const json_t *manifest, struct err *err)
    MUST_USE;

/* A new id: UTC time and a random tail. */
int catalog_new_id(int64_t wall_ms, char out[32], struct err *err) MUST_USE;
/* The same for the next backup of a stack whose lock is held: no other there is of the same second,
 * so that ids sort as their backups were made. Waits for the next second if it must. *ret_ms: the
 * time that the id says. */
int catalog_next_id(struct store *s, const char *stack, int64_t *ret_ms, char out[32],
		    struct err *err) MUST_USE;

/* Writes the result of a drill or a verify, under a name that nobody has: names tell seconds, and
 * of two within one the second is called after the next. */
int catalog_put_result(struct store *s,
		       int (*make_name)(const char *stack, const char *id, int64_t ms,
					char out[201], struct err *err),
		       const char *stack, const char *id, int64_t began_ms, const char *text,
		       char ret_name[201], struct err *err) MUST_USE;

/* Deletes a backup: sidecar first, so that a kill in between leaves no backup rather than half of
 * one; then archive, evidence and verdicts. Pinned ones are refused. Only names made of the stack
 * and the id are touched, whatever a sidecar says. ERR_LOCKED: the store keeps it for now, or
 * somebody has just begun to read it, and it is a backup still. */
int catalog_remove(struct store *s, const char *stack, const struct backup *b, struct err *err)
    MUST_USE;

/* Archives, evidence and verdicts of the stack without a sidecar. What to do with them:
 * leftovers.h. */
int catalog_orphans(struct store *s, const char *stack, struct store_objects *ret, struct err *err)
    MUST_USE;

#endif

/*
 * A restore: into fresh volumes, booted, proved. And a drill: the same in volumes that are thrown
 * away, with a control that shows that the proof can fail.
 *
 *  1. fill a struct restore_job
 *  2. restore_run(&job, &result, err)    volumes stay; on failure everything made is removed
 *     drill_run(&job, &result, err)      nothing stays but the evidence in the store
 *  3. restore_result_done(&result)
 *
 * Existing volumes are never written to.
 */
#ifndef LIFEBOAT_RESTORE_RESTORE_H
#define LIFEBOAT_RESTORE_RESTORE_H

#include "base/json.h"
#include "restore/report.h"
#include "stack/engine/engine.h"
#include "storage/catalog.h"
#include "storage/store/store.h"

struct restore_check { /* the user's own SQL, run on the sandbox */
	const char *label, *database, *sql, *expect;
};

struct restore_job {
	const char *stack;
	struct engine *engine;
	struct store *store;
	struct store *archives; /* reads the archive, decrypting it if need be; NULL: store */
	const struct backup *backup;
	const char *as;          /* tail of the new volumes' names; NULL: the backup's id */
	const char *const *only; /* components and labels of volumes; NULL: all */
	const char *database;    /* this database alone; NULL: all */
	const char *table;       /* "schema.table" of it alone; NULL: all */
	bool leave_servers;      /* restore --up */
	bool keep_failed;        /* leave the volumes although the proof failed */
	/* Credentials as the application has them, to be tried on the sandbox; NULL: none known. */
	const char *pgbouncer_url, *redis_url;
	const struct restore_check *checks;
	size_t check_count;
	int64_t ready_ms; /* how long a server may take to answer after its start */
	void (*progress)(void *ctx, uint64_t done, uint64_t of, const char *what);
	void *progress_ctx;
};

struct restore_result {
	enum outcome outcome;
	json_t *report;   /* of the proof (report.h) */
	json_t *volumes;  /* [{"component","name","where","from"}] */
	json_t *servers;  /* restore --up: [{"component","host","port","socket_dir","pid"}] */
	json_t *evidence; /* drill: what was written beside the archive */
	char evidence_name[201];
	int64_t restore_ms; /* from the first byte to answering servers: the measured RTO */
	int64_t prove_ms;
	int64_t
	    data_age_ms; /* of the data when the restore began: the RPO if that had been the day */
	uint64_t fetched_bytes, archive_bytes; /* out of the store, and how many there are */
	bool kept;                             /* the volumes are there */
};

/* What would be made, and whether it could be: [{"component","volume","from",…}] and a list of
 * obstacles. Makes nothing. A new reference: {"volumes","needs_bytes","free_bytes","obstacles"}. */
int restore_plan(const struct restore_job *job, json_t **ret, struct err *err) MUST_USE;
/* 0: restored, and result.outcome says what the proof found; volumes stay unless the proof failed
 * and keep_failed is not set. -1: not restored, nothing left. */
int restore_run(const struct restore_job *job, struct restore_result *ret, struct err *err)
    MUST_USE;
/* 0: a verdict was reached and written as evidence. -1: the drill could not be carried out; that
 * too is written as evidence, where the store can be written. */
int drill_run(const struct restore_job *job, struct restore_result *ret, struct err *err) MUST_USE;
void restore_result_done(struct restore_result *r);

#endif

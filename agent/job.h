/*
 * From the configuration to the jobs: opens the engine and the store, and fills what snapshot/ and
 * restore/ want to know. The one place where settings become calls.
 *
 *  1. job_open(app, store_label, purpose, &job, err)
 *  2. job_backup(job, …) or job_restore(job, …) gives the struct to run; it borrows from the job
 *  3. job_free
 */
#ifndef LIFEBOAT_AGENT_JOB_H
#define LIFEBOAT_AGENT_JOB_H

#include "agent/app.h"
#include "agent/output/progress.h"
#include "base/flow/age.h"
#include "restore/restore.h"
#include "snapshot/backup.h"
#include "storage/catalog.h"
#include "storage/store/lease.h"

struct job {
	struct app *app;
	struct engine *engine;
	struct store *store; /* NULL after job_open_storeless */
	const struct config_store *store_config;
	struct progress *progress;
	uint64_t progress_done;
	char run_id[32];
	struct age_recipients recipients;
	struct age_identities identities;
	struct store *archives; /* decrypts; NULL: not asked for yet */
	struct strlist only, images;
	struct engine_service services[3];
	char *postgres_url, *pgbouncer_url, *admin_url; /* led to the servers' addresses; secret */
	char *redis_address;
	/* what the job structs point to */
	struct pg_opts postgres;
	struct redis_opts redis;
	struct pgbouncer_opts pgbouncer;
	struct backup_volume *volumes;
	struct restore_check *checks;
	struct catalog catalog;
	struct lease *mark; /* of the backup that is being read */
};

/* `purpose`: "backup", "restore", "drill", or NULL for commands that make nothing. `store_label`
 * NULL: the first store. */
int job_open(struct app *app, const char *store_label, const char *purpose, struct job **ret,
	     struct err *err) MUST_USE;
/* The same without a store, for commands that go through all of them. */
int job_open_storeless(struct app *app, const char *purpose, struct job **ret, struct err *err)
    MUST_USE;
void job_free(struct job *j);
DEFINE_CLEANUP(struct job, job_free)

/* The whole stack; the command adds its own options. */
int job_backup(struct job *j, struct backup_job *ret, struct err *err) MUST_USE;
/* What [suspicious] says. */
struct suspicion_rules job_suspicion(const struct job *j);
/* Of the backup that the command's argument names (default: latest). */
int job_restore(struct job *j, struct restore_job *ret, struct err *err) MUST_USE;
/* The store to read this backup's archive from: the job's own, or around it one that decrypts.
 * ERR_CONFIG where an identity is needed and none is configured, ERR_DENIED where none fits. */
int job_archives(struct job *j, const struct backup *b, struct store **ret, struct err *err)
    MUST_USE;
/* The command's --only; *ret NULL: everything. */
int job_only(struct job *j, const char *const **ret, struct err *err) MUST_USE;
/* Loads the catalog once and finds what `which` names. Borrowed from the job. */
int job_find(struct job *j, const char *which, const struct backup **ret, struct err *err) MUST_USE;
/* Tells all hosts that `b` is being read, until another one is or job_free. Where that can't be
 * written it is a warning. ERR_ABSENT when the backup was removed meanwhile. */
int job_mark(struct job *j, const struct backup *b, const char *command, struct err *err) MUST_USE;
/* Fits the progress callbacks of jobs: ctx is the job. */
void job_progress(void *job, uint64_t done, uint64_t of, const char *what);

#endif

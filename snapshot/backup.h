/*
 * One backup of the whole stack: the story from the first question to the commit.
 *
 *  1. fill a struct backup_job: doors, store, engine, what to take
 *  2. backup_run(&job, &result, err)          takes the lock, plans, dumps, publishes
 *  3. backup_result_done(&result)
 *
 * Nothing is visible in the store before the sidecar is written, and the sidecar is written last:
 * a backup either is there whole or is not there. Earlier backups are never touched.
 */
#ifndef LIFEBOAT_SNAPSHOT_BACKUP_H
#define LIFEBOAT_SNAPSHOT_BACKUP_H

#include "base/json.h"
#include "base/flow/age.h"
#include "stack/engine/engine.h"
#include "stack/pgbouncer/pgbouncer.h"
#include "stack/postgres/postgres.h"
#include "stack/redis/redis.h"
#include "storage/archive/writer.h"
#include "storage/store/store.h"
#include "storage/suspicion.h"

struct backup_volume {
	const char *label;        /* of its section: "media" */
	const char *name;         /* of the volume */
	const char *pause, *stop; /* services held still while it is read; NULL: none */
};

struct backup_job {
	const char *stack;
	struct engine *engine;
	struct store *store;
	/* A component without options is not part of the stack. */
	const struct pg_opts *postgres;
	const char *postgres_volume;
	int64_t lock_wait_ms; /* pg_dump gives up on a table that stays locked longer */
	const struct redis_opts *redis;
	const char *redis_volume;
	const char *redis_method; /* "auto", "bgsave", "stream" */
	int64_t save_timeout_ms;  /* for BGSAVE */
	const struct pgbouncer_opts *pgbouncer;
	const char *pgbouncer_volume;
	const struct backup_volume *volumes;
	size_t volume_count;
	const char *const *only; /* names of components, labels of volumes; NULL: all */
	const char *label;       /* free text; may be NULL */
	bool pinned;
	struct suspicion_rules suspicion; /* all 0: never */
	struct writer_opts archive;
	const struct age_recipients *recipients; /* NULL: not encrypted */
	/* Called often: bytes taken so far, of about how many (0: unknown), and what is being
	 * taken. */
	void (*progress)(void *ctx, uint64_t done, uint64_t of, const char *what);
	void *progress_ctx;
};

struct backup_result {
	char id[32];
	char archive[201];
	struct writer_totals totals; /* bytes and SHA-256 as stored, so of an encrypted archive */
	json_t *manifest;
	json_t *sidecar;
};

int backup_run(const struct backup_job *job, struct backup_result *ret, struct err *err) MUST_USE;
void backup_result_done(struct backup_result *r);

/* What a backup would find and take, without taking it: the manifest's "components" as far as they
 * are known before the dump. For `check`. A new reference. */
int backup_plan(const struct backup_job *job, json_t **ret, struct err *err) MUST_USE;

#endif

/*
 * Copies in the stores behind the first: after a backup, by `lifeboat copy`, and as `check` and
 * `status` see them.
 *
 *  1. copies_run(&opts, &copies, err)     all stores in parallel; one that fails stops no other
 *  2. copies_say(app, &copies)            a line for each; copies_json for programs
 *     copies_error(&copies, err)          what went wrong, if anything did
 *  3. copies_done(&copies)
 */
#ifndef LIFEBOAT_AGENT_COPIES_H
#define LIFEBOAT_AGENT_COPIES_H

#include "agent/app.h"
#include "storage/copy.h"

struct copies_opts {
	struct app *app;
	struct store *from;
	const struct config_store *from_config;
	const struct backup *only;     /* this one, whatever the rules; NULL: all of `catalog` */
	const struct catalog *catalog; /* of `from`; NULL with `only` */
	const char *to;                /* a store's label; NULL: all others */
	bool dry_run;
};

enum copy_outcome {
	COPY_COPIED,
	COPY_THERE,    /* it was there */
	COPY_MISSING,  /* dry run */
	COPY_EVIDENCE, /* of a backup that was there; id is empty, `bytes` counts objects */
	COPY_DECISION, /* about a backup that was there: `change` */
	COPY_FAILED
};

struct copy_result {
	const struct config_store *store;
	char id[32]; /* empty: of the store as a whole */
	enum copy_outcome outcome;
	const char *change; /* of a decision: "pinned"; else NULL */
	uint64_t bytes;
	int64_t duration_ms;
	enum err_code code; /* of a failure */
	char *message, *hint;
};

struct copies {
	struct copy_result *items; /* by store, as in agent.conf */
	size_t count, failed;
};

/* -1 when nothing could be begun, or the job was cancelled; failures of stores are results. */
int copies_run(const struct copies_opts *opts, struct copies *ret, struct err *err) MUST_USE;
void copies_done(struct copies *c);
void copies_say(struct app *app, const struct copies *c);
/* An array of {"store", "id", "outcome", "change", "bytes", "duration_ms", "error"}. */
int copies_json(const struct copies *c, json_t **ret, struct err *err) MUST_USE;
/* 0, or -1 with the first failure and how many there are. */
int copies_error(const struct copies *c, struct err *err) MUST_USE;

/* How many backups of `from` the store lacks that its rules would keep. */
int copies_lag(struct app *app, const struct catalog *from, struct store *to,
	       const struct config_store *to_config, size_t *ret, struct err *err) MUST_USE;

/* Brings evidence of a backup from `from` to every other store that has it. What fails is told as
 * a warning: the drill has happened all the same. */
void copies_spread_evidence(struct app *app, struct store *from, const char *id);

#endif

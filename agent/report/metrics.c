#include "agent/report/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/jobs.h"
#include "agent/report/overview.h"

/* What is written goes on only as long as nothing failed. */
struct writing {
	struct buf *out;
	struct err *err;
	const char *stack;
	bool failed;
};

PRINTF_LIKE(2, 3)
static void put(struct writing *w, const char *fmt, ...)
{
	va_list args;
	char *text = NULL;
	if (w->failed)
		return;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0) {
		err_nomem(w->err, "metrics");
		w->failed = true;
		return;
	}
	w->failed = buf_append(w->out, text, (size_t)len, w->err) < 0;
	free(text);
}

/* A label's value: backslash, quote and newline are escaped. */
static void put_escaped(struct writing *w, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			put(w, "\\n");
		else if (*text == '\\' || *text == '"')
			put(w, "\\%c", *text);
		else
			put(w, "%c", *text);
	}
}

/* The two types that are used; what can go down is a gauge. */
static const char GAUGE[] = "gauge", COUNTER[] = "counter";

static void head(struct writing *w, const char *name, const char *type, const char *help)
{
	put(w, "# HELP lifeboat_%s %s\n# TYPE lifeboat_%s %s\n", name, help, name, type);
}

/* The name and its labels, which are pairs of name and value up to a NULL. */
static void labels(struct writing *w, const char *name, const char *const *pairs)
{
	put(w, "lifeboat_%s{stack=\"", name);
	put_escaped(w, w->stack);
	put(w, "\"");
	for (; pairs != NULL && pairs[0] != NULL; pairs += 2) {
		put(w, ",%s=\"", pairs[0]);
		put_escaped(w, pairs[1]);
		put(w, "\"");
	}
	put(w, "} ");
}

static void sample_u64(struct writing *w, const char *name, const char *const *pairs, uint64_t n)
{
	labels(w, name, pairs);
	put(w, "%" PRIu64 "\n", n);
}

/* Milliseconds as seconds. */
static void sample_ms(struct writing *w, const char *name, const char *const *pairs, int64_t ms)
{
	labels(w, name, pairs);
	put(w, "%s%" PRIu64 ".%03" PRIu64 "\n", ms < 0 ? "-" : "",
	    (uint64_t)(ms < 0 ? -ms : ms) / 1000, (uint64_t)(ms < 0 ? -ms : ms) % 1000);
}

/* What is not known has no sample. */
static void sample_time(struct writing *w, const char *name, const char *const *pairs,
			const json_t *obj, const char *key)
{
	int64_t ms = overview_time(obj, key);
	if (ms > 0)
		sample_u64(w, name, pairs, (uint64_t)ms / 1000);
}

/* ---- one object, one sample for each of its fields ---- */

/* A time taken of 0 ms is one that nobody took: a drill that never got so far. */
enum field_kind { FIELD_NUMBER, FIELD_MS, FIELD_MS_TAKEN, FIELD_TIME, FIELD_BOOL };

struct field {
	const char *name, *key;
	enum field_kind kind;
	const char *help;
};

static void sample_field(struct writing *w, const struct field *f, const char *const *pairs,
			 const json_t *obj)
{
	const json_t *value = json_object_get(obj, f->key);
	switch (f->kind) {
	case FIELD_NUMBER:
		if (json_is_integer(value))
			sample_u64(w, f->name, pairs, json_u64_or(obj, f->key, 0));
		break;
	case FIELD_MS:
		if (json_is_integer(value))
			sample_ms(w, f->name, pairs, json_integer_value(value));
		break;
	case FIELD_MS_TAKEN:
		if (json_u64_or(obj, f->key, 0) > 0)
			sample_ms(w, f->name, pairs, json_integer_value(value));
		break;
	case FIELD_TIME:
		sample_time(w, f->name, pairs, obj, f->key);
		break;
	case FIELD_BOOL:
		if (json_is_boolean(value))
			sample_u64(w, f->name, pairs, json_is_true(value));
		break;
	}
}

static void put_object(struct writing *w, const struct field *fields, size_t count,
		       const json_t *obj)
{
	if (!json_is_object(obj))
		return;
	for (size_t i = 0; i < count; i++) {
		head(w, fields[i].name, GAUGE, fields[i].help);
		sample_field(w, &fields[i], NULL, obj);
	}
}

#define PUT_OBJECT(w, fields, obj) put_object(w, fields, sizeof(fields) / sizeof *(fields), obj)

static const struct field newest_fields[] = {
    {"backup_last_success_timestamp_seconds", "taken", FIELD_TIME,
     "When the newest whole backup was taken."},
    {"backup_age_seconds", "age_ms", FIELD_MS,
     "RPO: the age of the newest whole backup when these metrics were made."},
    {"backup_duration_seconds", "duration_ms", FIELD_MS, "How long the newest backup took."},
    {"backup_size_bytes", "bytes", FIELD_NUMBER, "The newest backup's archive as stored."},
    {"backup_raw_size_bytes", "raw_bytes", FIELD_NUMBER,
     "The newest backup's data before compression."},
    {"backup_databases", "databases", FIELD_NUMBER, "Databases in the newest backup."},
    {"backup_tables", "tables", FIELD_NUMBER, "Tables in the newest backup."},
    {"backup_rows", "rows", FIELD_NUMBER, "Rows of all tables in the newest backup."},
    {"backup_keys", "keys", FIELD_NUMBER, "Redis keys in the newest backup."},
    {"backup_files", "files", FIELD_NUMBER, "Files in the newest backup."},
    {"backup_warnings", "warnings", FIELD_NUMBER, "Warnings in the newest backup's manifest."},
    {"backup_suspicious", "suspicious", FIELD_BOOL,
     "1 when the newest backup looks wrong beside those before it."},
};

static const struct field proven_fields[] = {
    {"proven_backup_timestamp_seconds", "taken", FIELD_TIME,
     "When the newest proven backup was taken."},
    {"proven_backup_age_seconds", "age_ms", FIELD_MS,
     "The age of the newest proven backup when these metrics were made."},
    {"proof_last_success_timestamp_seconds", "proved", FIELD_TIME,
     "When the newest proven backup passed its drill."},
    {"proven_backup_restore_seconds", "restore_ms", FIELD_MS,
     "How long the restore of the newest proven backup took in its drill."},
};

static const struct field drill_fields[] = {
    {"drill_last_timestamp_seconds", "started", FIELD_TIME, "When the newest drill began."},
    {"drill_restore_seconds", "restore_ms", FIELD_MS_TAKEN,
     "RTO: how long the newest drill took to restore, up to answering servers."},
    {"drill_proof_seconds", "prove_ms", FIELD_MS_TAKEN, "How long the newest drill's proof took."},
    {"drill_data_age_seconds", "data_age_ms", FIELD_MS_TAKEN,
     "How old the data was when the newest drill began."},
    {"drill_comparisons", "compared", FIELD_NUMBER, "Comparisons of the newest drill."},
    {"drill_differences", "failed", FIELD_NUMBER, "Comparisons of the newest drill that differ."},
    {"drill_unverified", "unverified", FIELD_NUMBER,
     "What the newest drill should have compared and could not."},
};

/* One sample is 1, the others 0. */
static void put_states(struct writing *w, const char *name, const char *help, const char *label,
		       const char *const *states, const char *current)
{
	head(w, name, GAUGE, help);
	for (; *states != NULL; states++)
		sample_u64(w, name, (const char *const[]){label, *states, NULL},
			   strcmp(*states, current) == 0);
}

static void put_ratio(struct writing *w, const json_t *newest)
{
	uint64_t raw = json_u64_or(newest, "raw_bytes", 0),
		 stored = json_u64_or(newest, "bytes", 0);
	if (stored == 0)
		return;
	head(w, "backup_compression_ratio", GAUGE,
	     "The newest backup's data before compression, divided by its archive.");
	labels(w, "backup_compression_ratio", NULL);
	put(w, "%.3f\n", (double)raw / (double)stored);
}

/* ---- stores ---- */

struct store_sums {
	uint64_t backups, bytes, broken, damaged, proven;
	const json_t *newest; /* that is not broken */
};

static struct store_sums sums_of(const json_t *store)
{
	struct store_sums r = {0};
	size_t i;
	json_t *b;
	json_array_foreach(json_object_get(store, "backups"), i, b)
	{
		bool broken = json_is_string(json_object_get(b, "broken"));
		r.backups++;
		r.broken += broken;
		r.damaged += json_is_true(json_object_get(b, "damaged"));
		r.bytes += json_u64_or(b, "bytes", 0);
		r.proven += !broken && strcmp(json_str_or(b, "proof", ""), "passed") == 0;
		if (r.newest == NULL && !broken && !json_is_true(json_object_get(b, "partial")))
			r.newest = b;
	}
	return r;
}

static void put_store(struct writing *w, size_t metric, const json_t *store)
{
	struct store_sums sums = sums_of(store);
	const char *const pairs[] = {"store", json_str_or(store, "label", ""), "site",
				     json_str_or(store, "site", ""), NULL};
	bool up = json_is_true(json_object_get(store, "reachable"));
	if (metric == 0)
		sample_u64(w, "store_up", pairs, up);
	if (!up)
		return;
	if (metric == 1)
		sample_u64(w, "store_backups", pairs, sums.backups);
	if (metric == 2)
		sample_u64(w, "store_broken_backups", pairs, sums.broken);
	if (metric == 3)
		sample_u64(w, "store_proven_backups", pairs, sums.proven);
	if (metric == 4)
		sample_u64(w, "store_size_bytes", pairs, sums.bytes);
	if (metric == 5 && json_is_integer(json_object_get(store, "free_bytes")))
		sample_u64(w, "store_free_bytes", pairs, json_u64_or(store, "free_bytes", 0));
	if (metric == 6)
		sample_u64(w, "store_damaged_backups", pairs, sums.damaged);
	if (metric == 7)
		sample_time(w, "store_newest_backup_timestamp_seconds", pairs, sums.newest,
			    "taken");
}

static void put_stores(struct writing *w, const json_t *stores)
{
	static const char *const metrics[][2] = {
	    {"store_up", "1 when the store answered."},
	    {"store_backups", "Backups in the store."},
	    {"store_broken_backups", "Backups in the store that can't be used."},
	    {"store_proven_backups", "Backups in the store that passed their drill."},
	    {"store_size_bytes", "Archives in the store, together."},
	    {"store_free_bytes", "Room left in the store, where it says so."},
	    {"store_damaged_backups",
	     "Backups in the store of which a verify found bytes changed."},
	    {"store_newest_backup_timestamp_seconds",
	     "When the newest whole backup in the store was taken."}};
	for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
		size_t i;
		json_t *store;
		head(w, metrics[m][0], GAUGE, metrics[m][1]);
		json_array_foreach(stores, i, store)
		{
			put_store(w, m, store);
		}
	}
}

/* What a store lacks of the backups that it should have copies of. */
static void put_copies(struct writing *w, const json_t *copies)
{
	size_t i;
	json_t *copy;
	head(w, "store_missing_backups", GAUGE,
	     "Backups of the first store that this one should have copies of and lacks.");
	json_array_foreach(copies, i, copy)
	{
		const json_t *missing = json_object_get(copy, "missing");
		if (json_is_integer(missing))
			sample_u64(
			    w, "store_missing_backups",
			    (const char *const[]){"store", json_str_or(copy, "store", ""), NULL},
			    (uint64_t)json_integer_value(missing));
	}
}

/* ---- jobs of the daemon ---- */

static const struct field job_fields[] = {
    {"job_next_timestamp_seconds", "next", FIELD_TIME, "When the job is due next."},
    {"job_overdue", "overdue", FIELD_BOOL, "1 when the job's time is long past."},
    {"job_consecutive_failures", "failures", FIELD_NUMBER,
     "How many runs of the job failed in a row."},
};

static void put_last_runs(struct writing *w, const json_t *jobs)
{
	static const struct field last[] = {
	    {"job_last_run_timestamp_seconds", "began", FIELD_TIME, "When the job ran last."},
	    {"job_last_duration_seconds", "duration_ms", FIELD_MS,
	     "How long the job's last run took."}};
	static const struct field success = {"job_last_success_timestamp_seconds", "ended",
					     FIELD_TIME,
					     "When the job's last successful run ended."};
	const char *name;
	json_t *job;
	for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
		head(w, last[i].name, GAUGE, last[i].help);
		json_object_foreach((json_t *)(uintptr_t)jobs, name, job)
		{
			sample_field(w, &last[i], (const char *const[]){"job", name, NULL},
				     json_object_get(job, "last"));
		}
	}
	head(w, success.name, GAUGE, success.help);
	json_object_foreach((json_t *)(uintptr_t)jobs, name, job)
	{
		sample_field(w, &success, (const char *const[]){"job", name, NULL},
			     json_object_get(job, "last_success"));
	}
}

/* One sample for each name that may be counted, 0 where it is not: an increase shows only over a
 * number that was there before. */
static void put_count(struct writing *w, const char *metric, const char *job, const char *label,
		      const char *name, const json_t *counts)
{
	sample_u64(w, metric, (const char *const[]){"job", job, label, name, NULL},
		   json_u64_or(counts, name, 0));
}

static void put_runs(struct writing *w, const json_t *jobs)
{
	const char *name;
	json_t *job;
	head(w, "job_runs_total", COUNTER, "Runs of the job that have ended, by how.");
	json_object_foreach((json_t *)(uintptr_t)jobs, name, job)
	{
		const json_t *counts = json_object_get(json_object_get(job, "counts"), "runs");
		for (enum job_outcome o = 0; o < JOB_OUTCOMES; o++)
			put_count(w, "job_runs_total", name, "outcome", job_outcome_name(o),
				  counts);
	}
}

static void put_failures(struct writing *w, const json_t *jobs)
{
	static const enum job_outcome without_code[] = {JOB_CRASHED, JOB_LOST};
	const char *name;
	json_t *job;
	head(w, "job_failures_total", COUNTER, "Runs of the job that failed, by what went wrong.");
	json_object_foreach((json_t *)(uintptr_t)jobs, name, job)
	{
		const json_t *counts = json_object_get(json_object_get(job, "counts"), "failures");
		for (enum err_code c = ERR_NONE + 1; c < ERR_CODES; c++)
			put_count(w, "job_failures_total", name, "kind", err_code_name(c), counts);
		for (size_t i = 0; i < sizeof without_code / sizeof *without_code; i++)
			put_count(w, "job_failures_total", name, "kind",
				  job_outcome_name(without_code[i]), counts);
	}
}

/* ---- the daemon itself ---- */

static void put_notifiers(struct writing *w, const json_t *notifiers)
{
	static const struct field fields[] = {
	    {"notifier_waiting_notices", "waiting", FIELD_NUMBER,
	     "Notices that wait for the notifier."},
	    {"notifier_lost_notices", "lost", FIELD_NUMBER,
	     "Notices that were given up since the notifier last worked."},
	    {"notifier_failing_since_timestamp_seconds", "failing_since", FIELD_TIME,
	     "When the notifier began to fail; no sample while it works."}};
	size_t i;
	json_t *n;
	head(w, "notifier_up", GAUGE, "0 when the last try to tell the notifier failed.");
	json_array_foreach(notifiers, i, n)
	{
		sample_u64(w, "notifier_up",
			   (const char *const[]){"notifier", json_str_or(n, "notifier", "?"), NULL},
			   overview_time(n, "failing_since") == 0);
	}
	for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
		head(w, fields[f].name, GAUGE, fields[f].help);
		json_array_foreach(notifiers, i, n)
		{
			sample_field(w, &fields[f],
				     (const char *const[]){"notifier",
							   json_str_or(n, "notifier", "?"), NULL},
				     n);
		}
	}
}

static void put_daemon(struct writing *w, const json_t *agent)
{
	static const struct field loaded = {"agent_config_loaded_timestamp_seconds", "loaded",
					    FIELD_TIME, "When the configuration in use was read."};
	head(w, "agent_running", GAUGE, "1 while lifeboat run is there.");
	sample_u64(w, "agent_running", NULL, json_is_integer(json_object_get(agent, "pid")));
	head(w, "agent_config_refused", GAUGE,
	     "1 when a newer configuration was refused and the one before it is in use.");
	sample_u64(w, "agent_config_refused", NULL,
		   json_is_object(json_object_get(agent, "refused")));
	head(w, loaded.name, GAUGE, loaded.help);
	sample_field(w, &loaded, NULL, agent);
	put_notifiers(w, json_object_get(agent, "notifiers"));
}

static void put_jobs(struct writing *w, const json_t *agent)
{
	const json_t *jobs = json_object_get(agent, "jobs");
	const char *name;
	json_t *job;
	if (!json_is_object(agent))
		return;
	put_daemon(w, agent);
	for (size_t i = 0; i < sizeof job_fields / sizeof *job_fields; i++) {
		head(w, job_fields[i].name, GAUGE, job_fields[i].help);
		json_object_foreach((json_t *)(uintptr_t)jobs, name, job)
		{
			sample_field(w, &job_fields[i], (const char *const[]){"job", name, NULL},
				     job);
		}
	}
	put_last_runs(w, jobs);
	put_runs(w, jobs);
	put_failures(w, jobs);
}

int metrics_text(const json_t *doc, struct buf *out, struct err *err)
{
	static const char *const levels[] = {"safe", "attention", "danger", NULL};
	static const char *const outcomes[] = {"passed", "failed", "could not verify", NULL};
	struct writing w = {.out = out, .err = err, .stack = json_str_or(doc, "stack", "")};
	const json_t *newest = json_object_get(doc, "newest");
	const json_t *drill = json_array_get(json_object_get(doc, "drills"), 0);
	head(&w, "build_info", GAUGE, "1, with the version that made these metrics.");
	sample_u64(&w, "build_info",
		   (const char *const[]){"version", json_str_or(doc, "version", ""), NULL}, 1);
	head(&w, "status_timestamp_seconds", GAUGE, "When these metrics were made.");
	sample_time(&w, "status_timestamp_seconds", NULL, doc, "generated");
	put_states(&w, "status_level", "1 for the level that the verdict has.", "level", levels,
		   json_str_or(doc, "level", ""));
	head(&w, "backups", GAUGE, "Different backups in all stores.");
	sample_u64(&w, "backups", NULL, json_u64_or(doc, "backups", 0));
	head(&w, "missing_parts", GAUGE, "What in the stack is known to have no backup.");
	sample_u64(&w, "missing_parts", NULL,
		   json_array_size(json_object_get(doc, "not_backed_up")));
	PUT_OBJECT(&w, newest_fields, newest);
	put_ratio(&w, newest);
	PUT_OBJECT(&w, proven_fields, json_object_get(doc, "proven"));
	PUT_OBJECT(&w, drill_fields, drill);
	if (drill != NULL)
		put_states(&w, "drill_outcome", "1 for the outcome of the newest drill.", "outcome",
			   outcomes, json_str_or(drill, "outcome", ""));
	put_stores(&w, json_object_get(doc, "stores"));
	put_copies(&w, json_object_get(doc, "copies"));
	put_jobs(&w, json_object_get(doc, "agent"));
	return w.failed ? -1 : 0;
}

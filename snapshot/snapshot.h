/*
 * The state of one backup while it is taken, shared by its components. Inside snapshot/ only.
 *
 * A component is planned (asked what it has, before a byte is written, so that most failures come
 * early) and then taken. What both learn goes into its section of the manifest.
 */
#ifndef LIFEBOAT_SNAPSHOT_SNAPSHOT_H
#define LIFEBOAT_SNAPSHOT_SNAPSHOT_H

#include "snapshot/backup.h"

struct snapshot {
	const struct backup_job *job;
	struct writer *writer;
	json_t *manifest;   /* owned */
	json_t *components; /* borrowed from the manifest */
	json_t *warnings;   /* borrowed from the manifest: array of sentences */
	uint64_t taken_bytes, expected_bytes;
	const char *taking;    /* for progress */
	struct sha256 *stored; /* of what goes to the store, where that is encrypted; else NULL */
	uint64_t stored_bytes;
	/* totals for the sidecar */
	uint64_t databases, tables, rows, large_objects, redis_keys, files;
};

struct component {
	const char *name;
	bool (*is_part)(const struct backup_job *job);
	int (*plan)(struct snapshot *s, json_t *section, struct err *err);
	int (*take)(struct snapshot *s, json_t *section, struct err *err);
};
extern const struct component take_postgres, take_redis, take_pgbouncer, take_volumes;

/* Puts "volume" (the one in which `component` has `path`, called `configured` in agent.conf) and
 * "runtime" (how production runs it) into the section. */
int snapshot_runtime(struct snapshot *s, json_t *section, const char *component, const char *path,
		     const char *configured, struct err *err) MUST_USE;
/* One more sentence in the manifest's "warnings". */
int snapshot_warn(struct snapshot *s, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4)
    MUST_USE;
/* Is this name among job->only (or is everything wanted)? */
bool snapshot_wants(const struct snapshot *s, const char *name);
/* Copies `from` (taken) into the stream `name` of the archive, with progress, and `side` (taken,
 * may be NULL) beside it; the side is closed before the stream is. *ret_bytes may be NULL. */
int snapshot_stream(struct snapshot *s, const char *name, struct source *from, struct sink *side,
		    uint64_t *ret_bytes, struct err *err) MUST_USE;
/* An ordinary member from memory, mode 0600, counted. */
int snapshot_file(struct snapshot *s, const char *name, const void *data, size_t len,
		  struct err *err) MUST_USE;
/* A member with its attributes under a new name; `content` is borrowed. Adds to the counts. */
int snapshot_entry(struct snapshot *s, const char *name, struct archive_entry *entry,
		   struct source *content, struct err *err) MUST_USE;
/* A name from outside as one component of a member's name: what is not [A-Za-z0-9_.-] or would be
 * hidden becomes %XX. A new string. */
int snapshot_member_name(const char *text, char **ret, struct err *err) MUST_USE;

/* The object that the archive is written to, encrypted where the job has recipients. */
int snapshot_object(struct snapshot *s, const char *name, struct sink **ret, struct err *err)
    MUST_USE;
/* Puts what was stored into the totals of what was written. */
void snapshot_object_totals(struct snapshot *s, struct writer_totals *totals);
/* The job's recipients as age1… texts, or NULL in *ret without any. A new reference. */
int snapshot_recipients(const struct snapshot *s, json_t **ret, struct err *err) MUST_USE;

/* The text of RESTORE.md for what the manifest holds so far. A new string. */
int restore_md_text(const json_t *manifest, const char *archive_name, char **ret, struct err *err)
    MUST_USE;

#endif

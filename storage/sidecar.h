/*
 * The sidecar of a backup: the small JSON object whose existence is the backup's commit. Nothing in
 * it is secret. docs/sidecar.md lists its fields.
 *
 *  1. fill a struct sidecar, sidecar_json(&s, &json, err)      what a backup writes last
 *  2. sidecar_parse(json, &s, err)                             validated; borrows from the JSON
 */
#ifndef LIFEBOAT_STORAGE_SIDECAR_H
#define LIFEBOAT_STORAGE_SIDECAR_H

#include "base/json.h"
#include "storage/store/store.h"

enum { SIDECAR_MAX_BYTES = 1 << 20 };

/* All pointers are borrowed. */
struct sidecar {
	const char *id;
	const char *stack;
	const char *archive; /* object name */
	uint64_t bytes;      /* of the archive as stored */
	const char *sha256;  /* of the archive as stored, 64 lower-case digits */
	const char *started; /* RFC 3339, UTC, as clock_rfc3339 writes it */
	const char *finished;
	const char *label; /* NULL: none */
	bool pinned;
	bool partial;    /* taken with --only: not the whole stack */
	bool suspicious; /* looks wrong beside those before it: far fewer rows, far smaller */
	const json_t *suspicion; /* why: an array of text; NULL: nothing was ever suspicious */
	const char *trusted;     /* when a person said that it is right nevertheless; NULL: never */
	const char *lifeboat_version;
	uint64_t databases, tables, rows, large_objects, redis_keys, files, raw_bytes;
	/* Names of components: an array of strings, or an object with the names as its keys. */
	const json_t *components;
	uint64_t warnings;
	/* Of an encrypted archive: whose identities open it, as age1… texts; may be empty. NULL: it
	 * is not encrypted. */
	const json_t *recipients;
};

/* A new reference. A label that is not UTF-8 gets U+FFFD where it is not. */
int sidecar_json(const struct sidecar *s, json_t **ret, struct err *err) MUST_USE;

/* ERR_CORRUPT names the field that is missing or wrong. Fields it does not know are fine. */
int sidecar_parse(const json_t *j, struct sidecar *ret, struct err *err) MUST_USE;
/* Reads one out of a store; *ret borrows from *ret_json. */
int sidecar_load(struct store *s, const char *name, json_t **ret_json, struct sidecar *ret,
		 struct err *err) MUST_USE;

#endif

/* Names of a backup's objects: "<stack>-<id>.tar.zst" and the like, told apart from everything else
 * that may lie in a store. */
#ifndef LIFEBOAT_STORAGE_STORE_CATALOG_NAME_H
#define LIFEBOAT_STORAGE_STORE_CATALOG_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

/* "20261123T020000Z-3f9c" */
bool catalog_id_is_valid(const char *id);
/* `drill_ms`: when the drill began. */
int catalog_archive_name(const char *stack, const char *id, char out[201], struct err *err)
    MUST_USE;
int catalog_encrypted_name(const char *stack, const char *id, char out[201], struct err *err)
    MUST_USE;
int catalog_sidecar_name(const char *stack, const char *id, char out[201], struct err *err)
    MUST_USE;
int catalog_evidence_name(const char *stack, const char *id, int64_t drill_ms, char out[201],
			  struct err *err) MUST_USE;
int catalog_verdict_name(const char *stack, const char *id, int64_t verify_ms, char out[201],
			 struct err *err) MUST_USE;

enum catalog_name_kind {
	CATALOG_NAME_SIDECAR,  /* <stack>-<id>.json */
	CATALOG_NAME_ARCHIVE,  /* <stack>-<id>.tar.zst, <stack>-<id>.tar.zst.age */
	CATALOG_NAME_EVIDENCE, /* <stack>-<id>.drill-20261123T040000Z.json */
	CATALOG_NAME_VERDICT,  /* <stack>-<id>.verify-20261123T040000Z.json */
};

struct catalog_name {
	enum catalog_name_kind kind;
	char id[32];
	int64_t id_ms;     /* the time in the id, wall clock */
	int64_t result_ms; /* of evidence and verdicts: the time in the name */
};

/* False for what is no object of a backup of exactly this stack; *ret is then untouched. */
bool catalog_name_parse(const char *stack, const char *name, struct catalog_name *ret);

/* Does the stack write objects of that name: of its backups, its lock, its marks? Never one of the
 * stack "hdms-eu" when asked about "hdms". */
bool catalog_name_belongs(const char *stack, const char *name);

#endif

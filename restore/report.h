/*
 * The report of a proof: every comparison, counted; every difference, named. Three answers exist:
 * passed, failed, could not verify; and nothing compared is never "passed".
 */
#ifndef LIFEBOAT_RESTORE_REPORT_H
#define LIFEBOAT_RESTORE_REPORT_H

#include "base/json.h"

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_UNVERIFIED };
/* "passed", "failed", "could not verify" */
const char *outcome_name(enum outcome o);

struct report {
	uint64_t compared, failed, unverified;
	json_t *differences; /* [{"component","where","what","expected","found"}] */
	json_t *unknowns;    /* [{"component","where","why"}] */
	json_t *notes;       /* sentences that change nothing: "12 keys expired meanwhile" */
};

int report_init(struct report *r, struct err *err) MUST_USE;
void report_done(struct report *r);

/* One comparison. Equal texts pass; others are a difference. `where`: "database 'hdms_db', table
 * 'public.users'". */
int report_compare(struct report *r, const char *component, const char *where, const char *what,
		   const char *expected, const char *found, struct err *err) MUST_USE;
int report_compare_u64(struct report *r, const char *component, const char *where, const char *what,
		       uint64_t expected, uint64_t found, struct err *err) MUST_USE;
/* Something that should have been compared could not be. */
int report_unverified(struct report *r, const char *component, const char *where, const char *why,
		      struct err *err) MUST_USE;
int report_note(struct report *r, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

enum outcome report_outcome(const struct report *r);
/* {"outcome","compared","failed","unverified","differences","unknowns","notes"}. New reference. */
int report_json(const struct report *r, json_t **ret, struct err *err) MUST_USE;
#endif

#include "restore/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {[OUTCOME_PASSED] = "passed",
					    [OUTCOME_FAILED] = "failed",
					    [OUTCOME_UNVERIFIED] = "could not verify"};
	return names[o];
}

int report_init(struct report *r, struct err *err)
{
	*r = (struct report){
	    .differences = json_array(), .unknowns = json_array(), .notes = json_array()};
	if (r->differences == NULL || r->unknowns == NULL || r->notes == NULL) {
		report_done(r);
		return err_nomem(err, "a report");
	}
	return 0;
}

void report_done(struct report *r)
{
	json_decref(r->differences);
	json_decref(r->unknowns);
	json_decref(r->notes);
	*r = (struct report){0};
}

int report_compare(struct report *r, const char *component, const char *where, const char *what,
		   const char *expected, const char *found, struct err *err)
{
	r->compared++;
	if (strcmp(expected, found) == 0)
		return 0;
	r->failed++;
	json_t *d = json_object();
	if (json_push(r->differences, d, err) < 0 ||
	    json_put(d, "component", json_text_value(component), err) < 0 ||
	    json_put(d, "where", json_text_value(where), err) < 0 ||
	    json_put(d, "what", json_text_value(what), err) < 0 ||
	    json_put(d, "expected", json_text_value(expected), err) < 0)
		return -1;
	return json_put(d, "found", json_text_value(found), err);
}

int report_compare_u64(struct report *r, const char *component, const char *where, const char *what,
		       uint64_t expected, uint64_t found, struct err *err)
{
	char a[24], b[24];
	snprintf(a, sizeof a, "%" PRIu64, expected);
	snprintf(b, sizeof b, "%" PRIu64, found);
	return report_compare(r, component, where, what, a, b, err);
}

int report_unverified(struct report *r, const char *component, const char *where, const char *why,
		      struct err *err)
{
	r->unverified++;
	json_t *u = json_object();
	if (json_push(r->unknowns, u, err) < 0 ||
	    json_put(u, "component", json_text_value(component), err) < 0 ||
	    json_put(u, "where", json_text_value(where), err) < 0)
		return -1;
	return json_put(u, "why", json_text_value(why), err);
}

int report_note(struct report *r, struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return json_push(r->notes, json_text_value(text), err);
}

enum outcome report_outcome(const struct report *r)
{
	if (r->failed > 0)
		return OUTCOME_FAILED;
	/* Zero comparisons is how a verifier says "0 = 0" and calls it success. */
	if (r->unverified > 0 || r->compared == 0)
		return OUTCOME_UNVERIFIED;
	return OUTCOME_PASSED;
}

int report_json(const struct report *r, json_t **ret, struct err *err)
{
	json_t *j =
	    json_pack("{s:s, s:I, s:I, s:I, s:O, s:O, s:O}", "outcome",
		      outcome_name(report_outcome(r)), "compared", (json_int_t)r->compared,
		      "failed", (json_int_t)r->failed, "unverified", (json_int_t)r->unverified,
		      "differences", r->differences, "unknowns", r->unknowns, "notes", r->notes);
	if (j == NULL)
		return err_nomem(err, "a report");
	*ret = j;
	return 0;
}

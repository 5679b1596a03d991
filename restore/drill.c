/*
 * The drill: a restore into volumes that are thrown away, its proof, the proof that the proof can
 * fail, and the evidence of it all beside the archive.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "restore/restore_impl.h"
#include "restore/sandbox.h"
#include "storage/failures.h"

static const char *const control_failed =
    "the negative control was not noticed: a proof that can't fail proves nothing";

static const char *const control_empty =
    "nothing in this backup, no row and no key, could be changed for the negative control";

/* Restore, proof and control; the sandbox is gone when it returns. */
static int run_drill(const struct restore_job *job, const char *suffix, struct restore_result *r,
		     json_t *evidence, bool *ret_tried, struct err *err)
{
	CLEANUP(sandbox_freep) struct sandbox *sb = NULL;
	CLEANUP(report_done) struct report report = {0};
	json_t *control = NULL;
	enum outcome controlled;
	size_t changes = 0;
	int64_t began = clock_monotonic_ms();

	if (sandbox_open(job, suffix, &sb, err) < 0 || restore_preflight(sb, err) < 0)
		return -1;
	*ret_tried = true;
	if (restore_load(sb, err) < 0)
		return -1;
	r->restore_ms = clock_monotonic_ms() - began;
	if (report_init(&report, err) < 0 || restore_prove(sb, &report, err) < 0)
		return -1;
	r->prove_ms = clock_monotonic_ms() - began - r->restore_ms;
	/* A proof that has failed shows by itself that it can, and what it found must be told. */
	r->outcome = report_outcome(&report);
	if (r->outcome == OUTCOME_FAILED)
		return report_json(&report, &r->report, err);
	if (restore_control(sb, &control, &controlled, &changes, err) < 0 ||
	    json_put(evidence, "negative_control", control, err) < 0)
		return -1;
	if (controlled != OUTCOME_PASSED &&
	    report_unverified(&report, "drill", "negative control",
			      changes > 0 ? control_failed : control_empty, err) < 0)
		return -1;
	r->outcome = report_outcome(&report);
	return report_json(&report, &r->report, err);
}

static int begin_evidence(const struct restore_job *job, int64_t now_ms, json_t **ret,
			  struct err *err)
{
	char text[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep) json_t *e = json_object();
	CLEANUP(json_freep) json_t *answers = NULL;
	if (failures_of(job->backup->evidence, &answers, err) < 0 ||
	    json_put(e, "answers", json_incref(answers), err) < 0)
		return -1;
	if (json_put(e, "format", json_string("lifeboat-evidence"), err) < 0 ||
	    json_put(e, "format_version", json_integer(1), err) < 0 ||
	    json_put(e, "id", json_string(job->backup->id), err) < 0 ||
	    json_put(e, "stack", json_string(job->stack), err) < 0 ||
	    json_put(e, "archive_sha256", json_string(job->backup->sha256), err) < 0 ||
	    json_put(e, "lifeboat_version", json_string(LIFEBOAT_VERSION), err) < 0 ||
	    json_put(e, "started", json_string(clock_rfc3339(now_ms, text)), err) < 0)
		return -1;
	*ret = e;
	e = NULL;
	return 0;
}

/* Adds the verdict and writes it beside the archive. */
static int write_evidence(const struct restore_job *job, struct restore_result *r, json_t *evidence,
			  int64_t began_ms, const struct err *failure, struct err *err)
{
	char text[CLOCK_TEXT_BYTES];
	CLEANUP(freep) char *json = NULL;
	if (json_put(evidence, "outcome", json_string(outcome_name(r->outcome)), err) < 0 ||
	    json_put(evidence, "finished", json_string(clock_rfc3339(clock_wall_ms(), text)), err) <
		0 ||
	    json_put(evidence, "restore_ms", json_integer(r->restore_ms), err) < 0 ||
	    json_put(evidence, "prove_ms", json_integer(r->prove_ms), err) < 0 ||
	    json_put(evidence, "data_age_ms", json_integer(r->data_age_ms), err) < 0)
		return -1;
	if (r->report != NULL && json_put(evidence, "proof", json_incref(r->report), err) < 0)
		return -1;
	if (failure != NULL && json_put(evidence, "error", json_text_value(failure->msg), err) < 0)
		return -1;
	/* Bytes that are wrong here say nothing of the copies in other stores. */
	if (failure != NULL && failure->code == ERR_CORRUPT &&
	    json_put(evidence, "this_copy_only", json_true(), err) < 0)
		return -1;
	if (json_text(evidence, true, &json, err) < 0)
		return -1;
	return catalog_put_result(job->store, catalog_evidence_name, job->stack, job->backup->id,
				  began_ms, json, r->evidence_name, err);
}

/* A backup that does not restore has failed its drill. What only kept us from trying (a cancelled
 * job, no room, a missing tool, a store that is away) says nothing about the backup. */
static bool blames_backup(const struct err *err, bool tried)
{
	return err->code == ERR_CORRUPT ||
	       (tried && (err->code == ERR_FAILED || err->code == ERR_DENIED));
}

int drill_run(const struct restore_job *job, struct restore_result *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *evidence = NULL;
	CLEANUP(restore_result_done) struct restore_result r = {.outcome = OUTCOME_UNVERIFIED};
	CLEANUP(freep) char *suffix = NULL;
	char run_id[32];
	int64_t now_ms = clock_wall_ms();
	r.data_age_ms = now_ms - job->backup->taken_ms;
	if (catalog_new_id(now_ms, run_id, err) < 0 ||
	    str_printf(&suffix, err, "drill-%s", run_id) < 0 ||
	    begin_evidence(job, now_ms, &evidence, err) < 0)
		return -1;
	bool tried = false;
	if (run_drill(job, suffix, &r, evidence, &tried, err) < 0) {
		struct err ignored = ERR_INIT;
		r.outcome = blames_backup(err, tried) ? OUTCOME_FAILED : OUTCOME_UNVERIFIED;
		cancel_hold();
		if (write_evidence(job, &r, evidence, now_ms, err, &ignored) < 0)
			err_clear(&ignored); /* the first error is the one to tell */
		cancel_release();
		return -1;
	}
	if (fault_point("evidence", err) < 0 ||
	    write_evidence(job, &r, evidence, now_ms, NULL, err) < 0)
		return err_wrap(err, "evidence of the drill");
	r.evidence = json_incref(evidence);
	*ret = r;
	r = (struct restore_result){0};
	return 0;
}

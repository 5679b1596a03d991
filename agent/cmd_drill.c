#include <stdlib.h>
#include "agent/commands.h"
#include "agent/copies.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/proof_text.h"

static void say_control(struct app *app, const json_t *evidence)
{
	const char *name;
	json_t *report;
	json_object_foreach(json_object_get(evidence, "negative_control"), name, report)
	{
		const json_t *d = json_array_get(json_object_get(report, "differences"), 0);
		if (d != NULL)
			output_say(app->out, "  negative control, %s: noticed: %s: %s", name,
				   json_str_or(d, "where", "?"), json_str_or(d, "what", "?"));
		else
			output_line(app->out,
				    "  negative control, %s: " STYLE_BAD "not noticed" STYLE_END,
				    name);
	}
}

int cmd_drill(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(restore_result_done) struct restore_result r = {.outcome = OUTCOME_UNVERIFIED};
	struct restore_job job;
	char rto[FORMAT_BYTES], rpo[FORMAT_BYTES];
	if (job_open(app, cli_value(app->cli, "store"), "drill", &j, err) < 0 ||
	    engine_sweep(j->engine, false, NULL, err) < 0 || job_restore(j, &job, err) < 0)
		return -1;
	if (job_mark(j, job.backup, "drill", err) < 0)
		return -1;
	int rc = drill_run(&job, &r, err);
	/* Of a drill that failed as well. */
	if (rc == 0 || err->code != ERR_CANCELLED)
		copies_spread_evidence(app, j->store, job.backup->id);
	if (rc < 0)
		return err_wrap(err, "drill of backup '%s'", job.backup->id);
	progress_free(j->progress);
	j->progress = NULL;
	output_line(app->out,
		    "drill of backup " STYLE_BOLD "%s" STYLE_END
		    ": restored in %s, data was %s old",
		    job.backup->id, format_duration(r.restore_ms, rto),
		    format_duration(r.data_age_ms, rpo));
	proof_text_say(app->out, r.outcome, r.report, r.prove_ms);
	say_control(app, r.evidence);
	output_say(app->out, "  evidence: '%s' in store '%s'", r.evidence_name,
		   j->store_config->label);
	if (output_json(app->out, json_incref(r.evidence), err) < 0)
		return -1;
	return proof_text_error(r.outcome, r.report, err);
}

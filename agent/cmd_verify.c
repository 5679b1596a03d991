#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/format.h"
#include "agent/verify.h"

struct watching {
	struct job *job;
	const char *id;
};

static void seen(void *ctx, uint64_t done, uint64_t of)
{
	struct watching *w = ctx;
	job_progress(w->job, done, of, w->id);
}

/* One backup, read back as a whole. *ret_json says how it went also when it went badly. */
static int verify_one(struct job *j, const struct backup *b, json_t **ret_json, struct err *err)
{
	struct reader_report report = {0};
	bool rebuilt = false;
	struct watching w = {.job = j, .id = b->id};
	const struct reader_watch watch = {.progress = seen, .ctx = &w};
	int64_t began = clock_monotonic_ms();
	char size[FORMAT_BYTES], took[FORMAT_BYTES];
	int rc = b->broken[0] != '\0' ? err_set(err, ERR_CORRUPT, "%s", b->broken) : 0;
	if (rc == 0)
		rc = job_mark(j, b, "verify", err);
	if (rc == 0)
		rc = verify_backup(j, b, &watch, &report, &rebuilt, err);
	progress_free(j->progress);
	j->progress = NULL;
	int64_t ms = clock_monotonic_ms() - began;
	bool unverified = rc < 0 && err->code == ERR_UNVERIFIED;
	const char *outcome = rc == 0 ? "passed" : unverified ? "could not verify" : "failed";
	*ret_json =
	    json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:I}", "id", b->id, "outcome", outcome,
		      "error", rc == 0 ? NULL : err->msg, "stored_bytes",
		      (json_int_t)report.stored_bytes, "raw_bytes", (json_int_t)report.raw_bytes,
		      "frames", (json_int_t)report.frames, "duration_ms", (json_int_t)ms);
	if (rc < 0) {
		output_line(j->app->out, "%s  %s%s" STYLE_END "  %s", b->id,
			    unverified ? STYLE_WARN : STYLE_BAD, outcome, err->msg);
		return err_wrap(err, "backup '%s'", b->id);
	}
	output_line(j->app->out,
		    "%s  " STYLE_GOOD "intact" STYLE_END "  %s read back in %s: %llu frames, %llu "
		    "streams and %llu members, every hash right",
		    b->id, format_size(report.stored_bytes, size), format_duration(ms, took),
		    (unsigned long long)report.frames, (unsigned long long)report.streams,
		    (unsigned long long)report.members);
	if (rebuilt)
		output_line(j->app->out,
			    STYLE_WARN "warning" STYLE_END
				       ": the index at the end is damaged and was rebuilt");
	return 0;
}

int cmd_verify(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *results = json_array();
	const struct backup *one = NULL;
	bool all = cli_flag(app->cli, "all");
	if (all && cli_arg_count(app->cli) > 0)
		return err_set(err, ERR_USAGE, "--all and a backup exclude each other");
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0)
		return -1;
	if (all ? catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0
		: job_find(j, cli_arg(app->cli, 0), &one, err) < 0)
		return -1;
	if (all && j->catalog.count == 0)
		return err_set(err, ERR_UNVERIFIED, "there is no backup that could be verified");
	struct err first = ERR_INIT;
	for (size_t i = 0; i < (all ? j->catalog.count : 1); i++) {
		json_t *result = NULL;
		struct err why = ERR_INIT;
		int rc = verify_one(j, all ? &j->catalog.items[i] : one, &result, &why);
		if (json_push(results, result, err) < 0)
			return -1;
		/* A failure says more than what could not be verified. */
		if (rc < 0 && (why.code == ERR_CANCELLED || first.code == ERR_NONE ||
			       first.code == ERR_UNVERIFIED))
			first = why;
		if (why.code == ERR_CANCELLED)
			break;
	}
	if (output_json(app->out, json_pack("{s:O}", "verified", results), err) < 0)
		return -1;
	if (first.code != ERR_NONE) {
		*err = first;
		return -1;
	}
	return 0;
}

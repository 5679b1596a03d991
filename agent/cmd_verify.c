#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/verify.h"

/* ---- saying it ---- */

static void say_sound(struct verifying *v, int64_t ms)
{
	struct output *out = v->job->app->out;
	const struct reader_report *r = &v->report;
	char size[FORMAT_BYTES], all[FORMAT_BYTES], took[FORMAT_BYTES];
	format_size(r->stored_bytes, size);
	format_duration(ms, took);
	if (v->kind == VERDICT_SAMPLE)
		output_line(out,
			    "%s  " STYLE_GOOD "sample sound" STYLE_END
			    "  %s of %s looked at in %s: %llu frames, seed %llu; the rest was not "
			    "looked at",
			    v->backup->id, size, format_size(v->backup->stored_bytes, all), took,
			    (unsigned long long)r->frames, (unsigned long long)v->seed);
	else
		output_line(out,
			    "%s  " STYLE_GOOD "intact" STYLE_END
			    "  %s read back in %s: %llu frames, %llu streams and %llu members, "
			    "every hash right",
			    v->backup->id, size, took, (unsigned long long)r->frames,
			    (unsigned long long)r->streams, (unsigned long long)r->members);
}

/* Damage is a failure. Of an archive that was not read to its end nothing is known. */
static enum proof judge(const struct err *why)
{
	if (why->code == ERR_NONE)
		return PROOF_PASSED;
	return why->code == ERR_CORRUPT || why->code == ERR_LIMIT ? PROOF_FAILED : PROOF_UNVERIFIED;
}

static void say_failed(struct verifying *v, const struct err *why)
{
	struct output *out = v->job->app->out;
	output_line(out, "%s  %s%s" STYLE_END "  %s", v->backup->id,
		    judge(why) == PROOF_UNVERIFIED ? STYLE_WARN : STYLE_BAD, proof_name(judge(why)),
		    why->msg);
	if (v->kind == VERDICT_SAMPLE)
		output_line(out, "  found by a sample, seed %llu", (unsigned long long)v->seed);
	if (v->damage != NULL)
		damage_say(v->damage, out, v->kind == VERDICT_WHOLE && judge(why) == PROOF_FAILED);
}

static int result_json(const struct verifying *v, const struct err *why, int64_t ms, json_t **ret,
		       struct err *err)
{
	bool failed = why->code != ERR_NONE;
	json_t *intact = NULL;
	CLEANUP(json_freep)
	json_t *j = json_pack("{s:s, s:s, s:s, s:o?, s:I, s:I, s:I, s:I}", "id", v->backup->id,
			      "kind", verdict_kind_name(v->kind), "outcome", proof_name(judge(why)),
			      "error", failed ? json_text_value(why->msg) : NULL, "stored_bytes",
			      (json_int_t)v->report.stored_bytes, "raw_bytes",
			      (json_int_t)v->report.raw_bytes, "frames",
			      (json_int_t)v->report.frames, "duration_ms", (json_int_t)ms);
	if (j == NULL)
		return err_nomem(err, "JSON");
	if (v->kind == VERDICT_SAMPLE &&
	    (json_put(j, "share_ppm", json_integer(v->share_ppm), err) < 0 ||
	     json_put(j, "seed", json_integer((json_int_t)v->seed), err) < 0))
		return -1;
	if (failed && v->damage != NULL &&
	    (json_put(j, "damaged", json_deep_copy(damage_damaged(v->damage)), err) < 0 ||
	     json_put(j, "damaged_not_listed",
		      json_integer((json_int_t)damage_not_listed(v->damage)), err) < 0))
		return -1;
	if (judge(why) == PROOF_FAILED && v->damage != NULL && v->kind == VERDICT_WHOLE &&
	    (damage_intact(v->damage, &intact, err) < 0 || json_put(j, "intact", intact, err) < 0))
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

/* ---- keeping it ---- */

/* Damage is a verdict; a store that did not answer is none. */
static bool is_verdict(const struct verifying *v, const struct err *why)
{
	return judge(why) != PROOF_UNVERIFIED ||
	       (why->code == ERR_UNVERIFIED && v->kind == VERDICT_STORED);
}

/* Kept beside the archive. Where that can't be done the verdict is still true. */
static void keep(const struct verifying *v, const struct err *why, int64_t began_ms, int64_t ms)
{
	struct err failed = ERR_INIT;
	const struct verdict verdict = {.stack = v->job->app->config->stack.name,
					.kind = v->kind,
					.outcome = judge(why),
					.started_ms = began_ms,
					.finished_ms = clock_wall_ms(),
					.duration_ms = ms,
					.share_ppm = v->share_ppm,
					.seed = v->seed,
					.checked_bytes = v->report.stored_bytes,
					.error = why->code == ERR_NONE ? NULL : why->msg,
					.damaged =
					    v->damage != NULL ? damage_damaged(v->damage) : NULL};
	if (v->backup->broken[0] == '\0' && is_verdict(v, why) &&
	    verdict_keep(v->job->store, v->backup, &verdict, &failed) < 0)
		output_line(v->job->app->out,
			    STYLE_WARN "warning" STYLE_END ": the verdict could not be kept: %s",
			    failed.msg);
}

static void hint(const struct verifying *v, struct err *err)
{
	const char *database = v->damage != NULL && v->kind == VERDICT_WHOLE
				   ? damage_intact_database(v->damage)
				   : NULL;
	if (err->code != ERR_CORRUPT || err->hint[0] != '\0')
		return;
	if (database != NULL)
		err_hint(err,
			 "What is intact can be restored from it, as with `lifeboat restore %s "
			 "--database %s`; `lifeboat list` shows other backups.",
			 v->backup->id, database);
	else
		err_hint(err, "`lifeboat list` shows other backups.");
}

/* One backup. *ret_json says how it went also when it went badly. */
static int verify_one(struct verifying *v, json_t **ret_json, struct err *err)
{
	struct job *j = v->job;
	struct err why = ERR_INIT, ignored = ERR_INIT;
	int64_t began = clock_monotonic_ms(), began_ms = clock_wall_ms();
	int rc = verify_backup(v, &why);
	progress_free(j->progress);
	j->progress = NULL;
	int64_t ms = clock_monotonic_ms() - began;
	if (rc == 0)
		say_sound(v, ms);
	else
		say_failed(v, &why);
	if (rc == 0 && v->rebuilt)
		output_line(j->app->out,
			    STYLE_WARN "warning" STYLE_END
				       ": the index at the end is damaged and was rebuilt");
	keep(v, &why, began_ms, ms);
	if (result_json(v, &why, ms, ret_json, &ignored) < 0)
		*ret_json = NULL;
	if (rc == 0)
		return 0;
	hint(v, &why);
	*err = why;
	return err_wrap(err, "backup '%s' in store '%s'", v->backup->id, store_name(j->store));
}

/* ---- the command ---- */

/* "5%", "0.5 %", "12". */
static int parse_share(const char *text, uint32_t *ret_ppm, struct err *err)
{
	char *end;
	double share = strtod(text, &end);
	end += strspn(end, " ");
	end += *end == '%';
	if (end == text || *end != '\0' || !(share > 0) || share > 100) {
		err_set(err, ERR_USAGE, "'%s' is no share of an archive", text);
		return err_hint(err, "Say it in percent, above 0%% and up to 100%%: --sample 5%%.");
	}
	*ret_ppm = (uint32_t)(share * 10000 + 0.5);
	return 0;
}

static int parse_seed(const char *text, uint64_t *ret, struct err *err)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n > INT64_MAX)
		return err_set(err, ERR_USAGE, "'%s' is no seed: a number is", text);
	*ret = n;
	return 0;
}

static int read_options(struct app *app, struct verifying *v, struct err *err)
{
	const char *share = cli_value(app->cli, "sample"), *seed = cli_value(app->cli, "seed");
	if (cli_flag(app->cli, "all") && cli_arg_count(app->cli) > 0)
		return err_set(err, ERR_USAGE, "--all and a backup exclude each other");
	if (seed != NULL && share == NULL)
		return err_set(err, ERR_USAGE, "--seed needs --sample");
	if (share == NULL)
		return 0;
	uint32_t random;
	v->kind = VERDICT_SAMPLE;
	if (parse_share(share, &v->share_ppm, err) < 0)
		return -1;
	if (seed != NULL)
		return parse_seed(seed, &v->seed, err);
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return err_sys(err, ERR_FAILED, errno, "random bytes for a seed");
	v->seed = random;
	return 0;
}

int cmd_verify(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *results = json_array();
	const struct backup *one = NULL;
	struct verifying what = {.kind = VERDICT_WHOLE};
	bool all = cli_flag(app->cli, "all");
	if (read_options(app, &what, err) < 0 ||
	    job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0)
		return -1;
	/* Also one that can't be used: what is wrong with it is the question here. */
	const char *which = cli_arg(app->cli, 0);
	if (catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0 ||
	    (!all && catalog_find(&j->catalog, which != NULL ? which : "latest", &one, err) < 0))
		return -1;
	if (all && j->catalog.count == 0)
		return err_set(err, ERR_UNVERIFIED, "there is no backup that could be verified");
	struct err first = ERR_INIT;
	for (size_t i = 0; i < (all ? j->catalog.count : 1); i++) {
		json_t *result = NULL;
		struct err why = ERR_INIT;
		struct verifying v = what;
		v.job = j;
		v.backup = all ? &j->catalog.items[i] : one;
		int rc = verify_one(&v, &result, &why);
		verifying_done(&v);
		if (json_push(results, result, err) < 0)
			return -1;
		/* A failure says more than what could not be verified. */
		bool says_more = first.code == ERR_NONE || first.code == ERR_UNVERIFIED ||
				 (judge(&first) == PROOF_UNVERIFIED && judge(&why) == PROOF_FAILED);
		if (rc < 0 && (why.code == ERR_CANCELLED || says_more))
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

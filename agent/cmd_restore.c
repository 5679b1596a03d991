#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/proof_text.h"

static int dry_run(struct app *app, const struct restore_job *r, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	char needs[FORMAT_BYTES], room[FORMAT_BYTES];
	size_t i;
	json_t *item;
	if (restore_plan(r, &plan, err) < 0)
		return -1;
	output_line(app->out, "restore of backup '%s' would make:", r->backup->id);
	json_array_foreach(json_object_get(plan, "volumes"), i, item)
	{
		const char *from = json_str_or(item, "from", NULL);
		output_line(app->out, "  %s: volume '%s' (%s%s%s)",
			    json_str_or(item, "component", "?"), json_str_or(item, "name", "?"),
			    from != NULL ? "production has '" : "for what production has elsewhere",
			    from != NULL ? from : "", from != NULL ? "'" : "");
	}
	output_line(app->out, "needs about %s, %s are free",
		    format_size(json_u64_or(plan, "needs_bytes", 0), needs),
		    format_size(json_u64_or(plan, "free_bytes", 0), room));
	json_t *obstacles = json_object_get(plan, "obstacles");
	json_array_foreach(obstacles, i, item)
	{
		output_line(app->out, STYLE_BAD "obstacle" STYLE_END ": %s",
			    json_string_value(item));
	}
	size_t count = json_array_size(obstacles);
	if (count == 0)
		output_line(app->out, "nothing stands in the way; nothing was made");
	if (output_json(app->out, json_incref(plan), err) < 0)
		return -1;
	return count == 0 ? 0 : err_set(err, ERR_FAILED, "%zu obstacles stand in the way", count);
}

static void say_volumes(struct app *app, const struct restore_result *r)
{
	size_t i;
	json_t *item;
	json_array_foreach(r->volumes, i, item)
	{
		output_line(app->out, "  %s: %s", json_str_or(item, "component", "?"),
			    json_str_or(item, "where", "?"));
	}
	json_array_foreach(r->servers, i, item)
	{
		output_line(app->out, "  %s runs on %s:%llu, socket in %s, pid %llu",
			    json_str_or(item, "component", "?"), json_str_or(item, "host", "?"),
			    (unsigned long long)json_u64_or(item, "port", 0),
			    json_str_or(item, "socket_dir", "-"),
			    (unsigned long long)json_u64_or(item, "pid", 0));
	}
}

/* The tail of the new volumes' names is also part of paths: it follows the rules for them. */
static int check_options(struct app *app, struct restore_job *r, struct err *err)
{
	r->as = cli_value(app->cli, "as");
	r->database = cli_value(app->cli, "database");
	r->table = cli_value(app->cli, "table");
	r->leave_servers = cli_flag(app->cli, "up");
	r->keep_failed = cli_flag(app->cli, "keep-failed");
	if (r->as != NULL && !engine_volume_name_is_valid(r->as)) {
		err_set(err, ERR_USAGE, "'%s' is no name for a volume", r->as);
		return err_hint(err, "Use letters, digits, '_', '.' and '-'.");
	}
	/* One database is a part of PostgreSQL alone. */
	if (r->database != NULL && r->only != NULL &&
	    (strcmp(r->only[0], "postgres") != 0 || r->only[1] != NULL))
		return err_set(err, ERR_USAGE, "--database and --only exclude each other");
	if (r->table != NULL && r->database == NULL) {
		err_set(err, ERR_USAGE, "--table needs --database");
		return err_hint(err, "Say which database the table '%s' is in.", r->table);
	}
	return 0;
}

/* Where it lies, and what may still be had of it. */
static void say_damaged(const struct restore_job *r, struct err *err)
{
	err_wrap(err, "in store '%s'", store_name(r->store));
	if (err->hint[0] == '\0')
		err_hint(err,
			 "`lifeboat verify %s` lists what of it is intact and can be restored by "
			 "itself.",
			 r->backup->id);
}

int cmd_restore(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(restore_result_done) struct restore_result r = {.outcome = OUTCOME_UNVERIFIED};
	struct restore_job job;
	char took[FORMAT_BYTES], fetched[FORMAT_BYTES], size[FORMAT_BYTES];
	if (job_open(app, cli_value(app->cli, "store"), "restore", &j, err) < 0 ||
	    engine_sweep(j->engine, cli_flag(app->cli, "dry-run"), NULL, err) < 0 ||
	    job_restore(j, &job, err) < 0 || job_only(j, &job.only, err) < 0 ||
	    check_options(app, &job, err) < 0)
		return -1;
	if (cli_flag(app->cli, "dry-run"))
		return dry_run(app, &job, err);
	if (job_mark(j, job.backup, "restore", err) < 0)
		return -1;
	if (job.backup->damaged)
		output_line(app->out,
			    STYLE_WARN "warning" STYLE_END
				       ": a verify found damage in this backup; `lifeboat show %s` "
				       "tells when",
			    job.backup->id);
	if (restore_run(&job, &r, err) < 0) {
		if (err->code == ERR_CORRUPT)
			say_damaged(&job, err);
		return err_wrap(err, "restore of backup '%s'", job.backup->id);
	}
	progress_free(j->progress);
	j->progress = NULL;
	output_line(app->out, "backup " STYLE_BOLD "%s" STYLE_END " restored in %s%s",
		    job.backup->id, format_duration(r.restore_ms, took), r.kept ? " into" : "");
	if (r.kept)
		say_volumes(app, &r);
	output_line(app->out, "fetched %s from store '%s', whose archive has %s",
		    format_size(r.fetched_bytes, fetched), j->store_config->label,
		    format_size(r.archive_bytes, size));
	proof_text_say(app->out, r.outcome, r.report, r.prove_ms);
	if (output_json(app->out,
			json_pack("{s:s, s:s, s:O, s:O?, s:O, s:b, s:I, s:I, s:I, s:I, s:I}", "id",
				  job.backup->id, "outcome", outcome_name(r.outcome), "volumes",
				  r.volumes, "servers", r.servers, "proof", r.report, "kept",
				  r.kept, "restore_ms", (json_int_t)r.restore_ms, "prove_ms",
				  (json_int_t)r.prove_ms, "data_age_ms", (json_int_t)r.data_age_ms,
				  "fetched_bytes", (json_int_t)r.fetched_bytes, "archive_bytes",
				  (json_int_t)r.archive_bytes),
			err) < 0)
		return -1;
	if (proof_text_error(r.outcome, r.report, err) < 0) {
		if (!r.kept)
			err_hint(err, "The volumes were removed; --keep-failed leaves them.");
		return -1;
	}
	return 0;
}

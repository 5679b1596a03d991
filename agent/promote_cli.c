#include "agent/promote_cli.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/output/format.h"
#include "agent/job.h"
#include "base/clock.h"
#include "restore/promote.h"

enum { ANSWER_BYTES = 64 };

/* ---- the plan, for a person ---- */

static void say_volumes(struct app *app, const json_t *plan)
{
	bool fast = strcmp(json_str_or(plan, "mode", ""), "fast") == 0;
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(plan, "volumes"), i, v)
	{
		const char *of = json_str_or(v, "of", "?"), *from = json_str_or(v, "from", "?");
		const char *before = json_str_or(v, "before", NULL);
		char size[FORMAT_BYTES];
		format_size(json_u64_or(v, "from_bytes", 0), size);
		if (fast)
			output_line(app->out, "  %s: from volume '%s' to '%s'",
				    json_str_or(v, "component", "?"), json_str_or(v, "current", of),
				    from);
		else
			output_line(app->out, "  %s: volume '%s' gets the contents of '%s' (%s)",
				    json_str_or(v, "component", "?"), of, from, size);
		if (before != NULL)
			output_line(app->out, "    what it has now goes to '%s'", before);
		else if (!json_is_true(json_object_get(v, "exists")))
			output_line(app->out, "    it does not exist and is made");
	}
	json_array_foreach(json_object_get(plan, "left_out"), i, v)
	{
		output_line(app->out,
			    "  volume '%s' stays where it is: production has none like it",
			    json_string_value(v));
	}
}

static void say_services(struct app *app, const json_t *plan)
{
	const json_t *services = json_object_get(plan, "services");
	size_t i;
	json_t *s;
	if (json_array_size(services) == 0)
		output_line(app->out, "no service of the stack uses these volumes");
	json_array_foreach(services, i, s)
	{
		if (json_is_true(json_object_get(s, "running")))
			output_line(app->out, "  stops and starts again: %s (container '%s')",
				    json_str_or(s, "service", "?"), json_str_or(s, "name", "?"));
		else
			output_line(app->out, "  does not run, and will not: %s",
				    json_str_or(s, "service", "?"));
	}
	json_array_foreach(json_object_get(plan, "servers"), i, s)
	{
		output_line(app->out, "  the restored server '%s' ends",
			    json_str_or(s, "name", "?"));
	}
}

static void say_override(struct app *app, const json_t *plan)
{
	const json_t *o = json_object_get(plan, "override");
	const char *after = json_str_or(o, "after", NULL);
	if (o == NULL)
		return;
	if (after == NULL) {
		output_line(app->out, "'%s' is removed", json_str_or(o, "path", "?"));
		return;
	}
	output_line(app->out, "'%s' will say:", json_str_or(o, "path", "?"));
	output_text(app->out, after);
	output_line(app->out,
		    STYLE_WARN "warning" STYLE_END
			       ": whoever runs Compose without that file falls back to the old "
			       "data. Name it in COMPOSE_FILE in the project's .env");
}

static void say_plan(struct app *app, const json_t *plan)
{
	char age[FORMAT_BYTES];
	const char *backup = json_str_or(plan, "backup", NULL);
	bool back = strcmp(json_str_or(plan, "kind", ""), "rollback") == 0;
	if (back)
		output_line(app->out, "production goes back to before promotion '%s':",
			    json_str_or(plan, "source", "?"));
	else
		output_line(app->out, "production moves to the restore of backup '%s':",
			    backup != NULL ? backup : "?");
	say_volumes(app, plan);
	say_services(app, plan);
	say_override(app, plan);
	output_line(app->out,
		    "production is " STYLE_BOLD "%s" STYLE_END
		    " newer than that data: what was written since is not in it",
		    format_duration((int64_t)json_u64_or(plan, "data_age_ms", 0), age));
}

/* ---- the question ---- */

static int read_answer(char answer[ANSWER_BYTES], struct err *err)
{
	size_t len = 0;
	for (;;) {
		if (wait_fd(STDIN_FILENO, POLLIN, DEADLINE_NEVER, err) < 0)
			return -1;
		ssize_t n = read(STDIN_FILENO, answer + len, ANSWER_BYTES - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "no answer");
		len += (size_t)n;
		if (n > 0 && len < ANSWER_BYTES - 1 && memchr(answer, '\n', len) == NULL)
			continue;
		answer[len] = '\0';
		answer[strcspn(answer, "\r\n")] = '\0';
		return 0;
	}
}

static int confirm(void *ctx, const json_t *plan, struct err *err)
{
	struct app *app = ctx;
	char answer[ANSWER_BYTES];
	if (!output_is_quiet(app->out))
		say_plan(app, plan);
	if (cli_flag(app->cli, "yes"))
		return 0;
	/* The plan must have been seen; a later look at the answer can't be taken back. */
	fflush(stdout);
	fprintf(stderr, "Type yes to go on: ");
	if (read_answer(answer, err) < 0)
		return -1;
	if (strcmp(answer, "yes") == 0)
		return 0;
	return err_set(err, ERR_CANCELLED, "the answer was not yes; nothing was done");
}

/* Nobody is there to be asked. */
static int check_asking(struct app *app, struct err *err)
{
	if (cli_flag(app->cli, "yes") || cli_flag(app->cli, "dry-run") ||
	    (isatty(STDIN_FILENO) && !output_is_json(app->out) && !output_is_quiet(app->out)))
		return 0;
	err_set(err, ERR_USAGE, "%s stops production's services and asks first, and can't here",
		cli_command(app->cli)->name);
	return err_hint(err, "Give --yes if that is meant, or --dry-run to see what would happen.");
}

static void say_step(void *ctx, const char *what)
{
	struct app *app = ctx;
	output_say(app->out, STYLE_DIM "%s" STYLE_END, what);
	fflush(stdout);
}

/* ---- the command ---- */

static void fill(struct app *app, const struct job *j, bool back, struct promote_job *ret)
{
	const struct config *c = app->config;
	*ret = (struct promote_job){
	    .engine = j->engine,
	    .id = j->run_id,
	    .back = back,
	    .which = cli_arg(app->cli, 0),
	    .fast = cli_flag(app->cli, "fast"),
	    .override = cli_value(app->cli, "override"),
	    .force = !back && cli_flag(app->cli, "force"),
	    .dry_run = cli_flag(app->cli, "dry-run"),
	    .ready_ms = c->health.retries * (c->health.interval_ms + c->health.timeout_ms),
	    .postgres_url = c->postgres.enabled ? secret_text(&c->postgres.url) : NULL,
	    .redis_url = c->redis.enabled ? secret_text(&c->redis.url) : NULL,
	    .pgbouncer_url = c->pgbouncer.enabled ? secret_text(&c->pgbouncer.url) : NULL,
	    .connect_timeout_ms = c->postgres.connect_timeout_ms,
	    .confirm = confirm,
	    .say = say_step,
	    .ctx = app};
}

static void say_done(struct app *app, const json_t *plan, bool back)
{
	char took[FORMAT_BYTES];
	output_line(app->out, "%s in %s; services were down for that time",
		    back ? "production has gone back" : "production has moved",
		    format_duration((int64_t)json_u64_or(plan, "downtime_ms", 0), took));
	output_line(app->out, "  the way back: lifeboat rollback");
}

/* What killed jobs left comes first: production may stand still because of one. */
static int sweep(struct app *app, struct job *j, bool dry_run, struct err *err)
{
	CLEANUP(strlist_done) struct strlist found = {0};
	int rc = engine_sweep(j->engine, dry_run, &found, err);
	for (size_t i = 0; i < found.count; i++)
		output_line(app->out, STYLE_WARN "leftover of a killed job" STYLE_END ": %s",
			    found.items[i]);
	return rc;
}

int promote_cli(struct app *app, bool back, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *plan = NULL;
	struct promote_job job;
	if (check_asking(app, err) < 0 || job_open(app, NULL, NULL, &j, err) < 0)
		return -1;
	fill(app, j, back, &job);
	if (job_only(j, &job.only, err) < 0 || sweep(app, j, job.dry_run, err) < 0)
		return -1;
	if (promote_run(&job, &plan, err) < 0)
		return err_wrap(err, back ? "rollback" : "promotion");
	if (job.dry_run) {
		say_plan(app, plan);
		output_line(app->out, "nothing was done");
	} else {
		say_done(app, plan, back);
	}
	return output_json(app->out, json_incref(plan), err);
}

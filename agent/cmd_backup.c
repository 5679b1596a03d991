#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/copies.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/proof_text.h"
#include "base/log.h"
#include "storage/sidecar.h"

static void say_warnings(struct app *app, const json_t *manifest)
{
	size_t i;
	json_t *w;
	json_array_foreach(json_object_get(manifest, "warnings"), i, w)
	{
		output_line(app->out, STYLE_WARN "warning" STYLE_END ": %s", json_string_value(w));
	}
}

static void say_result(struct app *app, const struct job *j, const struct backup_result *r,
		       int64_t took_ms)
{
	char stored[FORMAT_BYTES], raw[FORMAT_BYTES], took[FORMAT_BYTES], rows[FORMAT_BYTES],
	    keys[FORMAT_BYTES];
	const json_t *counts = json_object_get(r->sidecar, "counts");
	say_warnings(app, r->manifest);
	output_line(app->out, "backup " STYLE_BOLD "%s" STYLE_END " is in store '%s'", r->id,
		    j->store_config->label);
	output_say(app->out, "  %s of data in %s, in %s", format_size(r->totals.raw_bytes, raw),
		   format_size(r->totals.stored_bytes, stored), format_duration(took_ms, took));
	output_say(app->out, "  %llu databases, %llu tables, %s rows, %s Redis keys, %llu files",
		   (unsigned long long)json_u64_or(counts, "databases", 0),
		   (unsigned long long)json_u64_or(counts, "tables", 0),
		   format_count(json_u64_or(counts, "rows", 0), rows),
		   format_count(json_u64_or(counts, "redis_keys", 0), keys),
		   (unsigned long long)json_u64_or(counts, "files", 0));
	proof_text_suspicion(app->out, r->sidecar);
	output_say(app->out, "  not proved yet: `lifeboat drill` restores it and compares");
}

/* A killed job may have left production standing. What can't be put right is told; whether a backup
 * can be taken nevertheless, it finds out itself. */
static int sweep(struct job *j, struct err *err)
{
	struct err why = ERR_INIT;
	if (engine_sweep(j->engine, false, NULL, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED) {
		*err = why;
		return -1;
	}
	log_line(LOG_WARN, "%s", why.msg);
	return 0;
}

/* The new backup as the catalog would tell it. */
static int describe(const struct app *app, const struct backup_result *r, struct backup *ret,
		    struct err *err)
{
	struct sidecar side;
	struct backup b = {.stored_bytes = 0};
	if (sidecar_parse(r->sidecar, &side, err) < 0 ||
	    catalog_sidecar_name(app->config->stack.name, r->id, b.sidecar, err) < 0)
		return -1;
	b.stored_bytes = side.bytes;
	memcpy(b.id, r->id, sizeof b.id);
	memcpy(b.archive, r->archive, sizeof b.archive);
	memcpy(b.sha256, side.sha256, sizeof b.sha256);
	*ret = b;
	return 0;
}

/* Whatever becomes of the copies, the backup is there. */
static int copy_to_others(struct app *app, struct job *j, const struct backup_result *r,
			  struct copies *ret, struct err *err)
{
	struct backup b;
	if (describe(app, r, &b, err) < 0)
		return -1;
	struct copies_opts opts = {
	    .app = app, .from = j->store, .from_config = j->store_config, .only = &b};
	if (copies_run(&opts, ret, err) < 0) {
		err_wrap(err, "backup '%s' is safe in store '%s', its copies are not all made",
			 r->id, j->store_config->label);
		return err_hint(err, "`lifeboat copy` catches up.");
	}
	copies_say(app, ret);
	return 0;
}

static int say_json(struct app *app, const struct job *j, const struct backup_result *r,
		    const struct copies *copies, int64_t took_ms, struct err *err)
{
	json_t *doc = json_deep_copy(r->sidecar), *list;
	if (json_put(doc, "store", json_string(j->store_config->label), err) < 0 ||
	    json_put(doc, "duration_ms", json_integer(took_ms), err) < 0 ||
	    json_put(doc, "messages", json_incref(json_object_get(r->manifest, "warnings")), err) <
		0 ||
	    copies_json(copies, &list, err) < 0 || json_put(doc, "copies", list, err) < 0) {
		json_decref(doc);
		return -1;
	}
	return output_json(app->out, doc, err);
}

static int copies_failed(const struct job *j, const struct backup_result *r,
			 const struct copies *copies, struct err *err)
{
	if (copies_error(copies, err) == 0)
		return 0;
	/* Whatever the reason: the backup itself is no failure to be taken again. */
	err->code = ERR_FAILED;
	err_wrap(err, "backup '%s' is safe in store '%s', but", r->id, j->store_config->label);
	return err_hint(err, "`lifeboat copy` catches up, once the reason is gone.");
}

int cmd_backup(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(backup_result_done) struct backup_result r = {.id = ""};
	CLEANUP(copies_done) struct copies copies = {0};
	struct backup_job b;
	int64_t began = clock_monotonic_ms();
	if (job_open(app, NULL, "backup", &j, err) < 0 || sweep(j, err) < 0 ||
	    job_backup(j, &b, err) < 0 || job_only(j, &b.only, err) < 0)
		return -1;
	b.label = cli_value(app->cli, "label");
	b.pinned = cli_flag(app->cli, "pin");
	if (backup_run(&b, &r, err) < 0)
		return err_wrap(err, "backup");
	int64_t took_ms = clock_monotonic_ms() - began;
	progress_free(j->progress);
	j->progress = NULL;
	say_result(app, j, &r, took_ms);
	struct err why = ERR_INIT;
	int rc = copy_to_others(app, j, &r, &copies, &why);
	if (say_json(app, j, &r, &copies, took_ms, err) < 0)
		return -1;
	if (rc < 0) {
		*err = why;
		return -1;
	}
	return copies_failed(j, &r, &copies, err);
}

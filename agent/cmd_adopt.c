/* An archive whose sidecar was lost becomes a backup again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/proof_text.h"
#include "storage/adopt.h"

static void seen(void *job, uint64_t done, uint64_t of)
{
	job_progress(job, done, of, "adopt");
}

/* The one archive without a sidecar that `which` names: an id, or the object itself. */
static int find_archive(struct job *j, const char *which, char ret[STORE_NAME_MAX + 1],
			struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	CLEANUP(freep) char *prefix = NULL;
	const char *stack = j->app->config->stack.name;
	size_t matches = 0;
	if (str_printf(&prefix, err, "%s-%s.tar.", stack, which) < 0 ||
	    catalog_orphans(j->store, stack, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		const char *name = all.items[i].name;
		if (strcmp(name, which) != 0 && strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		memcpy(ret, name, strlen(name) + 1);
		matches++;
	}
	if (matches == 1)
		return 0;
	if (matches > 1)
		return err_set(err, ERR_USAGE, "'%.100s' is more than one archive: name the object",
			       which);
	err_set(err, ERR_ABSENT, "store '%s' has no archive '%.100s' without a sidecar",
		store_name(j->store), which);
	return err_hint(err, "`lifeboat check` lists them.");
}

int cmd_adopt(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(json_freep) json_t *sidecar = NULL;
	char archive[STORE_NAME_MAX + 1] = "", size[FORMAT_BYTES];
	const char *stack = app->config->stack.name;
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    store_lock(j->store, stack, &lock, err) < 0 ||
	    find_archive(j, cli_arg(app->cli, 0), archive, err) < 0)
		return -1;
	struct backup lost = {.id = ""};
	struct store *plain;
	memcpy(lost.archive, archive, sizeof lost.archive);
	if (job_archives(j, &lost, &plain, err) < 0)
		return -1;
	const struct reader_watch watch = {.progress = seen, .ctx = j};
	const struct adopt_opts opts = {.stack = stack,
					.archive = archive,
					.plain = plain,
					.pinned = cli_flag(app->cli, "pin"),
					.suspicion = job_suspicion(j),
					.lock = lock,
					.watch = &watch};
	if (adopt_run(j->store, &opts, &sidecar, err) < 0)
		return err_wrap(err, "archive '%s'", archive);
	progress_free(j->progress);
	j->progress = NULL;
	output_line(app->out,
		    "backup " STYLE_BOLD "%s" STYLE_END
		    " is back in store '%s': %s read back, every hash right",
		    json_str_or(sidecar, "id", "?"), j->store_config->label,
		    format_size(json_u64_or(sidecar, "bytes", 0), size));
	proof_text_suspicion(app->out, sidecar);
	return output_json(app->out, json_incref(sidecar), err);
}

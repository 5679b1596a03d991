/* A pinned backup is deleted by nobody but a person. */
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/job.h"
#include "agent/sidecars.h"

static int set_pinned(void *ctx, json_t *sidecar, bool *ret_changed, struct err *err)
{
	const bool *pinned = ctx;
	*ret_changed = json_is_true(json_object_get(sidecar, "pinned")) != *pinned;
	return json_put(sidecar, "pinned", json_boolean(*pinned), err);
}

static void say(struct app *app, const char *id, bool pinned, const json_t *stores)
{
	size_t i;
	json_t *s;
	json_array_foreach(stores, i, s)
	{
		const char *why = json_str_or(s, "error", NULL),
			   *label = json_str_or(s, "store", "?");
		bool changed = json_is_true(json_object_get(s, "changed"));
		if (why != NULL)
			output_line(app->out, STYLE_BAD "failed" STYLE_END " in store '%s': %s",
				    label, why);
		else
			output_line(app->out, "backup %s is %s%s in store '%s'", id,
				    changed ? "now " : "", pinned ? "pinned" : "not pinned", label);
	}
}

int cmd_pin(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *stores = NULL;
	const struct backup *b;
	bool pinned = !cli_flag(app->cli, "off");
	const char *label = cli_value(app->cli, "store");
	const struct sidecar_change change = {.change = set_pinned, .ctx = &pinned, .only = label};
	if (job_open(app, label, NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (sidecars_change(app, b->id, &change, &stores, &why) < 0 && stores == NULL) {
		*err = why;
		return -1;
	}
	say(app, b->id, pinned, stores);
	if (output_json(
		app->out,
		json_pack("{s:s, s:b, s:O}", "id", b->id, "pinned", pinned, "stores", stores),
		err) < 0)
		return -1;
	if (why.code == ERR_NONE)
		return 0;
	*err = why;
	return err_wrap(err, "backup '%s'", b->id);
}

/* A backup was suspicious and is right nevertheless: only a person can know. */
#include "agent/commands.h"
#include "agent/job.h"
#include "agent/sidecars.h"
#include "storage/decisions.h"

struct trusting {
	bool here; /* in one store alone */
	char id[DECISIONS_TOKEN_BYTES];
};

static int lift(void *ctx, json_t *sidecar, bool *ret_changed, struct err *err)
{
	const struct trusting *t = ctx;
	return decisions_trust(sidecar, t->id, t->here, ret_changed, err);
}

/* *ret: the labels of the stores in which it was suspicious. */
static int say(struct app *app, const char *id, const json_t *stores, json_t *ret, struct err *err)
{
	size_t i;
	json_t *s;
	json_array_foreach(stores, i, s)
	{
		const char *label = json_str_or(s, "store", "?");
		if (!json_is_true(json_object_get(s, "changed")))
			continue;
		output_line(app->out, "backup '%s' is trusted in store '%s'", id, label);
		if (json_push(ret, json_string(label), err) < 0)
			return -1;
	}
	return 0;
}

int cmd_trust(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *stores = NULL;
	CLEANUP(json_freep) json_t *changed = json_array();
	const char *label = cli_value(app->cli, "store");
	const struct backup *b;
	struct trusting t = {.here = label != NULL};
	const struct sidecar_change change = {.change = lift, .ctx = &t, .only = label};
	struct err why = ERR_INIT;
	if (decisions_token(t.id, err) < 0 || job_open(app, label, NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	int rc = sidecars_change(app, b->id, &change, &stores, &why);
	if (say(app, b->id, stores, changed, err) < 0)
		return -1;
	if (rc == 0 && json_array_size(changed) == 0)
		output_line(app->out, "backup '%s' is not suspicious: nothing to do", b->id);
	if (output_json(app->out, json_pack("{s:s, s:O}", "id", b->id, "changed", changed), err) <
	    0)
		return -1;
	if (rc == 0)
		return 0;
	*err = why;
	return err_wrap(err, "backup '%s'", b->id);
}

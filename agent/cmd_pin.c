/* A pinned backup is deleted by nobody but a person. */
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/job.h"
#include "agent/sidecars.h"
#include "storage/decisions.h"

struct pinning {
	bool pinned;
	bool here; /* in one store alone */
	char id[DECISIONS_TOKEN_BYTES];
};

static int decide(void *ctx, json_t *sidecar, bool *ret_changed, struct err *err)
{
	const struct pinning *p = ctx;
	*ret_changed = true;
	return p->pinned ? decisions_pin(sidecar, p->id, p->here, err)
			 : decisions_unpin(sidecar, p->here, ret_changed, err);
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
	const char *label = cli_value(app->cli, "store");
	struct pinning p = {.pinned = !cli_flag(app->cli, "off"), .here = label != NULL};
	const struct sidecar_change change = {.change = decide, .ctx = &p, .only = label};
	if (decisions_token(p.id, err) < 0 || job_open(app, label, NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (sidecars_change(app, b->id, &change, &stores, &why) < 0 && stores == NULL) {
		*err = why;
		return -1;
	}
	say(app, b->id, p.pinned, stores);
	if (output_json(
		app->out,
		json_pack("{s:s, s:b, s:O}", "id", b->id, "pinned", p.pinned, "stores", stores),
		err) < 0)
		return -1;
	if (why.code == ERR_NONE)
		return 0;
	*err = why;
	err_wrap(err, "backup '%s'", b->id);
	return err->hint[0] != '\0' || label != NULL
		   ? -1
		   : err_hint(err, "`lifeboat copy` brings it there, once the reason is gone.");
}

/* A backup was suspicious and is right nevertheless: only a person can know. */
#include <string.h>
#include "agent/commands.h"
#include "agent/job.h"

/* The sidecar once more, without the suspicion and with the time at which it was lifted. */
static int trusted_sidecar(const struct backup *b, char **ret, struct err *err)
{
	char now[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep) json_t *j = json_deep_copy(b->sidecar_json);
	if (json_put(j, "suspicious", json_false(), err) < 0 ||
	    json_put(j, "trusted", json_string(clock_rfc3339(clock_wall_ms(), now)), err) < 0)
		return -1;
	return json_text(j, true, ret, err);
}

int cmd_trust(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(freep) char *text = NULL;
	const struct backup *b;
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    store_lock(j->store, app->config->stack.name, &lock, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	bool was = b->suspicious;
	if (was && (trusted_sidecar(b, &text, err) < 0 ||
		    store_put_bytes(j->store, b->sidecar, text, strlen(text), err) < 0))
		return err_wrap(err, "backup '%s'", b->id);
	output_line(app->out,
		    was ? "backup '%s' is trusted: what is normal begins with it"
			: "backup '%s' is not suspicious: nothing to do",
		    b->id);
	return output_json(app->out, json_pack("{s:s, s:b}", "id", b->id, "changed", was), err);
}

/* A backup was suspicious and is right nevertheless: only a person can know. */
#include <string.h>
#include "agent/commands.h"
#include "agent/config_store.h"
#include "agent/job.h"
#include "storage/sidecar.h"

/* The sidecar once more, without the suspicion and with the time at which it was lifted. */
static int trusted_sidecar(const json_t *sidecar, char **ret, struct err *err)
{
	char now[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep) json_t *j = json_deep_copy(sidecar);
	if (json_put(j, "suspicious", json_false(), err) < 0 ||
	    json_put(j, "trusted", json_string(clock_rfc3339(clock_wall_ms(), now)), err) < 0)
		return -1;
	return json_text(j, true, ret, err);
}

/* *ret_changed is false where the store has no such backup, or where it is not suspicious. */
static int trust_in(struct store *s, const char *stack, const char *sidecar, bool *ret_changed,
		    struct err *err)
{
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(json_freep) json_t *json = NULL;
	CLEANUP(freep) char *text = NULL;
	struct sidecar side;
	struct err why = ERR_INIT;
	*ret_changed = false;
	if (store_lock(s, stack, &lock, err) < 0)
		return -1;
	if (sidecar_load(s, sidecar, &json, &side, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return err_wrap(err, "'%s'", sidecar);
	}
	if (!side.suspicious)
		return 0;
	*ret_changed = true;
	return trusted_sidecar(json, &text, err) < 0
		   ? -1
		   : store_put_bytes(s, sidecar, text, strlen(text), err);
}

int cmd_trust(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *changed = json_array();
	const struct config *c = app->config;
	const char *label = cli_value(app->cli, "store");
	const struct backup *b;
	if (job_open(app, label, NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	/* Copies of it say the same. */
	for (size_t i = 0; i < c->store_count; i++) {
		CLEANUP(store_freep) struct store *s = NULL;
		bool was;
		if (label != NULL && &c->stores[i] != j->store_config)
			continue;
		if (config_store_open(&c->stores[i], &s, err) < 0 ||
		    trust_in(s, c->stack.name, b->sidecar, &was, err) < 0)
			return err_wrap(err, "backup '%s'", b->id);
		if (!was)
			continue;
		output_line(app->out, "backup '%s' is trusted in store '%s'", b->id,
			    c->stores[i].label);
		if (json_push(changed, json_string(c->stores[i].label), err) < 0)
			return -1;
	}
	if (json_array_size(changed) == 0)
		output_line(app->out, "backup '%s' is not suspicious: nothing to do", b->id);
	return output_json(app->out, json_pack("{s:s, s:O}", "id", b->id, "changed", changed), err);
}

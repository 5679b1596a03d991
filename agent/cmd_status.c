/* Is it safe now? The newest backup, the newest proven one, and their ages; for a monitor, the exit
 * status alone. */
#include <stdlib.h>
#include "agent/commands.h"
#include "agent/config_store.h"
#include "agent/copies.h"
#include "agent/format.h"
#include "agent/job.h"
#include "agent/verified_text.h"

/* NULL when memory is short. */
static json_t *brief(const struct backup *b)
{
	char text[CLOCK_TEXT_BYTES];
	struct err ignored = ERR_INIT;
	if (b == NULL)
		return json_null();
	json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:s}", "id", b->id, "taken",
			      clock_rfc3339(b->taken_ms, text), "age_ms",
			      (json_int_t)(clock_wall_ms() - b->taken_ms), "bytes",
			      (json_int_t)b->stored_bytes, "proof", proof_name(b->proof));
	if (j != NULL && verified_json(b, j, &ignored) == 0)
		return j;
	json_decref(j);
	return NULL;
}

static void say_backup(struct app *app, const char *what, const struct backup *b)
{
	char age[FORMAT_BYTES], size[FORMAT_BYTES], verified[FORMAT_BYTES];
	if (b == NULL)
		output_line(app->out, "%s: " STYLE_BAD "none" STYLE_END, what);
	else
		output_line(app->out, "%s: %s, taken %s, %s, proof: %s, verified: %s", what, b->id,
			    format_age(clock_wall_ms() - b->taken_ms, age),
			    format_size(b->stored_bytes, size),
			    b->proof == PROOF_NONE ? "not tried" : proof_name(b->proof),
			    verified_text(b, verified));
}

/* What one store lacks of the others' is told, and counted. */
static int ask_store(struct app *app, const struct job *j, const struct config_store *config,
		     json_t *list, struct err *ret_first, struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	struct err why = ERR_INIT;
	size_t missing = 0;
	if (config_store_open(config, &s, &why) < 0 ||
	    copies_lag(app, &j->catalog, s, config, &missing, &why) < 0) {
		if (why.code == ERR_CANCELLED) {
			*err = why;
			return -1;
		}
		output_line(app->out, "store '%s': " STYLE_BAD "%s" STYLE_END, config->label,
			    why.msg);
	} else if (missing > 0) {
		err_set(&why, ERR_FAILED, "store '%s' lacks %zu of the backups", config->label,
			missing);
		err_hint(&why, "`lifeboat copy` brings them there.");
		output_line(app->out, "store '%s': " STYLE_WARN "lacks %zu backups" STYLE_END,
			    config->label, missing);
	} else {
		output_line(app->out, "store '%s': has its copies", config->label);
	}
	if (ret_first->code == ERR_NONE)
		*ret_first = why;
	bool asked = s != NULL && (why.code == ERR_NONE || missing > 0);
	return json_push(list,
			 json_pack("{s:s, s:o, s:o}", "store", config->label, "missing",
				   asked ? json_integer((json_int_t)missing) : json_null(), "error",
				   asked ? json_null() : json_text_value(why.msg)),
			 err);
}

/* Of the stores that get copies. *ret_first: the first that lags behind or does not answer. */
static int ask_others(struct app *app, const struct job *j, json_t *list, struct err *ret_first,
		      struct err *err)
{
	const struct config *c = app->config;
	for (size_t i = 0; i < c->store_count; i++)
		if (&c->stores[i] != j->store_config &&
		    ask_store(app, j, &c->stores[i], list, ret_first, err) < 0)
			return -1;
	return 0;
}

int cmd_status(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	const struct backup *newest = NULL, *proven = NULL;
	CLEANUP(json_freep) json_t *copies = json_array();
	struct err lag = ERR_INIT;
	size_t broken = 0;
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0)
		return -1;
	for (size_t i = 0; i < j->catalog.count; i++) {
		const struct backup *b = &j->catalog.items[i];
		if (b->broken[0] != '\0') {
			broken++;
			continue;
		}
		if (b->partial)
			continue;
		newest = newest != NULL ? newest : b;
		proven = proven == NULL && b->proof == PROOF_PASSED && !b->damaged ? b : proven;
	}
	output_line(app->out, "stack '%s' in store '%s' (%s)", app->config->stack.name,
		    j->store_config->label, store_where(j->store));
	say_backup(app, "newest backup", newest);
	if (proven != newest || newest == NULL)
		say_backup(app, "newest proven backup", proven);
	output_line(app->out, "backups: %zu, broken: %zu", j->catalog.count, broken);
	if (cli_value(app->cli, "store") == NULL && ask_others(app, j, copies, &lag, err) < 0)
		return -1;
	json_t *doc = json_pack(
	    "{s:s, s:s, s:o, s:o, s:I, s:I, s:O}", "stack", app->config->stack.name, "store",
	    j->store_config->label, "newest", brief(newest), "proven", brief(proven), "backups",
	    (json_int_t)j->catalog.count, "broken", (json_int_t)broken, "copies", copies);
	if (output_json(app->out, doc, err) < 0)
		return -1;
	if (newest == NULL)
		return err_set(err, ERR_FAILED, "there is no backup");
	if (newest->damaged) {
		err_set(err, ERR_FAILED, "a verify found damage in the newest backup");
		return err_hint(err,
				"`lifeboat show %s` tells when, `lifeboat verify %s` what is "
				"intact.",
				newest->id, newest->id);
	}
	if (newest->proof == PROOF_FAILED)
		return err_set(err, ERR_FAILED, "the newest backup failed its drill");
	if (lag.code != ERR_NONE) {
		*err = lag;
		return -1;
	}
	if (newest->suspicious) {
		const char *why = json_string_value(
		    json_array_get(json_object_get(newest->sidecar_json, "suspicion"), 0));
		err_set(err, ERR_UNVERIFIED, "the newest backup is suspicious%s%s",
			why != NULL ? ": " : "", why != NULL ? why : "");
		return err_hint(err, "If it is right, say so with `lifeboat trust %s`.",
				newest->id);
	}
	if (proven == NULL)
		return err_set(err, ERR_UNVERIFIED, "no backup has been proved yet: run a drill");
	return 0;
}

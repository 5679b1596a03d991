#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/verified_text.h"

static const char *proof_styled(const struct backup *b)
{
	if (b->broken[0] != '\0')
		return STYLE_BAD "broken" STYLE_END;
	switch (b->proof) {
	case PROOF_PASSED:
		return STYLE_GOOD "proven" STYLE_END;
	case PROOF_FAILED:
		return STYLE_BAD "failed" STYLE_END;
	case PROOF_UNVERIFIED:
		return STYLE_WARN "could not verify" STYLE_END;
	case PROOF_NONE:
		break;
	}
	return STYLE_DIM "not tried" STYLE_END;
}

static int add_row(struct table *t, const struct backup *b, struct err *err)
{
	char when[FORMAT_BYTES], age[FORMAT_BYTES], size[FORMAT_BYTES], rows[FORMAT_BYTES],
	    keys[FORMAT_BYTES], verified[FORMAT_BYTES];
	const json_t *counts = json_object_get(b->sidecar_json, "counts");
	const char *label =
	    b->broken[0] != '\0' ? b->broken : json_str_or(b->sidecar_json, "label", "");
	CLEANUP(freep) char *note = NULL;
	if (str_printf(&note, err, "%s%s%s%s%s", b->partial ? "partial " : "",
		       b->suspicious ? STYLE_WARN "suspicious " STYLE_END : "",
		       b->pinned ? "pinned" : "", b->pinned && label[0] != '\0' ? ", " : "",
		       label) < 0)
		return -1;
	const char *const cells[] = {b->id,
				     format_time(b->taken_ms, when),
				     format_age(clock_wall_ms() - b->taken_ms, age),
				     format_size(b->stored_bytes, size),
				     format_count(json_u64_or(counts, "rows", 0), rows),
				     format_count(json_u64_or(counts, "redis_keys", 0), keys),
				     proof_styled(b),
				     verified_text(b, verified),
				     note};
	return table_add(t, cells, err);
}

static int backup_json(const struct backup *b, json_t **ret, struct err *err)
{
	CLEANUP(json_freep)
	json_t *j = b->sidecar_json != NULL ? json_deep_copy(b->sidecar_json)
					    : json_pack("{s:s}", "id", b->id);
	if (json_put(j, "proof", json_string(proof_name(b->proof)), err) < 0 ||
	    json_put(j, "broken", b->broken[0] ? json_text_value(b->broken) : json_null(), err) <
		0 ||
	    json_put(j, "drills", json_integer((json_int_t)json_array_size(b->evidence)), err) < 0)
		return -1;
	if (verified_json(b, j, err) < 0)
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

int cmd_list(struct app *app, struct err *err)
{
	static const struct table_column columns[] = {
	    {"BACKUP", false}, {"TAKEN", false},    {"AGE", false},
	    {"SIZE", true},    {"ROWS", true},      {"KEYS", true},
	    {"PROOF", false},  {"VERIFIED", false}, {"NOTE", false}};
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(table_freep) struct table *t = NULL;
	CLEANUP(json_freep) json_t *doc = json_array();
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    catalog_load(j->store, app->config->stack.name, &j->catalog, err) < 0 ||
	    table_new(columns, sizeof columns / sizeof *columns, &t, err) < 0)
		return -1;
	for (size_t i = 0; i < j->catalog.count; i++) {
		json_t *item = NULL;
		if (add_row(t, &j->catalog.items[i], err) < 0 ||
		    backup_json(&j->catalog.items[i], &item, err) < 0 ||
		    json_push(doc, item, err) < 0)
			return -1;
	}
	if (j->catalog.count == 0)
		output_say(app->out, "store '%s' (%s) holds no backup of '%s' yet",
			   j->store_config->label, store_where(j->store), app->config->stack.name);
	if (output_table(app->out, t, err) < 0)
		return -1;
	return output_json(app->out,
			   json_pack("{s:s, s:s, s:O}", "stack", app->config->stack.name, "store",
				     j->store_config->label, "backups", doc),
			   err);
}

/* What became of copies: for people, for programs, and for the exit status. */
#include <stdlib.h>
#include "agent/copies.h"
#include "agent/output/format.h"

static const char *outcome_word(enum copy_outcome o)
{
	switch (o) {
	case COPY_COPIED:
		return "copied";
	case COPY_THERE:
		return "there";
	case COPY_MISSING:
		return "missing";
	case COPY_EVIDENCE:
		return "evidence";
	case COPY_DECISION:
		return "decision";
	case COPY_FAILED:
		break;
	}
	return "failed";
}

void copies_say(struct app *app, const struct copies *c)
{
	char size[FORMAT_BYTES], took[FORMAT_BYTES];
	for (size_t i = 0; i < c->count; i++) {
		const struct copy_result *r = &c->items[i];
		const char *label = r->store->label;
		switch (r->outcome) {
		case COPY_COPIED:
			output_line(app->out, "copy of %s is in store '%s': %s in %s", r->id, label,
				    format_size(r->bytes, size),
				    format_duration(r->duration_ms, took));
			break;
		case COPY_THERE:
			output_line(app->out, "copy of %s is in store '%s' already", r->id, label);
			break;
		case COPY_MISSING:
			output_line(app->out, "would copy %s to store '%s': %s", r->id, label,
				    format_size(r->bytes, size));
			break;
		case COPY_EVIDENCE:
			output_line(app->out, "evidence of %llu drills copied to store '%s'",
				    (unsigned long long)r->bytes, label);
			break;
		case COPY_DECISION:
			output_line(app->out, "backup %s is now %s in store '%s'", r->id, r->change,
				    label);
			break;
		case COPY_FAILED:
			output_line(app->out, STYLE_BAD "failed" STYLE_END ": %s%s: %s",
				    r->id[0] != '\0' ? "copy of " : "copies", r->id, r->message);
			break;
		}
	}
}

int copies_json(const struct copies *c, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *list = json_array();
	for (size_t i = 0; i < c->count; i++) {
		const struct copy_result *r = &c->items[i];
		json_t *id = r->id[0] != '\0' ? json_string(r->id) : json_null();
		json_t *error = r->message != NULL ? json_text_value(r->message) : json_null();
		if (json_push(list,
			      json_pack("{s:s, s:o, s:s, s:s?, s:I, s:I, s:o}", "store",
					r->store->label, "id", id, "outcome",
					outcome_word(r->outcome), "change", r->change, "bytes",
					(json_int_t)r->bytes, "duration_ms",
					(json_int_t)r->duration_ms, "error", error),
			      err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

int copies_error(const struct copies *c, struct err *err)
{
	const struct copy_result *first = NULL;
	for (size_t i = 0; i < c->count && first == NULL; i++)
		if (c->items[i].outcome == COPY_FAILED)
			first = &c->items[i];
	if (first == NULL)
		return 0;
	err_set(err, first->code, "%s", first->message);
	if (first->hint[0] != '\0')
		err_hint(err, "%s", first->hint);
	return c->failed > 1 ? err_wrap(err, "%zu copies failed; the first", c->failed) : -1;
}

#include "storage/verdict.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "storage/store/catalog_name.h"
#include "storage/failures.h"

enum { VERDICT_MAX_BYTES = 1 << 20, KINDS = 3 };

static const char *const kind_names[KINDS] = {
    [VERDICT_WHOLE] = "whole", [VERDICT_SAMPLE] = "sample", [VERDICT_STORED] = "stored bytes"};

const char *verdict_kind_name(enum verdict_kind k)
{
	return kind_names[(unsigned)k < KINDS ? k : VERDICT_STORED];
}

/* ---- writing ---- */

static int put_sample(json_t *j, const struct verdict *v, struct err *err)
{
	if (v->kind != VERDICT_SAMPLE)
		return 0;
	if (json_put(j, "share_ppm", json_integer(v->share_ppm), err) < 0)
		return -1;
	return json_put(j, "seed", json_integer((json_int_t)v->seed), err);
}

int verdict_json(const struct store *s, const struct backup *b, const struct verdict *v,
		 json_t **ret, struct err *err)
{
	char started[CLOCK_TEXT_BYTES], finished[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep)
	json_t *j = json_pack(
	    "{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "format",
	    "lifeboat-verify", "format_version", 1, "id", b->id, "stack", v->stack, "store",
	    store_name(s), "kind", verdict_kind_name(v->kind), "outcome", proof_name(v->outcome),
	    "started", clock_rfc3339(v->started_ms, started), "finished",
	    clock_rfc3339(v->finished_ms, finished), "duration_ms", (json_int_t)v->duration_ms,
	    "checked_bytes", (json_int_t)v->checked_bytes, "archive_bytes",
	    (json_int_t)b->stored_bytes, "lifeboat_version", LIFEBOAT_VERSION);
	if (j == NULL)
		return err_nomem(err, "JSON");
	CLEANUP(json_freep) json_t *answers = NULL;
	if (failures_of(b->verdicts, &answers, err) < 0 ||
	    json_put(j, "answers", json_incref(answers), err) < 0 || put_sample(j, v, err) < 0 ||
	    (v->error != NULL && json_put(j, "error", json_text_value(v->error), err) < 0) ||
	    (v->damaged != NULL && json_put(j, "damaged", json_deep_copy(v->damaged), err) < 0))
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

static bool is_whole(const json_t *v)
{
	return strcmp(json_str_or(v, "kind", ""), kind_names[VERDICT_WHOLE]) == 0;
}

static bool has_failed(const json_t *v)
{
	return strcmp(json_str_or(v, "outcome", ""), proof_name(PROOF_FAILED)) == 0;
}

static bool has_passed(const json_t *v)
{
	return is_whole(v) && strcmp(json_str_or(v, "outcome", ""), proof_name(PROOF_PASSED)) == 0;
}

/* Whoever found damage and knew of this failure says it too, and whoever passed took it back. */
static bool is_spoken_for(const json_t *all, const json_t *failure)
{
	size_t i;
	json_t *v;
	json_array_foreach(all, i, v)
	{
		if ((has_failed(v) || has_passed(v)) && failures_names(v, failure))
			return true;
	}
	return false;
}

/* Is it the last one by which the newest failure, which stays, is taken back? */
static bool is_answer(const json_t *all, size_t index)
{
	const json_t *failure = NULL, *last = NULL;
	size_t i;
	json_t *v;
	json_array_foreach(all, i, v)
	{
		if (has_failed(v))
			failure = v;
	}
	json_array_foreach(all, i, v)
	{
		if (failure != NULL && has_passed(v) && failures_names(v, failure))
			last = v;
	}
	return last != NULL && last == json_array_get(all, index);
}

/* Does this one of the older verdicts (by name, which clocks gave them) say what no other does?
 * The newest knows of all of them. */
static bool is_needed(const json_t *all, size_t index, const struct verdict *newest)
{
	const json_t *v = json_array_get(all, index);
	bool failed = newest->outcome == PROOF_FAILED,
	     passed = newest->outcome == PROOF_PASSED && newest->kind == VERDICT_WHOLE;
	bool last = true, last_whole = newest->kind != VERDICT_WHOLE, last_failed = !failed;
	for (size_t i = index + 1; i < json_array_size(all); i++) {
		last = false;
		last_whole = last_whole && !is_whole(json_array_get(all, i));
		last_failed = last_failed && !has_failed(json_array_get(all, i));
	}
	if (last || (is_whole(v) && last_whole) || (has_failed(v) && last_failed))
		return true;
	if (failed || passed)
		return false;
	return has_failed(v) ? !is_spoken_for(all, v) : is_answer(all, index);
}

int verdict_keep(struct store *s, const struct backup *b, const struct verdict *v, struct err *err)
{
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(freep) char *text = NULL;
	char name[STORE_NAME_MAX + 1];
	if (verdict_json(s, b, v, &j, err) < 0 || json_text(j, true, &text, err) < 0 ||
	    catalog_put_result(s, catalog_verdict_name, v->stack, b->id, v->started_ms, text, name,
			       err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(b->verdicts); i++) {
		const char *old = json_str_or(json_array_get(b->verdicts, i), "object", "");
		struct catalog_name parts;
		struct err why = ERR_INIT;
		if (is_needed(b->verdicts, i, v) || !catalog_name_parse(v->stack, old, &parts) ||
		    parts.kind != CATALOG_NAME_VERDICT || store_remove(s, old, &why) == 0)
			continue;
		/* What the store does not let go yet is for a later verify. */
		if (why.code != ERR_LOCKED && why.code != ERR_DENIED) {
			*err = why;
			return err_wrap(err, "'%s'", old);
		}
	}
	return 0;
}

/* ---- loading ---- */

static int read_json(struct store *s, const char *object, json_t **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, VERDICT_MAX_BYTES);
	if (store_get_bytes(s, object, &text, err) < 0)
		return -1;
	return json_parse(buf_text(&text), text.len, ret, err);
}

static int check(const json_t *j, const char *stack, const char *id, struct verdict *ret,
		 struct err *err)
{
	const char *format, *its_id, *its_stack, *kind, *outcome, *finished;
	uint64_t version;
	if (json_get_str(j, "format", &format, err) < 0 ||
	    json_get_u64(j, "format_version", &version, err) < 0 ||
	    json_get_str(j, "id", &its_id, err) < 0 ||
	    json_get_str(j, "stack", &its_stack, err) < 0 ||
	    json_get_str(j, "kind", &kind, err) < 0 ||
	    json_get_str(j, "outcome", &outcome, err) < 0 ||
	    json_get_str(j, "finished", &finished, err) < 0)
		return -1;
	if (strcmp(format, "lifeboat-verify") != 0 || version != 1)
		return err_set(err, ERR_CORRUPT, "not the verdict of a verify, format_version 1");
	if (strcmp(its_id, id) != 0 || strcmp(its_stack, stack) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another backup: '%.40s' of '%.40s'",
			       its_id, its_stack);
	size_t k = 0;
	while (k < KINDS && strcmp(kind, kind_names[k]) != 0)
		k++;
	if (k == KINDS)
		return err_set(err, ERR_CORRUPT, "'%.40s' is no kind of verify", kind);
	ret->kind = (enum verdict_kind)k;
	return proof_parse(outcome, &ret->outcome)
		   ? clock_parse_rfc3339(finished, &ret->finished_ms, err)
		   : err_set(err, ERR_CORRUPT, "'%.40s' is not an outcome", outcome);
}

int verdict_load(struct store *s, const char *stack, const char *object, struct backup *b,
		 struct err *err)
{
	CLEANUP(json_freep) json_t *j = NULL;
	struct verdict v = {.stack = stack};
	struct err why = ERR_INIT;
	bool good = read_json(s, object, &j, &why) == 0 && check(j, stack, b->id, &v, &why) == 0;
	if (!good && why.code == ERR_ABSENT)
		return 0; /* it went away since it was listed */
	if (good) {
		err_clear(&why);
	} else if (why.code == ERR_CORRUPT || why.code == ERR_LIMIT || why.code == ERR_DENIED ||
		   why.code == ERR_IO) {
		json_decref(j);
		j = json_object();
		if (json_put(j, "broken", json_text_value(why.msg), err) < 0)
			return -1;
	} else {
		*err = why;
		return err_wrap(err, "'%s'", object);
	}
	if (json_put(j, "object", json_string(object), err) < 0)
		return -1;
	return json_push(b->verdicts, json_incref(j), err);
}

void verdict_settle(struct backup *b)
{
	const char *whole = kind_names[VERDICT_WHOLE];
	size_t i;
	json_t *v;
	bool failed = false;
	json_array_foreach(b->verdicts, i, v)
	{
		struct err ignored = ERR_INIT;
		enum proof outcome;
		int64_t when = 0;
		if (json_object_get(v, "broken") != NULL ||
		    !proof_parse(json_str_or(v, "outcome", ""), &outcome) ||
		    clock_parse_rfc3339(json_str_or(v, "finished", ""), &when, &ignored) < 0)
			continue;
		bool stands = outcome == PROOF_FAILED && !failures_answered(b->verdicts, v, whole);
		b->damaged = b->damaged || stands;
		if (!is_whole(v) || (outcome == PROOF_FAILED && !stands) || (failed && !stands))
			continue;
		failed = stands;
		b->verified = outcome;
		b->verified_ms = when;
	}
}

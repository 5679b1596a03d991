/* The one sentence: is it safe now? */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/output/format.h"
#include "agent/report/overview.h"

enum level { SAFE, ATTENTION, DANGER };

struct judging {
	const json_t *doc;
	const struct config *config;
	json_t *reasons;
	enum level level;
	size_t at; /* of the reason that was added last */
	struct err *err;
};

static const char *const level_names[] = {"safe", "attention", "danger"};
static const char unproved[] = "no backup has been proved yet: run a drill";

PRINTF_LIKE(3, 4)
static int because(struct judging *j, enum level level, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return err_nomem(j->err, "the verdict");
	json_t *reason = json_pack("{s:s, s:o, s:n}", "level", level_names[level], "text",
				   json_text_value(text), "hint");
	free(text);
	/* The worst stand first, in the order in which they were found. */
	size_t at = 0;
	while (at < json_array_size(j->reasons) &&
	       (level <= ATTENTION ||
		strcmp(json_str_or(json_array_get(j->reasons, at), "level", ""), "danger") == 0))
		at++;
	if (reason == NULL || json_array_insert_new(j->reasons, at, reason) < 0)
		return err_nomem(j->err, "the verdict");
	if (level > j->level)
		j->level = level;
	j->at = at;
	return 0;
}

/* What to do about the reason that was added last. */
PRINTF_LIKE(2, 3)
static int do_this(struct judging *j, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return err_nomem(j->err, "the verdict");
	int done =
	    json_put(json_array_get(j->reasons, j->at), "hint", json_text_value(text), j->err);
	free(text);
	return done;
}

/* "7 h", "40 min" */
static const char *age(int64_t ms, char out[FORMAT_BYTES])
{
	format_age(ms < 0 ? 0 : ms, out);
	char *ago = strstr(out, " ago");
	if (ago != NULL)
		*ago = '\0';
	else
		memcpy(out, "a moment", sizeof "a moment");
	return out;
}

static int64_t age_of(const json_t *backup)
{
	return json_integer_value(json_object_get(backup, "age_ms"));
}

/* Copies of which a verify found that their bytes have changed. */
static uint64_t damaged_in(const json_t *store)
{
	uint64_t count = 0;
	size_t i;
	json_t *b;
	json_array_foreach(json_object_get(store, "backups"), i, b)
	{
		count += json_is_true(json_object_get(b, "damaged"));
	}
	return count;
}

/* What follows the store's name, which stands in front already. */
static const char *without_name(const char *error, const char *label)
{
	char name[256];
	snprintf(name, sizeof name, "store '%s': ", label);
	const char *at = strstr(error, name);
	return at != NULL ? at + strlen(name) : error;
}

static int judge_stores(struct judging *j, size_t *ret_reached)
{
	size_t i;
	json_t *store;
	json_array_foreach(json_object_get(j->doc, "stores"), i, store)
	{
		const char *label = json_str_or(store, "label", "?");
		uint64_t damaged = damaged_in(store);
		if (damaged > 0 && because(j, ATTENTION, "in store '%s' damaged backups: %llu",
					   label, (unsigned long long)damaged) < 0)
			return -1;
		if (json_is_true(json_object_get(store, "reachable")))
			++*ret_reached;
		else if (because(j, ATTENTION, "store '%s' can't be reached: %s", label,
				 without_name(json_str_or(store, "error", "?"), label)) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(j->doc, "copies"), i, store)
	{
		uint64_t lacks = json_u64_or(store, "missing", 0);
		if (lacks > 0 &&
		    because(j, ATTENTION, "store '%s' lacks %llu of the backups",
			    json_str_or(store, "store", "?"), (unsigned long long)lacks) < 0)
			return -1;
	}
	return *ret_reached == 0 ? because(j, DANGER, "no store can be reached") : 0;
}

static int judge_suspicious(struct judging *j, const json_t *newest)
{
	const char *why =
	    json_string_value(json_array_get(json_object_get(newest, "suspicion"), 0));
	if (because(j, ATTENTION, "the newest backup is suspicious%s%s", why != NULL ? ": " : "",
		    why != NULL ? why : "") < 0)
		return -1;
	return do_this(j, "If it is right, say so with `lifeboat trust %s`.",
		       json_str_or(newest, "id", ""));
}

static int judge_newest(struct judging *j, const json_t *newest)
{
	char text[FORMAT_BYTES];
	int64_t limit = j->config->agent.backup_age_ms;
	const char *proof = json_str_or(newest, "proof", "");
	if (strcmp(proof, "failed") == 0 &&
	    because(j, DANGER, "the newest backup failed its drill") < 0)
		return -1;
	const char *id = json_str_or(newest, "id", "");
	if (json_is_true(json_object_get(newest, "damaged")) &&
	    (because(j, DANGER, "a verify found damage in the newest backup") < 0 ||
	     do_this(j, "`lifeboat show %s` tells when, `lifeboat verify %s` what is intact.", id,
		     id) < 0))
		return -1;
	if (strcmp(proof, "could not verify") == 0 &&
	    because(j, ATTENTION, "a drill could not verify the newest backup") < 0)
		return -1;
	if (json_is_true(json_object_get(newest, "suspicious")) && judge_suspicious(j, newest) < 0)
		return -1;
	if (limit > 0 && age_of(newest) > limit)
		return because(j, age_of(newest) / 2 > limit ? DANGER : ATTENTION,
			       "the newest backup is %s old", age(age_of(newest), text));
	return 0;
}

/* The newest that passed its drill and is not proven for one reason alone: it is suspicious. */
static const char *doubted(const struct judging *j)
{
	const char *found = NULL;
	size_t s, i;
	json_t *store, *b;
	json_array_foreach(json_object_get(j->doc, "stores"), s, store)
	    json_array_foreach(json_object_get(store, "backups"), i, b)
	{
		const char *id = json_str_or(b, "id", "");
		if (json_is_true(json_object_get(b, "suspicious")) &&
		    strcmp(json_str_or(b, "proof", ""), "passed") == 0 &&
		    !json_is_true(json_object_get(b, "damaged")) &&
		    !json_is_true(json_object_get(b, "partial")) &&
		    (found == NULL || strcmp(id, found) > 0))
			found = id;
	}
	return found;
}

static int judge_unproven(struct judging *j, const json_t *newest)
{
	const char *id = doubted(j);
	if (id == NULL)
		return because(j, ATTENTION, "%s", unproved);
	if (strcmp(id, json_str_or(newest, "id", "")) == 0)
		return 0; /* judge_suspicious has said it */
	if (because(j, ATTENTION, "every backup that passed a drill is suspicious") < 0)
		return -1;
	return do_this(j, "If %s is right, say so with `lifeboat trust %s`.", id, id);
}

static int judge_backups(struct judging *j, size_t reached)
{
	char text[FORMAT_BYTES];
	const json_t *newest = json_object_get(j->doc, "newest");
	const json_t *proven = json_object_get(j->doc, "proven");
	int64_t limit = j->config->agent.proof_age_ms;
	uint64_t broken = json_u64_or(j->doc, "broken", 0);
	if (!json_is_object(newest)) {
		if (reached > 0 && because(j, DANGER, "there is no backup") < 0)
			return -1;
	} else if (judge_newest(j, newest) < 0) {
		return -1;
	}
	if (json_is_object(newest) && !json_is_object(proven) && judge_unproven(j, newest) < 0)
		return -1;
	if (json_is_object(proven) && limit > 0 && age_of(proven) > limit &&
	    because(j, ATTENTION, "the newest proven backup is %s old", age(age_of(proven), text)) <
		0)
		return -1;
	if (broken == 0)
		return 0;
	return because(j, ATTENTION,
		       broken == 1 ? "%llu backup is broken" : "%llu backups are broken",
		       (unsigned long long)broken);
}

static int judge_jobs(struct judging *j)
{
	const char *name;
	json_t *job;
	json_object_foreach(json_object_get(json_object_get(j->doc, "agent"), "jobs"), name, job)
	{
		const json_t *last = json_object_get(job, "last");
		const json_t *error = json_object_get(last, "error");
		if (json_is_true(json_object_get(job, "overdue")) &&
		    because(j, ATTENTION, "%s is overdue", name) < 0)
			return -1;
		if (json_u64_or(job, "failures", 0) > 0 &&
		    because(j, ATTENTION, "the last %s did not succeed: %s", name,
			    json_str_or(error, "message", json_str_or(last, "outcome", "?"))) < 0)
			return -1;
	}
	return 0;
}

/* How long ago, by the document's own clock. */
static int64_t since_ms(const struct judging *j, const json_t *obj, const char *key)
{
	return overview_time(j->doc, "generated") - overview_time(obj, key);
}

/* lifeboat run itself: what it could not read, write or tell. */
static int judge_agent(struct judging *j)
{
	char text[FORMAT_BYTES];
	const json_t *agent = json_object_get(j->doc, "agent"),
		     *refused = json_object_get(agent, "refused");
	size_t i;
	json_t *item;
	if (json_is_object(refused)) {
		const json_t *error = json_object_get(refused, "error");
		if (because(j, ATTENTION,
			    "agent.conf was refused %s ago and the one before it is in use: %s",
			    age(since_ms(j, refused, "since"), text),
			    json_str_or(error, "message", "?")) < 0 ||
		    do_this(j, "%s",
			    json_str_or(error, "hint",
					"Mend it; HUP lets lifeboat run read it again.")) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(agent, "warnings"), i, item)
	{
		if (json_is_string(item) &&
		    because(j, ATTENTION, "lifeboat run: %s", json_string_value(item)) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(agent, "notifiers"), i, item)
	{
		if (overview_time(item, "failing_since") != 0 &&
		    because(j, ATTENTION, "notifier '%s' could not be told for %s: %s",
			    json_str_or(item, "notifier", "?"),
			    age(since_ms(j, item, "failing_since"), text),
			    json_str_or(item, "error", "?")) < 0)
			return -1;
	}
	return 0;
}

/* "the newest proven backup is 7 h old and was restored in 3.8 s" */
static int proven_text(const json_t *proven, char **ret, struct err *err)
{
	char old[FORMAT_BYTES], took[FORMAT_BYTES];
	if (!json_is_object(proven))
		return str_dup("There is no proven backup.", ret, err);
	uint64_t ms = json_u64_or(proven, "restore_ms", 0);
	return str_printf(ret, err, "The newest proven backup is %s old and was restored in %s.",
			  age(age_of(proven), old), format_duration((int64_t)ms, took));
}

static int write_verdict(struct judging *j, char **ret)
{
	static const char *const words[] = {"Safe", "Attention", "Danger"};
	CLEANUP(freep) char *proven = NULL;
	const char *first = json_str_or(json_array_get(j->reasons, 0), "text", "");
	/* It says by itself that there is no proven one. */
	if (!json_is_object(json_object_get(j->doc, "newest")) || strcmp(first, unproved) == 0)
		return str_printf(ret, j->err, "%s: %s.", words[j->level], first);
	if (proven_text(json_object_get(j->doc, "proven"), &proven, j->err) < 0)
		return -1;
	if (j->level == SAFE) {
		proven[0] = 't';
		return str_printf(ret, j->err, "Safe: %s", proven);
	}
	size_t len = strlen(first);
	return str_printf(ret, j->err, "%s: %s%s %s", words[j->level], first,
			  len > 0 && first[len - 1] == '.' ? "" : ".", proven);
}

int overview_judge(json_t *doc, const struct config *c, struct err *err)
{
	CLEANUP(json_freep) json_t *reasons = json_array();
	CLEANUP(freep) char *verdict = NULL;
	struct judging j = {.doc = doc, .config = c, .reasons = reasons, .err = err};
	size_t reached = 0;
	if (reasons == NULL)
		return err_nomem(err, "the verdict");
	if (judge_stores(&j, &reached) < 0 || judge_backups(&j, reached) < 0 ||
	    judge_jobs(&j) < 0 || judge_agent(&j) < 0 || write_verdict(&j, &verdict) < 0 ||
	    json_put(doc, "level", json_string(level_names[j.level]), err) < 0 ||
	    json_put(doc, "verdict", json_text_value(verdict), err) < 0)
		return -1;
	return json_put(doc, "reasons", json_incref(reasons), err);
}

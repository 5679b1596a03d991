/* Is it safe now? One sentence, and what it rests on, in about ten lines; for a monitor, the exit
 * status alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/daemon/daemon.h"
#include "agent/report/page.h"
#include "agent/output/format.h"
#include "agent/report/metrics.h"
#include "agent/report/overview.h"
#include "base/clock.h"
#include "base/log.h"

/* What stands behind the first word of a line begins there. */
enum { REASONS_SHOWN = 4, INDENT = 9 };

static const char *style_of(const char *level)
{
	return strcmp(level, "safe") == 0     ? STYLE_GOOD
	       : strcmp(level, "danger") == 0 ? STYLE_BAD
					      : STYLE_WARN;
}

static const char *since(const json_t *obj, const char *key, char out[FORMAT_BYTES])
{
	int64_t ms = overview_time(obj, key);
	return ms > 0 ? format_age(clock_wall_ms() - ms, out) : "never";
}

/* As list says it. */
static const char *verified(const json_t *b, char out[FORMAT_BYTES])
{
	const json_t *age_ms = json_object_get(b, "verified_age_ms");
	if (json_is_true(json_object_get(b, "damaged")))
		return "damaged";
	if (strcmp(json_str_or(b, "verified", ""), "passed") != 0 || !json_is_integer(age_ms))
		return "never";
	return format_age(json_integer_value(age_ms), out);
}

static void say_backup(struct output *out, const char *what, const json_t *b)
{
	char age[FORMAT_BYTES], size[FORMAT_BYTES], rows[FORMAT_BYTES], keys[FORMAT_BYTES],
	    checked[FORMAT_BYTES];
	if (!json_is_object(b)) {
		output_wrapped(out, INDENT, "%-8s " STYLE_BAD "none" STYLE_END, what);
		return;
	}
	const char *proof = json_str_or(b, "proof", "none");
	output_wrapped(out, INDENT,
		       "%-8s %s, taken %s, %s, %s rows, %s keys; proof: %s, verified: %s", what,
		       json_str_or(b, "id", "?"), since(b, "taken", age),
		       format_size(json_u64_or(b, "bytes", 0), size),
		       format_count(json_u64_or(b, "rows", 0), rows),
		       format_count(json_u64_or(b, "keys", 0), keys),
		       strcmp(proof, "none") == 0 ? "not tried" : proof, verified(b, checked));
}

static void say_stores(struct output *out, const json_t *stores)
{
	size_t i;
	json_t *s;
	json_array_foreach(stores, i, s)
	{
		char age[FORMAT_BYTES], room[FORMAT_BYTES];
		const json_t *list = json_object_get(s, "backups");
		const char *label = json_str_or(s, "label", "?"),
			   *site = json_str_or(s, "site", NULL);
		uint64_t space = json_u64_or(s, "free_bytes", 0);
		if (!json_is_true(json_object_get(s, "reachable"))) {
			output_wrapped(out, INDENT,
				       "%-8s '%s' " STYLE_BAD "can't be reached" STYLE_END, "store",
				       label);
			continue;
		}
		char held[3 * FORMAT_BYTES] = "no backups";
		size_t count = json_array_size(list);
		if (count > 0)
			snprintf(held, sizeof held, "%zu %s, the newest %s", count,
				 count == 1 ? "backup" : "backups",
				 since(json_array_get(list, 0), "taken", age));
		output_wrapped(out, INDENT, "%-8s '%s'%s%s: %s%s%s in %s", "store", label,
			       site != NULL ? " at " : "", site != NULL ? site : "", held,
			       space > 0 ? ", room for " : ",",
			       space > 0 ? format_size(space, room) : "",
			       json_str_or(s, "where", "?"));
	}
}

static void say_jobs(struct output *out, const json_t *agent)
{
	const char *name;
	json_t *job;
	if (json_is_object(agent) && !json_is_integer(json_object_get(agent, "pid")))
		output_wrapped(out, INDENT,
			       "%-8s " STYLE_BAD "not running" STYLE_END
			       ": lifeboat run is not there to follow [schedule]",
			       "agent");
	json_object_foreach(json_object_get(agent, "jobs"), name, job)
	{
		char next[FORMAT_BYTES], last[FORMAT_BYTES];
		bool again;
		int64_t at = overview_next(job, &again);
		output_wrapped(out, INDENT, "%-8s %s %s, last success %s", name,
			       again ? "again" : "next",
			       at > 0 ? format_time(at, next) : "not scheduled",
			       since(json_object_get(job, "last_success"), "ended", last));
	}
}

/* What in the stack has no backup. */
static void say_missing(struct output *out, const json_t *list)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		if (i < REASONS_SHOWN)
			output_wrapped(out, INDENT, "%-8s %s: %s", "without",
				       json_str_or(item, "what", "?"),
				       json_str_or(item, "why", "?"));
	}
	if (json_array_size(list) > REASONS_SHOWN)
		output_line(out, "%-8s %zu more", "without", json_array_size(list) - REASONS_SHOWN);
}

/* Who could not be told what, and what is lost. */
static void say_notifiers(struct output *out, const json_t *agent)
{
	size_t i;
	json_t *n;
	json_array_foreach(json_object_get(agent, "notifiers"), i, n)
	{
		char ago[FORMAT_BYTES];
		if (overview_time(n, "failing_since") == 0)
			continue;
		output_wrapped(out, INDENT,
			       "%-8s '%s' " STYLE_BAD "can't be told" STYLE_END
			       ": notices waiting %llu, lost %llu, first failure %s",
			       "notify", json_str_or(n, "notifier", "?"),
			       (unsigned long long)json_u64_or(n, "waiting", 0),
			       (unsigned long long)json_u64_or(n, "lost", 0),
			       since(n, "failing_since", ago));
	}
}

static void say(struct output *out, const json_t *doc)
{
	size_t i;
	json_t *item;
	const json_t *reasons = json_object_get(doc, "reasons"),
		     *newest = json_object_get(doc, "newest"),
		     *proven = json_object_get(doc, "proven");
	output_wrapped(out, 0, "%s%s" STYLE_END, style_of(json_str_or(doc, "level", "")),
		       json_str_or(doc, "verdict", "?"));
	json_array_foreach(reasons, i, item)
	{
		/* The first one is in the verdict. */
		if (i > 0 && i < REASONS_SHOWN)
			output_wrapped(out, INDENT, "%-8s %s%s" STYLE_END, "also",
				       style_of(json_str_or(item, "level", "")),
				       json_str_or(item, "text", "?"));
	}
	if (json_array_size(reasons) > REASONS_SHOWN)
		output_wrapped(out, INDENT, "%-8s %zu more", "also",
			       json_array_size(reasons) - REASONS_SHOWN);
	say_backup(out, "newest", newest);
	if (strcmp(json_str_or(newest, "id", ""), json_str_or(proven, "id", "")) != 0)
		say_backup(out, "proven", proven);
	say_stores(out, json_object_get(doc, "stores"));
	say_jobs(out, json_object_get(doc, "agent"));
	say_notifiers(out, json_object_get(doc, "agent"));
	say_missing(out, json_object_get(doc, "not_backed_up"));
}

static int write_files(const struct app *app, const json_t *doc, struct err *err)
{
	const char *html = cli_value(app->cli, "html");
	bool served = html != NULL && output_is_handed_on(html);
	const struct {
		const char *option;
		int (*text)(const json_t *doc, struct buf *out, struct err *err);
	} files[] = {{"metrics", metrics_text}, {"html", served ? page_html : page_html_alone}};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		const char *path = cli_value(app->cli, files[i].option);
		struct buf text;
		if (path == NULL)
			continue;
		buf_init(&text, PAGE_MAX_BYTES);
		int done = files[i].text(doc, &text, err);
		if (done == 0)
			done = output_file(path, &text, err);
		buf_done(&text);
		if (done < 0)
			return -1;
	}
	return 0;
}

/* The exit status: danger 1, attention 2; 69 when no store answers. */
static int judge(const json_t *doc, struct err *err)
{
	const char *level = json_str_or(doc, "level", "");
	const json_t *reason = json_array_get(json_object_get(doc, "reasons"), 0);
	const char *first = json_str_or(reason, "text", "");
	size_t i, reached = 0;
	json_t *store;
	json_array_foreach(json_object_get(doc, "stores"), i, store)
	{
		reached += json_is_true(json_object_get(store, "reachable"));
	}
	if (reached == 0)
		return err_set(err, ERR_UNREACHABLE, "%s", first);
	if (strcmp(level, "safe") == 0)
		return 0;
	err_set(err, strcmp(level, "danger") == 0 ? ERR_FAILED : ERR_UNVERIFIED, "%s", first);
	const char *hint = json_str_or(reason, "hint", NULL);
	return hint != NULL ? err_hint(err, "%s", hint) : -1;
}

/* Nothing where no daemon has run yet, nor a folder is known for one. What it left and can't be
 * read is told: its jobs may fail unseen. */
static int ask_agent(const struct config *c, json_t **ret, struct err *err)
{
	struct err why = ERR_INIT;
	if (daemon_status(c, ret, &why) == 0 || why.code == ERR_ABSENT || why.code == ERR_CONFIG)
		return 0;
	if (why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	log_line(LOG_WARN, "what lifeboat run knows of its jobs is left out: %s", why.msg);
	return 0;
}

int cmd_status(struct app *app, struct err *err)
{
	CLEANUP(json_freep) json_t *agent = NULL;
	CLEANUP(json_freep) json_t *doc = NULL;
	if (ask_agent(app->config, &agent, err) < 0 ||
	    overview_load(app->config, cli_value(app->cli, "store"), agent, &doc, err) < 0)
		return -1;
	say(app->out, doc);
	if (write_files(app, doc, err) < 0 || output_json(app->out, json_incref(doc), err) < 0)
		return -1;
	return judge(doc, err);
}

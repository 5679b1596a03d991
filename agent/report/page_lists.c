/* Tables of the page: backups, jobs, stores. A wide one scrolls inside of itself. */
#include <stdlib.h>
#include <string.h>
#include "agent/report/page_impl.h"
#include "agent/report/overview.h"

enum { SHOWN = 14, RUNS_SHOWN = 20 };

static void begin_table(struct html *h, const char *label, const char *const *columns)
{
	html_rawf(h,
		  "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Table: %s\">"
		  "<table><thead><tr>",
		  label);
	for (; *columns != NULL; columns++) {
		bool number = **columns == '#';
		html_rawf(h, "<th scope=\"col\"%s>%s</th>", number ? " class=\"n\"" : "",
			  *columns + number);
	}
	html_raw(h, "</tr></thead><tbody>\n");
}

static void end_table(struct html *h)
{
	html_raw(h, "</tbody></table></div>\n");
}

static void number_cell(struct html *h, uint64_t n)
{
	html_raw(h, "<td class=\"n\">");
	html_count(h, n);
	html_raw(h, "</td>");
}

/* ---- backups ---- */

static void put_places(struct html *h, const json_t *stores, const char *id)
{
	size_t s, i, count = 0;
	json_t *store, *b;
	json_array_foreach(stores, s, store)
	{
		json_array_foreach(json_object_get(store, "backups"), i, b)
		{
			if (strcmp(json_str_or(b, "id", ""), id) != 0)
				continue;
			html_raw(h, count++ > 0 ? ", " : "");
			html_text(h, json_str_or(store, "label", "?"));
		}
	}
}

static void put_backup(struct html *h, const json_t *stores, const json_t *b)
{
	static const char *const flags[] = {"damaged", "suspicious", "pinned", "partial"};
	const char *id = json_str_or(b, "id", "?"), *broken = json_str_or(b, "broken", NULL);
	html_raw(h, "<tr><th scope=\"row\">");
	page_backup_link(h, id);
	html_time(h, overview_time(b, "taken"));
	page_backup_link_end(h);
	html_raw(h, "</th><td>");
	page_badge(h, broken != NULL ? "broken" : json_str_or(b, "proof", "none"));
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (!json_is_true(json_object_get(b, flags[i])))
			continue;
		html_raw(h, " ");
		page_badge(h, flags[i]);
	}
	html_raw(h, "</td><td class=\"n\">");
	html_size(h, json_u64_or(b, "bytes", 0));
	html_raw(h, "</td>");
	number_cell(h, json_u64_or(b, "rows", 0));
	number_cell(h, json_u64_or(b, "keys", 0));
	html_raw(h, "<td class=\"n\">");
	html_duration(h, (int64_t)json_u64_or(b, "duration_ms", 0));
	html_raw(h, "</td><td class=\"wrap\">");
	put_places(h, stores, id);
	html_raw(h, "</td><td class=\"id\">");
	html_text(h, id);
	html_raw(h, "</td><td class=\"wrap\">");
	html_text(h, broken != NULL ? broken : json_str_or(b, "label", ""));
	html_raw(h, "</td></tr>\n");
}

static int newest_first(const void *a, const void *b)
{
	const char *left = json_str_or(*(json_t *const *)a, "id", "");
	const char *right = json_str_or(*(json_t *const *)b, "id", "");
	return strcmp(right, left);
}

/* Each backup once, the newest first: borrowed, free() the array. NULL: h failed. */
static json_t **unique(struct html *h, const json_t *stores, size_t *ret_count)
{
	size_t s, i, count = 0, most = 0;
	json_t *store, *b;
	json_array_foreach(stores, s, store)
	{
		most += json_array_size(json_object_get(store, "backups"));
	}
	json_t **all = mem_zalloc((most + 1) * sizeof *all, "the page", h->err);
	h->failed = h->failed || all == NULL;
	if (all == NULL)
		return NULL;
	json_array_foreach(stores, s, store)
	{
		json_array_foreach(json_object_get(store, "backups"), i, b)
		{
			if (!page_seen(stores, s, json_str_or(b, "id", "")))
				all[count++] = b;
		}
	}
	qsort(all, count, sizeof *all, newest_first);
	*ret_count = count;
	return all;
}

void page_backups(struct html *h, const json_t *stores)
{
	static const char *const columns[] = {"Taken", "Proof", "#Size",  "#Rows", "#Keys",
					      "#Took", "In",    "Backup", "Note",  NULL};
	size_t count = 0;
	json_t **all = unique(h, stores, &count);
	if (all == NULL)
		return;
	html_raw(h, "<section aria-labelledby=\"backups\"><h2 id=\"backups\">Backups</h2>\n");
	if (count == 0)
		html_raw(h, "<p>There is none.</p>");
	else
		begin_table(h, "backups", columns);
	for (size_t i = 0; i < count; i++) {
		if (i == SHOWN) {
			end_table(h);
			html_rawf(h, "<details><summary>%zu older ones</summary>\n", count - SHOWN);
			begin_table(h, "older backups", columns);
		}
		put_backup(h, stores, all[i]);
	}
	if (count > 0)
		end_table(h);
	html_raw(h, count > SHOWN ? "</details></section>\n" : "</section>\n");
	free(all);
}

/* ---- jobs ---- */

static void put_job(struct html *h, const char *name, const json_t *job)
{
	const json_t *last = json_object_get(job, "last");
	bool again;
	int64_t at = overview_next(job, &again);
	html_raw(h, "<tr><th scope=\"row\">");
	html_text(h, name);
	html_raw(h, "</th><td>");
	if (at > 0) {
		html_raw(h, again ? "again " : "");
		html_time(h, at);
		html_raw(h, " <span class=\"soft\">");
		html_age(h, at);
		html_raw(h, "</span>");
	} else {
		html_raw(h, "not scheduled");
	}
	if (json_is_true(json_object_get(job, "overdue"))) {
		html_raw(h, " ");
		page_badge(h, "overdue");
	}
	html_raw(h, "</td><td>");
	html_time(h, overview_time(last, "began"));
	html_raw(h, "</td><td>");
	if (json_is_object(last))
		page_badge(h, json_str_or(last, "outcome", "running"));
	html_raw(h, "</td><td class=\"n\">");
	if (json_is_object(last))
		html_duration(h, (int64_t)json_u64_or(last, "duration_ms", 0));
	html_raw(h, "</td><td>");
	html_time(h, overview_time(json_object_get(job, "last_success"), "ended"));
	html_raw(h, "</td><td class=\"wrap\">");
	html_text(h, json_str_or(json_object_get(last, "error"), "message", ""));
	html_raw(h, "</td></tr>\n");
}

static void put_runs(struct html *h, const json_t *history)
{
	static const char *const columns[] = {"Began", "Job", "Outcome", "#Took", "Why", NULL};
	size_t i;
	json_t *run;
	if (json_array_size(history) == 0)
		return;
	html_raw(h, "<details><summary>The last runs</summary>\n");
	begin_table(h, "the last runs", columns);
	json_array_foreach(history, i, run)
	{
		if (i == RUNS_SHOWN)
			break;
		html_raw(h, "<tr><th scope=\"row\">");
		html_time(h, overview_time(run, "began"));
		html_raw(h, "</th><td>");
		html_text(h, json_str_or(run, "job", "?"));
		html_raw(h, "</td><td>");
		page_badge(h, json_str_or(run, "outcome", "?"));
		html_raw(h, "</td><td class=\"n\">");
		html_duration(h, (int64_t)json_u64_or(run, "duration_ms", 0));
		html_raw(h, "</td><td class=\"wrap\">");
		html_text(h, json_str_or(json_object_get(run, "error"), "message", ""));
		html_raw(h, "</td></tr>\n");
	}
	end_table(h);
	html_raw(h, "</details>\n");
}

static void put_refused(struct html *h, const json_t *agent)
{
	const json_t *refused = json_object_get(agent, "refused");
	if (!json_is_object(refused))
		return;
	html_raw(h, "<p><span class=\"badge bad\">refused</span> The agent.conf of ");
	html_time(h, overview_time(refused, "since"));
	html_raw(h, ": ");
	html_text(h, json_str_or(json_object_get(refused, "error"), "message", "?"));
	html_raw(h, ". The one of ");
	html_time(h, overview_time(agent, "loaded"));
	html_raw(h, " stays in use.</p>\n");
}

static void put_notifiers(struct html *h, const json_t *list)
{
	static const char *const columns[] = {"Notifier",      "State", "#Waiting", "#Lost",
					      "Failing since", "Why",   NULL};
	size_t i;
	json_t *n;
	if (json_array_size(list) == 0)
		return;
	html_raw(h, "<h3>Who is told</h3>\n");
	begin_table(h, "notifiers", columns);
	json_array_foreach(list, i, n)
	{
		int64_t since = overview_time(n, "failing_since");
		html_raw(h, "<tr><th scope=\"row\">");
		html_text(h, json_str_or(n, "notifier", "?"));
		html_raw(h, since != 0
				? "</th><td><span class=\"badge bad\">can\xE2\x80\x99t be told"
				: "</th><td><span class=\"badge good\">works");
		html_raw(h, "</span></td>");
		number_cell(h, json_u64_or(n, "waiting", 0));
		number_cell(h, json_u64_or(n, "lost", 0));
		html_raw(h, "<td>");
		html_time(h, since);
		html_raw(h, "</td><td class=\"wrap\">");
		html_text(h, json_str_or(n, "error", ""));
		html_raw(h, "</td></tr>\n");
	}
	end_table(h);
}

void page_jobs(struct html *h, const json_t *agent)
{
	static const char *const columns[] = {"Job",   "Next",         "Last run", "Outcome",
					      "#Took", "Last success", "Why",      NULL};
	const char *name;
	json_t *job;
	const json_t *running = json_object_get(agent, "running");
	html_raw(h, "<section aria-labelledby=\"jobs\"><h2 id=\"jobs\">Next runs</h2>\n");
	if (!json_is_object(agent)) {
		html_raw(h, "<p>No schedule is known here: <code>lifeboat run</code> keeps one.</p>"
			    "</section>\n");
		return;
	}
	if (json_is_object(running)) {
		html_raw(h, "<p>Now: ");
		html_text(h, json_str_or(running, "job", "?"));
		html_raw(h, ", since ");
		html_time(h, overview_time(running, "began"));
		html_raw(h, ".</p>");
	}
	if (!json_is_integer(json_object_get(agent, "pid")))
		html_raw(h, "<p><span class=\"badge bad\">not running</span> The agent is not "
			    "there: nothing will run by itself.</p>");
	put_refused(h, agent);
	begin_table(h, "next runs", columns);
	json_object_foreach(json_object_get(agent, "jobs"), name, job)
	{
		put_job(h, name, job);
	}
	end_table(h);
	put_runs(h, json_object_get(agent, "history"));
	put_notifiers(h, json_object_get(agent, "notifiers"));
	html_raw(h, "</section>\n");
}

/* ---- stores ---- */

static void put_store(struct html *h, const json_t *s)
{
	const json_t *list = json_object_get(s, "backups"),
		     *room = json_object_get(s, "free_bytes");
	bool up = json_is_true(json_object_get(s, "reachable"));
	html_raw(h, "<tr><th scope=\"row\">");
	html_text(h, json_str_or(s, "label", "?"));
	html_raw(h, "</th><td>");
	html_text(h, json_str_or(s, "site", ""));
	html_raw(h, "</td><td>");
	page_badge(h, up ? "reachable" : "unreachable");
	html_raw(h, "</td>");
	if (up) {
		number_cell(h, json_array_size(list));
		html_raw(h, "<td>");
		html_time(h, overview_time(json_array_get(list, 0), "taken"));
	} else {
		html_raw(h, "<td class=\"n\">?</td><td>?");
	}
	html_raw(h, "</td><td class=\"n\">");
	if (json_is_integer(room))
		html_size(h, json_u64_or(s, "free_bytes", 0));
	html_raw(h, "</td><td class=\"wrap\">");
	html_text(h, json_str_or(s, "error", json_str_or(s, "where", "")));
	html_raw(h, "</td></tr>\n");
}

void page_stores(struct html *h, const json_t *stores)
{
	static const char *const columns[] = {"Store",  "Site",  "State", "#Backups",
					      "Newest", "#Room", "Where", NULL};
	size_t i;
	json_t *s;
	html_raw(h, "<section aria-labelledby=\"stores\"><h2 id=\"stores\">Stores</h2>\n");
	begin_table(h, "stores", columns);
	json_array_foreach(stores, i, s)
	{
		put_store(h, s);
	}
	end_table(h);
	html_raw(h, "</section>\n");
}

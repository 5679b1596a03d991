#include "agent/report/page_impl.h"

#include <string.h>
#include "agent/report/overview.h"

void page_begin(struct html *h, const char *title, const char *up)
{
	html_raw(h,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
	html_text(h, title);
	html_raw(h, "</title>\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=\"robots\" content=\"noindex\">\n"
		    "<link rel=\"icon\" href=\"data:,\">\n<style>");
	for (const char *const *part = page_style(); *part != NULL; part++)
		html_raw(h, *part);
	html_raw(h, "</style>\n</head>\n<body>\n"
		    "<a class=\"skip\" href=\"#main\">To the content</a>\n<header>");
	if (h->alone)
		html_raw(h, "<span>Lifeboat</span>");
	else
		html_rawf(h, "<a href=\"%s\">Lifeboat</a>", up[0] != '\0' ? up : "./");
}

void page_end(struct html *h, const char *version, const char *up)
{
	html_raw(h, "</main>\n<footer>");
	if (version != NULL) {
		html_raw(h, "<span>Lifeboat ");
		html_text(h, version);
		html_raw(h, "</span>");
	}
	if (!h->alone)
		html_rawf(h,
			  "<a href=\"%sapi/v1/status\">The status as JSON</a>"
			  "<a href=\"%smetrics\">Metrics</a>",
			  up, up);
	html_raw(h, "</footer>\n</body>\n</html>\n");
}

void page_backup_link(struct html *h, const char *id)
{
	if (h->alone)
		return;
	html_raw(h, "<a href=\"backups/");
	html_text(h, id);
	html_raw(h, "\">");
}

void page_backup_link_end(struct html *h)
{
	if (!h->alone)
		html_raw(h, "</a>");
}

void page_term(struct html *h, const char *term)
{
	html_rawf(h, "<div><dt>%s</dt><dd>", term);
}

void page_badge(struct html *h, const char *outcome)
{
	static const struct {
		const char *outcome, *class, *word;
	} badges[] = {{"passed", "good", "proven"},
		      {"success", "good", "success"},
		      {"failed", "bad", "failed"},
		      {"none", "", "not tried"},
		      {"broken", "bad", "broken"},
		      {"failure", "bad", "failure"},
		      {"damaged", "bad", "damaged"},
		      {"crashed", "bad", "crashed"},
		      {"timeout", "bad", "timeout"},
		      {"suspicious", "warn", "suspicious"},
		      {"could not verify", "warn", "could not verify"},
		      {"pinned", "", "pinned"},
		      {"partial", "", "partial"},
		      {"reachable", "good", "reachable"},
		      {"unreachable", "bad", "can\xE2\x80\x99t be reached"},
		      {"overdue", "bad", "overdue"},
		      {"running", "good", "running"}};
	for (size_t i = 0; i < sizeof badges / sizeof *badges; i++) {
		if (strcmp(badges[i].outcome, outcome) != 0)
			continue;
		html_rawf(h, "<span class=\"badge %s\">%s</span>", badges[i].class, badges[i].word);
		return;
	}
	html_raw(h, "<span class=\"badge warn\">");
	html_text(h, outcome);
	html_raw(h, "</span>");
}

bool page_seen(const json_t *stores, size_t store, const char *id)
{
	for (size_t s = 0; s < store; s++) {
		size_t i;
		json_t *b;
		json_array_foreach(json_object_get(json_array_get(stores, s), "backups"), i, b)
		{
			if (strcmp(json_str_or(b, "id", ""), id) == 0)
				return true;
		}
	}
	return false;
}

/* Words of ours for a class of ours, whatever the document says. */
static const char *level_class(const char *level)
{
	return strcmp(level, "safe") == 0     ? "safe"
	       : strcmp(level, "danger") == 0 ? "danger"
					      : "attention";
}

static void put_verdict(struct html *h, const json_t *doc)
{
	const char *verdict = json_str_or(doc, "verdict", "Nothing is known.");
	const char *level = level_class(json_str_or(doc, "level", ""));
	const char *colon = strchr(verdict, ':');
	const json_t *reasons = json_object_get(doc, "reasons");
	size_t i;
	json_t *reason;
	html_raw(h, "<h1 id=\"verdict\">");
	if (colon != NULL) {
		html_rawf(h, "<span class=\"%s\">", level);
		html_textf(h, "%.*s", (int)(colon - verdict + 1), verdict);
		html_raw(h, "</span>");
		verdict = colon + 1;
	}
	html_text(h, verdict);
	html_raw(h, "</h1>\n");
	/* The first one is in the sentence. */
	if (json_array_size(reasons) < 2)
		return;
	html_raw(h, "<ul class=\"reasons\">");
	json_array_foreach(reasons, i, reason)
	{
		if (i == 0)
			continue;
		html_raw(h, "<li>");
		html_text(h, json_str_or(reason, "text", "?"));
		html_raw(h, "</li>");
	}
	html_raw(h, "</ul>\n");
}

static void put_backup_term(struct html *h, const char *term, const json_t *b)
{
	page_term(h, term);
	if (!json_is_object(b)) {
		html_raw(h, "<b>none</b></dd></div>");
		return;
	}
	html_raw(h, "<b>");
	html_age(h, overview_time(b, "taken"));
	html_raw(h, "</b>");
	html_time(h, overview_time(b, "taken"));
	html_raw(h, "<br>");
	page_backup_link(h, json_str_or(b, "id", ""));
	html_raw(h, "<span class=\"id\">");
	html_text(h, json_str_or(b, "id", "?"));
	html_raw(h, "</span>");
	page_backup_link_end(h);
	html_raw(h, "</dd></div>\n");
}

static void put_glance(struct html *h, const json_t *doc)
{
	const json_t *newest = json_object_get(doc, "newest"),
		     *proven = json_object_get(doc, "proven");
	html_raw(h, "<section aria-label=\"At a glance\"><dl>\n");
	put_backup_term(h, "Newest backup", newest);
	put_backup_term(h, "Newest proven backup", proven);
	page_term(h, "Measured time to restore it");
	if (json_is_object(proven)) {
		html_raw(h, "<b>");
		html_duration(h, (int64_t)json_u64_or(proven, "restore_ms", 0));
		html_raw(h, "</b>proved ");
		html_age(h, overview_time(proven, "proved"));
	} else {
		html_raw(h, "<b>not measured</b>");
	}
	html_raw(h, "</dd></div>\n");
	if (json_is_object(newest)) {
		page_term(h, "In the newest backup");
		html_raw(h, "<b>");
		html_count(h, json_u64_or(newest, "rows", 0));
		html_raw(h, " rows</b>");
		html_count(h, json_u64_or(newest, "keys", 0));
		html_raw(h, " keys, ");
		html_count(h, json_u64_or(newest, "files", 0));
		html_raw(h, " files; ");
		html_size(h, json_u64_or(newest, "bytes", 0));
		html_raw(h, " for ");
		html_size(h, json_u64_or(newest, "raw_bytes", 0));
		html_raw(h, "</dd></div>\n");
	}
	html_raw(h, "</dl></section>\n");
}

static void put_missing(struct html *h, const json_t *list)
{
	size_t i;
	json_t *item;
	html_raw(h,
		 "<section aria-labelledby=\"missing\"><h2 id=\"missing\">What has no backup</h2>"
		 "\n");
	if (json_array_size(list) == 0)
		html_raw(h, "<p>Nothing that Lifeboat knows of.</p>");
	else
		html_raw(h, "<ul class=\"reasons\">");
	json_array_foreach(list, i, item)
	{
		html_raw(h, "<li><strong>");
		html_text(h, json_str_or(item, "what", "?"));
		html_raw(h, "</strong>: ");
		html_text(h, json_str_or(item, "why", "?"));
		html_raw(h, "</li>");
	}
	html_raw(h, json_array_size(list) == 0 ? "</section>\n" : "</ul></section>\n");
}

static void put_head(struct html *h, const json_t *doc)
{
	html_raw(h, "<span>Stack <strong>");
	html_text(h, json_str_or(doc, "stack", "?"));
	html_raw(h, "</strong></span><span>As of ");
	html_time(h, h->now_ms);
	html_raw(h, ", times in ");
	html_text(h, json_str_or(doc, "timezone", "UTC"));
	html_raw(h, "</span></header>\n<main id=\"main\">\n");
}

static int make(const json_t *doc, bool alone, struct buf *out, struct err *err)
{
	CLEANUP(zone_freep) struct zone *zone = NULL;
	CLEANUP(freep) char *title = NULL;
	if (zone_load(json_str_or(doc, "timezone", NULL), &zone, err) < 0 ||
	    str_printf(&title, err, "%s: %s", json_str_or(doc, "stack", "?"),
		       json_str_or(doc, "level", "not known")) < 0)
		return -1;
	struct html h = {.out = out,
			 .err = err,
			 .zone = zone,
			 .now_ms = overview_time(doc, "generated"),
			 .alone = alone};
	page_begin(&h, title, "");
	put_head(&h, doc);
	put_verdict(&h, doc);
	put_glance(&h, doc);
	html_raw(&h, "<div class=\"pair\">\n");
	page_calendar(&h, json_object_get(doc, "days"));
	put_missing(&h, json_object_get(doc, "not_backed_up"));
	html_raw(&h, "</div>\n");
	page_plots(&h, doc);
	page_backups(&h, json_object_get(doc, "stores"));
	page_drills(&h, json_object_get(doc, "drills"));
	page_jobs(&h, json_object_get(doc, "agent"));
	page_stores(&h, json_object_get(doc, "stores"));
	page_end(&h, json_str_or(doc, "version", NULL), "");
	return h.failed ? -1 : 0;
}

int page_html(const json_t *doc, struct buf *out, struct err *err)
{
	return make(doc, false, out, err);
}

int page_html_alone(const json_t *doc, struct buf *out, struct err *err)
{
	return make(doc, true, out, err);
}

int page_error_html(const char *title, const char *text, struct buf *out, struct err *err)
{
	struct html h = {.out = out, .err = err};
	page_begin(&h, title, "./");
	html_raw(&h, "</header>\n<main id=\"main\">\n<h1>");
	html_text(&h, title);
	html_raw(&h, "</h1>\n<p>");
	html_text(&h, text);
	html_raw(&h, "</p>\n</main>\n</body>\n</html>\n");
	return h.failed ? -1 : 0;
}

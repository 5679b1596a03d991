/* Drills with their evidence. */
#include <string.h>
#include "agent/report/page_impl.h"
#include "agent/report/overview.h"

enum { SHOWN = 12, GIST_BYTES = 100 };

static void put_differences(struct html *h, const json_t *e)
{
	const json_t *list = json_object_get(e, "differences");
	size_t i;
	json_t *d;
	if (json_array_size(list) == 0)
		return;
	html_raw(h, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
		    "aria-label=\"Differences, ");
	html_text(h, json_str_or(e, "started", "?"));
	html_raw(h,
		 "\"><table><caption>What differs</caption><thead><tr><th scope=\"col\">Where</th>"
		 "<th scope=\"col\">What</th><th scope=\"col\">Expected</th>"
		 "<th scope=\"col\">Found</th></tr></thead><tbody>\n");
	json_array_foreach(list, i, d)
	{
		static const char *const cells[] = {"what", "expected", "found"};
		html_raw(h, "<tr><th scope=\"row\" class=\"wrap\">");
		html_text(h, json_str_or(d, "where", "?"));
		html_raw(h, "</th>");
		for (size_t c = 0; c < sizeof cells / sizeof *cells; c++) {
			html_raw(h, "<td class=\"wrap\">");
			html_text(h, json_str_or(d, cells[c], ""));
			html_raw(h, "</td>");
		}
		html_raw(h, "</tr>\n");
	}
	html_raw(h, "</tbody></table></div>\n");
}

static void put_sentences(struct html *h, const json_t *e)
{
	size_t i;
	json_t *item;
	const json_t *unknowns = json_object_get(e, "unknowns"),
		     *notes = json_object_get(e, "notes");
	if (json_array_size(unknowns) + json_array_size(notes) == 0)
		return;
	html_raw(h, "<ul class=\"reasons\">");
	json_array_foreach(unknowns, i, item)
	{
		html_raw(h, "<li>");
		html_text(h, json_str_or(item, "where", "?"));
		html_raw(h, ": could not verify: ");
		html_text(h, json_str_or(item, "why", "?"));
		html_raw(h, "</li>");
	}
	json_array_foreach(notes, i, item)
	{
		html_raw(h, "<li>");
		html_text(h, json_string_value(item));
		html_raw(h, "</li>");
	}
	html_raw(h, "</ul>\n");
}

static void put_terms(struct html *h, const json_t *e)
{
	static const struct {
		const char *key, *term;
	} times[] = {{"restore_ms", "Restored in"},
		     {"prove_ms", "Proved in"},
		     {"data_age_ms", "Age of the data"}};
	const char *component;
	json_t *noticed;
	html_raw(h, "<dl>");
	page_term(h, "Backup");
	html_raw(h, "<span class=\"id\">");
	html_text(h, json_str_or(e, "id", "?"));
	html_raw(h, "</span></dd></div>");
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		uint64_t ms = json_u64_or(e, times[i].key, 0);
		/* It never got so far. */
		if (ms == 0)
			continue;
		page_term(h, times[i].term);
		html_duration(h, (int64_t)ms);
		html_raw(h, "</dd></div>");
	}
	page_term(h, "Comparisons");
	html_count(h, json_u64_or(e, "compared", 0));
	html_rawf(h, "; %llu differ, %llu could not be made</dd></div>",
		  (unsigned long long)json_u64_or(e, "failed", 0),
		  (unsigned long long)json_u64_or(e, "unverified", 0));
	json_object_foreach(json_object_get(e, "controls"), component, noticed)
	{
		html_raw(h, "<div><dt>Control, ");
		html_text(h, component);
		html_rawf(h, "</dt><dd>a change was %s</dd></div>",
			  json_is_true(noticed) ? "noticed" : "not noticed");
	}
	html_raw(h, "</dl>\n");
}

/* The result in a few words. */
static void put_gist(struct html *h, const json_t *e, bool passed)
{
	uint64_t compared = json_u64_or(e, "compared", 0), failed = json_u64_or(e, "failed", 0),
		 unverified = json_u64_or(e, "unverified", 0);
	const char *error = json_str_or(e, "error", "");
	if (passed) {
		html_raw(h, "restored in ");
		html_duration(h, (int64_t)json_u64_or(e, "restore_ms", 0));
		html_raw(h, ", ");
		html_count(h, compared);
		html_raw(h, compared == 1 ? " comparison" : " comparisons");
	} else if (failed > 0) {
		html_count(h, failed);
		html_raw(h, " of ");
		html_count(h, compared);
		html_raw(h, failed == 1 ? " comparisons differs" : " comparisons differ");
	} else if (unverified > 0) {
		html_count(h, unverified);
		html_raw(h, " could not be compared");
	} else if (strlen(error) <= GIST_BYTES) {
		html_text(h, error);
	}
}

void page_drill(struct html *h, const json_t *e, bool open)
{
	const char *outcome = json_str_or(e, "outcome", "?"),
		   *error = json_str_or(e, "error", NULL);
	html_rawf(h, "<details%s><summary>", open ? " open" : "");
	html_time(h, overview_time(e, "started"));
	html_raw(h, " ");
	page_badge(h, outcome);
	html_raw(h, " <span class=\"soft\">");
	put_gist(h, e, strcmp(outcome, "passed") == 0);
	html_raw(h, "</span></summary>\n<div>");
	if (error != NULL) {
		html_raw(h, "<p>");
		html_text(h, error);
		html_raw(h, "</p>");
	}
	put_terms(h, e);
	put_differences(h, e);
	put_sentences(h, e);
	html_raw(h, "</div></details>\n");
}

void page_drills(struct html *h, const json_t *drills)
{
	size_t i;
	json_t *e;
	html_raw(h, "<section aria-labelledby=\"drills\"><h2 id=\"drills\">Drills</h2>\n");
	if (json_array_size(drills) == 0)
		html_raw(h, "<p>None yet. <code>lifeboat drill</code> restores a backup, compares "
			    "it, and throws it away.</p>");
	json_array_foreach(drills, i, e)
	{
		if (i == SHOWN)
			html_rawf(h, "<details><summary>%zu older ones</summary><div>\n",
				  json_array_size(drills) - SHOWN);
		page_drill(h, e, false);
	}
	html_raw(h,
		 json_array_size(drills) > SHOWN ? "</div></details></section>\n" : "</section>\n");
}

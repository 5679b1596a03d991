/* What one backup holds, down to its tables: from what `show --json` prints. */
#include <string.h>
#include "agent/report/page_impl.h"
#include "agent/report/overview.h"

/* So many tables stand open; more would hide what comes below them. */
enum { OPEN_TABLES = 40 };

static void put_size_row(struct html *h, const char *schema, const char *name, uint64_t rows,
			 uint64_t bytes)
{
	html_raw(h, "<tr><th scope=\"row\" class=\"wrap\">");
	html_textf(h, "%s.%s", schema, name);
	html_raw(h, "</th><td class=\"n\">");
	html_count(h, rows);
	html_raw(h, "</td><td class=\"n\">");
	html_size(h, bytes);
	html_raw(h, "</td></tr>\n");
}

static void put_database(struct html *h, const json_t *db)
{
	size_t i;
	json_t *t;
	uint64_t rows = 0;
	const json_t *tables = json_object_get(db, "tables");
	json_array_foreach(tables, i, t)
	{
		rows += json_u64_or(t, "rows", 0);
	}
	size_t count = json_array_size(tables);
	html_raw(h, count == 0             ? "<p>"
		    : count <= OPEN_TABLES ? "<details open><summary>"
					   : "<details><summary>");
	html_raw(h, "<strong>");
	html_text(h, json_str_or(db, "name", "?"));
	html_rawf(h, "</strong> <span class=\"soft\">%zu %s, ", count,
		  count == 1 ? "table" : "tables");
	html_count(h, rows);
	html_raw(h, " rows; owner ");
	html_text(h, json_str_or(db, "owner", "?"));
	html_raw(h, ", ");
	html_text(h, json_str_or(db, "encoding", "?"));
	html_raw(h, count == 0 ? "</span></p>\n" : "</span></summary>\n");
	if (count == 0)
		return;
	html_raw(h, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Tables of ");
	html_text(h, json_str_or(db, "name", "?"));
	html_raw(h, "\"><table>"
		    "<thead><tr><th scope=\"col\">Table</th><th scope=\"col\" class=\"n\">Rows</th>"
		    "<th scope=\"col\" class=\"n\">Size</th></tr></thead><tbody>\n");
	json_array_foreach(tables, i, t)
	{
		put_size_row(h, json_str_or(t, "schema", "?"), json_str_or(t, "name", "?"),
			     json_u64_or(t, "rows", 0), json_u64_or(t, "bytes", 0));
	}
	html_raw(h, "</tbody></table></div></details>\n");
}

static void put_postgres(struct html *h, const json_t *section)
{
	size_t i;
	json_t *db;
	if (section == NULL)
		return;
	html_raw(h, "<section aria-labelledby=\"postgres\"><h2 id=\"postgres\">PostgreSQL ");
	html_text(h, json_str_or(json_object_get(section, "server"), "server_version", ""));
	html_raw(h, "</h2>\n<p>From volume ");
	html_text(h, json_str_or(section, "volume", "?"));
	html_raw(h, ".</p>\n");
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		put_database(h, db);
	}
	html_raw(h, "</section>\n");
}

static void put_redis(struct html *h, const json_t *section)
{
	size_t i;
	json_t *db;
	if (section == NULL)
		return;
	html_raw(h, "<section aria-labelledby=\"redis\"><h2 id=\"redis\">Redis ");
	html_text(h, json_str_or(json_object_get(section, "server"), "version", ""));
	html_raw(h, "</h2>\n<p>From volume ");
	html_text(h, json_str_or(section, "volume", "?"));
	html_raw(h, ", by ");
	html_text(h, json_str_or(section, "method", "?"));
	html_raw(h, ".</p>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
		    "aria-label=\"Redis databases\"><table><thead><tr><th scope=\"col\">Database"
		    "</th><th scope=\"col\" class=\"n\">Keys</th><th scope=\"col\" class=\"n\">"
		    "Of them expire</th></tr></thead><tbody>\n");
	json_array_foreach(json_object_get(json_object_get(section, "rdb"), "databases"), i, db)
	{
		html_rawf(h, "<tr><th scope=\"row\">%llu</th><td class=\"n\">",
			  (unsigned long long)json_u64_or(db, "number", 0));
		html_count(h, json_u64_or(db, "keys", 0));
		html_raw(h, "</td><td class=\"n\">");
		html_count(h, json_u64_or(db, "expiring", 0));
		html_raw(h, "</td></tr>\n");
	}
	html_raw(h, "</tbody></table></div></section>\n");
}

static void put_rest(struct html *h, const json_t *components)
{
	const json_t *pgbouncer = json_object_get(components, "pgbouncer");
	const char *label;
	json_t *v;
	if (pgbouncer != NULL) {
		size_t i;
		json_t *file;
		html_raw(h, "<section aria-labelledby=\"pgbouncer\"><h2 id=\"pgbouncer\">PgBouncer"
			    "</h2>\n<ul class=\"reasons\">");
		json_array_foreach(json_object_get(pgbouncer, "files"), i, file)
		{
			html_raw(h, "<li>");
			html_textf(h, "%s (%s)", json_str_or(file, "path", "?"),
				   json_str_or(file, "role", "?"));
			html_raw(h, "</li>");
		}
		html_raw(h, "</ul></section>\n");
	}
	json_object_foreach(json_object_get(components, "volumes"), label, v)
	{
		html_raw(h, "<section><h2>Volume ");
		html_text(h, json_str_or(v, "volume", label));
		html_raw(h, "</h2>\n<p>");
		html_count(h, json_u64_or(v, "files", 0));
		html_raw(h, " files, ");
		html_size(h, json_u64_or(v, "bytes", 0));
		html_raw(h, "</p></section>\n");
	}
}

static void put_head(struct html *h, const json_t *shown)
{
	const json_t *side = json_object_get(shown, "sidecar"),
		     *counts = json_object_get(side, "counts");
	html_raw(h, "<span>Stack <strong>");
	html_text(h, json_str_or(side, "stack", "?"));
	html_raw(h, "</strong></span><span>Times in ");
	html_text(h, json_str_or(shown, "timezone", "UTC"));
	html_raw(h, "</span></header>\n<main id=\"main\">\n<h1>Backup of ");
	html_time(h, overview_time(side, "started"));
	html_raw(h, "</h1>\n<p><span class=\"id\">");
	html_text(h, json_str_or(side, "id", "?"));
	html_raw(h, "</span> ");
	page_badge(h, json_str_or(shown, "proof", "none"));
	html_raw(h, "</p>\n<dl>");
	page_term(h, "Archive");
	html_raw(h, "<b>");
	html_size(h, json_u64_or(side, "bytes", 0));
	html_raw(h, "</b>");
	html_size(h, json_u64_or(counts, "raw_bytes", 0));
	html_raw(h, " before compression</dd></div>");
	page_term(h, "Rows");
	html_raw(h, "<b>");
	html_count(h, json_u64_or(counts, "rows", 0));
	html_raw(h, "</b>in ");
	html_count(h, json_u64_or(counts, "tables", 0));
	html_raw(h, " tables</dd></div>");
	page_term(h, "Redis keys");
	html_raw(h, "<b>");
	html_count(h, json_u64_or(counts, "redis_keys", 0));
	html_raw(h, "</b></dd></div>");
	page_term(h, "Note");
	html_text(h, json_str_or(side, "label", "none"));
	html_raw(h, "</dd></div>");
	html_raw(h, "<div class=\"whole\"><dt>SHA-256 of the archive</dt><dd><code>");
	html_text(h, json_str_or(side, "sha256", "?"));
	html_raw(h, "</code></dd></div></dl>\n");
}

static void put_warnings(struct html *h, const json_t *list)
{
	size_t i;
	json_t *text;
	if (json_array_size(list) == 0)
		return;
	html_raw(h, "<section aria-labelledby=\"warnings\"><h2 id=\"warnings\">Warnings</h2>\n"
		    "<ul class=\"reasons\">");
	json_array_foreach(list, i, text)
	{
		html_raw(h, "<li>");
		html_text(h, json_string_value(text));
		html_raw(h, "</li>");
	}
	html_raw(h, "</ul></section>\n");
}

/* Evidence as the status document has it: its report is one floor further down. */
static void put_drills(struct html *h, const json_t *drills)
{
	html_raw(h, "<section aria-labelledby=\"drills\"><h2 id=\"drills\">Drills</h2>\n");
	if (json_array_size(drills) == 0)
		html_raw(h, "<p>None yet.</p>");
	for (size_t i = json_array_size(drills); i > 0 && !h->failed; i--) {
		const json_t *e = json_array_get(drills, i - 1);
		json_t *flat = NULL;
		if (overview_drill(e, json_str_or(e, "id", "?"), "", &flat, h->err) < 0)
			h->failed = true;
		else
			page_drill(h, flat, i == json_array_size(drills));
		json_decref(flat);
	}
	html_raw(h, "</section>\n");
}

static int make(const json_t *shown, bool alone, struct buf *out, struct err *err)
{
	CLEANUP(zone_freep) struct zone *zone = NULL;
	CLEANUP(freep) char *title = NULL;
	const json_t *manifest = json_object_get(shown, "manifest"),
		     *components = json_object_get(manifest, "components");
	if (zone_load(json_str_or(shown, "timezone", NULL), &zone, err) < 0 ||
	    str_printf(&title, err, "Backup %s",
		       json_str_or(json_object_get(shown, "sidecar"), "id", "?")) < 0)
		return -1;
	struct html h = {.out = out, .err = err, .zone = zone, .alone = alone};
	page_begin(&h, title, "../");
	put_head(&h, shown);
	put_warnings(&h, json_object_get(manifest, "warnings"));
	put_drills(&h, json_object_get(shown, "drills"));
	put_postgres(&h, json_object_get(components, "postgres"));
	put_redis(&h, json_object_get(components, "redis"));
	put_rest(&h, components);
	page_end(&h, json_str_or(manifest, "lifeboat_version", NULL), "../");
	return h.failed ? -1 : 0;
}

int page_backup_html(const json_t *shown, struct buf *out, struct err *err)
{
	return make(shown, false, out, err);
}

int page_backup_html_alone(const json_t *shown, struct buf *out, struct err *err)
{
	return make(shown, true, out, err);
}

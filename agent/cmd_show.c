/* What one backup holds, down to tables, rows and keys: read out of its manifest. */
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/report/page.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/verified_text.h"
#include "storage/archive/reader.h"

static int show_tables(struct app *app, const json_t *db, struct err *err)
{
	static const struct table_column columns[] = {
	    {"  TABLE", false}, {"ROWS", true}, {"BYTES", true}, {"DIGEST", false}};
	CLEANUP(table_freep) struct table *t = NULL;
	size_t i;
	json_t *table;
	if (table_new(columns, sizeof columns / sizeof *columns, &t, err) < 0)
		return -1;
	json_array_foreach(json_object_get(db, "tables"), i, table)
	{
		char rows[FORMAT_BYTES], bytes[FORMAT_BYTES];
		CLEANUP(freep) char *name = NULL;
		if (str_printf(&name, err, "  %s.%s", json_str_or(table, "schema", "?"),
			       json_str_or(table, "name", "?")) < 0)
			return -1;
		const char *const cells[] = {name,
					     format_count(json_u64_or(table, "rows", 0), rows),
					     format_size(json_u64_or(table, "bytes", 0), bytes),
					     json_str_or(table, "digest", "")};
		if (table_add(t, cells, err) < 0)
			return -1;
	}
	return output_table(app->out, t, err);
}

static int show_postgres(struct app *app, const json_t *section, struct err *err)
{
	const json_t *server = json_object_get(section, "server");
	size_t i;
	json_t *db;
	output_text(app->out, "\n");
	output_line(app->out, STYLE_BOLD "PostgreSQL" STYLE_END " %s, from volume '%s'",
		    json_str_or(server, "server_version", "?"),
		    json_str_or(section, "volume", "?"));
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		const json_t *large = json_object_get(db, "large_objects");
		output_line(app->out,
			    "database '%s': owner %s, %s, %s, %llu large objects, %zu sequences",
			    json_str_or(db, "name", "?"), json_str_or(db, "owner", "?"),
			    json_str_or(db, "encoding", "?"), json_str_or(db, "collate", "?"),
			    (unsigned long long)json_u64_or(large, "count", 0),
			    json_array_size(json_object_get(db, "sequences")));
		if (show_tables(app, db, err) < 0)
			return -1;
	}
	return 0;
}

static void show_redis(struct app *app, const json_t *section)
{
	const json_t *server = json_object_get(section, "server"),
		     *rdb = json_object_get(section, "rdb");
	size_t i;
	json_t *db;
	output_text(app->out, "\n");
	output_line(app->out,
		    STYLE_BOLD "Redis" STYLE_END " %s, from volume '%s', by %s; dump format %s",
		    json_str_or(server, "version", "?"), json_str_or(section, "volume", "?"),
		    json_str_or(section, "method", "?"), json_str_or(rdb, "magic", "?"));
	json_array_foreach(json_object_get(rdb, "databases"), i, db)
	{
		char keys[FORMAT_BYTES], expiring[FORMAT_BYTES];
		output_line(app->out, "  database %llu: %s keys, %s of them expire",
			    (unsigned long long)json_u64_or(db, "number", 0),
			    format_count(json_u64_or(db, "keys", 0), keys),
			    format_count(json_u64_or(db, "expiring", 0), expiring));
	}
}

static void show_rest(struct app *app, const json_t *components)
{
	const json_t *pgbouncer = json_object_get(components, "pgbouncer");
	const char *label;
	json_t *item;
	size_t i;
	if (pgbouncer != NULL) {
		output_text(app->out, "\n");
		output_line(app->out, STYLE_BOLD "PgBouncer" STYLE_END ", from volume '%s'",
			    json_str_or(pgbouncer, "volume", "?"));
		json_array_foreach(json_object_get(pgbouncer, "files"), i, item)
		{
			output_line(app->out, "  %s (%s)", json_str_or(item, "path", "?"),
				    json_str_or(item, "role", "?"));
		}
	}
	json_object_foreach(json_object_get(components, "volumes"), label, item)
	{
		char bytes[FORMAT_BYTES];
		output_text(app->out, "\n");
		output_line(app->out, STYLE_BOLD "Volume" STYLE_END " '%s': %llu files, %s",
			    json_str_or(item, "volume", "?"),
			    (unsigned long long)json_u64_or(item, "files", 0),
			    format_size(json_u64_or(item, "bytes", 0), bytes));
	}
}

static void show_verdicts(struct app *app, const struct backup *b)
{
	char verified[FORMAT_BYTES];
	size_t i;
	json_t *item;
	output_line(app->out, "verified: %s", verified_text(b, verified));
	json_array_foreach(b->verdicts, i, item)
	{
		char share[32] = "", took[FORMAT_BYTES];
		uint64_t ppm = json_u64_or(item, "share_ppm", 0);
		if (ppm > 0)
			snprintf(share, sizeof share, " of %.4g %%", (double)ppm / 10000);
		if (json_object_get(item, "broken") != NULL)
			output_line(app->out, "  '%s' can't be read: %s",
				    json_str_or(item, "object", "?"),
				    json_str_or(item, "broken", "?"));
		else
			output_line(
			    app->out, "  verify of %s (%s%s): %s, in %s",
			    json_str_or(item, "started", "?"), json_str_or(item, "kind", "?"),
			    share, json_str_or(item, "outcome", "?"),
			    format_duration((int64_t)json_u64_or(item, "duration_ms", 0), took));
	}
}

static void show_head(struct app *app, const struct backup *b, const json_t *manifest)
{
	char size[FORMAT_BYTES], age[FORMAT_BYTES], when[FORMAT_BYTES];
	size_t i;
	json_t *item;
	output_line(app->out, "backup " STYLE_BOLD "%s" STYLE_END " of stack '%s'", b->id,
		    json_str_or(manifest, "stack", "?"));
	output_line(app->out, "taken %s (%s), %s in '%s'", format_time(b->taken_ms, when),
		    format_age(clock_wall_ms() - b->taken_ms, age),
		    format_size(b->stored_bytes, size), b->archive);
	output_line(app->out, "proof: %s",
		    b->proof == PROOF_NONE ? "not tried" : proof_name(b->proof));
	json_array_foreach(json_object_get(b->sidecar_json, "suspicion"), i, item)
	{
		output_line(app->out, STYLE_WARN "%s" STYLE_END ": %s",
			    b->suspicious ? "suspicious" : "was suspicious, and is trusted",
			    json_string_value(item));
	}
	const json_t *encrypted = json_object_get(b->sidecar_json, "encrypted");
	json_array_foreach(json_object_get(encrypted, "recipients"), i, item)
	{
		output_line(app->out, "encrypted to %s", json_string_value(item));
	}
	json_array_foreach(b->evidence, i, item)
	{
		char took[FORMAT_BYTES];
		output_line(app->out, "  drill of %s: %s, restored in %s",
			    json_str_or(item, "started", "?"), json_str_or(item, "outcome", "?"),
			    format_duration((int64_t)json_u64_or(item, "restore_ms", 0), took));
	}
	show_verdicts(app, b);
	json_array_foreach(json_object_get(manifest, "warnings"), i, item)
	{
		output_line(app->out, STYLE_WARN "warning" STYLE_END ": %s",
			    json_string_value(item));
	}
}

static int write_page(const struct app *app, const json_t *shown, struct err *err)
{
	const char *path = cli_value(app->cli, "html");
	struct buf text;
	if (path == NULL)
		return 0;
	buf_init(&text, PAGE_MAX_BYTES);
	int done = output_is_handed_on(path) ? page_backup_html(shown, &text, err)
					     : page_backup_html_alone(shown, &text, err);
	if (done == 0)
		done = output_file(path, &text, err);
	buf_done(&text);
	return done;
}

int cmd_show(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(reader_freep) struct reader *r = NULL;
	const struct backup *b;
	struct store *archives = NULL;
	if (job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0 ||
	    job_archives(j, b, &archives, err) < 0 ||
	    reader_open(archives, b->archive, &r, err) < 0 ||
	    catalog_check_manifest(b, reader_manifest(r), err) < 0)
		return -1;
	const json_t *manifest = reader_manifest(r);
	const json_t *components = json_object_get(manifest, "components");
	const json_t *postgres = json_object_get(components, "postgres");
	const json_t *redis = json_object_get(components, "redis");
	show_head(app, b, manifest);
	if (postgres != NULL && show_postgres(app, postgres, err) < 0)
		return -1;
	if (redis != NULL)
		show_redis(app, redis);
	show_rest(app, components);
	/* Where each frame lies is of use to readers of the file only. */
	json_t *doc = json_copy((json_t *)(uintptr_t)manifest);
	json_object_del(doc, "frames");
	json_t *all =
	    json_pack("{s:o, s:O, s:O, s:O, s:s, s:I, s:s?}", "manifest", doc, "sidecar",
		      b->sidecar_json, "drills", b->evidence, "verifies", b->verdicts, "proof",
		      proof_name(b->proof), "fetched_bytes", (json_int_t)reader_fetched_bytes(r),
		      "timezone", app->config->timezone);
	if (all == NULL)
		return err_nomem(err, "the JSON output");
	if (verified_json(b, all, err) < 0 || write_page(app, all, err) < 0) {
		json_decref(all);
		return -1;
	}
	return output_json(app->out, all, err);
}

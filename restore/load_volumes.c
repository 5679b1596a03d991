/* Plain volumes: their members into fresh ones; the proof reads them back and compares a digest of
 * names, kinds, modes, links and contents. */
#include <stdlib.h>
#include "restore/sandbox.h"
#include "stack/engine/tree_digest.h"

static int plan(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)section, label, item)
	{
		CLEANUP(freep) char *component = NULL;
		const char *volume;
		bool adopted;
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		if (str_printf(&component, err, "volume %s", label) < 0 ||
		    sandbox_adopt(sb, component, item, plan, &adopted, err) < 0 ||
		    json_get_str(item, "volume", &volume, err) < 0 ||
		    plan_volume(sb, plan, label, volume, err) < 0)
			return -1;
		sb->expected_bytes += json_u64_or(item, "bytes", 0);
	}
	return 0;
}

static int load(struct sandbox *sb, const json_t *section, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)section, label, item)
	{
		CLEANUP(freep) char *name = NULL, *prefix = NULL, *component = NULL;
		CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
		const char *volume;
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		sb->loading = label;
		if (json_get_str(item, "volume", &volume, err) < 0 ||
		    str_printf(&prefix, err, "volumes/%s/", label) < 0 ||
		    str_printf(&component, err, "volume %s", label) < 0 ||
		    sandbox_volume(sb, component, volume, NULL, &name, err) < 0 ||
		    engine_volume_write(sb->job->engine, name, &to, err) < 0 ||
		    sandbox_unpack(sb, prefix, UNPACK_AS_ARCHIVED, to, err) < 0 ||
		    tree_writer_close(to, err) < 0)
			return err_wrap(err, "volume '%s'", label);
	}
	return 0;
}

static int digest_entry(void *ctx, struct archive_entry *entry, struct source *content,
			struct err *err)
{
	struct tree_digest *t = ctx;
	CLEANUP(sink_freep) struct sink *nowhere = NULL;
	CLEANUP(source_freep) struct source *tapped = NULL;
	if (content != NULL &&
	    (tree_digest_tap(t, content, &tapped, err) < 0 || sink_null(&nowhere, err) < 0 ||
	     flow_copy(tapped, nowhere, NULL, err) < 0))
		return -1;
	return tree_digest_add(t, archive_entry_pathname(entry), entry, err);
}

/* Reads the restored volume back as the backup read production's, and compares. */
static int prove_volume(struct sandbox *sb, const char *label, const json_t *item, struct report *r,
			struct err *err)
{
	CLEANUP(freep) char *name = NULL, *where = NULL;
	CLEANUP(tree_digest_done) struct tree_digest t = {.bytes = 0};
	char digest[ROWS_DIGEST_BYTES];
	const char *volume, *expected;
	if (json_get_str(item, "volume", &volume, err) < 0 ||
	    json_get_str(item, "digest", &expected, err) < 0 ||
	    str_printf(&where, err, "volume '%s'", label) < 0 ||
	    sandbox_volume_name(sb, volume, &name, err) < 0 ||
	    engine_volume_read(sb->job->engine, name, digest_entry, &t, err) < 0 ||
	    report_compare_u64(r, label, where, "files", json_u64_or(item, "files", 0), t.sum.rows,
			       err) < 0 ||
	    report_compare_u64(r, label, where, "bytes", json_u64_or(item, "bytes", 0), t.bytes,
			       err) < 0)
		return -1;
	rows_digest_hex(&t.sum, digest);
	return report_compare(r, label, where, "digest of files", expected, digest, err);
}

static int prove(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)section, label, item)
	{
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		if (prove_volume(sb, label, item, r, err) < 0)
			return err_wrap(err, "volume '%s'", label);
	}
	return 0;
}

const struct part part_volumes = {.name = "volumes", .plan = plan, .load = load, .prove = prove};

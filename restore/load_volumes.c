/* Plain volumes: their members into fresh ones; the proof counts what arrived, byte by byte. */
#include <stdlib.h>
#include "restore/sandbox.h"

static int plan(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)section, label, item)
	{
		const char *volume;
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		if (json_get_str(item, "volume", &volume, err) < 0 ||
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
		CLEANUP(freep) char *name = NULL, *prefix = NULL;
		CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
		const char *volume;
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		sb->loading = label;
		if (json_get_str(item, "volume", &volume, err) < 0 ||
		    str_printf(&prefix, err, "volumes/%s/", label) < 0 ||
		    sandbox_volume(sb, label, volume, &name, err) < 0 ||
		    engine_volume_write(sb->job->engine, name, &to, err) < 0 ||
		    sandbox_unpack(sb, prefix, UNPACK_AS_ARCHIVED, to, err) < 0 ||
		    tree_writer_close(to, err) < 0)
			return err_wrap(err, "volume '%s'", label);
	}
	return 0;
}

struct counted {
	uint64_t files, bytes;
};

static int count_entry(void *ctx, struct archive_entry *entry, struct source *content,
		       struct err *err)
{
	struct counted *c = ctx;
	CLEANUP(sink_freep) struct sink *nowhere = NULL;
	uint64_t bytes = 0;
	(void)entry;
	c->files++;
	if (content == NULL)
		return 0;
	if (sink_null(&nowhere, err) < 0 || flow_copy(content, nowhere, &bytes, err) < 0)
		return -1;
	c->bytes += bytes;
	return 0;
}

static int prove(struct sandbox *sb, const json_t *section, struct report *r, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)section, label, item)
	{
		CLEANUP(freep) char *name = NULL, *where = NULL;
		struct counted c = {0};
		const char *volume;
		if (!sandbox_wants(sb, label) && !sandbox_wants(sb, "volumes"))
			continue;
		if (json_get_str(item, "volume", &volume, err) < 0 ||
		    str_printf(&where, err, "volume '%s'", label) < 0 ||
		    sandbox_volume_name(sb, volume, &name, err) < 0 ||
		    engine_volume_read(sb->job->engine, name, count_entry, &c, err) < 0 ||
		    report_compare_u64(r, label, where, "files", json_u64_or(item, "files", 0),
				       c.files, err) < 0 ||
		    report_compare_u64(r, label, where, "bytes", json_u64_or(item, "bytes", 0),
				       c.bytes, err) < 0)
			return -1;
	}
	return 0;
}

const struct part part_volumes = {.name = "volumes", .plan = plan, .load = load, .prove = prove};

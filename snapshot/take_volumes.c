/* Plain volumes: uploaded media and the like, as ordinary members with their attributes. */
#include <stdlib.h>
#include <string.h>
#include "snapshot/snapshot.h"

static bool is_part(const struct backup_job *job)
{
	return job->volume_count > 0;
}

static int plan(struct snapshot *s, json_t *section, struct err *err)
{
	for (size_t i = 0; i < s->job->volume_count; i++) {
		const struct backup_volume *v = &s->job->volumes[i];
		bool exists;
		if (!snapshot_wants(s, "volumes") && !snapshot_wants(s, v->label))
			continue;
		if (engine_volume_exists(s->job->engine, v->name, &exists, err) < 0)
			return -1;
		if (!exists)
			return err_set(err, ERR_ABSENT, "there is no volume '%s' ([volume %s])",
				       v->name, v->label);
		if (json_put(section, v->label, json_pack("{s:s}", "volume", v->name), err) < 0)
			return -1;
	}
	return 0;
}

struct volume {
	struct snapshot *s;
	const char *label;
	uint64_t files, bytes;
};

static int take_entry(void *ctx, struct archive_entry *entry, struct source *content,
		      struct err *err)
{
	struct volume *v = ctx;
	CLEANUP(freep) char *member = NULL, *hardlink = NULL;
	const char *link = archive_entry_hardlink(entry);
	const char *name = archive_entry_pathname(entry);
	/* The volume's own folder: its owner and mode count too. */
	if (str_printf(&member, err, "volumes/%s/%s", v->label,
		       strcmp(name, ".") == 0 ? "" : name) < 0)
		return -1;
	/* A hard link names another member, so it moves with it. */
	if (link != NULL) {
		if (str_printf(&hardlink, err, "volumes/%s/%s", v->label, link) < 0)
			return -1;
		archive_entry_set_hardlink(entry, hardlink);
	}
	if (snapshot_entry(v->s, member, entry, content, err) < 0)
		return -1;
	v->files++;
	v->bytes += content != NULL ? source_bytes(content) : 0;
	return 0;
}

static int take(struct snapshot *s, json_t *section, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach(section, label, item)
	{
		const char *name;
		struct volume v = {.s = s, .label = label};
		s->taking = label;
		if (json_get_str(item, "volume", &name, err) < 0 ||
		    engine_volume_read(s->job->engine, name, take_entry, &v, err) < 0)
			return err_wrap(err, "volume '%s'", label);
		if (json_put(item, "files", json_integer((json_int_t)v.files), err) < 0 ||
		    json_put(item, "bytes", json_integer((json_int_t)v.bytes), err) < 0)
			return -1;
	}
	return 0;
}

const struct component take_volumes = {
    .name = "volumes", .is_part = is_part, .plan = plan, .take = take};

/* Plain volumes: uploaded media and the like, as ordinary members with their attributes. */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "snapshot/snapshot.h"
#include "stack/engine/engine_hold.h"
#include "stack/engine/tree_digest.h"

static bool is_part(const struct backup_job *job)
{
	return job->volume_count > 0;
}

/* A service that can't be held is to be known before anything is written. */
static int try_hold(struct snapshot *s, const char *service, struct err *err)
{
	CLEANUP(hold_freep) struct hold *held = NULL;
	return service == NULL
		   ? 0
		   : engine_service_hold(s->job->engine, service, HOLD_NOTHING, &held, err);
}

static int plan(struct snapshot *s, json_t *section, struct err *err)
{
	for (size_t i = 0; i < s->job->volume_count; i++) {
		const struct backup_volume *v = &s->job->volumes[i];
		CLEANUP(freep) char *name = NULL;
		json_t *item = NULL, *runtime = NULL;
		bool exists;
		if (!snapshot_wants(s, "volumes") && !snapshot_wants(s, v->label))
			continue;
		if (engine_volume_of(s->job->engine, NULL, NULL, v->name, &name, err) < 0 ||
		    engine_volume_exists(s->job->engine, name, &exists, err) < 0)
			return -1;
		if (!exists)
			return err_set(err, ERR_ABSENT, "there is no volume '%s' ([volume %s])",
				       name, v->label);
		if (try_hold(s, v->stop, err) < 0 || try_hold(s, v->pause, err) < 0)
			return err_wrap(err, "volume '%s'", v->label);
		item = json_pack("{s:s}", "volume", name);
		if (json_put(section, v->label, item, err) < 0 ||
		    engine_volume_describe(s->job->engine, name, &runtime, err) < 0)
			return -1;
		if (runtime != NULL && json_put(item, "runtime", runtime, err) < 0)
			return -1;
	}
	return 0;
}

struct volume {
	struct snapshot *s;
	const char *label;
	struct tree_digest digest;
	dev_t device; /* of its own folder; 0: the engine does not tell */
};

static void volume_done(struct volume *v)
{
	tree_digest_done(&v->digest);
}

static void archive_entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* The walk stays on the volume's own file system: what is mounted inside is a gap, which is said.
 */
static int see_mount(struct volume *v, const char *name, struct archive_entry *entry,
		     struct err *err)
{
	if (strcmp(name, ".") == 0)
		v->device = archive_entry_dev(entry);
	if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_dev(entry) == v->device)
		return 0;
	return snapshot_warn(v->s, err,
			     "volume '%s': another file system is mounted at '%s', and what is "
			     "there is not in this backup",
			     v->label, name);
}

static int take_entry(void *ctx, struct archive_entry *entry, struct source *content,
		      struct err *err)
{
	struct volume *v = ctx;
	CLEANUP(freep) char *member = NULL, *hardlink = NULL, *own = NULL, *link = NULL;
	CLEANUP(source_freep) struct source *tapped = NULL;
	CLEANUP(archive_entry_freep) struct archive_entry *before = archive_entry_clone(entry);
	const char *name = archive_entry_pathname(entry), *target = archive_entry_hardlink(entry);
	if (before == NULL)
		return err_nomem(err, "an entry");
	/* The volume's own folder: its owner and mode count too. */
	if (str_dup(name, &own, err) < 0 || see_mount(v, own, entry, err) < 0 ||
	    str_printf(&member, err, "volumes/%s/%s", v->label, strcmp(own, ".") == 0 ? "" : own) <
		0)
		return -1;
	/* A hard link names another member, so it moves with it. */
	if (target != NULL) {
		if (str_dup(target, &link, err) < 0 ||
		    str_printf(&hardlink, err, "volumes/%s/%s", v->label, link) < 0)
			return -1;
		archive_entry_set_hardlink(entry, hardlink);
	}
	if (content != NULL && tree_digest_tap(&v->digest, content, &tapped, err) < 0)
		return -1;
	if (snapshot_entry(v->s, member, entry, tapped, err) < 0)
		return -1;
	return tree_digest_add(&v->digest, own, before, err);
}

static const struct backup_volume *find_volume(const struct snapshot *s, const char *label)
{
	static const struct backup_volume none;
	for (size_t i = 0; i < s->job->volume_count; i++)
		if (strcmp(s->job->volumes[i].label, label) == 0)
			return &s->job->volumes[i];
	return &none;
}

static int hold(struct snapshot *s, const char *service, enum hold_how how, struct hold **ret,
		struct err *err)
{
	return service == NULL ? 0 : engine_service_hold(s->job->engine, service, how, ret, err);
}

/* Services stand still no longer than the reading takes; one that does not go on is an error, for
 * which a good archive counts nothing. */
static int read_volume(struct volume *v, const char *name, struct err *err)
{
	struct snapshot *s = v->s;
	const struct backup_volume *with = find_volume(s, v->label);
	CLEANUP(hold_freep) struct hold *stopped = NULL, *paused = NULL;
	if (hold(s, with->stop, HOLD_STOP, &stopped, err) < 0 ||
	    hold(s, with->pause, HOLD_PAUSE, &paused, err) < 0 || fault_point("hold", err) < 0 ||
	    engine_volume_read(s->job->engine, name, take_entry, v, err) < 0)
		return -1;
	if ((paused != NULL && hold_release(paused, err) < 0) ||
	    (stopped != NULL && hold_release(stopped, err) < 0))
		return -1;
	return 0;
}

static int take_volume(struct snapshot *s, const char *label, json_t *item, struct err *err)
{
	CLEANUP(volume_done) struct volume v = {.s = s, .label = label};
	char digest[ROWS_DIGEST_BYTES];
	const char *name;
	s->taking = label;
	if (json_get_str(item, "volume", &name, err) < 0 || read_volume(&v, name, err) < 0)
		return -1;
	rows_digest_hex(&v.digest.sum, digest);
	if (json_put(item, "files", json_integer((json_int_t)v.digest.sum.rows), err) < 0 ||
	    json_put(item, "bytes", json_integer((json_int_t)v.digest.bytes), err) < 0)
		return -1;
	return json_put(item, "digest", json_string(digest), err);
}

static int take(struct snapshot *s, json_t *section, struct err *err)
{
	const char *label;
	json_t *item;
	json_object_foreach(section, label, item)
	{
		if (take_volume(s, label, item, err) < 0)
			return err_wrap(err, "volume '%s'", label);
	}
	return 0;
}

const struct component take_volumes = {
    .name = "volumes", .is_part = is_part, .plan = plan, .take = take};

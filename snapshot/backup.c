#include "snapshot/backup.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/fault.h"
#include "base/log.h"
#include "snapshot/snapshot.h"
#include "storage/catalog.h"
#include "storage/store/catalog_name.h"
#include "storage/sidecar.h"

static const struct component *const components[] = {&take_postgres, &take_redis, &take_pgbouncer,
						     &take_volumes};
enum { COMPONENTS = sizeof components / sizeof *components };

static void snapshot_done(struct snapshot *s)
{
	writer_free(s->writer);
	sha256_free(s->stored);
	json_decref(s->manifest);
}

/* An empty manifest: what is known before anyone has been asked. */
static int begin(struct snapshot *s, const char *id, int64_t now_ms, struct err *err)
{
	char text[CLOCK_TEXT_BYTES];
	const struct backup_job *job = s->job;
	s->manifest = json_object();
	if (json_put(s->manifest, "format", json_string("lifeboat-archive"), err) < 0 ||
	    json_put(s->manifest, "format_version", json_integer(1), err) < 0 ||
	    json_put(s->manifest, "id", json_string(id), err) < 0 ||
	    json_put(s->manifest, "stack", json_string(job->stack), err) < 0 ||
	    json_put(s->manifest, "label",
		     job->label != NULL ? json_text_value(job->label) : json_null(), err) < 0 ||
	    json_put(s->manifest, "partial", json_boolean(job->only != NULL), err) < 0 ||
	    json_put(s->manifest, "lifeboat_version", json_string(LIFEBOAT_VERSION), err) < 0 ||
	    json_put(s->manifest, "started", json_string(clock_rfc3339(now_ms, text)), err) < 0 ||
	    json_put(s->manifest, "warnings", json_array(), err) < 0 ||
	    json_put(s->manifest, "components", json_object(), err) < 0)
		return -1;
	s->warnings = json_object_get(s->manifest, "warnings");
	s->components = json_object_get(s->manifest, "components");
	return 0;
}

/* Refuses names in `only` that are no part of this stack: a typing error must not take nothing. */
static int check_only(const struct snapshot *s, struct err *err)
{
	const struct backup_job *job = s->job;
	for (size_t i = 0; job->only != NULL && job->only[i] != NULL; i++) {
		bool known = false;
		for (size_t c = 0; c < COMPONENTS; c++)
			known = known || (strcmp(components[c]->name, job->only[i]) == 0 &&
					  components[c]->is_part(job));
		for (size_t v = 0; v < job->volume_count; v++)
			known = known || strcmp(job->volumes[v].label, job->only[i]) == 0;
		if (!known) {
			err_set(err, ERR_USAGE, "'%s' is not part of the stack '%s'", job->only[i],
				job->stack);
			return err_hint(err,
					"Name a component that has a section in agent.conf: "
					"postgres, redis, pgbouncer, or the label of a volume.");
		}
	}
	return 0;
}

/* Asks every component what it has. Most of what can go wrong goes wrong here, before the archive.
 */
static int plan(struct snapshot *s, struct err *err)
{
	if (check_only(s, err) < 0)
		return -1;
	for (size_t i = 0; i < COMPONENTS; i++) {
		const struct component *c = components[i];
		if (!c->is_part(s->job) || (c != &take_volumes && !snapshot_wants(s, c->name)))
			continue;
		json_t *section = json_object();
		if (json_put(s->components, c->name, section, err) < 0)
			return -1;
		if (c->plan(s, section, err) < 0)
			return err_wrap(err, "%s", c->name);
	}
	if (json_object_size(s->components) == 0)
		return err_set(err, ERR_CONFIG, "the stack '%s' has nothing to back up",
			       s->job->stack);
	return 0;
}

static int take(struct snapshot *s, struct err *err)
{
	for (size_t i = 0; i < COMPONENTS; i++) {
		const struct component *c = components[i];
		json_t *section = json_object_get(s->components, c->name);
		if (section == NULL)
			continue;
		if (fault_point(c->name, err) < 0 || c->take(s, section, err) < 0)
			return err_wrap(err, "%s", c->name);
	}
	return 0;
}

static int write_restore_md(struct snapshot *s, const char *archive, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (restore_md_text(s->manifest, archive, &text, err) < 0)
		return -1;
	return writer_file(s->writer, "RESTORE.md", 0644, text, strlen(text), err);
}

/* Compares with what is normal in the store. A part of the stack has nothing to be compared with.
 */
static int suspect(const struct snapshot *s, const struct backup_result *r, json_t **ret,
		   struct err *err)
{
	const struct suspicion_figures now = {
	    .bytes = r->totals.stored_bytes, .rows = s->rows, .keys = s->redis_keys};
	if (s->job->only != NULL)
		return 0;
	return suspicion_find(s->job->store, s->job->stack, NULL, &s->job->suspicion, &now, ret,
			      err);
}

/* The commit. Before this object is there, there is no backup. */
static int write_sidecar(struct snapshot *s, struct backup_result *r, struct err *err)
{
	json_t *names = json_object_get(s->manifest, "components");
	CLEANUP(json_freep) json_t *suspicion = NULL;
	CLEANUP(json_freep) json_t *recipients = NULL;
	if (suspect(s, r, &suspicion, err) < 0 || snapshot_recipients(s, &recipients, err) < 0)
		return -1;
	struct sidecar side = {
	    .stack = s->job->stack,
	    .id = r->id,
	    .archive = r->archive,
	    .bytes = r->totals.stored_bytes,
	    .sha256 = r->totals.sha256,
	    .started = json_str_or(s->manifest, "started", ""),
	    .finished = json_str_or(s->manifest, "finished", ""),
	    .label = s->job->label,
	    .pinned = s->job->pinned,
	    .partial = s->job->only != NULL,
	    .suspicious = suspicion != NULL,
	    .suspicion = suspicion,
	    .lifeboat_version = LIFEBOAT_VERSION,
	    .databases = s->databases,
	    .tables = s->tables,
	    .rows = s->rows,
	    .large_objects = s->large_objects,
	    .redis_keys = s->redis_keys,
	    .files = s->files,
	    .raw_bytes = r->totals.raw_bytes,
	    .components = names,
	    .warnings = json_array_size(s->warnings),
	    .recipients = recipients,
	};
	char name[201];
	CLEANUP(freep) char *text = NULL;
	if (catalog_sidecar_name(s->job->stack, r->id, name, err) < 0 ||
	    sidecar_json(&side, &r->sidecar, err) < 0 ||
	    json_text(r->sidecar, true, &text, err) < 0)
		return -1;
	if (fault_point("sidecar", err) < 0)
		return -1;
	return store_create_bytes(s->job->store, name, text, strlen(text), err);
}

/* Writes the whole archive; when it returns 0 the archive is published, but no backup yet. */
static int write_archive(struct snapshot *s, struct backup_result *r, struct err *err)
{
	struct sink *object;
	char now[CLOCK_TEXT_BYTES];
	int named = s->job->recipients != NULL
			? catalog_encrypted_name(s->job->stack, r->id, r->archive, err)
			: catalog_archive_name(s->job->stack, r->id, r->archive, err);
	if (named < 0 || snapshot_object(s, r->archive, &object, err) < 0 ||
	    writer_open(object, &s->job->archive, &s->writer, err) < 0 ||
	    write_restore_md(s, r->archive, err) < 0 || take(s, err) < 0)
		return -1;
	if (json_put(s->manifest, "finished", json_string(clock_rfc3339(clock_wall_ms(), now)),
		     err) < 0 ||
	    fault_point("archive-close", err) < 0 || cancel_check(err) < 0)
		return -1;
	if (writer_close(s->writer, s->manifest, &r->totals, err) < 0)
		return -1;
	snapshot_object_totals(s, &r->totals);
	return 0;
}

/* An archive whose sidecar can't be written is no backup: it goes, so that it takes no space. The
 * sidecar's name first: a put may have failed after its rename. */
static void withdraw_archive(struct snapshot *s, const struct backup_result *r)
{
	struct err ignored = ERR_INIT;
	char sidecar[201];
	cancel_hold();
	if (catalog_sidecar_name(s->job->stack, r->id, sidecar, &ignored) < 0 ||
	    store_remove(s->job->store, sidecar, &ignored) < 0 ||
	    store_remove(s->job->store, r->archive, &ignored) < 0)
		err_clear(&ignored); /* prune finds what is left */
	cancel_release();
}

/* What a killed backup left. Where it can't be tidied up, which is prune's to tell, there is a
 * backup all the same. */
static int sweep(const struct backup_job *job, struct err *err)
{
	struct err why = ERR_INIT;
	if (store_sweep(job->store, job->stack, false, NULL, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM || why.code == ERR_UNREACHABLE ||
	    why.code == ERR_TIMEOUT) {
		*err = why;
		return -1;
	}
	log_debug("%s", why.msg);
	return 0;
}

/* Ids and keep rules go by the clocks of those who take backups: one that is behind makes backups
 * that look old, and prune would take them for such. */
static int warn_of_clock(struct snapshot *s, const char *id, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	CLEANUP(freep) char *prefix = NULL;
	if (str_printf(&prefix, err, "%s-", s->job->stack) < 0 ||
	    store_list(s->job->store, prefix, &all, err) < 0)
		return -1;
	for (size_t i = all.count; i > 0; i--) {
		struct catalog_name n;
		/* By name is by time. */
		if (!catalog_name_parse(s->job->stack, all.items[i - 1].name, &n) ||
		    n.kind != CATALOG_NAME_SIDECAR)
			continue;
		return strcmp(n.id, id) < 0
			   ? 0
			   : snapshot_warn(
				 s, err,
				 "the clock of this machine is behind, or that of "
				 "another was ahead: backup '%s' bears a later time, and "
				 "'latest' and the keep rules take it for newer than this "
				 "one",
				 n.id);
	}
	return 0;
}

int backup_run(const struct backup_job *job, struct backup_result *ret, struct err *err)
{
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(snapshot_done) struct snapshot s = {.job = job};
	struct backup_result r = {.id = ""};
	int64_t now_ms = 0;

	if (store_lock(job->store, job->stack, &lock, err) < 0 || sweep(job, err) < 0)
		return -1;
	if (catalog_next_id(job->store, job->stack, &now_ms, r.id, err) < 0 ||
	    begin(&s, r.id, now_ms, err) < 0 || warn_of_clock(&s, r.id, err) < 0 ||
	    plan(&s, err) < 0 || write_archive(&s, &r, err) < 0)
		return -1;
	if (fault_point("archive-published", err) < 0 || store_lock_check(lock, err) < 0 ||
	    write_sidecar(&s, &r, err) < 0) {
		withdraw_archive(&s, &r);
		json_decref(r.sidecar);
		return -1;
	}
	r.manifest = json_incref(s.manifest);
	*ret = r;
	return 0;
}

void backup_result_done(struct backup_result *r)
{
	json_decref(r->manifest);
	json_decref(r->sidecar);
	*r = (struct backup_result){.id = ""};
}

int backup_plan(const struct backup_job *job, json_t **ret, struct err *err)
{
	CLEANUP(snapshot_done) struct snapshot s = {.job = job};
	if (begin(&s, "00000000T000000Z-0000", clock_wall_ms(), err) < 0 || plan(&s, err) < 0)
		return -1;
	*ret = json_incref(s.components);
	return 0;
}

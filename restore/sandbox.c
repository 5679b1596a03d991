#include "restore/sandbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct part *const parts[PARTS] = {&part_postgres, &part_redis, &part_pgbouncer,
					 &part_volumes};

int sandbox_open(const struct restore_job *job, const char *suffix, struct sandbox **ret,
		 struct err *err)
{
	CLEANUP(sandbox_freep) struct sandbox *sb = mem_zalloc(sizeof *sb, "a sandbox", err);
	if (sb == NULL)
		return -1;
	sb->job = job;
	sb->suffix = suffix;
	sb->volume_list = json_array();
	if (sb->volume_list == NULL)
		return err_nomem(err, "a sandbox");
	struct store *archives = job->archives != NULL ? job->archives : job->store;
	if (reader_open(archives, job->backup->archive, &sb->reader, err) < 0)
		return err_wrap(err, "archive '%s'", job->backup->archive);
	sb->manifest = reader_manifest(sb->reader);
	if (catalog_check_manifest(job->backup, sb->manifest, err) < 0)
		return -1;
	*ret = sb;
	sb = NULL;
	return 0;
}

void sandbox_free(struct sandbox *sb)
{
	if (sb == NULL)
		return;
	/* Also after a cancelled job: what was made must go. */
	cancel_hold();
	server_free(sb->pgbouncer);
	server_free(sb->redis);
	server_free(sb->postgres);
	for (size_t i = sb->volumes.count; !sb->keep && i > 0; i--) {
		struct err ignored = ERR_INIT;
		if (engine_volume_remove(sb->job->engine, sb->volumes.items[i - 1], &ignored) < 0)
			err_clear(&ignored); /* its mark stays, and the next sweep takes it */
	}
	cancel_release();
	strlist_done(&sb->volumes);
	strlist_done(&sb->load_errors);
	json_decref(sb->volume_list);
	json_decref(sb->tables);
	reader_free(sb->reader);
	strlist_done(&sb->tablespaces);
	free(sb->postgres_hba);
	free(sb->postgres_conf);
	free(sb->postgres_outside);
	free(sb);
}

int sandbox_volume_name(const struct sandbox *sb, const char *volume, char **ret, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (str_printf(&name, err, "%s_%s", volume, sb->suffix) < 0)
		return -1;
	if (!engine_volume_name_is_valid(name)) {
		err_set(err, ERR_USAGE, "'%s' is no name for a volume", name);
		return err_hint(err, "Use letters, digits, '_', '.' and '-'.");
	}
	*ret = name;
	name = NULL;
	return 0;
}

/* Why production should not simply run on what this job restores; NULL: no reason. New. */
static int caution_of(const struct restore_job *job, const char *component, char **ret,
		      struct err *err)
{
	*ret = NULL;
	if (job->table != NULL && strcmp(component, "postgres") == 0)
		return str_printf(ret, err, "it holds rows of the table '%s' alone", job->table);
	if (job->database != NULL && strcmp(component, "postgres") == 0)
		return str_printf(ret, err, "it holds the database '%s' alone", job->database);
	if (job->keep_failed)
		return str_dup("it was kept whatever its proof found (--keep-failed)", ret, err);
	return 0;
}

static int make_volume(struct sandbox *sb, const struct volume_spec *spec, const char *volume,
		       char **ret, struct err *err)
{
	const char *component = spec->component;
	CLEANUP(freep) char *name = NULL;
	if (sandbox_volume_name(sb, volume, &name, err) < 0)
		return -1;
	if (engine_volume_create(sb->job->engine, name, spec, err) < 0) {
		if (err->code == ERR_EXISTS)
			err_hint(err, "Choose another name with --as NAME, or remove that volume.");
		return -1;
	}
	/* Remembered first: a volume that is not on this list would never be removed. */
	if (strlist_push(&sb->volumes, name, err) < 0) {
		struct err ignored = ERR_INIT;
		if (engine_volume_remove(sb->job->engine, name, &ignored) < 0)
			err_clear(&ignored);
		return -1;
	}
	json_t *v = json_pack("{s:s, s:s, s:s, s:s}", "component", component, "name", name, "where",
			      engine_volume_where(sb->job->engine, name), "from", volume);
	if (json_push(sb->volume_list, v, err) < 0)
		return -1;
	*ret = name;
	name = NULL;
	return 0;
}

int sandbox_volume(struct sandbox *sb, const char *component, const char *volume, const char *path,
		   char **ret, struct err *err)
{
	CLEANUP(freep) char *caution = NULL;
	if (caution_of(sb->job, component, &caution, err) < 0)
		return -1;
	struct volume_spec spec = {.component = component,
				   .path = path,
				   .of = volume,
				   .backup = sb->job->backup->id,
				   .caution = caution};
	return make_volume(sb, &spec, volume, ret, err);
}

int sandbox_beside(struct sandbox *sb, const char *component, const char *volume, const char *path,
		   const char *caution, char **ret, struct err *err)
{
	struct volume_spec spec = {.component = component,
				   .path = path,
				   .backup = sb->job->backup->id,
				   .caution = caution};
	return make_volume(sb, &spec, volume, ret, err);
}

bool sandbox_wants(const struct sandbox *sb, const char *name)
{
	const char *const *only = sb->job->only;
	for (size_t i = 0; only != NULL && only[i] != NULL; i++)
		if (strcmp(only[i], name) == 0)
			return true;
	return only == NULL;
}

int sandbox_adopt(struct sandbox *sb, const char *component, const json_t *section, json_t *plan,
		  bool *ret_adopted, struct err *err)
{
	struct err why = ERR_INIT;
	*ret_adopted = false;
	if (engine_adopt(sb->job->engine, component, json_object_get(section, "runtime"), &why) ==
	    0) {
		*ret_adopted = true;
		return 0;
	}
	if (why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	return plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "", why.hint);
}

static void seen(void *ctx, size_t n)
{
	struct sandbox *sb = ctx;
	sb->loaded_bytes += n;
	if (sb->job->progress != NULL)
		sb->job->progress(sb->job->progress_ctx, sb->loaded_bytes, sb->expected_bytes,
				  sb->loading);
}

/* Takes `from`. */
static int metered(struct sandbox *sb, struct source *from, struct source **ret, struct err *err)
{
	struct sink *meter;
	if (sink_meter(seen, sb, &meter, err) < 0) {
		source_free(from);
		return -1;
	}
	return source_tee(from, meter, ret, err);
}

int sandbox_stream(struct sandbox *sb, const char *name, struct source **ret, struct err *err)
{
	struct source *from;
	if (reader_stream(sb->reader, name, &from, err) < 0)
		return -1;
	return metered(sb, from, ret, err);
}

int sandbox_range(struct sandbox *sb, const char *name, uint64_t offset, uint64_t len,
		  struct source **ret, struct err *err)
{
	struct source *from;
	if (reader_range(sb->reader, name, offset, len, &from, err) < 0)
		return -1;
	return metered(sb, from, ret, err);
}

/* ---- members ---- */

struct wanted {
	const char *name;
	struct buf *out;
	bool found;
};

static int take_member(void *ctx, struct archive_entry *entry, struct source *content,
		       struct err *err)
{
	struct wanted *w = ctx;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (strcmp(archive_entry_pathname(entry), w->name) != 0 || content == NULL)
		return 0;
	w->found = true;
	if (sink_buf(w->out, &to, err) < 0)
		return -1;
	return flow_copy(content, to, NULL, err);
}

int sandbox_member(struct sandbox *sb, const char *name, struct buf *out, struct err *err)
{
	struct wanted w = {.name = name, .out = out};
	if (reader_members(sb->reader, name, take_member, &w, err) < 0)
		return -1;
	if (!w.found)
		return err_set(err, ERR_ABSENT, "the archive has no member '%s'", name);
	return 0;
}

struct unpack {
	struct tree_writer *to;
	size_t prefix_len;
	enum unpack_owner owner;
};

static int unpack_member(void *ctx, struct archive_entry *entry, struct source *content,
			 struct err *err)
{
	struct unpack *u = ctx;
	CLEANUP(freep) char *name = NULL, *link = NULL;
	const char *hardlink = archive_entry_hardlink(entry);
	if (str_dup(archive_entry_pathname(entry) + u->prefix_len, &name, err) < 0)
		return -1;
	archive_entry_set_pathname(entry, name[0] != '\0' ? name : ".");
	if (hardlink != NULL) {
		if (strlen(hardlink) <= u->prefix_len)
			return err_set(err, ERR_CORRUPT, "member '%s' links outside of its folder",
				       name);
		if (str_dup(hardlink + u->prefix_len, &link, err) < 0)
			return -1;
		archive_entry_set_hardlink(entry, link);
	}
	int rc = u->owner == UNPACK_SERVERS ? tree_writer_stream(u->to, name, 0600, content, err)
					    : tree_writer_add(u->to, entry, content, err);
	return rc < 0 ? err_wrap(err, "member '%s'", name) : 0;
}

int sandbox_unpack(struct sandbox *sb, const char *prefix, enum unpack_owner owner,
		   struct tree_writer *to, struct err *err)
{
	struct unpack u = {.to = to, .prefix_len = strlen(prefix), .owner = owner};
	return reader_members(sb->reader, prefix, unpack_member, &u, err);
}

static int count_member(void *ctx, struct archive_entry *entry, struct source *content,
			struct err *err)
{
	(void)entry, (void)content, (void)err;
	++*(uint64_t *)ctx;
	return 0;
}

/* *ret NULL: the backup has no files of the component from outside of its volume. */
static int outside_of(struct sandbox *sb, const char *component, const char *volume,
		      char **ret_prefix, char **ret, struct err *err)
{
	uint64_t members = 0;
	if (str_printf(ret_prefix, err, "%s/outside/", component) < 0 ||
	    reader_members(sb->reader, *ret_prefix, count_member, &members, err) < 0)
		return -1;
	return members > 0 ? str_printf(ret, err, "%s-outside", volume) : 0;
}

int sandbox_outside(struct sandbox *sb, const char *component, const char *volume, char **ret,
		    struct err *err)
{
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	CLEANUP(freep) char *prefix = NULL, *beside = NULL, *name = NULL;
	*ret = NULL;
	if (outside_of(sb, component, volume, &prefix, &beside, err) < 0)
		return -1;
	if (beside == NULL)
		return 0;
	if (sandbox_beside(sb, component, beside, NULL, NULL, &name, err) < 0 ||
	    engine_volume_write(sb->job->engine, name, &to, err) < 0 ||
	    sandbox_unpack(sb, prefix, UNPACK_SERVERS, to, err) < 0 ||
	    tree_writer_close(to, err) < 0)
		return -1;
	*ret = name;
	name = NULL;
	return 0;
}

int sandbox_alive(void *server, struct err *err)
{
	return server_check(server, err);
}

struct deadline sandbox_ready_deadline(const struct sandbox *sb)
{
	/* Loading from a slow disk at 20 MB/s still counts as starting. */
	return deadline_in(sb->job->ready_ms + (int64_t)(sb->loaded_bytes / 20000));
}

bool sandbox_is_full(const struct sandbox *sb)
{
	/* A server that wants its next piece of WAL does not get it. */
	enum { PIECE_BYTES = 32 << 20 };
	struct err ignored = ERR_INIT;
	uint64_t room;
	return engine_volume_free_bytes(sb->job->engine, &room, &ignored) == 0 &&
	       room < PIECE_BYTES;
}

int sandbox_not_ready(struct server *s, struct err *err)
{
	const char *said = server_log_tail(s);
	size_t len = strlen(said);
	struct err why = *err;
	/* One that has ended was told with its log already. */
	if (why.code != ERR_TIMEOUT || len == 0)
		return -1;
	if (len > ERR_MSG_BYTES / 2) {
		said += len - ERR_MSG_BYTES / 2;
		const char *line = strchr(said, '\n');
		said = line != NULL ? line + 1 : said;
	}
	err_set(err, why.code, "%s; its log ends:\n%s", why.msg, said);
	return why.hint[0] != '\0' ? err_hint(err, "%s", why.hint) : -1;
}

/* ---- plan ---- */

static int plan_one(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		    const char *from, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	bool exists;
	if (sandbox_volume_name(sb, volume, &name, err) < 0 ||
	    engine_volume_exists(sb->job->engine, name, &exists, err) < 0)
		return -1;
	if (exists &&
	    plan_obstacle(plan, err, "volume '%s' exists: choose another name with --as", name) < 0)
		return -1;
	return json_push(
	    json_object_get(plan, "volumes"),
	    json_pack("{s:s, s:s, s:s?}", "component", component, "name", name, "from", from), err);
}

int plan_volume(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		struct err *err)
{
	return plan_one(sb, plan, component, volume, volume, err);
}

int plan_beside(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		struct err *err)
{
	return plan_one(sb, plan, component, volume, NULL, err);
}

int plan_outside(struct sandbox *sb, json_t *plan, const char *component, const char *volume,
		 struct err *err)
{
	CLEANUP(freep) char *prefix = NULL, *beside = NULL;
	if (outside_of(sb, component, volume, &prefix, &beside, err) < 0)
		return -1;
	return beside != NULL ? plan_beside(sb, plan, component, beside, err) : 0;
}

int plan_obstacle(json_t *plan, struct err *err, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return json_push(json_object_get(plan, "obstacles"), json_text_value(text), err);
}

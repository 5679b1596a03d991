#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/local/engine_local.h"
#include "stack/engine/tree.h"

const struct identity *local_identity(const struct engine_local *e)
{
	return e->switches_user ? &e->user : NULL;
}

int local_volume_path(const struct engine_local *e, const char *name, char **ret, struct err *err)
{
	return str_printf(ret, err, "%s/%s", e->volumes_dir, name);
}

int local_check_reach(const struct engine_local *e, const char *folder, struct err *err)
{
	if (!e->switches_user)
		return 0;
	/* The calling thread alone sees files as that user for a moment. */
	setfsgid(e->user.gid);
	setfsuid(e->user.uid);
	CLEANUP(fd_closep) int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int why = fd < 0 || faccessat(fd, ".", F_OK, 0) < 0 ? errno : 0;
	if (fd >= 0 && why == 0) {
		int inside = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		why = inside < 0 ? errno : 0;
		fd_closep(&inside);
	}
	setfsuid(geteuid());
	setfsgid(getegid());
	if (why == 0)
		return 0;
	err_sys(err, ERR_DENIED, why, "user '%s' can't reach folder '%s'", e->user.name, folder);
	return err_hint(err,
			"Servers run as '%s' ([stack] run_as): give it the right to enter that "
			"folder and those above it (chmod o+x), or choose another one.",
			e->user.name);
}

/* ---- volumes ---- */

static int local_volume_exists(struct engine *base, const char *name, bool *ret, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(freep) char *path = NULL;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	struct stat st;
	if (lstat(path, &st) == 0)
		*ret = true;
	else if (errno == ENOENT)
		*ret = false;
	else
		return err_sys(err, ERR_IO, errno, "stat of '%s'", path);
	return 0;
}

static int name_taken(const char *name, const char *path, struct err *err)
{
	err_set(err, ERR_EXISTS, "volume '%s' exists: '%s'", name, path);
	return err_hint(err, "Choose another name; a volume that exists is never written into.");
}

/* The folder itself, after the mark that announces it. */
static int make_folder(struct engine_local *e, const char *name, const char *path, json_t *mark,
		       struct err *err)
{
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? name_taken(name, path, err)
				       : err_sys(err, ERR_IO, errno, "can't create '%s'", path);
	if (chmod(path, 0700) < 0 ||
	    (e->switches_user && chown(path, e->user.uid, e->user.gid) < 0)) {
		err_sys(err, ERR_IO, errno, "owner and mode of '%s'", path);
	} else if (mark_put_identity(mark, path, err) == 0 &&
		   mark_write(e, "", name, mark, err) == 0 && dir_sync(e->volumes_dir, err) == 0) {
		return 0;
	}
	rmdir(path);
	return -1;
}

static int local_volume_create(struct engine *base, const char *name,
			       const struct volume_spec *spec, struct err *err)
{
	(void)spec; /* a folder is a folder */
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(json_freep) json_t *mark = NULL;
	bool exists;
	if (local_volume_path(e, name, &path, err) < 0 ||
	    local_volume_exists(base, name, &exists, err) < 0)
		return -1;
	if (exists)
		return name_taken(name, path, err);
	/* The mark comes first, without the folder's identity: a run that is killed in between
	 * leaves a mark that a sweep may forget, and at most an empty folder. */
	if (mark_new(e, &mark, err) < 0 || local_check_reach(e, e->volumes_dir, err) < 0)
		return -1;
	CLEANUP(json_freep) json_t *theirs = NULL;
	struct err ignored = ERR_INIT;
	int rc = mark_read(e, "", name, &theirs, &ignored);
	if (rc < 0 && ignored.code != ERR_ABSENT && ignored.code != ERR_CORRUPT) {
		*err = ignored;
		return -1;
	}
	if (rc == 0 && mark_maker_lives(e, theirs))
		return err_set(err, ERR_EXISTS, "volume '%s' is being made by process %llu", name,
			       (unsigned long long)json_u64_or(theirs, "pid", 0));
	if (json_put(mark, "finished", json_false(), err) < 0 ||
	    mark_write(e, "", name, mark, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	if (make_folder(e, name, path, mark, err) < 0) {
		if (mark_remove(e, "", name, &ignored) < 0)
			err_clear(&ignored); /* a sweep forgets it later */
		return -1;
	}
	return 0;
}

static int local_volume_finish(struct engine *base, const char *name, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(json_freep) json_t *mark = NULL;
	CLEANUP(freep) char *path = NULL;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	if (mark_read(e, "", name, &mark, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	if (!mark_is_of(mark, path))
		return err_set(err, ERR_FAILED, "'%s' is no longer the volume that was made", path);
	if (json_put(mark, "finished", json_true(), err) < 0)
		return -1;
	return mark_write(e, "", name, mark, err);
}

static int local_volume_write(struct engine *base, const char *name, struct tree_writer **ret,
			      struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(json_freep) json_t *mark = NULL;
	CLEANUP(freep) char *path = NULL;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	/* Production's volumes carry no mark: nothing here ever writes into one. */
	if (local_own_mark(e, name, path, "not written into", &mark, err) < 0)
		return -1;
	return tree_disk_writer(path, &e->user, ret, err);
}

static int local_volume_read(struct engine *base, const char *name, tree_fn *fn, void *ctx,
			     struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (local_volume_path((struct engine_local *)base, name, &path, err) < 0)
		return -1;
	if (tree_disk_read(path, fn, ctx, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	return 0;
}

static int local_volume_free_bytes(struct engine *base, uint64_t *ret, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(freep) char *path = NULL;
	if (str_dup(e->volumes_dir, &path, err) < 0)
		return -1;
	/* It is made with the first volume: until then the folder that it will be in counts. */
	while (!file_exists(path) && strrchr(path, '/') != path)
		*strrchr(path, '/') = '\0';
	return dir_free_bytes(file_exists(path) ? path : "/", ret, err);
}

static const char *local_volume_where(struct engine *base, const char *name)
{
	struct engine_local *e = (struct engine_local *)base;
	struct err ignored = ERR_INIT;
	free(e->where);
	e->where = NULL;
	if (local_volume_path(e, name, &e->where, &ignored) < 0)
		return name;
	return e->where;
}

/* ---- files of production servers: their paths are this machine's ---- */

static int local_server_file(struct engine *base, const char *component, const char *path,
			     struct source **ret, struct archive_entry **ret_entry, struct err *err)
{
	(void)base, (void)component;
	return tree_disk_file(path, ret, ret_entry, err);
}

static int local_server_tree(struct engine *base, const char *component, const char *folder,
			     tree_fn *fn, void *ctx, struct err *err)
{
	(void)base, (void)component;
	return tree_disk_read(folder, fn, ctx, err);
}

static int local_server_free_bytes(struct engine *base, const char *component, const char *path,
				   uint64_t *ret, struct err *err)
{
	(void)base, (void)component;
	/* statvfs asks for no right to the folder itself. */
	if (access(path, X_OK) < 0)
		return err_sys(err, errno == EACCES ? ERR_DENIED : ERR_IO, errno, "folder '%s'",
			       path);
	return dir_free_bytes(path, ret, err);
}

/* ---- open and free ---- */

static void local_free(struct engine *base)
{
	struct engine_local *e = (struct engine_local *)base;
	mark_end(e);
	strlist_done(&e->tools);
	free(e->where);
	free(e->stack);
	free(e->run_id);
	free(e->purpose);
	free(e->volumes_dir);
	free(e);
}

/* A folder that restores did not make. */
static int add_holding(struct engine_local *e, const char *name, json_t *list, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(json_freep) json_t *mark = NULL;
	struct err why = ERR_INIT;
	struct stat st;
	if (!engine_volume_name_is_valid(name))
		return 0;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (mark_read(e, "", name, &mark, &why) == 0 || why.code != ERR_ABSENT)
		return 0;
	return json_push(
	    list, json_pack("{s:s, s:o}", "kind", "volume", "name", json_text_value(name)), err);
}

static int local_holdings(struct engine *base, json_t **ret, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP(json_freep) json_t *list = json_array();
	struct err why = ERR_INIT;
	if (list == NULL)
		return err_nomem(err, "JSON");
	if (dir_list(e->volumes_dir, &names, &why) < 0 && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	for (size_t i = 0; i < names.count; i++)
		if (add_holding(e, names.items[i], list, err) < 0)
			return -1;
	*ret = list;
	list = NULL;
	return 0;
}

static const struct engine_ops local_ops = {
    .holdings = local_holdings,
    .volume_exists = local_volume_exists,
    .volume_create = local_volume_create,
    .volume_remove = local_volume_remove,
    .volume_finish = local_volume_finish,
    .sweep = local_sweep,
    .volume_write = local_volume_write,
    .volume_read = local_volume_read,
    .volume_free_bytes = local_volume_free_bytes,
    .volume_where = local_volume_where,
    .server_file = local_server_file,
    .server_tree = local_server_tree,
    .server_free_bytes = local_server_free_bytes,
    .tool_find = local_tool_find,
    .tool_source = local_tool_source,
    .tool_sink = local_tool_sink,
    .tool_run = local_tool_run,
    .server_new = local_server_new,
    .free = local_free,
};

static int absolute(const char *path, char **ret, struct err *err)
{
	char *end;
	if (path[0] == '/') {
		if (str_dup(path, ret, err) < 0)
			return -1;
	} else {
		CLEANUP(freep) char *here = getcwd(NULL, 0);
		if (here == NULL)
			return err_sys(err, ERR_IO, errno, "the working directory");
		if (str_printf(ret, err, "%s/%s", here, path) < 0)
			return -1;
	}
	end = *ret + strlen(*ret);
	while (end > *ret + 1 && end[-1] == '/')
		*--end = '\0';
	return 0;
}

int engine_local_open(const struct engine_opts *opts, struct engine **ret, struct err *err)
{
	if (opts->volumes_dir == NULL || opts->volumes_dir[0] == '\0') {
		err_set(err, ERR_CONFIG, "the local engine needs a folder for its volumes");
		return err_hint(err, "Set [stack] volumes_dir.");
	}
	struct engine_local *e = mem_zalloc(sizeof *e, "an engine", err);
	if (e == NULL)
		return -1;
	e->base.ops = &local_ops;
	e->lock_fd = -1;
	CLEANUP(engine_freep) struct engine *base = &e->base;
	e->switches_user = geteuid() == 0;
	e->user.uid = geteuid();
	e->user.gid = getegid();
	if (str_dup(opts->stack != NULL ? opts->stack : "", &e->stack, err) < 0 ||
	    str_dup(opts->run_id != NULL ? opts->run_id : "", &e->run_id, err) < 0 ||
	    str_dup(opts->purpose != NULL ? opts->purpose : "", &e->purpose, err) < 0 ||
	    absolute(opts->volumes_dir, &e->volumes_dir, err) < 0)
		return -1;
	const char *user = opts->run_as != NULL ? opts->run_as : "postgres";
	if (e->switches_user && identity_find(user, &e->user, err) < 0) {
		err_wrap(err, "user that servers run as");
		return err_hint(err, "Set [stack] run_as to a user of this machine.");
	}
	*ret = base;
	base = NULL;
	return 0;
}

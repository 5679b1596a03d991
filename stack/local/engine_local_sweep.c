/* Removing volumes, and what killed runs left behind. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "stack/local/engine_local.h"

enum { DEATH_MS = 10000 };

/* rm -r of a folder that is ours by its mark, then the mark. */
static int remove_marked(struct engine_local *e, const char *name, const char *path,
			 struct err *err)
{
	if (dir_remove(path, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	if (mark_remove(e, "", name, err) < 0)
		return -1;
	return dir_sync(e->volumes_dir, err);
}

int local_own_mark(struct engine_local *e, const char *name, const char *path, const char *refusal,
		   json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *mark = NULL;
	if (mark_read(e, "", name, &mark, err) < 0 && err->code != ERR_ABSENT &&
	    err->code != ERR_CORRUPT)
		return err_wrap(err, "volume '%s'", name);
	if (mark == NULL || !mark_is_of(mark, path))
		return err_set(err, ERR_DENIED, "volume '%s' was not made here: %s", name, refusal);
	*ret = mark;
	mark = NULL;
	return 0;
}

int local_volume_remove(struct engine *base, const char *name, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(json_freep) json_t *mark = NULL;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	if (!file_exists(path))
		return mark_remove(e, "", name, err);
	if (local_own_mark(e, name, path, "not removed", &mark, err) < 0) {
		if (err->code == ERR_DENIED)
			err_hint(err, "If it is not needed, remove '%s' yourself.", path);
		return -1;
	}
	return remove_marked(e, name, path, err);
}

/* ---- work folders ---- */

/* The kernel has told it to go when its maker died (unless it may outlive that); it may take a
 * moment. */
static int end_process(const json_t *mark, struct err *err)
{
	long pid;
	bool told = false;
	struct deadline d = deadline_in(DEATH_MS);
	while (mark_process_lives(mark, &pid)) {
		if (pid == 0)
			return err_set(err, ERR_FAILED, "its process is not visible from here");
		if (!told) {
			bool pg = strcmp(json_str_or(mark, "component", ""), "postgres") == 0;
			kill((pid_t)pid, pg ? SIGQUIT : SIGKILL);
			told = true;
		}
		if (deadline_left_ms(d) < DEATH_MS / 2)
			kill((pid_t)pid, SIGKILL);
		if (deadline_left_ms(d) == 0)
			return err_set(err, ERR_TIMEOUT, "process %ld does not end", pid);
		if (wait_ms(20, err) < 0)
			return -1;
	}
	return 0;
}

static int sweep_work(struct engine_local *e, const char *name, bool dry_run, struct strlist *ret,
		      struct err *err)
{
	CLEANUP(json_freep) json_t *mark = NULL;
	long pid;
	if (mark_read(e, "work/", name, &mark, err) < 0)
		return err->code == ERR_ABSENT ? 0 : -1;
	const char *path = json_str_or(mark, "path", "");
	bool left = json_is_true(json_object_get(mark, "left"));
	if (mark_maker_lives(e, mark) || (left && mark_process_lives(mark, &pid)))
		return 0;
	bool is_there = mark_is_of(mark, path);
	if (is_there &&
	    strlist_pushf(ret, err, "work folder '%s' of %s, made by %s %s", path,
			  json_str_or(mark, "component", "a server"),
			  json_str_or(mark, "purpose", "run"), json_str_or(mark, "run", "")) < 0)
		return -1;
	if (dry_run)
		return 0;
	if (end_process(mark, err) < 0 || (is_there && dir_remove(path, err) < 0))
		return err_wrap(err, "work folder '%s'", path);
	return mark_remove(e, "work/", name, err);
}

/* ---- volumes ---- */

static int sweep_volume(struct engine_local *e, const char *name, bool dry_run, struct strlist *ret,
			struct err *err)
{
	CLEANUP(json_freep) json_t *mark = NULL;
	CLEANUP(freep) char *path = NULL;
	if (mark_read(e, "", name, &mark, err) < 0)
		return err->code == ERR_ABSENT ? 0 : -1;
	if (local_volume_path(e, name, &path, err) < 0)
		return -1;
	if (mark_maker_lives(e, mark))
		return 0;
	const char *purpose = json_str_or(mark, "purpose", "");
	bool finished = json_is_true(json_object_get(mark, "finished"));
	bool ours = mark_is_of(mark, path);
	if (!ours && !dry_run) {
		/* Killed before the folder was marked: then it is empty, or not there. A folder
		 * that has taken the place of ours is left alone, with the mark that says so. */
		if (json_object_get(mark, "inode") == NULL)
			rmdir(path);
		else if (file_exists(path))
			return 0;
		return mark_remove(e, "", name, err);
	}
	if (!ours || (finished && strcmp(purpose, "drill") != 0))
		return 0;
	if (strlist_pushf(ret, err, "volume '%s' of %s %s", name,
			  purpose[0] != '\0' ? purpose : "run", json_str_or(mark, "run", "")) < 0)
		return -1;
	return dry_run ? 0 : remove_marked(e, name, path, err);
}

/* Locks that nobody holds. */
static int sweep_lock(struct engine_local *e, const char *folder, const char *file, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (str_printf(&path, err, "%s/%s", folder, file) < 0)
		return -1;
	if (e->lock_path != NULL && strcmp(path, e->lock_path) == 0)
		return 0;
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlink(path);
	return 0;
}

/* "name.json" -> "name" in place; false for anything else. */
static bool cut_suffix(char *file, const char *suffix)
{
	size_t len = strlen(file), n = strlen(suffix);
	if (len <= n || strcmp(file + len - n, suffix) != 0)
		return false;
	file[len - n] = '\0';
	return true;
}

typedef int sweep_fn(struct engine_local *e, const char *name, bool dry_run, struct strlist *ret,
		     struct err *err);

/* One thing that can't be removed must not keep the rest: the first error is reported at the end.
 */
static int sweep_folder(struct engine_local *e, const char *folder, sweep_fn *one, bool dry_run,
			struct strlist *ret, struct err *err)
{
	struct strlist files = {0};
	struct err why = ERR_INIT;
	if (dir_list(folder, &files, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	int rc = 0;
	for (size_t i = 0; i < files.count; i++) {
		err_clear(&why);
		if (!cut_suffix(files.items[i], ".json") ||
		    one(e, files.items[i], dry_run, ret, &why) == 0)
			continue;
		log_debug("sweep: %s", why.msg);
		if (rc == 0)
			*err = why;
		rc = -1;
	}
	strlist_done(&files);
	return rc;
}

static int sweep_locks(struct engine_local *e, const char *folder, struct err *err)
{
	struct strlist files = {0};
	struct err why = ERR_INIT;
	if (dir_list(folder, &files, &why) < 0)
		return 0; /* sweep_folder has said why */
	int rc = 0;
	for (size_t i = 0; i < files.count && rc == 0; i++)
		if (strlen(files.items[i]) > 5 &&
		    strcmp(files.items[i] + strlen(files.items[i]) - 5, ".lock") == 0)
			rc = sweep_lock(e, folder, files.items[i], err);
	strlist_done(&files);
	return rc;
}

/* Marks that were being written by somebody who was killed. */
static int sweep_parts(const char *folder, struct err *err)
{
	struct strlist files = {0};
	struct err why = ERR_INIT;
	if (dir_list(folder, &files, &why) < 0)
		return 0; /* sweep_folder has said why */
	int rc = 0;
	for (size_t i = 0; i < files.count && rc == 0; i++) {
		CLEANUP(freep) char *path = NULL;
		bool removed;
		rc = str_printf(&path, err, "%s/%s", folder, files.items[i]);
		if (rc == 0 && cut_suffix(files.items[i], ".json" FILE_PART_SUFFIX))
			rc = file_remove_leftover(path, &removed, err);
	}
	strlist_done(&files);
	return rc;
}

int local_sweep(struct engine *base, bool dry_run, struct strlist *ret, struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	CLEANUP(freep) char *work = NULL;
	CLEANUP(freep) char *marks = NULL;
	if (str_printf(&marks, err, "%s/.lifeboat", e->volumes_dir) < 0 ||
	    str_printf(&work, err, "%s/work", marks) < 0)
		return -1;
	/* Servers first: they may be writing into the volumes. */
	if (sweep_folder(e, work, sweep_work, dry_run, ret, err) < 0 ||
	    sweep_folder(e, marks, sweep_volume, dry_run, ret, err) < 0)
		return err_wrap(err, "sweep");
	if (dry_run)
		return 0;
	return sweep_parts(work, err) < 0 || sweep_parts(marks, err) < 0
		   ? -1
		   : sweep_locks(e, work, err);
}

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "stack/local/engine_local.h"
#include "stack/engine/process.h"

/* ---- the lock of a run ---- */

static int lock_of(const struct engine_local *e, const char *lock_name, char **ret, struct err *err)
{
	return str_printf(ret, err, "%s/.lifeboat/work/%s.lock", e->volumes_dir, lock_name);
}

/* Opens and locks a new file. A sweep may take it for a leftover before it is locked, and remove
 * it: then *ret_fd is -1. */
static int lock_once(const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "can't create '%s'", path);
	struct stat held, there;
	*ret_fd = -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return 0;
		return err_sys(err, ERR_IO, errno, "can't lock '%s'", path);
	}
	if (fstat(fd, &held) < 0 || stat(path, &there) < 0 || held.st_ino != there.st_ino)
		return 0;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int mark_begin(struct engine_local *e, struct err *err)
{
	if (e->lock_fd >= 0)
		return 0;
	CLEANUP(freep) char *folder = NULL;
	if (str_printf(&folder, err, "%s/.lifeboat/work", e->volumes_dir) < 0 ||
	    dir_make(e->volumes_dir, 0755, err) < 0 || dir_make(folder, 0700, err) < 0)
		return -1;
	for (int attempt = 0; e->lock_fd < 0; attempt++) {
		uint8_t noise[6];
		char hex[2 * sizeof noise + 1];
		CLEANUP(freep) char *name = NULL;
		CLEANUP(freep) char *path = NULL;
		if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
			return err_sys(err, ERR_IO, errno, "random bytes");
		hex_encode(noise, sizeof noise, hex);
		if (attempt > 100)
			return err_set(err, ERR_IO, "can't hold a lock in '%s'", folder);
		if (str_printf(&name, err, "run-%s", hex) < 0 || lock_of(e, name, &path, err) < 0 ||
		    lock_once(path, &e->lock_fd, err) < 0)
			return -1;
		if (e->lock_fd >= 0) {
			e->lock_name = name;
			e->lock_path = path;
			name = path = NULL;
		}
	}
	return 0;
}

void mark_end(struct engine_local *e)
{
	if (e->lock_fd >= 0) {
		unlink(e->lock_path);
		close(e->lock_fd);
	}
	e->lock_fd = -1;
	free(e->lock_name);
	free(e->lock_path);
	e->lock_name = e->lock_path = NULL;
}

bool mark_maker_lives(struct engine_local *e, const json_t *mark)
{
	struct err ignored = ERR_INIT;
	CLEANUP(freep) char *path = NULL;
	const char *maker = json_str_or(mark, "maker", "");
	if (e->lock_name != NULL && strcmp(maker, e->lock_name) == 0)
		return true;
	/* A name that is none, or no memory: keep what it has made. */
	if (!engine_volume_name_is_valid(maker) || lock_of(e, maker, &path, &ignored) < 0)
		return true;
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno != ENOENT;
	return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* ---- marks ---- */

int mark_new(struct engine_local *e, json_t **ret, struct err *err)
{
	if (mark_begin(e, err) < 0)
		return -1;
	char now[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep) json_t *mark = json_object();
	if (mark == NULL)
		return err_nomem(err, "a mark");
	if (json_put(mark, "stack", json_text_value(e->stack), err) < 0 ||
	    json_put(mark, "run", json_text_value(e->run_id), err) < 0 ||
	    json_put(mark, "purpose", json_text_value(e->purpose), err) < 0 ||
	    json_put(mark, "maker", json_text_value(e->lock_name), err) < 0 ||
	    json_put(mark, "pid", json_integer(getpid()), err) < 0 ||
	    json_put(mark, "created", json_string(clock_rfc3339(clock_wall_ms(), now)), err) < 0)
		return -1;
	*ret = mark;
	mark = NULL;
	return 0;
}

static int path_of(const struct engine_local *e, const char *folder, const char *name, char **ret,
		   struct err *err)
{
	return str_printf(ret, err, "%s/.lifeboat/%s%s.json", e->volumes_dir, folder, name);
}

int mark_write(struct engine_local *e, const char *folder, const char *name, const json_t *mark,
	       struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *text = NULL;
	if (path_of(e, folder, name, &path, err) < 0 || json_text(mark, true, &text, err) < 0)
		return -1;
	return file_write_all(path, 0600, text, strlen(text), err);
}

int mark_read(struct engine_local *e, const char *folder, const char *name, json_t **ret,
	      struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct buf text;
	buf_init(&text, 65536);
	int rc = -1;
	if (path_of(e, folder, name, &path, err) == 0 && file_read_all(path, &text, err) == 0) {
		rc = json_parse(buf_text(&text), text.len, ret, err);
		if (rc < 0)
			err_wrap(err, "mark '%s'", path);
	}
	buf_done(&text);
	return rc;
}

int mark_remove(struct engine_local *e, const char *folder, const char *name, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (path_of(e, folder, name, &path, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "can't remove '%s'", path);
	return 0;
}

/* ---- which folder ---- */

/* Inode numbers are used again; together with the time of birth they are not. */
static int folder_identity(const char *folder, uint64_t *ret_inode, uint64_t *ret_born)
{
	struct statx x;
	if (statx(AT_FDCWD, folder, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_TYPE, &x) <
		0 ||
	    !S_ISDIR(x.stx_mode))
		return -1;
	*ret_inode = x.stx_ino & INT64_MAX; /* JSON has no more bits */
	*ret_born = 0;
	if ((x.stx_mask & STATX_BTIME) != 0)
		*ret_born = (uint64_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec;
	return 0;
}

int mark_put_identity(json_t *mark, const char *folder, struct err *err)
{
	uint64_t inode, born;
	if (folder_identity(folder, &inode, &born) < 0)
		return err_sys(err, ERR_IO, errno, "stat of '%s'", folder);
	if (json_put(mark, "inode", json_integer((json_int_t)inode), err) < 0)
		return -1;
	return json_put(mark, "born", json_integer((json_int_t)born), err);
}

bool mark_is_of(const json_t *mark, const char *folder)
{
	uint64_t inode, born;
	return folder_identity(folder, &inode, &born) == 0 &&
	       json_u64_or(mark, "inode", 0) == inode &&
	       json_u64_or(mark, "born", UINT64_MAX) == born;
}

/* ---- which process ---- */

int mark_put_process(json_t *mark, long pid, struct err *err)
{
	char boot[64], space[64];
	process_boot(boot);
	process_space(space);
	CLEANUP(json_freep) json_t *process = json_object();
	if (process == NULL)
		return err_nomem(err, "a mark");
	if (json_put(process, "pid", json_integer(pid), err) < 0 ||
	    json_put(process, "start", json_integer((json_int_t)process_start(pid)), err) < 0 ||
	    json_put(process, "boot", json_string(boot), err) < 0 ||
	    json_put(process, "space", json_string(space), err) < 0)
		return -1;
	return json_put(mark, "process", json_incref(process), err);
}

bool mark_process_lives(const json_t *mark, long *ret_pid)
{
	char boot[64], space[64];
	const json_t *process = json_object_get(mark, "process");
	uint64_t pid = json_u64_or(process, "pid", 0);
	uint64_t start = json_u64_or(process, "start", 0);
	process_boot(boot);
	process_space(space);
	*ret_pid = 0;
	if (pid == 0 || pid > INT_MAX || strcmp(json_str_or(process, "boot", ""), boot) != 0)
		return false;
	if (strcmp(json_str_or(process, "space", ""), space) != 0)
		return true; /* in a container, or we are: nobody can tell from here */
	if (start == 0 || process_start((long)pid) != start)
		return false;
	*ret_pid = (long)pid;
	return true;
}

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"

struct file_new {
	int fd;
	char *path;
	char *part;
	bool closed;
};

void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

int file_write_fd(int fd, const void *data, size_t len, const char *name, struct err *err)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "write to '%s'", name);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The folder of a path: "." without a slash. */
static int parent_of(const char *path, char **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		return str_dup(".", ret, err);
	return str_dupn(path, slash == path ? 1 : (size_t)(slash - path), ret, err);
}

/* What root has made belongs to the folder's owner, whose agent goes on with it. Where root may not
 * give it away (NFS) it stays as it is. */
static void follow_folder(int fd, const char *path)
{
	char parent[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	size_t len = slash == path ? 1 : slash != NULL ? (size_t)(slash - path) : 0;
	struct stat st;
	if (geteuid() != 0 || len >= sizeof parent)
		return;
	if (len > 0) {
		memcpy(parent, path, len);
		parent[len] = '\0';
	}
	if (stat(parent, &st) == 0 && st.st_uid != 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		return;
}

/* Is the open file still the one that the name stands for? Its writer may have renamed it, a sweep
 * may have removed it, between our open and our lock. */
static bool is_same(int fd, const char *path)
{
	struct stat open_file, named;
	return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
	       open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

enum { LOCK_TRIES = 10, LOCK_PAUSE_MS = 20 };

/* Opens the partial file and locks it. The lock says nothing before is_same has been asked: what
 * was opened may have become the finished file meanwhile, and must not be written to. */
static int open_part(const char *part, mode_t mode, int *ret_fd, struct err *err)
{
	for (int tries = 0;; tries++) {
		CLEANUP(fd_closep)
		int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
		/* Never into a file that is there, which others may have open: a leftover goes. */
		if (fd < 0 && errno == EEXIST && tries < LOCK_TRIES) {
			bool removed;
			struct stat st;
			if (lstat(part, &st) == 0 && !S_ISREG(st.st_mode))
				return err_set(err, ERR_IO, "'%s' is in the way and is no file",
					       part);
			if (file_remove_leftover(part, &removed, err) < 0 ||
			    (!removed && wait_ms(LOCK_PAUSE_MS, err) < 0))
				return -1;
			continue;
		}
		if (fd < 0 && errno == EEXIST)
			return err_set(err, ERR_LOCKED, "'%s' is being written by another process",
				       part);
		if (fd < 0)
			return err_sys(err, ERR_IO, errno, "can't create '%s'", part);
		bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (!locked && errno != EWOULDBLOCK)
			return err_sys(err, ERR_IO, errno, "can't lock '%s'", part);
		if (locked && is_same(fd, part)) {
			*ret_fd = fd;
			fd = -1;
			return 0;
		}
		if (tries == LOCK_TRIES)
			return err_set(err, ERR_LOCKED, "'%s' is being written by another process",
				       part);
		/* A sweep holds the lock for a moment only. */
		if (!locked && wait_ms(LOCK_PAUSE_MS, err) < 0)
			return -1;
	}
}

int file_new_open(const char *path, mode_t mode, struct file_new **ret, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *f = mem_zalloc(sizeof *f, "a file", err);
	if (f == NULL)
		return -1;
	f->fd = -1;
	if (str_dup(path, &f->path, err) < 0 ||
	    str_printf(&f->part, err, "%s" FILE_PART_SUFFIX, path) < 0 ||
	    open_part(f->part, mode, &f->fd, err) < 0)
		return -1;
	/* From here on the partial file is ours to remove. */
	if (ftruncate(f->fd, 0) < 0 || fchmod(f->fd, mode) < 0)
		return err_sys(err, ERR_IO, errno, "can't create '%s'", f->part);
	follow_folder(f->fd, path);
	*ret = f;
	f = NULL;
	return 0;
}

int file_new_write(struct file_new *f, const void *data, size_t len, struct err *err)
{
	return file_write_fd(f->fd, data, len, f->part, err);
}

/* Not every file system (NFS) can rename without replacing; those can link. */
static int rename_fresh(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || link(from, to) < 0)
		return -1;
	unlink(from); /* a second name of what is there now: a sweep finds it */
	return 0;
}

static int publish(struct file_new *f, bool fresh, struct err *err)
{
	CLEANUP(freep) char *parent = NULL;
	if (parent_of(f->path, &parent, err) < 0)
		return -1;
	/* Opened first: after the rename nothing but the disk itself may fail any more. */
	CLEANUP(fd_closep) int folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_sys(err, ERR_IO, errno, "can't open folder '%s'", parent);
	if (fsync(f->fd) < 0)
		return err_sys(err, ERR_IO, errno, "fsync of '%s'", f->part);
	bool replaces = file_exists(f->path);
	if ((fresh ? rename_fresh(f->part, f->path) : rename(f->part, f->path)) < 0)
		return err_sys(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno,
			       "rename of '%s' to '%s'", f->part, f->path);
	f->closed = true;
	if (fsync(folder) < 0) {
		err_sys(err, ERR_IO, errno, "fsync of folder '%s'", parent);
		/* What did not succeed must not be seen. But when there was an older file, it is
		 * gone, and a new one that may not survive a power cut is better than none. */
		if (!replaces)
			unlink(f->path);
		return -1;
	}
	return 0;
}

int file_new_close(struct file_new *f, struct err *err)
{
	return publish(f, false, err);
}

int file_new_close_fresh(struct file_new *f, struct err *err)
{
	return publish(f, true, err);
}

void file_new_free(struct file_new *f)
{
	if (f == NULL)
		return;
	if (!f->closed && f->part != NULL && f->fd >= 0)
		unlink(f->part);
	if (f->fd >= 0)
		close(f->fd);
	free(f->part);
	free(f->path);
	free(f);
}

/* The partial file, locked, if it is a leftover; else -1. Opened for writing because a lock on NFS
 * asks for that, and without waiting because it may be anything, a FIFO even. */
static int lock_leftover(const char *part_path)
{
	CLEANUP(fd_closep)
	int fd = open(part_path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_same(fd, part_path))
		return -1;
	int locked = fd;
	fd = -1;
	return locked;
}

bool file_is_leftover(const char *part_path)
{
	CLEANUP(fd_closep) int fd = lock_leftover(part_path);
	return fd >= 0;
}

int file_remove_leftover(const char *part_path, bool *ret_removed, struct err *err)
{
	/* Removed under its lock: a writer that begins meanwhile either is refused or makes a new
	 * one. */
	CLEANUP(fd_closep) int fd = lock_leftover(part_path);
	if (fd >= 0 && unlink(part_path) < 0)
		return err_sys(err, ERR_IO, errno, "can't remove '%s'", part_path);
	*ret_removed = fd >= 0;
	return 0;
}

int file_write_all(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *f = NULL;
	if (file_new_open(path, mode, &f, err) < 0 || file_new_write(f, data, len, err) < 0)
		return -1;
	return file_new_close(f, err);
}

/* Appends what is left to read. */
static int read_rest(int fd, const char *path, struct buf *out, struct err *err)
{
	for (;;) {
		/* One byte beyond the maximum is asked for, so that "full" and "too much" differ.
		 */
		size_t room = out->max - out->len;
		if (room > 65536)
			room = 65536;
		char extra[1];
		if (buf_reserve(out, room, err) < 0)
			return -1;
		ssize_t n = room > 0 ? read(fd, out->data + out->len, room) : read(fd, extra, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "can't read '%s'", path);
		if (n == 0)
			return 0;
		if (room == 0)
			return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", path,
				       out->max);
		out->len += (size_t)n;
		out->data[out->len] = 0;
	}
}

int file_read_all(const char *path, struct buf *out, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_ABSENT : ERR_IO, errno, "can't open '%s'",
			       path);
	size_t before = out->len;
	if (read_rest(fd, path, out, err) < 0) {
		buf_cut(out, before);
		return -1;
	}
	return 0;
}

/* One folder, and its name made durable in the folder above. */
static int make_one(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(err, ERR_IO, errno, "can't create folder '%s'", path);
	}
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		follow_folder(fd, path);
	CLEANUP(freep) char *parent = NULL;
	return parent_of(path, &parent, err) < 0 ? -1 : dir_sync(parent, err);
}

int dir_make(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(path, &copy, err) < 0)
		return -1;
	size_t len = strlen(copy);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (size_t i = 1; i < len; i++) {
		if (copy[i] != '/')
			continue;
		copy[i] = '\0';
		if (make_one(copy, mode, err) < 0)
			return -1;
		copy[i] = '/';
	}
	struct stat st;
	if (make_one(copy, mode, err) < 0)
		return -1;
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_EXISTS, "'%s' exists and is not a folder", path);
	return 0;
}

int dir_sync(const char *path, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, ERR_IO, errno, "fsync of folder '%s'", path);
	return 0;
}

/* Removes everything in the folder behind `fd` (taken) that lies on device `dev`. */
static int empty_folder(int fd, dev_t dev, const char *path, struct err *err)
{
	DIR *d = fdopendir(fd);
	if (d == NULL) {
		err_sys(err, ERR_IO, errno, "can't read folder '%s'", path);
		close(fd);
		return -1;
	}
	int rc = 0;
	struct dirent *e;
	while (rc == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		struct stat st;
		CLEANUP(freep) char *below = NULL;
		if (str_printf(&below, err, "%s/%s", path, e->d_name) < 0) {
			rc = -1;
		} else if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = errno == ENOENT ? 0
					     : err_sys(err, ERR_IO, errno, "stat of '%s'", below);
		} else if (st.st_dev != dev) {
			rc = err_set(err, ERR_FAILED, "'%s' is on another file system: not removed",
				     below);
		} else if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(d), e->d_name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub < 0)
				rc = err_sys(err, ERR_IO, errno, "can't open folder '%s'", below);
			else
				rc = empty_folder(sub, dev, below, err);
			if (rc == 0 && unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) < 0)
				rc = err_sys(err, ERR_IO, errno, "can't remove folder '%s'", below);
		} else if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT) {
			rc = err_sys(err, ERR_IO, errno, "can't remove '%s'", below);
		}
	}
	closedir(d);
	return rc;
}

int dir_remove(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_IO, errno, "stat of '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "'%s' is not a folder: not removed", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "can't open folder '%s'", path);
	if (empty_folder(fd, st.st_dev, path, err) < 0)
		return -1;
	if (rmdir(path) < 0)
		return err_sys(err, ERR_IO, errno, "can't remove folder '%s'", path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_list(const char *path, struct strlist *ret, struct err *err)
{
	DIR *d = opendir(path);
	if (d == NULL)
		return err_sys(err, errno == ENOENT ? ERR_ABSENT : ERR_IO, errno,
			       "can't read folder '%s'", path);
	struct strlist names = {0};
	struct dirent *e;
	while ((errno = 0, e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strlist_push(&names, e->d_name, err) < 0)
			goto failed;
	}
	if (errno != 0) {
		err_sys(err, ERR_IO, errno, "can't read folder '%s'", path);
		goto failed;
	}
	closedir(d);
	if (names.count > 1)
		qsort(names.items, names.count, sizeof *names.items, by_name);
	*ret = names;
	return 0;
failed:
	closedir(d);
	strlist_done(&names);
	return -1;
}

int dir_free_bytes(const char *path, uint64_t *ret, struct err *err)
{
	struct statvfs v;
	if (statvfs(path, &v) < 0)
		return err_sys(err, ERR_IO, errno, "free space of '%s'", path);
	*ret = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int file_lock(const char *path, int *ret_fd, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	CLEANUP(fd_closep) int fd = open(path, flags | O_EXCL, 0600);
	if (fd >= 0)
		follow_folder(fd, path);
	else if (errno == EEXIST)
		fd = open(path, flags, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "can't open lock file '%s'", path);
	char holder[128];
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(err, ERR_IO, errno, "can't lock '%s'", path);
		ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
		holder[n > 0 ? n : 0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		err_set(err, ERR_LOCKED, "another job is running%s%s", holder[0] ? ": " : "",
			holder);
		err->retryable = true;
		return -1;
	}
	char now[CLOCK_TEXT_BYTES];
	int len = snprintf(holder, sizeof holder, "pid %ld since %s\n", (long)getpid(),
			   clock_rfc3339(clock_wall_ms(), now));
	/* Who holds it is a courtesy for the message; a full disk must not stop the job here. */
	if (ftruncate(fd, 0) == 0) {
		ssize_t ignored = pwrite(fd, holder, (size_t)len, 0);
		(void)ignored;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

int file_new_open(const char *path, mode_t mode, struct file_new **ret, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *f = mem_zalloc(sizeof *f, "a file", err);
	if (f == NULL)
		return -1;
	f->fd = -1;
	char *part;
	if (str_dup(path, &f->path, err) < 0 ||
	    str_printf(&part, err, "%s" FILE_PART_SUFFIX, path) < 0)
		return -1;
	int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (fd >= 0 && errno == EWOULDBLOCK)
			err_set(err, ERR_LOCKED, "'%s' is being written by another process", part);
		else
			err_sys(err, ERR_IO, errno, "can't create '%s'", part);
		fd_closep(&fd);
		free(part);
		return -1;
	}
	/* From here on the partial file is ours to remove. */
	f->fd = fd;
	f->part = part;
	if (ftruncate(fd, 0) < 0 || fchmod(fd, mode) < 0)
		return err_sys(err, ERR_IO, errno, "can't create '%s'", part);
	*ret = f;
	f = NULL;
	return 0;
}

int file_new_write(struct file_new *f, const void *data, size_t len, struct err *err)
{
	return file_write_fd(f->fd, data, len, f->part, err);
}

int file_new_close(struct file_new *f, struct err *err)
{
	CLEANUP(freep) char *parent = NULL;
	if (parent_of(f->path, &parent, err) < 0)
		return -1;
	if (fsync(f->fd) < 0)
		return err_sys(err, ERR_IO, errno, "fsync of '%s'", f->part);
	if (rename(f->part, f->path) < 0)
		return err_sys(err, ERR_IO, errno, "rename of '%s' to '%s'", f->part, f->path);
	f->closed = true;
	return dir_sync(parent, err);
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

bool file_is_leftover(const char *part_path)
{
	CLEANUP(fd_closep) int fd = open(part_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

int file_write_all(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *f = NULL;
	if (file_new_open(path, mode, &f, err) < 0 || file_new_write(f, data, len, err) < 0)
		return -1;
	return file_new_close(f, err);
}

int file_read_all(const char *path, struct buf *out, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_ABSENT : ERR_IO, errno, "can't open '%s'",
			       path);
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

int dir_make(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(path, &copy, err) < 0)
		return -1;
	for (char *p = copy + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char end = *p;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(err, ERR_IO, errno, "can't create folder '%s'", copy);
		if (end == '\0')
			break;
		*p = end;
	}
	struct stat st;
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
	CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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

/* file:///absolute/folder: a folder of this machine. Objects are files of mode 0600, unfinished
 * ones end in ".part", the lock of a stack is ".<stack>.lock". Other names are not ours and are
 * left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "storage/store/catalog_name.h"
#include "storage/store/store.h"

_Static_assert(sizeof FILE_PART_SUFFIX == sizeof STORE_PART_SUFFIX,
	       "unfinished files are hidden by the name that the store refuses");

struct folder {
	char *path;
};

static void folder_free(void *self)
{
	struct folder *f = self;
	if (f == NULL)
		return;
	free(f->path);
	free(f);
}

static int hex_digit(char c)
{
	const char *at = c != '\0' ? strchr("0123456789abcdef", c | 0x20) : NULL;
	return at != NULL ? (int)(at - "0123456789abcdef") : -1;
}

/* The path of a file URL (RFC 8089): no host, or localhost; %XX stands for a byte. */
static int path_of(const char *url, char **ret, struct err *err)
{
	const char *path = url + strlen("file://");
	if (strncmp(path, "localhost/", 10) == 0)
		path += 9;
	if (path[0] != '/') {
		err_set(err, ERR_CONFIG, "'%s' names no absolute folder", url);
		return err_hint(err, "Three slashes: file:///var/backups/hdms.");
	}
	CLEANUP(freep) char *decoded = mem_zalloc(strlen(path) + 1, "a path", err);
	if (decoded == NULL)
		return -1;
	size_t len = 0;
	for (const char *p = path; *p != '\0'; p++) {
		char c = *p;
		if (c == '%') {
			int high = hex_digit(p[1]);
			int low = high >= 0 ? hex_digit(p[2]) : -1;
			if (low < 0 || high + low == 0)
				return err_set(err, ERR_CONFIG,
					       "'%s': '%%' is not followed by two digits", url);
			c = (char)(high * 16 + low);
			p += 2;
		}
		decoded[len++] = c;
	}
	while (len > 1 && decoded[len - 1] == '/')
		decoded[--len] = '\0';
	*ret = decoded;
	decoded = NULL;
	return 0;
}

static int folder_open(const struct store_opts *opts, void **ret_self, char **ret_where,
		       struct err *err)
{
	CLEANUP(freep) char *where = NULL;
	struct folder *f = mem_zalloc(sizeof *f, "a store", err);
	if (f == NULL)
		return -1;
	if (path_of(opts->url, &f->path, err) < 0 || str_dup(f->path, &where, err) < 0 ||
	    dir_make(f->path, 0700, err) < 0) {
		folder_free(f);
		return -1;
	}
	*ret_self = f;
	*ret_where = where;
	where = NULL;
	return 0;
}

static int path_in(const struct folder *f, const char *name, char **ret, struct err *err)
{
	return str_printf(ret, err, "%s/%s", f->path, name);
}

/* ---- writing ---- */

static int object_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	return cancel_check(err) < 0 ? -1 : file_new_write(self, data, len, err);
}

static int object_close(void *self, struct err *err)
{
	return file_new_close(self, err);
}

static int fresh_close(void *self, struct err *err)
{
	return file_new_close_fresh(self, err);
}

static void object_free(void *self)
{
	file_new_free(self);
}

static const struct sink_ops object_ops = {
    .write = object_write, .close = object_close, .free = object_free};
static const struct sink_ops fresh_ops = {
    .write = object_write, .close = fresh_close, .free = object_free};

static int folder_put(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct file_new *file;
	if (path_in(self, name, &path, err) < 0)
		return -1;
	if (fresh && file_exists(path))
		return err_set(err, ERR_EXISTS, "'%s' is there already", path);
	if (file_new_open(path, 0600, &file, err) < 0)
		return -1;
	return sink_new(fresh ? &fresh_ops : &object_ops, file, ret, err);
}

/* ---- reading ---- */

static int open_object(const struct folder *f, const char *name, int *ret_fd, struct stat *ret_st,
		       struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (path_in(f, name, &path, err) < 0)
		return -1;
	/* Without waiting, as it may be anything; for a regular file that flag means nothing. */
	CLEANUP(fd_closep)
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_ABSENT, "there is no '%s' in '%s'", name, f->path);
	if (fd < 0)
		return err_sys(err, errno == EACCES ? ERR_DENIED : ERR_IO, errno, "can't open '%s'",
			       path);
	if (fstat(fd, ret_st) < 0)
		return err_sys(err, ERR_IO, errno, "stat of '%s'", path);
	if (!S_ISREG(ret_st->st_mode))
		return err_set(err, ERR_ABSENT, "'%s' is not a file", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int folder_get(void *self, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err)
{
	CLEANUP(fd_closep) int fd = -1;
	struct stat st;
	if (open_object(self, name, &fd, &st, err) < 0)
		return -1;
	uint64_t bytes = (uint64_t)st.st_size;
	if (offset > bytes || (len != UINT64_MAX && len > bytes - offset))
		return err_set(
		    err, ERR_CORRUPT, "'%s' has %llu bytes: too few to read %llu at offset %llu",
		    name, (unsigned long long)bytes,
		    (unsigned long long)(len != UINT64_MAX ? len : 0), (unsigned long long)offset);
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "can't seek in '%s'", name);
	/* "To the end" is the end as it is now: a file that shrinks while it is read is an error.
	 */
	int taken = fd;
	fd = -1;
	return source_fd(taken, len != UINT64_MAX ? len : bytes - offset, name, ret, err);
}

static struct store_object object_of(const char *name, const struct stat *st)
{
	struct store_object o = {.bytes = (uint64_t)st->st_size,
				 .modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 +
						st->st_mtim.tv_nsec / 1000000};
	strncpy(o.name, name, sizeof o.name - 1);
	return o;
}

static int folder_stat(void *self, const char *name, struct store_object *ret, struct err *err)
{
	CLEANUP(fd_closep) int fd = -1;
	struct stat st;
	if (open_object(self, name, &fd, &st, err) < 0)
		return -1;
	*ret = object_of(name, &st);
	return 0;
}

/* Is it an object of ours? *ret_is false also for one that went away meanwhile. */
static int look_at(const struct folder *f, const char *name, bool *ret_is, struct stat *ret,
		   struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (path_in(f, name, &path, err) < 0)
		return -1;
	if (lstat(path, ret) == 0)
		*ret_is = S_ISREG(ret->st_mode);
	else if (errno == ENOENT)
		*ret_is = false;
	else
		return err_sys(err, ERR_IO, errno, "stat of '%s'", path);
	return 0;
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int folder_list(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	const struct folder *f = self;
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP(store_objects_done) struct store_objects found = {0};
	if (dir_list(f->path, &names, err) < 0)
		return -1;
	found.items = mem_zalloc(names.count * sizeof *found.items, "a list of objects", err);
	if (found.items == NULL)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		bool is = false;
		struct stat st;
		if (!store_name_is_valid(name) || !begins_with(name, prefix))
			continue;
		if (look_at(f, name, &is, &st, err) < 0)
			return -1;
		if (is)
			found.items[found.count++] = object_of(name, &st);
	}
	*ret = found;
	found = (struct store_objects){0};
	return 0;
}

/* ---- removing, locking, sweeping ---- */

static int folder_remove(void *self, const char *name, struct err *err)
{
	const struct folder *f = self;
	CLEANUP(freep) char *path = NULL;
	if (path_in(f, name, &path, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT) {
		/* chattr +i is a folder's object lock. */
		bool denied = errno == EPERM || errno == EACCES || errno == EROFS;
		return err_sys(err, denied ? ERR_DENIED : ERR_IO, errno, "can't remove '%s'", path);
	}
	return dir_sync(f->path, err);
}

struct held {
	int fd;
};

static int folder_lock(void *self, const char *stack, void **ret_lock, struct err *err)
{
	const struct folder *f = self;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) struct held *held = mem_zalloc(sizeof *held, "a lock", err);
	if (held == NULL || str_printf(&path, err, "%s/.%s.lock", f->path, stack) < 0 ||
	    file_lock(path, &held->fd, err) < 0)
		return -1;
	*ret_lock = held;
	held = NULL;
	return 0;
}

static void folder_unlock(void *lock)
{
	struct held *held = lock;
	close(held->fd);
	free(held);
}

/* Is `name` an unfinished object of the stack? */
static bool is_part_of(const char *name, const char *stack)
{
	char object[STORE_NAME_MAX + 1];
	size_t len = strlen(name), end = strlen(FILE_PART_SUFFIX);
	if (len <= end || len - end >= sizeof object ||
	    strcmp(name + len - end, FILE_PART_SUFFIX) != 0)
		return false;
	memcpy(object, name, len - end);
	object[len - end] = '\0';
	return store_name_is_valid(object) && catalog_name_belongs(stack, object);
}

/* Removes one, or only looks. *ret_gone: it is, or would be, swept. */
static int sweep_one(const char *path, bool dry_run, bool *ret_gone, struct err *err)
{
	if (!dry_run)
		return file_remove_leftover(path, ret_gone, err);
	*ret_gone = file_is_leftover(path);
	return 0;
}

static int folder_sweep(void *self, const char *stack, bool dry_run, struct strlist *ret,
			struct err *err)
{
	const struct folder *f = self;
	CLEANUP(strlist_done) struct strlist names = {0};
	size_t removed = 0;
	if (dir_list(f->path, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP(freep) char *path = NULL;
		bool gone = false;
		if (!is_part_of(names.items[i], stack))
			continue;
		if (path_in(f, names.items[i], &path, err) < 0 ||
		    sweep_one(path, dry_run, &gone, err) < 0)
			return -1;
		if (gone && ret != NULL && strlist_push(ret, names.items[i], err) < 0)
			return -1;
		removed += gone && !dry_run;
	}
	return removed > 0 ? dir_sync(f->path, err) : 0;
}

static int folder_free_bytes(void *self, uint64_t *ret, struct err *err)
{
	const struct folder *f = self;
	return dir_free_bytes(f->path, ret, err);
}

const struct store_ops store_file_ops = {
    .scheme = "file",
    .open = folder_open,
    .free = folder_free,
    .put = folder_put,
    .get = folder_get,
    .stat = folder_stat,
    .list = folder_list,
    .remove = folder_remove,
    .lock = folder_lock,
    .unlock = folder_unlock,
    .sweep = folder_sweep,
    .free_bytes = folder_free_bytes,
};

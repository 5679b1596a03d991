#include "stack/engine/tree.h"

#include <archive.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"

/* Each level of a walk holds one descriptor. */
enum { TREE_DEPTH_MAX = 400 };

int tree_name_check(const char *name, struct err *err)
{
	if (name == NULL || name[0] == '\0')
		return err_set(err, ERR_CORRUPT, "a file without a name");
	if (name[0] == '/')
		return err_set(err, ERR_CORRUPT, "the name '%.200s' is absolute", name);
	/* The folder it goes into needs room for its own name too. */
	if (strlen(name) >= PATH_MAX / 2)
		return err_set(err, ERR_CORRUPT, "the name '%.200s…' is too long", name);
	for (const char *p = name; p != NULL; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return err_set(err, ERR_CORRUPT, "the name '%.200s' leads outside", name);
	}
	return 0;
}

/* ---- content ---- */

struct content {
	int fd;
	uint64_t size, left;
	char *name;
};

static int changed(const char *name, const char *how, struct err *err)
{
	err_set(err, ERR_FAILED, "'%s' changed while it was read: %s", name, how);
	return err_hint(err, "Let the agent pause or stop what writes to it.");
}

static int content_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct content *c = self;
	if (cancel_check(err) < 0)
		return -1;
	if (cap > c->left)
		cap = (size_t)c->left;
	ssize_t n = 0;
	if (cap > 0) {
		do
			n = read(c->fd, buf, cap);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "can't read '%s'", c->name);
		if (n == 0)
			return changed(c->name, "it became shorter", err);
	}
	c->left -= (uint64_t)n;
	*ret_n = (size_t)n;
	return 0;
}

static void content_free(void *self)
{
	struct content *c = self;
	if (c->fd >= 0)
		close(c->fd);
	free(c->name);
	free(c);
}

static const struct source_ops content_ops = {.read = content_read, .free = content_free};

/* Takes `fd`, also on failure. */
static int content_source(int fd, uint64_t size, const char *name, struct source **ret,
			  struct err *err)
{
	struct content *c = mem_zalloc(sizeof *c, "a source", err);
	if (c == NULL || str_dup(name, &c->name, err) < 0) {
		free(c);
		close(fd);
		return -1;
	}
	c->fd = fd;
	c->size = c->left = size;
	return source_new(&content_ops, c, ret, err);
}

/* ---- entries ---- */

struct walk {
	tree_fn *fn;
	void *ctx;
	struct archive *disk; /* knows how to read ACLs, xattrs and holes */
	struct archive_entry_linkresolver *links;
	dev_t device;
	const char *root; /* for messages */
	struct buf path;  /* of the file at hand, relative; empty for the root */
};

static void entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

static struct archive *disk_reader(struct err *err)
{
	struct archive *a = archive_read_disk_new();
	if (a == NULL || archive_read_disk_set_standard_lookup(a) != ARCHIVE_OK ||
	    archive_read_disk_set_behavior(a, ARCHIVE_READDISK_NO_FFLAGS) != ARCHIVE_OK) {
		archive_read_free(a);
		err_nomem(err, "a reader of files");
		return NULL;
	}
	return a;
}

/* Only what means the same on another machine: labels that a kernel gives of its own accord would
 * be refused there. */
static bool is_portable(const char *xattr, bool with_rights)
{
	return strncmp(xattr, "user.", 5) == 0 ||
	       (with_rights && strcmp(xattr, "security.capability") == 0);
}

int tree_keep_portable(struct archive_entry *e, bool with_rights, struct err *err)
{
	CLEANUP(entry_freep) struct archive_entry *kept = archive_entry_new();
	if (kept == NULL)
		return err_nomem(err, "extended attributes");
	const char *name;
	const void *value;
	size_t len;
	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
		if (is_portable(name, with_rights))
			archive_entry_xattr_add_entry(kept, name, value, len);
	archive_entry_xattr_clear(e);
	archive_entry_xattr_reset(kept);
	while (archive_entry_xattr_next(kept, &name, &value, &len) == ARCHIVE_OK)
		archive_entry_xattr_add_entry(e, name, value, len);
	return 0;
}

/* Fills an entry from what `fd` is open on (-1: from `st` alone). */
static int describe(struct archive *disk, struct archive_entry *e, int fd, const char *name,
		    const struct stat *st, struct err *err)
{
	archive_entry_copy_pathname(e, name);
	if (fd < 0) {
		const char *user = archive_read_disk_uname(disk, st->st_uid);
		const char *group = archive_read_disk_gname(disk, st->st_gid);
		archive_entry_copy_stat(e, st);
		archive_entry_copy_uname(e, user);
		archive_entry_copy_gname(e, group);
		return 0;
	}
	if (archive_read_disk_entry_from_file(disk, e, fd, st) < ARCHIVE_WARN)
		return err_sys(err, ERR_IO, archive_errno(disk), "can't read attributes of '%s'",
			       name);
	/* How long it has been, not how long it is by now: the content keeps to this. */
	archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
	return tree_keep_portable(e, true, err);
}

static int deliver(struct walk *w, struct archive_entry *e, struct source *content, struct err *err)
{
	struct archive_entry *now = e, *later = NULL;
	if (archive_entry_nlink(e) > 1 && archive_entry_filetype(e) != AE_IFDIR)
		archive_entry_linkify(w->links, &now, &later);
	if (archive_entry_hardlink(e) != NULL) {
		archive_entry_sparse_clear(e);
		content = NULL;
	}
	return w->fn(w->ctx, e, content, err);
}

/* ---- the walk ---- */

static const char *shown_path(struct walk *w)
{
	return w->path.len > 0 ? buf_text(&w->path) : w->root;
}

static int vanished(struct walk *w, const char *doing, int sys_errno, struct err *err)
{
	if (sys_errno == ENOENT || sys_errno == ELOOP || sys_errno == ENOTDIR)
		return changed(shown_path(w), "it is gone", err);
	err_sys(err, sys_errno == EACCES || sys_errno == EPERM ? ERR_DENIED : ERR_IO, sys_errno,
		"can't %s '%s'", doing, shown_path(w));
	if (err->code == ERR_DENIED)
		err_hint(err, "Run the agent as root, or give its user the right to read it.");
	return -1;
}

/* Without touching the access time where we may. O_NONBLOCK: what was a file a moment ago may be a
 * pipe now. */
static int open_below(int folder, const char *name, int flags)
{
	flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(folder, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(folder, name, flags);
	return fd;
}

static int walk_folder(struct walk *w, int fd, unsigned depth, struct err *err);

static int visit_folder(struct walk *w, int folder, const char *name, unsigned depth,
			struct err *err)
{
	struct stat st;
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
	CLEANUP(fd_closep) int fd = open_below(folder, name, O_DIRECTORY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return vanished(w, "open folder", errno, err);
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	if (describe(w->disk, e, fd, w->path.len > 0 ? buf_text(&w->path) : ".", &st, err) < 0 ||
	    deliver(w, e, NULL, err) < 0)
		return -1;
	if (st.st_dev != w->device)
		return 0;
	if (depth >= TREE_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "'%s' is nested more than %d folders deep",
			       shown_path(w), TREE_DEPTH_MAX);
	int taken = fd;
	fd = -1;
	return walk_folder(w, taken, depth + 1, err);
}

static int visit_file(struct walk *w, int folder, const char *name, struct err *err)
{
	struct stat st;
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
	CLEANUP(source_freep) struct source *content = NULL;
	CLEANUP(fd_closep) int fd = open_below(folder, name, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return vanished(w, "open", errno, err);
	if (!S_ISREG(st.st_mode))
		return changed(shown_path(w), "it is no longer a file", err);
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	if (describe(w->disk, e, fd, shown_path(w), &st, err) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "can't read '%s'", shown_path(w));
	int taken = fd;
	fd = -1;
	if (content_source(taken, (uint64_t)st.st_size, shown_path(w), &content, err) < 0)
		return -1;
	return deliver(w, e, content, err);
}

/* Symbolic links, pipes and devices: what has neither content nor attributes beyond its inode's. */
static int visit_other(struct walk *w, int folder, const char *name, const struct stat *st,
		       struct err *err)
{
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	if (describe(w->disk, e, -1, shown_path(w), st, err) < 0)
		return -1;
	if (S_ISLNK(st->st_mode)) {
		char target[PATH_MAX];
		ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
		if (n < 0)
			return vanished(w, "read the link", errno, err);
		target[n] = '\0';
		archive_entry_copy_symlink(e, target);
		archive_entry_set_size(e, 0);
	}
	return deliver(w, e, NULL, err);
}

static int visit(struct walk *w, int folder, const char *name, unsigned depth, struct err *err)
{
	struct stat st;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return vanished(w, "stat", errno, err);
	if (S_ISDIR(st.st_mode))
		return visit_folder(w, folder, name, depth, err);
	if (S_ISREG(st.st_mode))
		return visit_file(w, folder, name, err);
	if (S_ISSOCK(st.st_mode))
		return 0; /* it means something only while its server listens */
	return visit_other(w, folder, name, &st, err);
}

static void closedirp(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: the same tree is told in the same order wherever it lies, and of the names of one file it
 * is always the same that comes first. */
static int read_names(struct walk *w, DIR *d, struct strlist *ret, struct err *err)
{
	struct dirent *entry;
	while ((errno = 0, entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (cancel_check(err) < 0 || strlist_push(ret, entry->d_name, err) < 0)
			return -1;
	}
	if (errno != 0)
		return err_sys(err, ERR_IO, errno, "can't read folder '%s'", shown_path(w));
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof *ret->items, by_name);
	return 0;
}

/* Takes `fd`. */
static int walk_folder(struct walk *w, int fd, unsigned depth, struct err *err)
{
	CLEANUP(closedirp) DIR *d = fdopendir(fd);
	CLEANUP(strlist_done) struct strlist names = {0};
	if (d == NULL) {
		err_sys(err, ERR_IO, errno, "can't read folder '%s'", shown_path(w));
		close(fd);
		return -1;
	}
	if (read_names(w, d, &names, err) < 0)
		return -1;
	size_t len = w->path.len;
	for (size_t i = 0; i < names.count; i++) {
		if (cancel_check(err) < 0 ||
		    buf_printf(&w->path, err, "%s%s", len > 0 ? "/" : "", names.items[i]) < 0 ||
		    visit(w, dirfd(d), names.items[i], depth, err) < 0)
			return -1;
		w->path.len = len;
		w->path.data[len] = '\0';
	}
	return 0;
}

int tree_disk_read(const char *root, tree_fn *fn, void *ctx, struct err *err)
{
	struct stat st;
	if (stat(root, &st) < 0)
		return err_sys(err, errno == ENOENT ? ERR_ABSENT : ERR_IO, errno,
			       "can't read folder '%s'", root);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "'%s' is not a folder", root);
	struct walk w = {.fn = fn, .ctx = ctx, .root = root, .device = st.st_dev};
	CLEANUP(freep) char *real = realpath(root, NULL);
	if (real == NULL)
		return err_sys(err, ERR_IO, errno, "can't read folder '%s'", root);
	w.disk = disk_reader(err);
	if (w.disk == NULL)
		return -1;
	buf_init(&w.path, PATH_MAX * 4);
	w.links = archive_entry_linkresolver_new();
	int rc = -1;
	if (w.links == NULL) {
		err_nomem(err, "a map of links");
	} else {
		archive_entry_linkresolver_set_strategy(w.links, ARCHIVE_FORMAT_TAR);
		rc = visit_folder(&w, AT_FDCWD, real, 0, err);
	}
	archive_entry_linkresolver_free(w.links);
	archive_read_free(w.disk);
	buf_done(&w.path);
	return rc;
}

int tree_disk_file(const char *path, struct source **ret, struct archive_entry **ret_entry,
		   struct err *err)
{
	struct stat st;
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err,
			       errno == ENOENT || errno == ENOTDIR ? ERR_ABSENT
			       : errno == EACCES                   ? ERR_DENIED
								   : ERR_IO,
			       errno, "can't open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "'%s' is not a file", path);
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	struct archive *disk = disk_reader(err);
	int rc = disk != NULL ? describe(disk, e, fd, path, &st, err) : -1;
	archive_read_free(disk);
	if (rc < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return rc < 0 ? -1 : err_sys(err, ERR_IO, errno, "can't read '%s'", path);
	int taken = fd;
	fd = -1;
	if (content_source(taken, (uint64_t)st.st_size, path, ret, err) < 0)
		return -1;
	if (ret_entry != NULL) {
		*ret_entry = e;
		e = NULL;
	}
	return 0;
}

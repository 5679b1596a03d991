#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/engine/engine_kind.h"
#include "stack/engine/tree.h"

enum { BLOCK = 256 * 1024 };

struct disk_writer {
	struct tree_writer base;
	struct archive *disk;
	char *root; /* without symbolic links in it */
	int root_fd;
	uid_t uid;
	gid_t gid;
	bool as_root;
	int flags;
};

static void entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

static int disk_failed(struct disk_writer *t, const char *name, struct err *err)
{
	int why = archive_errno(t->disk);
	const char *text = archive_error_string(t->disk);
	/* libarchive has its own numbers for what the system did not say, below zero. */
	if (why > 0 && why < 4096)
		return err_sys(err, ERR_IO, why, "can't write '%s'", name);
	return err_set(err, ERR_IO, "can't write '%s': %s", name, text != NULL ? text : "?");
}

/* A member that lies behind a symbolic link that an earlier one has made goes elsewhere. */
static int check_parents(struct disk_writer *t, const char *name, struct err *err)
{
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(name, &copy, err) < 0)
		return -1;
	for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
		struct stat st;
		*p = '\0';
		if (fstatat(t->root_fd, copy, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return err_set(err, ERR_CORRUPT,
				       "the name '%.200s' leads through the symbolic link '%.200s'",
				       name, copy);
		*p = '/';
	}
	return 0;
}

static const char *without_dot(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		for (name += 2; *name == '/'; name++)
			continue;
	return name[0] != '\0' ? name : ".";
}

/* A copy with paths that libarchive can use: below the root, whose own part is trusted. */
static struct archive_entry *placed(struct disk_writer *t, struct archive_entry *entry,
				    const char *name, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *link = NULL;
	const char *target = archive_entry_hardlink(entry);
	if (str_printf(&path, err, "%s/%s", t->root, name) < 0 ||
	    (target != NULL && str_printf(&link, err, "%s/%s", t->root, without_dot(target)) < 0))
		return NULL;
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_clone(entry);
	if (e == NULL) {
		err_nomem(err, "a file's entry");
		return NULL;
	}
	if (tree_keep_portable(e, t->as_root, err) < 0)
		return NULL;
	archive_entry_copy_pathname(e, strcmp(name, ".") == 0 ? t->root : path);
	if (link != NULL) {
		archive_entry_copy_hardlink(e, link);
		archive_entry_unset_size(e);
		archive_entry_sparse_clear(e);
	}
	archive_entry_set_fflags(e, 0, 0);
	struct archive_entry *made = e;
	e = NULL;
	return made;
}

/* What comes from `content` is exactly `size` bytes, unless that is UINT64_MAX. */
static int write_content(struct disk_writer *t, const char *name, struct source *content,
			 uint64_t size, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(BLOCK);
	if (block == NULL)
		return err_nomem(err, "a block");
	uint64_t done = 0;
	for (;;) {
		size_t n;
		if (source_read(content, block, BLOCK, &n, err) < 0)
			return err_wrap(err, "content of '%s'", name);
		if (n == 0)
			break;
		done += n;
		if (done > size)
			break;
		for (size_t at = 0; at < n;) {
			la_ssize_t put = archive_write_data(t->disk, block + at, n - at);
			if (put <= 0)
				return disk_failed(t, name, err);
			at += (size_t)put;
		}
	}
	if (size != UINT64_MAX && done != size)
		return err_set(err, ERR_CORRUPT, "'%s' has %s than the %llu bytes it announced",
			       name, done > size ? "more" : "less", (unsigned long long)size);
	return 0;
}

static int add_placed(struct disk_writer *t, const char *name, struct archive_entry *e,
		      struct source *content, uint64_t size, struct err *err)
{
	/* Holes where the original had some; a file full of written zeros stays one. */
	int holes = archive_entry_sparse_count(e) > 0 ? ARCHIVE_EXTRACT_SPARSE : 0;
	archive_write_disk_set_options(t->disk, t->flags | holes);
	/* A warning means that owner, mode, times, an ACL or an attribute did not get there: the
	 * volume would not be what was saved. */
	if (archive_write_header(t->disk, e) != ARCHIVE_OK)
		return disk_failed(t, name, err);
	if (content != NULL && archive_entry_filetype(e) == AE_IFREG &&
	    write_content(t, name, content, size, err) < 0)
		return -1;
	if (archive_write_finish_entry(t->disk) != ARCHIVE_OK)
		return disk_failed(t, name, err);
	return 0;
}

static int disk_add(struct tree_writer *base, struct archive_entry *entry, struct source *content,
		    struct err *err)
{
	struct disk_writer *t = (struct disk_writer *)base;
	const char *name = without_dot(archive_entry_pathname(entry));
	const char *target = archive_entry_hardlink(entry);
	if (cancel_check(err) < 0 || check_parents(t, name, err) < 0 ||
	    (target != NULL && check_parents(t, without_dot(target), err) < 0))
		return -1;
	if (archive_entry_filetype(entry) == AE_IFSOCK)
		return err_set(err, ERR_CORRUPT, "'%s' is a socket", name);
	CLEANUP(entry_freep) struct archive_entry *e = placed(t, entry, name, err);
	if (e == NULL)
		return -1;
	uint64_t size = archive_entry_size_is_set(e) ? (uint64_t)archive_entry_size(e) : UINT64_MAX;
	return add_placed(t, name, e, content, size, err);
}

/* Folders on the way to `name`, as the volume's user would make them. */
static int make_parents(struct disk_writer *t, const char *name, struct err *err)
{
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(name, &copy, err) < 0)
		return -1;
	for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(t->root_fd, copy, 0700) == 0) {
			if (t->as_root &&
			    fchownat(t->root_fd, copy, t->uid, t->gid, AT_SYMLINK_NOFOLLOW) < 0)
				return err_sys(err, ERR_IO, errno, "owner of '%s'", copy);
		} else if (errno != EEXIST) {
			return err_sys(err, ERR_IO, errno, "can't create folder '%s'", copy);
		}
		*p = '/';
	}
	return 0;
}

static int disk_stream(struct tree_writer *base, const char *name, unsigned mode,
		       struct source *from, uint64_t len, struct err *err)
{
	struct disk_writer *t = (struct disk_writer *)base;
	name = without_dot(name);
	if (check_parents(t, name, err) < 0 || make_parents(t, name, err) < 0)
		return -1;
	CLEANUP(entry_freep) struct archive_entry *plain = archive_entry_new();
	if (plain == NULL)
		return err_nomem(err, "a file's entry");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	archive_entry_copy_pathname(plain, name);
	archive_entry_set_filetype(plain, AE_IFREG);
	archive_entry_set_perm(plain, (__LA_MODE_T)mode & 07777);
	archive_entry_set_uid(plain, t->uid);
	archive_entry_set_gid(plain, t->gid);
	archive_entry_set_mtime(plain, now.tv_sec, now.tv_nsec);
	CLEANUP(entry_freep) struct archive_entry *e = placed(t, plain, name, err);
	if (e == NULL)
		return -1;
	return add_placed(t, name, e, from, len, err);
}

static int disk_close(struct tree_writer *base, struct err *err)
{
	struct disk_writer *t = (struct disk_writer *)base;
	/* Modes and times of folders are set now, when nothing more is written into them. */
	if (archive_write_close(t->disk) != ARCHIVE_OK)
		return disk_failed(t, t->root, err);
	if (syncfs(t->root_fd) < 0)
		return err_sys(err, ERR_IO, errno, "sync of '%s'", t->root);
	return 0;
}

static void disk_free(struct tree_writer *base)
{
	struct disk_writer *t = (struct disk_writer *)base;
	archive_write_free(t->disk);
	fd_closep(&t->root_fd);
	free(t->root);
	free(t);
}

static const struct tree_writer_ops disk_ops = {
    .add = disk_add, .stream = disk_stream, .close = disk_close, .free = disk_free};

int tree_disk_writer(const char *root, const struct identity *owner, struct tree_writer **ret,
		     struct err *err)
{
	struct disk_writer *made = mem_zalloc(sizeof *made, "a writer of files", err);
	if (made == NULL)
		return -1;
	made->base.ops = &disk_ops;
	CLEANUP(tree_writer_freep) struct tree_writer *t = &made->base;
	made->as_root = geteuid() == 0;
	made->uid = owner != NULL ? owner->uid : geteuid();
	made->gid = owner != NULL ? owner->gid : getegid();
	/* The way to the volume may lead through links of this machine; inside there are none. */
	made->root = realpath(root, NULL);
	made->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (made->root == NULL || made->root_fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_ABSENT : ERR_IO, errno,
			       "can't open folder '%s'", root);
	made->disk = archive_write_disk_new();
	if (made->disk == NULL)
		return err_nomem(err, "a writer of files");
	made->flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_ACL |
		      ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		      ARCHIVE_EXTRACT_SECURE_NODOTDOT | (made->as_root ? ARCHIVE_EXTRACT_OWNER : 0);
	*ret = t;
	t = NULL;
	return 0;
}

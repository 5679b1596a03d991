#include <archive.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/docker/docker_impl.h"
#include "stack/engine/engine_kind.h"
#include "stack/engine/tree.h"

enum { BLOCK = 256 << 10, IN_MEMORY = 1 << 20 };

/*
 * The daemon passes over an entry named ".", so that the folder's own owner and mode would stay as
 * they are: the archive is unpacked into the folder's parent, and all names begin with its own.
 */
struct tar_writer {
	struct tree_writer base;
	struct archive *tar;
	struct sink *to;
	char *prefix; /* "data/"; empty for "/" */
	json_t *seen; /* names that were written: true for a symbolic link, false for a folder */
	unsigned uid, gid;
	bool gone;         /* what libarchive still makes goes nowhere */
	struct err failed; /* of `to`, while libarchive is in between */
};

static la_ssize_t put_block(struct archive *a, void *ctx, const void *data, size_t len)
{
	(void)a;
	struct tar_writer *t = ctx;
	if (t->gone)
		return -1;
	/* A failure is not told to libarchive, which would leak; whoever called it asks. */
	if (t->failed.code == ERR_NONE && sink_write(t->to, data, len, &t->failed) == 0)
		err_clear(&t->failed);
	return (la_ssize_t)len;
}

static int tar_failed(const struct tar_writer *t, const char *name, struct err *err)
{
	if (t->failed.code != ERR_NONE) {
		*err = t->failed;
		return err_wrap(err, "'%s'", name);
	}
	const char *text = archive_error_string(t->tar);
	return err_set(err, ERR_FAILED, "can't write '%s': %s", name, text != NULL ? text : "?");
}

/* ---- names ---- */

/* "./a//b/" as "a/b", "." and "./" as "". New string. */
static int clean_name(const char *name, char **ret, struct err *err)
{
	CLEANUP(freep) char *out = NULL;
	if (str_dup(name, &out, err) < 0)
		return -1;
	size_t n = 0;
	for (const char *p = name; *p != '\0';) {
		size_t len = strcspn(p, "/");
		if (len > 0 && !(len == 1 && *p == '.')) {
			if (n > 0)
				out[n++] = '/';
			memmove(out + n, p, len);
			n += len;
		}
		p += len;
		p += *p == '/';
	}
	out[n] = '\0';
	*ret = out;
	out = NULL;
	return 0;
}

/* Not "<= ARCHIVE_WARN": ARCHIVE_RETRY is the smaller evil to libarchive. A warning is about what
 * a plain tar reader would not understand. */
static bool is_fine(int rc)
{
	return rc == ARCHIVE_OK || rc == ARCHIVE_WARN;
}

static int remember(struct tar_writer *t, const char *name, __LA_MODE_T type, struct err *err)
{
	if (type != AE_IFLNK && type != AE_IFDIR) {
		/* A file in a link's place makes the way through it free again. */
		json_object_del(t->seen, name);
		return 0;
	}
	if (json_object_set_new_nocheck(t->seen, name, json_boolean(type == AE_IFLNK)) < 0)
		return err_nomem(err, "names of folders");
	return 0;
}

static int write_header(struct tar_writer *t, struct archive_entry *e, const char *name,
			struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (str_printf(&path, err, "%s%s", t->prefix, name) < 0)
		return -1;
	archive_entry_copy_pathname(e, path[0] != '\0' ? path : ".");
	if (!is_fine(archive_write_header(t->tar, e)) || t->failed.code != ERR_NONE)
		return tar_failed(t, name, err);
	return remember(t, name, archive_entry_filetype(e), err);
}

static struct archive_entry *own_entry(const struct tar_writer *t, __LA_MODE_T type, unsigned mode,
				       struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	if (e == NULL) {
		err_nomem(err, "a file's entry");
		return NULL;
	}
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, (__LA_MODE_T)mode & 07777);
	archive_entry_set_uid(e, t->uid);
	archive_entry_set_gid(e, t->gid);
	archive_entry_set_mtime(e, now.tv_sec, now.tv_nsec);
	return e;
}

static int make_folder(struct tar_writer *t, const char *name, struct err *err)
{
	CLEANUP(docker_entry_freep) struct archive_entry *e = own_entry(t, AE_IFDIR, 0700, err);
	if (e == NULL || write_header(t, e, name, err) < 0)
		return -1;
	return is_fine(archive_write_finish_entry(t->tar)) && t->failed.code == ERR_NONE
		   ? 0
		   : tar_failed(t, name, err);
}

/* A member behind a symbolic link would go elsewhere; folders that nobody wrote are made. */
static int prepare_parents(struct tar_writer *t, const char *name, bool make, struct err *err)
{
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(name, &copy, err) < 0)
		return -1;
	for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		const json_t *known = json_object_get(t->seen, copy);
		if (json_is_true(known))
			return err_set(err, ERR_CORRUPT,
				       "the name '%.200s' leads through the symbolic link '%.200s'",
				       name, copy);
		if (known == NULL && make && make_folder(t, copy, err) < 0)
			return -1;
		*p = '/';
	}
	return 0;
}

/* ---- content ---- */

/* What comes from `content` is exactly `size` bytes. */
static int write_content(struct tar_writer *t, const char *name, struct source *content,
			 uint64_t size, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(BLOCK);
	if (block == NULL)
		return err_nomem(err, "a block");
	uint64_t done = 0;
	for (size_t n = 1; n > 0;) {
		if (source_read(content, block, BLOCK, &n, err) < 0)
			return err_wrap(err, "content of '%s'", name);
		done += n;
		if (done > size || (n == 0 && done < size))
			return err_set(err, ERR_CORRUPT,
				       "'%s' has %s than the %llu bytes it announced", name,
				       done > size ? "more" : "less", (unsigned long long)size);
		if (n > 0 && archive_write_data(t->tar, block, n) != (la_ssize_t)n)
			return tar_failed(t, name, err);
		if (t->failed.code != ERR_NONE)
			return tar_failed(t, name, err);
	}
	return 0;
}

/* ---- adding ---- */

static int prepare_link(struct tar_writer *t, struct archive_entry *e, struct err *err)
{
	CLEANUP(freep) char *target = NULL;
	CLEANUP(freep) char *path = NULL;
	if (archive_entry_hardlink(e) == NULL)
		return 0;
	if (clean_name(archive_entry_hardlink(e), &target, err) < 0 ||
	    prepare_parents(t, target, false, err) < 0 ||
	    str_printf(&path, err, "%s%s", t->prefix, target) < 0)
		return -1;
	archive_entry_copy_hardlink(e, path);
	archive_entry_set_size(e, 0);
	return 0;
}

static int tar_add(struct tree_writer *base, struct archive_entry *entry, struct source *content,
		   struct err *err)
{
	struct tar_writer *t = (struct tar_writer *)base;
	CLEANUP(freep) char *name = NULL;
	CLEANUP(docker_entry_freep) struct archive_entry *e = archive_entry_clone(entry);
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	if (cancel_check(err) < 0 || clean_name(archive_entry_pathname(entry), &name, err) < 0 ||
	    prepare_parents(t, name, true, err) < 0)
		return -1;
	if (archive_entry_filetype(entry) == AE_IFSOCK)
		return err_set(err, ERR_CORRUPT, "'%s' is a socket", name);
	if (tree_keep_portable(e, true, err) < 0 || docker_acl_as_xattrs(e, err) < 0 ||
	    prepare_link(t, e, err) < 0)
		return -1;
	bool has_content = content != NULL && archive_entry_filetype(e) == AE_IFREG;
	if (!has_content)
		archive_entry_set_size(e, 0);
	else if (!archive_entry_size_is_set(e))
		return base->ops->stream(base, name, archive_entry_perm(e), content, UINT64_MAX,
					 err);
	/* The daemon unpacks holes as zeros in any case. */
	archive_entry_sparse_clear(e);
	archive_entry_set_fflags(e, 0, 0);
	if (write_header(t, e, name, err) < 0 ||
	    (has_content &&
	     write_content(t, name, content, (uint64_t)archive_entry_size(e), err) < 0))
		return -1;
	return is_fine(archive_write_finish_entry(t->tar)) && t->failed.code == ERR_NONE
		   ? 0
		   : tar_failed(t, name, err);
}

static int add_stream(struct tar_writer *t, const char *name, unsigned mode, struct source *from,
		      uint64_t len, struct err *err)
{
	CLEANUP(docker_entry_freep) struct archive_entry *e = own_entry(t, AE_IFREG, mode, err);
	if (e == NULL || prepare_parents(t, name, true, err) < 0)
		return -1;
	if (len > INT64_MAX)
		return err_set(err, ERR_LIMIT, "'%s' is too large", name);
	archive_entry_set_size(e, (la_int64_t)len);
	if (write_header(t, e, name, err) < 0 || write_content(t, name, from, len, err) < 0)
		return -1;
	return is_fine(archive_write_finish_entry(t->tar)) && t->failed.code == ERR_NONE
		   ? 0
		   : tar_failed(t, name, err);
}

/* ---- streams of unknown length ---- */

/* A file without a name, which is gone when it is closed or we are. */
static int open_spool(int *ret_fd, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	CLEANUP(freep) char *path = NULL;
	if (folder == NULL || folder[0] != '/')
		folder = "/tmp";
	if (str_printf(&path, err, "%s/lifeboat-XXXXXX", folder) < 0)
		return -1;
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path) < 0) {
		err_sys(err, ERR_IO, errno, "can't make a temporary file in '%s'", folder);
		fd_closep(&fd);
		return err_hint(err, "Name a folder with room in TMPDIR.");
	}
	*ret_fd = fd;
	return 0;
}

static int spool(const uint8_t *begin, size_t begin_bytes, struct source *from, int fd,
		 uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(BLOCK);
	uint64_t total = begin_bytes;
	if (block == NULL)
		return err_nomem(err, "a block");
	if (file_write_fd(fd, begin, begin_bytes, "a temporary file", err) < 0)
		return -1;
	for (size_t n = 1; n > 0; total += n)
		if (source_read(from, block, BLOCK, &n, err) < 0 ||
		    file_write_fd(fd, block, n, "a temporary file", err) < 0)
			return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "a temporary file");
	*ret_bytes = total;
	return 0;
}

/* Tar needs the size first. What is small is not worth a file. */
static int add_unknown(struct tar_writer *t, const char *name, unsigned mode, struct source *from,
		       struct err *err)
{
	CLEANUP(freep) uint8_t *begin = malloc(IN_MEMORY);
	CLEANUP(source_freep) struct source *all = NULL;
	CLEANUP(fd_closep) int fd = -1;
	size_t n;
	uint64_t bytes;
	if (begin == NULL)
		return err_nomem(err, "a block");
	if (source_read_full(from, begin, IN_MEMORY, &n, err) < 0)
		return err_wrap(err, "content of '%s'", name);
	bytes = n;
	if (n < IN_MEMORY) {
		if (source_memory(begin, n, &all, err) < 0)
			return -1;
	} else {
		if (open_spool(&fd, err) < 0 || spool(begin, n, from, fd, &bytes, err) < 0)
			return err_wrap(err, "content of '%s'", name);
		int taken = fd;
		fd = -1;
		if (source_fd(taken, bytes, "a temporary file", &all, err) < 0)
			return -1;
	}
	return add_stream(t, name, mode, all, bytes, err);
}

static int tar_stream(struct tree_writer *base, const char *name, unsigned mode,
		      struct source *from, uint64_t len, struct err *err)
{
	struct tar_writer *t = (struct tar_writer *)base;
	CLEANUP(freep) char *clean = NULL;
	if (cancel_check(err) < 0 || clean_name(name, &clean, err) < 0)
		return -1;
	return len == UINT64_MAX ? add_unknown(t, clean, mode, from, err)
				 : add_stream(t, clean, mode, from, len, err);
}

static int tar_close(struct tree_writer *base, struct err *err)
{
	struct tar_writer *t = (struct tar_writer *)base;
	if (archive_write_close(t->tar) != ARCHIVE_OK || t->failed.code != ERR_NONE)
		return tar_failed(t, t->prefix, err);
	return sink_close(t->to, err);
}

static void tar_free(struct tree_writer *base)
{
	struct tar_writer *t = (struct tar_writer *)base;
	/* Freeing an archive completes it: nothing of that may get to the daemon. */
	t->gone = true;
	if (t->tar != NULL)
		archive_write_free(t->tar);
	sink_free(t->to);
	json_decref(t->seen);
	free(t->prefix);
	free(t);
}

static const struct tree_writer_ops tar_ops = {
    .add = tar_add, .stream = tar_stream, .close = tar_close, .free = tar_free};

static int open_archive(struct tar_writer *t, struct err *err)
{
	t->tar = archive_write_new();
	t->seen = json_object();
	if (t->tar == NULL || t->seen == NULL)
		return err_nomem(err, "a writer of files");
	/* The folder itself is there already. */
	if (json_object_set_new_nocheck(t->seen, "", json_false()) < 0)
		return err_nomem(err, "names of folders");
	/* Names are bytes: read as text, libarchive would change how letters with accents are
	 * composed, and refuse what is not UTF-8. */
	if (archive_write_set_format_pax(t->tar) != ARCHIVE_OK ||
	    archive_write_add_filter_none(t->tar) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(t->tar, BLOCK) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(t->tar, 1) != ARCHIVE_OK ||
	    archive_write_set_options(t->tar, "xattrheader=SCHILY,hdrcharset=BINARY") !=
		ARCHIVE_OK ||
	    archive_write_open(t->tar, t, NULL, put_block, NULL) != ARCHIVE_OK)
		return tar_failed(t, t->prefix, err);
	return 0;
}

int docker_tree_write(struct docker *d, const char *container, const char *folder, unsigned uid,
		      unsigned gid, struct tree_writer **ret, struct err *err)
{
	CLEANUP(freep) char *real = NULL;
	CLEANUP(freep) char *parent = NULL;
	CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
	struct tar_writer *made = mem_zalloc(sizeof *made, "a writer of files", err);
	if (made == NULL)
		return -1;
	made->base.ops = &tar_ops;
	made->uid = uid;
	made->gid = gid;
	CLEANUP(tree_writer_freep) struct tree_writer *t = &made->base;
	if (docker_resolve(d, container, folder, &real, &e, err) < 0)
		return -1;
	if (archive_entry_filetype(e) != AE_IFDIR)
		return err_set(err, ERR_FAILED, "'%s' is not a folder", folder);
	const char *slash = strrchr(real, '/');
	if (slash[1] == '\0') {
		if (str_dup("", &made->prefix, err) < 0 || str_dup("/", &parent, err) < 0)
			return -1;
	} else if (str_printf(&made->prefix, err, "%s/", slash + 1) < 0 ||
		   str_printf(&parent, err, "%.*s/", (int)(slash - real), real) < 0)
		return -1;
	if (open_archive(made, err) < 0 ||
	    docker_archive_put(d, container, parent, &made->to, err) < 0)
		return -1;
	*ret = t;
	t = NULL;
	return 0;
}

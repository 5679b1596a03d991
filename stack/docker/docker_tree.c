#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_impl.h"
#include "stack/docker/docker_tar.h"
#include "stack/engine/tree.h"

/* ---- content ---- */

struct content {
	struct docker_tar *tar;
	bool owns; /* the tar is its own, and ends with it */
};

static int content_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct content *c = self;
	size_t n;
	if (docker_tar_read(c->tar, buf, cap, &n, err) < 0)
		return -1;
	/* A single file is whole when its archive is. */
	if (n == 0 && c->owns) {
		CLEANUP(docker_entry_freep) struct archive_entry *more = NULL;
		if (docker_tar_next(c->tar, &more, err) < 0)
			return -1;
		if (more != NULL)
			return err_set(err, ERR_CORRUPT, "Docker sent more than one file");
	}
	*ret_n = n;
	return 0;
}

static void content_free(void *self)
{
	struct content *c = self;
	if (c->owns)
		docker_tar_free(c->tar);
	free(c);
}

static const struct source_ops content_ops = {.read = content_read, .free = content_free};

/* Takes `tar` if `owns`, also on failure. */
static int content_source(struct docker_tar *tar, bool owns, struct source **ret, struct err *err)
{
	struct content *c = mem_zalloc(sizeof *c, "a source", err);
	if (c == NULL) {
		if (owns)
			docker_tar_free(tar);
		return -1;
	}
	*c = (struct content){tar, owns};
	return source_new(&content_ops, c, ret, err);
}

static int open_tar(struct docker *d, const char *container, const char *path,
		    struct docker_tar **ret, struct err *err)
{
	struct source *raw;
	if (docker_archive_raw(d, container, path, &raw, err) < 0)
		return -1;
	return docker_tar_open(raw, path, ret, err);
}

/* ---- one file ---- */

int docker_tree_file(struct docker *d, const char *container, const char *path, struct source **ret,
		     struct archive_entry **ret_entry, struct err *err)
{
	CLEANUP(freep) char *real = NULL;
	CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
	CLEANUP(docker_tar_freep) struct docker_tar *tar = NULL;
	if (docker_resolve(d, container, path, &real, &e, err) < 0)
		return -1;
	if (archive_entry_filetype(e) != AE_IFREG)
		return err_set(err, ERR_FAILED, "'%s' is not a file", path);
	archive_entry_free(e);
	e = NULL;
	if (open_tar(d, container, real, &tar, err) < 0 || docker_tar_next(tar, &e, err) < 0)
		return -1;
	if (e == NULL || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) != NULL)
		return err_set(err, ERR_FAILED, "'%s' is no longer a file", path);
	archive_entry_copy_pathname(e, path);
	struct docker_tar *taken = tar;
	tar = NULL;
	if (content_source(taken, true, ret, err) < 0)
		return -1;
	if (ret_entry != NULL) {
		*ret_entry = e;
		e = NULL;
	}
	return 0;
}

/* ---- a tree ---- */

struct walk {
	struct docker_tar *tar;
	const char *folder;
	char *prefix; /* name of the folder itself in the archive, without slashes at its end */
	tree_fn *fn;
	void *ctx;
};

static void trim_slashes(char *name)
{
	for (size_t n = strlen(name); n > 0 && name[n - 1] == '/'; n--)
		name[n - 1] = '\0';
}

/* "data/base/1" is "base/1" of "data"; "data/" is ".". New string. */
static int name_below(const struct walk *w, const char *name, char **ret, struct err *err)
{
	size_t len = strlen(w->prefix);
	if (strncmp(name, w->prefix, len) != 0 || (name[len] != '/' && name[len] != '\0'))
		return err_set(err, ERR_CORRUPT, "'%.300s' is not in '%s'", name, w->folder);
	name += len;
	while (*name == '/')
		name++;
	if (str_dup(name[0] != '\0' ? name : ".", ret, err) < 0)
		return -1;
	trim_slashes(*ret);
	return tree_name_check(*ret, err);
}

static int rename_entry(const struct walk *w, struct archive_entry *e, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *target = NULL;
	const char *link = archive_entry_hardlink(e);
	if (name_below(w, archive_entry_pathname(e), &name, err) < 0 ||
	    (link != NULL && name_below(w, link, &target, err) < 0))
		return -1;
	archive_entry_copy_pathname(e, name);
	if (target != NULL) {
		archive_entry_copy_hardlink(e, target);
		archive_entry_unset_size(e);
	}
	return tree_keep_portable(e, true, err);
}

static int deliver(const struct walk *w, struct archive_entry *e, struct err *err)
{
	CLEANUP(source_freep) struct source *content = NULL;
	if (rename_entry(w, e, err) < 0)
		return -1;
	if (archive_entry_filetype(e) == AE_IFREG && archive_entry_hardlink(e) == NULL &&
	    content_source(w->tar, false, &content, err) < 0)
		return -1;
	return w->fn(w->ctx, e, content, err);
}

static int first_entry(struct walk *w, struct err *err)
{
	CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
	if (docker_tar_next(w->tar, &e, err) < 0)
		return -1;
	if (e == NULL || archive_entry_filetype(e) != AE_IFDIR)
		return err_set(err, ERR_FAILED, "'%s' is no longer a folder", w->folder);
	if (str_dup(archive_entry_pathname(e), &w->prefix, err) < 0)
		return -1;
	trim_slashes(w->prefix);
	return deliver(w, e, err);
}

int docker_tree_read(struct docker *d, const char *container, const char *folder, tree_fn *fn,
		     void *ctx, struct err *err)
{
	CLEANUP(freep) char *real = NULL;
	CLEANUP(freep) char *prefix = NULL;
	CLEANUP(docker_entry_freep) struct archive_entry *root = NULL;
	CLEANUP(docker_tar_freep) struct docker_tar *tar = NULL;
	if (docker_resolve(d, container, folder, &real, &root, err) < 0)
		return -1;
	if (archive_entry_filetype(root) != AE_IFDIR)
		return err_set(err, ERR_FAILED, "'%s' is not a folder", folder);
	if (open_tar(d, container, real, &tar, err) < 0)
		return -1;
	struct walk w = {.tar = tar, .folder = folder, .fn = fn, .ctx = ctx};
	int rc = first_entry(&w, err);
	prefix = w.prefix;
	while (rc == 0) {
		CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
		if (cancel_check(err) < 0 || docker_tar_next(tar, &e, err) < 0)
			return -1;
		if (e == NULL)
			return 0;
		rc = deliver(&w, e, err);
	}
	return rc;
}

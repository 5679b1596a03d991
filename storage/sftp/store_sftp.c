/* sftp://[user@]host[:port]/absolute/folder: a folder of another machine, by SSH. Objects are files
 * of mode 0600. An unfinished one is "<name>.<8 hex digits>.part", made exclusively, so that two
 * agents that write one name don't meet. It is synced where the server can (fsync@openssh.com) and
 * renamed when it is closed:
 *
 *  - store_create by SFTP's own rename, which fails where the name is taken (OpenSSH links and
 *    unlinks; on a file system without hard links it looks first, and two agents may meet there);
 *  - store_put by posix-rename@openssh.com, in one step. A server that does not know it gets three:
 *    the old object steps aside, the new one comes, the old one goes. Between the first two there
 *    is none of that name; one that is killed just there leaves the old one as a ".part".
 */
#include "storage/sftp/sftp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "storage/sftp/sftp_upload.h"
#include "storage/store/store_part.h"

enum { NAMES_MAX = 1000000 };

/* ---- paths and attributes ---- */

static int path_in(const struct sftp_site *s, const char *name, char **ret, struct err *err)
{
	const char *folder = s->at.path;
	return str_printf(ret, err, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
}

/* Servers may leave the type out; a size they must not. */
static bool is_file(const LIBSSH2_SFTP_ATTRIBUTES *a)
{
	unsigned long type = a->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS ? a->permissions & S_IFMT : 0;
	return (a->flags & LIBSSH2_SFTP_ATTR_SIZE) && (type == 0 || type == S_IFREG);
}

static struct store_object object_of(const char *name, const LIBSSH2_SFTP_ATTRIBUTES *a)
{
	struct store_object o = {.bytes = a->filesize};
	if (a->flags & LIBSSH2_SFTP_ATTR_ACMODTIME)
		o.modified_ms = (int64_t)a->mtime * 1000;
	strncpy(o.name, name, sizeof o.name - 1);
	return o;
}

static bool is_absent(const struct sftp *c, long rc)
{
	unsigned long status = sftp_status(c, rc);
	return status == LIBSSH2_FX_NO_SUCH_FILE || status == LIBSSH2_FX_NO_SUCH_PATH;
}

/* ERR_ABSENT also where it is no file. */
static int look_at(struct sftp *c, const char *name, LIBSSH2_SFTP_ATTRIBUTES *ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	int rc;
	if (path_in(c->site, name, &path, err) < 0)
		return -1;
	while ((rc = libssh2_sftp_stat_ex(c->sftp, path, (unsigned)strlen(path), LIBSSH2_SFTP_LSTAT,
					  ret)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	if (rc < 0 && is_absent(c, rc))
		return err_set(err, ERR_ABSENT, "there is no '%s' in '%s'", name, c->site->at.path);
	if (rc < 0)
		return sftp_failed(c, rc, err, "stat of '%s'", path);
	return is_file(ret) ? 0 : err_set(err, ERR_ABSENT, "'%s' is not a file", path);
}

/* ---- opening ---- */

static int open_site(const struct store_opts *opts, void **ret_self, char **ret_where,
		     struct err *err)
{
	CLEANUP(sftp_site_freep) struct sftp_site *s = NULL;
	if (sftp_site_open(opts, &s, err) < 0)
		return -1;
	if (str_printf(ret_where, err, "sftp://%s@%s:%u%s", s->user, s->at.host,
		       (unsigned)s->at.port, s->at.path) < 0)
		return -1;
	*ret_self = s;
	s = NULL;
	return 0;
}

static void free_site(void *self)
{
	sftp_site_free(self);
}

/* ---- writing ---- */

static int put_object(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	struct sftp_site *s = self;
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	CLEANUP(freep) char *path = NULL;
	LIBSSH2_SFTP_ATTRIBUTES there;
	if (path_in(s, name, &path, err) < 0 || sftp_take(s, &c, err) < 0)
		return -1;
	if (fresh) {
		if (look_at(c, name, &there, err) == 0)
			return err_set(err, ERR_EXISTS, "'%s' is there already", path);
		if (err->code != ERR_ABSENT)
			return -1;
		err_clear(err);
	}
	struct sftp *taken = c;
	c = NULL;
	return sftp_upload_open(taken, path, fresh, ret, err);
}

/* ---- reading ---- */

/* 1 MiB on its way: 10 MB/s where an answer takes 100 ms. */
enum { READ_BYTES = 256 << 10 };

struct download {
	struct sftp *c; /* NULL at the end */
	LIBSSH2_SFTP_HANDLE *file;
	char *name;
	uint64_t left, promised;
};

static void download_free(struct download *d)
{
	if (d == NULL)
		return;
	/* What was asked for in advance would come before the next answer. */
	if (d->c != NULL && d->left > 0)
		d->c->broken = true;
	sftp_file_close(d->c, d->file);
	sftp_give(d->c);
	free(d->name);
	free(d);
}
DEFINE_CLEANUP(struct download, download_free)

static void download_free_fn(void *self)
{
	download_free(self);
}

static int download_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct download *d = self;
	struct sftp *c = d->c;
	if (d->left == 0) {
		*ret_n = 0;
		return 0;
	}
	/* libssh2 asks for four times as much in advance: no more than is wanted, and no more than
	 * a broken connection may cost, since it forgets what has come but was not yet read. */
	uint64_t quarter = (d->left + 3) / 4;
	size_t want = quarter < cap ? (size_t)quarter : cap;
	if (want > READ_BYTES)
		want = READ_BYTES;
	ssize_t n;
	if (cancel_check(err) < 0)
		return -1;
	while ((n = libssh2_sftp_read(d->file, (char *)buf, want)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return err_wrap(err, "'%s'", d->name);
	if (n < 0)
		return sftp_failed(c, (long)n, err, "can't read '%s'", d->name);
	if (n == 0)
		return err_set(err, ERR_CORRUPT, "'%s' ended after %llu of %llu bytes", d->name,
			       (unsigned long long)(d->promised - d->left),
			       (unsigned long long)d->promised);
	d->left -= (uint64_t)n;
	*ret_n = (size_t)n;
	return 0;
}

static const struct source_ops download_ops = {.read = download_read, .free = download_free_fn};

static int open_file(struct download *d, const char *path, LIBSSH2_SFTP_ATTRIBUTES *ret,
		     struct err *err)
{
	struct sftp *c = d->c;
	if (sftp_file_open(c, path, LIBSSH2_FXF_READ, &d->file, err) < 0) {
		if (err->code == ERR_ABSENT)
			return err_set(err, ERR_ABSENT, "there is no '%s' in '%s'", d->name,
				       c->site->at.path);
		return -1;
	}
	int rc;
	while ((rc = libssh2_sftp_fstat_ex(d->file, ret, 0)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	if (rc < 0)
		return sftp_failed(c, rc, err, "stat of '%s'", path);
	return is_file(ret) ? 0 : err_set(err, ERR_ABSENT, "'%s' is not a file", path);
}

static int get_object(void *self, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err)
{
	struct sftp_site *s = self;
	LIBSSH2_SFTP_ATTRIBUTES a;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(download_freep) struct download *d = mem_zalloc(sizeof *d, "a download", err);
	if (d == NULL || str_dup(name, &d->name, err) < 0 || path_in(s, name, &path, err) < 0 ||
	    sftp_take(s, &d->c, err) < 0 || open_file(d, path, &a, err) < 0)
		return -1;
	if (offset > a.filesize || (len != UINT64_MAX && len > a.filesize - offset))
		return err_set(
		    err, ERR_CORRUPT, "'%s' has %llu bytes: too few to read %llu at offset %llu",
		    name, (unsigned long long)a.filesize,
		    (unsigned long long)(len != UINT64_MAX ? len : 0), (unsigned long long)offset);
	d->promised = d->left = len != UINT64_MAX ? len : a.filesize - offset;
	libssh2_sftp_seek64(d->file, offset);
	struct download *taken = d;
	d = NULL;
	return source_new(&download_ops, taken, ret, err);
}

static int stat_object(void *self, const char *name, struct store_object *ret, struct err *err)
{
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	LIBSSH2_SFTP_ATTRIBUTES a;
	if (sftp_take(self, &c, err) < 0 || look_at(c, name, &a, err) < 0)
		return -1;
	*ret = object_of(name, &a);
	return 0;
}

/* ---- listing ---- */

/* Called for each file that is there; objects and leftovers alike. */
typedef int each_fn(void *ctx, const char *name, const LIBSSH2_SFTP_ATTRIBUTES *a, struct err *err);

static int open_folder(struct sftp *c, LIBSSH2_SFTP_HANDLE **ret, struct err *err)
{
	const char *path = c->site->at.path;
	while ((*ret = libssh2_sftp_open_ex(c->sftp, path, (unsigned)strlen(path), 0, 0,
					    LIBSSH2_SFTP_OPENDIR)) == NULL) {
		int rc = libssh2_session_last_errno(c->ssh);
		if (rc != LIBSSH2_ERROR_EAGAIN)
			return sftp_failed(c, rc, err, "can't list '%s'", path);
		if (sftp_wait(c, err) < 0)
			return -1;
	}
	return 0;
}

static int read_folder(struct sftp *c, LIBSSH2_SFTP_HANDLE *folder, each_fn *each, void *ctx,
		       struct err *err)
{
	char name[4096];
	LIBSSH2_SFTP_ATTRIBUTES a;
	for (size_t seen = 0; seen < NAMES_MAX;) {
		int n = libssh2_sftp_readdir_ex(folder, name, sizeof name - 1, NULL, 0, &a);
		if (n == LIBSSH2_ERROR_EAGAIN) {
			if (sftp_wait(c, err) < 0)
				return -1;
			continue;
		}
		if (n == 0)
			return 0;
		if (n < 0)
			return sftp_failed(c, n, err, "can't list '%s'", c->site->at.path);
		name[n] = '\0';
		seen++;
		if (is_file(&a) && each(ctx, name, &a, err) < 0)
			return -1;
	}
	return err_set(err, ERR_LIMIT, "more than %d names in '%s'", (int)NAMES_MAX,
		       c->site->at.path);
}

/* A folder that is not there yet is empty. */
static int for_each(struct sftp *c, each_fn *each, void *ctx, struct err *err)
{
	LIBSSH2_SFTP_HANDLE *folder = NULL;
	if (open_folder(c, &folder, err) < 0) {
		if (err->code != ERR_ABSENT)
			return -1;
		err_clear(err);
		return 0;
	}
	int rc = read_folder(c, folder, each, ctx, err);
	sftp_file_close(c, folder);
	return rc;
}

struct listing {
	const char *prefix;
	struct store_objects found;
};

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int list_one(void *ctx, const char *name, const LIBSSH2_SFTP_ATTRIBUTES *a, struct err *err)
{
	struct listing *l = ctx;
	if (!store_name_is_valid(name) || !begins_with(name, l->prefix))
		return 0;
	void *items = mem_grow(l->found.items, l->found.count, sizeof *l->found.items,
			       "a list of objects", err);
	if (items == NULL)
		return -1;
	l->found.items = items;
	l->found.items[l->found.count++] = object_of(name, a);
	return 0;
}

static int list_objects(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	struct listing l = {.prefix = prefix};
	if (sftp_take(self, &c, err) < 0)
		return -1;
	if (for_each(c, list_one, &l, err) < 0) {
		store_objects_done(&l.found);
		return -1;
	}
	*ret = l.found;
	return 0;
}

/* ---- removing, sweeping ---- */

static int remove_object(void *self, const char *name, struct err *err)
{
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	CLEANUP(freep) char *path = NULL;
	if (path_in(self, name, &path, err) < 0 || sftp_take(self, &c, err) < 0)
		return -1;
	return sftp_file_remove(c, path, err);
}

struct leftovers {
	const char *stack;
	struct strlist names;
	struct store_objects found; /* the same, with their times */
};

static int note_leftover(void *ctx, const char *name, const LIBSSH2_SFTP_ATTRIBUTES *a,
			 struct err *err)
{
	struct leftovers *l = ctx;
	if (!store_part_is(name, l->stack))
		return 0;
	void *items = mem_grow(l->found.items, l->found.count, sizeof *l->found.items,
			       "a list of objects", err);
	if (items == NULL)
		return -1;
	l->found.items = items;
	l->found.items[l->found.count++] = object_of("", a);
	return strlist_push(&l->names, name, err);
}

static void leftovers_done(struct leftovers *l)
{
	strlist_done(&l->names);
	store_objects_done(&l->found);
}

/* What the server takes for now: the time of a file that is made for that. */
static int ask_time(struct sftp *c, int64_t *ret_ms, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *part = NULL;
	LIBSSH2_SFTP_HANDLE *file = NULL;
	LIBSSH2_SFTP_ATTRIBUTES a = {0};
	int rc;
	if (path_in(c->site, "clock", &path, err) < 0 ||
	    sftp_upload_make(c, path, &part, &file, err) < 0)
		return -1;
	while ((rc = libssh2_sftp_fstat_ex(file, &a, 0)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	sftp_file_close(c, file);
	if (rc < 0)
		return sftp_failed(c, rc, err, "stat of '%s'", part);
	if (sftp_file_remove(c, part, err) < 0)
		return -1;
	*ret_ms = (int64_t)a.mtime * 1000;
	return 0;
}

static int sweep_parts(void *self, const char *stack, bool dry_run, struct strlist *ret,
		       struct err *err)
{
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	CLEANUP(leftovers_done) struct leftovers l = {.stack = stack};
	int64_t now = 0;
	if (sftp_take(self, &c, err) < 0 || for_each(c, note_leftover, &l, err) < 0)
		return -1;
	if (l.found.count > 0 && ask_time(c, &now, err) < 0)
		return -1;
	for (size_t i = 0; i < l.found.count; i++) {
		CLEANUP(freep) char *path = NULL;
		int64_t then = l.found.items[i].modified_ms;
		/* Of an age that is not known nothing is said. */
		if (then == 0 || now - then < STORE_PART_AGE_MS)
			continue;
		if (!dry_run && (path_in(self, l.names.items[i], &path, err) < 0 ||
				 sftp_file_remove(c, path, err) < 0))
			return -1;
		if (ret != NULL && strlist_push(ret, l.names.items[i], err) < 0)
			return -1;
	}
	return 0;
}

static int ask_room(void *self, uint64_t *ret, struct err *err)
{
	CLEANUP(sftp_givep) struct sftp *c = NULL;
	return sftp_take(self, &c, err) < 0 ? -1 : sftp_file_room(c, ret, err);
}

const struct store_ops store_sftp_ops = {
    .scheme = "sftp",
    .remote = true,
    .open = open_site,
    .free = free_site,
    .put = put_object,
    .get = get_object,
    .stat = stat_object,
    .list = list_objects,
    .remove = remove_object,
    .sweep = sweep_parts,
    .free_bytes = ask_room,
};

#include "storage/sftp/sftp_upload.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "storage/store/store_part.h"

/* So much is on its way without an answer; libssh2 sends it in packets of 30000 bytes. */
enum { WINDOW = 2 << 20, WINDOW_MEMORY = 6 << 20 };
/* An abort of a cancelled job waits no longer for each answer. */
enum { ABORT_MS = 3000 };
/* Less room than that is none: what was refused were at most so many bytes. */
enum { ROOM_MIN = 1 << 20 };

struct upload {
	struct sftp *c;
	LIBSSH2_SFTP_HANDLE *file;
	char *path, *part;
	bool fresh;
	bool cancelled;
	uint8_t *memory; /* [at, end): not yet answered for */
	size_t at, end;
};

int sftp_upload_make(struct sftp *c, const char *path, char **ret_part, LIBSSH2_SFTP_HANDLE **ret,
		     struct err *err)
{
	enum { HOW = LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL };
	CLEANUP(freep) char *part = NULL;
	if (store_part_make(path, &part, err) < 0)
		return -1;
	if (sftp_file_open(c, part, HOW, ret, err) < 0) {
		if (err->code != ERR_ABSENT)
			return -1;
		err_clear(err);
		if (sftp_file_make_folder(c, err) < 0 || sftp_file_open(c, part, HOW, ret, err) < 0)
			return -1;
	}
	*ret_part = part;
	part = NULL;
	return 0;
}

/* ---- writing ---- */

/* The server gives no reason where its disk is full. */
static int write_failed(struct upload *u, long rc, struct err *err)
{
	uint64_t room = UINT64_MAX;
	struct err ignored = ERR_INIT;
	sftp_failed(u->c, rc, err, "can't write '%s'", u->part);
	if (u->c->broken || err->code != ERR_IO)
		return -1;
	if (sftp_file_room(u->c, &room, &ignored) == 0 && room < ROOM_MIN)
		return err_set(err, ERR_NOSPACE,
			       "%s: can't write '%s': no space left on the server",
			       u->c->site->server, u->part);
	return err_hint(err, "A quota that is used up is one possible reason.");
}

/* Until at least a packet more is answered for. */
static int push(struct upload *u, struct err *err)
{
	for (;;) {
		ssize_t n =
		    libssh2_sftp_write(u->file, (const char *)u->memory + u->at, u->end - u->at);
		if (n > 0) {
			u->at += (size_t)n;
			return 0;
		}
		if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
			return write_failed(u, (long)n, err);
		if (sftp_wait(u->c, err) < 0) {
			u->cancelled = err->code == ERR_CANCELLED;
			return err_wrap(err, "'%s'", u->part);
		}
	}
}

static int upload_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct upload *u = self;
	while (len > 0) {
		if (cancel_check(err) < 0) {
			u->cancelled = true;
			return err_wrap(err, "'%s'", u->part);
		}
		if (u->end - u->at == WINDOW && push(u, err) < 0)
			return -1;
		size_t room = WINDOW - (u->end - u->at);
		if (u->end == WINDOW_MEMORY) {
			memmove(u->memory, u->memory + u->at, u->end - u->at);
			u->end -= u->at;
			u->at = 0;
		}
		if (room > WINDOW_MEMORY - u->end)
			room = WINDOW_MEMORY - u->end;
		size_t n = len < room ? len : room;
		memcpy(u->memory + u->end, data, n);
		u->end += n;
		data += n;
		len -= n;
	}
	return 0;
}

/* ---- committing ---- */

static int flush(struct upload *u, struct err *err)
{
	struct sftp *c = u->c;
	int rc;
	while (u->at < u->end)
		if (push(u, err) < 0)
			return -1;
	c->idle_ms = c->site->idle_ms * STORE_STORING;
	while ((rc = libssh2_sftp_fsync(u->file)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	/* A server that can't promise it has no more to give. */
	if (rc < 0 && sftp_status(c, rc) != LIBSSH2_FX_OP_UNSUPPORTED &&
	    sftp_status(c, rc) != LIBSSH2_FX_PERMISSION_DENIED)
		return write_failed(u, rc, err);
	while ((rc = libssh2_sftp_close_handle(u->file)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	u->file = NULL;
	c->idle_ms = c->site->idle_ms;
	return rc < 0 ? write_failed(u, rc, err) : 0;
}

/* Fails where `to` is there. */
static int rename_to(struct sftp *c, const char *from, const char *to, struct err *err)
{
	int rc;
	while ((rc = libssh2_sftp_rename_ex(c->sftp, from, (unsigned)strlen(from), to,
					    (unsigned)strlen(to), 0)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	return rc < 0 ? sftp_failed(c, rc, err, "can't rename '%s' to '%s'", from, to) : 0;
}

static int is_there(struct sftp *c, const char *path, bool *ret, struct err *err)
{
	LIBSSH2_SFTP_ATTRIBUTES a;
	int rc;
	while ((rc = libssh2_sftp_stat_ex(c->sftp, path, (unsigned)strlen(path), LIBSSH2_SFTP_LSTAT,
					  &a)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	*ret = rc == 0;
	return 0;
}

static int commit_fresh(struct upload *u, struct err *err)
{
	struct err why = ERR_INIT;
	bool taken = false;
	if (rename_to(u->c, u->part, u->path, err) == 0)
		return 0;
	/* Version 3 of the protocol has no status for that. */
	if (!u->c->broken && is_there(u->c, u->path, &taken, &why) == 0 && taken)
		return err_set(err, ERR_EXISTS, "'%s' is there already", u->path);
	return -1;
}

/* A connection that broke, or was cancelled in the middle of a request, takes no other. */
static void redial(struct upload *u)
{
	struct sftp_site *s = u->c->site;
	struct err ignored = ERR_INIT;
	sftp_file_close(u->c, u->file);
	u->file = NULL;
	sftp_give(u->c);
	u->c = NULL;
	if (sftp_dial(s, ABORT_MS, &u->c, &ignored) < 0)
		u->c = NULL;
}

/* The new object did not get the name, and the old one has it no more: without it a sidecar would
 * be lost, and its backup with it. Also on a new line, and after a cancellation. */
static void take_back(struct upload *u, const char *aside, struct err *err)
{
	struct err why = ERR_INIT;
	bool there = false;
	cancel_hold();
	if (u->c->broken)
		redial(u);
	if (u->c == NULL || is_there(u->c, u->path, &there, &why) < 0 ||
	    (!there && rename_to(u->c, aside, u->path, &why) < 0))
		err_hint(err, "The object is still there as '%s'.", aside);
	cancel_release();
}

static int commit_in_three(struct upload *u, struct err *err)
{
	CLEANUP(freep) char *aside = NULL;
	struct err why = ERR_INIT;
	bool taken = false;
	if (is_there(u->c, u->path, &taken, err) < 0)
		return -1;
	if (!taken)
		return rename_to(u->c, u->part, u->path, err);
	if (store_part_make(u->path, &aside, err) < 0 || rename_to(u->c, u->path, aside, err) < 0)
		return -1;
	if (fault_point("sftp-second-rename", err) < 0) {
		u->c->broken = true;
		take_back(u, aside, err);
		return -1;
	}
	if (rename_to(u->c, u->part, u->path, err) < 0) {
		take_back(u, aside, err);
		return -1;
	}
	/* The new one is there: an old one that stays is for a sweep. */
	if (sftp_file_remove(u->c, aside, &why) < 0)
		err_clear(&why);
	return 0;
}

static int commit_over(struct upload *u, struct err *err)
{
	bool known = false;
	if (sftp_replace(u->c, u->part, u->path, &known, err) < 0)
		return -1;
	return known ? 0 : commit_in_three(u, err);
}

static int upload_close(void *self, struct err *err)
{
	struct upload *u = self;
	if (flush(u, err) < 0 || (u->fresh ? commit_fresh : commit_over)(u, err) < 0) {
		u->cancelled = err->code == ERR_CANCELLED;
		return -1;
	}
	free(u->part);
	u->part = NULL;
	return 0;
}

/* ---- the end ---- */

static void upload_free(void *self)
{
	struct upload *u = self;
	struct err ignored = ERR_INIT;
	cancel_hold();
	if (u->part != NULL && u->cancelled && u->c != NULL && u->c->broken)
		redial(u);
	if (u->c != NULL) {
		u->c->idle_ms = u->c->idle_ms < ABORT_MS ? u->c->idle_ms : ABORT_MS;
		sftp_file_close(u->c, u->file);
		/* What stays is for a sweep. */
		if (u->part != NULL && !u->c->broken &&
		    sftp_file_remove(u->c, u->part, &ignored) < 0)
			err_clear(&ignored);
		sftp_give(u->c);
	}
	cancel_release();
	free(u->path);
	free(u->part);
	free(u->memory);
	free(u);
}

static void upload_freep(struct upload **u)
{
	if (*u != NULL)
		upload_free(*u);
}

static const struct sink_ops upload_ops = {
    .write = upload_write, .close = upload_close, .free = upload_free};

int sftp_upload_open(struct sftp *c, const char *path, bool fresh, struct sink **ret,
		     struct err *err)
{
	struct upload *u = mem_zalloc(sizeof *u, "an upload", err);
	if (u == NULL) {
		sftp_give(c);
		return -1;
	}
	CLEANUP(upload_freep) struct upload *owned = u;
	u->c = c;
	u->fresh = fresh;
	u->memory = mem_zalloc(WINDOW_MEMORY, "an upload", err);
	if (u->memory == NULL || str_dup(path, &u->path, err) < 0 ||
	    sftp_upload_make(c, path, &u->part, &u->file, err) < 0)
		return -1;
	owned = NULL;
	return sink_new(&upload_ops, u, ret, err);
}

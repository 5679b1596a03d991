#include <string.h>
#include <sys/socket.h>
#include "storage/sftp/sftp.h"

int sftp_file_open(struct sftp *c, const char *path, unsigned long flags, LIBSSH2_SFTP_HANDLE **ret,
		   struct err *err)
{
	LIBSSH2_SFTP_HANDLE *file;
	while ((file = libssh2_sftp_open_ex(c->sftp, path, (unsigned)strlen(path), flags, 0600,
					    LIBSSH2_SFTP_OPENFILE)) == NULL) {
		int rc = libssh2_session_last_errno(c->ssh);
		if (rc != LIBSSH2_ERROR_EAGAIN)
			return sftp_failed(c, rc, err, "can't open '%s'", path);
		if (sftp_wait(c, err) < 0)
			return -1;
	}
	*ret = file;
	return 0;
}

void sftp_file_close(struct sftp *c, LIBSSH2_SFTP_HANDLE *file)
{
	struct err ignored = ERR_INIT;
	if (file == NULL)
		return;
	/* Its memory goes in any case, once no answer can be waited for any more. */
	for (int i = 0; i < 100; i++) {
		if (c->broken)
			shutdown(c->fd, SHUT_RDWR);
		if (libssh2_sftp_close_handle(file) != LIBSSH2_ERROR_EAGAIN)
			return;
		while (!c->broken && sftp_wait(c, &ignored) == 0)
			if (libssh2_sftp_close_handle(file) != LIBSSH2_ERROR_EAGAIN)
				return;
	}
}

int sftp_file_remove(struct sftp *c, const char *path, struct err *err)
{
	int rc;
	while ((rc = libssh2_sftp_unlink_ex(c->sftp, path, (unsigned)strlen(path))) ==
	       LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	unsigned long status = sftp_status(c, rc);
	if (rc == 0 || status == LIBSSH2_FX_NO_SUCH_FILE || status == LIBSSH2_FX_NO_SUCH_PATH)
		return 0;
	return sftp_failed(c, rc, err, "can't remove '%s'", path);
}

/* ---- folders ---- */

static int is_folder(struct sftp *c, const char *path, bool *ret, struct err *err)
{
	LIBSSH2_SFTP_ATTRIBUTES a = {0};
	int rc;
	while ((rc = libssh2_sftp_stat_ex(c->sftp, path, (unsigned)strlen(path), LIBSSH2_SFTP_STAT,
					  &a)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	unsigned long status = sftp_status(c, rc);
	if (rc < 0 && status != LIBSSH2_FX_NO_SUCH_FILE && status != LIBSSH2_FX_NO_SUCH_PATH)
		return sftp_failed(c, rc, err, "stat of '%s'", path);
	if (rc == 0 && (a.flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) &&
	    !LIBSSH2_SFTP_S_ISDIR(a.permissions))
		return err_set(err, ERR_EXISTS, "'%s' exists and is not a folder", path);
	*ret = rc == 0;
	return 0;
}

static int make_one(struct sftp *c, const char *path, struct err *err)
{
	int rc;
	bool is = false;
	struct err ignored = ERR_INIT;
	while ((rc = libssh2_sftp_mkdir_ex(c->sftp, path, (unsigned)strlen(path), 0700)) ==
	       LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	if (rc == 0)
		return 0;
	sftp_failed(c, rc, err, "can't make the folder '%s'", path);
	/* Somebody else was faster. */
	return !c->broken && is_folder(c, path, &is, &ignored) == 0 && is ? 0 : -1;
}

int sftp_file_make_folder(struct sftp *c, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (str_dup(c->site->at.path, &path, err) < 0)
		return -1;
	size_t len = strlen(path), at = len;
	bool is = false;
	/* Up to what is there, which may be all that we may look at; and down again. */
	while (!is) {
		if (is_folder(c, path, &is, err) < 0)
			return -1;
		if (is || at <= 1)
			break;
		while (at > 1 && path[at - 1] != '/')
			at--;
		path[at - 1] = '\0';
		at--;
		if (at == 0)
			break;
	}
	while (at < len) {
		path[at] = '/';
		at = strlen(path);
		if (make_one(c, path, err) < 0)
			return -1;
	}
	return 0;
}

int sftp_file_room(struct sftp *c, uint64_t *ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	LIBSSH2_SFTP_STATVFS st;
	int rc;
	if (str_dup(c->site->at.path, &path, err) < 0)
		return -1;
	for (;;) {
		while ((rc = libssh2_sftp_statvfs(c->sftp, path, strlen(path), &st)) ==
		       LIBSSH2_ERROR_EAGAIN)
			if (sftp_wait(c, err) < 0)
				return -1;
		unsigned long status = sftp_status(c, rc);
		char *slash = strrchr(path, '/');
		/* Denied is the request itself, where there are rights to look at the folder. */
		if (rc == 0 || status == LIBSSH2_FX_OP_UNSUPPORTED ||
		    status == LIBSSH2_FX_PERMISSION_DENIED) {
			*ret = rc == 0 ? st.f_bavail * st.f_frsize : UINT64_MAX;
			return 0;
		}
		if (status != LIBSSH2_FX_NO_SUCH_FILE || path[1] == '\0')
			return sftp_failed(c, rc, err, "free space of '%s'", path);
		slash[slash == path] = '\0';
	}
}

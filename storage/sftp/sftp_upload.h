/*
 * How a file on an SFTP server comes to be there whole.
 *
 *  1. sftp_upload_open(c, "/srv/hdms/x.json", fresh, &sink, err)   begins "x.json.3f9c0a12.part"
 *  2. sink_write, sink_close                                       synced and renamed
 *     sink_free without close                                      removed
 */
#ifndef LIFEBOAT_STORAGE_SFTP_SFTP_UPLOAD_H
#define LIFEBOAT_STORAGE_SFTP_SFTP_UPLOAD_H

#include "storage/sftp/sftp.h"

/* Takes `c`, also on failure. Makes the folder where it is not there. `fresh`: as store_create. */
int sftp_upload_open(struct sftp *c, const char *path, bool fresh, struct sink **ret,
		     struct err *err) MUST_USE;
/* A new and empty file beside `path`: its name (free() it), and it, opened for writing. */
int sftp_upload_make(struct sftp *c, const char *path, char **ret_part, LIBSSH2_SFTP_HANDLE **ret,
		     struct err *err) MUST_USE;

#endif

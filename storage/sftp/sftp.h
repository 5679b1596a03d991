/*
 * Connections to an SFTP server: libssh2 on a socket that libcurl has connected, in waits of our
 * own that have a deadline and can be cancelled.
 *
 *  1. sftp_site_open(opts, &site, err)        where, as whom, with what key; asks nobody yet
 *  2. sftp_take(site, &c, err)                a connection: host key known, user let in
 *  3. while ((rc = libssh2_sftp_…(c->sftp, …)) == LIBSSH2_ERROR_EAGAIN)
 *             if (sftp_wait(c, err) < 0) return -1;
 *     if (rc < 0) return sftp_failed(c, rc, err, "can't do what to '%s'", name);
 *  4. sftp_give(c)                            kept for the next, unless it is broken
 *
 * A site may be used by several threads, a connection by one at a time. The version of the protocol
 * is 3 (draft-ietf-secsh-filexfer-02), with OpenSSH's extensions where the server has them.
 */
#ifndef LIFEBOAT_STORAGE_SFTP_SFTP_H
#define LIFEBOAT_STORAGE_SFTP_SFTP_H

#include <libssh2.h>
#include <libssh2_sftp.h>
#include <pthread.h>
#include "base/flow/http.h"
#include "base/secret.h"
#include "storage/store/store.h"
#include "storage/store/store_url.h"

enum { SFTP_IDLE_MAX = 4, SFTP_KEEP_MS = 60000 };

struct sftp_site {
	struct store_url at;
	char *user;
	char *server;   /* "'host' port 22", for messages */
	char *key_file; /* NULL: the agent's keys */
	struct secret passphrase;
	char *known_hosts;
	int64_t idle_ms; /* a longer silence is ERR_TIMEOUT */
	struct http *net;
	pthread_mutex_t lock; /* of what follows */
	struct sftp *idle[SFTP_IDLE_MAX];
	size_t idle_count;
};
int sftp_site_open(const struct store_opts *opts, struct sftp_site **ret, struct err *err) MUST_USE;
/* After all its connections were given back. */
void sftp_site_free(struct sftp_site *s);
DEFINE_CLEANUP(struct sftp_site, sftp_site_free)

struct sftp {
	struct sftp_site *site;
	struct http_pipe *pipe; /* owns the socket */
	int fd;
	LIBSSH2_SESSION *ssh;
	LIBSSH2_SFTP *sftp;
	int64_t idle_ms;    /* as the site's, but may be made shorter */
	int64_t idle_since; /* given back then */
	bool broken;        /* of no use any more */
};
int sftp_take(struct sftp_site *s, struct sftp **ret, struct err *err) MUST_USE;
/* A new one, for which nothing is waited for longer than that. */
int sftp_dial(struct sftp_site *s, int64_t idle_ms, struct sftp **ret, struct err *err) MUST_USE;
/* NULL is fine. */
void sftp_give(struct sftp *c);
DEFINE_CLEANUP(struct sftp, sftp_give)

/* After LIBSSH2_ERROR_EAGAIN: until it is worth calling again. */
int sftp_wait(struct sftp *c, struct err *err) MUST_USE;
/* What `rc` means: "<message>: <reason>". -1. A connection that it broke is marked. */
int sftp_failed(struct sftp *c, long rc, struct err *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The status behind a failure (LIBSSH2_FX_…), or LIBSSH2_FX_OK where it was none of the server's.
 */
unsigned long sftp_status(const struct sftp *c, long rc);

/* ---- who the server is, and who we are; while a connection is made ---- */

/* Reads known_hosts: the types of keys that it has for the host are what will be asked for. */
struct sftp_hosts;
int sftp_hosts_open(struct sftp *c, struct sftp_hosts **ret, struct err *err) MUST_USE;
void sftp_hosts_free(struct sftp_hosts *h);
DEFINE_CLEANUP(struct sftp_hosts, sftp_hosts_free)
/* After the handshake: ERR_DENIED unless the server's key is in there. */
int sftp_hosts_check(const struct sftp_hosts *h, struct err *err) MUST_USE;
/* After a handshake that failed for want of a common key. -1. */
int sftp_hosts_no_key(const struct sftp_hosts *h, struct err *err);

/* ERR_DENIED, ERR_CONFIG. */
int sftp_auth(struct sftp *c, struct err *err) MUST_USE;

/* ---- files ---- */

/* `flags`: LIBSSH2_FXF_…; a file that is made is its owner's alone. */
int sftp_file_open(struct sftp *c, const char *path, unsigned long flags, LIBSSH2_SFTP_HANDLE **ret,
		   struct err *err) MUST_USE;
/* NULL is fine, and a connection that broke. */
void sftp_file_close(struct sftp *c, LIBSSH2_SFTP_HANDLE *file);
/* Absent is fine. */
int sftp_file_remove(struct sftp *c, const char *path, struct err *err) MUST_USE;
/* Makes the site's folder, and those that it is in. */
int sftp_file_make_folder(struct sftp *c, struct err *err) MUST_USE;
/* Room left in the site's folder, or where it will be; UINT64_MAX where the server does not say. */
int sftp_file_room(struct sftp *c, uint64_t *ret, struct err *err) MUST_USE;

/* ---- beyond libssh2 ---- */

/* Renames, replacing what is there in one step, by posix-rename@openssh.com (OpenSSH's PROTOCOL
 * file, 4.3). *ret_known is false where the server does not do that: nothing has happened then.
 */
int sftp_replace(struct sftp *c, const char *from, const char *to, bool *ret_known, struct err *err)
    MUST_USE;

#endif

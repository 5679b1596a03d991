/*
 * The door to a Docker Engine: its API over the Unix socket or TCP (docs.docker.com/engine/api,
 * version 1.41: Docker 20.10 and later, and Podman's compatible socket).
 *
 *  1. docker_open               finds the daemon, asks for its version
 *  2. docker_get, docker_post…  one call each, JSON in and out
 *     docker_archive_*          files of a container as a tar stream, in or out, running or not
 *     docker_exec_*             a program inside a running container
 *     docker_run                a program in a container of its own, to its end
 *
 * No socket is ERR_UNREACHABLE, no rights on it ERR_DENIED; both say how to get them. An answer of
 * 404 is ERR_ABSENT, 409 ERR_EXISTS, 401 and 403 ERR_DENIED, 5xx with "no space left" ERR_NOSPACE,
 * anything else that is no success ERR_FAILED; the message is the daemon's own.
 */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_H

#include "base/flow/http.h"
#include "base/json.h"
#include "stack/engine/engine.h"

struct docker;
/* `host`: "unix:///path", "tcp://host:port", or NULL for $DOCKER_HOST or
 * unix:///var/run/docker.sock. TLS by $DOCKER_TLS_VERIFY and $DOCKER_CERT_PATH (ca.pem, cert.pem,
 * key.pem). */
int docker_open(const char *host, struct docker **ret, struct err *err) MUST_USE;
void docker_free(struct docker *d);
DEFINE_CLEANUP(struct docker, docker_free)
/* Is the daemon on this machine (a Unix socket)? */
bool docker_is_near(const struct docker *d);

/* ---- calls; `path` without the version: "/containers/%s/json" ---- */

/* *ret (may be NULL) is new: json_decref. */
int docker_get(struct docker *d, json_t **ret, struct err *err, const char *path, ...)
    PRINTF_LIKE(4, 5) MUST_USE;
/* `body` (may be NULL) is borrowed. *ret may be NULL; where the answer is empty it is set to NULL.
 */
int docker_post(struct docker *d, const json_t *body, json_t **ret, struct err *err,
		const char *path, ...) PRINTF_LIKE(5, 6) MUST_USE;
/* Absent is fine. */
int docker_delete(struct docker *d, struct err *err, const char *path, ...) PRINTF_LIKE(3, 4)
    MUST_USE;
/* "?filters={…}" for a list call: filters as the API wants them, percent-encoded. `filters` is
 * borrowed: {"label": ["a=b"], "status": ["running"]}. New string. */
int docker_filters(const json_t *filters, char **ret, struct err *err) MUST_USE;

/* ---- files ---- */

/* A plain tar stream into the folder `path`, which must exist. What came before an error stays. */
int docker_archive_put(struct docker *d, const char *container, const char *path, struct sink **ret,
		       struct err *err) MUST_USE;
/* Size, mode and time of one path, without owner; links are not followed: *ret_link (may be NULL)
 * is its target, or NULL. ERR_ABSENT. archive_entry_free. */
int docker_stat(struct docker *d, const char *container, const char *path,
		struct archive_entry **ret, char **ret_link, struct err *err) MUST_USE;

/* One regular file; symbolic links are followed (at most 40). *ret_entry may be NULL. */
int docker_tree_file(struct docker *d, const char *container, const char *path, struct source **ret,
		     struct archive_entry **ret_entry, struct err *err) MUST_USE;
/* See tree_fn: "." first, names relative to `folder`. A file that shrank or went is ERR_FAILED
 * where it can be seen. Sockets are left out. */
int docker_tree_read(struct docker *d, const char *container, const char *folder, tree_fn *fn,
		     void *ctx, struct err *err) MUST_USE;
/* Fills `folder` of a container that was created and need not run. Files of tree_writer_file and
 * _stream, and missing parents, belong to uid and gid; a stream of unknown length is spooled to a
 * temporary file first (tar needs its size). Close has waited for the daemon's answer. */
int docker_tree_write(struct docker *d, const char *container, const char *folder, unsigned uid,
		      unsigned gid, struct tree_writer **ret, struct err *err) MUST_USE;

/* ---- programs ---- */

struct docker_exec {
	const char *container;   /* id or name of a running one */
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in the container's PATH */
	const char *const *env;  /* "NAME=value"; NULL or NULL-terminated */
	const char *user;        /* "999:999"; NULL: the container's */
	int64_t idle_ms;         /* a longer silence is ERR_TIMEOUT; negative: none */
};
/* Its stdout; the end is vouched for by exit status 0. Anything else is ERR_FAILED with the status
 * and the last lines of its stderr. A source that is freed before the end stops the program (where
 * the image has a shell; the daemon has no call for it). ERR_DENIED: exec is not allowed.
 * ERR_ABSENT: there is no such program. */
int docker_exec_source(struct docker *d, const struct docker_exec *x, struct source **ret,
		       struct err *err) MUST_USE;
/* Its stdin; close waits until it exited 0, at most close_ms (negative: no limit). Stops the
 * program when freed before. When it ends by itself before all was read, the error tells status and
 * words. */
int docker_exec_sink(struct docker *d, const struct docker_exec *x, int64_t close_ms,
		     struct sink **ret, struct err *err) MUST_USE;
/* To its end; stdout into `out` (may be NULL). */
int docker_exec_run(struct docker *d, const struct docker_exec *x, struct buf *out,
		    struct deadline dl, struct err *err) MUST_USE;

/* Creates a container from `spec` (body of POST /containers/create; borrowed), starts it, waits for
 * its end, takes its stdout (may be NULL), removes it. Exit status other than 0 is ERR_FAILED with
 * the last lines of what it said. */
int docker_run(struct docker *d, const json_t *spec, struct buf *out, struct deadline dl,
	       struct err *err) MUST_USE;
/* The last `lines` lines of a container's log, stdout and stderr together. Appends. */
int docker_log_tail(struct docker *d, const char *container, unsigned lines, struct buf *out,
		    struct err *err) MUST_USE;

#endif

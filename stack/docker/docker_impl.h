/* What the files of the door to Docker share. */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_IMPL_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_IMPL_H

#include "stack/docker/docker.h"

/* The daemon may be busy with a large folder or a slow stop; cancelling ends a wait at once. */
enum { DOCKER_IDLE_MS = 600000 };

struct docker {
	struct http *http;
	char *root;  /* "http://docker": all paths come after it */
	char *base;  /* root and version: "http://docker/v1.41" */
	char *where; /* as it was configured, for messages */
	bool near;
	struct strlist files; /* names of certificates: http_opts may borrow them */
};

/* base and path. New string. */
int docker_url(const struct docker *d, char **ret, struct err *err, const char *path, ...)
    PRINTF_LIKE(4, 5) MUST_USE;
/* One request; every status is an answer. `body` may be NULL. `ret` needs http_response_done, also
 * after an error. */
int docker_ask(struct docker *d, const char *method, const char *url, const json_t *body,
	       int64_t idle_ms, struct http_response *ret, struct err *err) MUST_USE;
/* 0 for a success, else what the daemon said, under the code that stack/docker/docker.h promises.
 * The context is not used: it is an http_judge_fn. */
int docker_judge(void *unused, const struct http_response *answer, struct err *err) MUST_USE;
/* Adds where the daemon was looked for to an error of the connection itself. */
int docker_lost(const struct docker *d, struct err *err) MUST_USE;
/* A request that takes over the connection. */
int docker_hijack(struct docker *d, const char *url, const json_t *body, struct http_pipe **ret,
		  struct err *err) MUST_USE;
/* The tar stream of `path` (absolute, inside), as it comes: docker_tar.h reads it. ERR_ABSENT. */
int docker_archive_raw(struct docker *d, const char *container, const char *path,
		       struct source **ret, struct err *err) MUST_USE;
/* Follows symbolic links: *ret is a path that is none, *ret_entry (may be NULL) what is there. */
int docker_resolve(struct docker *d, const char *container, const char *path, char **ret,
		   struct archive_entry **ret_entry, struct err *err) MUST_USE;

/* Go's tar knows no ACLs, but it takes the extended attributes in which Linux keeps them. */
int docker_acl_as_xattrs(struct archive_entry *e, struct err *err) MUST_USE;

static inline void docker_entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* ---- the last words of a program ---- */

enum { DOCKER_WORDS_KEPT = 8192, DOCKER_WORDS_SHOWN = ERR_MSG_BYTES / 2 };

struct docker_words {
	char text[2 * DOCKER_WORDS_KEPT + 1];
	size_t len;
};
void docker_words_add(struct docker_words *w, const uint8_t *data, size_t len);
/* The end of it without the line ends that follow, at most DOCKER_WORDS_SHOWN bytes. */
const char *docker_words_end(struct docker_words *w);
/* "exited with status 7: words"; `what` is the program. ERR_FAILED. */
int docker_exited(const char *what, int64_t status, const char *words, struct err *err) MUST_USE;

#endif

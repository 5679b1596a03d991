/*
 * A connection to a program in a container: what exec and attach have in common.
 *
 *  1. docker_program_exec           starts a program in a running container
 *     docker_program_attach         what a container prints that will be started
 *  2. docker_program_move           sends and receives; docker_program_take gives stdout
 *  3. docker_program_wait           how did it end? (exec only)
 *     docker_program_free           stops it where it still runs
 */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_PROGRAM_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_PROGRAM_H

#include "stack/docker/docker_frames.h"
#include "stack/docker/docker_impl.h"

enum { PROGRAM_BLOCK = 256 << 10, PROGRAM_BEGIN_KEPT = 512, PROGRAM_PID_LINES = 8 };

struct docker_program {
	struct docker *docker;
	char *container, *user;
	char *id;   /* of the exec; NULL for an attached container */
	char *what; /* "'pg_dump' in container 'db'" */
	struct http_pipe *pipe;
	struct docker_frames frames;
	bool ended; /* the connection: no more will come */
	bool over;  /* the program: how it ended is known */

	/* Started by a shell that says its pid first, in a line of stderr. */
	bool expects_pid;
	char line[32];
	size_t line_len;
	unsigned lines;
	long pid;

	struct docker_words words;
	/* Docker tells on stdout why it could not start a program. */
	uint8_t begin[PROGRAM_BEGIN_KEPT];
	size_t begin_len;
	uint64_t stdout_bytes;

	size_t at, len; /* received and not yet taken: block[at..len) */
	uint8_t block[PROGRAM_BLOCK];
};

int docker_program_exec(struct docker *d, const struct docker_exec *x, bool with_stdin,
			struct docker_program **ret, struct err *err) MUST_USE;
int docker_program_attach(struct docker *d, const char *container, const char *what,
			  struct docker_program **ret, struct err *err) MUST_USE;
void docker_program_free(struct docker_program *p);
DEFINE_CLEANUP(struct docker_program, docker_program_free)

/* Sends some of `data` and receives into the block, which must be used up. */
int docker_program_move(struct docker_program *p, const void *data, size_t len, size_t *ret_sent,
			struct deadline dl, struct err *err) MUST_USE;
/* Says of an error of move whose it is. */
int docker_program_silent(const struct docker_program *p, struct err *err) MUST_USE;
/* Copies stdout from the block to `out` (NULL: passes over it) until one of them is used up. */
int docker_program_take(struct docker_program *p, uint8_t *out, size_t cap, size_t *ret_n,
			struct err *err) MUST_USE;
/* Next bytes of stdout; *ret_n is 0 at the end of the connection, which says nothing yet. */
int docker_program_read(struct docker_program *p, uint8_t *out, size_t cap, size_t *ret_n,
			struct deadline dl, struct err *err) MUST_USE;
/* Appends all of stdout to `out` (may be NULL), to the end of the connection. No byte for idle_ms
 * (negative: no limit) is ERR_TIMEOUT. */
int docker_program_drain(struct docker_program *p, struct buf *out, int64_t idle_ms,
			 struct deadline dl, struct err *err) MUST_USE;
/* Is it known to have ended? Asks the daemon. */
int docker_program_running(struct docker_program *p, bool *ret, struct err *err) MUST_USE;
/* 0: it exited with status 0. ERR_TIMEOUT: it still runs. */
int docker_program_wait(struct docker_program *p, struct deadline dl, struct err *err) MUST_USE;
/* The end of stderr; where there was none, the little that there was on stdout. */
const char *docker_program_words(struct docker_program *p);

#endif

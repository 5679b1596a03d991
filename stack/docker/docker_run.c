#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_program.h"

/* ---- a container of its own ---- */

static int create(struct docker *d, const json_t *spec, char **ret_id, struct err *err)
{
	CLEANUP(json_freep) json_t *answer = NULL;
	const char *id;
	if (docker_post(d, spec, &answer, err, "/containers/create") < 0)
		return -1;
	if (json_get_str(answer, "Id", &id, err) < 0)
		return err_wrap(err, "answer of Docker to a new container");
	return str_dup(id, ret_id, err);
}

static int ask_end(struct docker *d, const char *id, int64_t *ret_status, struct err *err)
{
	CLEANUP(json_freep) json_t *j = NULL;
	json_t *state;
	bool running;
	uint64_t status;
	if (docker_get(d, &j, err, "/containers/%s/json", id) < 0)
		return -1;
	if (json_get_obj(j, "State", &state, err) < 0 ||
	    json_get_bool(state, "Running", &running, err) < 0 ||
	    json_get_u64(state, "ExitCode", &status, err) < 0)
		return err_wrap(err, "state of a container");
	*ret_status = running ? -1 : (int64_t)status;
	return 0;
}

/* The connection ends a moment before the daemon has written the status down. */
static int await_status(struct docker *d, const char *id, struct deadline dl, int64_t *ret_status,
			struct err *err)
{
	for (int64_t pause = 2;; pause = pause < 500 ? pause * 2 : pause) {
		int64_t left = deadline_left_ms(dl);
		if (ask_end(d, id, ret_status, err) < 0)
			return -1;
		if (*ret_status != -1)
			return 0;
		if (left == 0)
			return err_set(err, ERR_TIMEOUT, "timed out");
		if (wait_ms(pause < left ? pause : left, err) < 0)
			return -1;
	}
}

static int run_created(struct docker *d, const char *id, const char *what, struct buf *out,
		       struct deadline dl, struct err *err)
{
	CLEANUP(docker_program_freep) struct docker_program *p = NULL;
	int64_t status;
	/* Before the start: nothing that it prints is missed. */
	if (docker_program_attach(d, id, what, &p, err) < 0 ||
	    docker_post(d, NULL, NULL, err, "/containers/%s/start", id) < 0)
		return err_wrap(err, "%s", what);
	if (docker_program_drain(p, out, -1, dl, err) < 0)
		return -1;
	if (await_status(d, id, dl, &status, err) < 0)
		return err_wrap(err, "%s", what);
	return status == 0 ? 0 : docker_exited(what, status, docker_program_words(p), err);
}

/* "'du' in a container of 'postgres:17'", for messages. */
static int name_it(const json_t *spec, char **ret, struct err *err)
{
	const char *first = json_string_value(json_array_get(json_object_get(spec, "Cmd"), 0));
	if (first == NULL)
		first = json_string_value(json_array_get(json_object_get(spec, "Entrypoint"), 0));
	const char *image = json_str_or(spec, "Image", "?");
	if (first == NULL)
		return str_printf(ret, err, "a container of '%s'", image);
	return str_printf(ret, err, "'%s' in a container of '%s'", first, image);
}

int docker_run(struct docker *d, const json_t *spec, struct buf *out, struct deadline dl,
	       struct err *err)
{
	CLEANUP(freep) char *id = NULL;
	CLEANUP(freep) char *what = NULL;
	struct err why = ERR_INIT;
	size_t before = out != NULL ? out->len : 0;
	if (name_it(spec, &what, err) < 0)
		return -1;
	if (create(d, spec, &id, err) < 0)
		return err_wrap(err, "%s", what);
	int rc = run_created(d, id, what, out, dl, err);
	cancel_hold();
	int removed = docker_delete(d, &why, "/containers/%s?force=1&v=1", id);
	cancel_release();
	if (rc == 0 && removed < 0) {
		*err = why;
		rc = err_wrap(err, "removal of a container");
	}
	if (rc < 0 && out != NULL)
		buf_cut(out, before);
	return rc;
}

/* ---- logs ---- */

static int has_terminal(struct docker *d, const char *container, bool *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *j = NULL;
	if (docker_get(d, &j, err, "/containers/%s/json", container) < 0)
		return -1;
	*ret = json_is_true(json_object_get(json_object_get(j, "Config"), "Tty"));
	return 0;
}

/* What goes through a terminal has no frames. */
static int read_log(struct source *from, bool framed, struct docker_words *w, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(PROGRAM_BLOCK);
	struct docker_frames frames = {0};
	if (block == NULL)
		return err_nomem(err, "a block");
	for (;;) {
		size_t n, used;
		if (source_read(from, block, PROGRAM_BLOCK, &n, err) < 0)
			return -1;
		if (n == 0)
			return framed ? docker_frames_end(&frames, err) : 0;
		for (size_t at = 0; at < n; at += used) {
			struct docker_piece piece = {DOCKER_STDOUT, block + at, n - at};
			used = piece.len;
			if (framed &&
			    docker_frames_next(&frames, block + at, n - at, &used, &piece, err) < 0)
				return -1;
			docker_words_add(w, piece.data, piece.len);
		}
	}
}

int docker_log_tail(struct docker *d, const char *container, unsigned lines, struct buf *out,
		    struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(freep) struct docker_words *w = mem_zalloc(sizeof *w, "a log", err);
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(source_freep) struct source *log = NULL;
	bool terminal;
	if (w == NULL || has_terminal(d, container, &terminal, err) < 0 ||
	    docker_url(d, &url, err, "/containers/%s/logs?stdout=1&stderr=1&tail=%u", container,
		       lines) < 0)
		return -1;
	struct http_request q = {.method = "GET", .url = url};
	if (http_source(d->http, &q, &answer, &log, err) < 0)
		return docker_lost(d, err);
	if (log == NULL) {
		if (docker_judge(NULL, &answer, err) < 0)
			return -1;
		return err_set(err, ERR_FAILED, "Docker sent no log of '%s'", container);
	}
	if (read_log(log, !terminal, w, err) < 0)
		return err_wrap(err, "log of container '%s'", container);
	size_t kept = w->len < DOCKER_WORDS_KEPT ? w->len : DOCKER_WORDS_KEPT;
	size_t room = out->max - out->len;
	if (kept > room)
		kept = room;
	return buf_append(out, w->text + w->len - kept, kept, err);
}

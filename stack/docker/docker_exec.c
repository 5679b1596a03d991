#include <stdlib.h>
#include "stack/docker/docker_program.h"

/* Where nothing moves, the daemon is asked this often whether the program still runs: one that
 * ended before it had read its input leaves a connection that nobody reads or closes. */
enum { LOOK_MS = 1000, END_MS = 10000 };

/* ---- source ---- */

struct exec_source {
	struct docker_program *program;
	int64_t idle_ms;
};

static int exec_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct exec_source *s = self;
	size_t n;
	if (docker_program_read(s->program, buf, cap, &n, deadline_in(s->idle_ms), err) < 0)
		return -1;
	/* Its output has ended; only its exit status says whether that was the whole of it. */
	if (n == 0 && docker_program_wait(s->program, deadline_in(s->idle_ms), err) < 0)
		return -1;
	*ret_n = n;
	return 0;
}

static void exec_source_free(void *self)
{
	struct exec_source *s = self;
	docker_program_free(s->program);
	free(s);
}

static const struct source_ops source_ops = {.read = exec_read, .free = exec_source_free};

int docker_exec_source(struct docker *d, const struct docker_exec *x, struct source **ret,
		       struct err *err)
{
	struct exec_source *s = mem_zalloc(sizeof *s, "a source", err);
	if (s == NULL || docker_program_exec(d, x, false, &s->program, err) < 0) {
		free(s);
		return -1;
	}
	s->idle_ms = x->idle_ms;
	return source_new(&source_ops, s, ret, err);
}

/* ---- sink ---- */

struct exec_sink {
	struct docker_program *program;
	int64_t idle_ms, close_ms;
};

/* Sends some and takes what it says. When nothing moved for a while, looks whether it still runs:
 * *ret_over. */
static int step(struct exec_sink *s, const uint8_t *data, size_t len, size_t *ret_sent,
		bool *ret_over, struct deadline dl, struct err *err)
{
	struct docker_program *p = s->program;
	struct err why = ERR_INIT;
	size_t n;
	bool running = true;
	*ret_sent = 0;
	if (docker_program_move(p, data, len, ret_sent, deadline_min(dl, deadline_in(LOOK_MS)),
				&why) == 0) {
		*ret_over = p->ended;
		return docker_program_take(p, NULL, SIZE_MAX, &n, err);
	}
	if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	/* A connection that broke may be the program's end too, and its status says more. */
	if (docker_program_running(p, &running, err) < 0)
		return -1;
	if (running && (why.code != ERR_TIMEOUT || deadline_left_ms(dl) == 0)) {
		*err = why;
		return docker_program_silent(p, err);
	}
	*ret_over = !running;
	return 0;
}

/* It ended by itself. */
static int ended_early(struct exec_sink *s, struct err *err)
{
	if (docker_program_wait(s->program, deadline_in(END_MS), err) < 0)
		return -1;
	return err_set(err, ERR_CLOSED, "%s ended before it had read everything", s->program->what);
}

static int exec_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct exec_sink *s = self;
	struct deadline idle = deadline_in(s->idle_ms);
	while (len > 0) {
		size_t sent;
		bool over = false;
		if (cancel_check(err) < 0 || step(s, data, len, &sent, &over, idle, err) < 0)
			return -1;
		if (over)
			return ended_early(s, err);
		data += sent;
		len -= sent;
		if (sent > 0)
			idle = deadline_in(s->idle_ms);
	}
	return 0;
}

static int exec_close(void *self, struct err *err)
{
	struct exec_sink *s = self;
	struct deadline dl = deadline_in(s->close_ms);
	struct err why = ERR_INIT;
	/* Where the connection is gone its exit status still tells. */
	bool over = http_pipe_shut(s->program->pipe, &why) < 0;
	while (!over) {
		size_t sent;
		if (step(s, NULL, 0, &sent, &over, dl, err) < 0)
			return -1;
	}
	return docker_program_wait(s->program, dl, err);
}

static void exec_sink_free(void *self)
{
	struct exec_sink *s = self;
	docker_program_free(s->program);
	free(s);
}

static const struct sink_ops sink_ops = {
    .write = exec_write, .close = exec_close, .free = exec_sink_free};

int docker_exec_sink(struct docker *d, const struct docker_exec *x, int64_t close_ms,
		     struct sink **ret, struct err *err)
{
	struct exec_sink *s = mem_zalloc(sizeof *s, "a sink", err);
	if (s == NULL || docker_program_exec(d, x, true, &s->program, err) < 0) {
		free(s);
		return -1;
	}
	s->idle_ms = x->idle_ms;
	s->close_ms = close_ms;
	return sink_new(&sink_ops, s, ret, err);
}

/* ---- to its end ---- */

int docker_exec_run(struct docker *d, const struct docker_exec *x, struct buf *out,
		    struct deadline dl, struct err *err)
{
	CLEANUP(docker_program_freep) struct docker_program *p = NULL;
	size_t before = out != NULL ? out->len : 0;
	if (docker_program_exec(d, x, false, &p, err) < 0)
		return -1;
	if (docker_program_drain(p, out, x->idle_ms, dl, err) == 0 &&
	    docker_program_wait(p, dl, err) == 0)
		return 0;
	if (out != NULL)
		buf_cut(out, before);
	return -1;
}

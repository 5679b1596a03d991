#include "stack/docker/docker_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A program that is left alone goes on: it is asked to end, and then made to. */
enum { TERM_MS = 5000, KILL_MS = 5000, PID_MS = 5000 };

#define SHELL "/bin/sh"

/* It may be a password: it is not shown, and not sent in another spelling. */
static int not_a_string(const char *text, struct err *err)
{
	CLEANUP(json_freep) json_t *similar = json_text_value(text);
	if (similar == NULL || strcmp(json_string_value(similar), text) == 0)
		return err_nomem(err, "JSON");
	return err_set(err, ERR_CONFIG,
		       "an argument or variable is not UTF-8, "
		       "and Docker's API takes nothing else");
}

/* Of a NULL-terminated array, or of nothing. */
static int strings(const char *const *items, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *list = json_array();
	if (list == NULL)
		return err_nomem(err, "JSON");
	for (; items != NULL && *items != NULL; items++) {
		json_t *text = json_string(*items);
		if (text == NULL)
			return not_a_string(*items, err);
		if (json_push(list, text, err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

/* ---- starting ---- */

static int has_shell(struct docker *d, const char *container, bool *ret, struct err *err)
{
	CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
	struct err why = ERR_INIT;
	int rc = docker_stat(d, container, SHELL, &e, NULL, &why);
	if (rc < 0 && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	*ret = rc == 0;
	return 0;
}

/* The shell becomes the program: its pid is the program's, and a disconnected one can be found. */
static int command(struct docker_program *p, const char *const *argv, json_t **ret, struct err *err)
{
	static const char *const shell[] = {SHELL, "-c", "echo \"$$\" >&2; exec \"$@\"", "sh",
					    NULL};
	CLEANUP(json_freep) json_t *all = NULL;
	CLEANUP(json_freep) json_t *own = NULL;
	if (strings(p->expects_pid ? shell : NULL, &all, err) < 0 || strings(argv, &own, err) < 0)
		return -1;
	if (json_array_extend(all, own) < 0)
		return err_nomem(err, "JSON");
	*ret = all;
	all = NULL;
	return 0;
}

/* Takes `cmd`, also on failure. */
static int create_exec(struct docker *d, const char *container, json_t *cmd, const char *const *env,
		       const char *user, bool with_stdin, char **ret_id, struct err *err)
{
	CLEANUP(json_freep) json_t *c = cmd;
	CLEANUP(json_freep) json_t *body = json_object();
	CLEANUP(json_freep) json_t *answer = NULL;
	const char *id;
	if (body == NULL)
		return err_nomem(err, "JSON");
	if (json_put(body, "AttachStdin", json_boolean(with_stdin), err) < 0 ||
	    json_put(body, "AttachStdout", json_true(), err) < 0 ||
	    json_put(body, "AttachStderr", json_true(), err) < 0 ||
	    json_put(body, "Tty", json_false(), err) < 0 ||
	    json_put(body, "Cmd", json_incref(c), err) < 0)
		return -1;
	json_t *list = NULL;
	if (env != NULL && (strings(env, &list, err) < 0 || json_put(body, "Env", list, err) < 0))
		return -1;
	json_t *name = user != NULL ? json_string(user) : NULL;
	if (user != NULL && name == NULL)
		return not_a_string(user, err);
	if (name != NULL && json_put(body, "User", name, err) < 0)
		return -1;
	if (docker_post(d, body, &answer, err, "/containers/%s/exec", container) < 0) {
		/* 409: it is stopped, or paused. */
		if (err->code == ERR_EXISTS)
			err->code = ERR_FAILED;
		return -1;
	}
	if (json_get_str(answer, "Id", &id, err) < 0)
		return err_wrap(err, "answer of Docker to exec");
	return str_dup(id, ret_id, err);
}

static struct docker_program *new_program(struct docker *d, const char *container, struct err *err)
{
	struct docker_program *p = mem_zalloc(sizeof *p, "a program in a container", err);
	if (p == NULL || str_dup(container, &p->container, err) < 0) {
		free(p);
		return NULL;
	}
	p->docker = d;
	return p;
}

static int start_exec(struct docker_program *p, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(json_freep) json_t *body = json_pack("{s:b,s:b}", "Detach", 0, "Tty", 0);
	if (body == NULL)
		return err_nomem(err, "JSON");
	if (docker_url(p->docker, &url, err, "/exec/%s/start", p->id) < 0)
		return -1;
	if (docker_hijack(p->docker, url, body, &p->pipe, err) == 0)
		return 0;
	if (err->code == ERR_EXISTS)
		err->code = ERR_FAILED;
	return -1;
}

int docker_program_exec(struct docker *d, const struct docker_exec *x, bool with_stdin,
			struct docker_program **ret, struct err *err)
{
	CLEANUP(docker_program_freep) struct docker_program *p = new_program(d, x->container, err);
	json_t *cmd = NULL;
	if (p == NULL)
		return -1;
	p->over = true; /* there is nothing to stop yet */
	if (str_printf(&p->what, err, "'%s' in container '%s'", x->argv[0], x->container) < 0 ||
	    (x->user != NULL && str_dup(x->user, &p->user, err) < 0) ||
	    has_shell(d, x->container, &p->expects_pid, err) < 0 ||
	    command(p, x->argv, &cmd, err) < 0)
		return -1;
	if (create_exec(d, x->container, cmd, x->env, x->user, with_stdin, &p->id, err) < 0 ||
	    start_exec(p, err) < 0)
		return err_wrap(err, "%s", p->what);
	p->over = false;
	*ret = p;
	p = NULL;
	return 0;
}

int docker_program_attach(struct docker *d, const char *container, const char *what,
			  struct docker_program **ret, struct err *err)
{
	CLEANUP(docker_program_freep) struct docker_program *p = new_program(d, container, err);
	CLEANUP(freep) char *url = NULL;
	if (p == NULL)
		return -1;
	p->over = true; /* it is not ours to stop */
	if (str_dup(what, &p->what, err) < 0 ||
	    docker_url(d, &url, err, "/containers/%s/attach?stream=1&stdout=1&stderr=1",
		       container) < 0 ||
	    docker_hijack(d, url, NULL, &p->pipe, err) < 0)
		return -1;
	*ret = p;
	p = NULL;
	return 0;
}

/* ---- what it says ---- */

static void add_words(struct docker_program *p, const uint8_t *data, size_t len)
{
	docker_words_add(&p->words, data, len);
}

/* A whole line, or what can't be one. A shell may warn (of a locale, say) before it tells. */
static void end_line(struct docker_program *p, bool whole)
{
	bool digits = whole && p->line_len > 0;
	for (size_t i = 0; i < p->line_len; i++)
		digits = digits && p->line[i] >= '0' && p->line[i] <= '9';
	p->line[p->line_len] = '\0';
	if (digits) {
		p->pid = strtol(p->line, NULL, 10);
		p->expects_pid = false;
	} else {
		add_words(p, (const uint8_t *)p->line, p->line_len);
		if (whole)
			add_words(p, (const uint8_t *)"\n", 1);
	}
	p->line_len = 0;
}

static void take_stderr(struct docker_program *p, const uint8_t *data, size_t len)
{
	bool inside = false; /* of a line that was too long to be the pid */
	while (len > 0 && p->expects_pid) {
		uint8_t c = *data;
		data++;
		len--;
		if (c == '\n' && !inside) {
			end_line(p, true);
			if (++p->lines == PROGRAM_PID_LINES)
				p->expects_pid = false;
		} else if (inside || p->line_len + 1 == sizeof p->line) {
			end_line(p, false);
			add_words(p, &c, 1);
			inside = c != '\n';
		} else {
			p->line[p->line_len++] = (char)c;
		}
	}
	add_words(p, data, len);
}

static size_t take_stdout(struct docker_program *p, const struct docker_piece *piece, uint8_t *out)
{
	if (p->begin_len < sizeof p->begin) {
		size_t n = sizeof p->begin - p->begin_len;
		if (n > piece->len)
			n = piece->len;
		memcpy(p->begin + p->begin_len, piece->data, n);
		p->begin_len += n;
	}
	p->stdout_bytes += piece->len;
	if (out != NULL)
		memcpy(out, piece->data, piece->len);
	return piece->len;
}

int docker_program_take(struct docker_program *p, uint8_t *out, size_t cap, size_t *ret_n,
			struct err *err)
{
	size_t total = 0;
	while (p->at < p->len && total < cap) {
		struct docker_piece piece;
		size_t used, have = p->len - p->at;
		/* A piece of stdout must fit; heads are small change. */
		if (out != NULL && have > cap - total)
			have = cap - total;
		if (docker_frames_next(&p->frames, p->block + p->at, have, &used, &piece, err) < 0)
			return err_wrap(err, "output of %s", p->what);
		p->at += used;
		if (piece.stream == DOCKER_STDOUT)
			total += take_stdout(p, &piece, out == NULL ? NULL : out + total);
		else if (piece.stream != 0)
			take_stderr(p, piece.data, piece.len);
	}
	*ret_n = total;
	return 0;
}

const char *docker_program_words(struct docker_program *p)
{
	if (p->line_len > 0)
		end_line(p, false);
	const char *said = docker_words_end(&p->words);
	if (said[0] == '\0' && p->stdout_bytes <= p->begin_len) {
		docker_words_add(&p->words, p->begin, p->begin_len);
		said = docker_words_end(&p->words);
	}
	return said;
}

/* ---- moving ---- */

int docker_program_move(struct docker_program *p, const void *data, size_t len, size_t *ret_sent,
			struct deadline dl, struct err *err)
{
	size_t sent = 0, got = 0;
	bool end = false;
	if (http_pipe_move(p->pipe, data, len, &sent, p->block, sizeof p->block, &got, &end, dl,
			   err) < 0)
		return -1;
	p->at = 0;
	p->len = got;
	p->ended = end;
	*ret_sent = sent;
	return 0;
}

int docker_program_silent(const struct docker_program *p, struct err *err)
{
	/* The connection's address says nothing to a person. */
	if (err->code == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "%s: timed out", p->what);
	return err_wrap(err, "%s", p->what);
}

/* The daemon writes 32 KiB at a time, and who waits for that in poll is woken for each: on a busy
 * machine two changes of context. So a program that is known to stream is let gather for a moment;
 * what the socket holds is several of them. */
enum { STREAM_BYTES = 1 << 20, GATHER_NS = 100000 };

static void let_gather(const struct docker_program *p)
{
	if (p->stdout_bytes >= STREAM_BYTES)
		nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
}

int docker_program_read(struct docker_program *p, uint8_t *out, size_t cap, size_t *ret_n,
			struct deadline dl, struct err *err)
{
	for (;;) {
		size_t n, sent;
		if (docker_program_take(p, out, cap, &n, err) < 0)
			return -1;
		if (n > 0) {
			*ret_n = n;
			return cancel_check(err);
		}
		if (p->ended) {
			if (docker_frames_end(&p->frames, err) < 0)
				return err_wrap(err, "output of %s", p->what);
			*ret_n = 0;
			return 0;
		}
		let_gather(p);
		if (docker_program_move(p, NULL, 0, &sent, dl, err) < 0)
			return docker_program_silent(p, err);
	}
}

int docker_program_drain(struct docker_program *p, struct buf *out, int64_t idle_ms,
			 struct deadline dl, struct err *err)
{
	uint8_t block[4096];
	for (;;) {
		struct deadline next = deadline_min(dl, deadline_in(idle_ms));
		size_t n;
		if (docker_program_read(p, block, sizeof block, &n, next, err) < 0)
			return -1;
		if (n == 0)
			return 0;
		if (out == NULL)
			continue;
		if (n > out->max - out->len)
			return err_set(err, ERR_LIMIT, "output of %s is larger than %zu bytes",
				       p->what, out->max);
		if (buf_append(out, block, n, err) < 0)
			return -1;
	}
}

/* ---- its end ---- */

/* Its status, or -1 while it runs. */
static int ask_status(struct docker_program *p, int64_t *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *state = NULL;
	bool running;
	if (docker_get(p->docker, &state, err, "/exec/%s/json", p->id) < 0) {
		/* The container was removed, or the daemon started anew: what it was is lost. */
		if (err->code == ERR_ABSENT)
			err->code = ERR_FAILED;
		return err_wrap(err, "how %s ended is not known", p->what);
	}
	if (json_get_bool(state, "Running", &running, err) < 0)
		return err_wrap(err, "state of %s", p->what);
	const json_t *status = json_object_get(state, "ExitCode");
	if (!running && !json_is_integer(status))
		return err_set(err, ERR_CORRUPT, "%s ended without a status", p->what);
	*ret = running ? -1 : json_integer_value(status);
	return 0;
}

int docker_program_running(struct docker_program *p, bool *ret, struct err *err)
{
	int64_t status;
	if (ask_status(p, &status, err) < 0)
		return -1;
	*ret = status == -1;
	return 0;
}

static int judge_status(struct docker_program *p, int64_t status, struct err *err)
{
	if (status == 0)
		return 0;
	int rc = docker_exited(p->what, status, docker_program_words(p), err);
	/* What shells, and runc where there is none, answer for a program that is not there. */
	if ((status == 126 || status == 127) && strstr(err->msg, "not found") != NULL)
		err->code = ERR_ABSENT;
	return rc;
}

int docker_program_wait(struct docker_program *p, struct deadline dl, struct err *err)
{
	/* The connection ends a moment before the daemon has written the status down. */
	for (int64_t pause = 2;; pause = pause < 500 ? pause * 2 : pause) {
		int64_t status, left = deadline_left_ms(dl);
		if (ask_status(p, &status, err) < 0)
			return -1;
		if (status != -1) {
			p->over = true;
			return judge_status(p, status, err);
		}
		if (left == 0)
			return err_set(err, ERR_TIMEOUT, "%s: timed out", p->what);
		if (wait_ms(pause < left ? pause : left, err) < 0)
			return err_wrap(err, "%s", p->what);
	}
}

/* ---- stopping ---- */

static int signal_program(struct docker_program *p, const char *name, struct err *err)
{
	char pid[24];
	snprintf(pid, sizeof pid, "%ld", p->pid);
	const char *const argv[] = {SHELL, "-c", "kill \"-$1\" \"$2\"", "sh", name, pid, NULL};
	CLEANUP(freep) char *id = NULL;
	json_t *cmd = NULL;
	CLEANUP(json_freep) json_t *body = json_pack("{s:b,s:b}", "Detach", 1, "Tty", 0);
	if (body == NULL)
		return err_nomem(err, "JSON");
	if (strings(argv, &cmd, err) < 0 ||
	    create_exec(p->docker, p->container, cmd, NULL, p->user, false, &id, err) < 0)
		return -1;
	return docker_post(p->docker, body, NULL, err, "/exec/%s/start", id);
}

/* 0 once it is known not to run. */
static int await_end(struct docker_program *p, int64_t ms, struct err *err)
{
	struct err why = ERR_INIT;
	if (docker_program_wait(p, deadline_in(ms), &why) < 0 && why.code == ERR_TIMEOUT) {
		*err = why;
		return -1;
	}
	return 0; /* over, or nobody knows */
}

/* Its first line may still be on its way. */
static void learn_pid(struct docker_program *p)
{
	struct deadline dl = deadline_in(PID_MS);
	struct err ignored = ERR_INIT;
	size_t n, sent;
	while (p->expects_pid && !p->ended && deadline_left_ms(dl) > 0)
		if (docker_program_take(p, NULL, SIZE_MAX, &n, &ignored) < 0 ||
		    (p->expects_pid && docker_program_move(p, NULL, 0, &sent, dl, &ignored) < 0))
			return;
}

static void stop_program(struct docker_program *p)
{
	struct err ignored = ERR_INIT;
	bool running = false;
	cancel_hold();
	if (docker_program_running(p, &running, &ignored) == 0 && running) {
		learn_pid(p);
		/* The connection still stands: one that lost its input might take that for the
		 * end, and keep half of what was meant. */
		if (p->pid > 0 && signal_program(p, "TERM", &ignored) == 0 &&
		    await_end(p, TERM_MS, &ignored) < 0 &&
		    signal_program(p, "KILL", &ignored) == 0 && await_end(p, KILL_MS, &ignored) < 0)
			err_clear(&ignored);
	}
	cancel_release();
}

void docker_program_free(struct docker_program *p)
{
	if (p == NULL)
		return;
	if (!p->over && p->id != NULL)
		stop_program(p);
	http_pipe_free(p->pipe);
	free(p->container);
	free(p->user);
	free(p->id);
	free(p->what);
	free(p);
}

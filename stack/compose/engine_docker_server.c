/*
 * The sandbox's servers: one container each, on the run's own network, under the names by which
 * production's servers know each other. A restart is a new container with the same name and
 * address; the one before stays until then, for its log.
 *
 * We reach them by their addresses. PostgreSQL's superuser gets in without a password, so that
 * way is ours alone: a socket in a folder of the host that only we can enter, or, where we are a
 * container ourselves, our own address on the sandbox's network.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "stack/compose/engine_docker_box.h"

/* A socket's path has room for 107 bytes (unix(7)), "/.s.PGSQL.65535" takes 15 of them. */
enum { SOCKET_DIR_MAX = 92, TAIL_BYTES = 4096, TAIL_LINES = 60, LOG_BYTES = 1 << 20 };
enum { POLL_MS = 50, SIGNAL_MS = 1000, KILL_MS = 30000 };

/* In the container, in no folder of the image: not every image has a /tmp. */
#define WORK_DIR "/lifeboat-work"

struct docker_server {
	struct server base;
	struct engine_docker *e;
	struct docker_server *next;
	const struct engine_component *kind;
	const struct docker_component *component;
	unsigned major;
	char *name;    /* of its container, behind lifeboat-<run id>- */
	char *id;      /* of its container; NULL: none was made yet */
	char *address; /* on the sandbox's network */
	char *program; /* in the image */
	char *ready;   /* likewise, or NULL */
	char *folder;  /* on the host, or NULL */
	char *sockets; /* in it */
	struct strlist groups;
	bool may_stay, left;
	char tail[TAIL_BYTES];
};

/* ---- log ---- */

static const char *server_tail(struct server *base)
{
	struct docker_server *s = (struct docker_server *)base;
	struct err why = ERR_INIT;
	struct buf log;
	s->tail[0] = '\0';
	if (s->id == NULL)
		return s->tail;
	buf_init(&log, LOG_BYTES);
	/* Also for the message of a cancelled job. */
	cancel_hold();
	if (docker_log_tail(s->e->d, s->id, TAIL_LINES, &log, &why) < 0)
		log_debug("log of %s: %s", s->name, why.msg);
	cancel_release();
	const char *text = buf_text(&log);
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof s->tail) {
		text += len - (sizeof s->tail - 1);
		len = sizeof s->tail - 1;
		/* Not the second half of a line. */
		const char *line = memchr(text, '\n', len);
		len -= line != NULL ? (size_t)(line + 1 - text) : 0;
		text = line != NULL ? line + 1 : text;
	}
	memcpy(s->tail, text, len);
	s->tail[len] = '\0';
	buf_done(&log);
	return s->tail;
}

/* As much of the end of the log as a message takes. */
static const char *last_words(struct docker_server *s)
{
	const char *tail = server_tail(&s->base);
	size_t len = strlen(tail);
	if (len <= ERR_MSG_BYTES / 2)
		return tail;
	tail += len - ERR_MSG_BYTES / 2;
	const char *line = strchr(tail, '\n');
	return line != NULL ? line + 1 : tail;
}

/* ---- state ---- */

/* *ret is the container's "State", new. */
static int get_state(struct docker_server *s, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *inspect = NULL;
	json_t *state;
	if (docker_get(s->e->d, &inspect, err, "/containers/%s/json", s->id) < 0 ||
	    json_get_obj(inspect, "State", &state, err) < 0)
		return err_wrap(err, "container of %s", s->kind->name);
	*ret = json_incref(state);
	return 0;
}

static bool is_running(const json_t *state)
{
	return json_is_true(json_object_get(state, "Running"));
}

/* "postgres exited with status 1" and its last words; ERR_FAILED. */
static int tell_end(struct docker_server *s, const json_t *state, struct err *err)
{
	const char *said = last_words(s);
	const char *start = json_str_or(state, "Error", "");
	int code = (int)json_integer_value(json_object_get(state, "ExitCode"));
	const char *line = said[0] != '\0' ? "\n" : "";
	if (json_is_true(json_object_get(state, "OOMKilled")))
		return err_set(err, ERR_FAILED, "%s was killed: it had no memory left%s%s",
			       s->kind->name, line, said);
	if (start[0] != '\0')
		return err_set(err, ERR_FAILED, "%s did not start: %.400s%s%s", s->kind->name,
			       start, line, said);
	return err_set(err, ERR_FAILED, "%s exited with status %d%s%s", s->kind->name, code, line,
		       said);
}

static int server_look(struct server *base, struct err *err)
{
	struct docker_server *s = (struct docker_server *)base;
	CLEANUP(json_freep) json_t *state = NULL;
	if (s->id == NULL)
		return err_set(err, ERR_FAILED, "%s does not run", s->kind->name);
	if (get_state(s, &state, err) < 0)
		return -1;
	return is_running(state) ? 0 : tell_end(s, state, err);
}

/* ---- health ---- */

/* What the last failed check printed. */
static const char *check_output(const json_t *health)
{
	const json_t *log = json_object_get(health, "Log");
	const json_t *last = json_array_get(log, json_array_size(log) - 1);
	return last != NULL ? json_str_or(last, "Output", "") : "";
}

/* The stack's own check may read variables of production's container, which the sandbox's does not
 * have: what such a check says there means nothing. */
static bool reads_environment(const json_t *runtime)
{
	size_t i;
	json_t *word;
	const json_t *test = json_object_get(json_object_get(runtime, "health"), "Test");
	json_array_foreach(test, i, word)
	{
		const char *text = json_string_value(word);
		if (text != NULL && strchr(text, '$') != NULL)
			return true;
	}
	return false;
}

static int server_healthy(struct server *base, struct deadline d, struct err *err)
{
	struct docker_server *s = (struct docker_server *)base;
	if (s->ready == NULL || reads_environment(s->component->runtime))
		return 0;
	for (;;) {
		CLEANUP(json_freep) json_t *state = NULL;
		if (get_state(s, &state, err) < 0)
			return -1;
		if (!is_running(state))
			return tell_end(s, state, err);
		const json_t *health = json_object_get(state, "Health");
		const char *status = json_str_or(health, "Status", "none");
		if (strcmp(status, "healthy") == 0 || strcmp(status, "none") == 0 ||
		    status[0] == '\0')
			return 0;
		if (strcmp(status, "unhealthy") == 0)
			return err_set(err, ERR_FAILED, "%s is unhealthy: %.400s", s->kind->name,
				       check_output(health));
		if (deadline_left_ms(d) == 0)
			return err_set(err, ERR_TIMEOUT, "%s is not healthy yet: %.400s",
				       s->kind->name, check_output(health));
		if (wait_ms(POLL_MS, err) < 0)
			return -1;
	}
}

/* ---- start ---- */

/* Its name is needed again. */
static bool drop_container(struct docker_server *s)
{
	if (!docker_container_drop(s->e, s->id))
		return false;
	free(s->id);
	s->id = NULL;
	s->base.pid = 0;
	return true;
}

static int run(struct docker_server *s, struct err *err)
{
	CLEANUP(json_freep) json_t *state = NULL;
	if (docker_post(s->e->d, NULL, NULL, err, "/containers/%s/start", s->id) < 0 ||
	    get_state(s, &state, err) < 0)
		return -1;
	s->base.pid =
	    is_running(state) ? (long)json_integer_value(json_object_get(state, "Pid")) : 0;
	return 0;
}

static int server_begin(struct server *base, const struct server_spec *spec, struct err *err)
{
	struct docker_server *s = (struct docker_server *)base;
	CLEANUP(freep) char *volume = NULL;
	if (spec->volume == NULL && s->kind->needs_volume)
		return err_set(err, ERR_FAILED, "%s needs a volume", s->kind->name);
	if (spec->volume != NULL &&
	    docker_volume_target(s->e, spec->volume, NULL, &volume, err) < 0)
		return -1;
	if (!drop_container(s))
		return err_set(err, ERR_FAILED, "the container of %s can't be removed",
			       s->kind->name);
	s->may_stay = spec->leave_running;
	if (spec->port != 0)
		base->port = spec->port;
	const struct docker_boot boot = {.component = s->component,
					 .kind = s->kind,
					 .spec = spec,
					 .name = s->name,
					 .program = s->program,
					 .ready = s->ready,
					 .volume = volume,
					 .work_dir = base->work_dir,
					 .socket_dir = base->socket_dir,
					 .host_folder = s->sockets,
					 .address = s->address,
					 .port = base->port,
					 .major = s->major,
					 .groups = &s->groups};
	if (docker_boot_container(s->e, &boot, &s->id, err) < 0)
		return err_wrap(err, "start of %s", s->kind->name);
	if (run(s, err) < 0) {
		drop_container(s);
		return err_wrap(err, "start of %s", s->kind->name);
	}
	return 0;
}

/* ---- stop, leave, free ---- */

static int send_signal(struct docker_server *s, int number, struct err *err)
{
	return docker_post(s->e->d, NULL, NULL, err, "/containers/%s/kill?signal=%d", s->id,
			   number);
}

/* ERR_TIMEOUT: it still runs. *ret is its last state, new. The first process of a container gets no
 * signal for which it has no handler yet, so the signal is sent again until it is heard. */
static int end_by(struct docker_server *s, int signal_number, struct deadline d, json_t **ret,
		  struct err *err)
{
	int64_t next_signal = 0;
	for (int64_t pause = 10;; pause = pause < POLL_MS ? pause * 2 : POLL_MS) {
		CLEANUP(json_freep) json_t *state = NULL;
		struct err why = ERR_INIT;
		if (clock_monotonic_ms() >= next_signal) {
			/* One that ended by itself takes none. */
			if (send_signal(s, signal_number, &why) < 0)
				log_debug("%s", why.msg);
			next_signal = clock_monotonic_ms() + SIGNAL_MS;
		}
		if (get_state(s, &state, err) < 0)
			return -1;
		if (!is_running(state)) {
			*ret = json_incref(state);
			return 0;
		}
		if (deadline_left_ms(d) == 0)
			return err_set(err, ERR_TIMEOUT, "%s still runs", s->kind->name);
		if (wait_ms(pause, err) < 0)
			return -1;
	}
}

static void kill_now(struct docker_server *s)
{
	CLEANUP(json_freep) json_t *state = NULL;
	struct err why = ERR_INIT;
	cancel_hold();
	if (end_by(s, SIGKILL, deadline_in(KILL_MS), &state, &why) < 0)
		log_debug("%s", why.msg);
	cancel_release();
}

static int server_end(struct server *base, int64_t grace_ms, struct err *err)
{
	struct docker_server *s = (struct docker_server *)base;
	CLEANUP(json_freep) json_t *state = NULL;
	if (s->id == NULL || base->pid == 0)
		return 0;
	int rc = end_by(s, s->kind->stop_signal, deadline_in(grace_ms), &state, err);
	if (rc < 0 && err->code == ERR_TIMEOUT) {
		kill_now(s);
		err_set(err, ERR_TIMEOUT, "%s did not stop within %lld ms and was killed",
			s->kind->name, (long long)grace_ms);
	} else if (rc < 0) {
		return -1;
	} else if (json_integer_value(json_object_get(state, "ExitCode")) != 0) {
		rc = tell_end(s, state, err);
		err_wrap(err, "stop of %s", s->kind->name);
	}
	base->pid = 0;
	return rc;
}

static int server_stay(struct server *base, struct err *err)
{
	struct docker_server *s = (struct docker_server *)base;
	if (!s->may_stay)
		return err_set(err, ERR_FAILED, "%s was not started to be left running",
			       s->kind->name);
	if (server_look(base, err) < 0)
		return -1;
	s->left = s->e->keeps_servers = true;
	return 0;
}

static void unlink_server(struct docker_server *s)
{
	for (struct docker_server **at = &s->e->servers; *at != NULL; at = &(*at)->next) {
		if (*at != s)
			continue;
		*at = s->next;
		return;
	}
}

static void server_gone(struct server *base)
{
	struct docker_server *s = (struct docker_server *)base;
	struct err why = ERR_INIT;
	unlink_server(s);
	if (!s->left) {
		drop_container(s);
		if (s->folder != NULL && dir_remove(s->folder, &why) < 0)
			log_debug("%s", why.msg); /* a sweep tries again */
	}
	strlist_done(&s->groups);
	free(s->name);
	free(s->id);
	free(s->address);
	free(s->program);
	free(s->ready);
	free(s->folder);
	free(s->sockets);
	free(s);
}

static int server_path(struct server *base, const char *volume, char **ret, struct err *err)
{
	return docker_volume_target(((struct docker_server *)base)->e, volume, NULL, ret, err);
}

static const struct server_ops server_ops = {
    .volume_path = server_path,
    .start = server_begin,
    .check = server_look,
    .wait_healthy = server_healthy,
    .log_tail = server_tail,
    .stop = server_end,
    .leave = server_stay,
    .free = server_gone,
};

/* ---- new ---- */

static unsigned usual_port(const char *component)
{
	return strcmp(component, "postgres") == 0 ? 5432
	       : strcmp(component, "redis") == 0  ? 6379
						  : 6432;
}

/* What of the image is run. */
static int find_programs(struct docker_server *s, struct err *err)
{
	CLEANUP(docker_helper_done) struct docker_helper image = {.e = s->e};
	CLEANUP(freep) char *folder = NULL;
	bool redis = strcmp(s->kind->name, "redis") == 0;
	const char *const programs[] = {s->kind->program, redis ? "valkey-server" : NULL, NULL};
	const char *const ready[] = {redis ? "redis-cli" : "pg_isready",
				     redis ? "valkey-cli" : NULL, NULL};
	const char *const no_volumes[] = {NULL};
	if (str_printf(&folder, err, "/usr/lib/postgresql/%u/bin", s->major) < 0 ||
	    docker_helper_make(&image, s->e, s->component, no_volumes, err) < 0 ||
	    docker_boot_program(s->e, &image, programs, folder, &s->program, err) < 0 ||
	    docker_boot_program(s->e, &image, ready, folder, &s->ready, err) < 0 ||
	    docker_groups_of(s->e, &image, s->component->uid, &s->groups, err) < 0)
		return -1;
	if (s->program != NULL)
		return 0;
	err_set(err, ERR_ABSENT, "image %.80s has no program '%s'", s->component->image,
		s->kind->program);
	return err_hint(err, "Name another image with --image.");
}

/* A folder of the host that only we can enter, and in it one in which the server may write. */
static int make_door(struct docker_server *s, struct err *err)
{
	if (s->e->self != NULL || strcmp(s->kind->name, "postgres") != 0)
		return 0;
	if (run_folder(s->e, s->name, &s->folder, err) < 0 ||
	    str_printf(&s->sockets, err, "%s/s", s->folder) < 0)
		return -1;
	if (strlen(s->sockets) > SOCKET_DIR_MAX || strchr(s->sockets, ':') != NULL) {
		err_set(err, ERR_FAILED, "no socket can be in '%s'", s->sockets);
		return err_hint(err, "Set TMPDIR to a folder with a short name.");
	}
	if (mkdir(s->sockets, 0777) < 0 || chmod(s->sockets, 0777) < 0)
		return err_sys(err, ERR_IO, errno, "folder '%s'", s->sockets);
	return 0;
}

static int choose_name(struct docker_server *s, struct err *err)
{
	unsigned others = 0;
	for (const struct docker_server *o = s->e->servers; o != NULL; o = o->next)
		others += strncmp(o->name, s->kind->name, strlen(s->kind->name)) == 0;
	return others == 0 ? str_dup(s->kind->name, &s->name, err)
			   : str_printf(&s->name, err, "%s-%u", s->kind->name, others + 1);
}

static int check_reach(const struct engine_docker *e, struct err *err)
{
	if (e->self != NULL || docker_is_near(e->d))
		return 0;
	err_set(err, ERR_UNREACHABLE, "servers of a sandbox can't be reached on another machine");
	return err_hint(err, "Run lifeboat where the Docker daemon is, or as a container there.");
}

int docker_server_new(struct engine *base, const char *component, unsigned major,
		      struct server **ret, struct err *err)
{
	struct docker_server *s = mem_zalloc(sizeof *s, "a server", err);
	if (s == NULL)
		return -1;
	CLEANUP(server_freep) struct server *made = &s->base;
	s->base.ops = &server_ops;
	s->e = (struct engine_docker *)base;
	s->major = major;
	s->kind = engine_args_find(component);
	if (s->kind == NULL)
		return err_set(err, ERR_FAILED, "there is no server for '%s'", component);
	if (docker_adopted(s->e, component, &s->component, err) < 0 || check_reach(s->e, err) < 0 ||
	    choose_name(s, err) < 0 || run_mark(s->e, err) < 0 || find_programs(s, err) < 0 ||
	    docker_network_make(s->e, err) < 0 ||
	    docker_network_address(s->e, &s->address, err) < 0 || make_door(s, err) < 0)
		return err_wrap(err, "a place for %s", component);
	s->base.port = usual_port(component);
	s->base.host = s->address;
	s->base.work_dir = WORK_DIR;
	s->base.socket_dir = s->sockets != NULL ? s->sockets : WORK_DIR;
	s->base.door = s->sockets != NULL ? s->sockets : s->address;
	s->base.peer = s->sockets != NULL ? NULL : s->e->self_peer;
	s->next = s->e->servers;
	s->e->servers = s;
	*ret = made;
	made = NULL;
	return 0;
}

const char *docker_server_container(const struct engine_docker *e, const char *component)
{
	for (const struct docker_server *s = e->servers; s != NULL; s = s->next)
		if (strcmp(s->kind->name, component) == 0 && s->id != NULL && s->base.pid != 0)
			return s->id;
	return NULL;
}

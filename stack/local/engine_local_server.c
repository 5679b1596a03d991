/*
 * Throw-away servers: direct children on a loopback port that is held for them from the moment it
 * is promised, with a work folder of their own for sockets, configuration and log.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "stack/engine/engine_args.h"
#include "stack/local/engine_local.h"

/* A socket's path has room for 107 bytes (unix(7)), ".s.PGSQL.65535" takes 15 of them. */
enum { WORK_PATH_MAX = 88, TAIL_BYTES = 4096, KILL_MS = 5000 };

struct local_server {
	struct server base;
	struct engine_local *e;
	const struct engine_component *component;
	unsigned major;
	int port_fd;    /* keeps the port from others */
	char *id;       /* of the mark */
	char *work;     /* NULL until made */
	char *log_path; /* in it */
	struct child *child;
	bool may_stay, left;
	char tail[TAIL_BYTES];
};

/* ---- the port ---- */

/* A free port, bound but not listened on: with SO_REUSEADDR on both sides a server can still bind
 * it (socket(7)), and nobody else is given it. */
static int hold_port(int *ret_fd, unsigned *ret_port, struct err *err)
{
	CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int one = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&at, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return err_sys(err, ERR_IO, errno, "a free port");
	*ret_port = ntohs(at.sin_port);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* ---- the work folder ---- */

/* Where work folders can be: short, and open to the servers' user. */
static const char *temporary_folder(const struct engine_local *e)
{
	struct err ignored = ERR_INIT;
	const char *dir = getenv("TMPDIR");
	if (dir == NULL || dir[0] != '/' || strlen(dir) > WORK_PATH_MAX - 24 ||
	    local_check_reach(e, dir, &ignored) < 0)
		return "/tmp";
	return dir;
}

static int mark_server(struct local_server *s, struct err *err)
{
	CLEANUP(json_freep) json_t *mark = NULL;
	if (mark_new(s->e, &mark, err) < 0 ||
	    json_put(mark, "component", json_string(s->component->name), err) < 0 ||
	    json_put(mark, "path", json_text_value(s->work), err) < 0 ||
	    json_put(mark, "left", json_boolean(s->left), err) < 0 ||
	    mark_put_identity(mark, s->work, err) < 0)
		return -1;
	if (s->base.pid != 0 && mark_put_process(mark, s->base.pid, err) < 0)
		return -1;
	return mark_write(s->e, "work/", s->id, mark, err);
}

static int make_work_folder(struct local_server *s, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	uint8_t noise[5];
	char hex[2 * sizeof noise + 1];
	if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
		return err_sys(err, ERR_IO, errno, "random bytes");
	hex_encode(noise, sizeof noise, hex);
	if (str_printf(&s->id, err, "%s-%s", s->component->name, hex) < 0 ||
	    str_printf(&path, err, "%s/lifeboat-%s", temporary_folder(s->e), hex) < 0 ||
	    str_printf(&s->log_path, err, "%s/log", path) < 0)
		return -1;
	if (mkdir(path, 0700) < 0)
		return err_sys(err, ERR_IO, errno, "can't create work folder '%s'", path);
	s->work = path;
	path = NULL;
	CLEANUP(fd_closep) int fd = open(s->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0700) < 0 ||
	    (s->e->switches_user && fchown(fd, s->e->user.uid, s->e->user.gid) < 0))
		return err_sys(err, ERR_IO, errno, "owner of work folder '%s'", s->work);
	return mark_server(s, err);
}

/* A file that the server alone reads: settings may hold passwords. */
static int put_file(struct local_server *s, const char *path, const char *text, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "can't replace '%s'", path);
	CLEANUP(fd_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || (s->e->switches_user && fchown(fd, s->e->user.uid, s->e->user.gid) < 0))
		return err_sys(err, ERR_IO, errno, "can't create '%s'", path);
	return file_write_fd(fd, text, strlen(text), path, err);
}

/* ---- log ---- */

static const char *local_log_tail(struct server *base)
{
	struct local_server *s = (struct local_server *)base;
	CLEANUP(fd_closep) int fd = open(s->log_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	s->tail[0] = '\0';
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	off_t from = end > TAIL_BYTES - 1 ? end - (TAIL_BYTES - 1) : 0;
	ssize_t n = fd >= 0 ? pread(fd, s->tail, sizeof s->tail - 1, from) : 0;
	while (n > 0 && s->tail[n - 1] == '\n')
		n--;
	s->tail[n > 0 ? n : 0] = '\0';
	/* Not the second half of a line. */
	const char *line = from > 0 ? strchr(s->tail, '\n') : NULL;
	return line != NULL ? line + 1 : s->tail;
}

/* As much of the end of the log as a message takes. */
static const char *last_words(struct local_server *s)
{
	const char *tail = local_log_tail(&s->base);
	size_t len = strlen(tail);
	if (len <= ERR_MSG_BYTES / 2)
		return tail;
	tail += len - ERR_MSG_BYTES / 2;
	const char *line = strchr(tail, '\n');
	return line != NULL ? line + 1 : tail;
}

/* ---- start ---- */

static int open_log(struct local_server *s, int *ret, struct err *err)
{
	int fd = open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "can't open '%s'", s->log_path);
	*ret = fd;
	return 0;
}

static int start_child(struct local_server *s, const struct strlist *argv, struct err *err)
{
	CLEANUP(fd_closep) int log = -1;
	if (open_log(s, &log, err) < 0)
		return -1;
	return child_start(
	    &(struct child_opts){
		.argv = (const char *const *)argv->items,
		/* Nothing of ours may steer them: PGDATA, PGOPTIONS, NOTIFY_SOCKET ... */
		.env = s->component->env,
		.cwd = s->work,
		.run_as = local_identity(s->e),
		.stdout_fd = log,
		.stderr_fd = log,
		.death_signal = s->component->death_signal,
		.outlives = s->may_stay,
	    },
	    &s->child, err);
}

static int local_start(struct server *base, const struct server_spec *spec, struct err *err)
{
	struct local_server *s = (struct local_server *)base;
	CLEANUP(freep) char *volume = NULL;
	CLEANUP(freep) char *program = NULL;
	struct tool t = {
	    .component = s->component->name, .major = s->major, .name = s->component->program};
	if (spec->volume == NULL && s->component->needs_volume)
		return err_set(err, ERR_FAILED, "%s needs a volume", s->component->name);
	if (spec->volume != NULL && (local_volume_path(s->e, spec->volume, &volume, err) < 0 ||
				     local_check_reach(s->e, volume, err) < 0))
		return -1;
	if (local_tool_find(&s->e->base, &t, &program, err) < 0)
		return -1;
	struct engine_args a = {.program = program,
				.volume = volume,
				.work = s->work,
				.socket_dir = s->work,
				.port = s->base.port,
				.major = s->major};
	s->may_stay = spec->leave_running;
	int rc = s->component->args(&a, spec, err);
	for (size_t i = 0; rc == 0 && i + 1 < a.files.count; i += 2)
		rc = put_file(s, a.files.items[i], a.files.items[i + 1], err);
	if (rc == 0)
		rc = start_child(s, &a.argv, err);
	for (size_t i = 0; i < a.files.count; i++)
		explicit_bzero(a.files.items[i], strlen(a.files.items[i]));
	strlist_done(&a.files);
	strlist_done(&a.argv);
	if (rc < 0)
		return err_wrap(err, "start of %s", s->component->name);
	s->base.pid = child_pid(s->child);
	return mark_server(s, err);
}

/* ---- check, stop, leave, free ---- */

static void forget_child(struct local_server *s)
{
	child_free(s->child);
	s->child = NULL;
	s->base.pid = 0;
}

static int local_check(struct server *base, struct err *err)
{
	struct local_server *s = (struct local_server *)base;
	if (s->child != NULL && child_running(s->child))
		return 0;
	const char *name = s->component->name;
	if (s->child == NULL)
		return err_set(err, ERR_FAILED, "%s does not run", name);
	struct err why = ERR_INIT;
	const char *said = last_words(s);
	int rc = child_wait(s->child, deadline_in(0), &why);
	return err_set(err, ERR_FAILED, "%s %s%s%s", name, rc < 0 ? why.msg : "ended",
		       said[0] != '\0' ? "\n" : "", said);
}

static int local_stop(struct server *base, int64_t grace_ms, struct err *err)
{
	struct local_server *s = (struct local_server *)base;
	if (s->child == NULL)
		return 0;
	const char *name = s->component->name;
	child_signal(s->child, s->component->stop_signal);
	int rc = child_wait(s->child, deadline_in(grace_ms), err);
	if (rc < 0 && err->code == ERR_CANCELLED)
		return -1;
	if (rc < 0 && err->code == ERR_TIMEOUT) {
		child_stop(s->child, s->component->kill_signal, KILL_MS);
		err_set(err, ERR_TIMEOUT, "%s did not stop within %lld ms and was killed", name,
			(long long)grace_ms);
	} else if (rc < 0) {
		struct err why = *err;
		const char *said = last_words(s);
		err_set(err, why.code, "stop of %s: %.400s%s%s", name, why.msg,
			said[0] != '\0' ? "\n" : "", said);
	}
	forget_child(s);
	return rc;
}

static int local_leave(struct server *base, struct err *err)
{
	struct local_server *s = (struct local_server *)base;
	if (!s->may_stay)
		return err_set(err, ERR_FAILED, "%s was not started to be left running",
			       s->component->name);
	if (local_check(base, err) < 0)
		return -1;
	s->left = true;
	if (mark_server(s, err) == 0)
		return 0;
	s->left = false;
	return -1;
}

static void local_server_free(struct server *base)
{
	struct local_server *s = (struct local_server *)base;
	struct err why = ERR_INIT;
	if (s->left) {
		child_leave(s->child);
	} else {
		if (s->child != NULL && child_running(s->child))
			child_stop(s->child, s->component->kill_signal, KILL_MS);
		child_free(s->child);
		if (s->work != NULL &&
		    (dir_remove(s->work, &why) < 0 || mark_remove(s->e, "work/", s->id, &why) < 0))
			log_debug("%s", why.msg); /* its mark stays: a sweep tries again */
	}
	if (s->port_fd >= 0)
		close(s->port_fd);
	free(s->id);
	free(s->work);
	free(s->log_path);
	free(s);
}

static int local_server_volume_path(struct server *base, const char *volume, char **ret,
				    struct err *err)
{
	return local_volume_path(((struct local_server *)base)->e, volume, ret, err);
}

static const struct server_ops server_ops = {
    .volume_path = local_server_volume_path,
    .start = local_start,
    .check = local_check,
    .log_tail = local_log_tail,
    .stop = local_stop,
    .leave = local_leave,
    .free = local_server_free,
};

int local_server_new(struct engine *base, const char *component, unsigned major,
		     struct server **ret, struct err *err)
{
	struct local_server *s = mem_zalloc(sizeof *s, "a server", err);
	if (s == NULL)
		return -1;
	CLEANUP(server_freep) struct server *made = &s->base;
	s->base.ops = &server_ops;
	s->base.host = "127.0.0.1";
	s->e = (struct engine_local *)base;
	s->major = major;
	s->port_fd = -1;
	s->component = engine_args_find(component);
	if (s->component == NULL)
		return err_set(err, ERR_FAILED, "there is no server for '%s'", component);
	if (mark_begin(s->e, err) < 0 || hold_port(&s->port_fd, &s->base.port, err) < 0 ||
	    make_work_folder(s, err) < 0)
		return err_wrap(err, "a place for %s", component);
	s->base.work_dir = s->base.socket_dir = s->base.door = s->work;
	*ret = made;
	made = NULL;
	return 0;
}

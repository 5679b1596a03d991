#include "tests/support/live_redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/file.h"

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "live_redis: %s: %s\n", what, why);
	abort();
}

uint16_t live_redis_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		give_up("a free port", "none");
	close(fd);
	return ntohs(a.sin_port);
}

/* Does it answer anything at all? */
static int answers(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char reply[64] = "";
	if (strlen(path) >= sizeof to.sun_path)
		give_up("a socket", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 0;
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
	    send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		yes = poll(&p, 1, 2000) == 1 && recv(fd, reply, sizeof reply - 1, 0) > 0;
	}
	if (fd >= 0)
		close(fd);
	return yes;
}

static int try_start(struct live_redis *l, const char *const *more)
{
	char port[8];
	const char *argv[64] = {
	    "redis-server", "--bind",     "127.0.0.1", "--dir",        l->data, "--unixsocket",
	    l->socket,      "--save",     "",          "--appendonly", "no",    "--daemonize",
	    "no",           "--loglevel", "notice",    "--port",       port};
	size_t n = 17;
	l->port = live_redis_free_port();
	snprintf(port, sizeof port, "%u", (unsigned)l->port);
	snprintf(l->url, sizeof l->url, "redis://127.0.0.1:%s/0", port);
	for (; more != NULL && *more != NULL && n < 63; more++)
		argv[n++] = *more;
	struct err err = ERR_INIT;
	const struct child_opts opts = {.argv = argv};
	if (child_start(&opts, &l->child, &err) < 0)
		give_up("redis-server", err.msg);
	for (int i = 0; i < 600 && child_running(l->child); i++) {
		if (answers(l->socket))
			return 1;
		poll(NULL, 0, 20);
	}
	fprintf(stderr, "live_redis: %s\n", child_stderr(l->child));
	child_free(l->child);
	l->child = NULL;
	return 0;
}

static void make_folder(struct live_redis *l)
{
	*l = (struct live_redis){0};
	const char *tmp = getenv("TMPDIR");
	snprintf(l->dir, sizeof l->dir, "%s/live-redis-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(l->dir) == NULL)
		give_up("mkdtemp", l->dir);
	snprintf(l->socket, sizeof l->socket, "%s/s", l->dir);
	snprintf(l->data, sizeof l->data, "%s/data", l->dir);
}

static void start(struct live_redis *l, const char *const *more)
{
	/* Somebody else may take the port between our look and its start. */
	for (int i = 0; i < 5; i++)
		if (try_start(l, more))
			return;
	give_up("redis-server", "does not start");
}

void live_redis_start(struct live_redis *l, const char *const *more)
{
	make_folder(l);
	if (mkdir(l->data, 0700) < 0)
		give_up("mkdir", l->data);
	start(l, more);
}

void live_redis_start_in(struct live_redis *l, const char *data, const char *const *more)
{
	make_folder(l);
	snprintf(l->data, sizeof l->data, "%s", data);
	start(l, more);
}

void live_redis_kill(struct live_redis *l)
{
	child_free(l->child);
	l->child = NULL;
}

void live_redis_stop(struct live_redis *l)
{
	struct err err = ERR_INIT;
	/* A server that can't save refuses to go on SIGTERM: nothing here is worth saving. */
	live_redis_kill(l);
	if (dir_remove(l->dir, &err) < 0)
		fprintf(stderr, "live_redis: %s\n", err.msg);
}

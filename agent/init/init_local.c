/* Servers of this machine, on their usual ports and sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/init/init.h"
#include "base/file.h"

enum { WAIT_MS = 5000 };

static int connected(int fd, const struct sockaddr *to, socklen_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int why = 0;
	socklen_t bytes = sizeof why;
	if (connect(fd, to, len) == 0)
		return 0;
	if (errno != EINPROGRESS || poll(&p, 1, WAIT_MS) != 1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &bytes) < 0 || why != 0)
		return -1;
	return 0;
}

/* The first bytes of the answer to `ask`; 0: none came. */
static size_t answer(int fd, const void *ask, size_t len, char *ret, size_t bytes)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (send(fd, ask, len, MSG_NOSIGNAL) != (ssize_t)len || poll(&p, 1, WAIT_MS) != 1)
		return 0;
	ssize_t got = recv(fd, ret, bytes, 0);
	return got > 0 ? (size_t)got : 0;
}

/* PostgreSQL and PgBouncer answer an SSLRequest by one byte (PostgreSQL, "Message Formats"), Redis
 * a PING by a line. */
static bool is_server(int fd, enum init_kind kind, bool *ret_wants_password)
{
	static const unsigned char ssl_request[8] = {0, 0, 0, 8, 4, 210, 22, 47};
	char text[64];
	size_t len;
	if (kind != INIT_REDIS)
		return answer(fd, ssl_request, sizeof ssl_request, text, sizeof text) == 1 &&
		       (text[0] == 'S' || text[0] == 'N');
	len = answer(fd, "PING\r\n", 6, text, sizeof text);
	*ret_wants_password = len >= 7 && memcmp(text, "-NOAUTH", 7) == 0;
	return *ret_wants_password || (len >= 5 && memcmp(text, "+PONG", 5) == 0);
}

static bool on_port(enum init_kind kind, uint16_t port, bool *ret_wants_password)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd >= 0 && connected(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
	       is_server(fd, kind, ret_wants_password);
}

static bool on_socket(enum init_kind kind, const char *path, bool *ret_wants_password)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	return fd >= 0 && connected(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
	       is_server(fd, kind, ret_wants_password);
}

int init_local(struct init *i, struct err *err)
{
	static const struct {
		enum init_kind kind;
		uint16_t port;
		const char *socket, *url; /* of the socket; how agent.conf says it */
	} places[] = {
	    {INIT_POSTGRES, 5432, "/run/postgresql/.s.PGSQL.5432", "?host=/run/postgresql"},
	    {INIT_REDIS, 6379, "/run/redis/redis-server.sock", NULL},
	    {INIT_REDIS, 6379, "/run/valkey/valkey-server.sock", NULL},
	    {INIT_PGBOUNCER, 6432, "/run/postgresql/.s.PGSQL.6432",
	     "?host=/run/postgresql&port=6432"},
	};
	for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
		struct init_part *part = &i->parts[places[n].kind];
		if (part->url != NULL)
			continue;
		bool by_port = on_port(places[n].kind, places[n].port, &part->wants_password);
		if (!by_port && !on_socket(places[n].kind, places[n].socket, &part->wants_password))
			continue;
		if (places[n].kind == INIT_POSTGRES)
			part->by_socket = !by_port || on_socket(INIT_POSTGRES, places[n].socket,
								&part->wants_password);
		const char *by_path = places[n].url != NULL ? places[n].url : places[n].socket;
		if ((by_port ? str_printf(&part->url, err, "127.0.0.1:%u", places[n].port)
			     : str_dup(by_path, &part->url, err)) < 0 ||
		    strlist_pushf(&i->found, err, "%s: a server of this machine, on %s",
				  init_kind_name(places[n].kind),
				  by_port ? part->url : places[n].socket) < 0)
			return -1;
	}
	return 0;
}

#include "stack/redis/redis_wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "stack/redis/redis_tls.h"

struct redis_wire {
	int fd;
	struct redis_tls *tls; /* NULL: plain */
	char *name;
};

/* Cancelled and out of memory stay what they are; anything else means: not reachable. */
static int unreachable(const char *name, struct err *err)
{
	if (err->code == ERR_CANCELLED || err->code == ERR_NOMEM)
		return -1;
	if (err->code == ERR_TIMEOUT)
		err_set(err, ERR_UNREACHABLE, "no answer in time");
	err->code = ERR_UNREACHABLE;
	err->retryable = true;
	err_wrap(err, "can't connect to Redis at '%s'", name);
	return err_hint(err, "Is it running, and is the address in the url right?");
}

static int connect_to(const struct sockaddr *to, socklen_t to_len, struct deadline d, int *ret_fd,
		      struct err *err)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, ERR_UNREACHABLE, errno, "socket");
	int why = 0;
	socklen_t len = sizeof why;
	if (connect(fd, to, to_len) < 0)
		why = errno;
	if (why == EINPROGRESS || why == EINTR) {
		why = 0;
		if (wait_fd(fd, POLLOUT, d, err) < 0) {
			close(fd);
			return -1;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
			why = errno;
	}
	if (why != 0) {
		close(fd);
		err_set(err, ERR_UNREACHABLE, "%s", strerror(why));
		err->sys_errno = why;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static int connect_socket(const char *path, struct deadline d, int *ret_fd, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof to.sun_path)
		return err_set(err, ERR_CONFIG,
			       "the path of the socket '%s' is longer than %zu bytes", path,
			       sizeof to.sun_path - 1);
	memcpy(to.sun_path, path, strlen(path) + 1);
	return connect_to((const struct sockaddr *)&to, sizeof to, d, ret_fd, err);
}

/* ---- names ---- */

/* A look-up that runs beside us, so that it can be given up. */
struct lookup {
	struct gaicb request;
	struct addrinfo hints;
	char host[256], port[8];
};

static int resolver_error(int rc, struct err *err)
{
	err_set(err, ERR_UNREACHABLE, "%s", gai_strerror(rc));
	return -1;
}

/* Waits for the look-up in steps, as it can't be polled together with cancellation. */
static int await_lookup(struct lookup *l, struct deadline d, struct err *err)
{
	const struct gaicb *list[] = {&l->request};
	int rc;
	while ((rc = gai_error(&l->request)) == EAI_INPROGRESS) {
		if (cancel_check(err) < 0)
			return -1;
		if (deadline_left_ms(d) == 0)
			return err_set(err, ERR_TIMEOUT, "timed out");
		const struct timespec step = {.tv_nsec = 50000000};
		gai_suspend(list, 1, &step);
	}
	return rc == 0 ? 0 : resolver_error(rc, err);
}

static int find_addresses(const char *host, uint16_t port, struct deadline d, struct addrinfo **ret,
			  struct err *err)
{
	struct lookup *l = mem_zalloc(sizeof *l, "a name to look up", err);
	if (l == NULL)
		return -1;
	l->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM,
				     .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	snprintf(l->host, sizeof l->host, "%s", host);
	snprintf(l->port, sizeof l->port, "%u", (unsigned)port);
	/* Numbers need no look-up. */
	int rc = getaddrinfo(l->host, l->port, &l->hints, ret);
	if (rc == 0) {
		free(l);
		return 0;
	}
	l->hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
	l->request =
	    (struct gaicb){.ar_name = l->host, .ar_service = l->port, .ar_request = &l->hints};
	struct gaicb *list[] = {&l->request};
	rc = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (rc != 0) {
		free(l);
		return resolver_error(rc, err);
	}
	if (await_lookup(l, d, err) < 0) {
		/* While the resolver still works on it the memory is the resolver's: then it is
		 * left behind, once per look-up that was given up. */
		if (gai_error(&l->request) != EAI_INPROGRESS ||
		    gai_cancel(&l->request) == EAI_CANCELED)
			free(l);
		return -1;
	}
	*ret = l->request.ar_result;
	free(l);
	return 0;
}

static int connect_host(const struct redis_url *url, struct deadline d, int *ret_fd,
			struct err *err)
{
	struct addrinfo *all = NULL;
	if (find_addresses(url->address != NULL ? url->address : url->host, url->port, d, &all,
			   err) < 0)
		return -1;
	int left = 0, rc = -1;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = all; a != NULL && rc < 0; a = a->ai_next, left--) {
		/* One address that swallows everything must not use up the time of the others. */
		int64_t ms = deadline_left_ms(d);
		struct deadline share = left > 1 && ms < INT64_MAX ? deadline_in(ms / left) : d;
		rc = connect_to(a->ai_addr, a->ai_addrlen, share, ret_fd, err);
		if (rc < 0 && err->code == ERR_CANCELLED)
			break;
	}
	freeaddrinfo(all);
	if (rc < 0)
		return -1;
	/* Small requests go out at once, and a peer that vanished is noticed some day. */
	const int on = 1;
	(void)setsockopt(*ret_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(*ret_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	return 0;
}

/* ---- the wire ---- */

int redis_wire_open(const struct redis_url *url, const char *name, struct deadline d,
		    struct redis_wire **ret, struct err *err)
{
	CLEANUP(redis_wire_freep) struct redis_wire *w = mem_zalloc(sizeof *w, "a connection", err);
	if (w == NULL)
		return -1;
	w->fd = -1;
	if (str_dup(name, &w->name, err) < 0)
		return -1;
	int rc = url->socket != NULL ? connect_socket(url->socket, d, &w->fd, err)
				     : connect_host(url, d, &w->fd, err);
	if (rc < 0)
		return err->code == ERR_CONFIG ? -1 : unreachable(name, err);
	if (url->tls && redis_tls_open(w->fd, url, w->name, d, &w->tls, err) < 0)
		return err->code == ERR_TIMEOUT ? unreachable(name, err) : -1;
	*ret = w;
	w = NULL;
	return 0;
}

void redis_wire_free(struct redis_wire *w)
{
	if (w == NULL)
		return;
	redis_tls_free(w->tls);
	if (w->fd >= 0)
		close(w->fd);
	free(w->name);
	free(w);
}

static int broken(struct redis_wire *w, int sys_errno, struct err *err)
{
	return err_sys(err, ERR_UNREACHABLE, sys_errno, "the connection to Redis at '%s' broke",
		       w->name);
}

int redis_wire_write(struct redis_wire *w, const void *data, size_t len, struct deadline d,
		     struct err *err)
{
	if (w->tls != NULL)
		return redis_tls_write(w->tls, data, len, d, err);
	const uint8_t *p = data;
	while (len > 0) {
		ssize_t n = send(w->fd, p, len, MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (wait_fd(w->fd, POLLOUT, d, err) < 0)
				return -1;
		} else if (n < 0 && errno != EINTR) {
			return broken(w, errno, err);
		}
	}
	return 0;
}

int redis_wire_read(struct redis_wire *w, void *buf, size_t cap, size_t *ret_n, struct deadline d,
		    struct err *err)
{
	if (cancel_check(err) < 0)
		return -1;
	if (w->tls != NULL)
		return redis_tls_read(w->tls, buf, cap, ret_n, d, err);
	for (;;) {
		ssize_t n = recv(w->fd, buf, cap, 0);
		if (n >= 0) {
			*ret_n = (size_t)n;
			return 0;
		}
		if (errno == EAGAIN) {
			if (wait_fd(w->fd, POLLIN, d, err) < 0)
				return -1;
		} else if (errno != EINTR) {
			return broken(w, errno, err);
		}
	}
}

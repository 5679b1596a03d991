#include "tests/support/fake_http.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Waits for `fd` or the end of the test. */
static bool can(struct fake_http *f, int fd, short events, int timeout_ms)
{
	struct pollfd p[2] = {{.fd = f->wake[0], .events = POLLIN}, {.fd = fd, .events = events}};
	return poll(p, 2, timeout_ms) > 0 && p[0].revents == 0;
}

/* Appends what comes to the connection's bytes; false at the end. */
static bool fill(struct fake_http *f, struct fake_connection *c)
{
	if (c->len == sizeof c->in || !can(f, c->fd, POLLIN, -1))
		return false;
	ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);
	c->len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void drop(struct fake_connection *c, size_t n)
{
	memmove(c->in, c->in + n, c->len - n);
	c->len -= n;
}

static bool send_all(struct fake_http *f, int fd, const char *p, size_t left)
{
	while (left > 0) {
		if (!can(f, fd, POLLOUT, -1))
			return false;
		ssize_t n = send(fd, p, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return false;
		f->sent += (uint64_t)n;
		p += n;
		left -= (size_t)n;
	}
	return true;
}

static void hang_up(struct fake_connection *c)
{
	close(c->fd);
	*c = (struct fake_connection){.fd = -1};
}

/* ---- requests ---- */

static void keep_body(struct fake_http *f, const char *bytes, size_t n)
{
	size_t room = f->body_bytes < sizeof f->body ? sizeof f->body - (size_t)f->body_bytes : 0;
	memcpy(f->body + (room > 0 ? f->body_bytes : 0), bytes, n < room ? n : room);
	f->body_bytes += n;
}

static bool read_bytes(struct fake_http *f, struct fake_connection *c, uint64_t left)
{
	while (left > 0) {
		if (c->len == 0 && !fill(f, c))
			return false;
		size_t n = c->len < left ? c->len : (size_t)left;
		keep_body(f, c->in, n);
		drop(c, n);
		left -= n;
	}
	return true;
}

/* The length of a line with its end; 0: there is none. */
static size_t line_len(struct fake_http *f, struct fake_connection *c)
{
	const char *eol;
	while ((eol = memchr(c->in, '\n', c->len)) == NULL)
		if (!fill(f, c))
			return 0;
	return (size_t)(eol - c->in) + 1;
}

static bool read_chunks(struct fake_http *f, struct fake_connection *c)
{
	for (;;) {
		size_t line = line_len(f, c);
		if (line == 0)
			return false;
		unsigned long long n = strtoull(c->in, NULL, 16);
		drop(c, line);
		if (n > 0 && !read_bytes(f, c, n))
			return false;
		line = line_len(f, c);
		if (line == 0)
			return false;
		drop(c, line);
		if (n == 0)
			return true;
	}
}

/* The head, as a string in `head`; false at the end. */
static bool read_head(struct fake_http *f, struct fake_connection *c, char *head, size_t cap)
{
	const char *end;
	while ((end = memmem(c->in, c->len, "\r\n\r\n", 4)) == NULL)
		if (!fill(f, c))
			return false;
	size_t n = (size_t)(end - c->in) + 4;
	if (n >= cap)
		return false;
	memcpy(head, c->in, n);
	head[n] = '\0';
	drop(c, n);
	if (f->heads_len + n < sizeof f->heads) {
		memcpy(f->heads + f->heads_len, head, n + 1);
		f->heads_len += n;
	}
	return true;
}

static bool go_on(struct fake_http *f, struct fake_connection *c, const char *head)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	return strcasestr(head, "\r\nExpect:") == NULL || send_all(f, c->fd, text, sizeof text - 1);
}

static bool read_body(struct fake_http *f, struct fake_connection *c, const char *head)
{
	const char *length = strcasestr(head, "\r\nContent-Length:");
	bool chunked = strcasestr(head, "\r\nTransfer-Encoding: chunked") != NULL;
	if (!go_on(f, c, head))
		return false;
	bool ok = true;
	if (chunked)
		ok = read_chunks(f, c);
	else if (length != NULL)
		ok = read_bytes(f, c, strtoull(length + 17, NULL, 10));
	if (chunked || length != NULL)
		ok ? f->whole++ : f->cut++;
	return ok;
}

/* ---- replies ---- */

static bool send_reply(struct fake_http *f, int fd, const struct fake_reply *r)
{
	size_t left = r->len > 0 ? r->len : strlen(r->bytes);
	for (const char *p = r->bytes; left > 0;) {
		size_t n = r->piece > 0 && r->piece < left ? r->piece : left;
		if (r->pause_ms > 0 && can(f, fd, 0, r->pause_ms))
			return false;
		if (!send_all(f, fd, p, n))
			return false;
		p += n;
		left -= n;
	}
	return true;
}

static void echo(struct fake_http *f, struct fake_connection *c, bool back)
{
	do {
		if (back && !send_all(f, c->fd, c->in, c->len))
			return;
		drop(c, c->len);
	} while (fill(f, c));
	if (back)
		(void)send_all(f, c->fd, "bye", 3);
}

/* So many bytes of it, whatever they are. */
static bool read_some(struct fake_http *f, struct fake_connection *c, const char *head, size_t left)
{
	if (left > 0 && !go_on(f, c, head))
		return false;
	while (left > 0) {
		if (c->len == 0 && !fill(f, c))
			return false;
		size_t n = c->len < left ? c->len : left;
		drop(c, n);
		left -= n;
	}
	return true;
}

static void serve(struct fake_http *f, struct fake_connection *c)
{
	static char head[sizeof c->in];
	size_t turn = f->answers < f->count ? f->answers : f->count - 1;
	const struct fake_reply *r = &f->replies[turn];
	if (!read_head(f, c, head, sizeof head) ||
	    !(r->early ? read_some(f, c, head, r->take) : read_body(f, c, head))) {
		hang_up(c);
		return;
	}
	f->answers++;
	if (r->before != NULL)
		r->before();
	bool ok = send_reply(f, c->fd, r);
	if (ok && (r->then == FAKE_ECHO || r->then == FAKE_DISCARD))
		echo(f, c, r->then == FAKE_ECHO);
	if (r->then == FAKE_RESET) {
		struct linger now = {.l_onoff = 1};
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
	if (r->then == FAKE_DEAF && ok)
		c->deaf = true;
	else if (r->then != FAKE_KEEP || !ok)
		hang_up(c);
}

static void take(struct fake_http *f)
{
	int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	f->connects++;
	for (size_t i = 0; i < FAKE_HTTP_CONNECTIONS; i++)
		if (f->connections[i].fd < 0) {
			f->connections[i].fd = fd;
			return;
		}
	close(fd);
}

static void *run(void *self)
{
	struct fake_http *f = self;
	for (;;) {
		struct pollfd p[FAKE_HTTP_CONNECTIONS + 2];
		p[0] = (struct pollfd){.fd = f->wake[0], .events = POLLIN};
		p[1] = (struct pollfd){.fd = f->listener, .events = POLLIN};
		for (size_t i = 0; i < FAKE_HTTP_CONNECTIONS; i++) {
			const struct fake_connection *c = &f->connections[i];
			p[i + 2] = (struct pollfd){.fd = c->deaf ? -1 : c->fd, .events = POLLIN};
		}
		if (poll(p, FAKE_HTTP_CONNECTIONS + 2, -1) < 0 || p[0].revents != 0)
			return NULL;
		for (size_t i = 0; i < FAKE_HTTP_CONNECTIONS; i++)
			if (p[i + 2].revents != 0)
				serve(f, &f->connections[i]);
		if (p[1].revents != 0)
			take(f);
	}
}

static void listen_at(struct fake_http *f, const char *unix_path)
{
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	struct sockaddr_in a = {.sin_family = AF_INET};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t len = sizeof a;
	const struct sockaddr *at = (const struct sockaddr *)&a;
	if (unix_path != NULL) {
		snprintf(u.sun_path, sizeof u.sun_path, "%s", unix_path);
		at = (const struct sockaddr *)&u;
		len = sizeof u;
		unlink(unix_path);
	}
	f->listener = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listener < 0 || bind(f->listener, at, len) < 0 || listen(f->listener, 16) < 0 ||
	    (unix_path == NULL && getsockname(f->listener, (struct sockaddr *)&a, &len) < 0))
		abort();
	if (unix_path != NULL)
		snprintf(f->url, sizeof f->url, "http://fake");
	else
		snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
}

void fake_http_start(struct fake_http *f, const struct fake_reply *replies, size_t count,
		     const char *unix_path)
{
	*f = (struct fake_http){.replies = replies, .count = count};
	for (size_t i = 0; i < FAKE_HTTP_CONNECTIONS; i++)
		f->connections[i].fd = -1;
	listen_at(f, unix_path);
	if (pipe(f->wake) < 0 || pthread_create(&f->thread, NULL, run, f) != 0)
		abort();
}

void fake_http_stop(struct fake_http *f)
{
	close(f->wake[1]);
	pthread_join(f->thread, NULL);
	close(f->wake[0]);
	close(f->listener);
	for (size_t i = 0; i < FAKE_HTTP_CONNECTIONS; i++)
		if (f->connections[i].fd >= 0)
			close(f->connections[i].fd);
}

#include "tests/support/fake_docker.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

enum { REQUEST_BYTES = 65536 };

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(char *text)
{
	char *to = text;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
			*to++ = (char)(hex(p[1]) * 16 + hex(p[2]));
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

/* "GET /v1.41/x HTTP/1.1" -> "GET /x" in `ret`. */
static void request_of(const char *head, char *ret, size_t cap)
{
	size_t method = strcspn(head, " ");
	const char *path = head + method + 1;
	size_t len = strcspn(path, " \r\n");
	if (path[1] == 'v' && path[2] >= '0' && path[2] <= '9') {
		size_t version = 1 + strcspn(path + 1, "/ \r\n");
		path += version;
		len -= version;
	}
	snprintf(ret, cap, "%.*s %.*s", (int)method, head, (int)len, path);
	decode(ret);
}

static const struct fake_route *route_of(struct fake_docker *f, const char *request)
{
	static const struct fake_route version = {
	    "GET /version", 200,
	    "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":"
	    "\"linux\"}",
	    NULL, 0};
	static const struct fake_route nothing = {"", 404, "{\"message\":\"no such thing\"}", NULL,
						  0};
	for (size_t i = 0; i < f->count; i++) {
		const struct fake_route *r = &f->routes[i];
		if (strncmp(request, r->request, strlen(r->request)) != 0 ||
		    (r->times != 0 && f->used[i] >= r->times))
			continue;
		f->used[i]++;
		return r;
	}
	return strcmp(request, version.request) == 0 ? &version : &nothing;
}

static void note(struct fake_docker *f, const char *request, const char *body)
{
	int n = snprintf(f->log + f->log_len, sizeof f->log - f->log_len, "%s %s\n", request, body);
	if (n > 0 && f->log_len + (size_t)n < sizeof f->log)
		f->log_len += (size_t)n;
}

const char FAKE_ECHO[] = "";

static void answer(int fd, const struct fake_route *r, const char *asked, bool head)
{
	char text[1024];
	const char *body = r->body == FAKE_ECHO ? asked : r->body;
	size_t len = body != NULL ? strlen(body) : 0;
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n"
			 "%s%sContent-Length: %zu\r\n\r\n",
			 r->status, r->header != NULL ? r->header : "",
			 r->header != NULL ? "\r\n" : "", r->status == 204 ? 0 : len);
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0 || head || len == 0 || r->status == 204)
		return;
	for (size_t sent = 0; sent < len;) {
		ssize_t m = send(fd, body + sent, len - sent, MSG_NOSIGNAL);
		if (m <= 0)
			return;
		sent += (size_t)m;
	}
}

static void serve(struct fake_docker *f, int fd)
{
	static char in[REQUEST_BYTES];
	char request[4096];
	size_t len = 0, want = SIZE_MAX;
	const char *end = NULL;
	bool told = false;
	while (len + 1 < sizeof in && len < want) {
		ssize_t n = recv(fd, in + len, sizeof in - 1 - len, 0);
		if (n <= 0)
			return;
		len += (size_t)n;
		in[len] = '\0';
		end = strstr(in, "\r\n\r\n");
		if (end == NULL)
			continue;
		/* As dockerd does: without it curl waits a second before it sends a body. */
		if (!told && strcasestr(in, "\r\nExpect: 100-continue") != NULL &&
		    send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) < 0)
			return;
		told = true;
		/* A tar's own bytes can't look like the last chunk at their very end: zeros are
		 * there. */
		if (strcasestr(in, "\r\nTransfer-Encoding: chunked") != NULL) {
			want =
			    len > 5 && memcmp(in + len - 5, "0\r\n\r\n", 5) == 0 ? len : SIZE_MAX;
			continue;
		}
		const char *length = strcasestr(in, "\r\nContent-Length:");
		want = (size_t)(end + 4 - in) +
		       (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
	}
	if (end == NULL)
		return;
	request_of(in, request, sizeof request);
	note(f, request, end + 4);
	answer(fd, route_of(f, request), end + 4, strncmp(request, "HEAD ", 5) == 0);
}

static void *run(void *arg)
{
	struct fake_docker *f = arg;
	for (;;) {
		struct pollfd fds[2] = {{.fd = f->listener, .events = POLLIN},
					{.fd = f->wake[0], .events = POLLIN}};
		if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
			return NULL;
		int fd = accept(f->listener, NULL, NULL);
		if (fd < 0)
			continue;
		serve(f, fd);
		close(fd);
	}
}

void fake_docker_start(struct fake_docker *f, const struct fake_route *routes, size_t count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*f = (struct fake_docker){.routes = routes, .count = count};
	assert_true(count <= sizeof f->used / sizeof *f->used);
	snprintf(f->folder, sizeof f->folder, "/tmp/fake-docker-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", f->folder);
	snprintf(f->host, sizeof f->host, "unix://%s/socket", f->folder);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(f->listener >= 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(f->listener, 16), 0);
	assert_int_equal(pipe(f->wake), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

void fake_docker_stop(struct fake_docker *f)
{
	char path[128];
	if (f->listener < 0)
		return;
	close(f->wake[1]);
	pthread_join(f->thread, NULL);
	close(f->wake[0]);
	close(f->listener);
	f->listener = -1;
	snprintf(path, sizeof path, "%s/socket", f->folder);
	unlink(path);
	rmdir(f->folder);
}

size_t fake_docker_asked(const struct fake_docker *f, const char *request)
{
	size_t n = 0;
	for (const char *line = f->log; line != NULL && *line != '\0';) {
		n += strncmp(line, request, strlen(request)) == 0;
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return n;
}

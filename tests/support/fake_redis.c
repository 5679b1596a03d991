#include "tests/support/fake_redis.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_line(FILE *in, char *line, int cap)
{
	if (fgets(line, cap, in) == NULL)
		return -1;
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

/* "*2\r\n$4\r\nINFO\r\n…" into "INFO …". */
static int read_request(FILE *in, char *out, size_t cap)
{
	char line[512];
	size_t len = 0;
	if (read_line(in, line, sizeof line) < 0 || line[0] != '*')
		return -1;
	for (long words = strtol(line + 1, NULL, 10); words > 0; words--) {
		if (read_line(in, line, sizeof line) < 0 || read_line(in, line, sizeof line) < 0)
			return -1;
		int n = snprintf(out + len, cap - len, "%s%s", len > 0 ? " " : "", line);
		len += n > 0 && (size_t)n < cap - len ? (size_t)n : 0;
	}
	return 0;
}

static int put(struct fake_redis *f, int fd, const char *p, size_t left, size_t piece)
{
	while (left > 0) {
		size_t n = piece > 0 && piece < left ? piece : left;
		if (f->cut_after > 0 && f->sent + n > f->cut_after)
			n = f->cut_after - f->sent;
		if (n == 0)
			return -1;
		f->sent += n;
		if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
			return -1;
		p += n;
		left -= n;
		/* So that the pieces arrive as pieces. */
		if (piece > 0)
			poll(NULL, 0, 1);
	}
	return 0;
}

static int answer(struct fake_redis *f, int fd, const struct fake_rule *rule)
{
	if (++f->answers == f->call_at)
		f->call();
	char head[32] = "";
	const char *tail = rule->bulk ? "\r\n" : "";
	if (rule->bulk)
		snprintf(head, sizeof head, "$%zu\r\n", strlen(rule->reply));
	if (put(f, fd, head, strlen(head), 0) < 0 ||
	    put(f, fd, rule->reply, strlen(rule->reply), rule->piece) < 0 ||
	    put(f, fd, tail, strlen(tail), 0) < 0)
		return -1;
	return rule->hang_up ? -1 : 0;
}

static struct fake_rule *find_rule(struct fake_redis *f, const char *request)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fake_rule *r = &f->rules[i];
		if (strncmp(request, r->request, strlen(r->request)) == 0 &&
		    (r->times == 0 || r->used < r->times)) {
			r->used++;
			return r;
		}
	}
	return NULL;
}

static void *serve(void *self)
{
	static struct fake_rule unknown = {.reply = "-ERR unknown command\r\n"};
	struct fake_redis *f = self;
	char request[1024];
	int fd = accept(f->listener, NULL, NULL);
	FILE *in = fd >= 0 ? fdopen(dup(fd), "r") : NULL;
	/* Else the parts of an answer wait for each other's receipt. */
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	size_t seen = 0;
	while (in != NULL && read_request(in, request, sizeof request) == 0) {
		int n = snprintf(f->seen + seen, sizeof f->seen - seen, "%s\n", request);
		seen += n > 0 && (size_t)n < sizeof f->seen - seen ? (size_t)n : 0;
		struct fake_rule *rule = find_rule(f, request);
		if (answer(f, fd, rule != NULL ? rule : &unknown) < 0)
			break;
	}
	if (in != NULL)
		fclose(in);
	if (fd >= 0)
		close(fd);
	return NULL;
}

void fake_redis_start(struct fake_redis *f, struct fake_rule *rules, size_t count)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	*f = (struct fake_redis){.rules = rules, .count = count};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listener < 0 || bind(f->listener, (const struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(f->listener, (struct sockaddr *)&a, &len) < 0 ||
	    listen(f->listener, 4) < 0 || pthread_create(&f->thread, NULL, serve, f) != 0)
		abort();
	snprintf(f->url, sizeof f->url, "redis://127.0.0.1:%u/0", (unsigned)ntohs(a.sin_port));
}

void fake_redis_stop(struct fake_redis *f)
{
	/* Wakes an accept that nobody ever called. */
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
}

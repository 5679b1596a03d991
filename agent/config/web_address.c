#include "agent/config/web_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"

enum { BACKLOG = 1024, TOKEN_MIN = 16 };

static int wrong(const char *text, struct err *err)
{
	err_set(err, ERR_CONFIG, "'listen' in [agent]: '%s' is not ADDRESS:PORT", text);
	return err_hint(err, "Write 127.0.0.1:8094, [::1]:8094, or off.");
}

static bool parse_port(const char *text, uint16_t *ret)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (*end != '\0' || errno != 0 || n > UINT16_MAX)
		return false;
	*ret = (uint16_t)n;
	return true;
}

int web_address_parse(const char *text, struct web_address *ret, struct err *err)
{
	struct web_address a = {.len = 0};
	const char *colon = strrchr(text, ':');
	CLEANUP(freep) char *host = NULL;
	uint16_t port;
	if (colon == NULL || !parse_port(colon + 1, &port))
		return wrong(text, err);
	size_t len = (size_t)(colon - text);
	bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (str_dupn(text + v6, len - (v6 ? 2 : 0), &host, err) < 0)
		return -1;
	if (v6) {
		struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
		if (inet_pton(AF_INET6, host, &in.sin6_addr) != 1)
			return wrong(text, err);
		a.loopback = IN6_IS_ADDR_LOOPBACK(&in.sin6_addr) != 0;
		a.len = sizeof in;
		memcpy(&a.sa, &in, sizeof in);
	} else {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
		const char *numbers = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
		if (inet_pton(AF_INET, numbers, &in.sin_addr) != 1)
			return wrong(text, err);
		a.loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
		a.len = sizeof in;
		memcpy(&a.sa, &in, sizeof in);
	}
	*ret = a;
	return 0;
}

int web_address_check(const char *listen, const char *token, const char *tls_cert,
		      const char *tls_key, struct web_address *ret, struct err *err)
{
	struct web_address a = {.len = 0};
	bool has_token = token != NULL && token[0] != '\0';
	bool off = listen == NULL || strcmp(listen, "off") == 0;
	if (!off && web_address_parse(listen, &a, err) < 0)
		return -1;
	if ((tls_cert != NULL) != (tls_key != NULL)) {
		err_set(err, ERR_CONFIG, "'%s' without '%s' in [agent]",
			tls_cert != NULL ? "tls_cert" : "tls_key",
			tls_cert != NULL ? "tls_key" : "tls_cert");
		return err_hint(err, "A page by https needs both.");
	}
	if (has_token && strlen(token) < TOKEN_MIN) {
		err_set(err, ERR_CONFIG, "'token' in [agent] has less than %d characters",
			TOKEN_MIN);
		return err_hint(err, "openssl rand -hex 16 makes a good one.");
	}
	if (!off && !a.loopback && !has_token && tls_cert == NULL) {
		err_set(err, ERR_CONFIG,
			"'listen' in [agent]: others can reach '%s', and there is no token",
			listen);
		return err_hint(err, "Set token, or tls_cert and tls_key, or listen on 127.0.0.1.");
	}
	*ret = a;
	return 0;
}

int web_address_listen(const struct web_address *a, const char *text, int *ret_fd, struct err *err)
{
	int yes = 1;
	CLEANUP(fd_closep)
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
		return err_sys(err, ERR_IO, errno, "%s", text);
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0 && listen(fd, BACKLOG) == 0) {
		*ret_fd = fd;
		fd = -1;
		return 0;
	}
	int why = errno;
	err_sys(err, why == EADDRINUSE ? ERR_EXISTS : ERR_CONFIG, why, "%s", text);
	if (why != EADDRINUSE)
		return -1;
	return err_hint(err, "Another program listens there: choose another port for 'listen' in "
			     "[agent], or off.");
}

bool web_address_host_is_plain(const char *host)
{
	char name[64];
	struct in6_addr v6;
	struct in_addr v4;
	if (host == NULL)
		return true;
	const char *from = host, *end;
	if (host[0] == '[') {
		from++;
		end = strchr(from, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
	} else {
		end = host + strcspn(host, ":");
	}
	size_t len = (size_t)(end - from);
	if (len >= sizeof name)
		return false;
	memcpy(name, from, len);
	name[len] = '\0';
	if (host[0] == '[')
		return inet_pton(AF_INET6, name, &v6) == 1;
	return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &v4) == 1;
}

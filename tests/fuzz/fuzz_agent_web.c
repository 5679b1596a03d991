/* Requests from anywhere: each is answered or its connection closed, and without the token nothing
 * but "ok" and refusals comes. The first byte says whether a token is asked for. */
#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/daemon/web.h"
#include "agent/config/web_address.h"
#include "base/buf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPEN, GUARDED, SERVERS };
enum { ROUNDS = 8 };
static struct web *servers[SERVERS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct err err = ERR_INIT;
	for (int i = 0; i < SERVERS; i++) {
		struct web_opts opts = {.listen = "127.0.0.1:0",
					.token = i == GUARDED ? "0123456789abcdef" : NULL,
					.config_path = "agent.conf",
					.program = "/bin/false"};
		int rc = web_start(&opts, &servers[i], &err);
		assert(rc == 0);
	}
	return 0;
}

static void check_text(const uint8_t *data, size_t size)
{
	CLEANUP(freep) char *text = NULL;
	struct err err = ERR_INIT;
	struct web_address a;
	if (str_dupn((const char *)data, size, &text, &err) < 0)
		return;
	web_address_host_is_plain(text);
	assert(web_address_parse(text, &a, &err) == 0 || err.code == ERR_CONFIG);
}

static int connected(const struct web *w)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)web_port(w))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger now = {.l_onoff = 1};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int rc = connect(fd, (const struct sockaddr *)&to, sizeof to);
	assert(rc == 0);
	/* No port is left waiting for late packets. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char answer[1 << 14];
	size_t got = 0;
	if (size < 2 || size > 1 << 15)
		return 0;
	struct web *w = servers[data[0] % SERVERS];
	check_text(data + 1, size - 1);
	int fd = connected(w);
	ssize_t sent = send(fd, data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent;
	shutdown(fd, SHUT_WR);
	/* A head that is not complete is waited for, and so is a document: then the client goes. */
	for (int round = 0; round < ROUNDS; round++) {
		web_run(w);
		ssize_t n = recv(fd, answer + got, sizeof answer - 1 - got, MSG_DONTWAIT);
		if (n > 0)
			got += (size_t)n;
		if (n == 0 || got == sizeof answer - 1)
			break;
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
				     {.fd = web_fd(w), .events = POLLIN}};
		if (n < 0 && poll(p, 2, 1) < 0)
			break;
	}
	answer[got] = '\0';
	/* It sees the end, and gives back what it held. */
	close(fd);
	for (int round = 0; round < 4; round++)
		web_run(w);
	assert(got == 0 || strncmp(answer, "HTTP/1.", 7) == 0);
	if (data[0] % SERVERS == GUARDED && strstr(answer, " 200 ") != NULL)
		assert(strstr(answer, "\r\n\r\nok\n") != NULL);
	return 0;
}

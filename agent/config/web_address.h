/* Where the web server listens, and who may ask it by which name. */
#ifndef LIFEBOAT_AGENT_CONFIG_WEB_ADDRESS_H
#define LIFEBOAT_AGENT_CONFIG_WEB_ADDRESS_H

#include <sys/socket.h>
#include "base/err.h"

struct web_address {
	struct sockaddr_storage sa;
	socklen_t len;
	bool loopback;
};

/* "127.0.0.1:8094", "[::1]:8094", "localhost:8094", "0.0.0.0:8094". ERR_CONFIG. */
int web_address_parse(const char *text, struct web_address *ret, struct err *err) MUST_USE;

/* Settings of [agent] that only go together: an address that others can reach needs a token or TLS.
 * `listen` NULL or "off": nothing to check, *ret->len is 0. ERR_CONFIG. */
int web_address_check(const char *listen, const char *token, const char *tls_cert,
		      const char *tls_key, struct web_address *ret, struct err *err) MUST_USE;

/* A listening socket that does not block. ERR_EXISTS when the port is taken. */
int web_address_listen(const struct web_address *a, const char *text, int *ret_fd, struct err *err)
    MUST_USE;

/* Is the Host header localhost or a bare address? A page of somebody else's, led to this address by
 * a name of its own (DNS rebinding), says another. NULL is fine: no browser leaves it out. */
bool web_address_host_is_plain(const char *host);

#endif

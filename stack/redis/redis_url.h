/*
 * Connection strings of Redis, taken apart.
 *
 *   redis://[[user]:password@]host[:port][/db]
 *   rediss://…?cacert=FILE&cert=FILE&key=FILE&verify=no        TLS
 *   unix://[[user]:password@]/path/to/socket[?db=N]
 *
 * %XX stands for a byte anywhere but in the port and the database. An IPv6 address is in brackets.
 */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_URL_H
#define LIFEBOAT_STACK_REDIS_REDIS_URL_H

#include <stdint.h>
#include "base/err.h"
#include "base/secret.h"

struct redis_url {
	bool tls;
	char *host;    /* NULL: a socket */
	char *address; /* where it is reached, whatever the host; NULL: by the host's name */
	char *socket;  /* NULL: a host */
	uint16_t port;
	unsigned db;
	char *user; /* NULL: none */
	struct secret password;
	char *cacert, *cert, *key; /* files of PEM, or NULL */
	bool no_verify;
};

/* ERR_CONFIG says what is wrong, never the password. */
int redis_url_parse(const char *text, struct redis_url *ret, struct err *err) MUST_USE;
void redis_url_done(struct redis_url *u);
/* "host:port" or the path of the socket: for messages. A new string. */
int redis_url_name(const struct redis_url *u, char **ret, struct err *err) MUST_USE;

#endif

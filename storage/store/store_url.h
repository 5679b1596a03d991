/*
 * The url of a store that is reached over a network, taken apart.
 *
 *  1. store_url_parse("sftp://backup@nas:2222/srv/hdms", 22, &u, err)
 *  2. store_url_done(&u)
 *
 * A password in it is refused, and so are a query and a fragment. Messages never repeat the url.
 */
#ifndef LIFEBOAT_STORAGE_STORE_STORE_URL_H
#define LIFEBOAT_STORAGE_STORE_STORE_URL_H

#include <stdint.h>
#include "base/err.h"

struct store_url {
	char *user; /* NULL: none */
	char *host; /* an IPv6 address in brackets */
	char *path; /* decoded; begins with '/', and ends with one only where that is all */
	uint16_t port;
};
/* ERR_CONFIG, with a hint that shows how one is written. */
int store_url_parse(const char *url, uint16_t default_port, struct store_url *ret, struct err *err)
    MUST_USE;
void store_url_done(struct store_url *u);
/* Is that host this machine itself: localhost, 127.…, [::1]? */
bool store_url_is_loopback(const struct store_url *u);

#endif

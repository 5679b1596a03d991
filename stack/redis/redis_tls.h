/*
 * TLS on a connected, non-blocking socket by OpenSSL. Part of redis_wire.
 *
 * The server's certificate must be good for the host that was asked for and lead to an authority of
 * `cacert`, or of the system when none is given; `verify=no` turns both off.
 */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_TLS_H
#define LIFEBOAT_STACK_REDIS_REDIS_TLS_H

#include <stddef.h>
#include "base/clock.h"
#include "stack/redis/redis_url.h"

struct redis_tls;
/* The socket stays the caller's. ERR_CONFIG for files, ERR_UNREACHABLE for the handshake. */
int redis_tls_open(int fd, const struct redis_url *url, const char *name, struct deadline d,
		   struct redis_tls **ret, struct err *err) MUST_USE;
int redis_tls_write(struct redis_tls *t, const void *data, size_t len, struct deadline d,
		    struct err *err) MUST_USE;
int redis_tls_read(struct redis_tls *t, void *buf, size_t cap, size_t *ret_n, struct deadline d,
		   struct err *err) MUST_USE;
void redis_tls_free(struct redis_tls *t);

#endif

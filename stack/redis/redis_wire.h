/*
 * Bytes to and from Redis over TCP, TLS or a Unix socket, all with the same deadlines and the same
 * cancellation.
 *
 *  1. redis_wire_open(&url, name, deadline, &w, err)
 *  2. redis_wire_write, redis_wire_read
 *  3. redis_wire_free
 *
 * hiredis formats requests and parses replies above this; it never sees the socket, so TLS needs
 * nothing of it and the replication stream can be read raw.
 */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_WIRE_H
#define LIFEBOAT_STACK_REDIS_REDIS_WIRE_H

#include <stddef.h>
#include "base/clock.h"
#include "stack/redis/redis_url.h"

struct redis_wire;
/* `name` is for messages. ERR_UNREACHABLE (also when the name is unknown or TLS fails), ERR_CONFIG
 * (a file of the TLS options), ERR_TIMEOUT, ERR_CANCELLED. */
int redis_wire_open(const struct redis_url *url, const char *name, struct deadline d,
		    struct redis_wire **ret, struct err *err) MUST_USE;
/* All of `len`. */
int redis_wire_write(struct redis_wire *w, const void *data, size_t len, struct deadline d,
		     struct err *err) MUST_USE;
/* What there is, at most `cap`. *ret_n == 0: the server closed. */
int redis_wire_read(struct redis_wire *w, void *buf, size_t cap, size_t *ret_n, struct deadline d,
		    struct err *err) MUST_USE;
void redis_wire_free(struct redis_wire *w);
DEFINE_CLEANUP(struct redis_wire, redis_wire_free)

#endif

/*
 * A throw-away Redis server: in a temporary folder, on a free port of 127.0.0.1 and on a Unix
 * socket, as redis-server of this machine, with nothing persistent unless asked for.
 *
 *  1. live_redis_start(&l, (const char *const[]){"--requirepass", "x", NULL})   or NULL
 *  2. l.url, l.port, l.socket
 *  3. live_redis_stop(&l)            stopped by pid, folder removed
 *
 * Anything that fails ends the test.
 */
#ifndef LIFEBOAT_TESTS_LIVE_REDIS_H
#define LIFEBOAT_TESTS_LIVE_REDIS_H

#include <stdint.h>
#include "base/child.h"

struct live_redis {
	struct child *child;
	char dir[128], data[160], socket[160], url[64];
	uint16_t port;
};

void live_redis_start(struct live_redis *l, const char *const *more);
/* The same with its data in a folder that is there already and stays. It may still be loading. */
void live_redis_start_in(struct live_redis *l, const char *data, const char *const *more);
void live_redis_stop(struct live_redis *l);
/* SIGKILL, as a power cut would. */
void live_redis_kill(struct live_redis *l);
/* A port that was free a moment ago. */
uint16_t live_redis_free_port(void);

#endif

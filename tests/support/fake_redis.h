/*
 * A server of one connection that answers as a test tells it: for what a real Redis can't be made
 * to say on cue.
 *
 *  1. fake_redis_start(&f, rules, count)    rules are asked in order; the first that fits answers
 *  2. f.url
 *  3. fake_redis_stop(&f)                   after the client has gone
 *
 * A request is its words joined by blanks; a rule fits when the request begins with `request` and
 * the rule was used less than `times` times (0: any number). No rule: "-ERR unknown command".
 */
#ifndef LIFEBOAT_TESTS_FAKE_REDIS_H
#define LIFEBOAT_TESTS_FAKE_REDIS_H

#include <pthread.h>
#include <stddef.h>

struct fake_rule {
	const char *request;
	const char *reply;
	unsigned times;
	size_t piece; /* the reply goes out in pieces of so many bytes; 0: at once */
	int bulk;     /* send it as one string: "$N", the bytes */
	int hang_up;  /* close behind it */
	unsigned used;
};

struct fake_redis {
	pthread_t thread;
	int listener;
	struct fake_rule *rules;
	size_t count;
	char url[64];
	char seen[8192]; /* requests, a line each */
	/* Set between start and the first connection: */
	size_t cut_after; /* hang up when so many bytes went out; 0: never */
	unsigned call_at; /* call `call` before this answer, counted from 1; 0: never */
	void (*call)(void);
	size_t sent;
	unsigned answers;
};

void fake_redis_start(struct fake_redis *f, struct fake_rule *rules, size_t count);
void fake_redis_stop(struct fake_redis *f);

#endif

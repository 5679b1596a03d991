/*
 * A Docker daemon of a few answers: a thread on a Unix socket that finds the answer to a request by
 * the beginning of "METHOD /path?query", without the version and percent-decoded.
 *
 * What was asked is for looking at after fake_docker_stop. "GET /version" has an answer already;
 * what no route knows is 404.
 */
#ifndef LIFEBOAT_TESTS_FAKE_DOCKER_H
#define LIFEBOAT_TESTS_FAKE_DOCKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* As the body of an answer: what was asked comes back. */
extern const char FAKE_ECHO[];

struct fake_route {
	const char *request; /* "GET /containers/json" */
	int status;
	const char *body;   /* NULL: none */
	const char *header; /* one more header, or NULL */
	unsigned times;     /* how often; then the next route that fits. 0: always */
};

struct fake_docker {
	pthread_t thread;
	int listener, wake[2];
	char folder[64], host[128]; /* "unix:///…" */
	const struct fake_route *routes;
	size_t count;
	unsigned used[64];
	char log[65536]; /* "METHOD /path body\n" each */
	size_t log_len;
};

void fake_docker_start(struct fake_docker *f, const struct fake_route *routes, size_t count);
/* Fine more than once. */
void fake_docker_stop(struct fake_docker *f);
/* How many requests begin with this? After fake_docker_stop. */
size_t fake_docker_asked(const struct fake_docker *f, const char *request);

#endif

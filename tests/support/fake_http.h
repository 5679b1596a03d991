/*
 * An HTTP server that says what it is told, byte by byte: a thread that listens on a loopback port
 * or a Unix socket and gives the replies of its script in order, the last one for ever.
 *
 * What it saw is for looking at after fake_http_stop.
 */
#ifndef LIFEBOAT_TESTS_FAKE_HTTP_H
#define LIFEBOAT_TESTS_FAKE_HTTP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_then {
	FAKE_KEEP,    /* waits for the next request on the connection */
	FAKE_CLOSE,   /* closes */
	FAKE_RESET,   /* closes so that the other side sees a reset (TCP) */
	FAKE_ECHO,    /* sends back what comes until that ends, then "bye", then closes */
	FAKE_DISCARD, /* reads until the end, then closes */
	FAKE_DEAF     /* neither reads nor closes */
};

struct fake_reply {
	const char *bytes;
	size_t len;   /* 0: of a string */
	bool early;   /* without reading the request's body, or after `take` bytes of it */
	size_t take;  /* as they come, chunk sizes and all */
	size_t piece; /* in pieces of so many bytes; 0: at once */
	int pause_ms; /* before each piece */
	enum fake_then then;
	void (*before)(void); /* called before it; NULL: nothing is */
};

enum { FAKE_HTTP_CONNECTIONS = 16 };

struct fake_http {
	pthread_t thread;
	int listener;
	int wake[2];
	const struct fake_reply *replies;
	size_t count;
	char url[64]; /* "http://127.0.0.1:port"; "http://fake" of a Unix socket */

	struct fake_connection {
		int fd;
		bool deaf;
		size_t len;
		char in[20000]; /* what came behind the last request */
	} connections[FAKE_HTTP_CONNECTIONS];

	/* What it saw. */
	size_t connects;
	size_t answers;
	uint64_t sent;     /* bytes of replies that the other side's system took */
	char heads[16384]; /* of requests, as they came */
	size_t heads_len;
	char body[16384];    /* the first bytes of all bodies */
	uint64_t body_bytes; /* without chunks */
	size_t whole, cut;   /* bodies that ended, and those that broke off */
};

/* `unix_path` may be NULL. */
void fake_http_start(struct fake_http *f, const struct fake_reply *replies, size_t count,
		     const char *unix_path);
void fake_http_stop(struct fake_http *f);

#endif

/*
 * A throw-away PostgreSQL for tests: a fresh cluster in a temporary folder, on a free port of
 * 127.0.0.1 and on a socket in that folder.
 *
 *  1. live_postgres_start(&pg, settings, &err)    initdb and start; it is not ready yet
 *  2. live_postgres_url(&pg, user, password, …)
 *  3. live_postgres_stop(&pg)                     stops it and removes the folder
 *
 * The superuser is `postgres`: by the socket without a password, by TCP with "secret".
 */
#ifndef LIFEBOAT_TESTS_LIVE_POSTGRES_H
#define LIFEBOAT_TESTS_LIVE_POSTGRES_H

#include "base/child.h"

struct live_postgres {
	char dir[128]; /* holds data/ and the socket */
	char bin[128]; /* where initdb, pg_dump … are */
	unsigned port;
	struct child *server;
	struct identity identity;
	bool as_other; /* it runs as `identity`, since we are root */
};

/* `settings` are "name=value", NULL-terminated, or NULL. ERR_ABSENT: no PostgreSQL is installed. */
int live_postgres_start(struct live_postgres *pg, const char *const *settings, struct err *err)
    MUST_USE;
void live_postgres_stop(struct live_postgres *pg);
/* The major version of the newest PostgreSQL that is installed; 0: none is. */
unsigned live_postgres_newest(void);
/* By TCP; into `out`. Returns out. */
char *live_postgres_url(const struct live_postgres *pg, const char *user, const char *password,
			const char *db, char *out, size_t cap);
/* By the socket. */
char *live_postgres_socket_url(const struct live_postgres *pg, const char *user, const char *db,
			       char *out, size_t cap);
/* "<bin>/<name>", into `out`. Returns out. */
char *live_postgres_tool(const struct live_postgres *pg, const char *name, char *out, size_t cap);
/* A port of 127.0.0.1 that nobody listens on at the moment. */
unsigned live_free_port(void);
/* A socket that is bound to a port on which nobody can listen while it is open; close it. */
int live_closed_port(unsigned *ret_port);
/* A socket that listens there and never accepts; close it. */
int live_listen(unsigned *ret_port);

#endif

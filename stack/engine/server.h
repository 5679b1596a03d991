/*
 * Throw-away servers on restored volumes, reachable by the agent alone.
 *
 *  1. engine_server_new       reserves a port and a work folder; nothing runs
 *  2. server_start            starts it; does not wait until it is ready: the component's own door
 *                             does that by asking
 *  3. server_stop             then server_start again for a restart: port and work folder stay
 *     server_free             at any time
 */
#ifndef LIFEBOAT_STACK_ENGINE_SERVER_H
#define LIFEBOAT_STACK_ENGINE_SERVER_H

#include "base/clock.h"

struct server;
struct server_spec {
	const char *volume; /* its data; postgres: PGDATA; pgbouncer: NULL, or its folder */
	/* Further volumes that it must see, at server_volume_path; NULL or NULL-terminated. */
	const char *const *others;
	unsigned port; /* production's; used where engine_keeps_names says so. 0: the usual one */
	/* pgbouncer, where engine_keeps_names: path of the ini file to run on, instead of settings.
	 */
	const char *config;
	/* postgres: `-c` pairs "name=value"; redis: directives "name value"; pgbouncer: the text of
	 * the ini file to run on is settings[0], then pairs of name and text of further files in
	 * the work folder. NULL-terminated. Address, port, socket folder, pid and log file are
	 * added by the engine (pgbouncer: they must be in the text), and a PostgreSQL is kept from
	 * archiving, subscribing and waiting for standbys. */
	const char *const *settings;
	/* postgres: text of the pg_hba.conf to use instead of the volume's; NULL: the volume's. */
	const char *hba;
	/* postgres: text of the postgresql.conf to use instead of the volume's; NULL: the volume's.
	 */
	const char *conf;
	/* postgres: nobody but us, who come by its socket, has to reach it. On an engine whose
	 * servers share this machine's addresses it then listens on none. */
	bool by_socket;
	bool leave_running; /* it can outlive us (restore --up): see server_leave */
};

int server_start(struct server *s, const struct server_spec *spec, struct err *err) MUST_USE;
/* How the agent reaches it: an address and a port, known once it was started. */
const char *server_host(const struct server *s);
unsigned server_port(const struct server *s);
/* The same for the agent's libpq: a folder with the server's socket that only we can enter, or an
 * address. Known before the start. */
const char *server_door(const struct server *s);
/* Where server_door is an address: the address that the server sees us come from, and nobody else;
 * NULL: we come by its socket. */
const char *server_peer(const struct server *s);
/* Folder of its socket as tools beside it see it. */
const char *server_socket_dir(const struct server *s);
/* Where the server sees `volume`, which stands in its spec. New string. */
int server_volume_path(struct server *s, const char *volume, char **ret, struct err *err) MUST_USE;
/* Folder for sockets, pid and log files, as the server itself sees it; its user's, mode 0700. */
const char *server_work_dir(const struct server *s);
long server_pid(const struct server *s); /* 0 while it does not run */
/* 0 while it runs; else ERR_FAILED with the last lines of its log. */
int server_check(struct server *s, struct err *err) MUST_USE;
/* Waits for the stack's own health check, where the engine runs one: ERR_FAILED when it says
 * unhealthy, with what the check printed; ERR_TIMEOUT. Nothing to wait for is fine. */
int server_wait_healthy(struct server *s, struct deadline d, struct err *err) MUST_USE;
/* The last lines of its log, for messages. Borrowed until the next call. */
const char *server_log_tail(struct server *s);
/* Clean shutdown (postgres: fast; redis: SIGTERM, which saves nothing when it was started with
 * `save ""`), at most `grace_ms`, then ERR_TIMEOUT and it is killed. Not running is fine. */
int server_stop(struct server *s, int64_t grace_ms, struct err *err) MUST_USE;
/* Commits a server started with leave_running: it stays, and so does its work folder (sockets,
 * log); server_free then only forgets it. */
int server_leave(struct server *s, struct err *err) MUST_USE;
/* Kills what still runs and removes its work folder, unless server_leave said otherwise. */
void server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free)

#endif

/*
 * The web server of `lifeboat run`: read-only, in the daemon's own loop, without a thread.
 *
 *   /                       the page (page.h)
 *   /backups/ID             what one backup holds
 *   /metrics                for Prometheus
 *   /api/v1/status, /api/v1/backups/ID    what `status --json` and `show ID --json` print
 *   /healthz                "ok": this process answers
 *
 *  1. web_start(&opts, &web, err)
 *  2. poll web_fd for reading, at most until web_due; then web_run
 *  3. web_free
 *
 * Documents are made by a child process, `lifeboat status` or `show`, and kept for some seconds in
 * files without a name: requests cost next to nothing, a store that is slow or a child that dies
 * blocks nobody, and the memory of the daemon does not grow with them.
 */
#ifndef LIFEBOAT_AGENT_DAEMON_WEB_H
#define LIFEBOAT_AGENT_DAEMON_WEB_H

#include "base/clock.h"

struct web_opts {
	const char *listen;             /* "127.0.0.1:8094"; port 0: any */
	const char *token;              /* NULL: none */
	const char *tls_cert, *tls_key; /* paths; both or none */
	const char *config_path;
	const int *config_fd; /* of the text that counts; NULL or -1: the file's */
	const char *program;  /* NULL: this one */
};

struct web;
/* ERR_CONFIG when others could reach it and neither token nor TLS is there; ERR_EXISTS when the
 * port is taken. The strings are copied. */
int web_start(const struct web_opts *opts, struct web **ret, struct err *err) MUST_USE;
void web_free(struct web *w);
DEFINE_CLEANUP(struct web, web_free)

int web_fd(const struct web *w);
struct deadline web_due(const struct web *w);
void web_run(struct web *w);
unsigned web_port(const struct web *w);

#endif

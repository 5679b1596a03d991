/*
 * A throw-away WebDAV server: Apache or nginx of this machine, on a free port of 127.0.0.1, with a
 * configuration, certificate and user of its own.
 *
 *  1. live_webdav_start(&l, (struct live_webdav_opts){.server = LIVE_APACHE, .auth = "Digest"})
 *  2. l.url ("dav://127.0.0.1:port/dav" or davs://…), l.folder is what that serves
 *  3. live_webdav_stop(&l)                 stopped by pid, all files removed
 *
 * Who asks is LIVE_WEBDAV_USER with LIVE_WEBDAV_PASSWORD. Anything that fails ends the test.
 */
#ifndef LIFEBOAT_TESTS_LIVE_WEBDAV_H
#define LIFEBOAT_TESTS_LIVE_WEBDAV_H

#include <stdint.h>
#include "base/child.h"
#include "tests/support/temp_dir.h"

#define LIVE_WEBDAV_USER     "backup"
#define LIVE_WEBDAV_PASSWORD "open sesame"

enum live_webdav_server { LIVE_APACHE, LIVE_NGINX };

struct live_webdav_opts {
	enum live_webdav_server server;
	const char *auth;   /* "Basic", "Digest" (Apache); NULL: everybody may */
	bool tls;           /* by a certificate for 127.0.0.1 that signs itself */
	const char *folder; /* to be served; NULL: one of its own */
	const char *more;   /* lines of its configuration, for the folder; NULL: none */
};

struct live_webdav {
	struct child *child;
	struct temp_dir dir;
	struct live_webdav_opts opts;
	uint16_t port;
	char folder[TEMP_DIR_BYTES + 16], certificate[TEMP_DIR_BYTES + 16], url[64];
};

void live_webdav_start(struct live_webdav *l, struct live_webdav_opts opts);
void live_webdav_stop(struct live_webdav *l);
/* To all its processes. */
void live_webdav_signal(struct live_webdav *l, int signal_number);
/* Makes `path` the server's own. */
void live_webdav_own(const char *path);

#endif

/*
 * The door to PgBouncer: its admin console by libpq (simple protocol only), its ini files.
 *
 *  1. pgbouncer_console(url, …) or a configured folder tells where pgbouncer.ini is
 *  2. pgbouncer_collect follows %include, auth_file, HBA, ident and TLS files
 *  3. for a sandbox, pgbouncer_rewrite makes a copy of the configuration that listens elsewhere and
 *     points every database at the sandbox; the restored files themselves stay as they were
 *
 * Source of the ini format: doc/config.md and src/util of PgBouncer (libusual cfparser.c).
 */
#ifndef LIFEBOAT_STACK_PGBOUNCER_PGBOUNCER_H
#define LIFEBOAT_STACK_PGBOUNCER_PGBOUNCER_H

#include "base/clock.h"
#include "base/json.h"

struct pgbouncer_opts {
	const char *url; /* an application's url through it: user, password, host, port, database */
	const char *admin_url; /* of the console; NULL: `url` with database pgbouncer */
	const char *config;    /* path of pgbouncer.ini; NULL: ask the console */
	int64_t connect_timeout_ms;
};

/* One object: "version", "conffile", "auth_file" … (everything of SHOW CONFIG, as text or null),
 * "databases" and "pools" (rows of SHOW DATABASES and SHOW POOLS, without passwords). ERR_DENIED
 * when the user may not use the console. */
int pgbouncer_describe(const struct pgbouncer_opts *opts, json_t **ret, struct err *err) MUST_USE;

/* How files are reached: the engine's door, or a map in tests. Appends the content. */
typedef int pgbouncer_read_fn(void *ctx, const char *path, struct buf *out, struct err *err);

/* Starting from the ini file: [{"path","role":"ini"|"include"|"auth"|"hba"|"ident"|"tls",
 * "setting"}], each file once; the ini has no "setting". Relative paths are as PgBouncer takes
 * them: relative to its working directory, `cwd` (NULL: the ini's folder). A named file that does
 * not exist is ERR_ABSENT with the line that names it. */
int pgbouncer_collect(const char *ini_path, const char *cwd, pgbouncer_read_fn *read, void *ctx,
		      json_t **ret, struct err *err) MUST_USE;

struct pgbouncer_sandbox {
	const char *pg_host; /* host of the sandbox's PostgreSQL, for entries with a TCP host */
	unsigned pg_port;
	const char *pg_socket_dir; /* for entries with a socket folder or no host */
	const char *listen_addr;
	unsigned listen_port;
	const char *work_dir; /* pid file, log and unix sockets go here */
	/* Where the text of pgbouncer_rewrite_hba will lie; NULL: the restored rules are used as
	 * they are, which may let nobody in from 127.0.0.1. */
	const char *hba_path;
	/* Where a production path has been restored to: a new string, or NULL to leave it. */
	int (*restored)(void *ctx, const char *path, char **ret, struct err *err);
	void *ctx;
};
/* The text of one ini that PgBouncer can be started with: includes folded in, everything else as it
 * was, passwords too (write it 0600). Every [databases] entry, also '*', points at the sandbox. */
int pgbouncer_rewrite(const char *ini_path, const char *cwd, pgbouncer_read_fn *read,
		      void *read_ctx, const struct pgbouncer_sandbox *sandbox, char **ret,
		      struct err *err) MUST_USE;

/* The text of an access file for the sandbox: production's rules, and each once more for clients
 * from 127.0.0.1. *ret NULL: the configuration has no auth_hba_file. */
int pgbouncer_rewrite_hba(const char *ini_path, const char *cwd, pgbouncer_read_fn *read,
			  void *read_ctx, const struct pgbouncer_sandbox *sandbox, char **ret,
			  struct err *err) MUST_USE;

#endif

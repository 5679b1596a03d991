/*
 * The configuration: agent.conf, the .env files it names, and the environment.
 *
 *  1. config_load(path, &config, err)     NULL: $LIFEBOAT_CONFIG, ./agent.conf, then
 *                                         /etc/lifeboat/agent.conf
 *  2. read the fields; config_store_find and config_require_component where one is needed
 *  3. config_free                         zeroes the secrets
 *
 * A value comes from, in this order: LIFEBOAT_<SECTION>_<KEY> in the environment (taken as it is);
 * the file that LIFEBOAT_<SECTION>_<KEY>_FILE names; the line in agent.conf with its ${NAME}s
 * filled in from the environment and then from the .env files; the default. Sections with a label
 * put it in the name: LIFEBOAT_STORE_LOCAL_URL. config_keys.h is the table of all keys. A store of
 * s3:// without keys takes the AWS_ variables instead (config_store.h).
 *
 * Every mistake is ERR_CONFIG with file, line and what to write instead. No message has a secret.
 */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_H

#include <stdint.h>
#include "agent/config/jobs.h"
#include "base/buf.h"
#include "base/secret.h"

/* Strings are NULL when not given and without a default; `enabled` says whether the section is
 * there, and so whether the component belongs to the stack. */
struct config_stack {
	char *name;        /* required; [A-Za-z0-9_-]+ */
	char *engine;      /* "local" or "docker" */
	char *volumes_dir; /* absolute; local engine */
	char *run_as;      /* "postgres" */
	char *project;     /* docker: Compose project; NULL: the stack's name */
	char *docker_host; /* NULL: $DOCKER_HOST or the usual socket */
	char *env_file;    /* as written: names separated by commas */
};

struct config_postgres {
	bool enabled;
	struct secret url; /* required where the section is there */
	char *volume;
	char *service; /* docker: its name in the Compose project */
	char *client;  /* docker: "auto", "exec" or "host" */
	int64_t connect_timeout_ms;
	int64_t lock_timeout_ms; /* how long a dump waits for a locked table */
};

struct config_redis {
	bool enabled;
	struct secret url;
	char *volume;
	char *service;
	char *method; /* "auto", "bgsave" or "stream" */
	int64_t connect_timeout_ms;
	int64_t save_timeout_ms; /* how long a BGSAVE may take */
};

struct config_pgbouncer {
	bool enabled;
	struct secret url;
	struct secret admin_url; /* not set: url with database pgbouncer */
	char *volume;
	char *service;
	char *config; /* path of pgbouncer.ini; NULL: ask the console */
	int64_t connect_timeout_ms;
};

struct config_volume { /* [volume LABEL] */
	char *label;
	char *name;         /* default: the label */
	char *pause, *stop; /* services held still while it is read, or NULL */
};

struct config_archive {
	int level; /* zstd, 1 to 19 */
	uint64_t part_bytes;
	unsigned threads; /* 0: one per processor, at most 4 */
	char *recipients; /* age1… texts and absolute paths, separated by commas; NULL: none */
	struct secret identity; /* absolute path, or the text of such a file (age.h) */
};
/* Is it the path, and not the text itself? */
bool config_identity_is_path(const struct config_archive *a);

struct config_store { /* [store LABEL] */
	char *label;
	char *url;  /* as in storage/store/store.h; one with a password in it is refused */
	char *keep; /* rules of storage/retention.h; NULL: keep everything */
	char *site; /* where it stands, in the user's own word */
	uint64_t limit_bytes_s; /* 0: none */
	/* What the url's scheme has no use for is refused, and stays NULL or 0. */
	int64_t timeout_ms;
	unsigned retries;
	struct secret proxy; /* may hold a password */
	char *ca_file;
	char *endpoint, *region, *addressing;
	struct secret access_key, secret_key, session_token;
	char *storage_class, *encryption, *kms_key, *object_lock;
	unsigned object_lock_days;
	char *user;
	struct secret password;
	char *key_file;
	struct secret key_passphrase;
	char *known_hosts;
};

struct config_suspicious { /* in percent of what is normal; 0: not looked at */
	unsigned bytes, rows, keys;
	unsigned history; /* backups that are looked back at; 0: nothing is suspicious */
};

struct config_health {
	int64_t interval_ms, timeout_ms;
	unsigned retries;
};

struct config_check { /* [check LABEL] */
	char *label;
	char *database;
	char *sql;
	char *expect; /* the text of the one value; default "t" */
};

struct config_agent {        /* of lifeboat run */
	char *listen;        /* ADDRESS:PORT of the status page; "off": none */
	struct secret token; /* what it asks for; not set: nothing */
	char *tls_cert, *tls_key;
	char *state_dir; /* NULL: see daemon/state.h */
	int64_t stop_timeout_ms;
	int64_t backup_age_ms, proof_age_ms; /* older is a reason for attention */
};

struct config_schedule { /* of lifeboat run; cron texts by kind of job, or NULL */
	char *cron[JOB_KINDS];
	int64_t jitter_ms;   /* a host begins up to this much later */
	int64_t catch_up_ms; /* how old a missed run may be */
	int64_t deadline_ms; /* of one job */
	int64_t overdue_ms;
	unsigned retries;
	int64_t retry_wait_ms;
};

struct config_hook { /* shell commands by kind of job, or NULL */
	char *before[JOB_KINDS], *after[JOB_KINDS];
	int64_t timeout_ms;
};

struct config {
	char *path; /* of the file that was read */
	struct config_stack stack;
	struct config_postgres postgres;
	struct config_redis redis;
	struct config_pgbouncer pgbouncer;
	struct config_archive archive;
	struct config_suspicious suspicious;
	struct config_health health;
	struct config_agent agent;
	struct config_schedule schedule;
	struct config_hook hook;
	char *timezone; /* [schedule] timezone: IANA name; NULL: UTC */
	struct config_volume *volumes;
	size_t volume_count;
	struct config_store *stores; /* in the order of the file: the first is the default */
	size_t store_count;
	struct config_check *checks;
	size_t check_count;
	struct config_notify *notifiers; /* config_notify.h */
	size_t notifier_count;
	struct strlist warnings; /* for main to print: a password in a file that others may read */
};

int config_load(const char *path, struct config **ret, struct err *err) MUST_USE;
/* The same, but agent.conf's text comes from `fd` (read from its beginning), as if it stood in
 * `path`: lifeboat run gives its jobs the text that it has accepted, whatever the file says by now.
 * A job knows it by LIFEBOAT_CONFIG_FD in its environment, which config_load heeds and removes; it
 * then leaves out the warnings, which lifeboat run has said. */
#define CONFIG_FD_VARIABLE "LIFEBOAT_CONFIG_FD"
int config_load_fd(const char *path, int fd, struct config **ret, struct err *err) MUST_USE;
void config_free(struct config *c);
DEFINE_CLEANUP(struct config, config_free)

/* The store of that label; NULL: the first one. ERR_USAGE with the nearest label; ERR_CONFIG when
 * there is no store at all. */
int config_store_find(const struct config *c, const char *label, const struct config_store **ret,
		      struct err *err) MUST_USE;
/* ERR_CONFIG unless at least one component (postgres, redis, pgbouncer, volume) is there. */
int config_require_component(const struct config *c, struct err *err) MUST_USE;

#endif

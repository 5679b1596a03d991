/*
 * What `lifeboat init` finds, and the agent.conf that it makes of it.
 *
 *  1. init_compose    services of a compose.yaml, by their images
 *     init_docker     the same from the containers of a Compose project, which know better
 *     init_local      where there is neither: servers of this machine on their usual ports
 *  2. init_env        which .env files have user names and passwords, and under which names
 *  3. init_text       the text
 *
 * Values of .env files are never kept: agent.conf gets the names alone.
 */
#ifndef LIFEBOAT_AGENT_INIT_H
#define LIFEBOAT_AGENT_INIT_H

#include "base/buf.h"

enum init_kind { INIT_POSTGRES, INIT_REDIS, INIT_PGBOUNCER, INIT_KINDS };

struct init_part {
	char *service; /* docker: of the Compose project; NULL: none was found */
	char *url;     /* local: host and port, "127.0.0.1:5432"; NULL: none was found */
	bool has_volume;
	bool wants_password; /* Redis: known to ask for one */
};

struct init {
	char *folder;  /* that was looked through, absolute */
	char *project; /* of Compose; NULL: none */
	struct init_part parts[INIT_KINDS];
	struct strlist volumes;   /* docker: named volumes of other services */
	struct strlist env_files; /* relative to folder */
	/* names in them; NULL: not there */
	const char *user, *password, *app_user, *app_password, *app_database, *redis_password;
	struct strlist found; /* sentences for people */
	struct strlist left;  /* what is to be filled in or looked at */
};

void init_done(struct init *i);

/* "postgres"; never NULL. */
const char *init_kind_name(enum init_kind kind);
/* By the name of an image (or of a variable with a default in compose.yaml); INIT_KINDS: neither.
 */
enum init_kind init_kind_of(const char *image);
/* Notes a service; of two of a kind the one with a volume stays, else the first. */
int init_service(struct init *i, const char *service, const char *image, bool has_volume,
		 struct err *err) MUST_USE;

/* Of the folder's compose.yaml, where there is one; sets project. A reader of lines: of YAML it
 * knows what Compose files are written in, one `key: value` or `- item` to a line. */
int init_compose(struct init *i, struct err *err) MUST_USE;
/* The same from text: at most what is said above. */
int init_compose_text(struct init *i, const char *text, struct err *err) MUST_USE;

/* `project` NULL: the one of the folder, else the only one there is. No Docker is no error; no such
 * project is ERR_ABSENT. `host` as docker_open takes it. */
int init_docker(struct init *i, const char *host, const char *project, struct err *err) MUST_USE;

/* Asks 127.0.0.1 and the usual sockets; no password is tried. */
int init_local(struct init *i, struct err *err) MUST_USE;

/* The folder's .env and those of its own folders. */
int init_env(struct init *i, struct err *err) MUST_USE;

/* `absolute`: agent.conf will not stand in the folder. */
int init_text(struct init *i, bool absolute, struct buf *out, struct err *err) MUST_USE;

#endif

/*
 * What `lifeboat init` finds, and the agent.conf that it makes of it.
 *
 *  1. init_docker     the project of this folder, told by the labels that Compose gives containers,
 *                     so that files of whatever form, number and place have been understood by
 *                     Compose itself; init_container what one of them runs
 *     init_local      where there is none: servers of this machine on their usual ports
 *  2. init_env        which variables of .env files have the users and passwords
 *  3. init_user       as whom the package's units go to servers of this machine, and what they lack
 *     init_text       the text
 *
 * Passwords that containers have are compared with the values of .env files; agent.conf and
 * messages get the names of variables alone.
 */
#ifndef LIFEBOAT_AGENT_INIT_INIT_H
#define LIFEBOAT_AGENT_INIT_INIT_H

#include "base/buf.h"
#include "base/json.h"

enum init_kind { INIT_POSTGRES, INIT_REDIS, INIT_PGBOUNCER, INIT_KINDS };
enum init_word { INIT_USER, INIT_PASSWORD, INIT_DATABASE, INIT_WORDS };

struct init_login {
	char *values[INIT_WORDS]; /* as a container has them; secrets; NULL: not known */
	char *called[INIT_WORDS]; /* the variable of the container; NULL: none */
	char *names[INIT_WORDS];  /* the variable in env_files; NULL: none was found */
};

struct init_part {
	char *service;       /* docker: of the Compose project; NULL: none was found */
	char *url;           /* local: host and port, "127.0.0.1:5432"; NULL: none was found */
	int rank;            /* of several services of a kind the highest is taken */
	bool wants_password; /* known to ask for one */
	bool no_password;    /* known not to */
	bool by_socket;      /* PostgreSQL of this machine: answers there too */
	struct init_login login;
};

struct init {
	char *folder;    /* absolute; .env files are looked for in it */
	char *project;   /* of Compose; NULL: none */
	char *no_docker; /* why there is no Docker; NULL: there is */
	struct init_part parts[INIT_KINDS];
	struct init_login app;    /* docker: how another service goes to its database */
	struct strlist volumes;   /* docker: named volumes of other services */
	struct strlist env_files; /* relative to folder */
	struct strlist found;     /* sentences for people */
	struct strlist left;      /* what is to be filled in or looked at */
};

void init_done(struct init *i);
void init_login_done(struct init_login *l);
bool init_has(const struct init *i, enum init_kind kind);

/* "postgres"; never NULL. */
const char *init_kind_name(enum init_kind kind);
/* By the name of an image; INIT_KINDS: none of them. */
enum init_kind init_kind_of(const char *image);
/* Is it a name of letters, digits, '_', '-' and (`dots`) '.', as Compose has them? What others have
 * put on containers is not taken into agent.conf unseen. */
bool init_is_name(const char *text, bool dots);

/* The project called `project`; NULL: that of the folder, else that of the container that this is,
 * else the only one that has servers. Changes folder to the project's own where that can be seen.
 * ERR_ABSENT: there is no such project, or the folder's has no containers. No Docker is no error
 * unless a project was asked for or the folder has a Compose file. `host` as docker_open takes it.
 */
int init_docker(struct init *i, const char *host, const char *project, struct err *err) MUST_USE;
/* Notes one container: `listed` of GET /containers/json, `inspected` of GET /containers/ID/json. */
int init_container(struct init *i, const json_t *listed, const json_t *inspected, struct err *err)
    MUST_USE;
const char *init_label(const json_t *listed,
		       const char *name); /* "project"; "" where it has none */

/* Asks 127.0.0.1 and the usual sockets; no password is tried. */
int init_local(struct init *i, struct err *err) MUST_USE;

/* Files called .env, NAME.env and .env.NAME of the folder and of its own folders: where the value
 * is known, which variable has it; else by the usual names in those called .env. */
int init_env(struct init *i, struct err *err) MUST_USE;

/* Where no .env file has a password: PostgreSQL by its socket, which lets the system's user in, and
 * names for what only the application knows. Notes groups that the package's user is not in. */
int init_user(struct init *i, struct err *err) MUST_USE;

/* `absolute`: agent.conf will not stand in the folder. */
int init_text(struct init *i, bool absolute, struct buf *out, struct err *err) MUST_USE;

#endif

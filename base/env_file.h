/*
 * .env files as docker compose reads them; nothing is ever run.
 *
 *  1. env_file_new(&e, err)
 *  2. env_file_read(e, path, err)          as often as there are files: later ones win
 *  3. env_file_get(e, "DB_PASSWORD")
 *
 *  NAME=value            spaces around the value are dropped; " #" begins a comment, "a#b" is text
 *  NAME='value'          as it is, over several lines if need be; \' is a quote
 *  NAME="value"          \n \r \t \\ \" \$ and variables are replaced
 *  export NAME=value     the same as without export; NAME: value too
 *  NAME                  the value that the environment has
 *  $NAME ${NAME} ${NAME:-text} ${NAME-text} ${NAME:+text} ${NAME+text} ${NAME:?text} ${NAME?text}
 *                        in unquoted and double-quoted values: of the environment, else of what was
 *                        read so far, else empty; $$ is a dollar
 *
 * Source: docs.docker.com, "Compose: environment variables, .env file syntax". Values are secrets:
 * zeroed when freed, never in a message.
 */
#ifndef LIFEBOAT_BASE_ENV_FILE_H
#define LIFEBOAT_BASE_ENV_FILE_H

#include <stddef.h>
#include "base/err.h"

struct env_file;
int env_file_new(struct env_file **ret, struct err *err) MUST_USE;
void env_file_free(struct env_file *e);
DEFINE_CLEANUP(struct env_file, env_file_free)

/* ERR_CONFIG "…/.env:3: …"; ERR_ABSENT, ERR_IO. At most 1 MiB. */
int env_file_read(struct env_file *e, const char *path, struct err *err) MUST_USE;
/* The same from memory; `name` is what messages call it. */
int env_file_parse(struct env_file *e, const char *text, size_t len, const char *name,
		   struct err *err) MUST_USE;

/* The value, NULL when no file has the name. Borrowed until the next read. */
const char *env_file_get(const struct env_file *e, const char *name);
size_t env_file_count(const struct env_file *e);
const char *env_file_name(const struct env_file *e, size_t index);

#endif

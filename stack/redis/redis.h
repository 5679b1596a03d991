/*
 * The door to Redis and Valkey, by hiredis: asking, BGSAVE with proof, the replication stream.
 *
 *  1. redisdoor_connect(&(struct redis_opts){.url = "redis://:pw@127.0.0.1:6379/0"}, &r, err)
 *  2. redisdoor_describe, redisdoor_bgsave | redisdoor_stream
 *  3. redisdoor_free
 *
 * (Our names begin with redisdoor_ so as to keep off hiredis' own prefix.) The socket is our own,
 * whatever lies below it, so every wait has a deadline and can be cancelled; an answer that takes
 * longer than a minute is ERR_TIMEOUT, and the door is of no use after it.
 * URLs: redis://[[user]:password@]host[:port][/db], rediss://… (TLS, OpenSSL under hiredis' reader;
 * ?cacert=FILE&cert=FILE&key=FILE&verify=no), unix://[[user]:password@]/path/to/socket[?db=N].
 */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_H
#define LIFEBOAT_STACK_REDIS_REDIS_H

#include <stdint.h>
#include "base/clock.h"
#include "base/flow/source.h"
#include "base/json.h"

struct redis_opts {
	const char *url;
	const char *address; /* connect there, whatever host the url names; NULL: as it says */
	int64_t connect_timeout_ms; /* until it has answered; 0: 20 s */
};

struct redisdoor;
/* ERR_UNREACHABLE, ERR_DENIED (WRONGPASS, NOAUTH), ERR_CONFIG (the url). */
int redisdoor_connect(const struct redis_opts *opts, struct redisdoor **ret, struct err *err)
    MUST_USE;
void redisdoor_free(struct redisdoor *r);
DEFINE_CLEANUP(struct redisdoor, redisdoor_free)
/* What a user should know about the connection, such as a password that the server did not ask for;
 * NULL: nothing. Valid as long as the door. */
const char *redisdoor_warning(const struct redisdoor *r);

/* A command whose reply is text (status, string, integer as text, or lines of an array joined by
 * '\n'); a new string. Error replies: ERR_DENIED for NOPERM/NOAUTH/WRONGPASS, else ERR_FAILED with
 * the server's text. */
int redisdoor_command(struct redisdoor *r, char **ret, struct err *err, int argc,
		      const char *const *argv) MUST_USE;
/* One field of INFO ("rdb_last_save_time"); "" when the server has none. A new string. */
int redisdoor_info(struct redisdoor *r, const char *section, const char *field, char **ret,
		   struct err *err) MUST_USE;
/* CONFIG GET; "" when unknown or forbidden. */
int redisdoor_config(struct redisdoor *r, const char *name, char **ret, struct err *err) MUST_USE;
/* Keys of one database; the selected one stays selected. */
int redisdoor_dbsize(struct redisdoor *r, unsigned db, uint64_t *ret, struct err *err) MUST_USE;

/* {"server":"redis"|"valkey","version" (Valkey's own, not the Redis it claims to be),"major",
 *  "run_id","role","mode","config_file","executable",
 *  "config":{all of CONFIG GET *, no secrets: requirepass, masterauth, tls-key-file-pass … left
 *  out}, "databases":[{"number","keys","expiring"}] now, "persistence":{…}, "modules":[name],
 *  "warning" (only if there is one), "missing":[{"what","why"}]}
 * Missing are: settings that may not be read, ACL users that no aclfile holds, the rest of a
 * cluster, the recent writes of a replica without its master. */
int redisdoor_describe(struct redisdoor *r, json_t **ret, struct err *err) MUST_USE;

/* Why BGSAVE would be unsafe or impossible now: NULL when it is fine. `free_bytes`: of the file
 * system under `dir` (UINT64_MAX: unknown). A sentence, borrowed until the next call. A failed
 * BGSAVE makes production refuse writes (MISCONF) until one succeeds. */
int redisdoor_bgsave_risk(struct redisdoor *r, uint64_t free_bytes, const char **ret,
			  struct err *err) MUST_USE;
/* The same for the stream: it touches no disk unless the server is set to save to its own file
 * first (repl-diskless-sync no, the default before Redis 7). */
int redisdoor_stream_risk(struct redisdoor *r, uint64_t free_bytes, const char **ret,
			  struct err *err) MUST_USE;

struct redis_save {
	char path[4096]; /* dir/dbfilename as the server sees it; "" if CONFIG GET is forbidden */
	int64_t began_s; /* server clock before our BGSAVE: AUX ctime must not be older */
	uint64_t dbsize_total; /* keys of all databases just before it */
};
/* BGSAVE, and proof that one begun after our question finished and succeeded; at most `d`. The
 * caller reads the file, checks AUX ctime >= began_s, and takes an empty file for a failure when
 * dbsize_total was not 0 (FLUSHALL came between). Saves of others are waited for, aborted ones are
 * begun again. ERR_FAILED after two failures; it says so loudly when the server now refuses writes.
 */
int redisdoor_bgsave(struct redisdoor *r, struct deadline d, struct redis_save *ret,
		     struct err *err) MUST_USE;
/* The RDB by replication (SYNC); the source ends after the promised length or end mark, and fails
 * if the server closes before. The door is used up: free it after the source. `idle_ms` bounds each
 * wait; a server that prepares sends a byte a second. Read on steadily: a server cuts off whoever
 * pauses for its repl-timeout (60 s). */
int redisdoor_stream(struct redisdoor *r, int64_t idle_ms, struct source **ret, struct err *err)
    MUST_USE;

/* Waits until a starting server answers PONG and has loaded its data. `alive` (may be NULL) is
 * asked between tries; its error ends the wait, and so do ERR_DENIED and ERR_CONFIG. ERR_TIMEOUT
 * tells the last reason. */
int redisdoor_wait_ready(const struct redis_opts *opts, int (*alive)(void *ctx, struct err *err),
			 void *ctx, struct deadline d, struct redisdoor **ret, struct err *err)
    MUST_USE;

#endif

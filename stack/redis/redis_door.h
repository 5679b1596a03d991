/* The door's state, shared by its files; see redis.h for what each does. */
#ifndef LIFEBOAT_STACK_REDIS_REDIS_DOOR_H
#define LIFEBOAT_STACK_REDIS_REDIS_DOOR_H

#include <hiredis/hiredis.h>
#include "stack/redis/redis.h"
#include "stack/redis/redis_url.h"
#include "stack/redis/redis_wire.h"

/* How long an answer to a small question may take: a server is single-threaded, and a slow script
 * of somebody else delays us too. */
enum { REDIS_REPLY_MS = 60000 };

struct redisdoor {
	struct redis_url url;
	char *name; /* "host:port" or the socket, for messages */
	struct redis_wire *wire;
	redisReader *reader;
	struct deadline limit; /* no wait goes beyond it */
	unsigned db;           /* selected */
	bool out_of_step;      /* an answer is still to come, or the stream has begun */
	/* From INFO server. */
	bool knows_server, valkey;
	char run_id[64], version[32], mode[16];
	char warning[256], risk[512];
};

static inline void redis_reply_freep(redisReply **p)
{
	if (*p != NULL)
		freeReplyObject(*p);
}

/* Sends a request without waiting. */
int redisdoor_send(struct redisdoor *r, int argc, const char *const *argv, struct err *err)
    MUST_USE;
/* One request, one reply, whatever it is: an error reply is a reply (freeReplyObject). */
int redisdoor_ask(struct redisdoor *r, redisReply **ret, struct err *err, int argc,
		  const char *const *argv) MUST_USE;
/* Turns an error reply to `command` into an error; -1. */
int redisdoor_refused(const struct redisdoor *r, const char *command, const char *text,
		      struct err *err);
/* Does the error text begin with this word, such as NOPERM? */
bool redisdoor_says(const redisReply *reply, const char *word);

/* INFO, all usual sections or one. ERR_DENIED and so on when refused. A new string. */
int redisdoor_info_text(struct redisdoor *r, const char *section, char **ret, struct err *err)
    MUST_USE;
/* A field out of INFO's text; false and "" when it has none. Cut at `cap`. */
bool redisdoor_field(const char *info, const char *field, char *out, size_t cap);
/* The same as a number; `otherwise` when there is none. */
int64_t redisdoor_field_number(const char *info, const char *field, int64_t otherwise);

#endif

#include "stack/redis/redis.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "stack/redis/redis_door.h"

enum {
	DEFAULT_CONNECT_MS = 20000,
	MAX_ARGS = 32,
	MAX_REPLY_BYTES = 64 << 20,
	READ_BYTES = 16 << 10,
	MAX_DEPTH = 8,
};

/* ---- request and reply ---- */

int redisdoor_send(struct redisdoor *r, int argc, const char *const *argv, struct err *err)
{
	const char *copy[MAX_ARGS];
	if (argc < 1 || argc > MAX_ARGS)
		return err_set(err, ERR_LIMIT, "a request to Redis of %d words", argc);
	if (r->out_of_step)
		return err_set(err, ERR_FAILED,
			       "the connection to Redis at '%s' was given up before", r->name);
	for (int i = 0; i < argc; i++)
		copy[i] = argv[i];
	char *request = NULL;
	/* int in hiredis 0.14, long long since 1.0 */
	long long len = redisFormatCommandArgv(&request, argc, copy, NULL);
	if (len < 0)
		return err_nomem(err, "a request to Redis");
	struct deadline d = deadline_min(r->limit, deadline_in(REDIS_REPLY_MS));
	int rc = redis_wire_write(r->wire, request, (size_t)len, d, err);
	/* It may hold a password. */
	explicit_bzero(request, (size_t)len);
	redisFreeCommand(request);
	r->out_of_step = true;
	return rc;
}

static int read_reply(struct redisdoor *r, redisReply **ret, struct err *err)
{
	struct deadline d = deadline_min(r->limit, deadline_in(REDIS_REPLY_MS));
	size_t total = 0;
	for (;;) {
		void *reply = NULL;
		if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
			err_set(err, ERR_UNREACHABLE,
				"what answers at '%s' does not speak the protocol of Redis: %s",
				r->name, r->reader->errstr);
			return err_hint(err, "Is it the right port, and does it want TLS "
					     "(rediss://)?");
		}
		if (reply != NULL) {
			*ret = reply;
			r->out_of_step = false;
			return 0;
		}
		char block[READ_BYTES];
		size_t n;
		if (redis_wire_read(r->wire, block, sizeof block, &n, d, err) < 0)
			return -1;
		if (n == 0)
			return err_set(err, ERR_UNREACHABLE, "Redis at '%s' closed the connection",
				       r->name);
		total += n;
		if (total > MAX_REPLY_BYTES)
			return err_set(err, ERR_LIMIT,
				       "Redis at '%s' answers with more than %d MiB", r->name,
				       MAX_REPLY_BYTES >> 20);
		if (redisReaderFeed(r->reader, block, n) != REDIS_OK)
			return err_nomem(err, "a reply of Redis");
	}
}

int redisdoor_ask(struct redisdoor *r, redisReply **ret, struct err *err, int argc,
		  const char *const *argv)
{
	if (redisdoor_send(r, argc, argv, err) < 0)
		return -1;
	if (read_reply(r, ret, err) == 0)
		return 0;
	if (err->code == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "Redis at '%s' did not answer %s in time", r->name,
			       argv[0]);
	return err_wrap(err, "%s", argv[0]);
}

bool redisdoor_says(const redisReply *reply, const char *word)
{
	size_t len = strlen(word);
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, word, len) == 0 &&
	       (reply->str[len] == ' ' || reply->str[len] == '\0');
}

/* How an error reply begins, what it means, what to do about it. */
static const struct refusal {
	const char *begins;
	enum err_code code;
	bool retryable;
	const char *hint;
} refusals[] = {
    {"WRONGPASS", ERR_DENIED, false, "Check user and password in the url."},
    {"ERR invalid password", ERR_DENIED, false, "Check the password in the url."},
    {"NOAUTH", ERR_DENIED, false, "Put the password into the url: redis://:PASSWORD@HOST:PORT."},
    {"NOPERM", ERR_DENIED, false,
     "Give the user of the url at least: +ping +info +time +dbsize +select +config|get +bgsave "
     "+lastsave +sync +psync +replconf."},
    {"DENIED", ERR_DENIED, false, "Set a password, or bind the server to an address."},
    {"LOADING", ERR_FAILED, true, "The server is still loading its data: try again later."},
    {"BUSY", ERR_FAILED, true, "A slow script runs on the server: try again later."},
    {"MASTERDOWN", ERR_FAILED, true, "The replica has lost its master: try again later."},
    {"ERR max number of clients", ERR_UNREACHABLE, true, "Raise maxclients, or try again later."},
};

int redisdoor_refused(const struct redisdoor *r, const char *command, const char *text,
		      struct err *err)
{
	char clean[300];
	snprintf(clean, sizeof clean, "%s", text);
	for (char *c = clean; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	err_set(err, ERR_FAILED, "Redis at '%s' refused %s: %s", r->name, command,
		clean[0] != '\0' ? clean : "no reason given");
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *f = &refusals[i];
		if (strncmp(text, f->begins, strlen(f->begins)) != 0)
			continue;
		err->code = f->code;
		err->retryable = f->retryable;
		return err_hint(err, "%s", f->hint);
	}
	return -1;
}

static int append_reply(struct buf *b, const redisReply *reply, unsigned depth, struct err *err)
{
	switch (reply->type) {
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_ERROR:
		return buf_append(b, reply->str, (size_t)reply->len, err);
	case REDIS_REPLY_INTEGER:
		return buf_printf(b, err, "%lld", reply->integer);
	case REDIS_REPLY_ARRAY:
		for (size_t i = 0; depth < MAX_DEPTH && i < reply->elements; i++)
			if ((i > 0 && buf_puts(b, "\n", err) < 0) ||
			    append_reply(b, reply->element[i], depth + 1, err) < 0)
				return -1;
		return 0;
	default:
		return 0;
	}
}

/* SELECT by whoever holds the door must be known here too. */
static void note_select(struct redisdoor *r, int argc, const char *const *argv)
{
	if (argc == 2 && strcasecmp(argv[0], "SELECT") == 0)
		r->db = (unsigned)strtoul(argv[1], NULL, 10);
}

int redisdoor_command(struct redisdoor *r, char **ret, struct err *err, int argc,
		      const char *const *argv)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (redisdoor_ask(r, &reply, err, argc, argv) < 0)
		return -1;
	if (reply->type == REDIS_REPLY_ERROR)
		return redisdoor_refused(r, argv[0], reply->str, err);
	note_select(r, argc, argv);
	struct buf b;
	buf_init(&b, MAX_REPLY_BYTES);
	int rc = append_reply(&b, reply, 0, err);
	if (rc == 0)
		rc = buf_take(&b, ret, err);
	buf_done(&b);
	return rc;
}

/* ---- databases ---- */

static int select_db(struct redisdoor *r, unsigned db, struct err *err)
{
	if (db == r->db)
		return 0;
	char text[16];
	snprintf(text, sizeof text, "%u", db);
	CLEANUP(freep) char *ok = NULL;
	return redisdoor_command(r, &ok, err, 2, (const char *const[]){"SELECT", text});
}

int redisdoor_dbsize(struct redisdoor *r, unsigned db, uint64_t *ret, struct err *err)
{
	unsigned before = r->db;
	CLEANUP(freep) char *text = NULL;
	if (select_db(r, db, err) < 0 ||
	    redisdoor_command(r, &text, err, 1, (const char *const[]){"DBSIZE"}) < 0)
		return -1;
	*ret = strtoull(text, NULL, 10);
	return select_db(r, before, err);
}

/* ---- opening ---- */

static int authenticate(struct redisdoor *r, struct err *err)
{
	if (!secret_is_set(&r->url.password))
		return 0;
	const char *with_user[] = {"AUTH", r->url.user, secret_text(&r->url.password)};
	const char *without[] = {"AUTH", secret_text(&r->url.password)};
	bool has_user = r->url.user != NULL;
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (redisdoor_ask(r, &reply, err, has_user ? 3 : 2, has_user ? with_user : without) < 0)
		return -1;
	if (reply->type != REDIS_REPLY_ERROR)
		return 0;
	/* "ERR AUTH <password> called without any password configured for the default user…",
	 * before 6.0 "ERR Client sent AUTH, but no password is set". Whoever knows the password is
	 * let in like anybody else. */
	if (strstr(reply->str, "without any password configured") != NULL ||
	    strstr(reply->str, "no password is set") != NULL) {
		snprintf(r->warning, sizeof r->warning,
			 "the url has a password, but Redis at '%.100s' asks for none: anybody who "
			 "reaches it may use it",
			 r->name);
		return 0;
	}
	return redisdoor_refused(r, "AUTH", reply->str, err);
}

/* Who it is. A user without +info may still do other things: then nothing is known. */
static int get_to_know(struct redisdoor *r, struct err *err)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (redisdoor_ask(r, &reply, err, 2, (const char *const[]){"INFO", "server"}) < 0)
		return -1;
	if (redisdoor_says(reply, "NOPERM"))
		return 0;
	if (reply->type == REDIS_REPLY_ERROR)
		return redisdoor_refused(r, "INFO", reply->str, err);
	if (reply->type != REDIS_REPLY_STRING)
		return err_set(err, ERR_UNREACHABLE, "what answers at '%s' is not Redis", r->name);
	r->knows_server = true;
	r->valkey = redisdoor_field(reply->str, "valkey_version", r->version, sizeof r->version);
	if (!r->valkey)
		redisdoor_field(reply->str, "redis_version", r->version, sizeof r->version);
	redisdoor_field(reply->str, "run_id", r->run_id, sizeof r->run_id);
	if (!redisdoor_field(reply->str, "redis_mode", r->mode, sizeof r->mode))
		redisdoor_field(reply->str, "server_mode", r->mode, sizeof r->mode);
	if (strcmp(r->mode, "sentinel") == 0) {
		err_set(err, ERR_CONFIG, "'%s' is a Sentinel, which has no data", r->name);
		return err_hint(err, "Give the url of the Redis server that it watches.");
	}
	return 0;
}

/* Who closes on the first word may want TLS, or a certificate. */
static int hint_at_tls(const struct redisdoor *r, struct err *err)
{
	if (err->hint[0] != '\0' || r->url.socket != NULL || r->url.cert != NULL)
		return -1;
	if (!r->url.tls)
		return err_hint(err, "If this port wants TLS, write rediss:// in the url.");
	return err_hint(err, "The server may ask for a certificate of ours: "
			     "rediss://…?cert=FILE&key=FILE.");
}

static int open_door(struct redisdoor *r, const struct redis_opts *opts, struct deadline limit,
		     struct err *err)
{
	int64_t ms = opts->connect_timeout_ms > 0 ? opts->connect_timeout_ms : DEFAULT_CONNECT_MS;
	if (redis_url_parse(opts->url, &r->url, err) < 0 ||
	    redis_url_name(&r->url, &r->name, err) < 0 ||
	    (opts->address != NULL && str_dup(opts->address, &r->url.address, err) < 0))
		return -1;
	r->limit = deadline_min(limit, deadline_in(ms));
	r->reader = redisReaderCreate();
	if (r->reader == NULL)
		return err_nomem(err, "a connection to Redis");
	if (redis_wire_open(&r->url, r->name, r->limit, &r->wire, err) < 0)
		return -1;
	if (authenticate(r, err) < 0 || get_to_know(r, err) < 0 ||
	    select_db(r, r->url.db, err) < 0) {
		if (err->code == ERR_TIMEOUT) {
			err->code = ERR_UNREACHABLE;
			err->retryable = true;
			err_wrap(err, "it accepts connections");
		}
		return err->code == ERR_UNREACHABLE ? hint_at_tls(r, err) : -1;
	}
	r->limit = DEADLINE_NEVER;
	return 0;
}

static int connect_until(const struct redis_opts *opts, struct deadline limit,
			 struct redisdoor **ret, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = mem_zalloc(sizeof *r, "a connection", err);
	if (r == NULL || open_door(r, opts, limit, err) < 0)
		return -1;
	*ret = r;
	r = NULL;
	return 0;
}

int redisdoor_connect(const struct redis_opts *opts, struct redisdoor **ret, struct err *err)
{
	return connect_until(opts, DEADLINE_NEVER, ret, err);
}

void redisdoor_free(struct redisdoor *r)
{
	if (r == NULL)
		return;
	redis_wire_free(r->wire);
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	redis_url_done(&r->url);
	free(r->name);
	free(r);
}

const char *redisdoor_warning(const struct redisdoor *r)
{
	return r->warning[0] != '\0' ? r->warning : NULL;
}

/* ---- waiting for a start ---- */

/* One try: a door to a server that has loaded its data and answers PONG. */
static int try_ready(const struct redis_opts *opts, struct deadline d, struct redisdoor **ret,
		     struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	CLEANUP(freep) char *pong = NULL;
	CLEANUP(freep) char *loading = NULL;
	if (connect_until(opts, d, &r, err) < 0)
		return -1;
	r->limit = d;
	if (redisdoor_command(r, &pong, err, 1, (const char *const[]){"PING"}) < 0 ||
	    redisdoor_info(r, "persistence", "loading", &loading, err) < 0)
		return -1;
	if (strcmp(loading, "1") == 0) {
		err_set(err, ERR_FAILED, "Redis at '%s' is loading its data", r->name);
		err->retryable = true;
		return -1;
	}
	r->limit = DEADLINE_NEVER;
	*ret = r;
	r = NULL;
	return 0;
}

static bool may_become_ready(const struct err *err)
{
	return err->retryable || err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT;
}

int redisdoor_wait_ready(const struct redis_opts *opts, int (*alive)(void *ctx, struct err *err),
			 void *ctx, struct deadline d, struct redisdoor **ret, struct err *err)
{
	enum { BETWEEN_TRIES_MS = 50 };
	for (;;) {
		struct err why = ERR_INIT;
		if (alive != NULL && alive(ctx, err) < 0)
			return -1;
		if (try_ready(opts, d, ret, &why) == 0)
			return 0;
		if (!may_become_ready(&why)) {
			*err = why;
			return -1;
		}
		if (deadline_left_ms(d) <= BETWEEN_TRIES_MS) {
			err_set(err, ERR_TIMEOUT, "Redis was not ready in time: %s", why.msg);
			return -1;
		}
		if (wait_ms(BETWEEN_TRIES_MS, err) < 0)
			return -1;
	}
}

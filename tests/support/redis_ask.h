/* Asking Redis in a test: what fails, fails the test. */
#ifndef LIFEBOAT_TESTS_REDIS_ASK_H
#define LIFEBOAT_TESTS_REDIS_ASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/rdb.h"
#include "stack/redis/redis.h"
#include "tests/support/live_redis.h"

static inline struct redisdoor *open_url(const char *url)
{
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	if (redisdoor_connect(&(struct redis_opts){.url = url}, &r, &err) < 0)
		fail_msg("%s: %s", url, err.msg);
	return r;
}

static inline void refuse_url(const char *url, enum err_code code, const char *text)
{
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(redisdoor_connect(&(struct redis_opts){.url = url}, &r, &err), -1);
	assert_null(r);
	if (err.code != code || strstr(err.msg, text) == NULL)
		fail_msg("%s: %s: %s", url, err_code_name(err.code), err.msg);
	assert_null(strstr(err.msg, "sesame"));
}

/* A request of at most four words, which must be answered. free() the answer. */
static inline char *ask(struct redisdoor *r, const char *a, const char *b, const char *c,
			const char *d)
{
	const char *const argv[] = {a, b, c, d};
	int argc = b == NULL ? 1 : c == NULL ? 2 : d == NULL ? 3 : 4;
	struct err err = ERR_INIT;
	char *text = NULL;
	if (redisdoor_command(r, &text, &err, argc, argv) < 0)
		fail_msg("%s: %s", a, err.msg);
	return text;
}

static inline void do_it(struct redisdoor *r, const char *a, const char *b, const char *c,
			 const char *d)
{
	free(ask(r, a, b, c, d));
}

static inline char *url_of(const struct live_redis *l, const char *fmt, char out[512])
{
	char port[8];
	snprintf(port, sizeof port, "%u", (unsigned)l->port);
	const char *at = strchr(fmt, '*');
	snprintf(out, 512, "%.*s%s%s", (int)(at - fmt), fmt, port, at + 1);
	return out;
}

/* Reads `from` to its end into `r`'s sink. */
static inline int read_rdb(struct source *from, struct rdb *r, struct err *err)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (rdb_sink(r, &to, err) < 0 || flow_copy(from, to, NULL, err) < 0)
		return -1;
	return sink_close(to, err);
}

/* The keys of a database in a dump; 0 when it is not there. */
static inline uint64_t keys_in(const struct rdb *r, unsigned db)
{
	const struct rdb_summary *s = rdb_summary(r);
	for (size_t i = 0; i < s->databases; i++)
		if (s->db[i].number == db)
			return s->db[i].keys;
	return 0;
}

#endif

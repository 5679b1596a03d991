/* The reader's state, shared by its files: rdb.c (the sink), rdb_run.c (programs over bytes) and
 * rdb_record.c (what a record means). */
#ifndef LIFEBOAT_STACK_REDIS_RDB_STATE_H
#define LIFEBOAT_STACK_REDIS_RDB_STATE_H

#include "stack/redis/rdb.h"
#include "stack/redis/rdb_token.h"
#include "stack/redis/rdb_types.h"

enum { RDB_TEXT_BYTES = 32 };

enum rdb_phase { RDB_IN_MAGIC, RDB_IN_RECORDS, RDB_IN_CRC, RDB_AT_END, RDB_BLIND };

/* Short text of an AUX field; text that is long or compressed stays empty. */
struct rdb_text {
	char text[RDB_TEXT_BYTES];
	size_t len;
};

struct rdb_loop {
	const uint8_t *body;
	uint64_t left;
};

struct rdb {
	struct rdb_opts opts;
	struct rdb_summary sum;
	enum rdb_phase phase;
	bool valkey;
	/* The record being read. */
	const uint8_t *step; /* NULL: between records */
	uint8_t opened_by;
	uint8_t module_value; /* enum rdb_step of the value that follows its kind, or 0 */
	unsigned depth;
	struct rdb_loop loop[RDB_LOOPS];
	uint64_t skip; /* bytes to pass over before the next step */
	uint64_t number[2];
	struct rdb_text kept[2];
	unsigned numbers, texts;
	struct rdb_text *keep; /* where passed bytes are kept too, or NULL */
	/* For the key that comes next. */
	bool expires;
	int64_t expires_at_ms;
	struct rdb_database *current;
	/* Bytes of a header that a block cut, of the magic, or of the checksum. */
	uint8_t held[RDB_TOKEN_BYTES + 1];
	size_t held_len;
	uint8_t last_hashed;
	struct rdb_database db[RDB_MAX_DATABASES];
};

/* Reads records from the block [p, end) until it or the file ends, or nothing is known any more.
 * *ret_stop: the first byte not read. */
int rdb_run(struct rdb *r, const uint8_t *p, const uint8_t *end, const uint8_t **ret_stop,
	    struct err *err) MUST_USE;

/* The record whose program has ended: counts it. */
int rdb_record_done(struct rdb *r, struct err *err) MUST_USE;

#endif

/*
 * Reads a Redis or Valkey RDB file as it streams past: a sink that checks structure and CRC64 and
 * counts keys.
 *
 *  1. rdb_new(&(struct rdb_opts){…}, &r, err); rdb_sink(r, &sink, err); source_tee(…)
 *  2. sink_close: ERR_CORRUPT unless the end mark and the checksum were there and right, and
 * nothing behind them; ERR_UNVERIFIED when neither structure nor checksum can vouch for the file
 *  3. rdb_summary(r)
 *
 * RDB 5 to 12 and VALKEY080 (Redis 5 to 8, Valkey 7 to 9). A type or opcode it does not know does
 * not fail the file: counting stops there (`counted` false), the CRC is still checked to the end.
 * A database that is selected twice is one database: its keys are added up, as a server does.
 * Source of the format: src/rdb.h and src/rdb.c of Redis and Valkey. Memory: constant.
 */
#ifndef LIFEBOAT_STACK_REDIS_RDB_H
#define LIFEBOAT_STACK_REDIS_RDB_H

#include <stdint.h>
#include "base/flow/sink.h"
#include "base/json.h"

enum { RDB_MAX_DATABASES = 1024 };

struct rdb_opts {
	int64_t
	    expired_at_ms[2]; /* count keys that expire at or before these wall times; 0: none */
	bool need_checksum;   /* a file without one is corrupt: the server writes checksums */
};

struct rdb_database {
	uint32_t number;
	uint64_t keys, expiring;
	uint64_t expired[2]; /* by the two times of the options */
	/* Of those that don't expire: hashes of which a field has by the second time. With its last
	 * field such a key goes, and only newer files tell when the first one does. */
	uint64_t hollow;
	bool hinted;                       /* the server said how many it would write (RESIZEDB): */
	uint64_t hint_keys, hint_expiring; /* equal to keys and expiring in a sound file */
};

struct rdb_summary {
	bool complete;    /* sink_close has succeeded: all of it came, and it is sound */
	char magic[10];   /* "REDIS0011" or "VALKEY080" */
	unsigned version; /* 11, 80 */
	char
	    redis_version[32]; /* of the server that wrote it, Redis or Valkey; "" when not given */
	int64_t created_s;     /* AUX ctime; 0: not given */
	bool aof_base;
	bool counted; /* false: an unknown type, from its offset on only the CRC was checked */
	uint64_t unknown_at;
	unsigned unknown_type;
	bool crc_checked; /* false: the file has no checksum (rdbchecksum no) */
	uint64_t crc64;
	uint64_t bytes;
	uint64_t functions;
	bool has_modules; /* types or AUX of modules: the same modules are needed to load it */
	size_t databases; /* how many entries of db[] */
	const struct rdb_database *db; /* belongs to the rdb, in file order */
};

struct rdb;
int rdb_new(const struct rdb_opts *opts, struct rdb **ret, struct err *err) MUST_USE;
void rdb_free(struct rdb *r);
DEFINE_CLEANUP(struct rdb, rdb_free)
int rdb_sink(struct rdb *r, struct sink **ret, struct err *err) MUST_USE; /* borrows r */
const struct rdb_summary *rdb_summary(const struct rdb *r);
/* For the manifest: {"magic","version","redis_version","created","crc64","counted","functions",
 * "modules","bytes","crc_checked","databases":[{"number","keys","expiring"}]}. A new reference. */
int rdb_json(const struct rdb *r, json_t **ret, struct err *err) MUST_USE;

/* CRC-64 of Redis (Jones polynomial reflected, 0x95AC9329AC4BC9B5; src/crc64.c). */
uint64_t rdb_crc64(uint64_t crc, const void *data, size_t len);

/* Can a server of this version load a dump of that magic? NULL: yes. Else a sentence why not.
 * `server` is redis_version from INFO; is_valkey from its server_name. */
const char *rdb_load_refusal(const char *magic, const char *server_version, bool is_valkey);

#endif

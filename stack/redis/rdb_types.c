#include "stack/redis/rdb_types.h"

#include <stddef.h>

#define PROGRAM(name, ...) static const uint8_t name[] = {__VA_ARGS__, RDB_DONE}

/* ---- keys with their values; the key comes first ---- */

/* Strings, and every value that is packed into one string: ziplist, listpack, intset, zipmap. */
PROGRAM(one_string, RDB_STR, RDB_STR);
/* list, set, quicklist of ziplists */
PROGRAM(strings, RDB_STR, RDB_LOOP, RDB_STR, RDB_AGAIN);
PROGRAM(hash, RDB_STR, RDB_LOOP, RDB_STR, RDB_STR, RDB_AGAIN);
PROGRAM(zset, RDB_STR, RDB_LOOP, RDB_STR, RDB_SCORE, RDB_AGAIN);
PROGRAM(zset_2, RDB_STR, RDB_LOOP, RDB_STR, RDB_RAW, 8, RDB_AGAIN);
PROGRAM(module_2, RDB_STR, RDB_LEN, RDB_MODULE);
/* nodes: how packed, then the bytes */
PROGRAM(quicklist_2, RDB_STR, RDB_LOOP, RDB_LEN, RDB_STR, RDB_AGAIN);

/* Hashes whose fields expire. Redis 7.4 release candidates: expiry, field, value. */
PROGRAM(hash_ttl_rc, RDB_STR, RDB_LOOP, RDB_LEN, RDB_STR, RDB_STR, RDB_AGAIN);
/* Redis 7.4: the nearest expiry first, the others relative to it. */
PROGRAM(hash_ttl, RDB_STR, RDB_RAW_KEPT, 8, RDB_LOOP, RDB_LEN, RDB_STR, RDB_STR, RDB_AGAIN);
PROGRAM(hash_ttl_packed, RDB_STR, RDB_RAW_KEPT, 8, RDB_STR);
/* Valkey 9: field, value, expiry. */
PROGRAM(hash_ttl_valkey, RDB_STR, RDB_LOOP, RDB_STR, RDB_STR, RDB_RAW, 8, RDB_AGAIN);

/* Streams: listpacks by first id; length, last id; groups with name and last id, pending entries
 * (id, time, count), and consumers with name, time and the ids that are pending with them. */
PROGRAM(stream_1, RDB_STR, RDB_LOOP, RDB_STR, RDB_STR, RDB_AGAIN, RDB_LEN, RDB_LEN, RDB_LEN,
	RDB_LOOP, RDB_STR, RDB_LEN, RDB_LEN, RDB_LOOP, RDB_RAW, 24, RDB_LEN, RDB_AGAIN, RDB_LOOP,
	RDB_STR, RDB_RAW, 8, RDB_LOOP, RDB_RAW, 16, RDB_AGAIN, RDB_AGAIN, RDB_AGAIN);
/* Redis 7.0 adds first id, greatest deleted id, entries ever added; entries read, per group. */
PROGRAM(stream_2, RDB_STR, RDB_LOOP, RDB_STR, RDB_STR, RDB_AGAIN, RDB_LEN, RDB_LEN, RDB_LEN,
	RDB_LEN, RDB_LEN, RDB_LEN, RDB_LEN, RDB_LEN, RDB_LOOP, RDB_STR, RDB_LEN, RDB_LEN, RDB_LEN,
	RDB_LOOP, RDB_RAW, 24, RDB_LEN, RDB_AGAIN, RDB_LOOP, RDB_STR, RDB_RAW, 8, RDB_LOOP, RDB_RAW,
	16, RDB_AGAIN, RDB_AGAIN, RDB_AGAIN);
/* Redis 7.2 adds when a consumer was last active. */
PROGRAM(stream_3, RDB_STR, RDB_LOOP, RDB_STR, RDB_STR, RDB_AGAIN, RDB_LEN, RDB_LEN, RDB_LEN,
	RDB_LEN, RDB_LEN, RDB_LEN, RDB_LEN, RDB_LEN, RDB_LOOP, RDB_STR, RDB_LEN, RDB_LEN, RDB_LEN,
	RDB_LOOP, RDB_RAW, 24, RDB_LEN, RDB_AGAIN, RDB_LOOP, RDB_STR, RDB_RAW, 16, RDB_LOOP,
	RDB_RAW, 16, RDB_AGAIN, RDB_AGAIN, RDB_AGAIN);

/* ---- opcodes ---- */

PROGRAM(no_argument, RDB_DONE);
PROGRAM(select_db, RDB_LEN_KEPT);
PROGRAM(resize_db, RDB_LEN_KEPT, RDB_LEN_KEPT);
PROGRAM(expire_s, RDB_RAW_KEPT, 4);
PROGRAM(expire_ms, RDB_RAW_KEPT, 8);
PROGRAM(freq, RDB_RAW, 1);
PROGRAM(idle, RDB_LEN);
PROGRAM(aux, RDB_STR_KEPT, RDB_STR_KEPT);
/* module id, then (kind, number) of the moment it was saved, then its values */
PROGRAM(module_aux, RDB_LEN, RDB_LEN, RDB_LEN, RDB_MODULE);
PROGRAM(function_2, RDB_STR);
PROGRAM(slot_info, RDB_LEN, RDB_LEN, RDB_LEN);
/* name of the job, ranges of slots */
PROGRAM(slot_import, RDB_STR, RDB_LOOP, RDB_LEN, RDB_LEN, RDB_AGAIN);

/* Numbers of src/rdb.h. 6 and 246 were never in a release and can't be passed over. */
static const uint8_t *const common[256] = {
    [0] = one_string,
    [1] = strings,
    [2] = strings,
    [3] = zset,
    [4] = hash,
    [5] = zset_2,
    [RDB_TYPE_MODULE_2] = module_2,
    [9] = one_string,
    [10] = one_string,
    [11] = one_string,
    [12] = one_string,
    [13] = one_string,
    [14] = strings,
    [15] = stream_1,
    [16] = one_string,
    [17] = one_string,
    [18] = quicklist_2,
    [19] = stream_2,
    [20] = one_string,
    [21] = stream_3,
    [RDB_OP_SLOT_INFO] = slot_info,
    [RDB_OP_FUNCTION2] = function_2,
    [RDB_OP_MODULE_AUX] = module_aux,
    [RDB_OP_IDLE] = idle,
    [RDB_OP_FREQ] = freq,
    [RDB_OP_AUX] = aux,
    [RDB_OP_RESIZEDB] = resize_db,
    [RDB_OP_EXPIRE_MS] = expire_ms,
    [RDB_OP_EXPIRE_S] = expire_s,
    [RDB_OP_SELECTDB] = select_db,
    [RDB_OP_EOF] = no_argument,
};

/* Redis and Valkey went separate ways after RDB 11 and gave the same numbers twice. */
const uint8_t *rdb_types_program(uint8_t byte, bool valkey)
{
	if (common[byte] != NULL)
		return common[byte];
	if (valkey)
		return byte == RDB_TYPE_HASH_RC     ? hash_ttl_valkey
		       : byte == RDB_OP_SLOT_IMPORT ? slot_import
						    : NULL;
	switch (byte) {
	case RDB_TYPE_HASH_RC:
		return hash_ttl_rc;
	case RDB_TYPE_HASH_PACKED_RC:
		return one_string;
	case RDB_TYPE_HASH_TTL:
		return hash_ttl;
	case RDB_TYPE_HASH_PACKED_TTL:
		return hash_ttl_packed;
	default:
		return NULL;
	}
}

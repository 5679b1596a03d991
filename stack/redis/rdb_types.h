/*
 * The grammar of an RDB file as data: for every type and opcode a little program that says what
 * bytes follow it. rdb.c runs the programs; nothing here reads a byte.
 *
 * A program is a run of steps that ends in RDB_DONE. Loops nest RDB_LOOPS deep at most, so reading
 * needs no recursion and no memory that grows.
 */
#ifndef LIFEBOAT_STACK_REDIS_RDB_TYPES_H
#define LIFEBOAT_STACK_REDIS_RDB_TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum rdb_step {
	RDB_DONE,
	RDB_STR,      /* a string in any encoding, passed over */
	RDB_STR_KEPT, /* the same; its text is kept if it is short */
	RDB_LEN,      /* a length, passed over */
	RDB_LEN_KEPT, /* a length, its number is kept */
	RDB_RAW,      /* as many bytes as the next byte of the program says */
	RDB_RAW_KEPT, /* the same (8 at most), kept as a little-endian number */
	RDB_SCORE,    /* a double as text behind its length byte (253 to 255: no text) */
	RDB_MODULE,   /* values of a module, each behind its kind, until kind 0 */
	RDB_LOOP,     /* a length n; what follows up to RDB_AGAIN comes n times */
	RDB_AGAIN
};

enum {
	RDB_LOOPS = 3,
	RDB_TYPE_MODULE_2 = 7,
	RDB_TYPE_HASH_RC = 22, /* these expire by field; Valkey's own is 22 too */
	RDB_TYPE_HASH_PACKED_RC,
	RDB_TYPE_HASH_TTL,
	RDB_TYPE_HASH_PACKED_TTL,
	RDB_OP_SLOT_IMPORT = 243, /* Valkey 9; Redis 8.6 means something else by it */
	RDB_OP_SLOT_INFO,
	RDB_OP_FUNCTION2,
	RDB_OP_FUNCTION_PRE_GA,
	RDB_OP_MODULE_AUX,
	RDB_OP_IDLE,
	RDB_OP_FREQ,
	RDB_OP_AUX,
	RDB_OP_RESIZEDB,
	RDB_OP_EXPIRE_MS,
	RDB_OP_EXPIRE_S,
	RDB_OP_SELECTDB,
	RDB_OP_EOF
};

/* What follows the byte that opens a record: the key and the value of a type, or the arguments of
 * an opcode. NULL: this reader does not know the byte. */
const uint8_t *rdb_types_program(uint8_t byte, bool valkey);

#endif

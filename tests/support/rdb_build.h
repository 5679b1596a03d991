/* Writes RDB files by hand, byte for byte: for tests of readers. A failed allocation aborts. */
#ifndef LIFEBOAT_TESTS_RDB_BUILD_H
#define LIFEBOAT_TESTS_RDB_BUILD_H

#include <stdint.h>
#include "base/buf.h"

/* "REDIS0011" */
void rb_start(struct buf *b, const char *magic);
void rb_byte(struct buf *b, unsigned byte);
void rb_raw(struct buf *b, const void *data, size_t len);
void rb_zeros(struct buf *b, size_t len);
void rb_u64(struct buf *b, uint64_t v); /* little-endian */
void rb_len(struct buf *b, uint64_t v); /* in its shortest form */
void rb_str(struct buf *b, const char *text);
void rb_lzf(struct buf *b, size_t packed, size_t whole); /* the packed bytes are nonsense */
void rb_aux(struct buf *b, const char *name, const char *value);
void rb_select(struct buf *b, uint64_t number);
void rb_resize(struct buf *b, uint64_t keys, uint64_t expiring);
/* A type byte and a key; the value is the caller's. */
void rb_key(struct buf *b, unsigned type, const char *key);
/* One value of that type with at least two elements, groups, consumers; "" as dialect: Redis. */
void rb_value(struct buf *b, unsigned type, int valkey);
/* End mark and checksum. */
void rb_end(struct buf *b);
/* The checksum again, after a change in the middle: the last eight bytes are replaced. */
void rb_fix(struct buf *b);
/* Bit by bit, after the definition: to check the fast one against. */
uint64_t rb_crc64(const void *data, size_t len);

/* A dump with every kind of record that a reader knows: databases 0, 2, 9; 3 expiring keys. */
void rb_everything(struct buf *b, const char *magic, unsigned *ret_keys);

#endif

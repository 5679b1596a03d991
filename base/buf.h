/*
 * Bounded buffers and the few string helpers everyone needs.
 *
 * A buffer is born with its maximum: asking for more is ERR_LIMIT, never a crash. The bytes are
 * always followed by a NUL that does not count, so `(char *)buf.data` is a string if they are text.
 *
 *  1. struct buf b; buf_init(&b, 1 << 20);      allocates nothing yet
 *  2. buf_append / buf_printf                   grow it up to its maximum
 *  3. buf_done(&b)                              or buf_take, which hands the memory over
 */
#ifndef LIFEBOAT_BASE_BUF_H
#define LIFEBOAT_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct buf {
	uint8_t *data; /* NULL until something is appended */
	size_t len;
	size_t cap;
	size_t max;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);

int buf_append(struct buf *b, const void *data, size_t len, struct err *err) MUST_USE;
int buf_puts(struct buf *b, const char *text, struct err *err) MUST_USE;
int buf_printf(struct buf *b, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

/* Room for `len` more bytes at data + len; the caller fills them and adds to `len` itself. */
int buf_reserve(struct buf *b, size_t len, struct err *err) MUST_USE;

/* Drops the first `len` bytes (len <= b->len). */
void buf_consume(struct buf *b, size_t len);

/* Back to its first `len` bytes (len <= b->len). */
void buf_cut(struct buf *b, size_t len);

/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);

/* The text so far, "" when empty. Valid until the buffer changes. */
const char *buf_text(const struct buf *b);

/* Hands the memory (NUL-terminated, to be freed with free()) to the caller; never NULL on success.
 */
int buf_take(struct buf *b, char **ret_text, struct err *err) MUST_USE;

/* Heap strings; free() them. */
int str_dup(const char *text, char **ret, struct err *err) MUST_USE;
int str_dupn(const char *text, size_t len, char **ret, struct err *err) MUST_USE;
int str_printf(char **ret, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_USE;

/* calloc that reports; `what` names the thing in the message. */
void *mem_zalloc(size_t bytes, const char *what, struct err *err) MUST_USE;

/* `items` (NULL at first) with room for `count` + 1 items. NULL when memory is out: then `items` is
 * still there and the caller's. */
void *mem_grow(void *items, size_t count, size_t item_bytes, const char *what, struct err *err)
    MUST_USE;

/* For CLEANUP on `char *` and other plain heap memory. */
void freep(void *pointer_to_pointer);

/* A list of heap strings, NULL-terminated at all times (items may be passed as argv). */
struct strlist {
	char **items; /* NULL until the first push */
	size_t count;
};
int strlist_push(struct strlist *l, const char *text, struct err *err) MUST_USE;
int strlist_pushf(struct strlist *l, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4)
    MUST_USE;
bool strlist_has(const struct strlist *l, const char *text);
void strlist_done(struct strlist *l);

#endif

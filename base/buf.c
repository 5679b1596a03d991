#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max};
}

int buf_reserve(struct buf *b, size_t len, struct err *err)
{
	if (len > b->max || b->len > b->max - len || len >= SIZE_MAX / 2 - b->len)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", b->max);
	size_t needed = b->len + len + 1; /* the NUL */
	if (needed <= b->cap)
		return 0;
	size_t cap = b->cap < 64 ? 64 : b->cap;
	while (cap < needed)
		cap += cap / 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	uint8_t *data = realloc(b->data, cap);
	if (data == NULL)
		return err_nomem(err, "a buffer");
	data[b->len] = 0;
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t len, struct err *err)
{
	if (buf_reserve(b, len, err) < 0)
		return -1;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
	return 0;
}

int buf_puts(struct buf *b, const char *text, struct err *err)
{
	return buf_append(b, text, strlen(text), err);
}

PRINTF_LIKE(3, 0)
static int append_va(struct buf *b, struct err *err, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int needed = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (needed < 0)
		return err_set(err, ERR_FAILED, "text can't be formatted");
	if (buf_reserve(b, (size_t)needed, err) < 0)
		return -1;
	vsnprintf((char *)b->data + b->len, (size_t)needed + 1, fmt, args);
	b->len += (size_t)needed;
	return 0;
}

int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int rc = append_va(b, err, fmt, args);
	va_end(args);
	return rc;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
	b->data[b->len] = 0;
}

void buf_cut(struct buf *b, size_t len)
{
	b->len = len;
	if (b->data != NULL)
		b->data[len] = 0;
}

void buf_reset(struct buf *b)
{
	buf_cut(b, 0);
}

const char *buf_text(const struct buf *b)
{
	return b->data != NULL ? (const char *)b->data : "";
}

int buf_take(struct buf *b, char **ret_text, struct err *err)
{
	if (buf_reserve(b, 0, err) < 0)
		return -1;
	*ret_text = (char *)b->data;
	b->data = NULL;
	b->len = b->cap = 0;
	return 0;
}

int str_dupn(const char *text, size_t len, char **ret, struct err *err)
{
	char *copy = malloc(len + 1);
	if (copy == NULL)
		return err_nomem(err, "a string");
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret = copy;
	return 0;
}

int str_dup(const char *text, char **ret, struct err *err)
{
	return str_dupn(text, strlen(text), ret, err);
}

PRINTF_LIKE(3, 0)
static int printf_va(char **ret, struct err *err, const char *fmt, va_list args)
{
	struct buf b;
	buf_init(&b, (size_t)1 << 30);
	if (append_va(&b, err, fmt, args) < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

int str_printf(char **ret, struct err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int rc = printf_va(ret, err, fmt, args);
	va_end(args);
	return rc;
}

void *mem_zalloc(size_t bytes, const char *what, struct err *err)
{
	void *p = calloc(1, bytes > 0 ? bytes : 1);
	if (p == NULL)
		err_nomem(err, what);
	return p;
}

void *mem_grow(void *items, size_t count, size_t item_bytes, const char *what, struct err *err)
{
	void *grown = reallocarray(items, count + 1, item_bytes);
	if (grown == NULL)
		err_nomem(err, what);
	return grown;
}

void freep(void *pointer_to_pointer)
{
	void *p;
	memcpy(&p, pointer_to_pointer, sizeof p);
	free(p);
}

/* Takes `copy`, also on failure. */
static int push_taken(struct strlist *l, char *copy, struct err *err)
{
	char **items = realloc(l->items, (l->count + 2) * sizeof *items);
	if (items == NULL) {
		free(copy);
		return err_nomem(err, "a list of strings");
	}
	items[l->count++] = copy;
	items[l->count] = NULL;
	l->items = items;
	return 0;
}

int strlist_push(struct strlist *l, const char *text, struct err *err)
{
	char *copy = NULL;
	if (str_dup(text, &copy, err) < 0)
		return -1;
	return push_taken(l, copy, err);
}

int strlist_pushf(struct strlist *l, struct err *err, const char *fmt, ...)
{
	char *copy = NULL;
	va_list args;
	va_start(args, fmt);
	int rc = printf_va(&copy, err, fmt, args);
	va_end(args);
	return rc < 0 ? -1 : push_taken(l, copy, err);
}

bool strlist_has(const struct strlist *l, const char *text)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], text) == 0)
			return true;
	return false;
}

void strlist_done(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct strlist){0};
}

#include "tests/support/fail_alloc.h"

#include <stddef.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);

static unsigned left;
static bool armed, hit, once;

void fail_alloc_at(unsigned n)
{
	left = n;
	armed = true;
	hit = once = false;
}

void fail_alloc_once_at(unsigned n)
{
	fail_alloc_at(n);
	once = true;
}

void fail_alloc_off(void)
{
	armed = false;
}

bool fail_alloc_hit(void)
{
	return hit;
}

static bool fails(void)
{
	if (!armed || (left > 0 && --left > 0))
		return false;
	hit = true;
	if (once)
		armed = false;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return fails() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
	return fails() ? NULL : __real_reallocarray(old, count, bytes);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/store/store.h"

/* A store that fails at everything, or lists in a wrong order, and counts how often it is freed. */
struct neighbour {
	bool works;
	int freed, unlocked, written;
};

static int says_no(struct err *err)
{
	return err_set(err, ERR_UNREACHABLE, "the neighbour says no");
}

static void fake_free(void *self)
{
	((struct neighbour *)self)->freed++;
}

static int fake_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	(void)data;
	struct neighbour *n = self;
	n->written += (int)len;
	return n->works ? 0 : says_no(err);
}

static const struct sink_ops fake_sink_ops = {.write = fake_write};

static int fake_put(void *self, const char *name, bool fresh, struct sink **ret, struct err *err)
{
	(void)fresh;
	if (strcmp(name, "refused") == 0)
		return says_no(err);
	return sink_new(&fake_sink_ops, self, ret, err);
}

static int fake_get(void *self, const char *name, uint64_t offset, uint64_t len,
		    struct source **ret, struct err *err)
{
	(void)self, (void)name, (void)offset, (void)len, (void)ret;
	return says_no(err);
}

static int fake_stat(void *self, const char *name, struct store_object *ret, struct err *err)
{
	(void)self, (void)name, (void)ret;
	return says_no(err);
}

static int fake_list(void *self, const char *prefix, struct store_objects *ret, struct err *err)
{
	const struct neighbour *n = self;
	(void)prefix;
	if (!n->works)
		return says_no(err);
	ret->items = calloc(3, sizeof *ret->items);
	assert_non_null(ret->items);
	ret->count = 3;
	ret->items[0].name[0] = 'c';
	ret->items[1].name[0] = 'a';
	ret->items[2].name[0] = 'b';
	return 0;
}

static int fake_remove(void *self, const char *name, struct err *err)
{
	(void)self, (void)name;
	return says_no(err);
}

static int fake_lock(void *self, const char *stack, void **ret_lock, struct err *err)
{
	(void)stack;
	const struct neighbour *n = self;
	if (!n->works)
		return says_no(err);
	*ret_lock = self;
	return 0;
}

static void fake_unlock(void *lock)
{
	((struct neighbour *)lock)->unlocked++;
}

static int fake_sweep(void *self, const char *prefix, bool dry_run, struct strlist *ret,
		      struct err *err)
{
	(void)self, (void)prefix, (void)dry_run, (void)ret;
	return says_no(err);
}

static int fake_free_bytes(void *self, uint64_t *ret, struct err *err)
{
	(void)self, (void)ret;
	return says_no(err);
}

static const struct store_ops fake_ops = {.scheme = "fake",
					  .free = fake_free,
					  .put = fake_put,
					  .get = fake_get,
					  .stat = fake_stat,
					  .list = fake_list,
					  .remove = fake_remove,
					  .lock = fake_lock,
					  .unlock = fake_unlock,
					  .sweep = fake_sweep,
					  .free_bytes = fake_free_bytes};

static struct store *wrap(struct neighbour *n)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	assert_int_equal(store_wrap(&fake_ops, n, "fake", &s, &err), 0);
	return s;
}

static void every_call__that_fails__names_the_store(void **state)
{
	(void)state;
	struct neighbour n = {.works = false};
	struct store *s = wrap(&n);
	struct sink *sink = NULL;
	struct source *source = NULL;
	struct store_object object;
	struct store_objects objects = {0};
	struct store_lock *lock = NULL;
	struct buf b;
	uint64_t bytes = 7;
	buf_init(&b, 10);
	assert_string_equal(store_name(s), "fake");
	assert_string_equal(store_where(s), "fake");
#define ASSERT_FAILS(call)                                                                         \
	do {                                                                                       \
		struct err err = ERR_INIT;                                                         \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(err.code, ERR_UNREACHABLE);                                       \
		assert_string_equal(err.msg, "store 'fake': the neighbour says no");               \
	} while (0)
	ASSERT_FAILS(store_put(s, "refused", &sink, &err));
	ASSERT_FAILS(store_put_bytes(s, "refused", "x", 1, &err));
	ASSERT_FAILS(store_put_bytes(s, "x", "x", 1, &err));
	ASSERT_FAILS(store_get(s, "x", 0, 1, &source, &err));
	ASSERT_FAILS(store_get_bytes(s, "x", &b, &err));
	ASSERT_FAILS(store_stat(s, "x", &object, &err));
	ASSERT_FAILS(store_list(s, "", &objects, &err));
	ASSERT_FAILS(store_remove(s, "x", &err));
	ASSERT_FAILS(store_lock(s, "x", &lock, &err));
	ASSERT_FAILS(store_sweep(s, "", false, NULL, &err));
	ASSERT_FAILS(store_free_bytes(s, &bytes, &err));
	assert_true(sink == NULL && source == NULL && objects.items == NULL && lock == NULL);
	assert_int_equal(bytes, 7);
	store_free(s);
	assert_int_equal(n.freed, 1);
}

static void list__of_a_kind_that_does_not_sort__is_sorted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct neighbour n = {.works = true};
	struct store *s = wrap(&n);
	struct store_objects o = {0};
	assert_int_equal(store_list(s, "", &o, &err), 0);
	assert_int_equal(o.count, 3);
	assert_string_equal(o.items[0].name, "a");
	assert_string_equal(o.items[1].name, "b");
	assert_string_equal(o.items[2].name, "c");
	store_objects_done(&o);
	assert_int_equal(o.count, 0);
	store_free(s);
}

static void put_bytes__of_a_kind_that_works__writes_all(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct neighbour n = {.works = true};
	struct store *s = wrap(&n);
	assert_int_equal(store_put_bytes(s, "x", "12345", 5, &err), 0);
	assert_int_equal(n.written, 5);
	store_free(s);
}

static void lock__given_back__reaches_the_kind(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct neighbour n = {.works = true};
	struct store *s = wrap(&n);
	struct store_lock *lock = NULL;
	assert_int_equal(store_lock(s, "hdms", &lock, &err), 0);
	assert_int_equal(n.unlocked, 0);
	store_unlock(lock);
	store_unlock(NULL);
	assert_int_equal(n.unlocked, 1);
	store_free(s);
	store_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_call__that_fails__names_the_store),
	    cmocka_unit_test(list__of_a_kind_that_does_not_sort__is_sorted),
	    cmocka_unit_test(put_bytes__of_a_kind_that_works__writes_all),
	    cmocka_unit_test(lock__given_back__reaches_the_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

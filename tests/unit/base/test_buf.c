#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static void append__up_to_the_maximum__fits_and_one_more_does_not(void **state)
{
	(void)state;
	for (size_t max = 0; max < 200; max++) {
		struct err err = ERR_INIT;
		struct buf b;
		char expected[40];
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(buf_append(&b, "x", 1, &err), 0);
		assert_int_equal(b.len, max);
		assert_int_equal(strlen(buf_text(&b)), max);
		assert_int_equal(buf_append(&b, "x", 1, &err), -1);
		assert_int_equal(err.code, ERR_LIMIT);
		snprintf(expected, sizeof expected, "more than %zu bytes", max);
		assert_string_equal(err.msg, expected);
		assert_int_equal(b.len, max);
		assert_int_equal(buf_append(&b, "", 0, &err), 0);
		buf_done(&b);
		assert_int_equal(b.max, max);
	}
}

static void reserve__without_a_bound__does_not_overflow(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_reserve(&b, 1000, &err), 0);
	memset(b.data, 'x', 1001);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &err), -1);
	buf_done(&b);
}

static void printf__of_any_length__fits_exactly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (int width = 1; width < 300; width++) {
		struct buf b;
		buf_init(&b, 301);
		assert_int_equal(buf_printf(&b, &err, "%*d", width, 5), 0);
		assert_int_equal(buf_puts(&b, "!", &err), 0);
		assert_int_equal(b.len, width + 1);
		assert_int_equal(buf_printf(&b, &err, "%*d", 301 - width, 5), -1);
		assert_int_equal(err.code, ERR_LIMIT);
		assert_int_equal(b.len, width + 1);
		assert_int_equal(b.data[b.len - 1], '!');
		buf_done(&b);
	}
}

static void consume_cut_reset__keep_the_rest_terminated(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 100);
	buf_reset(&b);
	buf_cut(&b, 0);
	buf_consume(&b, 0);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_puts(&b, "0123456789", &err), 0);
	buf_consume(&b, 3);
	assert_string_equal(buf_text(&b), "3456789");
	buf_cut(&b, 4);
	assert_string_equal(buf_text(&b), "3456");
	buf_consume(&b, 4);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_puts(&b, "again", &err), 0);
	assert_string_equal(buf_text(&b), "again");
	buf_reset(&b);
	assert_string_equal(buf_text(&b), "");
	buf_done(&b);
}

static void take__even_of_nothing__is_a_string(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	char *text = NULL;
	buf_init(&b, 0);
	assert_int_equal(buf_take(&b, &text, &err), 0);
	assert_string_equal(text, "");
	free(text);
	buf_init(&b, 10);
	assert_int_equal(buf_puts(&b, "hello", &err), 0);
	assert_int_equal(buf_take(&b, &text, &err), 0);
	assert_string_equal(text, "hello");
	free(text);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_puts(&b, "anew", &err), 0);
	assert_string_equal(buf_text(&b), "anew");
	buf_done(&b);
}

static void strings__dup_and_printf__are_copies(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *a = NULL;
	CLEANUP(freep) char *b = NULL;
	CLEANUP(freep) char *c = NULL;
	assert_int_equal(str_dup("hello", &a, &err), 0);
	assert_int_equal(str_dupn("hello", 2, &b, &err), 0);
	assert_int_equal(str_printf(&c, &err, "%s/%d", "x", 7), 0);
	assert_string_equal(a, "hello");
	assert_string_equal(b, "he");
	assert_string_equal(c, "x/7");
}

static void strlist__at_all_times__ends_in_null(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct strlist l = {0};
	assert_false(strlist_has(&l, "a"));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(strlist_pushf(&l, &err, "item %d", i), 0);
		assert_int_equal(l.count, i + 1);
		assert_null(l.items[l.count]);
	}
	assert_int_equal(strlist_push(&l, "last", &err), 0);
	assert_true(strlist_has(&l, "item 7") && strlist_has(&l, "last"));
	assert_false(strlist_has(&l, "item"));
	strlist_done(&l);
	assert_null(l.items);
	strlist_done(&l);
}

static void zalloc__of_nothing__is_something(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) void *p = mem_zalloc(0, "nothing", &err);
	CLEANUP(freep) uint8_t *q = mem_zalloc(100, "zeros", &err);
	assert_non_null(p);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(q[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(append__up_to_the_maximum__fits_and_one_more_does_not),
	    cmocka_unit_test(reserve__without_a_bound__does_not_overflow),
	    cmocka_unit_test(printf__of_any_length__fits_exactly),
	    cmocka_unit_test(consume_cut_reset__keep_the_rest_terminated),
	    cmocka_unit_test(take__even_of_nothing__is_a_string),
	    cmocka_unit_test(strings__dup_and_printf__are_copies),
	    cmocka_unit_test(strlist__at_all_times__ends_in_null),
	    cmocka_unit_test(zalloc__of_nothing__is_something),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *j = NULL;
	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s", err.msg);
	return j;
}

static void parse__what_is_no_document__is_corrupt(void **state)
{
	static const struct {
		const char *text, *begins;
	} cases[] = {
	    {"", "not JSON: line 1: "},
	    {"{", "not JSON: line 1: "},
	    {"{\"a\":1,\"a\":2}", "not JSON: line 1: duplicate object key"},
	    {"{}\n{}", "not JSON: line 2: end of file expected"},
	    {"{\"a\":\"\xff\"}", "not JSON: line 1: unable to decode byte 0xff"},
	    {"{\"a\":\"\\u0000\"}", "not JSON: line 1: \\u0000 is not allowed"},
	    {"7", "not JSON: line 1: '[' or '{' expected near '7'"},
	    {"{\"a\":99999999999999999999}", "not JSON: line 1: too big integer"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		json_t *j = NULL;
		assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &j, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_memory_equal(err.msg, cases[i].begins, strlen(cases[i].begins));
		assert_null(j);
	}
}

static void parse__too_large__is_refused_unread(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	assert_int_equal(json_parse("{}", ((size_t)256 << 20) + 1, &j, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "JSON of 268435457 bytes is too large");
}

static void parse__very_deep__is_corrupt(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	enum { DEEP = 100000 };
	char *text = malloc(DEEP);
	memset(text, '[', DEEP);
	assert_int_equal(json_parse(text, DEEP, &j, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	free(text);
}

static void get__right_fields__are_borrowed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = parse("{\"s\":\"text\",\"n\":7,\"b\":true,\"o\":{},\"a\":[1],\"z\":null}");
	const char *s = NULL;
	uint64_t n = 0;
	bool b = false;
	json_t *o = NULL, *a = NULL;
	assert_int_equal(json_get_str(j, "s", &s, &err), 0);
	assert_int_equal(json_get_u64(j, "n", &n, &err), 0);
	assert_int_equal(json_get_bool(j, "b", &b, &err), 0);
	assert_int_equal(json_get_obj(j, "o", &o, &err), 0);
	assert_int_equal(json_get_arr(j, "a", &a, &err), 0);
	assert_string_equal(s, "text");
	assert_int_equal(n, 7);
	assert_true(b && json_is_object(o) && json_is_array(a));
	assert_string_equal(json_str_or(j, "s", "x"), "text");
	assert_string_equal(json_str_or(j, "z", "x"), "x");
	assert_string_equal(json_str_or(j, "n", "x"), "x");
	assert_null(json_str_or(j, "none", NULL));
	assert_int_equal(json_u64_or(j, "n", 1), 7);
	assert_int_equal(json_u64_or(j, "s", 1), 1);
	assert_int_equal(json_u64_or(NULL, "n", 1), 1);
	json_decref(j);
}

static void get__wrong_fields__are_named(void **state)
{
	(void)state;
	json_t *j = parse("{\"s\":1,\"n\":-1,\"r\":1.5,\"z\":null}");
	struct err err = ERR_INIT;
	const char *s = "untouched";
	uint64_t n = 77;
	bool b = true;
	json_t *o = NULL;
	assert_int_equal(json_get_str(j, "s", &s, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "field 's' is not a string");
	assert_int_equal(json_get_str(j, "none", &s, &err), -1);
	assert_string_equal(err.msg, "field 'none' is missing");
	assert_int_equal(json_get_u64(j, "n", &n, &err), -1);
	assert_string_equal(err.msg, "field 'n' is not a whole number");
	assert_int_equal(json_get_u64(j, "r", &n, &err), -1);
	assert_string_equal(err.msg, "field 'r' is not a whole number");
	assert_int_equal(json_get_bool(j, "s", &b, &err), -1);
	assert_string_equal(err.msg, "field 's' is not true or false");
	assert_int_equal(json_get_obj(j, "z", &o, &err), -1);
	assert_string_equal(err.msg, "field 'z' is not an object");
	assert_int_equal(json_get_arr(j, "s", &o, &err), -1);
	assert_string_equal(err.msg, "field 's' is not an array");
	assert_int_equal(json_get_arr(NULL, "s", &o, &err), -1);
	assert_string_equal(err.msg, "field 's' is missing");
	assert_string_equal(s, "untouched");
	assert_int_equal(n, 77);
	assert_true(b);
	assert_null(o);
	json_decref(j);
}

static void build__in_order__and_null_is_no_memory(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = json_object(), *a = json_array();
	char *text = NULL;
	assert_int_equal(json_put(j, "z", json_integer(1), &err), 0);
	assert_int_equal(json_push(a, json_true(), &err), 0);
	assert_int_equal(json_put(j, "a", a, &err), 0);
	assert_int_equal(json_text(j, false, &text, &err), 0);
	assert_string_equal(text, "{\"z\":1,\"a\":[true]}");
	free(text);
	assert_int_equal(json_text(j, true, &text, &err), 0);
	assert_string_equal(text, "{\n  \"z\": 1,\n  \"a\": [\n    true\n  ]\n}");
	free(text);
	assert_int_equal(json_put(j, "n", NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOMEM);
	assert_int_equal(json_push(a, NULL, &err), -1);
	assert_int_equal(json_put(NULL, "n", json_integer(1), &err), -1);
	json_decref(j);
}

static void text_value__any_bytes__become_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"plain äöü €  𝄞", "plain äöü €  𝄞"},
	    {"", ""},
	    {"\xff", "\xEF\xBF\xBD"},
	    {"a\xc3", "a\xEF\xBF\xBD"},
	    {"\xc3\xa4\xa4", "ä\xEF\xBF\xBD"},
	    {"\xe2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
	    {"\xc0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
	    {"\xed\xa0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* a surrogate */
	    {"\xf4\x90\x80\x80",
	     "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* beyond Unicode */
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *j = json_text_value(cases[i].in);
		assert_string_equal(json_string_value(j), cases[i].out);
		json_decref(j);
	}
	/* Every pair of bytes, each followed by a letter: always something that jansson takes. */
	for (unsigned a = 1; a < 256; a++) {
		for (unsigned b = 1; b < 256; b++) {
			const char text[] = {(char)a, (char)b, 'x', 0};
			json_t *j = json_text_value(text);
			const char *got = json_string_value(j);
			assert_non_null(got);
			assert_int_equal(got[strlen(got) - 1], 'x');
			json_decref(j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__what_is_no_document__is_corrupt),
	    cmocka_unit_test(parse__too_large__is_refused_unread),
	    cmocka_unit_test(parse__very_deep__is_corrupt),
	    cmocka_unit_test(get__right_fields__are_borrowed),
	    cmocka_unit_test(get__wrong_fields__are_named),
	    cmocka_unit_test(build__in_order__and_null_is_no_memory),
	    cmocka_unit_test(text_value__any_bytes__become_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

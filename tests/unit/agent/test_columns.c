#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/output/columns.h"
#include "agent/output/output.h"

static void columns_of__marks_letters_controls__count_as_shown(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
	} cases[] = {{"", 0},
		     {"abc", 3},
		     {"\xC3\xA4\xE2\x98\x83", 2},
		     {STYLE_BAD "bad" STYLE_END, 3},
		     {"a\x1b[31m", 9}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(columns_of(cases[i].text, strlen(cases[i].text)),
				 cases[i].columns);
	assert_int_equal(columns_of("abc", 2), 2);
}

static void columns_wrap__words__stay_whole_and_lines_fit(void **state)
{
	static const struct {
		const char *text;
		size_t width, indent;
		const char *expected;
	} cases[] = {
	    {"", 10, 2, ""},
	    {"one two", 10, 2, "one two"},
	    {"one two three four", 10, 2, "one two\n  three\n  four"},
	    {"one  two", 10, 2, "one  two"},
	    /* The first line's own label, with what stands behind it. */
	    {"label    a-word-too-wide b", 12, 9, "label    a-word-too-wide\n         b"},
	    {"a-word-too-wide-by-itself x", 10, 2, "a-word-too-wide-by-itself\n  x"},
	    {STYLE_BAD "red" STYLE_END " two three", 7, 0, STYLE_BAD "red" STYLE_END " two\nthree"},
	    {"\xC3\xA4\xC3\xA4\xC3\xA4 \xC3\xB6\xC3\xB6\xC3\xB6 x", 7, 0,
	     "\xC3\xA4\xC3\xA4\xC3\xA4 \xC3\xB6\xC3\xB6\xC3\xB6\nx"},
	    {"one two three four", SIZE_MAX, 9, "one two three four"},
	    {"  led  ", 10, 2, "  led  "}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out;
		struct err err = ERR_INIT;
		buf_init(&out, 1000);
		assert_int_equal(
		    columns_wrap(cases[i].text, cases[i].width, cases[i].indent, &out, &err), 0);
		assert_string_equal(buf_text(&out), cases[i].expected);
		buf_done(&out);
	}
}

static void columns_wrap__no_room__fails(void **state)
{
	(void)state;
	struct buf out;
	struct err err = ERR_INIT;
	buf_init(&out, 4);
	assert_int_equal(columns_wrap("more than four", 80, 0, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_of__marks_letters_controls__count_as_shown),
	    cmocka_unit_test(columns_wrap__words__stay_whole_and_lines_fit),
	    cmocka_unit_test(columns_wrap__no_room__fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

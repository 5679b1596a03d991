#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/inifile.h"

static struct inifile *parsed(const char *text)
{
	struct inifile *f = NULL;
	struct err err = ERR_INIT;
	if (inifile_parse(text, strlen(text), "x.conf", &f, &err) < 0)
		fail_msg("%s", err.msg);
	return f;
}

static void refused(const char *text, size_t len, const char *message)
{
	struct inifile *f = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(inifile_parse(text, len, "x.conf", &f, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, message);
	assert_null(f);
}

static void inifile_parse__sections_and_keys__have_their_lines(void **state)
{
	(void)state;
	CLEANUP(inifile_freep)
	struct inifile *f = parsed("; a comment\n[stack]\nname = hdms ; here too\n\n"
				   "# another\n[store  local]\nurl=file:///a=b;c\nkeep:last 3");
	assert_int_equal(f->count, 2);
	assert_string_equal(f->sections[0].name, "stack");
	assert_int_equal(f->sections[0].line, 2);
	assert_string_equal(f->sections[0].entries[0].key, "name");
	assert_string_equal(f->sections[0].entries[0].value, "hdms");
	assert_int_equal(f->sections[0].entries[0].line, 3);
	assert_string_equal(f->sections[1].name, "store  local");
	assert_int_equal(f->sections[1].count, 2);
	assert_string_equal(f->sections[1].entries[0].value, "file:///a=b;c");
	assert_string_equal(f->sections[1].entries[1].key, "keep");
	assert_int_equal(f->sections[1].entries[1].line, 8);
}

static void inifile_parse__empty_sections__are_there(void **state)
{
	(void)state;
	CLEANUP(inifile_freep)
	struct inifile *f = parsed("\xEF\xBB\xBF[redis]\r\n[ pgbouncer ] ; nothing\r\n");
	assert_int_equal(f->count, 2);
	assert_string_equal(f->sections[0].name, "redis");
	assert_string_equal(f->sections[1].name, "pgbouncer");
	assert_int_equal(f->sections[1].line, 2);
	assert_int_equal(f->sections[0].count, 0);
}

static void inifile_parse__indented_line__continues_the_value(void **state)
{
	(void)state;
	CLEANUP(inifile_freep)
	struct inifile *f = parsed("[check a]\nsql =\n  SELECT 1 ; why\n  ; between\n\tFROM t\n"
				   "expect = t\n");
	assert_int_equal(f->sections[0].count, 2);
	assert_string_equal(f->sections[0].entries[0].value, "SELECT 1\nFROM t");
	assert_int_equal(f->sections[0].entries[0].line, 2);
}

static void inifile_parse__long_line__is_whole(void **state)
{
	(void)state;
	char text[9000] = "[a]\nk = ";
	size_t head = strlen(text);
	memset(text + head, 'x', sizeof text - head - 1);
	text[sizeof text - 1] = '\0';
	CLEANUP(inifile_freep)
	struct inifile *f = parsed(text);
	assert_int_equal(strlen(f->sections[0].entries[0].value), sizeof text - head - 1);
}

static void inifile_parse__nothing__is_an_empty_file(void **state)
{
	(void)state;
	CLEANUP(inifile_freep)
	struct inifile *f = parsed("");
	assert_int_equal(f->count, 0);
}

static void inifile_parse__mistakes__name_the_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"[a]\nnonsense\n", "x.conf:2: neither [section] nor key = value"},
	    {"\n[a\nk=1\n", "x.conf:2: the section has no ']'"},
	    {"k = 1\n", "x.conf:1: a key before the first [section]"},
	    {"[a]\n= 1\n", "x.conf:2: there is no key before '='"},
	    {"[a] k = 1\n", "x.conf:1: text after ']'"},
	    {"[ ]\n", "x.conf:1: the section has no name"},
	    {"[a]\n[b]\n[a]\n", "x.conf:3: section [a] is there twice, first in line 1"},
	    {"[a]\nk=1\nl=2\nk=3\n", "x.conf:4: key 'k' is there twice in [a], first in line 2"},
	    {"[a]\nk = \x01\n", "x.conf:2: the line has bytes that are not text"},
	    {"[a23456789012345678901234567890123456789012345678]\n",
	     "x.conf:1: the section's name is too long"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		refused(cases[i].text, strlen(cases[i].text), cases[i].message);
	refused("[a]\nk=\0\n", 8, "x.conf:2: the line has bytes that are not text");
	size_t len = INIFILE_MAX_LINE + 100;
	char *text = malloc(len);
	memset(text, 'x', len);
	refused(text, len, "x.conf:1: the line is too long");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inifile_parse__sections_and_keys__have_their_lines),
	    cmocka_unit_test(inifile_parse__empty_sections__are_there),
	    cmocka_unit_test(inifile_parse__indented_line__continues_the_value),
	    cmocka_unit_test(inifile_parse__long_line__is_whole),
	    cmocka_unit_test(inifile_parse__nothing__is_an_empty_file),
	    cmocka_unit_test(inifile_parse__mistakes__name_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

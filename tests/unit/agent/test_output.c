#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/output/output.h"

/* An output into memory. */
struct captured {
	char *text;
	size_t len;
	struct output *out;
	struct output_opts opts;
};

static void begin(struct captured *c, struct output_opts opts)
{
	struct err err = ERR_INIT;
	*c = (struct captured){.opts = opts};
	c->opts.file = open_memstream(&c->text, &c->len);
	assert_non_null(c->opts.file);
	assert_int_equal(output_new(&c->opts, &c->out, &err), 0);
}

static void ends_with(struct captured *c, const struct err *failure, const char *expected)
{
	struct err err = ERR_INIT;
	if (output_finish(c->out, failure, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(c->text, expected);
	fclose(c->opts.file);
	free(c->text);
	output_free(c->out);
}

static void output__lines__go_where_they_should(void **state)
{
	(void)state;
	struct captured c;
	begin(&c, (struct output_opts){0});
	output_line(c.out, "%d rows", 3);
	output_say(c.out, "by the way");
	output_text(c.out, "a\nb\n");
	ends_with(&c, NULL, "3 rows\nby the way\na\nb\n");
	begin(&c, (struct output_opts){.quiet = true});
	output_line(c.out, "result");
	output_say(c.out, "by the way");
	ends_with(&c, NULL, "result\n");
	begin(&c, (struct output_opts){.json = true});
	output_line(c.out, "result");
	output_say(c.out, "by the way");
	output_text(c.out, "a\n");
	ends_with(&c, NULL, "{}\n");
}

static void output__styles__are_colours_or_nothing(void **state)
{
	(void)state;
	struct captured c;
	begin(&c, (struct output_opts){.colour = true});
	output_line(c.out, STYLE_GOOD "passed" STYLE_END " " STYLE_BAD "x" STYLE_END);
	ends_with(&c, NULL, "\033[32mpassed\033[0m \033[31mx\033[0m\n");
	begin(&c, (struct output_opts){0});
	output_line(c.out, STYLE_BOLD "passed" STYLE_END);
	ends_with(&c, NULL, "passed\n");
}

static void output__control_characters__are_made_visible(void **state)
{
	(void)state;
	struct captured c;
	begin(&c, (struct output_opts){.colour = true});
	output_line(c.out, "a\033[2Jb\r\bc\x7F\xC2\x9B"
			   "d \xC3\xA4 \xE2\x82\xAC");
	ends_with(&c, NULL, "a\\x1b[2Jb\\x0d\\x08c\\x7f\\u009bd \xC3\xA4 \xE2\x82\xAC\n");
	struct err err = ERR_INIT;
	CLEANUP(freep) char *plain = NULL;
	assert_int_equal(output_plain(STYLE_GOOD "a" STYLE_END "\x1b", &plain, &err), 0);
	assert_string_equal(plain, "a\\x1b");
}

static void output_json__document_and_failure__are_one_document(void **state)
{
	(void)state;
	struct captured c;
	struct err err = ERR_INIT, failure = ERR_INIT;
	err_set(&failure, ERR_LOCKED, "somebody has it \xFF");
	begin(&c, (struct output_opts){.json = true});
	assert_int_equal(output_json(c.out, json_pack("{s:i}", "rows", 1), &err), 0);
	assert_int_equal(output_json(c.out, json_pack("{s:i}", "rows", 3), &err), 0);
	ends_with(&c, NULL, "{\n  \"rows\": 3\n}\n");
	begin(&c, (struct output_opts){.json = true});
	ends_with(&c, &failure,
		  "{\n  \"error\": {\n    \"code\": \"locked\",\n    \"message\": \"somebody has "
		  "it \xEF\xBF\xBD\",\n    \"hint\": null\n  }\n}\n");
	err_hint(&failure, "wait");
	begin(&c, (struct output_opts){.json = true});
	assert_int_equal(output_json(c.out, json_pack("{s:i}", "rows", 3), &err), 0);
	ends_with(&c, &failure,
		  "{\n  \"rows\": 3,\n  \"error\": {\n    \"code\": \"locked\",\n    \"message\": "
		  "\"somebody has it \xEF\xBF\xBD\",\n    \"hint\": \"wait\"\n  }\n}\n");
	begin(&c, (struct output_opts){0});
	assert_int_equal(output_json(c.out, json_object(), &err), 0);
	ends_with(&c, &failure, "");
	begin(&c, (struct output_opts){.json = true});
	assert_int_equal(output_json(c.out, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOMEM);
	ends_with(&c, NULL, "{}\n");
}

static void output_finish__full_disk__is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(output_freep) struct output *out = NULL;
	struct output_opts opts = {.file = fopen("/dev/full", "w")};
	if (opts.file == NULL)
		skip();
	assert_int_equal(output_new(&opts, &out, &err), 0);
	output_line(out, "text");
	assert_int_equal(output_finish(out, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_string_equal(err.msg, "writing to stdout: No space left on device");
	fclose(opts.file);
}

static void output_colour_wanted__no_terminal_or_no_color__is_no(void **state)
{
	(void)state;
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_false(output_colour_wanted(pipes[1]));
	close(pipes[0]);
	close(pipes[1]);
	setenv("NO_COLOR", "1", 1);
	assert_false(output_colour_wanted(STDOUT_FILENO));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_false(output_colour_wanted(STDOUT_FILENO));
}

static struct table *sample(void)
{
	static const struct table_column columns[] = {
	    {"TABLE", false}, {"ROWS", true}, {"NOTE", false}};
	struct err err = ERR_INIT;
	struct table *t = NULL;
	assert_int_equal(table_new(columns, 3, &t, &err), 0);
	assert_int_equal(table_add(t, (const char *const[]){"tickets", "3,000,000", NULL}, &err),
			 0);
	assert_int_equal(
	    table_add(t, (const char *const[]){STYLE_GOOD "\xC3\xA4" STYLE_END "b\nc", "7", "odd"},
		      &err),
	    0);
	return t;
}

static void output_table__cells__stand_in_columns(void **state)
{
	(void)state;
	struct captured c;
	struct err err = ERR_INIT;
	CLEANUP(table_freep) struct table *t = sample();
	assert_int_equal(table_rows(t), 2);
	begin(&c, (struct output_opts){0});
	assert_int_equal(output_table(c.out, t, &err), 0);
	ends_with(&c, NULL,
		  "TABLE         ROWS  NOTE\n"
		  "tickets  3,000,000\n"
		  "\xC3\xA4"
		  "b c             7  odd\n");
	begin(&c, (struct output_opts){.quiet = true});
	assert_int_equal(output_table(c.out, t, &err), 0);
	ends_with(&c, NULL,
		  "tickets  3,000,000\n\xC3\xA4"
		  "b c             7  odd\n");
	begin(&c, (struct output_opts){.json = true});
	assert_int_equal(output_table(c.out, t, &err), 0);
	ends_with(&c, NULL, "{}\n");
}

static void output_table__no_rows__prints_nothing(void **state)
{
	(void)state;
	static const struct table_column columns[] = {{"A", false}};
	struct captured c;
	struct err err = ERR_INIT;
	CLEANUP(table_freep) struct table *t = NULL;
	assert_int_equal(table_new(columns, 1, &t, &err), 0);
	begin(&c, (struct output_opts){0});
	assert_int_equal(output_table(c.out, t, &err), 0);
	ends_with(&c, NULL, "");
	assert_int_equal(table_new(columns, 99, &t, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(output__lines__go_where_they_should),
	    cmocka_unit_test(output__styles__are_colours_or_nothing),
	    cmocka_unit_test(output__control_characters__are_made_visible),
	    cmocka_unit_test(output_json__document_and_failure__are_one_document),
	    cmocka_unit_test(output_finish__full_disk__is_an_error),
	    cmocka_unit_test(output_colour_wanted__no_terminal_or_no_color__is_no),
	    cmocka_unit_test(output_table__cells__stand_in_columns),
	    cmocka_unit_test(output_table__no_rows__prints_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

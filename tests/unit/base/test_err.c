#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"

static void set__a_message__forgets_what_was_there(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(err_sys(&err, ERR_IO, EACCES, "open of '%s'", "x"), -1);
	assert_int_equal(err_hint(&err, "Look at %d.", 1), -1);
	err.retryable = true;
	assert_int_equal(err_set(&err, ERR_CORRUPT, "part %d", 7), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_int_equal(err.sys_errno, 0);
	assert_false(err.retryable);
	assert_string_equal(err.msg, "part 7");
	assert_string_equal(err.hint, "");
}

static void set__from_its_own_message__is_fine(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_IO, "inner");
	err_set(&err, ERR_FAILED, "outer of %s", err.msg);
	assert_string_equal(err.msg, "outer of inner");
}

static void sys__text_and_code__follow_errno(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_sys(&err, ERR_IO, EACCES, "open of '%s'", "x");
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(err.sys_errno, EACCES);
	assert_string_equal(err.msg, "open of 'x': Permission denied");
	err_sys(&err, ERR_IO, ENOSPC, "w");
	assert_int_equal(err.code, ERR_NOSPACE);
	err_sys(&err, ERR_IO, EDQUOT, "w");
	assert_int_equal(err.code, ERR_NOSPACE);
	err_sys(&err, ERR_IO, ENOMEM, "w");
	assert_int_equal(err.code, ERR_NOMEM);
}

static void wrap__twice__reads_from_outside_in_and_keeps_the_rest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_sys(&err, ERR_IO, EACCES, "open");
	err_hint(&err, "Ask root.");
	assert_int_equal(err_wrap(&err, "dump of '%s'", "hdms"), -1);
	err_wrap(&err, "backup");
	assert_string_equal(err.msg, "backup: dump of 'hdms': open: Permission denied");
	assert_string_equal(err.hint, "Ask root.");
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(err.sys_errno, EACCES);
}

static void nomem__what_for__is_said(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(err_nomem(&err, "a buffer"), -1);
	assert_int_equal(err.code, ERR_NOMEM);
	assert_string_equal(err.msg, "out of memory for a buffer");
}

/* Valid UTF-8 to its end? */
static bool is_utf8(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != 0;) {
		size_t n = *p < 0x80 ? 1 : *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : *p >= 0xC0 ? 2 : 0;
		if (n == 0)
			return false;
		for (size_t i = 1; i < n; i++)
			if ((p[i] & 0xC0) != 0x80)
				return false;
		p += n;
	}
	return true;
}

static void long_text__of_every_length__is_cut_between_characters(void **state)
{
	(void)state;
	char text[3 * ERR_MSG_BYTES];
	for (size_t shift = 0; shift < 3; shift++) {
		for (size_t len = ERR_HINT_BYTES - 20; len < ERR_MSG_BYTES + 20; len++) {
			struct err err = ERR_INIT;
			/* Three bytes a character, beginning at each of three offsets. */
			memset(text, 'a', shift);
			size_t at = shift;
			for (; at + 3 <= len; at += 3)
				memcpy(text + at, "€", 3);
			text[at] = '\0';
			err_set(&err, ERR_FAILED, "%s", text);
			err_hint(&err, "%s", text);
			assert_true(is_utf8(err.msg) && is_utf8(err.hint));
			bool fits = at < ERR_MSG_BYTES;
			assert_int_equal(strcmp(err.msg, text) == 0, fits);
			if (!fits)
				assert_string_equal(err.msg + strlen(err.msg) - 3, "…");
			err_wrap(&err, "dump of 'ä'");
			assert_true(is_utf8(err.msg));
			err_wrap(&err, "%s", text);
			assert_true(is_utf8(err.msg));
			assert_true(strlen(err.msg) < ERR_MSG_BYTES);
		}
	}
}

static void codes__all_of_them__have_a_name_and_an_exit_status(void **state)
{
	(void)state;
	for (unsigned code = 0; code < ERR_CODES; code++) {
		int status = err_exit_status((enum err_code)code);
		assert_true(strlen(err_code_name((enum err_code)code)) > 0);
		assert_int_equal(status == 0, code == ERR_NONE);
	}
	assert_string_equal(err_code_name((enum err_code)999), "unknown");
	assert_int_equal(err_exit_status((enum err_code)999), 1);
	assert_string_equal(err_code_name(ERR_UNVERIFIED), "could-not-verify");
	assert_int_equal(err_exit_status(ERR_UNVERIFIED), 2);
	assert_int_equal(err_exit_status(ERR_USAGE), 64);
	assert_int_equal(err_exit_status(ERR_UNREACHABLE), 69);
	assert_int_equal(err_exit_status(ERR_LOCKED), 75);
	assert_int_equal(err_exit_status(ERR_CONFIG), 78);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set__a_message__forgets_what_was_there),
	    cmocka_unit_test(set__from_its_own_message__is_fine),
	    cmocka_unit_test(sys__text_and_code__follow_errno),
	    cmocka_unit_test(wrap__twice__reads_from_outside_in_and_keeps_the_rest),
	    cmocka_unit_test(nomem__what_for__is_said),
	    cmocka_unit_test(long_text__of_every_length__is_cut_between_characters),
	    cmocka_unit_test(codes__all_of_them__have_a_name_and_an_exit_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/flow/mail.h"

static void mail_address__addresses__are_for_the_envelope(void **state)
{
	(void)state;
	static const char *const all[][2] = {{"a@b", "<a@b>"},
					     {" a.b+c@d.example ", "<a.b+c@d.example>"},
					     {"Name, of <a@b>", "<a@b>"},
					     {"<a@b> ", "<a@b>"}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		CLEANUP(freep) char *got = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(mail_address(all[i][0], &got, &err), 0);
		assert_string_equal(got, all[i][1]);
	}
}

static void mail_address__no_address_or_two_lines__is_refused(void **state)
{
	(void)state;
	static const char *const all[] = {
	    "",       "a",        "@b",     "a@", "a@b c", "<a@b", "a@b\r\nRCPT TO:<x@y>",
	    "<a@b>x", "Name a@b", "<a b@c>"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char *got = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(mail_address(all[i], &got, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is no mail address"));
		assert_null(strchr(err.msg, '\n'));
		assert_null(got);
	}
}

static void mail_header__what_is_not_ascii__is_encoded(void **state)
{
	(void)state;
	static const struct {
		const char *text, *header;
		bool addresses;
	} cases[] = {
	    {"[lifeboat] hdms: backup failed", "X: [lifeboat] hdms: backup failed", false},
	    {"K\xc3\xa4se", "X: =?utf-8?B?S8Okc2U=?=", false},
	    {"", "X: ", false},
	    {"a@b, Ops <c@d>", "X: a@b, Ops <c@d>", true},
	    {"K\xc3\xa4se <c@d>,a@b", "X: =?utf-8?B?S8Okc2U=?= <c@d>, a@b", true},
	    {"\"K\xc3\xa4se\" <c@d>", "X: =?utf-8?B?S8Okc2U=?= <c@d>", true},
	    {"a@b,", "X: a@b, ", true},
	    /* 41 bytes and a character of two: the word ends before it. */
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4",
	     "X: =?utf-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=?=\r\n "
	     "=?utf-8?B?w6Q=?=",
	     false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(freep) char *got = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(mail_header("X", cases[i].text, cases[i].addresses, &got, &err),
				 0);
		assert_string_equal(got, cases[i].header);
	}
}

static void mail_send__line_feed_in_the_head__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mail m = {.server = "smtp://127.0.0.1:1",
			 .from = "a@b",
			 .to = "c@d",
			 .subject = "x\r\nBcc: e@f",
			 .text = "",
			 .timeout_ms = 1000};
	assert_int_equal(mail_send(&m, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "a mail's head has a control character in it");
}

static void mail_send__nobody_there__may_be_tried_again(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mail m = {.server = "smtp://u:pw@127.0.0.1:1",
			 .from = "a@b",
			 .to = "c@d",
			 .subject = "x",
			 .text = "",
			 .timeout_ms = 1000};
	assert_int_equal(mail_send(&m, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_true(err.retryable);
	assert_non_null(strstr(err.msg, "mail server '127.0.0.1:1': "));
	assert_null(strstr(err.msg, "pw"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mail_address__addresses__are_for_the_envelope),
	    cmocka_unit_test(mail_address__no_address_or_two_lines__is_refused),
	    cmocka_unit_test(mail_header__what_is_not_ascii__is_encoded),
	    cmocka_unit_test(mail_send__line_feed_in_the_head__is_refused),
	    cmocka_unit_test(mail_send__nobody_there__may_be_tried_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

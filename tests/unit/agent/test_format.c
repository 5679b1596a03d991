#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "agent/output/format.h"

static void format_size__sizes__have_one_digit_behind_the_point(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"},
		     {1, "1 B"},
		     {1023, "1023 B"},
		     {1024, "1.0 KiB"},
		     {1288490189, "1.2 GiB"},
		     {1048575, "1.0 MiB"},
		     {1048576, "1.0 MiB"},
		     {1024ULL * 1024 * 1023, "1023.0 MiB"},
		     {UINT64_MAX, "16.0 EiB"}};
	char out[FORMAT_BYTES];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(format_size(cases[i].bytes, out), cases[i].text);
}

static void format_exact_size__sizes__are_never_rounded(void **state)
{
	(void)state;
	char out[FORMAT_BYTES];
	assert_string_equal(format_exact_size(0, out), "0 B");
	assert_string_equal(format_exact_size(8 << 20, out), "8 MiB");
	assert_string_equal(format_exact_size(1000, out), "1000 B");
	assert_string_equal(format_exact_size(1536, out), "1536 B");
}

static void format_count__numbers__have_thousands(void **state)
{
	(void)state;
	char out[FORMAT_BYTES];
	assert_string_equal(format_count(0, out), "0");
	assert_string_equal(format_count(999, out), "999");
	assert_string_equal(format_count(1000, out), "1,000");
	assert_string_equal(format_count(3000000, out), "3,000,000");
	assert_string_equal(format_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
}

static void format_duration__spans__have_two_units_at_most(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{-5, "0 ms"},
		     {0, "0 ms"},
		     {999, "999 ms"},
		     {1000, "1.0 s"},
		     {59999, "59.9 s"},
		     {60000, "1 min 0 s"},
		     {3599999, "59 min 59 s"},
		     {3600000, "1 h 0 min"},
		     {86400000, "1 d 0 h"},
		     {273600000, "3 d 4 h"}};
	char out[FORMAT_BYTES];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(format_duration(cases[i].ms, out), cases[i].text);
}

static void format_age__ages__are_rough(void **state)
{
	(void)state;
	char out[FORMAT_BYTES];
	assert_string_equal(format_age(-120000, out), "in the future");
	assert_string_equal(format_age(-5000, out), "just now");
	assert_string_equal(format_age(0, out), "just now");
	assert_string_equal(format_age(5 * 60000, out), "5 min ago");
	assert_string_equal(format_age(3 * 3600000, out), "3 h ago");
	assert_string_equal(format_age(12 * 86400000LL, out), "12 d ago");
}

static void format_parse_duration__units__become_milliseconds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"20", 20000},     {"20s", 20000},   {"20 s", 20000}, {"500ms", 500},
		    {"5m", 300000},    {"5min", 300000}, {"1H", 3600000}, {"2d", 172800000},
		    {"1w", 604800000}, {"0", 0}};
	static const char *const bad[] = {"",
					  "s",
					  "-1",
					  "+1",
					  " 1",
					  "1.5",
					  "1x",
					  "1 h 5 m",
					  "99999999999999999999",
					  "9999999999999999w"};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		int64_t ms = -1;
		assert_int_equal(format_parse_duration(good[i].text, &ms, &err), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms = -1;
		assert_int_equal(format_parse_duration(bad[i], &ms, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is not a duration"));
		assert_int_equal(ms, -1);
	}
}

static void format_parse_size__units__become_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},           {"8388608", 8388608},  {"8MiB", 8388608},
		    {"8m", 8388608},    {"8 MB", 8000000},     {"64KiB", 65536},
		    {"2g", 2ULL << 30}, {"1TB", 1000000000000}};
	static const char *const bad[] = {"", "MiB", "-1", "1.5M", "1 Mib/s", "99999999999T"};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		uint64_t bytes = 1;
		assert_int_equal(format_parse_size(good[i].text, &bytes, &err), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t bytes = 1;
		assert_int_equal(format_parse_size(bad[i], &bytes, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is not a size"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(format_size__sizes__have_one_digit_behind_the_point),
	    cmocka_unit_test(format_exact_size__sizes__are_never_rounded),
	    cmocka_unit_test(format_count__numbers__have_thousands),
	    cmocka_unit_test(format_duration__spans__have_two_units_at_most),
	    cmocka_unit_test(format_age__ages__are_rough),
	    cmocka_unit_test(format_parse_duration__units__become_milliseconds),
	    cmocka_unit_test(format_parse_size__units__become_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

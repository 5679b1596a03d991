#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "restore/report.h"

static void begin(struct report *r)
{
	struct err err = ERR_INIT;
	assert_int_equal(report_init(r, &err), 0);
}

static void compare(struct report *r, const char *expected, const char *found)
{
	struct err err = ERR_INIT;
	assert_int_equal(
	    report_compare(r, "postgres", "database 'd'", "rows", expected, found, &err), 0);
}

static void unverified(struct report *r)
{
	struct err err = ERR_INIT;
	assert_int_equal(report_unverified(r, "pgbouncer", "query", "no url", &err), 0);
}

/* What an array of objects says under `key` at `i`. */
static const char *said(json_t *list, size_t i, const char *key)
{
	return json_str_or(json_array_get(list, i), key, "?");
}

static void outcome_name__every_outcome__has_its_words(void **state)
{
	(void)state;
	assert_string_equal(outcome_name(OUTCOME_PASSED), "passed");
	assert_string_equal(outcome_name(OUTCOME_FAILED), "failed");
	assert_string_equal(outcome_name(OUTCOME_UNVERIFIED), "could not verify");
}

static void report__nothing_compared__could_not_verify(void **state)
{
	(void)state;
	struct report r;
	begin(&r);
	assert_int_equal(report_outcome(&r), OUTCOME_UNVERIFIED);
	report_done(&r);
	assert_null(r.differences);
	report_done(&r);
}

static void report__a_note_alone__is_no_comparison(void **state)
{
	(void)state;
	struct report r;
	struct err err = ERR_INIT;
	begin(&r);
	assert_int_equal(report_note(&r, &err, "%d keys %s", 12, "expired"), 0);
	assert_int_equal(report_outcome(&r), OUTCOME_UNVERIFIED);
	assert_string_equal(json_string_value(json_array_get(r.notes, 0)), "12 keys expired");
	report_done(&r);
}

static void report__equal_texts__passed_with_nothing_to_say(void **state)
{
	(void)state;
	struct report r;
	begin(&r);
	compare(&r, "12", "12");
	compare(&r, "", "");
	assert_int_equal(report_outcome(&r), OUTCOME_PASSED);
	assert_int_equal(r.compared, 2);
	assert_int_equal(json_array_size(r.differences), 0);
	report_done(&r);
}

static void report__a_difference__failed_and_named(void **state)
{
	(void)state;
	struct report r;
	begin(&r);
	compare(&r, "12", "12");
	compare(&r, "12", "11");
	compare(&r, "1", "2");
	unverified(&r);
	assert_int_equal(report_outcome(&r), OUTCOME_FAILED);
	assert_int_equal(r.compared, 3);
	assert_int_equal(r.failed, 2);
	assert_string_equal(said(r.differences, 0, "component"), "postgres");
	assert_string_equal(said(r.differences, 0, "where"), "database 'd'");
	assert_string_equal(said(r.differences, 0, "what"), "rows");
	assert_string_equal(said(r.differences, 0, "expected"), "12");
	assert_string_equal(said(r.differences, 0, "found"), "11");
	report_done(&r);
}

static void report__numbers__are_compared_as_they_are_written(void **state)
{
	(void)state;
	struct report r;
	struct err err = ERR_INIT;
	begin(&r);
	assert_int_equal(
	    report_compare_u64(&r, "redis", "database 0", "keys", UINT64_MAX, UINT64_MAX, &err), 0);
	assert_int_equal(report_outcome(&r), OUTCOME_PASSED);
	assert_int_equal(report_compare_u64(&r, "redis", "database 0", "keys", UINT64_MAX, 0, &err),
			 0);
	assert_int_equal(report_outcome(&r), OUTCOME_FAILED);
	report_done(&r);
}

static void report__one_thing_unknown_among_equals__could_not_verify(void **state)
{
	(void)state;
	struct report r;
	begin(&r);
	compare(&r, "1", "1");
	unverified(&r);
	assert_int_equal(report_outcome(&r), OUTCOME_UNVERIFIED);
	assert_int_equal(r.unverified, 1);
	assert_string_equal(said(r.unknowns, 0, "component"), "pgbouncer");
	report_done(&r);
}

static void report__bytes_that_are_no_utf8__are_told_and_not_lost(void **state)
{
	(void)state;
	struct report r;
	begin(&r);
	compare(&r, "a", "\xff\xfe");
	assert_int_equal(report_outcome(&r), OUTCOME_FAILED);
	assert_int_equal(json_array_size(r.differences), 1);
	assert_string_equal(said(r.differences, 0, "expected"), "a");
	assert_string_not_equal(said(r.differences, 0, "found"), "a");
	report_done(&r);
}

static void report_json__all_kinds__are_in_it_and_it_outlives_the_report(void **state)
{
	(void)state;
	struct report r;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	begin(&r);
	compare(&r, "1", "1");
	compare(&r, "1", "2");
	unverified(&r);
	assert_int_equal(report_note(&r, &err, "a note"), 0);
	assert_int_equal(report_json(&r, &j, &err), 0);
	report_done(&r);
	assert_string_equal(json_str_or(j, "outcome", ""), "failed");
	assert_int_equal(json_u64_or(j, "compared", 0), 2);
	assert_int_equal(json_u64_or(j, "failed", 0), 1);
	assert_int_equal(json_u64_or(j, "unverified", 0), 1);
	assert_string_equal(said(json_object_get(j, "differences"), 0, "found"), "2");
	assert_string_equal(said(json_object_get(j, "unknowns"), 0, "why"), "no url");
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "notes"), 0)),
			    "a note");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(outcome_name__every_outcome__has_its_words),
	    cmocka_unit_test(report__nothing_compared__could_not_verify),
	    cmocka_unit_test(report__a_note_alone__is_no_comparison),
	    cmocka_unit_test(report__equal_texts__passed_with_nothing_to_say),
	    cmocka_unit_test(report__a_difference__failed_and_named),
	    cmocka_unit_test(report__numbers__are_compared_as_they_are_written),
	    cmocka_unit_test(report__one_thing_unknown_among_equals__could_not_verify),
	    cmocka_unit_test(report__bytes_that_are_no_utf8__are_told_and_not_lost),
	    cmocka_unit_test(report_json__all_kinds__are_in_it_and_it_outlives_the_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

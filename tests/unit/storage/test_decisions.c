#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/decisions.h"
#include "storage/failures.h"

enum { STORES = 3, ROUNDS = 40 };

static struct err err;

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", err.msg);
}

static json_t *sidecar(bool pinned, bool suspicious)
{
	json_t *j = json_pack("{s:s, s:b, s:b}", "finished", "2026-11-23T02:00:00Z", "pinned",
			      pinned, "suspicious", suspicious);
	assert_non_null(j);
	return j;
}

static void pin(json_t *s, const char *id, bool here)
{
	must(decisions_pin(s, id, here, &err));
	assert_true(json_is_true(json_object_get(s, "pinned")));
}

static bool unpin(json_t *s, bool here)
{
	bool changed;
	must(decisions_unpin(s, here, &changed, &err));
	return changed;
}

static bool merge(json_t *s, const json_t *theirs)
{
	bool changed;
	must(decisions_merge(s, theirs, &changed, &err));
	must(decisions_check(s, &err));
	return changed;
}

static bool is(const json_t *s, const char *field)
{
	return json_is_true(json_object_get(s, field));
}

static void merge__pin_that_one_did_not_hear_of__is_brought(void **state)
{
	(void)state;
	json_t *a = sidecar(false, false), *b = sidecar(false, false);
	bool would;
	assert_false(merge(b, a));
	pin(a, "1", false);
	must(decisions_is_pinned(b, a, &would, &err));
	assert_true(would);
	assert_false(is(b, "pinned"));
	assert_true(merge(b, a));
	assert_true(is(b, "pinned"));
	assert_false(merge(b, a));
	assert_false(merge(a, b));
	json_decref(a);
	json_decref(b);
}

static void merge__pin_that_was_lifted__is_lifted_there_too(void **state)
{
	(void)state;
	json_t *a = sidecar(false, false), *b = sidecar(false, false);
	pin(a, "1", false);
	pin(b, "1", false);
	assert_true(unpin(a, false));
	assert_false(unpin(a, false));
	/* From the one that is behind nothing comes back. */
	assert_false(merge(a, b));
	assert_false(is(a, "pinned"));
	assert_true(merge(b, a));
	assert_false(is(b, "pinned"));
	/* And it can be pinned again. */
	pin(b, "2", false);
	merge(a, b);
	assert_true(is(a, "pinned"));
	json_decref(a);
	json_decref(b);
}

/* Each side was away when the other decided. */
static void merge__pin_that_the_lifter_did_not_know__stays(void **state)
{
	(void)state;
	json_t *a = sidecar(false, false), *b = sidecar(false, false);
	pin(a, "1", false);
	pin(b, "1", false);
	unpin(a, false);
	unpin(b, false);
	pin(b, "2", false);
	assert_false(unpin(a, false));
	assert_true(merge(a, b));
	assert_true(is(a, "pinned") && is(b, "pinned"));
	json_decref(a);
	json_decref(b);
}

static void merge__pinned_when_taken__needs_no_decision(void **state)
{
	(void)state;
	json_t *a = sidecar(true, false), *b = sidecar(true, false), *c = sidecar(false, false);
	assert_false(merge(a, b));
	/* A version that kept no set pinned it in one store. */
	assert_true(merge(c, a));
	assert_true(is(c, "pinned"));
	assert_true(unpin(a, false));
	assert_true(merge(b, a));
	assert_false(is(b, "pinned"));
	/* Such a version pins again what was lifted: no decision accounts for it, and none lifts it
	 * but a new one. */
	json_object_set_new(b, "pinned", json_true());
	pin(a, "3", false);
	unpin(a, false);
	merge(b, a);
	assert_true(is(b, "pinned"));
	unpin(b, false);
	assert_false(is(b, "pinned"));
	json_decref(a);
	json_decref(b);
	json_decref(c);
}

static void here__decided_for_one_store__stays_there(void **state)
{
	(void)state;
	json_t *a = sidecar(false, false), *b = sidecar(false, false), *c = sidecar(false, false);
	pin(a, "1", true);
	assert_false(merge(b, a));
	assert_false(is(b, "pinned"));
	/* For all of them: more than for this one. */
	pin(a, "2", false);
	assert_true(merge(b, a) && is(b, "pinned"));
	/* Lifted in one store alone. */
	assert_true(unpin(b, true));
	assert_false(merge(a, b));
	assert_true(is(a, "pinned"));
	assert_false(merge(b, a));
	assert_false(is(b, "pinned"));
	/* Lifted everywhere: it is so there too, and is passed on. */
	unpin(a, false);
	merge(b, a);
	pin(c, "2", false);
	assert_true(merge(c, b));
	assert_false(is(c, "pinned"));
	json_decref(a);
	json_decref(b);
	json_decref(c);
}

static void leave__decided_for_one_store__does_not_go_with_a_copy(void **state)
{
	(void)state;
	json_t *s = sidecar(false, true);
	bool changed;
	must(decisions_leave(s, &changed, &err));
	assert_false(changed);
	must(decisions_trust(s, "t1", true, &changed, &err));
	pin(s, "p1", true);
	must(decisions_leave(s, &changed, &err));
	assert_true(changed);
	assert_false(is(s, "pinned"));
	assert_true(is(s, "suspicious"));
	assert_null(json_object_get(s, "trusted"));
	/* Lifted here alone: it is pinned for all others. */
	pin(s, "p2", false);
	must(decisions_trust(s, "t2", false, &changed, &err));
	assert_true(unpin(s, true));
	must(decisions_leave(s, &changed, &err));
	assert_true(changed);
	assert_true(is(s, "pinned"));
	assert_false(is(s, "suspicious"));
	assert_non_null(json_object_get(s, "trusted"));
	must(decisions_leave(s, &changed, &err));
	assert_false(changed);
	json_decref(s);
}

static void trust__lifts_the_suspicion_where_it_is_heard_of(void **state)
{
	(void)state;
	bool changed;
	json_t *a = sidecar(false, true), *b = sidecar(false, true), *c = sidecar(false, true),
	       *old = sidecar(false, false);
	must(decisions_trust(a, "1", false, &changed, &err));
	assert_true(changed && !is(a, "suspicious"));
	must(decisions_trust(a, "2", false, &changed, &err));
	assert_false(changed);
	assert_true(merge(b, a));
	assert_false(is(b, "suspicious"));
	assert_string_equal(json_str_or(b, "trusted", ""), json_str_or(a, "trusted", "x"));
	/* As a version that kept no set wrote it. */
	json_object_set_new(old, "trusted", json_string("2026-11-24T02:00:00Z"));
	assert_true(merge(c, old));
	assert_false(is(c, "suspicious"));
	assert_string_equal(json_str_or(c, "trusted", ""), "2026-11-24T02:00:00Z");
	json_decref(a);
	json_decref(b);
	json_decref(c);
	json_decref(old);
}

/* Whatever is decided where, and in whatever order they hear of each other: at the end all say the
 * same, and no pin is lost that nobody lifted. */
static void merge__of_random_histories__comes_to_one_end(void **state)
{
	(void)state;
	unsigned seed = 20261123;
	for (unsigned round = 0; round < ROUNDS; round++) {
		json_t *s[STORES];
		for (unsigned i = 0; i < STORES; i++)
			s[i] = sidecar(false, true);
		for (unsigned step = 0; step < 12; step++) {
			unsigned at = (unsigned)rand_r(&seed) % STORES;
			unsigned other = (unsigned)rand_r(&seed) % STORES;
			char id[DECISIONS_TOKEN_BYTES];
			bool changed;
			must(decisions_token(id, &err));
			switch ((unsigned)rand_r(&seed) % 4) {
			case 0:
				pin(s[at], id, false);
				break;
			case 1:
				unpin(s[at], false);
				break;
			case 2:
				must(decisions_trust(s[at], id, false, &changed, &err));
				break;
			default:
				merge(s[at], s[other]);
				break;
			}
		}
		/* The last word: one pins, and nobody who knows of it lifts it. */
		unsigned last = (unsigned)rand_r(&seed) % STORES;
		bool pins = rand_r(&seed) % 2 == 0;
		if (pins) /* perhaps what others, unheard of, have unpinned */
			pin(s[last], "last", false);
		for (unsigned pass = 0; pass < 2; pass++)
			for (unsigned i = 0; i < STORES; i++)
				for (unsigned k = 0; k < STORES; k++)
					merge(s[i], s[k]);
		for (unsigned i = 0; i < STORES; i++) {
			assert_int_equal(is(s[i], "pinned"), is(s[0], "pinned"));
			assert_int_equal(is(s[i], "suspicious"), is(s[0], "suspicious"));
			assert_false(merge(s[i], s[(i + 1) % STORES]));
			if (pins)
				assert_true(is(s[i], "pinned"));
		}
		for (unsigned i = 0; i < STORES; i++)
			json_decref(s[i]);
	}
}

static void decisions__without_end__are_refused(void **state)
{
	(void)state;
	json_t *a = sidecar(false, false);
	bool changed;
	int rc = 0;
	unsigned times = 0;
	for (; rc == 0 && times < 2 * DECISIONS_MAX; times++) {
		char id[DECISIONS_TOKEN_BYTES];
		snprintf(id, sizeof id, "%u", times);
		rc = times % 2 == 0 ? decisions_pin(a, id, false, &err)
				    : decisions_unpin(a, false, &changed, &err);
	}
	assert_int_equal(times, DECISIONS_MAX + 1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "its sidecar holds 200 decisions already");
	must(decisions_check(a, &err));
	json_decref(a);
	err_clear(&err);
}

static void decisions_check__malformed__says_what(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"{\"decisions\":{}}", "field 'decisions' is not an array"},
	    {"{\"decisions\":[{\"id\":\"1\"}]}", "field 'decisions': field 'what' is missing"},
	    {"{\"decisions\":[{\"what\":\"pin\",\"id\":1}]}", "field 'decisions': field 'id' is"},
	    {"{\"decisions\":[{\"what\":\"pin\",\"id\":\"1\",\"at\":\"x\"}]}",
	     "field 'decisions': 'x'"},
	    {"{\"decisions\":[7]}", "field 'decisions': field 'what' is missing"},
	    {"{\"decisions\":[{\"what\":\"pin\",\"id\":\"0123456789abcdef0\",\"at\":"
	     "\"2026-11-23T02:00:00Z\"}]}",
	     "field 'decisions' holds a text longer than 16 bytes"},
	    {"{\"decisions\":[{\"what\":\"pinpinpinpinpinpi\",\"id\":\"1\",\"at\":"
	     "\"2026-11-23T02:00:00Z\"}]}",
	     "field 'decisions' holds a text longer than 16 bytes"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *j = json_loads(cases[i].text, 0, NULL);
		assert_int_equal(decisions_check(j, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		if (strncmp(err.msg, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("'%s', not '%s'", err.msg, cases[i].why);
		err_clear(&err);
		json_decref(j);
	}
}

/* ---- failures ---- */

static void failure__stands_until_a_pass_has_named_it(void **state)
{
	(void)state;
	json_t *all = json_pack("[{s:s, s:s}, {s:s, s:s, s:[], s:s}, {s:s, s:s}]", "object", "d-2",
				"outcome", "failed", "object", "d-3", "outcome", "passed",
				"answers", "kind", "whole", "object", "d-4", "outcome", "failed");
	const json_t *first = json_array_get(all, 0), *last = json_array_get(all, 2);
	json_t *passed = json_array_get(all, 1), *names = NULL;
	/* It began before that failure was there. */
	assert_false(failures_answered(all, first, NULL));
	must(failures_of(all, &names, &err));
	assert_int_equal(json_array_size(names), 2);
	assert_string_equal(json_string_value(json_array_get(names, 1)), "d-4");
	json_object_set(passed, "answers", names);
	assert_true(failures_answered(all, first, NULL));
	/* Also one whose host has a clock that is ahead. */
	assert_true(failures_answered(all, last, NULL));
	assert_true(failures_answered(all, last, "whole"));
	assert_false(failures_answered(all, last, "sample"));
	/* Of a version that named none: by their names. */
	json_object_del(passed, "answers");
	assert_true(failures_answered(all, first, NULL));
	assert_false(failures_answered(all, last, NULL));
	json_decref(names);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(merge__pin_that_one_did_not_hear_of__is_brought),
	    cmocka_unit_test(merge__pin_that_was_lifted__is_lifted_there_too),
	    cmocka_unit_test(merge__pin_that_the_lifter_did_not_know__stays),
	    cmocka_unit_test(merge__pinned_when_taken__needs_no_decision),
	    cmocka_unit_test(here__decided_for_one_store__stays_there),
	    cmocka_unit_test(leave__decided_for_one_store__does_not_go_with_a_copy),
	    cmocka_unit_test(trust__lifts_the_suspicion_where_it_is_heard_of),
	    cmocka_unit_test(merge__of_random_histories__comes_to_one_end),
	    cmocka_unit_test(decisions__without_end__are_refused),
	    cmocka_unit_test(decisions_check__malformed__says_what),
	    cmocka_unit_test(failure__stands_until_a_pass_has_named_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

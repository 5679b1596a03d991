#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/digest.h"
#include "base/flow/sink.h"
#include "tests/support/fake_flow.h"

static void assert_write_breaks(struct sink *s, const char *message)
{
	struct err err = ERR_INIT;
	assert_int_equal(sink_write(s, "x", 1, &err), -1);
	assert_string_equal(err.msg, message);
}

static void error__of_a_write__sticks_to_close(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	struct sink *s = fake_sink(&log, 2, false);
	assert_int_equal(sink_write(s, "abc", 3, &err), 0);
	for (int i = 0; i < 3; i++)
		assert_write_breaks(s, "the sink broke");
	assert_int_equal(sink_close(s, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_string_equal(err.msg, "the sink broke");
	assert_int_equal(log.calls, 2);
	assert_int_equal(log.closed, 0);
	assert_int_equal(sink_bytes(s), 3);
	sink_free(s);
	assert_int_equal(log.freed, 1);
}

static void close__that_fails__sticks(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	struct sink *s = fake_sink(&log, 0, true);
	assert_int_equal(sink_close(s, &err), -1);
	assert_write_breaks(s, "the sink broke");
	sink_free(s);
}

static void closed__written_again__is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	struct sink *s = fake_sink(&log, 0, false);
	assert_int_equal(sink_close(s, &err), 0);
	assert_write_breaks(s, "a closed sink was written to");
	assert_int_equal(sink_close(s, &err), -1);
	assert_int_equal(log.closed, 1);
	sink_free(s);
	sink_free(NULL);
}

static void write__of_nothing__is_no_call(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	struct sink *s = fake_sink(&log, 1, false);
	assert_int_equal(sink_write(s, "", 0, &err), 0);
	assert_int_equal(log.calls, 0);
	sink_free(s);
}

static void buf__full__is_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf b;
	struct sink *s = NULL;
	buf_init(&b, 5);
	assert_int_equal(sink_buf(&b, &s, &err), 0);
	assert_int_equal(sink_write(s, "12345", 5, &err), 0);
	assert_int_equal(sink_write(s, "6", 1, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "more than 5 bytes");
	sink_free(s);
	assert_string_equal(buf_text(&b), "12345");
	buf_done(&b);
}

static void count(void *ctx, size_t n)
{
	*(size_t *)ctx += n;
}

static void small_ones__null_meter_digest__take_everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *null = NULL, *meter = NULL, *digest = NULL, *two = NULL, *three = NULL;
	struct sha256 *h = NULL;
	char hex[SHA256_HEX_BYTES];
	size_t seen = 0;
	assert_int_equal(sha256_new(&h, &err), 0);
	assert_int_equal(sink_null(&null, &err), 0);
	assert_int_equal(sink_meter(count, &seen, &meter, &err), 0);
	assert_int_equal(sink_sha256(h, &digest, &err), 0);
	assert_int_equal(sink_both(null, meter, &two, &err), 0);
	assert_int_equal(sink_both(two, digest, &three, &err), 0);
	assert_int_equal(sink_write(three, "a", 1, &err), 0);
	assert_int_equal(sink_write(three, "bc", 2, &err), 0);
	assert_int_equal(sink_close(three, &err), 0);
	sink_free(three);
	sha256_hex(h, hex);
	sha256_free(h);
	assert_int_equal(seen, 3);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void both__one_breaks__neither_is_closed(void **state)
{
	(void)state;
	for (unsigned broken = 0; broken < 2; broken++) {
		struct err err = ERR_INIT;
		struct fake_log a = {0}, b = {0};
		struct sink *s = NULL;
		assert_int_equal(sink_both(fake_sink(&a, broken == 0 ? 1 : 0, false),
					   fake_sink(&b, broken == 1 ? 1 : 0, false), &s, &err),
				 0);
		assert_write_breaks(s, "the sink broke");
		assert_int_equal(sink_close(s, &err), -1);
		sink_free(s);
		assert_int_equal(a.closed + b.closed, 0);
		assert_int_equal(a.freed + b.freed, 2);
	}
}

static void both__close_of_the_first_fails__the_second_stays_open(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log a = {0}, b = {0};
	struct sink *s = NULL;
	assert_int_equal(sink_both(fake_sink(&a, 0, true), fake_sink(&b, 0, false), &s, &err), 0);
	assert_int_equal(sink_close(s, &err), -1);
	sink_free(s);
	assert_int_equal(b.closed, 0);
}

/* ---- filtered ---- */

static struct sink *filtered(struct sink *to, struct fake_log *log, enum fake_filter_kind kind)
{
	struct err err = ERR_INIT;
	struct sink *s = NULL;
	assert_int_equal(sink_filtered(fake_filter(log, kind), to, &s, &err), 0);
	return s;
}

static void filtered__written_in_any_pieces__is_the_same(void **state)
{
	(void)state;
	static const char text[] = "(ab)c(defg)";
	for (size_t piece = 1; piece < sizeof text; piece++) {
		struct err err = ERR_INIT;
		struct fake_log log = {0};
		struct buf b;
		struct sink *to = NULL;
		buf_init(&b, 100);
		assert_int_equal(sink_buf(&b, &to, &err), 0);
		struct sink *s = filtered(to, &log, FAKE_FILTER_DOUBLE);
		for (size_t at = 0; at < sizeof text - 1; at += piece) {
			size_t n = sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece;
			assert_int_equal(sink_write(s, text + at, n, &err), 0);
		}
		assert_int_equal(sink_close(s, &err), 0);
		sink_free(s);
		assert_string_equal(buf_text(&b), "((aabb))cc((ddeeffgg))");
		buf_done(&b);
		assert_int_equal(log.freed, 1);
	}
}

static void filtered__closed_inside_a_frame__closes_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0}, to = {0};
	struct sink *s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_DOUBLE);
	assert_int_equal(sink_write(s, "(ab", 3, &err), 0);
	assert_int_equal(sink_close(s, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "stream ended inside a frame");
	sink_free(s);
	assert_int_equal(to.closed, 0);
	assert_int_equal(to.freed, 1);
}

static void filtered__more_output_than_its_buffer__all_arrives(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0}, to = {0};
	struct sink *s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_DOUBLE);
	static const uint8_t block[300000];
	assert_int_equal(sink_write(s, block, sizeof block, &err), 0);
	assert_int_equal(sink_close(s, &err), 0);
	assert_int_equal(to.bytes, 2 * sizeof block);
	assert_int_equal(to.closed, 1);
	sink_free(s);
	s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_TAIL);
	to.bytes = 0;
	assert_int_equal(sink_write(s, "abc", 3, &err), 0);
	assert_int_equal(sink_close(s, &err), 0);
	assert_int_equal(to.bytes, 100003);
	sink_free(s);
}

static void filtered__a_broken_neighbour__is_its_error(void **state)
{
	(void)state;
	struct fake_log log = {0}, to = {0};
	struct sink *s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_STUCK);
	assert_write_breaks(s, "a filter makes no progress");
	sink_free(s);
	s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_FULL);
	assert_write_breaks(s, "a filter makes no progress");
	sink_free(s);
	s = filtered(fake_sink(&to, 0, false), &log, FAKE_FILTER_BREAKS);
	assert_write_breaks(s, "the filter broke");
	sink_free(s);
	s = filtered(fake_sink(&to, 1, false), &log, FAKE_FILTER_DOUBLE);
	assert_write_breaks(s, "the sink broke");
	sink_free(s);
	assert_int_equal(to.closed, 0);
	assert_int_equal(log.freed, 4);
}

/* ---- children ---- */

static struct sink *child_sink(const char *script, int64_t close_ms)
{
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct sink *s = NULL;
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct child_opts o = {.argv = argv, .pipe_stdin = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(sink_child(c, close_ms, &s, &err), 0);
	return s;
}

static void child__that_takes_all__close_waits_for_status_0(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *s = child_sink("test \"$(cat)\" = hello", 10000);
	assert_int_equal(sink_write(s, "hello", 5, &err), 0);
	assert_int_equal(sink_close(s, &err), 0);
	sink_free(s);
}

static void child__that_fails_at_the_end__close_says_why(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *s = child_sink("cat >/dev/null; echo 'syntax error' >&2; exit 3", 10000);
	assert_int_equal(sink_write(s, "hello", 5, &err), 0);
	assert_int_equal(sink_close(s, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "'sh' exited with status 3: syntax error");
	sink_free(s);
}

static void child__that_stops_reading__the_write_says_why(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *s = child_sink("echo 'no more' >&2; exit 4", 10000);
	static const uint8_t block[100000];
	int rc = 0;
	for (int i = 0; rc == 0 && i < 1000; i++)
		rc = sink_write(s, block, sizeof block, &err);
	assert_int_equal(rc, -1);
	assert_string_equal(err.msg, "'sh' exited with status 4: no more");
	sink_free(s);
	/* One that is content without reading it all has nothing to say. */
	s = child_sink("exit 0", 10000);
	for (rc = 0; rc == 0;)
		rc = sink_write(s, block, sizeof block, &err);
	assert_string_equal(err.msg, "'sh' no longer reads");
	sink_free(s);
}

static void child__that_does_not_end__close_times_out(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *s = child_sink("cat >/dev/null; sleep 100", 20);
	assert_int_equal(sink_close(s, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "'sh': timed out");
	sink_free(s);
}

/* ---- the driver ---- */

static void copy__all_of_it__counts_and_closes_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log from = {0}, to = {0};
	struct source *a = fake_source(&from, 1000000, 300000, 0);
	struct sink *b = fake_sink(&to, 0, false);
	uint64_t bytes = 0;
	assert_int_equal(flow_copy(a, b, &bytes, &err), 0);
	assert_int_equal(bytes, 1000000);
	assert_int_equal(to.bytes, 1000000);
	assert_int_equal(to.closed, 0);
	source_free(a);
	sink_free(b);
}

/* Memory of 1000 bytes that is lent again and again; `direct` counts what was written from it. */
struct lender {
	uint8_t memory[1000];
	size_t used, lent, direct;
};

static int lender_lend(void *self, uint8_t **ret, size_t *ret_cap, struct err *err)
{
	struct lender *l = self;
	if (++l->lent > 3)
		return err_set(err, ERR_NOSPACE, "no more to lend");
	*ret = l->memory + l->used;
	*ret_cap = sizeof l->memory - l->used;
	return 0;
}

static int lender_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	(void)err;
	struct lender *l = self;
	l->direct += data == l->memory + l->used ? len : 0;
	l->used = (l->used + len) % sizeof l->memory;
	return 0;
}

static void copy__into_a_sink_that_lends__reads_into_its_memory(void **state)
{
	(void)state;
	static const struct sink_ops ops = {.write = lender_write, .lend = lender_lend};
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	struct lender lender = {.used = 0};
	struct source *from = fake_source(&log, 1100, 700, 0);
	struct sink *to;
	assert_int_equal(sink_new(&ops, &lender, &to, &err), 0);
	/* 700, 300, 100, and no memory for what may come then. */
	assert_int_equal(flow_copy(from, to, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_string_equal(err.msg, "no more to lend");
	assert_int_equal(lender.direct, 1100);
	assert_int_equal(sink_bytes(to), 1100);
	assert_write_breaks(to, "no more to lend");
	source_free(from);
	sink_free(to);
}

static void lend__by_one_that_has_nothing__is_null(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sink *s;
	uint8_t here, *memory = &here;
	size_t cap = 1;
	assert_int_equal(sink_null(&s, &err), 0);
	assert_int_equal(sink_lend(s, &memory, &cap, &err), 0);
	assert_null(memory);
	assert_int_equal(sink_close(s, &err), 0);
	memory = &here;
	assert_int_equal(sink_lend(s, &memory, &cap, &err), -1);
	assert_string_equal(err.msg, "a closed sink was written to");
	assert_ptr_equal(memory, &here);
	sink_free(s);
}

static void copy__either_side_breaks__is_its_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log from = {0}, to = {0};
	struct source *a = fake_source(&from, 100, 10, 3);
	struct sink *b = fake_sink(&to, 0, false);
	uint64_t bytes = 77;
	assert_int_equal(flow_copy(a, b, &bytes, &err), -1);
	assert_string_equal(err.msg, "the source broke");
	source_free(a);
	sink_free(b);
	a = fake_source(&from, 100, 10, 0);
	to.calls = 0;
	b = fake_sink(&to, 3, false);
	assert_int_equal(flow_copy(a, b, &bytes, &err), -1);
	assert_string_equal(err.msg, "the sink broke");
	assert_int_equal(bytes, 77);
	source_free(a);
	sink_free(b);
}

static int ignore_sigpipe(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(error__of_a_write__sticks_to_close),
	    cmocka_unit_test(close__that_fails__sticks),
	    cmocka_unit_test(closed__written_again__is_an_error),
	    cmocka_unit_test(write__of_nothing__is_no_call),
	    cmocka_unit_test(buf__full__is_a_limit),
	    cmocka_unit_test(small_ones__null_meter_digest__take_everything),
	    cmocka_unit_test(both__one_breaks__neither_is_closed),
	    cmocka_unit_test(both__close_of_the_first_fails__the_second_stays_open),
	    cmocka_unit_test(filtered__written_in_any_pieces__is_the_same),
	    cmocka_unit_test(filtered__closed_inside_a_frame__closes_nothing),
	    cmocka_unit_test(filtered__more_output_than_its_buffer__all_arrives),
	    cmocka_unit_test(filtered__a_broken_neighbour__is_its_error),
	    cmocka_unit_test(child__that_takes_all__close_waits_for_status_0),
	    cmocka_unit_test(child__that_fails_at_the_end__close_says_why),
	    cmocka_unit_test(child__that_stops_reading__the_write_says_why),
	    cmocka_unit_test(child__that_does_not_end__close_times_out),
	    cmocka_unit_test(copy__all_of_it__counts_and_closes_nothing),
	    cmocka_unit_test(copy__into_a_sink_that_lends__reads_into_its_memory),
	    cmocka_unit_test(lend__by_one_that_has_nothing__is_null),
	    cmocka_unit_test(copy__either_side_breaks__is_its_error),
	};
	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}

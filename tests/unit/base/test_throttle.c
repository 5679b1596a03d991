#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"
#include "base/flow/throttle.h"
#include "tests/support/fake_flow.h"

#define MS INT64_C(1000000)

static void bucket__even_use__waits_as_long_as_the_bytes_take(void **state)
{
	(void)state;
	struct throttle_bucket b = {.bytes_s = 1000};
	int64_t now = 3600000 * MS;
	/* The burst is free: 200 ms of 1000 bytes a second. */
	assert_int_equal(throttle_bucket_take(&b, 200, now), 0);
	assert_int_equal(throttle_bucket_take(&b, 100, now), 100 * MS);
	assert_int_equal(throttle_bucket_take(&b, 100, now), 200 * MS);
	now += 200 * MS;
	assert_int_equal(throttle_bucket_take(&b, 50, now), 50 * MS);
}

static void bucket__long_idle__saves_up_no_more_than_the_burst(void **state)
{
	(void)state;
	struct throttle_bucket b = {.bytes_s = 1000};
	int64_t now = 1000 * MS;
	assert_int_equal(throttle_bucket_take(&b, 1000, now), 800 * MS);
	now += 3600000 * MS;
	assert_int_equal(throttle_bucket_take(&b, 1000, now), 800 * MS);
}

/* However the bytes are cut, in an hour no more pass than the limit and the burst allow. */
static void bucket__any_pieces__keep_the_rate(void **state)
{
	static const uint64_t rates[] = {1, 3, 1000, 20 << 20, UINT64_C(10000000000)};
	(void)state;
	uint64_t seed = 1;
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct throttle_bucket b = {.bytes_s = rates[i]};
		size_t block = throttle_block(rates[i]);
		int64_t now = 0;
		uint64_t moved = 0;
		for (unsigned k = 0; k < 2000; k++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
			size_t n = 1 + (size_t)((seed >> 33) % block);
			now += throttle_bucket_take(&b, n, now);
			moved += n;
		}
		double allowed = (double)rates[i] * ((double)now / 1e9 + 0.2);
		assert_true((double)moved <= allowed * 1.001 + (double)block);
		assert_true((double)moved >= (double)rates[i] * (double)now / 1e9 * 0.98);
	}
}

static void block__of_any_rate__is_a_tenth_of_a_second_at_most(void **state)
{
	(void)state;
	assert_int_equal(throttle_block(0), 1);
	assert_int_equal(throttle_block(9), 1);
	assert_int_equal(throttle_block(10000), 1000);
	assert_int_equal(throttle_block(UINT64_MAX), THROTTLE_BLOCK);
}

static void streams__within_the_burst__pass_unchanged(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct throttle *t;
	struct source *from;
	struct sink *to;
	struct buf got;
	uint64_t moved;
	static uint8_t data[50000];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 >> 2);
	buf_init(&got, sizeof data);
	assert_int_equal(throttle_new(1 << 20, &t, &err), 0);
	assert_int_equal(source_memory(data, sizeof data, &from, &err), 0);
	assert_int_equal(source_throttled(from, t, &from, &err), 0);
	assert_int_equal(sink_buf(&got, &to, &err), 0);
	assert_int_equal(sink_throttled(to, t, &to, &err), 0);
	assert_int_equal(flow_copy(from, to, &moved, &err), 0);
	assert_int_equal(sink_close(to, &err), 0);
	assert_int_equal(moved, sizeof data);
	assert_int_equal(got.len, sizeof data);
	assert_memory_equal(got.data, data, sizeof data);
	sink_free(to);
	source_free(from);
	throttle_free(t);
	buf_done(&got);
}

static void streams__that_break__pass_the_error_on_and_free_what_they_took(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct throttle *t;
	struct fake_log read = {0}, written = {0};
	struct source *from;
	struct sink *to;
	uint8_t byte;
	size_t n;
	assert_int_equal(throttle_new(1 << 30, &t, &err), 0);
	assert_int_equal(source_throttled(fake_source(&read, 10, 1, 1), t, &from, &err), 0);
	assert_int_equal(source_read(from, &byte, 1, &n, &err), -1);
	assert_string_equal(err.msg, "the source broke");
	assert_int_equal(sink_throttled(fake_sink(&written, 1, false), t, &to, &err), 0);
	assert_int_equal(sink_write(to, "x", 1, &err), -1);
	assert_string_equal(err.msg, "the sink broke");
	source_free(from);
	sink_free(to);
	assert_int_equal(read.freed, 1);
	assert_int_equal(written.freed, 1);
	assert_int_equal(written.closed, 0);
	throttle_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bucket__even_use__waits_as_long_as_the_bytes_take),
	    cmocka_unit_test(bucket__long_idle__saves_up_no_more_than_the_burst),
	    cmocka_unit_test(bucket__any_pieces__keep_the_rate),
	    cmocka_unit_test(block__of_any_rate__is_a_tenth_of_a_second_at_most),
	    cmocka_unit_test(streams__within_the_burst__pass_unchanged),
	    cmocka_unit_test(streams__that_break__pass_the_error_on_and_free_what_they_took),
	};
	return cmocka_run_group_tests_name("flow/throttle", tests, NULL, NULL);
}

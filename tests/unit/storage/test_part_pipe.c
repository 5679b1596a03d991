/* The part pipeline: order, back-pressure, failure and abort at any time. Also run under TSan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "storage/archive/frame.h"
#include "storage/archive/part_pipe.h"

enum { RAW = 64 << 10 };

/* A sink that a test holds by the hand. */
struct out {
	struct buf got;
	atomic_uint writes;
	atomic_bool blocked; /* writes wait while it is set */
	unsigned fail_at;    /* this write fails; 0: none */
	bool closed, freed;
};

static int out_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct out *o = self;
	while (atomic_load(&o->blocked))
		usleep(1000);
	if (atomic_fetch_add(&o->writes, 1) + 1 == o->fail_at)
		return err_set(err, ERR_NOSPACE, "no room left");
	return buf_append(&o->got, data, len, err);
}

static int out_close(void *self, struct err *err)
{
	(void)err;
	((struct out *)self)->closed = true;
	return 0;
}

static void out_free(void *self)
{
	((struct out *)self)->freed = true;
}

static struct part_pipe *open_pipe(struct out *o, unsigned threads)
{
	static const struct sink_ops ops = {
	    .write = out_write, .close = out_close, .free = out_free};
	struct err err = ERR_INIT;
	struct sink *s;
	struct part_pipe *p = NULL;
	buf_init(&o->got, 1 << 24);
	assert_int_equal(sink_new(&ops, o, &s, &err), 0);
	const struct part_pipe_opts opts = {.level = 1, .threads = threads, .raw_bytes = RAW};
	assert_int_equal(part_pipe_open(s, &opts, &p, &err), 0);
	return p;
}

/* Frame number n: its length and bytes follow from n. */
static size_t fill(uint8_t *raw, unsigned n)
{
	size_t len = 1000 + n * 7919U % 50000;
	for (size_t i = 0; i < len; i++)
		raw[i] = (uint8_t)((i * (n + 3)) >> 5);
	return len;
}

static int send(struct part_pipe *p, unsigned n, struct err *err)
{
	uint8_t *raw;
	if (part_pipe_buffer(p, &raw, err) < 0)
		return -1;
	const struct part_pipe_job job = {.len = fill(raw, n)};
	return part_pipe_submit(p, &job, err);
}

static void frames__of_many_threads__come_in_order(void **state)
{
	(void)state;
	enum { FRAMES = 200 };
	static const unsigned threads[] = {1, 2, 4, 7};
	for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
		struct err err = ERR_INIT;
		struct out o = {.closed = false};
		struct part_pipe *p = open_pipe(&o, threads[t]);
		uint8_t *expected = malloc(RAW), *got = malloc(RAW);
		ZSTD_DCtx *ctx = ZSTD_createDCtx();
		for (unsigned n = 0; n < FRAMES; n++)
			assert_int_equal(send(p, n, &err), 0);
		assert_int_equal(part_pipe_drain(p, &err), 0);
		assert_int_equal(part_pipe_close(p, &err), 0);
		const struct seek_table *frames = part_pipe_frames(p);
		assert_int_equal(frames->count, FRAMES);
		assert_int_equal(part_pipe_stored_bytes(p), o.got.len);
		for (unsigned n = 0; n < FRAMES; n++) {
			const struct seek_frame *f = &frames->frames[n];
			size_t len = fill(expected, n);
			assert_int_equal(f->raw_bytes, len);
			assert_int_equal(frame_unpack(ctx, o.got.data + f->offset, f->stored_bytes,
						      got, len, &err),
					 0);
			assert_memory_equal(got, expected, len);
			assert_int_equal(f->checksum,
					 frame_checksum(o.got.data + f->offset, f->stored_bytes));
		}
		part_pipe_free(p);
		assert_true(o.closed && o.freed);
		ZSTD_freeDCtx(ctx);
		free(expected);
		free(got);
		buf_done(&o.got);
	}
}

static void digest__of_a_job__covers_its_range(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct out o = {.closed = false};
	struct part_pipe *p = open_pipe(&o, 2);
	struct sha256 *sha;
	uint8_t *raw;
	char got[SHA256_HEX_BYTES], expected[SHA256_HEX_BYTES];
	assert_int_equal(sha256_new(&sha, &err), 0);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(part_pipe_buffer(p, &raw, &err), 0);
		memcpy(raw, "xxabcxxx", 8);
		const struct part_pipe_job job = {
		    .len = 8, .digest = sha, .digest_from = 2, .digest_len = 3};
		assert_int_equal(part_pipe_submit(p, &job, &err), 0);
	}
	assert_int_equal(part_pipe_drain(p, &err), 0);
	sha256_hex(sha, got);
	assert_int_equal(sha256_of("abcabcabc", 9, expected, &err), 0);
	assert_string_equal(got, expected);
	assert_int_equal(part_pipe_sha256(p, got, &err), 0);
	assert_int_equal(sha256_of(o.got.data, o.got.len, expected, &err), 0);
	assert_string_equal(got, expected);
	part_pipe_free(p);
	assert_false(o.closed);
	sha256_free(sha);
	buf_done(&o.got);
}

/* The slots of a blocked sink fill up, and the producer waits: cancellation gets it out. */
static void producer__behind_a_blocked_sink__waits_and_can_be_cancelled(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct out o = {.blocked = true};
	struct part_pipe *p = open_pipe(&o, 2);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(send(p, n, &err), 0);
	uint8_t *raw;
	cancel_request(15);
	assert_int_equal(part_pipe_buffer(p, &raw, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(err.msg, "cancelled by SIGTERM");
	/* What was cancelled can be taken down while it is held. */
	cancel_hold();
	atomic_store(&o.blocked, false);
	part_pipe_free(p);
	assert_true(o.freed && !o.closed);
	buf_done(&o.got);
}

static void sink__that_fails__is_told_to_every_later_call(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 8; nth++) {
		struct err err = ERR_INIT, again = ERR_INIT;
		struct out o = {.fail_at = nth};
		struct part_pipe *p = open_pipe(&o, 3);
		int rc = 0;
		for (unsigned n = 0; rc == 0 && n < 100; n++)
			rc = send(p, n, &err);
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, ERR_NOSPACE);
		assert_string_equal(err.msg, "no room left");
		assert_int_equal(part_pipe_drain(p, &again), -1);
		assert_string_equal(again.msg, "no room left");
		assert_int_equal(o.writes, nth);
		part_pipe_free(p);
		buf_done(&o.got);
	}
}

static void sink__that_fails_at_the_last_frame__is_told_by_drain(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct out o = {.fail_at = 3};
	struct part_pipe *p = open_pipe(&o, 2);
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(send(p, n, &err), 0);
	assert_int_equal(part_pipe_drain(p, &err), -1);
	assert_string_equal(err.msg, "no room left");
	part_pipe_free(p);
	buf_done(&o.got);
}

/* Dropped after every number of frames, with and without one being filled. */
static void pipe__dropped_at_any_time__ends_its_threads(void **state)
{
	(void)state;
	for (unsigned frames = 0; frames < 30; frames++) {
		struct err err = ERR_INIT;
		struct out o = {.closed = false};
		struct part_pipe *p = open_pipe(&o, 1 + frames % 4);
		uint8_t *raw;
		for (unsigned n = 0; n < frames; n++)
			assert_int_equal(send(p, n, &err), 0);
		if (frames % 2 == 0)
			assert_int_equal(part_pipe_buffer(p, &raw, &err), 0);
		part_pipe_free(p);
		assert_true(o.freed && !o.closed);
		buf_done(&o.got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames__of_many_threads__come_in_order),
	    cmocka_unit_test(digest__of_a_job__covers_its_range),
	    cmocka_unit_test(sink__that_fails__is_told_to_every_later_call),
	    cmocka_unit_test(sink__that_fails_at_the_last_frame__is_told_by_drain),
	    cmocka_unit_test(pipe__dropped_at_any_time__ends_its_threads),
	    /* Last: the flag stays set. */
	    cmocka_unit_test(producer__behind_a_blocked_sink__waits_and_can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

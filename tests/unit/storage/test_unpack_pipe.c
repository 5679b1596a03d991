#include <stdatomic.h>
#include "storage/archive/frame.h"
#include "storage/archive/unpack_pipe.h"
#include "tests/support/small_archive.h"

/* An object that is nothing but frames: each of `raw` bytes that can't be compressed. */
struct fixture {
	struct memory_store *m;
	struct store *store;
	struct seek_table frames;
	_Atomic uint64_t fetched;
	uint8_t *object;
	size_t len;
};

static void fill_randomly(uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t x = seed * 0x9E3779B97F4A7C15U + 1;
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)x;
	}
}

static void open_frames(struct fixture *f, size_t count, size_t raw)
{
	struct err err = ERR_INIT;
	size_t cap = ZSTD_compressBound(raw), stored;
	ZSTD_CCtx *ctx = frame_packer(1);
	uint8_t *one = malloc(raw);
	*f = (struct fixture){.object = malloc(count * cap)};
	memory_store_open_remote(&f->m, &f->store);
	for (size_t i = 0; i < count; i++) {
		fill_randomly(one, raw, i + 1);
		must_be_ok(frame_pack(ctx, one, raw, f->object + f->len, cap, &stored, &err), err);
		must_be_ok(seek_table_add(&f->frames, (uint32_t)stored, (uint32_t)raw,
					  frame_checksum(f->object + f->len, stored), &err),
			   err);
		f->len += stored;
	}
	memory_store_set(f->m, SMALL_OBJECT, f->object, f->len);
	ZSTD_freeCCtx(ctx);
	free(one);
}

static void close_frames(struct fixture *f)
{
	store_free(f->store);
	seek_table_done(&f->frames);
	free(f->object);
}

static struct unpack_pipe *open_pipe(struct fixture *f, const struct unpack_span *spans,
				     size_t count, struct sha256 *digest, bool past_damage)
{
	struct err err = ERR_INIT;
	struct unpack_pipe *p;
	const struct unpack_pipe_opts opts = {.store = f->store,
					      .object = SMALL_OBJECT,
					      .frames = &f->frames,
					      .spans = spans,
					      .span_count = count,
					      .threads = 2,
					      .digest = digest,
					      .fetched_bytes = &f->fetched,
					      .check_table = true,
					      .past_damage = past_damage};
	must_be_ok(unpack_pipe_open(&opts, &p, &err), err);
	return p;
}

static void assert_frame(const struct fixture *f, const struct unpacked *u, size_t frame)
{
	size_t raw = f->frames.frames[frame].raw_bytes;
	uint8_t *expected = malloc(raw);
	fill_randomly(expected, raw, frame + 1);
	assert_int_equal(u->frame, frame);
	assert_non_null(u->data);
	assert_null(u->damage);
	assert_int_equal(u->len, raw);
	assert_memory_equal(u->data, expected, raw);
	free(expected);
}

/* What is asked of a store whose every answer takes a while. */
static void all_frames__of_a_remote_store__few_large_reads_side_by_side(void **state)
{
	(void)state;
	enum { FRAMES = 32, RAW = 1 << 20 };
	struct fixture f;
	struct err err = ERR_INIT;
	char all[SHA256_HEX_BYTES], seen[SHA256_HEX_BYTES];
	const struct unpack_span span = {.first = 0, .count = FRAMES};
	CLEANUP(sha256_freep) struct sha256 *digest = NULL, *expected = NULL;
	struct unpacked u;
	open_frames(&f, FRAMES, RAW);
	memory_store_gather_gets(f.m, 4);
	must_be_ok(sha256_new(&digest, &err), err);
	must_be_ok(sha256_new(&expected, &err), err);
	struct unpack_pipe *p = open_pipe(&f, &span, 1, digest, false);
	for (size_t i = 0; i < FRAMES; i++) {
		must_be_ok(unpack_pipe_next(p, &u, &err), err);
		assert_frame(&f, &u, i);
	}
	must_be_ok(unpack_pipe_next(p, &u, &err), err);
	assert_null(u.data);
	assert_null(u.damage);
	unpack_pipe_free(p);
	assert_int_equal(memory_store_gets(f.m), (FRAMES + 6) / 7); /* each a little over 1 MiB */
	assert_int_equal(memory_store_gets_at_once(f.m), 4);
	assert_int_equal(f.fetched, f.len);
	assert_int_equal(memory_store_got(f.m), f.len);
	/* The stored bytes, in their order, whatever order they came in. */
	sha256_update(expected, f.object, f.len);
	sha256_hex(expected, all);
	sha256_hex(digest, seen);
	assert_string_equal(seen, all);
	close_frames(&f);
}

static void frames__far_apart__are_fetched_alone_and_in_order(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	static const struct unpack_span spans[] = {{1, 1}, {3, 2}, {9, 1}, {30, 1}, {38, 2}};
	static const size_t frames[] = {1, 3, 4, 9, 30, 38, 39};
	struct unpacked u;
	uint64_t bytes = 0;
	open_frames(&f, 40, 10000);
	memory_store_slow_gets(f.m, 5);
	struct unpack_pipe *p = open_pipe(&f, spans, 5, NULL, false);
	for (size_t i = 0; i < 7; i++) {
		must_be_ok(unpack_pipe_next(p, &u, &err), err);
		assert_frame(&f, &u, frames[i]);
		bytes += f.frames.frames[frames[i]].stored_bytes;
	}
	must_be_ok(unpack_pipe_next(p, &u, &err), err);
	assert_null(u.data);
	unpack_pipe_free(p);
	assert_int_equal(memory_store_gets(f.m), 5);
	assert_int_equal(memory_store_got(f.m), bytes);
	close_frames(&f);
}

static void damage(struct fixture *f, size_t frame)
{
	size_t at =
	    (size_t)f->frames.frames[frame].offset + f->frames.frames[frame].stored_bytes / 2;
	f->object[at] ^= 1;
	memory_store_set(f->m, SMALL_OBJECT, f->object, f->len);
}

static void damaged_frame__ends_it_behind_the_good_ones(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	const struct unpack_span span = {.first = 0, .count = 20};
	struct unpacked u;
	open_frames(&f, 20, 10000);
	damage(&f, 7);
	struct unpack_pipe *p = open_pipe(&f, &span, 1, NULL, false);
	for (size_t i = 0; i < 7; i++) {
		must_be_ok(unpack_pipe_next(p, &u, &err), err);
		assert_frame(&f, &u, i);
	}
	for (int again = 0; again < 2; again++) {
		err_clear(&err);
		assert_int_equal(unpack_pipe_next(p, &u, &err), -1);
		assert_non_null(strstr(err.msg, "frame 7 of '" SMALL_OBJECT "' at byte "));
		assert_int_equal(err.code, ERR_CORRUPT);
	}
	unpack_pipe_free(p);
	close_frames(&f);
}

static void damaged_frames__that_are_to_be_told__do_not_end_it(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	const struct unpack_span span = {.first = 0, .count = 20};
	struct unpacked u;
	open_frames(&f, 20, 10000);
	damage(&f, 0);
	damage(&f, 7);
	damage(&f, 8);
	f.frames.frames[19].checksum ^= 1;
	struct unpack_pipe *p = open_pipe(&f, &span, 1, NULL, true);
	for (size_t i = 0; i < 20; i++) {
		must_be_ok(unpack_pipe_next(p, &u, &err), err);
		if (i != 0 && i != 7 && i != 8 && i != 19) {
			assert_frame(&f, &u, i);
			continue;
		}
		assert_int_equal(u.frame, i);
		assert_null(u.data);
		assert_int_equal(u.damage->code, ERR_CORRUPT);
		assert_non_null(strstr(u.damage->msg, "' at byte "));
	}
	must_be_ok(unpack_pipe_next(p, &u, &err), err);
	assert_null(u.damage);
	unpack_pipe_free(p);
	close_frames(&f);
}

/* A store that can't be read is no damage. */
static void store__that_fails_on_the_way__ends_it(void **state)
{
	(void)state;
	const struct unpack_span span = {.first = 0, .count = 30};
	struct fixture f;
	open_frames(&f, 30, 300 << 10);
	for (unsigned nth = 1; nth <= 3; nth++) {
		struct err err = ERR_INIT;
		struct unpacked u = {.data = NULL};
		int rc = 0;
		memory_store_fail_read(f.m, nth);
		struct unpack_pipe *p = open_pipe(&f, &span, 1, NULL, true);
		for (size_t i = 0; i < 30 && rc == 0; i++)
			rc = unpack_pipe_next(p, &u, &err);
		assert_int_equal(rc, -1);
		assert_non_null(strstr(err.msg, "the store in memory can't be read"));
		assert_int_equal(err.code, ERR_IO);
		unpack_pipe_free(p);
	}
	close_frames(&f);
}

static void pipe__freed_in_the_middle__leaves_nothing(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	const struct unpack_span span = {.first = 0, .count = 30};
	open_frames(&f, 30, 300 << 10);
	memory_store_slow_gets(f.m, 5);
	for (size_t taken = 0; taken < 30; taken += 9) {
		struct unpacked u;
		CLEANUP(sha256_freep) struct sha256 *digest = NULL;
		must_be_ok(sha256_new(&digest, &err), err);
		struct unpack_pipe *p = open_pipe(&f, &span, 1, digest, false);
		for (size_t i = 0; i < taken; i++)
			must_be_ok(unpack_pipe_next(p, &u, &err), err);
		unpack_pipe_free(p);
	}
	close_frames(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_frames__of_a_remote_store__few_large_reads_side_by_side),
	    cmocka_unit_test(frames__far_apart__are_fetched_alone_and_in_order),
	    cmocka_unit_test(damaged_frame__ends_it_behind_the_good_ones),
	    cmocka_unit_test(damaged_frames__that_are_to_be_told__do_not_end_it),
	    cmocka_unit_test(store__that_fails_on_the_way__ends_it),
	    cmocka_unit_test(pipe__freed_in_the_middle__leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

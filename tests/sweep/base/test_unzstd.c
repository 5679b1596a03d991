#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/flow/filter.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

/* Three frames with checksums and a skippable one before the last; where each ends. */
struct stream {
	uint8_t data[4096];
	size_t len;
	size_t ends[4];
	size_t raw_ends[4]; /* how much has come out by then */
	struct buf raw;
};

static void add_frame(struct stream *s, ZSTD_CCtx *ctx, size_t raw_len, unsigned seed)
{
	struct err err = ERR_INIT;
	size_t start = s->raw.len;
	for (size_t i = 0; i < raw_len; i++) {
		seed = seed * 1103515245U + 12345U;
		uint8_t byte = (uint8_t)('a' + (seed >> 16) % 17);
		assert_int_equal(buf_append(&s->raw, &byte, 1, &err), 0);
	}
	size_t n = ZSTD_compress2(ctx, s->data + s->len, sizeof s->data - s->len,
				  s->raw.data + start, raw_len);
	assert_false(ZSTD_isError(n));
	s->len += n;
}

static struct stream *make_stream(void)
{
	static const uint8_t skippable[] = {0x5e, 0x2a, 0x4d, 0x18, 5,   0,  0,
					    0,    'h',  'e',  'l',  'l', 'o'};
	struct stream *s = calloc(1, sizeof *s);
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	assert_true(s != NULL && ctx != NULL);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	buf_init(&s->raw, 1 << 20);
	size_t n = 0;
	add_frame(s, ctx, 600, 1);
	s->ends[n] = s->len, s->raw_ends[n++] = s->raw.len;
	add_frame(s, ctx, 900, 2);
	s->ends[n] = s->len, s->raw_ends[n++] = s->raw.len;
	memcpy(s->data + s->len, skippable, sizeof skippable);
	s->len += sizeof skippable;
	s->ends[n] = s->len, s->raw_ends[n++] = s->raw.len;
	add_frame(s, ctx, 300, 3);
	s->ends[n] = s->len, s->raw_ends[n++] = s->raw.len;
	ZSTD_freeCCtx(ctx);
	return s;
}

static void free_stream(struct stream *s)
{
	buf_done(&s->raw);
	free(s);
}

/* How much must have come out when the stream is cut at `len` and that is a boundary; else -1. */
static long boundary(const struct stream *s, size_t len)
{
	if (len == 0)
		return 0;
	for (size_t i = 0; i < 4; i++)
		if (s->ends[i] == len)
			return (long)s->raw_ends[i];
	return -1;
}

/* Reads `len` bytes of it, in blocks of `cap`. */
static int read_through(const uint8_t *data, size_t len, size_t cap, struct buf *out,
			struct err *err)
{
	struct source *from, *s;
	struct filter *f;
	/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(len > 0 ? len : 1), *block = malloc(cap);
	assert_true(copy != NULL && block != NULL);
	memcpy(copy, data, len);
	assert_int_equal(source_memory(copy, len, &from, err), 0);
	assert_int_equal(filter_unzstd(27, &f, err), 0);
	assert_int_equal(source_filtered(from, f, &s, err), 0);
	int rc = 0;
	for (size_t n = 1; rc == 0 && n > 0;) {
		rc = source_read(s, block, cap, &n, err);
		if (rc == 0)
			assert_int_equal(buf_append(out, block, n, err), 0);
	}
	source_free(s);
	free(copy);
	free(block);
	return rc;
}

static int write_through(const uint8_t *data, size_t len, size_t piece, struct buf *out,
			 struct err *err)
{
	struct sink *to, *s;
	struct filter *f;
	assert_int_equal(sink_buf(out, &to, err), 0);
	assert_int_equal(filter_unzstd(27, &f, err), 0);
	assert_int_equal(sink_filtered(f, to, &s, err), 0);
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < len; at += piece)
		rc = sink_write(s, data + at, len - at < piece ? len - at : piece, err);
	if (rc == 0)
		rc = sink_close(s, err);
	sink_free(s);
	return rc;
}

static void check_cut(const struct stream *s, size_t len, int rc, const struct buf *out,
		      const struct err *err)
{
	long expected = boundary(s, len);
	if (expected >= 0) {
		assert_int_equal(rc, 0);
		assert_int_equal(out->len, expected);
	} else {
		assert_int_equal(rc, -1);
		assert_int_equal(err->code, ERR_CORRUPT);
		assert_string_equal(err->msg, "stream ended inside a frame");
	}
	assert_true(out->len <= s->raw.len);
	if (out->len > 0)
		assert_memory_equal(out->data, s->raw.data, out->len);
}

static void cut__at_every_length__is_an_error_but_between_frames(void **state)
{
	static const size_t sizes[] = {1, 7, 4096};
	(void)state;
	struct stream *s = make_stream();
	for (size_t i = 0; i < 3; i++) {
		for (size_t len = 0; len <= s->len; len++) {
			struct err err = ERR_INIT;
			struct buf out;
			buf_init(&out, 1 << 20);
			int rc = read_through(s->data, len, sizes[i], &out, &err);
			check_cut(s, len, rc, &out, &err);
			buf_reset(&out);
			rc = write_through(s->data, len, sizes[i], &out, &err);
			check_cut(s, len, rc, &out, &err);
			buf_done(&out);
		}
	}
	free_stream(s);
}

static void flip__in_every_byte__never_lets_wrong_bytes_through(void **state)
{
	(void)state;
	struct stream *s = make_stream();
	for (size_t at = 0; at < s->len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct err err = ERR_INIT;
			struct buf out;
			buf_init(&out, 1 << 20);
			s->data[at] ^= (uint8_t)(1U << bit);
			int rc = read_through(s->data, s->len, 4096, &out, &err);
			s->data[at] ^= (uint8_t)(1U << bit);
			bool in_skippable = at >= s->ends[1] && at < s->ends[2];
			/* A bit that means nothing may change nothing; wrong bytes never pass. */
			if (rc == 0 && !in_skippable) {
				assert_int_equal(out.len, s->raw.len);
				assert_memory_equal(out.data, s->raw.data, out.len);
			}
			if (rc < 0)
				assert_int_equal(err.code, ERR_CORRUPT);
			buf_done(&out);
		}
	}
	free_stream(s);
}

static void window__too_large__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	/* A frame header that asks for a window of 1 GiB (RFC 8878, 3.1.1.1.2). */
	static const uint8_t bomb[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00};
	struct buf out;
	buf_init(&out, 100);
	assert_int_equal(read_through(bomb, sizeof bomb, 10, &out, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "zstd: Frame requires too much memory for decoding");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cut__at_every_length__is_an_error_but_between_frames),
	    cmocka_unit_test(flip__in_every_byte__never_lets_wrong_bytes_through),
	    cmocka_unit_test(window__too_large__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

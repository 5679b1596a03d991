#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "stack/docker/docker_frames.h"

/* Feeds it in pieces of `step` bytes; what came of each stream stands in out[stream]. */
static int feed(const char *bytes, size_t len, size_t step, char out[4][64], struct err *err)
{
	struct docker_frames f = {0};
	memset(out, 0, 4 * 64);
	for (size_t at = 0; at < len;) {
		struct docker_piece piece;
		size_t used, n = len - at < step ? len - at : step;
		if (docker_frames_next(&f, (const uint8_t *)bytes + at, n, &used, &piece, err) < 0)
			return -1;
		assert_in_range(used, 1, n);
		if (piece.stream != 0) {
			assert_true(piece.data >= (const uint8_t *)bytes + at &&
				    piece.data + piece.len == (const uint8_t *)bytes + at + used);
			strncpy(out[piece.stream] + strlen(out[piece.stream]),
				(const char *)piece.data, piece.len);
		}
		at += used;
	}
	return docker_frames_end(&f, err);
}

#define TWO                                                                                        \
	"\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\3oh\n"                                                \
	"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1!"

static void frames__in_any_pieces__each_stream_its_bytes(void **state)
{
	(void)state;
	for (size_t step = 1; step <= sizeof TWO; step++) {
		char out[4][64];
		struct err err = ERR_INIT;
		assert_int_equal(feed(TWO, sizeof TWO - 1, step, out, &err), 0);
		assert_string_equal(out[DOCKER_STDOUT], "hello!");
		assert_string_equal(out[DOCKER_STDERR], "oh\n");
	}
}

static void frames__cut_at_every_length__end_only_between(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof TWO; len++) {
		char out[4][64];
		struct err err = ERR_INIT;
		bool between = len == 0 || len == 13 || len == 24 || len == 32 || len == 41;
		assert_int_equal(feed(TWO, len, 64, out, &err), between ? 0 : -1);
		if (!between) {
			assert_int_equal(err.code, ERR_CORRUPT);
			assert_non_null(strstr(err.msg, "the connection ended inside a frame, "));
		}
	}
}

static void frames__heads_that_are_none__corrupt(void **state)
{
	(void)state;
	static const char bad[][8] = {
	    {0, 0, 0, 0, 0, 0, 0, 1},    {4, 0, 0, 0, 0, 0, 0, 1},
	    {1, 1, 0, 0, 0, 0, 0, 1},    {1, 0, 0, 9, 0, 0, 0, 1},
	    {1, 0, 0, 0, 0x7F, 0, 0, 1}, {'H', 'T', 'T', 'P', '/', '1', '.', '1'},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char out[4][64];
		struct err err = ERR_INIT;
		assert_int_equal(feed(bad[i], 8, 3, out, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "no head of a frame: "));
	}
	char out[4][64];
	struct err err = ERR_INIT;
	assert_int_equal(feed("HTTP/1.1", 8, 8, out, &err), -1);
	assert_string_equal(err.msg, "no head of a frame: 48 54 54 50 2f 31 2e 31");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames__in_any_pieces__each_stream_its_bytes),
	    cmocka_unit_test(frames__cut_at_every_length__end_only_between),
	    cmocka_unit_test(frames__heads_that_are_none__corrupt),
	};
	return cmocka_run_group_tests_name("docker_frames", tests, NULL, NULL);
}

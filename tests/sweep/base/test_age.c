/* Encrypted files that were cut at any length, lengthened, or changed in any byte: always refused,
 * and never a byte of them is given out that was not encrypted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/flow/age_impl.h"
#include "tests/support/age_case.h"

enum { MOST = 1 << 20, LARGE = 2 * AGE_CHUNK_BYTES + 100 };

static struct age_pair ours;
static uint8_t data[LARGE];

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	age_fill(data, sizeof data, 5);
	return age_pair_make(&ours, &err);
}

static int teardown(void **state)
{
	(void)state;
	age_pair_done(&ours);
	return 0;
}

static void encrypt(size_t len, struct buf *out)
{
	struct err err = ERR_INIT;
	buf_init(out, MOST);
	assert_int_equal(age_encrypt_all(&ours.r, data, len, 0, out, &err), 0);
}

/* Where a wrapped key was changed, it can't be told from one for somebody else. */
static void expect_refusal(const uint8_t *file, size_t len, const char *what, size_t at)
{
	struct err err = ERR_INIT;
	struct buf plain;
	buf_init(&plain, MOST);
	int rc = age_decrypt_all(&ours.i, file, len, &plain, &err);
	if (rc == 0 || (err.code != ERR_CORRUPT && err.code != ERR_DENIED) ||
	    plain.len % AGE_CHUNK_BYTES != 0 ||
	    (plain.len > 0 && memcmp(plain.data, data, plain.len) != 0))
		fail_msg("%s %zu: %d '%s', %zu bytes", what, at, rc, err.msg, plain.len);
	buf_done(&plain);
}

static void small__every_byte_flipped__is_refused(void **state)
{
	(void)state;
	struct buf file;
	encrypt(20, &file);
	for (size_t at = 0; at < file.len; at++)
		for (unsigned bit = 1; bit < 256; bit *= 8) {
			file.data[at] ^= (uint8_t)bit;
			expect_refusal(file.data, file.len, "flipped at", at);
			file.data[at] ^= (uint8_t)bit;
		}
	buf_done(&file);
}

static void small__cut_at_every_length__is_refused(void **state)
{
	(void)state;
	struct buf file;
	encrypt(20, &file);
	for (size_t len = 0; len < file.len; len++)
		expect_refusal(file.data, len, "cut at", len);
	buf_done(&file);
}

static void small__with_a_byte_more_or_less_anywhere__is_refused(void **state)
{
	(void)state;
	struct buf file;
	static uint8_t changed[1024];
	encrypt(20, &file);
	assert_true(file.len + 1 < sizeof changed);
	for (size_t at = 0; at <= file.len; at++) {
		memcpy(changed, file.data, at);
		changed[at] = '\n';
		memcpy(changed + at + 1, file.data + at, file.len - at);
		expect_refusal(changed, file.len + 1, "a line's end at", at);
		if (at == file.len)
			break;
		memcpy(changed + at, file.data + at + 1, file.len - at - 1);
		expect_refusal(changed, file.len - 1, "without the byte at", at);
	}
	buf_done(&file);
}

static void large__cut_around_every_border__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf file;
	struct age_file f;
	encrypt(LARGE, &file);
	assert_int_equal(age_open(&ours.i, file.data, file.len, &f, &err), 0);
	const size_t borders[] = {(size_t)f.header_bytes, (size_t)f.header_bytes + AGE_SEALED_BYTES,
				  (size_t)f.header_bytes + 2 * AGE_SEALED_BYTES, file.len};
	for (size_t b = 0; b < 4; b++)
		for (size_t len = borders[b] - 20; len < borders[b] + 20 && len < file.len; len++)
			expect_refusal(file.data, len, "cut at", len);
	buf_done(&file);
}

static void large__chunks_left_out_twice_or_exchanged__are_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf file, other;
	struct age_file f;
	encrypt(LARGE, &file);
	assert_int_equal(age_open(&ours.i, file.data, file.len, &f, &err), 0);
	size_t head = (size_t)f.header_bytes;
	const uint8_t *chunk[3] = {file.data + head, file.data + head + AGE_SEALED_BYTES,
				   file.data + head + 2 * AGE_SEALED_BYTES};
	size_t bytes[3] = {AGE_SEALED_BYTES, AGE_SEALED_BYTES,
			   file.len - head - 2 * AGE_SEALED_BYTES};
	static const int orders[][4] = {{0, 2, -1, -1},  {1, 2, -1, -1}, {1, 0, 2, -1},
					{0, 1, -1, -1},  {0, 1, 2, 2},   {0, 0, 1, 2},
					{2, -1, -1, -1}, {0, 2, 1, -1}};
	for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
		buf_init(&other, MOST);
		assert_int_equal(buf_append(&other, file.data, head, &err), 0);
		for (size_t i = 0; i < 4 && orders[o][i] >= 0; i++)
			assert_int_equal(
			    buf_append(&other, chunk[orders[o][i]], bytes[orders[o][i]], &err), 0);
		expect_refusal(other.data, other.len, "order", o);
		buf_done(&other);
	}
	age_file_done(&f);
	buf_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small__every_byte_flipped__is_refused),
	    cmocka_unit_test(small__cut_at_every_length__is_refused),
	    cmocka_unit_test(small__with_a_byte_more_or_less_anywhere__is_refused),
	    cmocka_unit_test(large__cut_around_every_border__is_refused),
	    cmocka_unit_test(large__chunks_left_out_twice_or_exchanged__are_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

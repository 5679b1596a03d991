/* Cuts a dump at every length and flips every byte of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>
#include "stack/postgres/pgdump.h"
#include "tests/support/fake_dump.h"

/* 0 when the reader takes it for a whole dump; *ret_d has its contents. */
static int read_bytes(const uint8_t *data, size_t len, struct pgdump **ret_d, struct err *err)
{
	CLEANUP(sink_freep) struct sink *sink = NULL;
	assert_int_equal(pgdump_new(ret_d, err), 0);
	assert_int_equal(pgdump_sink(*ret_d, &sink, err), 0);
	if (sink_write(sink, data, len, err) < 0)
		return -1;
	return sink_close(sink, err);
}

static void pgdump__cut_at_every_length__never_whole(void **state)
{
	(void)state;
	for (int minor = 14; minor <= 16; minor++) {
		struct fake_dump f;
		fake_dump_sample(&f, minor);
		for (size_t len = 0; len < f.out.len; len++) {
			struct err err = ERR_INIT;
			CLEANUP(pgdump_freep) struct pgdump *d = NULL;
			/* A copy of its own, so that reading behind the cut is seen. */
			CLEANUP(freep) uint8_t *cut = malloc(len > 0 ? len : 1);
			assert_non_null(cut);
			memcpy(cut, f.out.data, len);
			assert_int_equal(read_bytes(cut, len, &d, &err), -1);
			assert_int_equal(err.code, ERR_CORRUPT);
			assert_memory_equal(err.msg, "dump ends ", 10);
		}
		fake_dump_done(&f);
	}
}

static void digests_of(const struct pgdump *d, char out[3][ROWS_DIGEST_BYTES])
{
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	for (size_t i = 0; i < 3; i++)
		rows_digest_hex(&e[2 + i].data, out[i]);
}

static void pgdump__every_byte_of_data_flipped__error_or_other_digest(void **state)
{
	(void)state;
	struct fake_dump f;
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *good = NULL;
	char right[3][ROWS_DIGEST_BYTES], is[3][ROWS_DIGEST_BYTES];
	fake_dump_sample(&f, 16);
	assert_int_equal(read_bytes(f.out.data, f.out.len, &good, &err), 0);
	digests_of(good, right);
	const uint8_t *rows = memmem(f.out.data, f.out.len, "1\tada", 5);
	assert_non_null(rows);
	size_t data_start = (size_t)(rows - f.out.data) - 11;
	for (size_t at = 0; at < f.out.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			CLEANUP(pgdump_freep) struct pgdump *d = NULL;
			f.out.data[at] ^= (uint8_t)(1U << bit);
			if (read_bytes(f.out.data, f.out.len, &d, &err) == 0 && at >= data_start) {
				digests_of(d, is);
				assert_true(memcmp(is, right, sizeof is) != 0);
			}
			f.out.data[at] ^= (uint8_t)(1U << bit);
		}
	}
	fake_dump_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pgdump__cut_at_every_length__never_whole),
	    cmocka_unit_test(pgdump__every_byte_of_data_flipped__error_or_other_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

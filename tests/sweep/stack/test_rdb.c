/* Every cut, every bit, every way to cut a dump into blocks, and ten thousand kinds of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/rdb.h"
#include "tests/support/rdb_build.h"
#include "tests/support/rdb_mutate.h"

enum { MAX_FILE = 1 << 20, MUTANTS = 10000 };

static const char *const magics[] = {"REDIS0009", "REDIS0012", "VALKEY080"};

struct verdict {
	bool accepted, counted;
	enum err_code code;
	uint64_t crc64, keys, unknown_at;
	size_t databases;
};

/* Reads `len` bytes: the first block of `first`, the others of `block`. */
static struct verdict read_blocks(const uint8_t *data, size_t len, size_t first, size_t block)
{
	struct rdb *r = NULL;
	struct sink *s = NULL;
	struct err err = ERR_INIT;
	struct verdict v;
	/* Verdicts are compared as memory. */
	memset(&v, 0, sizeof v);
	int rc = 0;
	assert_int_equal(rdb_new(&(struct rdb_opts){.need_checksum = true}, &r, &err), 0);
	assert_int_equal(rdb_sink(r, &s, &err), 0);
	for (size_t at = 0; rc == 0 && at < len;) {
		size_t n = at == 0 && first > 0 ? first : block;
		n = len - at < n ? len - at : n;
		/* A copy of its own size, so that reading beyond a block is seen. */
		uint8_t *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, data + at, n);
		rc = sink_write(s, copy, n, &err);
		free(copy);
		at += n;
	}
	if (rc == 0)
		rc = sink_close(s, &err);
	const struct rdb_summary *sum = rdb_summary(r);
	v.accepted = rc == 0;
	v.code = rc == 0 ? ERR_NONE : err.code;
	v.counted = sum->counted;
	v.crc64 = sum->crc64;
	v.unknown_at = sum->unknown_at;
	v.databases = sum->databases;
	for (size_t i = 0; i < sum->databases; i++)
		v.keys += sum->db[i].keys;
	assert_int_equal(sum->complete, v.accepted);
	sink_free(s);
	rdb_free(r);
	return v;
}

static void rdb__cut_anywhere__is_corrupt(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, MAX_FILE);
	for (size_t m = 0; m < 3; m++) {
		unsigned keys;
		rb_everything(&b, magics[m], &keys);
		for (size_t len = 0; len < b.len; len++) {
			struct verdict v = read_blocks(b.data, len, 0, 100);
			assert_false(v.accepted);
			assert_int_equal(v.code, ERR_CORRUPT);
		}
	}
	buf_done(&b);
}

static void rdb__cut_into_two_blocks_anywhere__reads_the_same(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, MAX_FILE);
	for (size_t m = 0; m < 3; m++) {
		unsigned keys;
		rb_everything(&b, magics[m], &keys);
		struct verdict whole = read_blocks(b.data, b.len, 0, b.len);
		assert_true(whole.accepted && whole.counted);
		assert_int_equal(whole.keys, keys);
		for (size_t first = 1; first < b.len; first++) {
			struct verdict v = read_blocks(b.data, b.len, first, b.len);
			assert_memory_equal(&v, &whole, sizeof v);
		}
	}
	buf_done(&b);
}

static void rdb__any_bit_flipped__is_not_accepted(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, MAX_FILE);
	for (size_t m = 1; m < 3; m++) {
		unsigned keys;
		rb_everything(&b, magics[m], &keys);
		for (size_t bit = 0; bit < b.len * 8; bit++) {
			b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
			struct verdict v = read_blocks(b.data, b.len, 0, bit % 64 + 1);
			if (v.accepted)
				fail_msg("%s: bit %zu flipped, and accepted", magics[m], bit);
			b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
	}
	buf_done(&b);
}

/* The same damage behind a checksum that was made for it: then only structure can complain, and
 * whatever it says, blocks must not matter. */
static void rdb__any_bit_flipped_under_a_good_checksum__blocks_dont_matter(void **state)
{
	(void)state;
	struct buf b, damaged;
	unsigned keys;
	buf_init(&b, MAX_FILE);
	buf_init(&damaged, MAX_FILE);
	struct err err = ERR_INIT;
	rb_everything(&b, "REDIS0012", &keys);
	for (size_t bit = 0; bit < (b.len - 8) * 8; bit++) {
		buf_reset(&damaged);
		assert_int_equal(buf_append(&damaged, b.data, b.len, &err), 0);
		damaged.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		rb_fix(&damaged);
		struct verdict whole = read_blocks(damaged.data, damaged.len, 0, damaged.len);
		struct verdict bytes = read_blocks(damaged.data, damaged.len, 0, 1);
		assert_int_equal(whole.accepted, bytes.accepted);
		assert_int_equal(whole.code, bytes.code);
		assert_int_equal(whole.counted, bytes.counted);
		assert_int_equal(whole.keys, bytes.keys);
		assert_int_equal(whole.unknown_at, bytes.unknown_at);
	}
	buf_done(&b);
	buf_done(&damaged);
}

static void rdb__damaged_in_any_way__is_not_accepted(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, MAX_FILE);
	static uint8_t mutant[MAX_FILE];
	unsigned same = 0;
	for (uint64_t seed = 0; seed < MUTANTS; seed++) {
		unsigned keys;
		if (seed % (MUTANTS / 3 + 1) == 0)
			rb_everything(&b, magics[seed / (MUTANTS / 3 + 1)], &keys);
		memcpy(mutant, b.data, b.len);
		size_t len = rdb_mutate(mutant, b.len, seed);
		bool changed = len != b.len || memcmp(mutant, b.data, len) != 0;
		struct verdict v = read_blocks(mutant, len, 0, seed % 3 == 0 ? 13 : MAX_FILE);
		same += changed ? 0 : 1;
		if (v.accepted == changed)
			fail_msg("seed %llu: %s", (unsigned long long)seed,
				 changed ? "changed, and accepted" : "the same, and refused");
	}
	/* Copying zeros over zeros changes nothing: that must stay rare. */
	assert_true(same < MUTANTS / 20);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rdb__cut_anywhere__is_corrupt),
	    cmocka_unit_test(rdb__cut_into_two_blocks_anywhere__reads_the_same),
	    cmocka_unit_test(rdb__any_bit_flipped__is_not_accepted),
	    cmocka_unit_test(rdb__any_bit_flipped_under_a_good_checksum__blocks_dont_matter),
	    cmocka_unit_test(rdb__damaged_in_any_way__is_not_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

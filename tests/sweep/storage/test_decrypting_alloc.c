/* Ranges of an encrypted object, and its digest beside them, when memory runs out or the store
 * fails at every single point: an error, or what is right; nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/store/decrypting.h"
#include "storage/store/digesting.h"
#include "tests/support/age_case.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

#define OBJECT "hdms-20261123T020000Z-3f9c.tar.zst.age"
enum { LARGE = 2 * AGE_CHUNK_BYTES + 1000, MOST = 500 };

static struct age_pair ours;
static struct store *inner;
static uint8_t data[LARGE];
static char expected[SHA256_HEX_BYTES];

static int read_all(struct store *s, uint64_t offset, uint64_t len, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	uint8_t block[10000];
	size_t n;
	if (store_get(s, OBJECT, offset, len, &from, err) < 0)
		return -1;
	do {
		if (source_read(from, block, sizeof block, &n, err) < 0)
			return -1;
		assert_memory_equal(block, data + offset, n);
		offset += n;
	} while (n > 0);
	return 0;
}

static int work(struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(store_freep) struct store *digesting = NULL;
	CLEANUP(store_freep) struct store *plain = NULL;
	struct store_object o;
	char hex[SHA256_HEX_BYTES];
	if (sha256_new(&sha, err) < 0)
		return -1;
	struct digested d = {.sha = sha};
	if (store_digesting(inner, OBJECT, &d, &digesting, err) < 0 ||
	    store_decrypting(digesting, &ours.i, &plain, err) < 0 ||
	    store_stat(plain, OBJECT, &o, err) < 0 || read_all(plain, 100000, 20000, err) < 0 ||
	    read_all(plain, 0, UINT64_MAX, err) < 0 ||
	    store_digest_rest(inner, OBJECT, &d, err) < 0)
		return -1;
	sha256_hex(sha, hex);
	assert_int_equal(o.bytes, LARGE);
	assert_string_equal(hex, expected);
	return 0;
}

static void memory__out_at_every_point__is_an_error_or_no_matter(void **state)
{
	(void)state;
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		do {
			struct err err = ERR_INIT;
			if (once == 1)
				fail_alloc_once_at(n);
			else
				fail_alloc_at(n);
			int rc = work(&err);
			fail_alloc_off();
			if (rc < 0 && err.code != ERR_NOMEM)
				fail_msg("allocation %u: %s", n, err.msg);
		} while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, 15, MOST - 1);
	}
}

int main(void)
{
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct buf file;
	char url[TEMP_DIR_BYTES + 16];
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s", dir.path);
	buf_init(&file, 1 << 20);
	age_fill(data, sizeof data, 4);
	if (age_pair_make(&ours, &err) < 0 ||
	    age_encrypt_all(&ours.r, data, sizeof data, 0, &file, &err) < 0 ||
	    sha256_of(file.data, file.len, expected, &err) < 0 ||
	    store_open(&(struct store_opts){.name = "local", .url = url}, &inner, &err) < 0)
		return 1;
	temp_dir_write(&dir, OBJECT, file.data, file.len);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory__out_at_every_point__is_an_error_or_no_matter),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	store_free(inner);
	age_pair_done(&ours);
	buf_done(&file);
	temp_dir_remove(&dir);
	return failed;
}

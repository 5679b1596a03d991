/* Keys, encryption and decryption when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/age_case.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

enum { MOST = 200 };

static struct temp_dir dir;

static int keys_and_back(struct err *err)
{
	struct age_pair p = {.i = {.keys = NULL}}, from_file = {.i = {.keys = NULL}};
	struct buf file, plain;
	static const uint8_t data[70000];
	buf_init(&file, 1 << 20);
	buf_init(&plain, 1 << 20);
	int rc = age_pair_make(&p, err);
	if (rc == 0)
		rc = age_identities_add_file(&from_file.i, temp_dir_in(&dir, "key.txt"), NULL, err);
	if (rc == 0)
		rc = age_encrypt_all(&p.r, data, sizeof data, 0, &file, err);
	if (rc == 0)
		rc = age_decrypt_all(&p.i, file.data, file.len, &plain, err);
	if (rc == 0 && plain.len != sizeof data)
		fail_msg("%zu bytes", plain.len);
	buf_done(&file);
	buf_done(&plain);
	age_pair_done(&p);
	age_pair_done(&from_file);
	return rc;
}

static void memory__out_at_every_point__is_an_error_and_nothing_leaks(void **state)
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
			int rc = keys_and_back(&err);
			fail_alloc_off();
			if (rc < 0 && err.code != ERR_NOMEM)
				fail_msg("allocation %u: %s", n, err.msg);
			assert_int_equal(rc == 0, !fail_alloc_hit());
		} while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, 10, MOST - 1);
	}
}

int main(void)
{
	struct err err = ERR_INIT;
	struct age_pair p;
	temp_dir_make(&dir);
	if (age_pair_make(&p, &err) < 0)
		return 1;
	temp_dir_write(&dir, "key.txt", p.identity, sizeof p.identity - 1);
	age_pair_done(&p);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory__out_at_every_point__is_an_error_and_nothing_leaks),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_dir_remove(&dir);
	return failed;
}

/* Files of ours opened by the program age, and its by ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/child.h"
#include "base/file.h"
#include "tests/support/age_case.h"
#include "tests/support/temp_dir.h"

enum { MOST = 1 << 20 };
static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static struct temp_dir dir;
static uint8_t data[200000];

static int setup(void **state)
{
	(void)state;
	temp_dir_make(&dir);
	age_fill(data, sizeof data, 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

/* Runs a program of age's to its end. */
static int run(const char *const argv[])
{
	struct err err = ERR_INIT;
	struct child *c;
	const struct child_opts opts = {.argv = argv};
	if (child_start(&opts, &c, &err) < 0)
		fail_msg("%s", err.msg);
	int rc = child_wait(c, deadline_in(60000), &err);
	child_free(c);
	return rc;
}

static void read_file(const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	buf_init(out, MOST);
	if (file_read_all(temp_dir_in(&dir, name), out, &err) < 0)
		fail_msg("%s", err.msg);
}

static void write_identity(const struct age_pair *p, const char *name)
{
	char text[256];
	snprintf(text, sizeof text, "# public key: %s\n%s\n", p->recipient, p->identity);
	temp_dir_write(&dir, name, text, strlen(text));
}

static void ours__of_three_recipients__is_opened_by_age_with_any(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_pair pairs[3];
	struct age_recipients all = {0};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(age_pair_make(&pairs[i], &err), 0);
		assert_int_equal(age_recipients_add(&all, pairs[i].recipient, &err), 0);
	}
	for (size_t s = 0; s < SIZES; s++) {
		struct buf file, plain;
		buf_init(&file, MOST);
		assert_int_equal(age_encrypt_all(&all, data, sizes[s], 0, &file, &err), 0);
		temp_dir_write(&dir, "file.age", file.data, file.len);
		write_identity(&pairs[s % 3], "key.txt");
		const char *const argv[] = {"age",
					    "-d",
					    "-i",
					    temp_dir_in(&dir, "key.txt"),
					    "-o",
					    temp_dir_in(&dir, "plain"),
					    temp_dir_in(&dir, "file.age"),
					    NULL};
		assert_int_equal(run(argv), 0);
		/* age 1.1 makes no file of an empty one. */
		if (sizes[s] == 0 && !file_exists(temp_dir_in(&dir, "plain"))) {
			buf_done(&file);
			continue;
		}
		read_file("plain", &plain);
		assert_int_equal(plain.len, sizes[s]);
		if (sizes[s] > 0)
			assert_memory_equal(plain.data, data, sizes[s]);
		buf_done(&plain);
		buf_done(&file);
	}
	for (size_t i = 0; i < 3; i++)
		age_pair_done(&pairs[i]);
	age_recipients_done(&all);
}

static void theirs__of_two_recipients__is_opened_by_ours(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_pair other;
	struct age_identities ids = {0};
	struct age_recipients r = {0};
	bool open = true;
	const char *const keygen[] = {"age-keygen", "-o", temp_dir_in(&dir, "their.txt"), NULL};
	const char *const public[] = {"age-keygen",
				      "-y",
				      "-o",
				      temp_dir_in(&dir, "their.pub"),
				      temp_dir_in(&dir, "their.txt"),
				      NULL};
	assert_int_equal(age_pair_make(&other, &err), 0);
	assert_int_equal(run(keygen), 0);
	assert_int_equal(run(public), 0);
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "their.txt"), &open, &err),
			 0);
	assert_false(open);
	assert_int_equal(age_recipients_add_file(&r, temp_dir_in(&dir, "their.pub"), &err), 0);
	uint8_t key[32];
	assert_int_equal(age_identity_recipient(ids.keys[0], key, &err), 0);
	assert_memory_equal(key, r.keys[0], 32);
	for (size_t s = 0; s < SIZES; s++) {
		struct buf file, plain;
		buf_init(&plain, MOST);
		temp_dir_write(&dir, "theirs", data, sizes[s]);
		const char *const argv[] = {"age",
					    "-r",
					    other.recipient,
					    "-R",
					    temp_dir_in(&dir, "their.pub"),
					    "-o",
					    temp_dir_in(&dir, "theirs.age"),
					    temp_dir_in(&dir, "theirs"),
					    NULL};
		assert_int_equal(run(argv), 0);
		read_file("theirs.age", &file);
		const struct age_identities *with = s % 2 == 0 ? &ids : &other.i;
		if (age_decrypt_all(with, file.data, file.len, &plain, &err) < 0)
			fail_msg("%zu bytes: %s", sizes[s], err.msg);
		assert_int_equal(plain.len, sizes[s]);
		if (sizes[s] > 0)
			assert_memory_equal(plain.data, data, sizes[s]);
		buf_done(&plain);
		buf_done(&file);
	}
	age_identities_done(&ids);
	age_recipients_done(&r);
	age_pair_done(&other);
}

static void ours__changed_or_with_a_wrong_key__is_refused_by_age_too(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_pair pair, wrong;
	struct buf file;
	assert_int_equal(age_pair_make(&pair, &err), 0);
	assert_int_equal(age_pair_make(&wrong, &err), 0);
	buf_init(&file, MOST);
	assert_int_equal(age_encrypt_all(&pair.r, data, 1000, 0, &file, &err), 0);
	temp_dir_write(&dir, "file.age", file.data, file.len);
	write_identity(&pair, "key.txt");
	write_identity(&wrong, "wrong.txt");
	const char *const with_wrong[] = {"age",
					  "-d",
					  "-i",
					  temp_dir_in(&dir, "wrong.txt"),
					  "-o",
					  temp_dir_in(&dir, "plain"),
					  temp_dir_in(&dir, "file.age"),
					  NULL};
	const char *const with_right[] = {"age",
					  "-d",
					  "-i",
					  temp_dir_in(&dir, "key.txt"),
					  "-o",
					  temp_dir_in(&dir, "plain"),
					  temp_dir_in(&dir, "file.age"),
					  NULL};
	assert_int_equal(run(with_right), 0);
	assert_int_equal(run(with_wrong), -1);
	file.data[file.len - 1] ^= 1;
	temp_dir_write(&dir, "file.age", file.data, file.len);
	assert_int_equal(run(with_right), -1);
	buf_done(&file);
	age_pair_done(&pair);
	age_pair_done(&wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ours__of_three_recipients__is_opened_by_age_with_any),
	    cmocka_unit_test(theirs__of_two_recipients__is_opened_by_ours),
	    cmocka_unit_test(ours__changed_or_with_a_wrong_key__is_refused_by_age_too),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

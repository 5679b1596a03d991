#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/store/decrypting.h"
#include "storage/store/digesting.h"
#include "tests/support/age_case.h"
#include "tests/support/memory_store.h"

#define OBJECT "hdms-20261123T020000Z-3f9c.tar.zst.age"
enum { MOST = 4 << 20, LARGE = 3 * AGE_CHUNK_BYTES + 1000 };

static struct age_pair ours, theirs;
static uint8_t data[LARGE];

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	age_fill(data, sizeof data, 9);
	return age_pair_make(&ours, &err) < 0 || age_pair_make(&theirs, &err) < 0;
}

static int teardown(void **state)
{
	(void)state;
	age_pair_done(&ours);
	age_pair_done(&theirs);
	return 0;
}

/* A store that has the first `len` bytes of the data encrypted, and beside it one that decrypts. */
struct case_stores {
	struct memory_store *m;
	struct store *inner, *plain;
	struct buf file;
};

static void open_stores(struct case_stores *c, size_t len)
{
	struct err err = ERR_INIT;
	buf_init(&c->file, MOST);
	assert_int_equal(age_encrypt_all(&ours.r, data, len, 0, &c->file, &err), 0);
	memory_store_open(&c->m, &c->inner);
	memory_store_set(c->m, OBJECT, c->file.data, c->file.len);
	memory_store_set(c->m, "plain.json", "{}", 2);
	assert_int_equal(store_decrypting(c->inner, &ours.i, &c->plain, &err), 0);
}

static void close_stores(struct case_stores *c)
{
	buf_done(&c->file);
	store_free(c->plain);
	store_free(c->inner);
}

static int read_range(struct store *s, uint64_t offset, uint64_t len, struct buf *out,
		      struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	buf_init(out, MOST);
	if (store_get(s, OBJECT, offset, len, &from, err) < 0)
		return -1;
	if (sink_buf(out, &to, err) < 0 || flow_copy(from, to, NULL, err) < 0)
		return -1;
	return 0;
}

static void is_encrypted__names__are_told_apart(void **state)
{
	(void)state;
	assert_true(storage_is_encrypted(OBJECT));
	assert_false(storage_is_encrypted("hdms-20261123T020000Z-3f9c.tar.zst"));
	assert_false(storage_is_encrypted(".age"));
	assert_false(storage_is_encrypted("age"));
	assert_false(storage_is_encrypted(""));
}

static void range__any__is_the_plain_range(void **state)
{
	(void)state;
	struct case_stores c;
	static const uint64_t offsets[] = {0,      1,      65535,  65536,     65537,
					   100000, 131072, 196608, LARGE - 1, LARGE};
	static const uint64_t lens[] = {0, 1, 2, 65535, 65536, 65537, 131072, LARGE, UINT64_MAX};
	open_stores(&c, LARGE);
	memory_store_chop_reads(c.m, 10000);
	for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++)
		for (size_t l = 0; l < sizeof lens / sizeof *lens; l++) {
			struct err err = ERR_INIT;
			CLEANUP(buf_done) struct buf got;
			uint64_t rest = LARGE - offsets[o];
			int rc = read_range(c.plain, offsets[o], lens[l], &got, &err);
			if (lens[l] != UINT64_MAX && lens[l] > rest) {
				assert_int_equal(rc, -1);
				assert_int_equal(err.code, ERR_CORRUPT);
				assert_non_null(strstr(err.msg, "too few to read"));
				continue;
			}
			if (rc < 0)
				fail_msg("%llu at %llu: %s", (unsigned long long)lens[l],
					 (unsigned long long)offsets[o], err.msg);
			uint64_t expected = lens[l] != UINT64_MAX ? lens[l] : rest;
			assert_int_equal(got.len, expected);
			if (expected > 0)
				assert_memory_equal(got.data, data + offsets[o], expected);
		}
	close_stores(&c);
}

static void object__of_any_size__has_its_plain_size_and_bytes(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, LARGE};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct err err = ERR_INIT;
		struct case_stores c;
		struct store_object o;
		CLEANUP(buf_done) struct buf got;
		open_stores(&c, sizes[i]);
		assert_int_equal(store_stat(c.plain, OBJECT, &o, &err), 0);
		assert_int_equal(o.bytes, sizes[i]);
		assert_string_equal(o.name, OBJECT);
		assert_int_equal(read_range(c.plain, 0, UINT64_MAX, &got, &err), 0);
		assert_int_equal(got.len, sizes[i]);
		close_stores(&c);
	}
}

static void range__small__fetches_its_chunk_and_the_header_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	CLEANUP(buf_done) struct buf got;
	open_stores(&c, LARGE);
	assert_int_equal(read_range(c.plain, 70000, 10, &got, &err), 0);
	assert_int_equal(memory_store_gets(c.m), 2);
	buf_done(&got);
	assert_int_equal(read_range(c.plain, 10, 10, &got, &err), 0);
	assert_int_equal(memory_store_gets(c.m), 3);
	/* Where a chunk of its range is broken it fails, and elsewhere not. */
	struct age_file f;
	assert_int_equal(age_open(&ours.i, c.file.data, c.file.len, &f, &err), 0);
	c.file.data[f.header_bytes + AGE_SEALED_BYTES + 5] ^= 1;
	memory_store_set(c.m, OBJECT, c.file.data, c.file.len);
	buf_done(&got);
	assert_int_equal(read_range(c.plain, 10, 10, &got, &err), 0);
	buf_done(&got);
	assert_int_equal(read_range(c.plain, 70000, 10, &got, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "'" OBJECT "': chunk 1 is not what was encrypted: it was "
				     "changed, or bytes are missing or added");
	close_stores(&c);
}

static void object__cut_at_a_chunk__is_refused_at_its_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct age_file f;
	struct buf got;
	open_stores(&c, LARGE);
	assert_int_equal(age_open(&ours.i, c.file.data, c.file.len, &f, &err), 0);
	memory_store_set(c.m, OBJECT, c.file.data, f.header_bytes + 2 * AGE_SEALED_BYTES);
	struct store_object o;
	assert_int_equal(store_stat(c.plain, OBJECT, &o, &err), 0);
	assert_int_equal(o.bytes, 2 * AGE_CHUNK_BYTES);
	assert_int_equal(read_range(c.plain, o.bytes - 9, 9, &got, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	buf_done(&got);
	close_stores(&c);
}

static void object__without_an_identity__says_that_one_is_needed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct store *s;
	struct buf got;
	const struct age_identities none = {0};
	open_stores(&c, 100);
	assert_int_equal(store_decrypting(c.inner, &none, &s, &err), 0);
	assert_int_equal(read_range(s, 0, UINT64_MAX, &got, &err), -1);
	assert_int_equal(err.code, ERR_UNVERIFIED);
	assert_string_equal(err.msg, "'" OBJECT "' is encrypted, and no identity is given");
	assert_non_null(strstr(err.hint, "LIFEBOAT_ARCHIVE_IDENTITY"));
	store_free(s);
	close_stores(&c);
}

static void object__for_others__is_denied(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct store *s;
	struct buf got;
	open_stores(&c, 100);
	assert_int_equal(store_decrypting(c.inner, &theirs.i, &s, &err), 0);
	assert_int_equal(read_range(s, 0, UINT64_MAX, &got, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.msg, "'" OBJECT "': it is encrypted to others"));
	store_free(s);
	close_stores(&c);
}

static void object__with_a_long_header__is_opened(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct memory_store *m;
	struct store *inner, *plain;
	struct age_recipients many = {0};
	struct store_object o;
	CLEANUP(buf_done) struct buf file;
	buf_init(&file, MOST);
	/* Stanzas of another type, as a later version of age may write them, come first. */
	while (many.count < AGE_RECIPIENTS_MAX - 1) {
		char identity[AGE_IDENTITY_BYTES], recipient[AGE_RECIPIENT_BYTES];
		assert_int_equal(age_keygen(identity, recipient, &err), 0);
		assert_int_equal(age_recipients_add(&many, recipient, &err), 0);
	}
	assert_int_equal(age_recipients_add(&many, ours.recipient, &err), 0);
	assert_int_equal(age_encrypt_all(&many, data, 1000, 0, &file, &err), 0);
	memory_store_open(&m, &inner);
	memory_store_set(m, OBJECT, file.data, file.len);
	assert_int_equal(store_decrypting(inner, &ours.i, &plain, &err), 0);
	assert_int_equal(store_stat(plain, OBJECT, &o, &err), 0);
	assert_int_equal(o.bytes, 1000);
	age_recipients_done(&many);
	store_free(plain);
	store_free(inner);
}

static void other_calls__plain_objects_pass_and_writing_is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct store_objects list;
	struct store_lock *lock;
	struct buf got;
	open_stores(&c, 100);
	buf_init(&got, MOST);
	assert_int_equal(store_get_bytes(c.plain, "plain.json", &got, &err), 0);
	assert_string_equal(buf_text(&got), "{}");
	assert_int_equal(store_list(c.plain, "", &list, &err), 0);
	assert_int_equal(list.count, 2);
	store_objects_done(&list);
	assert_int_equal(store_put_bytes(c.plain, "x", "x", 1, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "'x': archives are decrypted for reading only");
	assert_int_equal(store_remove(c.plain, "x", &err), -1);
	assert_int_equal(store_lock(c.plain, "x", &lock, &err), -1);
	assert_int_equal(store_sweep(c.plain, "x", true, NULL, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	buf_done(&got);
	buf_init(&got, MOST);
	assert_int_equal(store_get_bytes(c.plain, "absent.age", &got, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	buf_done(&got);
	close_stores(&c);
}

static void range__of_a_store_that_fails_at_every_read__is_an_error(void **state)
{
	(void)state;
	struct case_stores c;
	unsigned n = 1;
	int rc;
	open_stores(&c, LARGE);
	do {
		struct err err = ERR_INIT;
		struct store *plain;
		CLEANUP(buf_done) struct buf got;
		assert_int_equal(store_decrypting(c.inner, &ours.i, &plain, &err), 0);
		memory_store_fail_read(c.m, n);
		rc = read_range(plain, 0, UINT64_MAX, &got, &err);
		memory_store_fail_read(c.m, 0);
		if (rc < 0)
			assert_int_equal(err.code, ERR_IO);
		else
			assert_int_equal(got.len, LARGE);
		store_free(plain);
	} while (rc < 0 && ++n < 100);
	assert_in_range(n, 3, 99);
	close_stores(&c);
}

static void digesting__ranges_in_any_order__are_in_the_digest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct store *watching, *plain;
	struct digested d = {.sha = NULL};
	struct buf got;
	char hex[SHA256_HEX_BYTES], expected[SHA256_HEX_BYTES];
	open_stores(&c, LARGE);
	assert_int_equal(sha256_new(&d.sha, &err), 0);
	assert_int_equal(store_digesting(c.inner, OBJECT, &d, &watching, &err), 0);
	assert_int_equal(store_decrypting(watching, &ours.i, &plain, &err), 0);
	/* The end first, as a reader does; then ranges that overlap. */
	static const uint64_t ranges[][2] = {
	    {LARGE - 100, 100}, {100000, 60000}, {0, 100000}, {70000, 90000}};
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		assert_int_equal(read_range(plain, ranges[i][0], ranges[i][1], &got, &err), 0);
		buf_done(&got);
		if (i < 2)
			assert_true(d.bytes <= 4096);
	}
	/* All but what nobody asked for. */
	assert_in_range(d.bytes, 160000, c.file.len);
	assert_int_equal(store_digest_rest(c.inner, OBJECT, &d, &err), 0);
	assert_int_equal(d.bytes, c.file.len);
	sha256_hex(d.sha, hex);
	assert_int_equal(sha256_of(c.file.data, c.file.len, expected, &err), 0);
	assert_string_equal(hex, expected);
	sha256_free(d.sha);
	store_free(plain);
	store_free(watching);
	close_stores(&c);
}

enum { THREADS = 4, SHARE = LARGE / THREADS };

struct reading {
	struct store *s;
	uint64_t offset, len;
	pthread_t thread;
	bool right;
};

static void *read_share(void *arg)
{
	struct reading *r = arg;
	struct err err = ERR_INIT;
	struct buf got;
	r->right = read_range(r->s, r->offset, r->len, &got, &err) == 0 && got.len == r->len &&
		   memcmp(got.data, data + r->offset, got.len) == 0;
	buf_done(&got);
	return NULL;
}

static void ranges__read_side_by_side__are_right_and_in_the_digest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct case_stores c;
	struct store *watching, *plain;
	struct digested d = {.sha = NULL};
	struct reading readings[THREADS];
	char hex[SHA256_HEX_BYTES], expected[SHA256_HEX_BYTES];
	open_stores(&c, LARGE);
	memory_store_chop_reads(c.m, 5000);
	assert_int_equal(sha256_new(&d.sha, &err), 0);
	assert_int_equal(store_digesting(c.inner, OBJECT, &d, &watching, &err), 0);
	assert_int_equal(store_decrypting(watching, &ours.i, &plain, &err), 0);
	for (size_t i = 0; i < THREADS; i++) {
		readings[i] = (struct reading){.s = plain, .offset = i * SHARE, .len = SHARE};
		assert_int_equal(
		    pthread_create(&readings[i].thread, NULL, read_share, &readings[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(readings[i].thread, NULL), 0);
		assert_true(readings[i].right);
	}
	assert_int_equal(d.bytes, c.file.len);
	sha256_hex(d.sha, hex);
	assert_int_equal(sha256_of(c.file.data, c.file.len, expected, &err), 0);
	assert_string_equal(hex, expected);
	sha256_free(d.sha);
	store_free(plain);
	store_free(watching);
	close_stores(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_encrypted__names__are_told_apart),
	    cmocka_unit_test(range__any__is_the_plain_range),
	    cmocka_unit_test(object__of_any_size__has_its_plain_size_and_bytes),
	    cmocka_unit_test(range__small__fetches_its_chunk_and_the_header_once),
	    cmocka_unit_test(object__cut_at_a_chunk__is_refused_at_its_end),
	    cmocka_unit_test(object__without_an_identity__says_that_one_is_needed),
	    cmocka_unit_test(object__for_others__is_denied),
	    cmocka_unit_test(object__with_a_long_header__is_opened),
	    cmocka_unit_test(other_calls__plain_objects_pass_and_writing_is_refused),
	    cmocka_unit_test(range__of_a_store_that_fails_at_every_read__is_an_error),
	    cmocka_unit_test(ranges__read_side_by_side__are_right_and_in_the_digest),
	    cmocka_unit_test(digesting__ranges_in_any_order__are_in_the_digest),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

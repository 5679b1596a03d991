#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "base/flow/age_impl.h"
#include "tests/support/age_case.h"
#include "tests/support/age_vectors.h"

enum { MOST = 1 << 20 };

static struct age_pair ours, theirs;

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return age_pair_make(&ours, &err) < 0 || age_pair_make(&theirs, &err) < 0;
}

static int teardown(void **state)
{
	(void)state;
	age_pair_done(&ours);
	age_pair_done(&theirs);
	return 0;
}

/* ---- published files ---- */

static void vector_bytes(const struct age_vector *v, struct buf *out)
{
	struct err err = ERR_INIT;
	buf_init(out, MOST);
	assert_int_equal(buf_puts(out, v->text, &err), 0);
	for (const char *p = v->tail; *p != '\0'; p += 2) {
		const char pair[3] = {p[0], p[1], '\0'};
		uint8_t byte = (uint8_t)strtoul(pair, NULL, 16);
		assert_int_equal(buf_append(out, &byte, 1, &err), 0);
	}
}

static void vectors__of_the_author__open_or_are_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_identities ids = {0};
	assert_int_equal(age_identities_add(&ids, AGE_VECTOR_IDENTITY, &err), 0);
	for (size_t i = 0; i < sizeof age_vectors / sizeof *age_vectors; i++) {
		const struct age_vector *v = &age_vectors[i];
		struct buf file, plain;
		char hex[SHA256_HEX_BYTES];
		vector_bytes(v, &file);
		buf_init(&plain, MOST);
		err_clear(&err);
		int rc = age_decrypt_all(&ids, file.data, file.len, &plain, &err);
		if (err.code != v->expect || (rc == 0) != (v->expect == ERR_NONE))
			fail_msg("'%s': %s", v->name, err.msg);
		assert_int_equal(sha256_of(plain.data, plain.len, hex, &err), 0);
		if (rc == 0 && strcmp(v->name, "stream_empty_payload") != 0)
			assert_string_equal(
			    hex,
			    "013f54400c82da08037759ada907a8b864e97de81c088a182062c4b5622fd2ab");
		else
			assert_int_equal(plain.len, 0);
		buf_done(&file);
		buf_done(&plain);
	}
	age_identities_done(&ids);
}

/* ---- there and back ---- */

static void round_trip__all_sizes_in_all_pieces__are_equal(void **state)
{
	(void)state;
	static const size_t sizes[] = {0,     1,      15,     65535,  65536,
				       65537, 131071, 131072, 131073, 200000};
	static const size_t pieces[] = {0, 1, 1000, 65536, 65552, 100000};
	struct err err = ERR_INIT;
	static uint8_t data[200000];
	age_fill(data, sizeof data, 1);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
			if (pieces[p] == 1 && sizes[s] > 70000)
				continue;
			struct buf file, plain, again;
			buf_init(&file, MOST);
			buf_init(&plain, MOST);
			buf_init(&again, MOST);
			assert_int_equal(
			    age_encrypt_all(&ours.r, data, sizes[s], pieces[p], &file, &err), 0);
			assert_int_equal(
			    age_decrypt_all(&ours.i, file.data, file.len, &plain, &err), 0);
			assert_int_equal(
			    age_decrypt_sink(&ours.i, file.data, file.len, pieces[p], &again, &err),
			    0);
			assert_int_equal(plain.len, sizes[s]);
			assert_int_equal(again.len, sizes[s]);
			if (sizes[s] > 0) {
				assert_memory_equal(plain.data, data, sizes[s]);
				assert_memory_equal(again.data, data, sizes[s]);
			}
			buf_done(&file);
			buf_done(&plain);
			buf_done(&again);
		}
}

static void header__of_two_recipients__each_opens_and_a_third_does_not(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_pair third;
	struct age_recipients both = {0};
	struct buf file;
	buf_init(&file, MOST);
	assert_int_equal(age_pair_make(&third, &err), 0);
	assert_int_equal(age_recipients_add(&both, ours.recipient, &err), 0);
	assert_int_equal(age_recipients_add(&both, theirs.recipient, &err), 0);
	assert_int_equal(age_encrypt_all(&both, "secret", 6, 0, &file, &err), 0);
	assert_null(memmem(file.data, file.len, "secret", 6));
	const struct age_pair *pairs[] = {&ours, &theirs};
	for (size_t i = 0; i < 2; i++) {
		struct buf plain;
		buf_init(&plain, MOST);
		assert_int_equal(age_decrypt_all(&pairs[i]->i, file.data, file.len, &plain, &err),
				 0);
		assert_string_equal(buf_text(&plain), "secret");
		buf_done(&plain);
	}
	struct buf plain;
	buf_init(&plain, MOST);
	assert_int_equal(age_decrypt_all(&third.i, file.data, file.len, &plain, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.msg, "it is encrypted to others"));
	assert_non_null(strstr(err.hint, "identity of one of its recipients"));
	buf_done(&plain);
	buf_done(&file);
	age_recipients_done(&both);
	age_pair_done(&third);
}

static void encryption__of_the_same_twice__shares_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf a, b;
	buf_init(&a, MOST);
	buf_init(&b, MOST);
	assert_int_equal(age_encrypt_all(&ours.r, "x", 1, 0, &a, &err), 0);
	assert_int_equal(age_encrypt_all(&ours.r, "x", 1, 0, &b, &err), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data, b.data, a.len);
	assert_memory_not_equal(a.data + a.len - 17, b.data + b.len - 17, 17);
	buf_done(&a);
	buf_done(&b);
}

static void encryption__to_nobody__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct age_recipients none = {0};
	struct filter *f = NULL;
	assert_int_equal(filter_age_encrypt(&none, &f, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "encryption: encryption to no recipient");
}

/* ---- what is no such file ---- */

static void refused(const void *data, size_t len, enum err_code code, const char *msg,
		    const char *hint)
{
	struct err err = ERR_INIT, parts = ERR_INIT;
	struct buf plain;
	struct age_file f;
	buf_init(&plain, MOST);
	assert_int_equal(age_decrypt_all(&ours.i, data, len, &plain, &err), -1);
	assert_int_equal(plain.len, 0);
	assert_int_equal(err.code, code);
	assert_int_equal(age_open(&ours.i, data, len, &f, &parts), -1);
	assert_int_equal(parts.code, code);
	if (strstr(parts.msg, msg) == NULL || strstr(parts.hint, hint) == NULL)
		fail_msg("%s (%s)", parts.msg, parts.hint);
	buf_done(&plain);
}

static void decryption__of_something_else__says_what_it_is(void **state)
{
	(void)state;
	static const char armour[] = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n";
	static const char scrypt[] = "age-encryption.org/v1\n"
				     "-> scrypt rF0/NwblUHHTpgQgRpe5CQ 10\n"
				     "gUjEymFKMVXQEKdMMHL24oYexjE3TIC0O0zGSqJ2aUY\n"
				     "--- IOnqrl4nZlZTHoK1K5MupvjYAlR9Hfaa4n3YMvRHmeg\n"
				     "0123456789abcdef0123456789abcdef";
	refused("PK\3\4zip", 7, ERR_CORRUPT, "it does not begin as an age file does", "");
	refused(armour, sizeof armour - 1, ERR_CORRUPT, "it does not begin as an age file does",
		"ASCII armour");
	refused(scrypt, sizeof scrypt - 1, ERR_DENIED, "encrypted with a passphrase", "age -d");
	refused("age-encryption.org/v1\n-> X", 26, ERR_CORRUPT, "it ends inside its age header",
		"");
	refused("", 0, ERR_CORRUPT, "it ends inside its age header", "");
}

static void header__without_an_end__is_limited(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, MOST);
	assert_int_equal(buf_puts(&b, AGE_VERSION_LINE, &err), 0);
	while (b.len < AGE_HEADER_MAX + 100)
		assert_int_equal(buf_puts(&b, "-> x y\n\n", &err), 0);
	refused(b.data, b.len, ERR_LIMIT, "its age header is longer than 65536 bytes", "");
	buf_reset(&b);
	assert_int_equal(buf_puts(&b, AGE_VERSION_LINE "-> ", &err), 0);
	while (b.len < AGE_HEADER_MAX + 100)
		assert_int_equal(buf_puts(&b, "xxxxxxxxx", &err), 0);
	refused(b.data, b.len, ERR_LIMIT, "its age header is longer than 65536 bytes", "");
}

/* ---- in parts ---- */

static void parts__of_a_file__are_its_chunks_and_nothing_else(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static uint8_t data[150000], out[AGE_CHUNK_BYTES];
	struct buf file;
	struct age_file f;
	uint64_t plain;
	size_t len;
	age_fill(data, sizeof data, 2);
	buf_init(&file, MOST);
	assert_int_equal(age_encrypt_all(&ours.r, data, sizeof data, 0, &file, &err), 0);
	assert_int_equal(age_open(&ours.i, file.data, file.len, &f, &err), 0);
	assert_int_equal(age_plain_bytes(&f, file.len, &plain, &err), 0);
	assert_int_equal(plain, sizeof data);
	for (uint64_t n = 3; n-- > 0;) {
		const uint8_t *sealed = file.data + f.header_bytes + n * AGE_SEALED_BYTES;
		size_t rest = (size_t)(file.data + file.len - sealed);
		size_t sealed_len = rest < AGE_SEALED_BYTES ? rest : AGE_SEALED_BYTES;
		bool last = n == 2;
		assert_int_equal(age_unseal(&f, n, last, sealed, sealed_len, out, &len, &err), 0);
		assert_int_equal(len, sealed_len - AGE_TAG_BYTES);
		assert_memory_equal(out, data + n * AGE_CHUNK_BYTES, len);
		/* Under another number, as another kind of chunk, cut: refused. */
		assert_int_equal(age_unseal(&f, n + 1, last, sealed, sealed_len, out, &len, &err),
				 -1);
		assert_int_equal(age_unseal(&f, n, !last, sealed, sealed_len, out, &len, &err), -1);
		assert_int_equal(age_unseal(&f, n, last, sealed, sealed_len - 1, out, &len, &err),
				 -1);
		assert_int_equal(age_unseal(&f, n, last, sealed, 15, out, &len, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "is not what was encrypted"));
	}
	age_file_done(&f);
	buf_done(&file);
}

static void plain_bytes__of_lengths_that_can_not_be__are_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct age_file f = {.header_bytes = 200};
	uint64_t plain = 7;
	static const uint64_t wrong[] = {0, 100, 200, 215, 200 + 65552 + 1, 200 + 65552 + 16};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(age_plain_bytes(&f, wrong[i], &plain, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_int_equal(plain, 7);
	}
	assert_int_equal(age_plain_bytes(&f, 216, &plain, &err), 0);
	assert_int_equal(plain, 0);
	assert_int_equal(age_plain_bytes(&f, 200 + 65552, &plain, &err), 0);
	assert_int_equal(plain, 65536);
	assert_int_equal(age_plain_bytes(&f, 200 + 65552 + 17, &plain, &err), 0);
	assert_int_equal(plain, 65537);
}

static void base64__that_is_not_canonical__is_refused(void **state)
{
	(void)state;
	uint8_t out[3];
	assert_true(age_base64_is_valid("", 0));
	assert_true(age_base64_decode("YQ", 2, out, 1));
	assert_int_equal(out[0], 'a');
	assert_false(age_base64_decode("YQ", 2, out, 2));
	assert_false(age_base64_decode("YR", 2, out, 1));
	assert_false(age_base64_decode("YQ==", 4, out, 1));
	assert_false(age_base64_is_valid("Y", 1));
	assert_false(age_base64_is_valid("YW J", 4));
	assert_false(age_base64_is_valid("YW-_", 4));
	assert_false(age_base64_is_valid("Y\0", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors__of_the_author__open_or_are_refused),
	    cmocka_unit_test(round_trip__all_sizes_in_all_pieces__are_equal),
	    cmocka_unit_test(header__of_two_recipients__each_opens_and_a_third_does_not),
	    cmocka_unit_test(encryption__of_the_same_twice__shares_nothing),
	    cmocka_unit_test(encryption__to_nobody__is_refused),
	    cmocka_unit_test(decryption__of_something_else__says_what_it_is),
	    cmocka_unit_test(header__without_an_end__is_limited),
	    cmocka_unit_test(parts__of_a_file__are_its_chunks_and_nothing_else),
	    cmocka_unit_test(plain_bytes__of_lengths_that_can_not_be__are_refused),
	    cmocka_unit_test(base64__that_is_not_canonical__is_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

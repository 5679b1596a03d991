#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/flow/age_impl.h"
#include "tests/support/age_vectors.h"
#include "tests/support/temp_dir.h"

#define RECIPIENT "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"

static struct temp_dir dir;

static int setup(void **state)
{
	(void)state;
	temp_dir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

/* ---- Bech32: the vectors of BIP-173 ---- */

static void bech32__valid_texts__are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *hrp;
		size_t values;
	} cases[] = {
	    {"A12UEL5L", "a", 0},
	    {"a12uel5l", "a", 0},
	    {"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1"
	     "tt5tgs",
	     "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
	     0},
	    {"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", 32},
	    {"11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
	     "qqqqqqqqqqqqqqqqqqqqqqqqc8247j",
	     "1", 82},
	    {"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "split", 48},
	    {"?1ezyfcl", "?", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct age_bech32 b;
		assert_true(age_bech32_decode(cases[i].text, &b));
		assert_string_equal(b.hrp, cases[i].hrp);
		assert_int_equal(b.count, cases[i].values);
	}
	struct age_bech32 b;
	assert_true(age_bech32_decode(cases[3].text, &b));
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(b.values[i], i);
}

static void bech32__invalid_texts__are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "\x20"
	    "1nwldj5",
	    "\x7f"
	    "1axkwrx",
	    "\x80"
	    "1eym55h",
	    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1"
	    "569pvx",
	    "pzry9x0s0muk",
	    "1pzry9x0s0muk",
	    "x1b4n0q5v",
	    "li1dgmt3",
	    "de1lg7wt\xff",
	    "A1G7SGD8",
	    "10a06t8",
	    "1qzzfhee",
	    "a12UEL5L", /* mixed case */
	    "a12uel5m", /* another checksum */
	    "",
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct age_bech32 b = {.count = 77};
		if (age_bech32_decode(cases[i], &b))
			fail_msg("'%s' was read", cases[i]);
		assert_int_equal(b.count, 77);
	}
}

static void bech32__padding_that_says_something__is_no_key(void **state)
{
	(void)state;
	uint8_t key[AGE_KEY_BYTES];
	char text[80];
	memset(key, 0xff, sizeof key);
	age_bech32_encode("age", key, text);
	assert_int_equal(strlen(text), AGE_RECIPIENT_BYTES - 1);
	uint8_t again[AGE_KEY_BYTES];
	assert_true(age_bech32_key(text, "age", again));
	assert_memory_equal(key, again, sizeof key);
	assert_false(age_bech32_key(text, "agf", again));
	/* The last value is 1 0000; with a checksum made for 1 0001 it is still no key. */
	assert_false(age_bech32_key(
	    "age1lllllllllllllllllllllllllllllllllllllllllllllllllll3tst328", "age", again));
}

/* ---- keys ---- */

static void keygen__two_pairs__fit_and_differ(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char identity[2][AGE_IDENTITY_BYTES], recipient[2][AGE_RECIPIENT_BYTES];
	for (size_t i = 0; i < 2; i++) {
		struct age_identities ids = {0};
		uint8_t key[AGE_KEY_BYTES];
		char text[AGE_RECIPIENT_BYTES];
		assert_int_equal(age_keygen(identity[i], recipient[i], &err), 0);
		assert_int_equal(strlen(identity[i]), AGE_IDENTITY_BYTES - 1);
		assert_int_equal(strncmp(identity[i], "AGE-SECRET-KEY-1", 16), 0);
		assert_int_equal(age_identities_add(&ids, identity[i], &err), 0);
		assert_int_equal(age_identity_recipient(ids.keys[0], key, &err), 0);
		age_recipient_text(key, text);
		assert_string_equal(text, recipient[i]);
		age_identities_done(&ids);
	}
	assert_string_not_equal(identity[0], identity[1]);
	assert_string_not_equal(recipient[0], recipient[1]);
}

static void recipients__one_twice__counts_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	assert_int_equal(age_recipients_add(&r, RECIPIENT, &err), 0);
	assert_int_equal(age_recipients_add(&r, RECIPIENT, &err), 0);
	assert_int_equal(r.count, 1);
	age_recipients_done(&r);
	assert_null(r.keys);
	age_recipients_done(&r);
}

static void recipients__of_other_kinds__are_refused_with_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *text, *msg, *hint;
	} cases[] = {
	    {"", "'' is no recipient of age", "begins with age1"},
	    {"age1xyz", "'age1xyz' is no recipient of age", "7 characters instead of 62"},
	    {"age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2x",
	     "is no recipient of age", "typing error"},
	    {"AGE1LVYVWAWKR0MCNNNNCAGHUNADRQKMUF9E6507X9Y920XXPP866CNQL7DP2Z",
	     "is no recipient of age", ""},
	    {"ssh-ed25519 AAAA", "ssh key", "keygen"},
	    {AGE_VECTOR_IDENTITY, "a private key stands where a recipient belongs",
	     "age-keygen -y"},
	    {"age-secret-key-1whatever", "a private key stands where a recipient belongs",
	     "age-keygen -y"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct age_recipients r = {0};
		assert_int_equal(age_recipients_add(&r, cases[i].text, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, cases[i].msg));
		assert_non_null(strstr(err.hint, cases[i].hint));
		assert_null(strstr(err.msg, "SECRET-KEY"));
		assert_int_equal(r.count, 0);
	}
}

static void recipients__of_low_order__are_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	static const uint8_t zeros[AGE_KEY_BYTES];
	char text[AGE_RECIPIENT_BYTES];
	age_recipient_text(zeros, text);
	assert_int_equal(age_recipients_add(&r, text, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "is a key that protects nothing"));
}

static void recipients__too_many__are_limited(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	char identity[AGE_IDENTITY_BYTES], recipient[AGE_RECIPIENT_BYTES];
	for (size_t i = 0; i < AGE_RECIPIENTS_MAX; i++) {
		assert_int_equal(age_keygen(identity, recipient, &err), 0);
		assert_int_equal(age_recipients_add(&r, recipient, &err), 0);
	}
	assert_int_equal(age_recipients_add(&r, RECIPIENT, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "there are more than 64 recipients");
	age_recipients_done(&r);
}

static void identities__of_other_kinds__are_refused_and_never_shown(void **state)
{
	(void)state;
	static const struct {
		const char *text, *msg, *hint;
	} cases[] = {
	    {"", "a line is no identity of age", "keygen"},
	    {"S3CRET", "a line is no identity of age", "keygen"},
	    {"AGE-SECRET-KEY-1S3CRET", "a line is no identity of age", "58 more"},
	    {RECIPIENT, "a public key stands where an identity belongs", "AGE-SECRET-KEY-1"},
	    {"AGE-PLUGIN-S3CRET-1QQ", "of a plugin", "age -d"},
	    {"-----BEGIN AGE ENCRYPTED FILE-----", "itself encrypted with a passphrase", "age -d"},
	    {"age-encryption.org/v1", "itself encrypted with a passphrase", "age -d"},
	    {"-----BEGIN OPENSSH PRIVATE KEY-----", "an ssh key", "age -d"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct age_identities ids = {0};
		assert_int_equal(age_identities_add(&ids, cases[i].text, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, cases[i].msg));
		assert_non_null(strstr(err.hint, cases[i].hint));
		assert_null(strstr(err.msg, "S3CRET"));
		assert_null(strstr(err.hint, "S3CRET"));
	}
}

static void files__comments_and_empty_lines__are_passed_over(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	struct age_identities ids = {0};
	static const char recipients[] = "# ours\n\n" RECIPIENT "\r\n\n# the end";
	static const char identities[] = "# created: 2026-11-23T02:00:00Z\n# public key: " RECIPIENT
					 "\n" AGE_VECTOR_IDENTITY "\n";
	bool open = false;
	temp_dir_write(&dir, "recipients", recipients, sizeof recipients - 1);
	temp_dir_write(&dir, "identity", identities, sizeof identities - 1);
	assert_int_equal(age_recipients_add_file(&r, temp_dir_in(&dir, "recipients"), &err), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(chmod(temp_dir_in(&dir, "identity"), 0644), 0);
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "identity"), &open, &err),
			 0);
	assert_true(open);
	assert_int_equal(chmod(temp_dir_in(&dir, "identity"), 0600), 0);
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "identity"), &open, &err),
			 0);
	assert_false(open);
	assert_int_equal(ids.count, 1);
	assert_int_equal(age_identities_add_text(&ids, identities, &err), 0);
	assert_int_equal(ids.count, 1);
	assert_int_equal(age_identities_add_text(&ids, "# no key\nS3CRET\n", &err), -1);
	assert_string_equal(err.msg, "line 2: a line is no identity of age");
	age_recipients_done(&r);
	age_identities_done(&ids);
}

static void files__that_are_none__are_refused_with_their_line(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	struct age_identities ids = {0};
	static const char wrong[] = RECIPIENT "\nage1xyz\n";
	static const char binary[] = "# a\0b\n";
	temp_dir_write(&dir, "wrong", wrong, sizeof wrong - 1);
	temp_dir_write(&dir, "empty", "# none\n", 7);
	temp_dir_write(&dir, "binary", binary, sizeof binary - 1);
	assert_int_equal(age_recipients_add_file(&r, temp_dir_in(&dir, "wrong"), &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "wrong': line 2: 'age1xyz' is no recipient"));
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "empty"), NULL, &err), -1);
	assert_non_null(strstr(err.msg, "empty': there is no key in it"));
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "binary"), NULL, &err),
			 -1);
	assert_non_null(strstr(err.msg, "binary': it is no text"));
	assert_int_equal(age_identities_add_file(&ids, temp_dir_in(&dir, "none"), NULL, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	age_recipients_done(&r);
}

/* ---- HKDF: RFC 5869, A.1 and A.3 (the first 32 bytes) ---- */

static void hkdf__published_case__agrees(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	uint8_t secret[22], out[AGE_KEY_BYTES];
	static const uint8_t expected[AGE_KEY_BYTES] = {
	    0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80,
	    0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1,
	    0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d};
	memset(secret, 0x0b, sizeof secret);
	assert_int_equal(age_hkdf(secret, sizeof secret, NULL, 0, "", out, &err), 0);
	assert_memory_equal(out, expected, sizeof expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bech32__valid_texts__are_read),
	    cmocka_unit_test(bech32__invalid_texts__are_refused),
	    cmocka_unit_test(bech32__padding_that_says_something__is_no_key),
	    cmocka_unit_test(keygen__two_pairs__fit_and_differ),
	    cmocka_unit_test(recipients__one_twice__counts_once),
	    cmocka_unit_test(recipients__of_other_kinds__are_refused_with_what_to_do),
	    cmocka_unit_test(recipients__of_low_order__are_refused),
	    cmocka_unit_test(recipients__too_many__are_limited),
	    cmocka_unit_test(identities__of_other_kinds__are_refused_and_never_shown),
	    cmocka_unit_test(files__comments_and_empty_lines__are_passed_over),
	    cmocka_unit_test(files__that_are_none__are_refused_with_their_line),
	    cmocka_unit_test(hkdf__published_case__agrees),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

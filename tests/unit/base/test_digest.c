#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"

/* FIPS 180-4's own examples, and the empty message. */
static const struct {
	const char *text, *hex;
} examples[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void sha256__examples__are_right_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct err err = ERR_INIT;
		char hex[SHA256_HEX_BYTES];
		size_t len = strlen(examples[i].text);
		assert_int_equal(sha256_of(examples[i].text, len, hex, &err), 0);
		assert_string_equal(hex, examples[i].hex);
		for (size_t cut = 0; cut <= len; cut++) {
			struct sha256 *h = NULL;
			assert_int_equal(sha256_new(&h, &err), 0);
			sha256_update(h, examples[i].text, cut);
			sha256_update(h, examples[i].text + cut, len - cut);
			sha256_hex(h, hex);
			assert_string_equal(hex, examples[i].hex);
			sha256_free(h);
		}
	}
	sha256_free(NULL);
}

static void hex__all_bytes__are_two_lower_case_digits(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xff, 0x9a};
	char out[11];
	hex_encode(bytes, sizeof bytes, out);
	assert_string_equal(out, "000ff0ff9a");
	hex_encode(bytes, 0, out);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256__examples__are_right_in_any_pieces),
	    cmocka_unit_test(hex__all_bytes__are_two_lower_case_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

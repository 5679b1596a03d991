/* Headers, files and keys of age from anywhere: refused, or opened in the same way by the filter
 * and in parts. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/flow/age_impl.h"
#include "tests/support/age_case.h"
#include "tests/support/age_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_keys(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct age_recipients r = {0};
	struct age_identities i = {0};
	CLEANUP(freep) char *text = NULL;
	if (str_dupn((const char *)data, size < 200 ? size : 200, &text, &err) < 0)
		return;
	if (age_recipients_add(&r, text, &err) == 0) {
		char again[AGE_RECIPIENT_BYTES];
		age_recipient_text(r.keys[0], again);
		assert(strcmp(text, again) == 0);
	} else {
		assert(err.msg[0] != '\0');
	}
	if (age_identities_add(&i, text, &err) < 0)
		assert(err.code == ERR_CONFIG);
	age_recipients_done(&r);
	age_identities_done(&i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT, parts = ERR_INIT;
	struct age_identities ids = {0};
	struct age_file f;
	struct buf plain;
	uint64_t bytes = 0;
	if (age_identities_add(&ids, AGE_VECTOR_IDENTITY, &err) < 0)
		abort();
	buf_init(&plain, (size_t)1 << 24);
	int rc = age_decrypt_all(&ids, data, size, &plain, &err);
	int opened = age_open(&ids, data, size, &f, &parts);
	assert(rc < 0 || opened == 0);
	assert(rc == 0 || err.msg[0] != '\0');
	if (rc == 0) {
		assert(age_plain_bytes(&f, size, &bytes, &parts) == 0);
		assert(bytes == plain.len);
	}
	buf_done(&plain);
	age_identities_done(&ids);
	try_keys(data, size);
	return 0;
}

/* Any text as the header in which Docker describes a file; and the same bytes in base64, which is
 * how most of them would get past the first check. */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const char *header)
{
	struct archive_entry *e = NULL;
	char *link = NULL;
	struct err err = ERR_INIT;
	if (docker_archive_parse_stat(header, &e, &link, &err) < 0) {
		if (e != NULL || link != NULL || err.msg[0] == '\0')
			abort();
		return;
	}
	if (archive_entry_filetype(e) == 0 || archive_entry_size(e) < 0)
		abort();
	archive_entry_free(e);
	free(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 4096)
		return 0;
	char *text = malloc(size + 1);
	unsigned char *encoded = malloc(size / 3 * 4 + 8);
	if (text == NULL || encoded == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	parse(text);
	EVP_EncodeBlock(encoded, data, (int)size);
	parse((const char *)encoded);
	free(text);
	free(encoded);
	return 0;
}

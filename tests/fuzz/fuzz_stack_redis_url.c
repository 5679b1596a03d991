/* Any text as a connection string: taken or refused, never a crash, and an error never shows what
 * may be a password. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_url u;
	struct err err = ERR_INIT;
	char *text = malloc(size + 1), *name = NULL;
	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (redis_url_parse(text, &u, &err) == 0) {
		if ((u.host == NULL) == (u.socket == NULL) || redis_url_name(&u, &name, &err) < 0)
			abort();
		free(name);
		redis_url_done(&u);
	} else if (err.code != ERR_CONFIG || err.hint[0] == '\0') {
		abort();
	}
	free(text);
	return 0;
}

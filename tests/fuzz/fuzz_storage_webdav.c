/* Answers of WebDAV servers and urls of stores, from anywhere. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "storage/store/store_part.h"
#include "storage/store/store_url.h"
#include "storage/webdav/webdav.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct webdav_entries e = {0};
	struct store_url u = {0};
	CLEANUP(freep) char *text = NULL;
	if (webdav_parse(data, size, &e, &err) < 0)
		assert(err.msg[0] != '\0' && e.count == 0);
	for (size_t i = 0; i < e.count; i++) {
		assert(strchr(e.items[i].name, '\0') != NULL && e.items[i].modified_ms >= 0);
		assert(!store_part_is(e.items[i].name, "") ||
		       !store_name_is_valid(e.items[i].name));
	}
	webdav_entries_done(&e);
	if (str_dupn((const char *)data, size, &text, &err) < 0)
		return 0;
	if (store_url_parse(text, 22, &u, &err) == 0)
		assert(u.host[0] != '\0' && u.path[0] == '/');
	store_url_done(&u);
	return 0;
}

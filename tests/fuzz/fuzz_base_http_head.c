/* Heads and chunks of HTTP answers from anywhere: no crash, the same in pieces as in one, and what
 * is accepted keeps its promises. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/flow/http_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_chunks(const uint8_t *data, size_t size)
{
	struct http_chunks whole = {0}, bytes = {0};
	struct buf a, b;
	struct err err = ERR_INIT;
	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	int rc = http_chunks_read(&whole, data, size, &a, &err);
	int again = 0;
	for (size_t i = 0; again == 0 && i < size; i++)
		again = http_chunks_read(&bytes, data + i, 1, &b, &err);
	assert(rc == again && whole.ended == bytes.ended && a.len == b.len && a.len <= size);
	assert(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
	buf_done(&a);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct http_response r = {.status = -1};
	struct http_framing framing = {0};
	size_t used = SIZE_MAX;
	if (http_head_parse(data, size, &used, &r, &framing, &err) < 0) {
		assert(used == SIZE_MAX && r.status == -1 && err.msg[0] != '\0');
		assert(err.code == ERR_CORRUPT || err.code == ERR_LIMIT);
	} else if (used == 0) {
		assert(r.status == -1);
	} else {
		assert(used <= size && used <= HTTP_HEAD_MAX);
		assert(memcmp(data + used - 4, "\r\n\r\n", 4) == 0);
		assert(r.status >= 100 && r.status <= 999);
		for (size_t i = 0; i < r.headers.count; i++) {
			const char *line = r.headers.items[i];
			assert(strchr(line, ':') > line && strpbrk(line, "\r\n") == NULL);
		}
		/* Less of it is no head. */
		struct http_response less;
		size_t n = 1;
		assert(http_head_parse(data, used - 1, &n, &less, &framing, &err) == 0 && n == 0);
		http_response_done(&r);
		read_chunks(data + used, size - used);
	}
	read_chunks(data, size);
	return 0;
}

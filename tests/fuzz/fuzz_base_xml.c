/* XML from anywhere: no crash, and what is read keeps its bounds. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "base/buf.h"
#include "base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many there are, at most XML_DEPTH_MAX deep. */
static size_t walk(const struct xml_node *node, size_t depth)
{
	size_t count = 0;
	for (; node != NULL; node = node->next) {
		assert(depth < XML_DEPTH_MAX && node->name[0] != '\0' && node->text != NULL);
		assert(node->first == NULL || node->text[0] == '\0');
		count += 1 + walk(node->first, depth + 1);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(xml_freep) struct xml *x = NULL;
	if (xml_parse(data, size, &x, &err) < 0) {
		assert(x == NULL && err.msg[0] != '\0');
		assert(err.code == ERR_CORRUPT || err.code == ERR_LIMIT);
		return 0;
	}
	assert(xml_root(x)->next == NULL && walk(xml_root(x), 0) <= size);
	const char *text = xml_text(xml_root(x), "Contents/Key");
	if (text == NULL)
		return 0;
	/* What it says can be said again. */
	CLEANUP(buf_done) struct buf b;
	CLEANUP(xml_freep) struct xml *again = NULL;
	buf_init(&b, 16 << 20);
	int rc = buf_puts(&b, "<a>", &err);
	rc = rc < 0 ? rc : xml_escape(&b, text, &err);
	rc = rc < 0 ? rc : buf_puts(&b, "</a>", &err);
	rc = rc < 0 ? rc : xml_parse(b.data, b.len, &again, &err);
	assert(rc == 0);
	return 0;
}

/* What `status` and `show` say, from anywhere: pages in which nothing of it has become markup, and
 * metrics. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/report/page.h"
#include "agent/report/metrics.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make(int (*how)(const json_t *, struct buf *, struct err *), const json_t *doc,
		 bool markup)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 64 << 20);
	int rc = how(doc, &out, &err);
	assert(rc == 0 || err.msg[0] != '\0');
	/* "<q" begins no element that a page has. */
	assert(rc < 0 || !markup || strstr(buf_text(&out), "<q") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *doc = NULL;
	if (size > 1 << 16 || json_parse((const char *)data, size, &doc, &err) < 0)
		return 0;
	make(page_html, doc, true);
	make(page_backup_html, doc, true);
	make(metrics_text, doc, false);
	return 0;
}

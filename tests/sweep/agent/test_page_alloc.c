/* The page and the metrics when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "agent/report/page.h"
#include "agent/report/metrics.h"
#include "tests/support/fail_alloc.h"

static const char document[] =
    "{\"stack\":\"hdms\",\"level\":\"safe\",\"verdict\":\"Safe: yes.\",\"generated\":"
    "\"2026-11-23T12:00:00Z\",\"newest\":{\"id\":\"20261123T020000Z-0001\",\"taken\":"
    "\"2026-11-23T02:00:00Z\",\"bytes\":5,\"raw_bytes\":50},\"stores\":[{\"label\":\"local\","
    "\"reachable\":true,\"backups\":[{\"id\":\"20261123T020000Z-0001\",\"taken\":"
    "\"2026-11-23T02:00:00Z\"},{\"id\":\"20261122T020000Z-0001\",\"taken\":"
    "\"2026-11-22T02:00:00Z\"}]}],\"drills\":[{\"outcome\":\"passed\",\"started\":"
    "\"2026-11-23T03:00:00Z\"}],\"agent\":{\"jobs\":{\"backup\":{\"last\":{}}}},\"days\":[{"
    "\"date\":\"2026-11-23\",\"outcome\":\"proven\"}]}";

static void sweep(int (*make)(const json_t *, struct buf *, struct err *))
{
	struct err err = ERR_INIT;
	json_t *doc = NULL;
	assert_int_equal(json_parse(document, strlen(document), &doc, &err), 0);
	unsigned n = 1;
	do {
		struct buf out;
		buf_init(&out, 1 << 20);
		err_clear(&err);
		fail_alloc_at(n);
		int done = make(doc, &out, &err);
		fail_alloc_off();
		buf_done(&out);
		if (fail_alloc_hit())
			assert_int_equal(done, -1);
		assert_int_equal(err.code, done < 0 ? ERR_NOMEM : ERR_NONE);
	} while (fail_alloc_hit() && ++n < 5000);
	assert_in_range(n, 5, 4999);
	json_decref(doc);
}

static void page__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(page_html);
	sweep(page_backup_html);
}

static void metrics__memory_runs_out__fail_cleanly(void **state)
{
	(void)state;
	sweep(metrics_text);
}

static int enter(void **state)
{
	(void)state;
	/* What jansson wants counts too. */
	json_set_alloc_funcs(malloc, free);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(page__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(metrics__memory_runs_out__fail_cleanly),
	};
	return cmocka_run_group_tests(tests, enter, NULL);
}

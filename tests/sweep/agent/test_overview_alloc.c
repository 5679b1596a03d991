/* The status document when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/config.h"
#include "agent/report/overview.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

enum { MOST = 20000 };

#define BACKUP "hdms-20261123T020000Z-3f9c"
#define OF     "\"format_version\":1,\"id\":\"20261123T020000Z-3f9c\",\"stack\":\"hdms\","

static struct temp_dir folder;
static struct config *config;

static int look(struct err *err)
{
	CLEANUP(json_freep) json_t *doc = NULL;
	if (overview_load(config, NULL, NULL, &doc, err) < 0)
		return -1;
	const json_t *store = json_array_get(json_object_get(doc, "stores"), 0);
	const json_t *backups = json_object_get(store, "backups");
	/* What was not read for want of memory must not look like a store that has nothing. */
	assert_int_equal(json_array_size(backups), 1);
	assert_int_equal(json_array_size(json_object_get(doc, "drills")), 1);
	assert_non_null(json_str_or(doc, "verdict", NULL));
	return 0;
}

static void overview__memory_runs_out__is_whole_or_none(void **state)
{
	(void)state;
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = look(&err);
		fail_alloc_off();
		if (done < 0)
			assert_int_equal(err.code, ERR_NOMEM);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 200, MOST - 1);
}

static void put(const char *name, const char *text)
{
	temp_dir_write(&folder, name, text, strlen(text));
}

static int enter(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char conf[2048];
	clearenv();
	/* What jansson wants counts too. */
	json_set_alloc_funcs(malloc, free);
	temp_dir_make(&folder);
	put(BACKUP ".tar.zst", "x");
	put(BACKUP ".json",
	    "{\"format\":\"lifeboat-sidecar\"," OF "\"archive\":\"" BACKUP ".tar.zst\",\"bytes\":1,"
	    "\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
	    "\"started\":\"2026-11-23T02:00:00Z\",\"finished\":\"2026-11-23T02:01:30Z\",\"label\":"
	    "null,\"pinned\":false,\"suspicious\":false,\"lifeboat_version\":\"0.1.0\",\"counts\":{"
	    "\"databases\":1,\"tables\":2,\"rows\":3,\"large_objects\":4,\"redis_keys\":5,"
	    "\"files\":6,"
	    "\"raw_bytes\":7},\"components\":[\"postgres\",\"redis\"],\"warnings\":0}");
	put(BACKUP ".verify-20261123T030000Z.json",
	    "{\"format\":\"lifeboat-verify\"," OF "\"store\":\"a\",\"kind\":\"whole\",\"outcome\":"
	    "\"passed\",\"started\":\"2026-11-23T03:00:00Z\",\"finished\":\"2026-11-23T03:00:"
	    "00Z\"}");
	put(BACKUP ".drill-20261123T040000Z.json",
	    "{\"format\":\"lifeboat-evidence\"," OF "\"outcome\":\"passed\",\"started\":"
	    "\"2026-11-23T04:00:00Z\",\"finished\":\"2026-11-23T04:00:00Z\",\"rto_ms\":100}");
	snprintf(conf, sizeof conf,
		 "[stack]\nname = hdms\nvolumes_dir = /v\n[volume media]\n[store a]\nurl = "
		 "file://%s\n[agent]\nstate_dir = %s\n",
		 folder.path, folder.path);
	put("agent.conf", conf);
	return config_load(temp_dir_in(&folder, "agent.conf"), &config, &err);
}

static int leave(void **state)
{
	(void)state;
	config_free(config);
	temp_dir_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(overview__memory_runs_out__is_whole_or_none),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

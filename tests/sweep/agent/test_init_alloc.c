/* `lifeboat init` when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "agent/init/init.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

enum { MOST = 5000 };

static struct temp_dir folder;
static json_t *containers;

/* Name, image, volume, and what `inspect` says besides. */
static const char *const services[][4] = {
    {"db", "postgres", "pg", "\"Env\":[\"POSTGRES_PASSWORD=hush\"]"},
    {"other", "postgres", "o", "\"Env\":[]"},
    {"redis", "redis", "r", "\"Cmd\":[\"--requirepass\",\"hush\"]"},
    {"pooler", "pgbouncer", "p", "\"Env\":[]"},
    {"web", "web", "media.d", "\"Env\":[\"DB_USER=app\",\"DB_PASSWORD=hush\",\"DB_NAME=d\"]"},
};

static int look(struct err *err)
{
	CLEANUP(init_done) struct init i = {0};
	CLEANUP(buf_done) struct buf text;
	size_t n;
	json_t *c;
	buf_init(&text, 1 << 16);
	if (str_dup(folder.path, &i.folder, err) < 0 || str_dup("desk", &i.project, err) < 0)
		return -1;
	json_array_foreach(containers, n, c)
	{
		if (init_container(&i, c, c, err) < 0)
			return -1;
	}
	if (init_env(&i, err) < 0 || init_text(&i, true, &text, err) < 0)
		return -1;
	assert_non_null(strstr(buf_text(&text), "${DB_USER}:${DB_PASSWORD}@pooler:6432/d\n"));
	assert_non_null(strstr(buf_text(&text), "[volume media_d]\nname = media.d\n"));
	return 0;
}

static void init__memory_runs_out__fails_cleanly(void **state)
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
		else if (fail_alloc_hit())
			fail_msg("allocation %u failed and nobody said so", n);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 50, MOST - 1);
}

static int enter(void **state)
{
	(void)state;
	/* What jansson wants counts too. */
	json_set_alloc_funcs(malloc, free);
	struct err err = ERR_INIT;
	static const char env[] = "DB_USER=app\nDB_PASSWORD=hush\n", bad[] = "A='";
	temp_dir_make(&folder);
	temp_dir_write(&folder, ".env", env, sizeof env - 1);
	temp_dir_write(&folder, ".env.bad", bad, sizeof bad - 1);
	containers = json_array();
	for (size_t n = 0; n < sizeof services / sizeof *services; n++) {
		const char *const *s = services[n];
		CLEANUP(freep) char *text = NULL;
		json_t *one = NULL;
		if (str_printf(
			&text, &err,
			"{\"Image\":\"%s\",\"Labels\":{\"com.docker.compose.service\":\"%s\"},"
			"\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"desk_%s\"}],"
			"\"Config\":{%s}}",
			s[1], s[0], s[2], s[3]) < 0 ||
		    json_parse(text, strlen(text), &one, &err) < 0 ||
		    json_array_append_new(containers, one) < 0)
			return -1;
	}
	return 0;
}

static int leave(void **state)
{
	(void)state;
	json_decref(containers);
	temp_dir_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(init__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

/* The docker engine when memory runs out at every single point: it says so, or does without;
 * nothing is leaked, and no output is half-made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "stack/compose/engine_docker.h"
#include "stack/engine/engine_hold.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/fake_docker.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ID       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { MOST = 2000 };

static const char listed[] =
    "[{\"Id\":\"" ID "\",\"Names\":[\"/hdms_postgres_1\"],\"Image\":\"img:1\",\"ImageID\":"
    "\"sha256:i\",\"State\":\"running\",\"Labels\":{\"com.docker.compose.project\":\"hdms\","
    "\"com.docker.compose.service\":\"postgres\"},\"Mounts\":[{\"Type\":\"volume\",\"Name\":"
    "\"hdms_media\",\"Destination\":\"/media\"}]}]";

static const char inspected[] =
    "{\"Id\":\"" ID "\",\"Name\":\"/hdms_postgres_1\",\"Image\":\"sha256:i\",\"State\":{\"Running\""
    ":true},\"HostConfig\":{\"NetworkMode\":\"n\"},\"Config\":{\"Image\":\"postgres:15\",\"Env\":["
    "\"PATH=/usr/bin\",\"PGSERVICE=x\",\"PG_MAJOR=15\"],\"Labels\":{\"com.docker.compose.service\":"
    "\"postgres\"},\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"]}},\"Mounts\":[{\"Type\":\"volume\","
    "\"Name\":\"hdms_pgdata\",\"Destination\":\"/data\"}],\"NetworkSettings\":{\"Networks\":{\"n\":"
    "{\"IPAddress\":\"172.30.0.5\",\"Aliases\":[\"postgres\",\"db\"]}}}}";

static const char left_over[] =
    "{\"Volumes\":[{\"Name\":\"v\",\"Labels\":{\"org.lifeboat.run\":\"r\",\"org.lifeboat.kind\":"
    "\"volume\",\"org.lifeboat.purpose\":\"drill\",\"org.lifeboat.maker\":\"container " ID
    " then 7 9\"}}]}";

static const char mark[] =
    "{\"Volumes\":[{\"Name\":\"lifeboat-run-r\",\"Labels\":{\"org.lifeboat.run\":\"r\","
    "\"org.lifeboat.kind\":\"run\",\"org.lifeboat.maker\":\"container " ID " then 7 9\"}}]}";

static const struct fake_route routes[] = {
    {"GET /containers/json?filters={\"label\":[\"com.docker", 200, listed, NULL, 0},
    {"GET /containers/json?", 200, "[]", NULL, 0},
    {"GET /containers/" ID "/json", 200, inspected, NULL, 0},
    {"GET /containers/" ID "/top", 200, "{\"Processes\":[[\"8\",\"70\",\"71\",\"postgres\"]]}",
     NULL, 0},
    {"GET /images/sha256:i/json", 200,
     "{\"Id\":\"sha256:i\",\"RepoDigests\":[\"p@sha256:d\"],\"Os\":\"linux\",\"Architecture\":"
     "\"amd64\"}",
     NULL, 0},
    {"GET /info", 200, "{\"SecurityOptions\":[\"name=seccomp\"]}", NULL, 0},
    {"GET /volumes?filters={\"label\":[\"org.lifeboat.stack=hdms\",\"org.lifeboat.kind=run\"", 200,
     mark, NULL, 0},
    {"GET /volumes?filters={\"label\":[\"org.lifeboat.stack=hdms\",\"org.lifeboat.run\"", 200,
     left_over, NULL, 0},
    {"GET /volumes?", 200, "{\"Volumes\":[]}", NULL, 0},
    {"GET /networks?", 200, "[]", NULL, 0},
    {"GET /volumes/hdms_media", 200, "{\"Name\":\"hdms_media\",\"Driver\":\"local\"}", NULL, 0},
    {"GET /volumes/lifeboat-run-r", 200, "{}", NULL, 0},
    {"POST /containers/" ID "/exec", 201, "{\"Id\":\"e\"}", NULL, 0},
    {"HEAD /containers/" ID "/archive?path=/usr/bin/pg_dump", 200, NULL,
     "X-Docker-Container-Path-Stat: "
     "eyJuYW1lIjoicGdfZHVtcCIsInNpemUiOjksIm1vZGUiOjQ5MywibXRpbWUiOiIyMDI2LTExLTIzVDAwOjAwOjAwWiIs"
     "ImxpbmtUYXJnZXQiOiIifQ==",
     0},
    {"POST /containers/" ID "/", 204, NULL, NULL, 0},
    {"DELETE /", 204, NULL, NULL, 0},
};

typedef int deed_fn(struct engine *e, struct err *err);

static int opened(const struct fake_docker *daemon, struct engine **ret, struct err *err)
{
	const struct engine_service services[] = {{"postgres", "postgres", "sha256:i"}};
	const struct engine_opts opts = {.kind = "docker",
					 .stack = "hdms",
					 .run_id = "own",
					 .purpose = "drill",
					 .docker_host = daemon->host,
					 .client = "exec",
					 .services = services,
					 .service_count = 1};
	return engine_open(&opts, ret, err);
}

/* `once`: what follows the failure has memory again; then going on without it is fine, too. */
static void sweep_one(deed_fn *deed, bool once)
{
	static struct fake_docker daemon;
	bool hit = true;
	unsigned n = 0;
	fake_docker_start(&daemon, routes, COUNT(routes));
	while (hit) {
		struct engine *e = NULL;
		struct err err = ERR_INIT;
		assert_in_range(++n, 1, MOST);
		if (once)
			fail_alloc_once_at(n);
		else
			fail_alloc_at(n);
		int rc = opened(&daemon, &e, &err);
		if (rc == 0)
			rc = deed(e, &err);
		hit = fail_alloc_hit();
		fail_alloc_off();
		if (hit ? rc < 0 && err.code != ERR_NOMEM : rc < 0)
			fail_msg("at %u: %s", n, err.msg);
		if (hit && !once)
			assert_int_equal(rc, -1);
		engine_free(e);
	}
	fake_docker_stop(&daemon);
	assert_true(n > 20);
}

static void sweep(deed_fn *deed)
{
	sweep_one(deed, false);
	sweep_one(deed, true);
}

static int describe(struct engine *e, struct err *err)
{
	json_t *j = NULL;
	if (engine_describe(e, "postgres", &j, err) < 0)
		return -1;
	assert_string_equal(json_str_or(j, "image_id", ""), "sha256:i");
	json_decref(j);
	return 0;
}

static void describe__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(describe);
}

static int volumes(struct engine *e, struct err *err)
{
	CLEANUP(freep) char *name = NULL, *other = NULL;
	json_t *j = NULL;
	if (engine_volume_of(e, "postgres", "/data/x", "x", &name, err) < 0 ||
	    engine_volume_of(e, NULL, NULL, "media", &other, err) < 0 ||
	    engine_volume_describe(e, other, &j, err) < 0)
		return -1;
	assert_string_equal(name, "hdms_pgdata");
	assert_string_equal(other, "hdms_media");
	json_decref(j);
	return 0;
}

static void volume_of__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(volumes);
}

static int address(struct engine *e, struct err *err)
{
	CLEANUP(freep) char *ip = NULL;
	if (engine_address(e, "postgres", "db", &ip, err) < 0)
		return -1;
	assert_string_equal(ip, "172.30.0.5");
	return 0;
}

static void address__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(address);
}

static int adopt(struct engine *e, struct err *err)
{
	return engine_adopt(e, "postgres", NULL, err);
}

static void adopt__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(adopt);
}

static int find(struct engine *e, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	const struct tool t = {.component = "postgres", .major = 15, .name = "pg_dump"};
	if (engine_tool_find(e, &t, &path, err) < 0)
		return -1;
	assert_string_equal(path, "/usr/bin/pg_dump");
	return 0;
}

static void tool_find__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(find);
}

static int sweep_leftovers(struct engine *e, struct err *err)
{
	CLEANUP(strlist_done) struct strlist lines = {0};
	return engine_sweep(e, false, &lines, err);
}

static void engine_sweep__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(sweep_leftovers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(describe__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(volume_of__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(address__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(adopt__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(tool_find__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(engine_sweep__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

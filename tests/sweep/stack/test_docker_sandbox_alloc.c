/* A server of a sandbox in Docker, from its first container to its last, when memory runs out at
 * every single point: it says so, or does without, and removes what it made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "stack/compose/engine_docker_box.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/fake_docker.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { MOST = 3000 };

/* {"name":"x","size":9,"mode":493,"mtime":"2026-11-23T00:00:00Z","linkTarget":""}; a folder */
#define A_FILE                                                                                     \
	"X-Docker-Container-Path-Stat: "                                                           \
	"eyJuYW1lIjoieCIsInNpemUiOjksIm1vZGUiOjQ5MywibXRpbWUiOiIyMDI2LTExLTIzVDAwOjAwOjAwWiIsImxp" \
	"bmtUYXJnZXQiOiIifQ=="
#define A_FOLDER                                                                                   \
	"X-Docker-Container-Path-Stat: "                                                           \
	"eyJuYW1lIjoiLyIsInNpemUiOjksIm1vZGUiOjIxNDc0ODQxNDEsIm10aW1lIjoiMjAyNi0xMS0yM1QwMDowMDow" \
	"MFoiLCJsaW5rVGFyZ2V0IjoiIn0="

static const struct fake_route routes[] = {
    {"POST /containers/create", 201, "{\"Id\":\"c1\"}", NULL, 0},
    {"GET /containers/c1/json", 200,
     "{\"Config\":{\"Env\":[\"PATH=/bin\"]},\"State\":{\"Running\":false,\"ExitCode\":0}}", NULL,
     0},
    {"HEAD /containers/c1/archive?path=/bin/redis-server", 200, NULL, A_FILE, 0},
    {"HEAD /containers/c1/archive?path=/bin/redis-cli", 200, NULL, A_FILE, 0},
    {"HEAD /containers/c1/archive?path=/", 200, NULL, A_FOLDER, 0},
    {"POST /networks/create", 201, "{\"Id\":\"n1\"}", NULL, 0},
    {"GET /networks/n1", 200, "{\"IPAM\":{\"Config\":[{\"Subnet\":\"172.18.0.0/16\"}]}}", NULL, 0},
    {"POST /networks/n1/connect", 200, NULL, NULL, 0},
    {"POST /networks/n1/disconnect", 200, NULL, NULL, 0},
    {"PUT /containers/c1/archive", 200, NULL, NULL, 0},
    {"POST /containers/c1/start", 204, NULL, NULL, 0},
    {"POST /containers/c1/kill", 204, NULL, NULL, 0},
    {"DELETE /", 204, NULL, NULL, 0},
};

struct box {
	struct engine_docker e;
	char texts[10][64];
	size_t count;
};

static char *text(struct box *b, const char *value)
{
	char *at = b->texts[b->count++];
	snprintf(at, sizeof b->texts[0], "%s", value);
	return at;
}

/* Made before memory runs out: it is the tests' own. */
static void box_init(struct box *b, json_t *runtime)
{
	*b = (struct box){0};
	b->e.stack = text(b, "hdms");
	b->e.run_id = text(b, "r1");
	b->e.purpose = text(b, "drill");
	b->e.maker = text(b, "host a b 1 2");
	b->e.self = text(b, "5e1f");
	b->e.marked = true;
	b->e.components[0] = (struct docker_component){.name = text(b, "redis"),
						       .runtime = runtime,
						       .image = text(b, "sha256:i"),
						       .uid = 999,
						       .gid = 999};
	b->e.component_count = 1;
	b->e.volumes[0] = (struct docker_volume){.name = text(b, "v1"),
						 .component = &b->e.components[0],
						 .target = text(b, "/data"),
						 .path = text(b, "/data")};
	b->e.volume_count = 1;
}

static int serve(struct box *b, const char *host, struct server **ret, struct err *err)
{
	static const char *const settings[] = {"save \"\"", NULL};
	struct server *s = NULL;
	const struct server_spec spec = {.volume = "v1", .settings = settings};
	if (docker_open(host, &b->e.d, err) < 0 ||
	    docker_server_new(&b->e.base, "redis", 7, &s, err) < 0)
		return -1;
	*ret = s;
	assert_string_equal(server_door(s), "172.18.0.33");
	assert_string_equal(server_peer(s), "172.18.0.32");
	return server_start(s, &spec, err) < 0 ? -1 : server_stop(s, 1000, err);
}

static void sweep(bool once)
{
	static struct fake_docker daemon;
	json_t *runtime = json_pack("{s:[s,s], s:i, s:{s:[s,s], s:I}}", "aliases", "redis", "cache",
				    "memory_bytes", 1048576, "health", "Test", "CMD-SHELL", "true",
				    "Interval", (json_int_t)30000000000);
	bool hit = true;
	unsigned n = 0;
	assert_non_null(runtime);
	fake_docker_start(&daemon, routes, COUNT(routes));
	while (hit) {
		struct box b;
		struct server *s = NULL;
		struct err err = ERR_INIT, why = ERR_INIT;
		box_init(&b, runtime);
		assert_in_range(++n, 1, MOST);
		if (once)
			fail_alloc_once_at(n);
		else
			fail_alloc_at(n);
		int rc = serve(&b, daemon.host, &s, &err);
		hit = fail_alloc_hit();
		fail_alloc_off();
		if (hit ? rc < 0 && err.code != ERR_NOMEM : rc < 0)
			fail_msg("at %u: %s", n, err.msg);
		if (hit && !once)
			assert_int_equal(rc, -1);
		server_free(s);
		assert_null(b.e.servers);
		if (b.e.d != NULL)
			assert_int_equal(docker_network_remove(&b.e, &why), 0);
		assert_null(b.e.network);
		assert_null(b.e.self_peer);
		docker_free(b.e.d);
	}
	fake_docker_stop(&daemon);
	json_decref(runtime);
	assert_true(n > 100);
}

static void server__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	json_malloc_t was_malloc;
	json_free_t was_free;
	json_get_alloc_funcs(&was_malloc, &was_free);
	json_set_alloc_funcs(malloc, free);
	sweep(false);
	json_set_alloc_funcs(was_malloc, was_free);
}

static void server__memory_runs_out_once__fails_or_does_without(void **state)
{
	(void)state;
	sweep(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(server__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(server__memory_runs_out_once__fails_or_does_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Volumes, network and containers of a sandbox, on a daemon that follows a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "stack/compose/engine_docker_box.h"
#include "tests/support/docker_case.h"

struct sandbox_case {
	struct docker_case daemon;
	struct engine_docker e;
	char names[8][40];
};

/* The script comes in between. */
static void case_begin(struct sandbox_case *c)
{
	*c = (struct sandbox_case){0};
	docker_case_begin(&c->daemon);
}

static char *text_of(struct sandbox_case *c, size_t i, const char *text)
{
	snprintf(c->names[i], sizeof c->names[i], "%s", text);
	return c->names[i];
}

static void case_open(struct sandbox_case *c)
{
	docker_case_open(&c->daemon);
	c->e.d = c->daemon.d;
	c->e.stack = text_of(c, 0, "hdms");
	c->e.run_id = text_of(c, 1, "20261123T020000Z-3f9c");
	c->e.purpose = text_of(c, 2, "drill");
	c->e.maker = text_of(c, 3, "host a b 1 2");
	c->e.marked = true;
	c->e.components[0] = (struct docker_component){.name = text_of(c, 4, "redis"),
						       .image = text_of(c, 5, "sha256:1234"),
						       .uid = 999,
						       .gid = 998};
	c->e.component_count = 1;
}

static void case_stop(struct sandbox_case *c)
{
	free(c->e.network);
	free(c->e.self_peer);
	docker_case_stop(&c->daemon);
}

static void case_failed(const struct sandbox_case *c, enum err_code code, const char *message,
			const char *hint)
{
	docker_case_failed(&c->daemon, code, message);
	assert_string_equal(c->daemon.err.hint, hint);
}

static void assert_request(const struct sandbox_case *c, size_t n, const char *line)
{
	const char *head = docker_case_request(&c->daemon, n);
	if (strncmp(head, line, strlen(line)) != 0)
		fail_msg("'%.*s', and not '%s'", (int)strcspn(head, "\r"), head, line);
}

/* ---- paths ---- */

static void path_check__all_kinds__only_plain_ones_pass(void **state)
{
	static const char *const good[] = {"/", "/data", "/var/lib/postgresql/18/docker", "/..a/.b",
					   "/data/"};
	static const char *const bad[] = {"", "data", "/a//b", "/a/../b", "/..", "/.", "/a/."};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct err err = ERR_INIT;
		if (docker_path_check(good[i], &err) < 0)
			fail_msg("%s", err.msg);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(docker_path_check(bad[i], &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
	}
}

static void assert_place(const char *mounts, const char *path, const char *target, const char *data)
{
	struct err err = ERR_INIT;
	char name[] = "postgres";
	struct docker_component c = {.name = name, .runtime = json_loads(mounts, 0, NULL)};
	CLEANUP(freep) char *at = NULL, *in = NULL;
	assert_non_null(c.runtime);
	if (docker_volume_place(&c, "v1", path, &at, &in, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(at, target);
	assert_string_equal(in, data);
	json_decref(c.runtime);
}

static void volume_place__mounts_of_production__nearest_one_above(void **state)
{
	(void)state;
	const char *const mounts =
	    "{\"mounts\":[{\"type\":\"volume\",\"destination\":\"/var/lib/postgresql\"},"
	    "{\"type\":\"bind\",\"destination\":\"/var/lib/postgresql/18\"},"
	    "{\"type\":\"tmpfs\",\"destination\":\"/var/lib/postgresql/18/docker\"},"
	    "{\"type\":\"volume\",\"destination\":\"/\"},"
	    "{\"type\":\"volume\",\"destination\":\"/var/lib/post\"}]}";
	assert_place(mounts, "/var/lib/postgresql/18/docker", "/var/lib/postgresql/18",
		     "/var/lib/postgresql/18/docker");
	assert_place(mounts, "/var/lib/postgresql/17/", "/var/lib/postgresql",
		     "/var/lib/postgresql/17");
	assert_place(mounts, "/var/lib/postgresql", "/var/lib/postgresql", "/var/lib/postgresql");
	assert_place(mounts, "/data", "/data", "/data");
	assert_place("{}", "/data", "/data", "/data");
	assert_place(mounts, NULL, "/lifeboat/v1", "/lifeboat/v1");
}

static void volume_place__paths_that_lie__corrupt(void **state)
{
	(void)state;
	static const char *const paths[] = {"data", "/", "/data/../etc", "///"};
	char name[] = "redis";
	struct docker_component c = {.name = name};
	CLEANUP(freep) char *at = NULL, *in = NULL;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct err err = ERR_INIT;
		char message[100];
		assert_int_equal(docker_volume_place(&c, "v1", paths[i], &at, &in, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		snprintf(message, sizeof message, "volume 'v1' can't be mounted at '%s'", paths[i]);
		assert_string_equal(err.msg, message);
	}
	c.runtime = json_pack("{s:[{s:s, s:s}]}", "mounts", "type", "volume", "destination",
			      "/data/../data");
	struct err err = ERR_INIT;
	assert_int_equal(docker_volume_place(&c, "v1", "/data/../data/x", &at, &in, &err), -1);
	json_decref(c.runtime);
	assert_null(at);
	assert_null(in);
}

/* ---- volumes ---- */

static const struct volume_spec redis_data = {.component = "redis", .path = "/data"};

static void volume_create__name_taken__refused_and_nothing_made(void **state)
{
	(void)state;
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, 200, "{\"Name\":\"v1\",\"Labels\":null}");
	case_open(&c);
	assert_int_equal(docker_volume_create(&c.e.base, "v1", &redis_data, &c.daemon.err), -1);
	case_stop(&c);
	case_failed(&c, ERR_EXISTS, "volume 'v1' exists",
		    "Choose another name; a volume that exists is never written into.");
	assert_string_equal(docker_case_request(&c.daemon, 2), "");
}

static void volume_create__daemon_hands_back_an_old_one__not_touched(void **state)
{
	(void)state;
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, 404, "{\"message\":\"get v1: no such volume\"}");
	docker_case_json(&c.daemon, 201,
			 "{\"Name\":\"v1\",\"Labels\":{\"org.lifeboat.nonce\":\"00\"}}");
	case_open(&c);
	assert_int_equal(docker_volume_create(&c.e.base, "v1", &redis_data, &c.daemon.err), -1);
	assert_null(docker_volume_find(&c.e, "v1"));
	case_stop(&c);
	case_failed(&c, ERR_EXISTS, "volume 'v1' exists",
		    "Choose another name; a volume that exists is never written into.");
	assert_request(&c, 2, "POST /v1.41/volumes/create ");
	assert_string_equal(docker_case_request(&c.daemon, 3), "");
}

static void volume_create__component_unknown__failed(void **state)
{
	(void)state;
	struct sandbox_case c;
	struct volume_spec spec = {.component = "postgres", .path = "/data"};
	case_begin(&c);
	case_open(&c);
	assert_int_equal(docker_volume_create(&c.e.base, "v1", &spec, &c.daemon.err), -1);
	assert_int_equal(c.daemon.err.code, ERR_FAILED);
	case_stop(&c);
}

static void volume_write__not_of_this_run__denied(void **state)
{
	(void)state;
	struct sandbox_case c;
	struct tree_writer *to = NULL;
	case_begin(&c);
	case_open(&c);
	assert_int_equal(docker_volume_write(&c.e.base, "v1", &to, &c.daemon.err), -1);
	assert_null(to);
	case_stop(&c);
	case_failed(&c, ERR_DENIED, "volume 'v1' was not made by this run: not written into", "");
}

static void remove_fails(const char *labels, const char *mark, enum err_code code,
			 const char *message, const char *hint)
{
	struct sandbox_case c;
	char body[400];
	case_begin(&c);
	snprintf(body, sizeof body, "{\"Name\":\"v1\",\"Labels\":%s}", labels);
	docker_case_json(&c.daemon, 200, body);
	if (mark != NULL)
		docker_case_json(&c.daemon, 200, "{\"Name\":\"lifeboat-run-r2\"}");
	case_open(&c);
	assert_int_equal(docker_volume_remove(&c.e.base, "v1", &c.daemon.err), -1);
	case_stop(&c);
	case_failed(&c, code, message, hint);
	if (mark != NULL)
		assert_request(&c, 2, mark);
	assert_string_equal(docker_case_request(&c.daemon, mark != NULL ? 3 : 2), "");
}

static void volume_remove__not_ours__denied(void **state)
{
	static const char *const labels[] = {
	    "null",
	    "{}",
	    "{\"com.docker.compose.project\":\"hdms\",\"com.docker.compose.volume\":\"v1\"}",
	    "{\"org.lifeboat.stack\":\"other\",\"org.lifeboat.kind\":\"volume\","
	    "\"org.lifeboat.run\":\"r1\"}",
	    "{\"org.lifeboat.stack\":\"hdms\",\"org.lifeboat.kind\":\"run\","
	    "\"org.lifeboat.run\":\"r1\"}",
	    "{\"org.lifeboat.stack\":\"hdms\",\"org.lifeboat.kind\":\"volume\","
	    "\"org.lifeboat.run\":\"../x\"}"};
	(void)state;
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
		remove_fails(labels[i], NULL, ERR_DENIED,
			     "volume 'v1' was not made here: not removed",
			     "If it is not needed, remove it with: docker volume rm v1");
}

static void volume_remove__of_another_run_at_work__locked(void **state)
{
	(void)state;
	remove_fails("{\"org.lifeboat.stack\":\"hdms\",\"org.lifeboat.kind\":\"volume\","
		     "\"org.lifeboat.run\":\"r2\"}",
		     "GET /v1.41/volumes/lifeboat-run-r2 ", ERR_LOCKED,
		     "volume 'v1' is of run r2, which is at work or was killed",
		     "What killed runs left behind is removed by: lifeboat prune");
}

#define OWN_VOLUME                                                                                 \
	"{\"Name\":\"v1\",\"Labels\":{\"org.lifeboat.stack\":\"hdms\","                            \
	"\"org.lifeboat.kind\":\"volume\",\"org.lifeboat.run\":\"20261123T020000Z-3f9c\"}}"

static void volume_remove__in_use__says_by_whom(void **state)
{
	(void)state;
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, 200, OWN_VOLUME);
	docker_case_json(&c.daemon, 409, "{\"message\":\"volume is in use\"}");
	docker_case_json(&c.daemon, 200, "[{\"Id\":\"c1\",\"Names\":[\"/web\"],\"Labels\":{}}]");
	case_open(&c);
	assert_int_equal(docker_volume_remove(&c.e.base, "v1", &c.daemon.err), -1);
	case_stop(&c);
	case_failed(&c, ERR_EXISTS, "volume 'v1' is in use by web: not removed",
		    "Remove what uses it first: docker rm web");
}

static void volume_remove__only_own_helper_has_it__both_go(void **state)
{
	(void)state;
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, 200, OWN_VOLUME);
	docker_case_json(&c.daemon, 409, "{\"message\":\"volume is in use\"}");
	docker_case_json(&c.daemon, 200,
			 "[{\"Id\":\"c1\",\"Names\":[\"/x\"],\"Labels\":{\"org.lifeboat.kind\":"
			 "\"helper\",\"org.lifeboat.run\":\"20261123T020000Z-3f9c\"}}]");
	docker_case_json(&c.daemon, 204, "");
	docker_case_json(&c.daemon, 204, "");
	case_open(&c);
	assert_int_equal(docker_volume_remove(&c.e.base, "v1", &c.daemon.err), 0);
	case_stop(&c);
	assert_request(&c, 4, "DELETE /v1.41/containers/c1?force=1&v=1 ");
	assert_request(&c, 5, "DELETE /v1.41/volumes/v1 ");
}

static void volume_remove__absent__fine(void **state)
{
	(void)state;
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, 404, "{\"message\":\"no such volume\"}");
	case_open(&c);
	assert_int_equal(docker_volume_remove(&c.e.base, "v1", &c.daemon.err), 0);
	case_stop(&c);
	assert_string_equal(docker_case_request(&c.daemon, 2), "");
}

/* ---- network ---- */

#define CHOSEN(subnet) "{\"Id\":\"n1\",\"IPAM\":{\"Config\":[{\"Subnet\":\"" subnet "\"}]}}"
#define OVERLAP        "{\"message\":\"Pool overlaps with other one on this address space\"}"

static void network_make__subnet_lost_to_another__asks_for_the_next(void **state)
{
	(void)state;
	struct sandbox_case c;
	CLEANUP(freep) char *one = NULL, *two = NULL;
	case_begin(&c);
	docker_case_json(&c.daemon, 201, "{\"Id\":\"n1\"}");
	docker_case_json(&c.daemon, 200, CHOSEN("172.18.0.0/16"));
	docker_case_json(&c.daemon, 204, "");
	docker_case_json(&c.daemon, 403, OVERLAP);
	docker_case_json(&c.daemon, 201, "{\"Id\":\"n2\"}");
	docker_case_json(&c.daemon, 200, CHOSEN("172.19.0.0/16"));
	docker_case_json(&c.daemon, 204, "");
	docker_case_json(&c.daemon, 201, "{\"Id\":\"n3\"}");
	case_open(&c);
	if (docker_network_make(&c.e, &c.daemon.err) < 0)
		fail_msg("%s", c.daemon.err.msg);
	assert_string_equal(c.e.network, "n3");
	assert_int_equal(docker_network_address(&c.e, &one, &c.daemon.err), 0);
	assert_int_equal(docker_network_address(&c.e, &two, &c.daemon.err), 0);
	assert_string_equal(one, "172.19.0.32");
	assert_string_equal(two, "172.19.0.33");
	case_stop(&c);
	assert_request(&c, 3, "DELETE /v1.41/networks/n1 ");
	assert_request(&c, 7, "DELETE /v1.41/networks/n2 ");
	assert_request(&c, 8, "POST /v1.41/networks/create ");
	assert_non_null(strstr(c.daemon.fake.body, "\"Internal\":true"));
	assert_non_null(strstr(c.daemon.fake.body, "\"Subnet\":\"172.19.0.0/16\""));
	assert_null(strstr(c.daemon.fake.body, "com.docker"));
}

static void network_fails(int status, const char *message, enum err_code code, const char *told,
			  const char *hint)
{
	struct sandbox_case c;
	case_begin(&c);
	docker_case_json(&c.daemon, status, message);
	case_open(&c);
	assert_int_equal(docker_network_make(&c.e, &c.daemon.err), -1);
	assert_null(c.e.network);
	case_stop(&c);
	case_failed(&c, code, told, hint);
}

static void network_make__refused__says_what_to_do(void **state)
{
	(void)state;
	network_fails(409, "{\"message\":\"network with name x already exists\"}", ERR_EXISTS,
		      "network 'lifeboat-20261123T020000Z-3f9c': network with name x already "
		      "exists (HTTP status 409)",
		      "It is not this run's own. Remove it, or start again.");
	network_fails(500,
		      "{\"message\":\"could not find an available, non-overlapping IPv4 address "
		      "pool among the defaults to assign to the network\"}",
		      ERR_FAILED,
		      "network 'lifeboat-20261123T020000Z-3f9c': could not find an available, "
		      "non-overlapping IPv4 address pool among the defaults to assign to the "
		      "network (HTTP status 500)",
		      "Docker has no free subnet. Remove networks that are not used (docker "
		      "network ls), or give the daemon more default-address-pools.");
}

static void network_make__odd_subnets__removed_again(void **state)
{
	static const char *const answers[] = {
	    CHOSEN("172.18.0.0/29"),  CHOSEN("172.18.0.0"), CHOSEN("172.18.0/16"),
	    CHOSEN("172.18.0.0/16x"), CHOSEN("fd00::/64"),  "{\"Id\":\"n1\",\"IPAM\":null}"};
	static const char *const told[] = {"its subnet 172.18.0.0/29 is too small for a sandbox",
					   "its subnet is '172.18.0.0'",
					   "its subnet is '172.18.0/16'",
					   "its subnet is '172.18.0.0/16x'",
					   "the daemon gave it no IPv4 subnet",
					   "the daemon gave it no IPv4 subnet"};
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct sandbox_case c;
		char message[200];
		case_begin(&c);
		docker_case_json(&c.daemon, 201, "{\"Id\":\"n1\"}");
		docker_case_json(&c.daemon, 200, answers[i]);
		docker_case_json(&c.daemon, 204, "");
		case_open(&c);
		assert_int_equal(docker_network_make(&c.e, &c.daemon.err), -1);
		assert_null(c.e.network);
		case_stop(&c);
		snprintf(message, sizeof message, "network 'lifeboat-20261123T020000Z-3f9c': %s",
			 told[i]);
		case_failed(&c, ERR_FAILED, message, "");
		assert_request(&c, 3, "DELETE /v1.41/networks/n1 ");
	}
}

static void network_address__small_subnet__ends_before_the_broadcast(void **state)
{
	(void)state;
	struct engine_docker e = {.subnet = 0x0a000000, .subnet_bits = 28};
	struct err err = ERR_INIT;
	char *at = NULL;
	unsigned count = 0;
	while (docker_network_address(&e, &at, &err) == 0) {
		char wanted[20];
		snprintf(wanted, sizeof wanted, "10.0.0.%u", 8 + count++);
		assert_string_equal(at, wanted);
		free(at);
		at = NULL;
	}
	assert_int_equal(count, 7);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "the sandbox's network has no address left");
}

/* ---- containers ---- */

static void container_spec__two_volumes__closed_box(void **state)
{
	(void)state;
	struct sandbox_case c;
	const char *const volumes[] = {"v1", "v2", NULL};
	json_t *spec = NULL;
	CLEANUP(freep) char *text = NULL;
	char v1[] = "v1", target[] = "/data", path[] = "/data/redis";
	case_begin(&c);
	case_open(&c);
	c.e.volumes[0] = (struct docker_volume){.name = v1, .target = target, .path = path};
	c.e.volume_count = 1;
	if (docker_container_spec(&c.e, "server", &c.e.components[0], volumes, &spec,
				  &c.daemon.err) < 0 ||
	    json_text(spec, false, &text, &c.daemon.err) < 0)
		fail_msg("%s", c.daemon.err.msg);
	assert_string_equal(
	    text, "{\"Labels\":{\"org.lifeboat.stack\":\"hdms\","
		  "\"org.lifeboat.run\":\"20261123T020000Z-3f9c\",\"org.lifeboat.kind\":\"server\","
		  "\"org.lifeboat.purpose\":\"drill\",\"org.lifeboat.maker\":\"host a b 1 2\","
		  "\"org.lifeboat.for\":\"redis\"},\"Image\":\"sha256:1234\",\"User\":\"999:998\","
		  "\"Healthcheck\":{\"Test\":[\"NONE\"]},\"HostConfig\":{\"NetworkMode\":\"none\","
		  "\"RestartPolicy\":{\"Name\":\"no\"},\"LogConfig\":{\"Type\":\"json-file\"},"
		  "\"SecurityOpt\":[\"no-new-privileges\"],\"Mounts\":[{\"Type\":\"volume\","
		  "\"Source\":\"v1\",\"Target\":\"/data\",\"VolumeOptions\":{\"NoCopy\":true}},"
		  "{\"Type\":\"volume\",\"Source\":\"v2\",\"Target\":\"/lifeboat/v2\","
		  "\"VolumeOptions\":{\"NoCopy\":true}}]}}");
	json_decref(spec);
	case_stop(&c);
}

static void server_new__image_without_the_program__absent(void **state)
{
	(void)state;
	struct sandbox_case c;
	struct server *s = NULL;
	case_begin(&c);
	docker_case_json(&c.daemon, 201, "{\"Id\":\"c1\"}");
	docker_case_json(&c.daemon, 200, "{\"Config\":{\"Env\":[\"PATH=/bin:/opt\"]}}");
	for (int i = 0; i < 6; i++)
		docker_case_json(&c.daemon, 404, "");
	docker_case_json(&c.daemon, 200, "{\"Config\":{\"Env\":null}}");
	docker_case_json(&c.daemon, 404, "{\"message\":\"no such file\"}");
	case_open(&c);
	assert_int_equal(docker_server_new(&c.e.base, "redis", 7, &s, &c.daemon.err), -1);
	assert_null(s);
	assert_null(c.e.servers);
	case_stop(&c);
	case_failed(&c, ERR_ABSENT,
		    "a place for redis: image sha256:1234 has no program 'redis-server'",
		    "Name another image with --image.");
	assert_request(&c, 3, "HEAD /v1.41/containers/c1/archive?path=%2Fbin%2Fredis-server ");
	assert_request(&c, 6, "HEAD /v1.41/containers/c1/archive?path=%2Fbin%2Fvalkey-server ");
}

/* ---- groups ---- */

static void groups_find__lists_of_an_image__those_of_the_user(void **state)
{
	(void)state;
	char passwd[] = "root:x:0:0:root:/root:/bin/sh\nshort:x\n\n"
			"postgres:x:999:999::/var/lib/postgresql:/bin/bash\n";
	char group[] = "root:x:0:\nssl-cert:x:101:postgres\nno number:x:a1:postgres\n"
		       "broken\nothers:x:102:postgresql,redis\nboth:x:103:redis,postgres\n";
	struct err err = ERR_INIT;
	CLEANUP(strlist_done) struct strlist found = {0};
	assert_int_equal(docker_groups_find(passwd, group, 999, &found, &err), 0);
	assert_int_equal(found.count, 2);
	assert_string_equal(found.items[0], "101");
	assert_string_equal(found.items[1], "103");
}

static void groups_find__user_without_a_name__none(void **state)
{
	(void)state;
	char passwd[] = "postgres:x:999:999::/:/bin/sh", group[] = "ssl-cert:x:101:postgres";
	struct err err = ERR_INIT;
	struct strlist found = {0};
	assert_int_equal(docker_groups_find(passwd, group, 70, &found, &err), 0);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(path_check__all_kinds__only_plain_ones_pass),
	    cmocka_unit_test(volume_place__mounts_of_production__nearest_one_above),
	    cmocka_unit_test(volume_place__paths_that_lie__corrupt),
	    cmocka_unit_test(volume_create__name_taken__refused_and_nothing_made),
	    cmocka_unit_test(volume_create__daemon_hands_back_an_old_one__not_touched),
	    cmocka_unit_test(volume_create__component_unknown__failed),
	    cmocka_unit_test(volume_write__not_of_this_run__denied),
	    cmocka_unit_test(volume_remove__not_ours__denied),
	    cmocka_unit_test(volume_remove__of_another_run_at_work__locked),
	    cmocka_unit_test(volume_remove__in_use__says_by_whom),
	    cmocka_unit_test(volume_remove__only_own_helper_has_it__both_go),
	    cmocka_unit_test(volume_remove__absent__fine),
	    cmocka_unit_test(network_make__subnet_lost_to_another__asks_for_the_next),
	    cmocka_unit_test(network_make__refused__says_what_to_do),
	    cmocka_unit_test(network_make__odd_subnets__removed_again),
	    cmocka_unit_test(network_address__small_subnet__ends_before_the_broadcast),
	    cmocka_unit_test(container_spec__two_volumes__closed_box),
	    cmocka_unit_test(server_new__image_without_the_program__absent),
	    cmocka_unit_test(groups_find__lists_of_an_image__those_of_the_user),
	    cmocka_unit_test(groups_find__user_without_a_name__none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

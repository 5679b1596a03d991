/* The docker engine before a daemon of few answers: what it makes of production. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "stack/engine/engine.h"
#include "stack/engine/engine_hold.h"
#include "tests/support/fake_docker.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

#define LISTED(id, name, project, service, state, more)                                            \
	"{\"Id\":\"" id "\",\"Names\":[\"/" name                                                   \
	"\"],\"Image\":\"img:1\",\"ImageID\":\"sha256:i" id "\",\"State\":\"" state                \
	"\",\"Labels\":{\"com.docker.compose.project\":\"" project                                 \
	"\",\"com.docker.compose.service\":\"" service "\"" more "},\"Mounts\":["                  \
	"{\"Type\":\"volume\",\"Name\":\"" project "_" service                                     \
	"_data\",\"Destination\":\"/data\"}]}"

#define OF_PROJECT "GET /containers/json?filters={\"label\":[\"com.docker.compose.project=hdms\"]}"
#define OF_ANY     "GET /containers/json?filters={\"label\":[\"com.docker.compose.project\"]}"

#define PG LISTED("aa11", "hdms_postgres_1", "hdms", "postgres", "running", "")

static const char inspected[] =
    "{\"Id\":\"aa11\",\"Name\":\"/hdms_postgres_1\",\"Image\":\"sha256:iaa11\","
    "\"State\":{\"Running\":true,\"Status\":\"running\"},"
    "\"HostConfig\":{\"NetworkMode\":\"hdms_default\",\"Memory\":1048576,\"ShmSize\":0},"
    "\"Config\":{\"Hostname\":\"aa11\",\"Image\":\"postgres:15\",\"User\":\"\",\"Env\":["
    "\"POSTGRES_PASSWORD=tulip-bus\",\"PGDATA=/var/lib/postgresql/data/inner\","
    "\"PATH=/usr/bin\",\"PGSERVICE=x\"],\"Labels\":{\"com.docker.compose.service\":\"postgres\"},"
    "\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"PGPASSWORD=tulip-bus psql -c 'select 1'\"],"
    "\"Interval\":5000000000}},"
    "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"hdms_pgdata\",\"Source\":\"/nowhere/_data\","
    "\"Destination\":\"/var/lib/postgresql/data\"},"
    "{\"Type\":\"volume\",\"Name\":\"hdms_wal\",\"Destination\":\"/var/lib/postgresql/data/wal\"},"
    "{\"Type\":\"bind\",\"Source\":\"/srv/conf\",\"Destination\":\"/etc/postgresql\"}],"
    "\"NetworkSettings\":{\"Networks\":{\"hdms_default\":{\"IPAddress\":\"172.30.0.5\","
    "\"Aliases\":[\"postgres\",\"db\",\"aa11\"]}}}}";

struct given {
	struct fake_docker daemon;
	struct engine *engine;
	struct err err;
};

static void open_with(struct given *g, const struct fake_route *routes, size_t count,
		      const char *client, const char *image)
{
	memset(&g->err, 0, sizeof g->err);
	fake_docker_start(&g->daemon, routes, count);
	const struct engine_service services[] = {{.component = "postgres", .image = image}};
	const struct engine_opts opts = {.kind = "docker",
					 .stack = "hdms",
					 .run_id = "20261123T020000Z-3f9c",
					 .purpose = "drill",
					 .docker_host = g->daemon.host,
					 .client = client,
					 .services = services,
					 .service_count = 1};
	if (engine_open(&opts, &g->engine, &g->err) < 0)
		fail_msg("%s", g->err.msg);
}

static void done(struct given *g)
{
	engine_free(g->engine);
	fake_docker_stop(&g->daemon);
}

#define OPEN(g, routes) open_with(g, routes, COUNT(routes), "auto", NULL)

static void assert_err(const struct err *err, enum err_code code, const char *msg, const char *hint)
{
	assert_int_equal(err->code, code);
	if (strstr(err->msg, msg) == NULL)
		fail_msg("'%s' is not in '%s'", msg, err->msg);
	if (hint != NULL && strstr(err->hint, hint) == NULL)
		fail_msg("'%s' is not in '%s'", hint, err->hint);
}

/* ---- which container? ---- */

static void engine_describe__no_such_project__names_those_that_are_there(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[]", NULL, 0},
	    {OF_ANY, 200,
	     "[" LISTED("b1", "a_db_1", "aqua", "db", "running", "") "," LISTED(
		 "b2", "a_web_1", "aqua", "web", "running", "") "," LISTED("b3", "z_db_1", "zoo",
									   "db", "exited", "") "]",
	     NULL, 0}};
	struct given g;
	json_t *j = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_describe(g.engine, "postgres", &j, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT,
		   "there is no Compose project 'hdms'; there are: 'aqua', 'zoo'",
		   "Set [stack] project");
	done(&g);
}

static void engine_describe__no_project_at_all__says_so(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {{OF_PROJECT, 200, "[]", NULL, 0},
						   {OF_ANY, 200, "[]", NULL, 0}};
	struct given g;
	json_t *j = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_describe(g.engine, "postgres", &j, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT, "no Compose project 'hdms', and no other",
		   "docker compose up");
	done(&g);
}

static void engine_describe__no_such_service__names_the_services(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200,
	     "[" LISTED("b1", "hdms_db_1", "hdms", "db", "running", "") "," LISTED(
		 "b2", "hdms_postgres_run_1", "hdms", "postgres", "running",
		 ",\"com.docker.compose.oneoff\":\"True\"") "," LISTED("b3", "lifeboat-x", "hdms",
								       "postgres", "running",
								       ",\"org.lifeboat.kind\":"
								       "\"server\"") "]",
	     NULL, 0}};
	struct given g;
	json_t *j = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_describe(g.engine, "postgres", &j, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT,
		   "Compose project 'hdms' has no service 'postgres'; it has: 'db'",
		   "Set [postgres] service");
	done(&g);
}

static void engine_describe__several_replicas__refused(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200,
	     "[" PG "," LISTED("aa12", "hdms_postgres_2", "hdms", "postgres", "running", "") "]",
	     NULL, 0}};
	struct given g;
	json_t *j = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_describe(g.engine, "postgres", &j, &g.err), -1);
	assert_err(&g.err, ERR_FAILED,
		   "service 'postgres' runs in several containers: 'hdms_postgres_1' and "
		   "'hdms_postgres_2'",
		   "scale");
	done(&g);
}

static void engine_describe__stopped__says_how_to_start_it(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200,
	     "[" LISTED("aa11", "hdms_postgres_1", "hdms", "postgres", "exited", "") "]", NULL, 0}};
	struct given g;
	json_t *j = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_describe(g.engine, "postgres", &j, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT,
		   "container 'hdms_postgres_1' of service 'postgres' does not run: it is exited",
		   "docker start hdms_postgres_1");
	done(&g);
}

static void engine_describe__container_made_anew__asks_again(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200,
	     "[" LISTED("dead", "hdms_postgres_1", "hdms", "postgres", "running", "") "]", NULL, 1},
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0}};
	struct given g;
	char *volume = NULL;
	OPEN(&g, routes);
	bool first = engine_volume_of(g.engine, "postgres", "/x", "pg", &volume, &g.err) == 0;
	free(volume);
	volume = NULL;
	assert_false(first && g.err.code != ERR_NONE);
	assert_int_equal(engine_volume_of(g.engine, "postgres", "/var/lib/postgresql/data", "pg",
					  &volume, &g.err),
			 0);
	assert_string_equal(volume, "hdms_pgdata");
	free(volume);
	done(&g);
}

/* ---- how it runs ---- */

static void engine_describe__secrets__stay_out(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"GET /containers/aa11/top?ps_args=-eo pid,uid,gid,comm", 200,
	     "{\"Titles\":[\"PID\",\"UID\",\"GID\",\"COMMAND\"],\"Processes\":[[\"7\",\"0\",\"0\","
	     "\"bash\"],[\"8\",\"70\",\"71\",\"postgres\"]]}",
	     NULL, 0},
	    {"GET /images/sha256:iaa11/json", 200,
	     "{\"Id\":\"sha256:iaa11\",\"RepoDigests\":[\"postgres@sha256:d1\"],\"Os\":\"linux\","
	     "\"Architecture\":\"arm64\",\"Variant\":\"v8\"}",
	     NULL, 0}};
	struct given g;
	json_t *j = NULL;
	char *text;
	OPEN(&g, routes);
	if (engine_describe(g.engine, "postgres", &j, &g.err) < 0)
		fail_msg("%s", g.err.msg);
	assert_int_equal(json_text(j, false, &text, &g.err), 0);
	assert_null(strstr(text, "tulip-bus"));
	assert_null(strstr(text, "Env"));
	assert_null(strstr(text, "/srv/conf"));
	assert_int_equal(json_u64_or(j, "uid", 0), 70);
	assert_int_equal(json_u64_or(j, "gid", 0), 71);
	assert_string_equal(json_str_or(j, "image", ""), "postgres:15");
	assert_string_equal(json_str_or(j, "image_id", ""), "sha256:iaa11");
	assert_string_equal(json_str_or(j, "platform", ""), "linux/arm64/v8");
	assert_non_null(
	    strstr(text, "\"aliases\":[\"postgres\",\"hdms_postgres_1\",\"aa11\",\"db\"]"));
	assert_non_null(strstr(text, "\"health\":{\"Interval\":5000000000}"));
	assert_int_equal(json_u64_or(j, "memory_bytes", 0), 1048576);
	free(text);
	json_decref(j);
	done(&g);
}

/* ---- names and addresses ---- */

static void engine_address__of_host_program__the_containers_own(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"GET /info", 200, "{\"SecurityOptions\":[\"name=seccomp\"]}", NULL, 0}};
	static const struct {
		const char *host, *address;
	} cases[] = {{"postgres", "172.30.0.5"},
		     {"DB", "172.30.0.5"},
		     {"hdms_postgres_1", "172.30.0.5"},
		     {"db.hdms_default", "172.30.0.5"},
		     {"db.other_default", NULL},
		     {"localhost", NULL},
		     {"10.1.2.3", NULL},
		     {"::1", NULL},
		     {"/run/postgresql", NULL},
		     {"db.example.com", NULL}};
	struct given g;
	OPEN(&g, routes);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *address = NULL;
		if (engine_address(g.engine, "postgres", cases[i].host, &address, &g.err) < 0)
			fail_msg("%s: %s", cases[i].host, g.err.msg);
		if (cases[i].address == NULL)
			assert_null(address);
		else
			assert_string_equal(address, cases[i].address);
		free(address);
	}
	done(&g);
}

static void engine_address__rootless__says_what_to_do(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"GET /info", 200, "{\"SecurityOptions\":[\"name=rootless\"]}", NULL, 0}};
	struct given g;
	char *address = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_address(g.engine, "postgres", "postgres", &address, &g.err), -1);
	assert_err(&g.err, ERR_UNREACHABLE, "a rootless Docker keeps its networks to itself",
		   "as a container beside the stack");
	done(&g);
}

static void engine_address__no_such_service__only_its_own_name_is_an_error(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {{OF_PROJECT, 200, "[]", NULL, 0},
						   {OF_ANY, 200, "[]", NULL, 0}};
	struct given g;
	char *address = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_address(g.engine, "postgres", "db.example.com", &address, &g.err),
			 0);
	assert_null(address);
	assert_int_equal(engine_address(g.engine, "postgres", "postgres", &address, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT, "there is no Compose project 'hdms'", NULL);
	done(&g);
}

/* ---- volumes ---- */

static void engine_volume_of__path__the_longest_mount_counts(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"GET /volumes/hdms_conf", 200, "{\"Name\":\"hdms_conf\"}", NULL, 0}};
	static const struct {
		const char *path, *configured, *volume;
	} cases[] = {{"/var/lib/postgresql/data", "x", "hdms_pgdata"},
		     {"/var/lib/postgresql/data/inner", "x", "hdms_pgdata"},
		     {"/var/lib/postgresql/data/wal/1", "x", "hdms_wal"},
		     {"/var/lib/postgresql/database", "x", "x"},
		     {"/etc/postgresql/15", "conf", "hdms_conf"},
		     {"/", "other", "other"}};
	struct given g;
	OPEN(&g, routes);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *volume = NULL;
		if (engine_volume_of(g.engine, "postgres", cases[i].path, cases[i].configured,
				     &volume, &g.err) < 0)
			fail_msg("%s: %s", cases[i].path, g.err.msg);
		assert_string_equal(volume, cases[i].volume);
		free(volume);
	}
	done(&g);
}

static void engine_volume_of__plain__as_compose_calls_it(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /volumes/hdms_media", 200, "{}", NULL, 0},
	    {"GET /volumes/exact", 200, "{}", NULL, 0},
	    /* Both are there, and the project mounts the second. */
	    {"GET /volumes/postgres_data", 200, "{}", NULL, 0},
	    {"GET /volumes/hdms_postgres_data", 200, "{}", NULL, 0}};
	struct given g;
	char *volume = NULL;
	OPEN(&g, routes);
	static const char *const cases[][2] = {
	    {"media", "hdms_media"}, {"exact", "exact"}, {"postgres_data", "hdms_postgres_data"}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
		    engine_volume_of(g.engine, NULL, NULL, cases[i][0], &volume, &g.err), 0);
		assert_string_equal(volume, cases[i][1]);
		free(volume);
	}
	assert_int_equal(engine_volume_of(g.engine, NULL, NULL, "none", &volume, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT, "there is no volume 'none', and no 'hdms_none'",
		   "docker volume ls");
	assert_int_equal(engine_volume_of(g.engine, NULL, NULL, "../../info", &volume, &g.err), -1);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "GET /volumes/.."), 0);
}

/* ---- images ---- */

static void engine_adopt__image_not_here__names_the_digest(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {"GET /images/postgres:15/json", 200, "{\"Id\":\"sha256:other\"}", NULL, 0}};
	struct given g;
	OPEN(&g, routes);
	json_t *runtime =
	    json_pack("{s:s, s:s, s:s, s:[s]}", "engine", "docker", "image", "postgres:15",
		      "image_id", "sha256:gone", "image_digests", "postgres@sha256:d1");
	assert_int_equal(engine_adopt(g.engine, "postgres", runtime, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT,
		   "image 'postgres:15' of 'postgres' is not here (postgres@sha256:d1); what has "
		   "this name now is another one",
		   "docker pull postgres@sha256:d1. Or restore on another one: --image "
		   "postgres=postgres:15");
	json_object_set_new(runtime, "image_id", json_string("../../../containers/x"));
	assert_int_equal(engine_adopt(g.engine, "postgres", runtime, &g.err), -1);
	json_decref(runtime);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "GET /images/.."), 0);
	assert_int_equal(fake_docker_asked(&g.daemon, "GET /containers"), 0);
}

static void engine_adopt__digest_here__is_taken(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {"GET /images/postgres@sha256:d1/json", 200, "{\"Id\":\"sha256:pulled\"}", NULL, 0}};
	struct given g;
	OPEN(&g, routes);
	json_t *runtime =
	    json_pack("{s:s, s:s, s:s, s:[s]}", "engine", "docker", "image", "postgres:15",
		      "image_id", "sha256:gone", "image_digests", "postgres@sha256:d1");
	if (engine_adopt(g.engine, "postgres", runtime, &g.err) < 0)
		fail_msg("%s", g.err.msg);
	json_decref(runtime);
	done(&g);
}

static void engine_adopt__image_of_the_user__not_here(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {{"GET /x", 200, "", NULL, 0}};
	struct given g;
	open_with(&g, routes, COUNT(routes), "auto", "postgres:17");
	json_t *runtime = json_pack("{s:s, s:s}", "engine", "docker", "image_id", "sha256:i");
	assert_int_equal(engine_adopt(g.engine, "postgres", runtime, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT,
		   "image 'postgres:17' is not here, which 'postgres' is to be restored with",
		   "docker pull postgres:17");
	json_decref(runtime);
	done(&g);
}

/* ---- tools ---- */

static void engine_tool_find__exec_refused__denied_or_the_hosts(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"POST /containers/aa11/exec", 403, "{\"message\":\"exec is not allowed\"}", NULL, 0}};
	struct given g;
	char *where = NULL;
	const struct tool t = {.component = "postgres", .major = 99, .name = "pg_dump"};
	open_with(&g, routes, COUNT(routes), "exec", NULL);
	assert_int_equal(engine_tool_find(g.engine, &t, &where, &g.err), -1);
	assert_err(&g.err, ERR_DENIED, "programs may not be run in 'hdms_postgres_1'",
		   "set [postgres] client to host");
	done(&g);
	/* There is no PostgreSQL 99 on this machine either. */
	open_with(&g, routes, COUNT(routes), "auto", NULL);
	assert_int_equal(engine_tool_find(g.engine, &t, &where, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT, "pg_dump of PostgreSQL 99 is not installed",
		   "Install postgresql-client-99");
	assert_non_null(strstr(g.err.msg, "programs may not be run in 'hdms_postgres_1'"));
	done(&g);
}

static void engine_tool_find__wrapper_of_debian__versioned_path_is_preferred(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" PG "]", NULL, 0},
	    {"GET /containers/aa11/json", 200, inspected, NULL, 0},
	    {"POST /containers/aa11/exec", 201, "{\"Id\":\"e1\"}", NULL, 0},
	    /* {"name":"pg_dump","size":9,"mode":493} */
	    {"HEAD /containers/aa11/archive?path=/usr/lib/postgresql/15/bin/pg_dump", 200, NULL,
	     "X-Docker-Container-Path-Stat: "
	     "eyJuYW1lIjoicGdfZHVtcCIsInNpemUiOjksIm1vZGUiOjQ5MywibXRpbWUiOiIyMDI2LTExLTIzVDAwOjAw"
	     "OjAwWiIsImxpbmtUYXJnZXQiOiIifQ==",
	     0}};
	struct given g;
	char *where = NULL;
	const struct tool t = {.component = "postgres", .major = 15, .name = "pg_dump"};
	open_with(&g, routes, COUNT(routes), "exec", NULL);
	if (engine_tool_find(g.engine, &t, &where, &g.err) < 0)
		fail_msg("%s", g.err.msg);
	assert_string_equal(where, "/usr/lib/postgresql/15/bin/pg_dump");
	free(where);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "HEAD "), 1);
}

static void engine_tool_run__certificate_of_the_client__not_in_the_container(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {{OF_PROJECT, 200, "[" PG "]", NULL, 0}};
	struct given g;
	const char *const env[] = {"PGSSLCERT=/etc/ssl/me.pem", NULL};
	const struct tool t = {
	    .component = "postgres", .major = 15, .name = "pg_dump", .env = env, .idle_ms = -1};
	open_with(&g, routes, COUNT(routes), "exec", NULL);
	assert_int_equal(engine_tool_run(g.engine, &t, NULL, deadline_in(1000), &g.err), -1);
	assert_err(&g.err, ERR_CONFIG, "PGSSLCERT names a file", "Set [postgres] client to host");
	assert_null(strstr(g.err.msg, "me.pem"));
	done(&g);
}

/* ---- services held still ---- */

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Where one request stands in the log; a failure without it. */
static const char *asked_at(const struct given *g, const char *request)
{
	const char *at = strstr(g->daemon.log, request);
	if (at == NULL)
		fail_msg("'%s' was not asked", request);
	return at;
}

static void engine_service_hold__pause__mark_first_and_always_undone(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200,
	     "[" LISTED(CONTAINER, "hdms_web_1", "hdms", "web", "running", "") "," LISTED(
		 "aa13", "hdms_web_2", "hdms", "web", "paused", "") "," PG "]",
	     NULL, 0},
	    {"POST /volumes/create", 201, FAKE_ECHO, NULL, 0},
	    {"POST /containers/" CONTAINER "/pause", 204, NULL, NULL, 0},
	    {"POST /containers/" CONTAINER "/unpause", 204, NULL, NULL, 0},
	    {"GET /containers/" CONTAINER "/json", 200,
	     "{\"State\":{\"Running\":true,\"Paused\":true}}", NULL, 0},
	    {"DELETE /volumes/lifeboat-hold-20261123T020000Z-3f9c-1", 204, NULL, NULL, 0}};
	struct given g;
	struct hold *h = NULL;
	OPEN(&g, routes);
	if (engine_service_hold(g.engine, "web", HOLD_PAUSE, &h, &g.err) < 0)
		fail_msg("%s", g.err.msg);
	hold_free(h);
	done(&g);
	const char *mark = asked_at(&g, "POST /volumes/create");
	const char *pause = asked_at(&g, "POST /containers/" CONTAINER "/pause");
	const char *unpause = asked_at(&g, "POST /containers/" CONTAINER "/unpause");
	const char *unmark = asked_at(&g, "DELETE /volumes/lifeboat-hold-");
	assert_true(mark < pause && pause < unpause && unpause < unmark);
	assert_non_null(strstr(mark, "\"org.lifeboat.for\":\"" CONTAINER "\""));
	/* What was paused already stays so. */
	assert_int_equal(fake_docker_asked(&g.daemon, "POST /containers/aa13"), 0);
}

static void engine_service_hold__stop_fails__nothing_stays_held(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" LISTED(CONTAINER, "hdms_web_1", "hdms", "web", "running", "") "]",
	     NULL, 0},
	    {"POST /volumes/create", 201, FAKE_ECHO, NULL, 0},
	    {"POST /containers/" CONTAINER "/stop", 500, "{\"message\":\"no way\"}", NULL, 0},
	    {"POST /containers/" CONTAINER "/start", 204, NULL, NULL, 0},
	    /* It stops all the same, a moment later. */
	    {"GET /containers/" CONTAINER "/json", 200, "{\"State\":{\"Running\":true}}", NULL, 3},
	    {"GET /containers/" CONTAINER "/json", 200, "{\"State\":{\"Running\":false}}", NULL, 0},
	    {"DELETE /volumes/lifeboat-hold-", 204, NULL, NULL, 0}};
	struct given g;
	struct hold *h = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_service_hold(g.engine, "web", HOLD_STOP, &h, &g.err), -1);
	assert_err(&g.err, ERR_FAILED, "stop of container 'hdms_web_1': no way", NULL);
	assert_null(h);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "POST /containers/" CONTAINER "/start"), 1);
	assert_int_equal(fake_docker_asked(&g.daemon, "DELETE /volumes/lifeboat-hold-"), 1);
}

static void hold_release__does_not_go_on__keeps_the_mark_and_says_how(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {OF_PROJECT, 200, "[" LISTED(CONTAINER, "hdms_web_1", "hdms", "web", "running", "") "]",
	     NULL, 0},
	    {"POST /volumes/create", 201, FAKE_ECHO, NULL, 0},
	    {"POST /containers/" CONTAINER "/stop", 204, NULL, NULL, 0},
	    {"POST /containers/" CONTAINER "/start", 500, "{\"message\":\"port is taken\"}", NULL,
	     0},
	    {"GET /containers/" CONTAINER "/json", 200, "{\"State\":{\"Running\":false}}", NULL,
	     0}};
	struct given g;
	struct hold *h = NULL;
	OPEN(&g, routes);
	if (engine_service_hold(g.engine, "web", HOLD_STOP, &h, &g.err) < 0)
		fail_msg("%s", g.err.msg);
	assert_int_equal(hold_release(h, &g.err), -1);
	assert_err(&g.err, ERR_FAILED, "container 'hdms_web_1' does not go on: port is taken",
		   "docker start hdms_web_1");
	hold_free(h);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "DELETE "), 0);
}

static void engine_service_hold__no_such_service__absent(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {{OF_PROJECT, 200, "[" PG "]", NULL, 0}};
	struct given g;
	struct hold *h = NULL;
	OPEN(&g, routes);
	assert_int_equal(engine_service_hold(g.engine, "web", HOLD_NOTHING, &h, &g.err), -1);
	assert_err(&g.err, ERR_ABSENT, "Compose project 'hdms' has no service 'web'",
		   "docker compose -p hdms ps --services");
	assert_int_equal(engine_service_hold(g.engine, "postgres", HOLD_NOTHING, &h, &g.err), 0);
	hold_free(h);
	done(&g);
	assert_int_equal(fake_docker_asked(&g.daemon, "POST "), 0);
}

static void engine_service_hold__local__has_none(void **state)
{
	(void)state;
	struct engine *e;
	struct hold *h = NULL;
	struct err err = ERR_INIT;
	const struct engine_opts opts = {
	    .kind = "local", .stack = "hdms", .volumes_dir = "/nonexistent", .run_as = "nobody"};
	assert_int_equal(engine_open(&opts, &e, &err), 0);
	assert_int_equal(engine_service_hold(e, "web", HOLD_PAUSE, &h, &err), -1);
	assert_err(&err, ERR_CONFIG, "service 'web' can't be held still: this engine has none",
		   "[stack] engine to docker");
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(engine_describe__no_such_project__names_those_that_are_there),
	    cmocka_unit_test(engine_describe__no_project_at_all__says_so),
	    cmocka_unit_test(engine_describe__no_such_service__names_the_services),
	    cmocka_unit_test(engine_describe__several_replicas__refused),
	    cmocka_unit_test(engine_describe__stopped__says_how_to_start_it),
	    cmocka_unit_test(engine_describe__container_made_anew__asks_again),
	    cmocka_unit_test(engine_describe__secrets__stay_out),
	    cmocka_unit_test(engine_address__of_host_program__the_containers_own),
	    cmocka_unit_test(engine_address__rootless__says_what_to_do),
	    cmocka_unit_test(engine_address__no_such_service__only_its_own_name_is_an_error),
	    cmocka_unit_test(engine_volume_of__path__the_longest_mount_counts),
	    cmocka_unit_test(engine_volume_of__plain__as_compose_calls_it),
	    cmocka_unit_test(engine_adopt__image_not_here__names_the_digest),
	    cmocka_unit_test(engine_adopt__digest_here__is_taken),
	    cmocka_unit_test(engine_adopt__image_of_the_user__not_here),
	    cmocka_unit_test(engine_tool_find__exec_refused__denied_or_the_hosts),
	    cmocka_unit_test(engine_tool_find__wrapper_of_debian__versioned_path_is_preferred),
	    cmocka_unit_test(engine_tool_run__certificate_of_the_client__not_in_the_container),
	    cmocka_unit_test(engine_service_hold__pause__mark_first_and_always_undone),
	    cmocka_unit_test(engine_service_hold__stop_fails__nothing_stays_held),
	    cmocka_unit_test(hold_release__does_not_go_on__keeps_the_mark_and_says_how),
	    cmocka_unit_test(engine_service_hold__no_such_service__absent),
	    cmocka_unit_test(engine_service_hold__local__has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

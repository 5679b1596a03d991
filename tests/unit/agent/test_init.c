#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/init/init.h"
#include "base/file.h"
#include "tests/support/fake_docker.h"
#include "tests/support/temp_dir.h"

static struct temp_dir dir;

static void write_file(const char *name, const char *text)
{
	temp_dir_write(&dir, name, text, strlen(text));
}

static void begin(struct init *i, const char *project)
{
	struct err err = ERR_INIT;
	*i = (struct init){0};
	assert_int_equal(str_dup(dir.path, &i->folder, &err), 0);
	if (project != NULL)
		assert_int_equal(str_dup(project, &i->project, &err), 0);
}

static const char *argv = "null"; /* the container's command */

/* Mounts as Docker lists them; `env` is "NAME=value", or several with quotes between them. */
static void note(struct init *i, const char *service, const char *image, const char *mounts,
		 const char *env)
{
	struct err err = ERR_INIT;
	char text[4096];
	json_t *listed = NULL, *inspected = NULL;
	int len = snprintf(text, sizeof text,
			   "{\"Image\":\"%s\",\"Labels\":{\"com.docker.compose.service\":\"%s\"},"
			   "\"Mounts\":[%s]}",
			   image, service, mounts);
	assert_int_equal(json_parse(text, (size_t)len, &listed, &err), 0);
	const char *entrypoint = strcmp(service, "agent") == 0  ? "sh\",\"/usr/lib/lifeboat/x"
				 : strcmp(service, "crew") == 0 ? "/opt/lifeboat-crew/run"
								: "x";
	len = snprintf(text, sizeof text,
		       "{\"Config\":{\"Env\":[\"%s\"],\"Cmd\":%s,\"Entrypoint\":[\"%s\"]}}", env,
		       argv, entrypoint);
	assert_int_equal(json_parse(text, (size_t)len, &inspected, &err), 0);
	if (init_container(i, listed, inspected, &err) < 0)
		fail_msg("%s", err.msg);
	json_decref(listed);
	json_decref(inspected);
}

static void has_text(struct init *i, bool absolute, const char *const *lines)
{
	struct err err = ERR_INIT;
	struct buf text;
	buf_init(&text, 1 << 16);
	assert_int_equal(init_text(i, absolute, &text, &err), 0);
	for (; *lines != NULL; lines++)
		if (strstr(buf_text(&text), *lines) == NULL)
			fail_msg("no line '%s' in\n%s", *lines, buf_text(&text));
	buf_done(&text);
}

static void kind_of__image__is_the_server_in_it(void **state)
{
	(void)state;
	static const struct {
		const char *image;
		enum init_kind kind;
	} cases[] = {
	    {"postgres:17", INIT_POSTGRES},
	    {"${POSTGRES_IMAGE:-postgres:17}", INIT_POSTGRES},
	    {"timescale/timescaledb:latest-pg16", INIT_POSTGRES},
	    {"edoburu/pgbouncer", INIT_PGBOUNCER},
	    {"valkey/valkey:8", INIT_REDIS},
	    {"quay.io/prometheuscommunity/postgres-exporter", INIT_KINDS},
	    {"dpage/pgadmin4", INIT_KINDS},
	    {"nginx", INIT_KINDS},
	    {"", INIT_KINDS},
	};
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++)
		assert_int_equal(init_kind_of(cases[n].image), cases[n].kind);
}

static void image__in_a_project__is_known_by_what_it_is(void **state)
{
	(void)state;
	static const struct {
		const char *image, *variable;
		enum init_kind kind;
	} cases[] = {
	    /* Compose calls what it builds after the project, here "redis". */
	    {"redis-web", "A=1", INIT_KINDS},
	    {"redis-db", "PG_MAJOR=17", INIT_POSTGRES},
	    {"redis_cache", "REDIS_VERSION=7", INIT_REDIS},
	    {"registry:5000/redis-postgres:1", "A=1", INIT_POSTGRES},
	    {"sha256:0123", "A=1", INIT_PGBOUNCER}, /* by the service's name */
	};
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		struct init i;
		begin(&i, "redis");
		note(&i, cases[n].kind == INIT_PGBOUNCER ? "pgbouncer" : "svc", cases[n].image, "",
		     cases[n].variable);
		for (size_t k = 0; k < INIT_KINDS; k++)
			assert_int_equal(i.parts[k].service != NULL, k == cases[n].kind);
		init_done(&i);
	}
}

static void containers__of_a_project__become_sections(void **state)
{
	(void)state;
	struct init i;
	begin(&i, "desk");
	note(&i, "tool", "postgres:17",
	     "{\"Type\":\"volume\",\"Name\":\"0123456789abcdef0123456789abcdef"
	     "0123456789abcdef0123456789abcdef\"}",
	     "A=1");
	note(&i, "db", "postgres:17", "{\"Type\":\"volume\",\"Name\":\"desk_pg\"}",
	     "POSTGRES_USER=chief o'x");
	note(&i, "tool", "postgres:17", "", "A=1");
	note(&i, "db", "postgres:17", "{\"Type\":\"volume\",\"Name\":\"desk_pg\"}", "A=1");
	note(&i, "redis", "redis:7", "", "A=1");
	note(&i, "web", "nginx",
	     "{\"Type\":\"volume\",\"Name\":\"desk_media\"},"
	     "{\"Type\":\"volume\",\"Name\":\"desk_a.b\"},"
	     "{\"Type\":\"volume\",\"Name\":\"desk_x\\n[hook]\"},"
	     "{\"Type\":\"bind\",\"Source\":\"/srv\"},"
	     "{\"Type\":\"volume\",\"Name\":\"0123456789abcdef0123456789abcdef"
	     "0123456789abcdef0123456789abcdef\"},"
	     "{\"Type\":\"volume\",\"Name\":\"shared\"}",
	     "A=1");
	note(&i, "agent", "desk-agent", "{\"Type\":\"volume\",\"Name\":\"desk_backups\"}",
	     "LIFEBOAT=1");
	note(&i, "x\\n[hook]", "redis", "", "A=1");
	assert_null(i.parts[INIT_PGBOUNCER].service);
	assert_int_equal(i.volumes.count, 3);
	assert_int_equal(i.left.count, 2);
	assert_string_equal(i.left.items[0], "service 'tool' is a second postgres and is NOT in "
					     "agent.conf: it needs one of its own");
	assert_string_equal(i.left.items[1], "a container of the project has an odd service name");
	has_text(&i, false,
		 (const char *const[]){
		     "name = desk\nengine = docker\n",
		     "url = postgresql://chief%20o%27x:${POSTGRES_PASSWORD}@db:5432/postgres\n"
		     "service = db\n",
		     "[redis]\nurl = redis://redis:6379/0\n\n", "[volume media]\n",
		     "[volume a_b]\nname = a.b\n", "[volume shared]\n", NULL});
	init_done(&i);
}

static void container__of_a_program_with_a_name_like_ours__keeps_its_volumes(void **state)
{
	(void)state;
	struct init i;
	begin(&i, "desk");
	note(&i, "crew", "desk-crew", "{\"Type\":\"volume\",\"Name\":\"desk_rota\"}", "A=1");
	assert_int_equal(i.volumes.count, 1);
	init_done(&i);
}

static void redis__its_password__is_found_where_it_is_given(void **state)
{
	(void)state;
	static const struct {
		const char *argv, *env, *password;
	} cases[] = {
	    {"[\"redis-server\",\"--requirepass\",\"hush\"]", "A=1", "hush"},
	    {"[\"redis-server --requirepass 'hush' --save 1\"]", "A=1", "hush"},
	    {"[\"sh\",\"-c\",\"exec redis-server --requirepass \\\"$PW\\\"\"]", "PW=hush", "hush"},
	    {"[\"sh\",\"-c\",\"redis-server --requirepass ${PW}\"]", "PW=hush", "hush"},
	    {"[\"sh\",\"-c\",\"redis-server --requirepass ${PW}\"]", "A=1", NULL},
	    {"[\"redis-server\",\"--requirepass\"]", "A=1", NULL},
	    {"[\"redis-server\"]", "REDIS_PASSWORD=hush", "hush"},
	    {"null", "REDIS_PASSWORD=", NULL},
	    {"[1,null]", "A=1", NULL},
	};
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		struct init i;
		begin(&i, "desk");
		argv = cases[n].argv;
		note(&i, "redis", "redis", "", cases[n].env);
		argv = "null";
		const char *password = i.parts[INIT_REDIS].login.values[INIT_PASSWORD];
		if (cases[n].password == NULL)
			assert_null(password);
		else
			assert_string_equal(password, cases[n].password);
		assert_int_equal(i.parts[INIT_REDIS].wants_password, password != NULL);
		init_done(&i);
	}
}

static void postgres__that_trusts__gets_no_password(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	begin(&i, "desk");
	note(&i, "postgres", "postgres", "", "POSTGRES_HOST_AUTH_METHOD=trust");
	assert_int_equal(init_env(&i, &err), 0);
	has_text(
	    &i, false,
	    (const char *const[]){"url = postgresql://postgres@postgres:5432/postgres\n", NULL});
	init_done(&i);
}

static void env__the_files_of_the_containers_values__are_taken(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	write_file(".env", "OTHER_PASSWORD=hush\nNOTE=hush-app\n");
	write_file("app/dev.env", "DB_USER=dev\nDB_PASSWORD=hush-dev\n");
	write_file("app/prod.env", "DB_USER=app\nDB_PASSWORD=hush-app\nDB_NAME=d\n");
	write_file("app/.env.example", "DB_PASSWORD=hush-app\n");
	begin(&i, "desk");
	note(&i, "postgres", "postgres", "", "POSTGRES_PASSWORD=hush");
	note(&i, "pooler", "pgbouncer", "", "A=1");
	/* As the application goes to it. */
	note(&i, "web", "web", "", "DB_USER=app\",\"DB_PASSWORD=hush-app\",\"DB_NAME=d");
	assert_int_equal(init_env(&i, &err), 0);
	has_text(&i, false,
		 (const char *const[]){
		     "env_file = .env, app/prod.env\n",
		     "url = postgresql://postgres:${OTHER_PASSWORD}@postgres:5432/postgres\n",
		     "url = postgresql://${DB_USER}:${DB_PASSWORD}@pooler:6432/${DB_NAME}\n",
		     NULL});
	assert_int_equal(i.left.count, 0);
	init_done(&i);
	/* What is in no file is not copied; a service of the project may have it nevertheless. */
	static const char *const inherited[] = {NULL, "other", "hush"};
	write_file(".env", "A=1\n");
	for (size_t n = 0; n < 3; n++) {
		if (inherited[n] != NULL)
			setenv("POSTGRES_PASSWORD", inherited[n], 1);
		begin(&i, "desk");
		note(&i, "postgres", "postgres", "", "POSTGRES_PASSWORD=hush");
		assert_int_equal(init_env(&i, &err), 0);
		unsetenv("POSTGRES_PASSWORD");
		const char *name = i.parts[INIT_POSTGRES].login.names[INIT_PASSWORD];
		assert_int_equal(name != NULL, n == 2);
		assert_int_equal(i.env_files.count, 0);
		init_done(&i);
	}
}

static void application__that_has_a_url__shows_the_way_to_the_pooler(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	write_file(".env", "APP_PASSWORD='p@ss/w'\nUNRELATED='p@ss/w'\n");
	begin(&i, "desk");
	note(&i, "pgbouncer", "pgbouncer", "", "DATABASE_URL=mysql://a:b@c/d");
	note(&i, "other", "web", "", "DATABASE_URL=postgres://%zz");
	note(&i, "web", "web", "",
	     "DATABASE_URL=postgresql+asyncpg://app:p%40ss%2Fw@pgbouncer:6432/desk");
	assert_int_equal(init_env(&i, &err), 0);
	has_text(&i, false,
		 (const char *const[]){
		     "env_file = .env\n",
		     "url = postgresql://app:${APP_PASSWORD}@pgbouncer:6432/desk\n", NULL});
	init_done(&i);
}

static void env__one_name_for_two_values__is_told(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	write_file(".env", "A=1\n");
	write_file("app/prod.env", "PASSWORD=one\n");
	write_file("web/prod.env", "PASSWORD=two\n");
	begin(&i, "desk");
	note(&i, "postgres", "postgres", "", "POSTGRES_PASSWORD=one");
	note(&i, "redis", "redis", "", "REDIS_PASSWORD=two");
	assert_int_equal(init_env(&i, &err), 0);
	assert_int_equal(i.left.count, 1);
	assert_string_equal(i.left.items[0],
			    "PASSWORD has several values in the files of env_file: "
			    "that of postgres is not the last");
	init_done(&i);
}

static void env__files_of_the_folder__give_names_and_no_values(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	struct buf text;
	write_file(".env", "REDIS_PASSWORD=hush\nOTHER=x\n");
	write_file("app/.env", "DB_USER=desk\nDB_PASSWORD=hush\nDB_NAME=hdms_db\n");
	write_file("app/prod.env", "");
	write_file("postgres/.env", "POSTGRES_PASSWORD=hush\n");
	write_file("web/.env", "DEBUG=1\n");
	write_file("web/prod.env", "PGPASSWORD=hush\n");
	write_file("bad/.env", "A=\"open\n");
	begin(&i, NULL);
	for (size_t k = 0; k < INIT_KINDS; k++)
		assert_int_equal(str_dup("127.0.0.1:1", &i.parts[k].url, &err), 0);
	assert_int_equal(init_env(&i, &err), 0);
	assert_int_equal(i.env_files.count, 3);
	assert_int_equal(i.left.count, 1);
	assert_non_null(strstr(i.left.items[0], "bad/.env"));
	has_text(&i, false,
		 (const char *const[]){
		     "env_file = .env, app/.env, postgres/.env\n",
		     "url = postgresql://postgres:${POSTGRES_PASSWORD}@127.0.0.1:1/postgres\n",
		     "url = redis://:${REDIS_PASSWORD}@127.0.0.1:1/0\n",
		     "url = postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:1/${DB_NAME}\n",
		     NULL});
	buf_init(&text, 1 << 16);
	assert_int_equal(init_text(&i, true, &text, &err), 0);
	assert_null(strstr(buf_text(&text), "hush"));
	assert_null(strstr(buf_text(&text), "= .env"));
	buf_done(&text);
	init_done(&i);
}

#define CONTAINER(id, image, project, service, mounts)                                             \
	"{\"Id\":\"" id "\",\"Image\":\"" image "\",\"Labels\":{"                                  \
	"\"com.docker.compose.project\":\"" project "\","                                          \
	"\"com.docker.compose.project.working_dir\":\"/nowhere\","                                 \
	"\"com.docker.compose.service\":\"" service "\"},\"Mounts\":[" mounts "]}"
#define LISTED                                                                                     \
	"[" CONTAINER(                                                                             \
	    "c1", "postgres:17", "desk", "db",                                                     \
	    "{\"Type\":\"volume\",\"Name\":\"desk_pg\"}") "," CONTAINER("c2", "nginx", "desk",     \
									"web",                     \
									"{\"Type\":\"volume\","    \
									"\"Name\":\"desk_"         \
									"media\"}")

static void docker__the_only_project__is_taken(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {.request = "GET /containers/json",
	     .status = 200,
	     .body = LISTED "," CONTAINER("c3", "busybox", "other", "web", "") "]"},
	    {.request = "GET /containers/c1/json", .status = 200, .body = "{}"},
	    {.request = "GET /containers/c2/json", .status = 200, .body = "{}"}};
	struct fake_docker f;
	struct init i;
	struct err err = ERR_INIT;
	fake_docker_start(&f, routes, 3);
	begin(&i, NULL);
	assert_int_equal(init_docker(&i, f.host, NULL, &err), 0);
	assert_string_equal(i.project, "desk");
	assert_string_equal(i.parts[INIT_POSTGRES].service, "db");
	assert_int_equal(i.volumes.count, 1);
	assert_string_equal(i.volumes.items[0], "media");
	init_done(&i);
	begin(&i, NULL);
	assert_int_equal(init_docker(&i, f.host, "none", &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "there is no Compose project 'none' on this Docker");
	init_done(&i);
	/* A Compose file of the folder means a project of its own. */
	err_clear(&err);
	write_file("compose.yaml", "");
	begin(&i, NULL);
	assert_int_equal(init_docker(&i, f.host, NULL, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_non_null(strstr(err.msg, "/compose.yaml' is there, but Docker has no containers"));
	assert_non_null(strstr(err.hint, "`docker compose create`"));
	init_done(&i);
	assert_int_equal(unlink(temp_dir_in(&dir, "compose.yaml")), 0);
	fake_docker_stop(&f);
}

static void docker__several_projects__asks_for_one(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {.request = "GET /containers/json",
	     .status = 200,
	     .body = LISTED "," CONTAINER("c3", "redis", "shop", "cache", "") "]"}};
	struct fake_docker f;
	struct init i;
	struct err err = ERR_INIT;
	fake_docker_start(&f, routes, 1);
	begin(&i, NULL);
	assert_int_equal(init_docker(&i, f.host, NULL, &err), 0);
	assert_null(i.project);
	assert_int_equal(i.left.count, 1);
	assert_string_equal(
	    i.left.items[0],
	    "Docker has several Compose projects, choose one with --project: desk, shop");
	init_done(&i);
	fake_docker_stop(&f);
}

static void docker__that_does_not_answer__matters_only_when_asked_for(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	begin(&i, NULL);
	assert_int_equal(init_docker(&i, "unix:///nonexistent/docker.sock", NULL, &err), 0);
	assert_non_null(i.no_docker);
	assert_int_equal(init_docker(&i, "unix:///nonexistent/docker.sock", "desk", &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "Compose project 'desk'"));
	err_clear(&err);
	write_file("docker-compose.yml", "");
	assert_int_equal(init_docker(&i, "unix:///nonexistent/docker.sock", NULL, &err), -1);
	assert_non_null(strstr(err.msg, "/docker-compose.yml'"));
	assert_int_equal(unlink(temp_dir_in(&dir, "docker-compose.yml")), 0);
	init_done(&i);
}

static int enter(void **state)
{
	(void)state;
	static const char *const folders[] = {"app", "postgres", "web", "bad"};
	struct err err = ERR_INIT;
	temp_dir_make(&dir);
	for (size_t n = 0; n < sizeof folders / sizeof *folders; n++)
		if (dir_make(temp_dir_in(&dir, folders[n]), 0700, &err) < 0)
			return -1;
	return 0;
}

static int leave(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(container__of_a_program_with_a_name_like_ours__keeps_its_volumes),
	    cmocka_unit_test(kind_of__image__is_the_server_in_it),
	    cmocka_unit_test(image__in_a_project__is_known_by_what_it_is),
	    cmocka_unit_test(containers__of_a_project__become_sections),
	    cmocka_unit_test(redis__its_password__is_found_where_it_is_given),
	    cmocka_unit_test(postgres__that_trusts__gets_no_password),
	    cmocka_unit_test(env__the_files_of_the_containers_values__are_taken),
	    cmocka_unit_test(application__that_has_a_url__shows_the_way_to_the_pooler),
	    cmocka_unit_test(env__one_name_for_two_values__is_told),
	    cmocka_unit_test(env__files_of_the_folder__give_names_and_no_values),
	    cmocka_unit_test(docker__the_only_project__is_taken),
	    cmocka_unit_test(docker__several_projects__asks_for_one),
	    cmocka_unit_test(docker__that_does_not_answer__matters_only_when_asked_for),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "agent/init.h"
#include "base/file.h"
#include "tests/support/fake_docker.h"
#include "tests/support/temp_dir.h"

static struct temp_dir dir;

static void write_file(const char *name, const char *text)
{
	temp_dir_write(&dir, name, text, strlen(text));
}

static void begin(struct init *i)
{
	struct err err = ERR_INIT;
	*i = (struct init){0};
	assert_int_equal(str_dup(dir.path, &i->folder, &err), 0);
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

static const char compose[] = "# a comment\n"
			      "name: 'hdms'\n"
			      "services:\n"
			      "  tool:\n"
			      "    image: postgres:17\n"
			      "  db:   # the server\n"
			      "    image: \"postgres:17\"\n"
			      "    volumes:\n"
			      "      - postgres_data:/var/lib/postgresql/data\n"
			      "      - ./init:/docker-entrypoint-initdb.d:ro\n"
			      "  redis:\n"
			      "    image: redis:7\n"
			      "  web:\n"
			      "    image: nginx\n"
			      "    ports:\n"
			      "      - 80:80\n"
			      "    volumes:\n"
			      "      - 'media:/media'\n"
			      "      - ${PLACE}:/x\n"
			      "volumes:\n"
			      "  media:\n"
			      "  postgres_data:\n";

static void compose__services_and_volumes__become_sections(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	begin(&i);
	assert_int_equal(init_compose_text(&i, compose, &err), 0);
	assert_string_equal(i.project, "hdms");
	assert_string_equal(i.parts[INIT_POSTGRES].service, "db");
	assert_string_equal(i.parts[INIT_REDIS].service, "redis");
	assert_null(i.parts[INIT_PGBOUNCER].service);
	assert_int_equal(i.volumes.count, 1);
	assert_int_equal(i.left.count, 1);
	assert_string_equal(i.left.items[0],
			    "service 'tool' is a second postgres and is not in agent.conf");
	has_text(&i, false,
		 (const char *const[]){
		     "name = hdms\nengine = docker\n",
		     "url = postgresql://postgres:${POSTGRES_PASSWORD}@db:5432/postgres\n"
		     "service = db\n",
		     "[redis]\nurl = redis://redis:6379/0\n\n", "[volume media]\n", NULL});
	init_done(&i);
}

static void compose__cut_anywhere__is_read_without_harm(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof compose; len++) {
		struct init i;
		struct err err = ERR_INIT;
		char *text;
		begin(&i);
		assert_int_equal(str_dupn(compose, len, &text, &err), 0);
		assert_int_equal(init_compose_text(&i, text, &err), 0);
		free(text);
		init_done(&i);
	}
}

static void compose__without_a_name__is_called_as_its_folder(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	begin(&i);
	free(i.folder);
	assert_int_equal(str_printf(&i.folder, &err, "%s/My.Desk-2", dir.path), 0);
	write_file("My.Desk-2/compose.yml", "services:\n  db:\n    image: postgres\n");
	assert_int_equal(init_compose(&i, &err), 0);
	assert_string_equal(i.project, "mydesk-2");
	init_done(&i);
}

static void env__files_of_the_folder__give_names_and_no_values(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	write_file(".env", "REDIS_PASSWORD=hush\nOTHER=x\n");
	write_file("app/.env", "DB_USER=desk\nDB_PASSWORD=hush\nDB_NAME=hdms_db\n");
	write_file("postgres/.env", "POSTGRES_PASSWORD=hush\n");
	write_file("web/.env", "DEBUG=1\n");
	write_file("bad/.env", "A=\"open\n");
	begin(&i);
	assert_int_equal(init_compose_text(&i,
					   "name: d\nservices:\n  pooler:\n    image: pgbouncer\n  "
					   "postgres:\n    image: postgres\n  redis:\n    image: "
					   "redis\n",
					   &err),
			 0);
	assert_int_equal(init_env(&i, &err), 0);
	assert_int_equal(i.env_files.count, 3);
	assert_int_equal(i.left.count, 1);
	assert_non_null(strstr(i.left.items[0], "bad/.env"));
	has_text(&i, false,
		 (const char *const[]){
		     "env_file = .env, app/.env, postgres/.env\n",
		     "url = postgresql://postgres:${POSTGRES_PASSWORD}@postgres:5432/postgres\n",
		     "url = redis://:${REDIS_PASSWORD}@redis:6379/0\n",
		     "url = postgresql://${DB_USER}:${DB_PASSWORD}@pooler:6432/${DB_NAME}\n"
		     "service = pooler\n",
		     NULL});
	struct buf text;
	buf_init(&text, 1 << 16);
	assert_int_equal(init_text(&i, true, &text, &err), 0);
	assert_null(strstr(buf_text(&text), "hush"));
	assert_null(strstr(buf_text(&text), "= .env"));
	buf_done(&text);
	init_done(&i);
}

#define LISTED                                                                                     \
	"[{\"Image\":\"postgres:17\",\"Labels\":{\"com.docker.compose.project\":\"desk\","         \
	"\"com.docker.compose.service\":\"db\"},\"Mounts\":[{\"Type\":\"volume\",\"Name\":"        \
	"\"desk_pg\"}]},"                                                                          \
	"{\"Image\":\"nginx\",\"Labels\":{\"com.docker.compose.project\":\"desk\","                \
	"\"com.docker.compose.service\":\"web\"},\"Mounts\":[{\"Type\":\"volume\",\"Name\":"       \
	"\"desk_media\"},{\"Type\":\"volume\",\"Name\":\"4af1\"}]}"

static void docker__the_only_project__is_taken(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {.request = "GET /containers/json", .status = 200, .body = LISTED "]"}};
	struct fake_docker f;
	struct init i;
	struct err err = ERR_INIT;
	fake_docker_start(&f, routes, 1);
	begin(&i);
	assert_int_equal(init_docker(&i, f.host, NULL, &err), 0);
	assert_string_equal(i.project, "desk");
	assert_string_equal(i.parts[INIT_POSTGRES].service, "db");
	assert_int_equal(i.volumes.count, 1);
	assert_string_equal(i.volumes.items[0], "media");
	init_done(&i);
	begin(&i);
	assert_int_equal(init_docker(&i, f.host, "other", &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "there is no Compose project 'other' on this Docker");
	init_done(&i);
	fake_docker_stop(&f);
}

static void docker__several_projects__asks_for_one(void **state)
{
	(void)state;
	static const struct fake_route routes[] = {
	    {.request = "GET /containers/json",
	     .status = 200,
	     .body = LISTED ",{\"Image\":\"redis\",\"Labels\":{\"com.docker.compose.project\":"
			    "\"shop\"}}]"}};
	struct fake_docker f;
	struct init i;
	struct err err = ERR_INIT;
	fake_docker_start(&f, routes, 1);
	begin(&i);
	assert_int_equal(init_docker(&i, f.host, NULL, &err), 0);
	assert_null(i.project);
	assert_int_equal(i.left.count, 1);
	assert_non_null(strstr(i.left.items[0], "--project"));
	init_done(&i);
	fake_docker_stop(&f);
}

static void docker__that_does_not_answer__matters_only_when_asked_for(void **state)
{
	(void)state;
	struct init i;
	struct err err = ERR_INIT;
	begin(&i);
	assert_int_equal(init_docker(&i, "unix:///nonexistent/docker.sock", NULL, &err), 0);
	assert_int_equal(init_docker(&i, "unix:///nonexistent/docker.sock", "desk", &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "Compose project 'desk'"));
	init_done(&i);
}

static int enter(void **state)
{
	(void)state;
	static const char *const folders[] = {"My.Desk-2", "app", "postgres", "web", "bad"};
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
	    cmocka_unit_test(kind_of__image__is_the_server_in_it),
	    cmocka_unit_test(compose__services_and_volumes__become_sections),
	    cmocka_unit_test(compose__cut_anywhere__is_read_without_harm),
	    cmocka_unit_test(compose__without_a_name__is_called_as_its_folder),
	    cmocka_unit_test(env__files_of_the_folder__give_names_and_no_values),
	    cmocka_unit_test(docker__the_only_project__is_taken),
	    cmocka_unit_test(docker__several_projects__asks_for_one),
	    cmocka_unit_test(docker__that_does_not_answer__matters_only_when_asked_for),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "stack/engine/engine.h"
#include "stack/postgres/postgres.h"
#include "stack/redis/redis.h"
#include "tests/support/live_postgres.h"
#include "tests/support/scratch.h"

/* The newest PostgreSQL that is installed; of Redis and PgBouncer there is one. */
static unsigned newest;

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err why = ERR_INIT;                                                         \
		if ((call) < 0)                                                                    \
			fail_msg("%s", why.msg);                                                   \
	} while (0)

static struct engine *opened(const char *dir, const char *purpose)
{
	struct engine *e;
	char *volumes = scratch_path(dir, "volumes");
	const struct engine_opts opts = {.kind = "local",
					 .stack = "hdms",
					 .volumes_dir = volumes,
					 .run_as = "postgres",
					 .run_id = "20261123T020000Z-3f9c",
					 .purpose = purpose};
	OK(engine_open(&opts, &e, &why));
	free(volumes);
	return e;
}

static int setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

/* ---- postgres ---- */

static void init_cluster(struct engine *e, const char *volume)
{
	const struct tool t = {
	    .component = "postgres",
	    .major = newest,
	    .name = "initdb",
	    .argv = (const char *const[]){"-D", TOOL_VOLUME, "--no-sync", "-U", "boss", NULL},
	    .volume = volume,
	    .as_server = true,
	    .idle_ms = -1};
	OK(engine_volume_create(e, volume, &(struct volume_spec){0}, &why));
	OK(engine_tool_run(e, &t, NULL, deadline_in(120000), &why));
}

static int alive(void *ctx, struct err *err)
{
	return server_check(ctx, err);
}

static struct pg *connected(struct server *s, const char *host)
{
	char url[512];
	struct pg *pg;
	snprintf(url, sizeof url, "host=%s port=%u user=boss dbname=postgres", host,
		 server_port(s));
	const struct pg_opts opts = {.url = url, .connect_timeout_ms = 10000};
	OK(pg_wait_ready(&opts, NULL, alive, s, deadline_in(60000), &pg, &why));
	return pg;
}

static void has_value(struct pg *pg, const char *sql, const char *want)
{
	char *got;
	OK(pg_value(pg, sql, &got, &why));
	assert_string_equal(got, want);
	free(got);
}

static const char trust[] = "local all boss trust\nhost all boss 127.0.0.1/32 trust\n";

static void server__postgres__runs_restarts_on_its_port_and_goes(void **state)
{
	struct engine *e = opened(*state, "drill");
	init_cluster(e, "pg");
	/* What a restored configuration may say, and what must not happen because of it. */
	char *conf = scratch_path(*state, "volumes/pg/postgresql.conf");
	FILE *f = fopen(conf, "a");
	assert_non_null(f);
	fputs("data_directory = '/nowhere/production'\nhba_file = '/nowhere/hba'\n"
	      "ident_file = '/nowhere/ident'\nexternal_pid_file = '/nowhere/pid'\n"
	      "listen_addresses = '*'\nport = 5432\nunix_socket_directories = '/nowhere'\n"
	      "unix_socket_group = 'nogroup'\narchive_mode = on\n"
	      "archive_command = 'touch /nowhere/archived'\n"
	      "synchronous_standby_names = 'standby'\nlogging_collector = on\n"
	      "log_destination = 'syslog'\nwork_mem = '7MB'\nhuge_pages = on\n",
	      f);
	fclose(f);
	struct server *s;
	OK(engine_server_new(e, "postgres", newest, &s, &why));
	struct server_spec spec = {
	    .volume = "pg",
	    .settings = (const char *const[]){"fsync=off", "application_name=it's me", NULL},
	    .hba = trust,
	    .by_socket = true};
	OK(server_start(s, &spec, &why));
	struct pg *pg = connected(s, server_socket_dir(s));
	has_value(pg, "SHOW listen_addresses", "");
	pg_free(pg);
	OK(server_stop(s, 30000, &why));
	spec.by_socket = false;
	OK(server_start(s, &spec, &why));
	pg = connected(s, server_socket_dir(s));
	char *where = strdup(engine_volume_where(e, "pg"));
	has_value(pg, "SHOW data_directory", where);
	has_value(pg, "SHOW listen_addresses", "127.0.0.1");
	has_value(pg, "SHOW archive_mode", "off");
	has_value(pg, "SHOW synchronous_standby_names", "");
	has_value(pg, "SHOW logging_collector", "off");
	has_value(pg, "SHOW huge_pages", "off");
	/* Before 17 there is no such setting. */
	has_value(
	    pg, "SELECT count(*) FROM pg_settings WHERE name = 'event_triggers' AND setting = 'on'",
	    "0");
	has_value(pg, "SHOW work_mem", "7MB");
	has_value(pg, "SHOW fsync", "off");
	OK(pg_exec(pg, "CREATE TABLE public.t AS SELECT 1 AS a", deadline_in(10000), &why));
	pg_free(pg);
	pg = connected(s, server_host(s));
	has_value(pg, "SELECT a FROM public.t", "1");
	pg_free(pg);
	unsigned port = server_port(s);
	long pid = server_pid(s);
	assert_true(pid > 0);
	assert_non_null(strstr(server_log_tail(s), "ready to accept connections"));

	OK(server_stop(s, 30000, &why));
	assert_int_equal(kill((pid_t)pid, 0), -1);
	OK(server_start(s, &spec, &why));
	assert_int_equal(server_port(s), port);
	pg = connected(s, server_socket_dir(s));
	has_value(pg, "SELECT a FROM public.t", "1");
	pg_free(pg);
	pid = server_pid(s);
	char *work = strdup(server_work_dir(s));
	struct stat st;
	assert_int_equal(stat(work, &st), 0);
	assert_int_equal(st.st_mode, 040700);
	server_free(s); /* without a stop */
	assert_int_equal(kill((pid_t)pid, 0), -1);
	assert_false(file_exists(work));
	char *ended = scratch_read(*state, "volumes/.lifeboat/pg.json");
	assert_non_null(strstr(ended, "\"drill\""));
	OK(engine_volume_remove(e, "pg", &why));
	engine_free(e);
	free(ended);
	free(where);
	free(work);
	free(conf);
}

static void server__postgres_that_can_not_start__check_says_why(void **state)
{
	struct engine *e = opened(*state, "drill");
	OK(engine_volume_create(e, "empty", &(struct volume_spec){0}, &why));
	struct server *s;
	OK(engine_server_new(e, "postgres", newest, &s, &why));
	const struct server_spec spec = {.volume = "empty"};
	OK(server_start(s, &spec, &why));
	struct err err = ERR_INIT;
	while (server_check(s, &err) == 0)
		usleep(1000);
	assert_int_equal(err.code, ERR_FAILED);
	assert_true(strncmp(err.msg, "postgres 'postgres' exited with status ", 39) == 0);
	assert_non_null(strstr(err.msg, "postgresql.conf"));
	assert_int_equal(server_start(s, &(struct server_spec){0}, &err), -1);
	server_free(s);
	engine_free(e);
}

/* ---- redis ---- */

static struct redisdoor *redis_connected(struct server *s)
{
	char url[128];
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	snprintf(url, sizeof url, "redis://:se%%20same@%s:%u/0", server_host(s), server_port(s));
	for (int i = 0; i < 500; i++) {
		if (redisdoor_connect(&(struct redis_opts){.url = url}, &r, &err) == 0)
			return r;
		if (server_check(s, &err) < 0)
			break;
		usleep(10000);
	}
	fail_msg("%s", err.msg);
	return NULL;
}

static void redis_says(struct redisdoor *r, const char *want, int argc, const char *const *argv)
{
	char *text;
	OK(redisdoor_command(r, &text, &why, argc, argv));
	if (strcmp(text, want) != 0)
		fail_msg("%s: '%s' is not '%s'", argv[0], text, want);
	free(text);
}
#define SAYS(r, want, ...)                                                                         \
	redis_says(r, want, (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(char *)),           \
		   (const char *const[]){__VA_ARGS__})

static void server__redis__serves_its_volume_and_writes_nothing_at_the_end(void **state)
{
	struct engine *e = opened(*state, "drill");
	OK(engine_volume_create(e, "redis", &(struct volume_spec){0}, &why));
	struct server *s;
	OK(engine_server_new(e, "redis", 7, &s, &why));
	const struct server_spec spec = {
	    .volume = "redis",
	    .settings = (const char *const[]){
		"save \"\"", "requirepass \"se same\"", "replicaof 10.255.255.1 6379", "port 6379",
		"bind 0.0.0.0", "daemonize yes", "dir /nowhere", "tls-port 0",
		"unixsocket /nowhere/socket", "databases 3", NULL}};
	OK(server_start(s, &spec, &why));
	struct redisdoor *r = redis_connected(s);
	SAYS(r, "OK", "SET", "k", "v");
	char want[600];
	snprintf(want, sizeof want, "dir\n%s", engine_volume_where(e, "redis"));
	SAYS(r, want, "CONFIG", "GET", "dir");
	SAYS(r, "replicaof\n", "CONFIG", "GET", "replicaof");
	SAYS(r, "databases\n3", "CONFIG", "GET", "databases");
	SAYS(r, "bind\n127.0.0.1", "CONFIG", "GET", "bind");
	redisdoor_free(r);
	OK(server_stop(s, 10000, &why));
	struct strlist names = {0};
	OK(dir_list(engine_volume_where(e, "redis"), &names, &why));
	assert_int_equal(names.count, 0);
	server_free(s);
	OK(engine_volume_remove(e, "redis", &why));
	engine_free(e);
}

/* ---- ports ---- */

static void server_new__the_port__is_held_for_it(void **state)
{
	struct engine *e = opened(*state, "drill");
	struct server *a, *b;
	OK(engine_server_new(e, "redis", 0, &a, &why));
	OK(engine_server_new(e, "redis", 0, &b, &why));
	assert_int_not_equal(server_port(a), server_port(b));
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)server_port(a))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	server_free(a);
	server_free(b);
	engine_free(e);
}

/* ---- the end of the agent ---- */

struct started {
	pid_t pids[2]; /* postgres, redis */
	char work[2][128];
};

/* In a process of its own: starts two servers, tells about them, and waits to be killed. */
static void be_an_agent(const char *dir, bool outlive, bool leave, int tell)
{
	struct engine *e = opened(dir, leave ? "restore" : "drill");
	struct server *s[2];
	struct started said = {.pids = {0}};
	init_cluster(e, "pg");
	OK(engine_volume_create(e, "redis", &(struct volume_spec){0}, &why));
	OK(engine_server_new(e, "postgres", newest, &s[0], &why));
	OK(engine_server_new(e, "redis", 0, &s[1], &why));
	const struct server_spec pg = {.volume = "pg", .hba = trust, .leave_running = outlive};
	const struct server_spec redis = {
	    .volume = "redis",
	    .settings = (const char *const[]){"save \"\"", "requirepass \"se same\"", NULL},
	    .leave_running = outlive};
	OK(server_start(s[0], &pg, &why));
	OK(server_start(s[1], &redis, &why));
	pg_free(connected(s[0], server_host(s[0])));
	redisdoor_free(redis_connected(s[1]));
	for (int i = 0; i < 2; i++) {
		said.pids[i] = (pid_t)server_pid(s[i]);
		snprintf(said.work[i], sizeof said.work[i], "%s", server_work_dir(s[i]));
	}
	if (leave) {
		OK(engine_volume_finish(e, "pg", &why));
		OK(engine_volume_finish(e, "redis", &why));
		for (int i = 0; i < 2; i++) {
			OK(server_leave(s[i], &why));
			server_free(s[i]);
		}
		engine_free(e);
	}
	if (write(tell, &said, sizeof said) != (ssize_t)sizeof said)
		_exit(1);
	for (;;)
		pause();
}

static struct started run_and_kill(const char *dir, bool outlive, bool leave)
{
	int told[2];
	struct started said;
	assert_int_equal(pipe(told), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		be_an_agent(dir, outlive, leave, told[1]);
	close(told[1]);
	assert_int_equal(read(told[0], &said, sizeof said), sizeof said);
	close(told[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return said;
}

static bool runs(pid_t pid)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	FILE *f = fopen(path, "r");
	bool is = f != NULL && fgets(line, sizeof line, f) != NULL &&
		  strstr(line, ") Z ") == NULL && strstr(line, ") X ") == NULL;
	if (f != NULL)
		fclose(f);
	return is;
}

static void is_gone(pid_t pid)
{
	for (int i = 0; i < 1000 && runs(pid); i++)
		usleep(10000);
	assert_false(runs(pid));
}

static void agent__killed__its_servers_go_and_a_sweep_finds_the_rest(void **state)
{
	struct started said = run_and_kill(*state, false, false);
	is_gone(said.pids[0]);
	is_gone(said.pids[1]);
	struct engine *e = opened(*state, "drill");
	struct strlist swept = {0};
	OK(engine_sweep(e, false, &swept, &why));
	assert_int_equal(swept.count, 4);
	assert_false(file_exists(said.work[0]));
	assert_false(file_exists(said.work[1]));
	assert_false(scratch_has(*state, "volumes/pg"));
	assert_false(scratch_has(*state, "volumes/redis"));
	strlist_done(&swept);
	engine_free(e);
}

static void agent__killed_before_it_left_them__a_sweep_ends_its_servers(void **state)
{
	struct started said = run_and_kill(*state, true, false);
	assert_true(runs(said.pids[0]) && runs(said.pids[1]));
	struct engine *e = opened(*state, "drill");
	struct strlist swept = {0};
	OK(engine_sweep(e, true, &swept, &why));
	assert_true(runs(said.pids[0]) && runs(said.pids[1]));
	assert_int_equal(swept.count, 4);
	strlist_done(&swept);
	OK(engine_sweep(e, false, &swept, &why));
	assert_int_equal(swept.count, 4);
	assert_false(runs(said.pids[0]) || runs(said.pids[1]));
	assert_false(scratch_has(*state, "volumes/pg"));
	assert_false(file_exists(said.work[0]));
	strlist_done(&swept);
	engine_free(e);
}

static void agent__left_its_servers__they_stay_until_they_end(void **state)
{
	struct started said = run_and_kill(*state, true, true);
	assert_true(runs(said.pids[0]) && runs(said.pids[1]));
	struct engine *e = opened(*state, "restore");
	struct strlist swept = {0};
	OK(engine_sweep(e, false, &swept, &why));
	assert_int_equal(swept.count, 0);
	assert_true(runs(said.pids[0]) && runs(said.pids[1]));
	kill(said.pids[0], SIGINT);
	kill(said.pids[1], SIGTERM);
	is_gone(said.pids[0]);
	is_gone(said.pids[1]);
	OK(engine_sweep(e, false, &swept, &why));
	assert_int_equal(swept.count, 2); /* the work folders; the restored volumes stay */
	assert_false(file_exists(said.work[0]));
	assert_true(scratch_has(*state, "volumes/pg/PG_VERSION"));
	strlist_done(&swept);
	engine_free(e);
}

/* ---- tools ---- */

static void tool_find__what_is_installed__by_its_version(void **state)
{
	struct engine *e = opened(*state, NULL);
	const struct tool tools[] = {
	    {.component = "postgres", .major = newest, .name = "pg_dump"},
	    {.component = "postgres", .major = newest, .name = "initdb"},
	    {.component = "postgres", .name = "pg_restore"},
	    {.component = "redis", .major = 6, .name = "redis-server"},
	    {.component = "redis", .name = "redis-cli"},
	    {.component = "pgbouncer", .major = 1, .name = "pgbouncer"},
	};
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		char *path;
		OK(engine_tool_find(e, &tools[i], &path, &why));
		assert_int_equal(access(path, X_OK), 0);
		assert_non_null(strstr(path, tools[i].name));
		free(path);
	}
	engine_free(e);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(server__postgres__runs_restarts_on_its_port_and_goes),
	    CASE(server__postgres_that_can_not_start__check_says_why),
	    CASE(server__redis__serves_its_volume_and_writes_nothing_at_the_end),
	    CASE(server_new__the_port__is_held_for_it),
	    CASE(agent__killed__its_servers_go_and_a_sweep_finds_the_rest),
	    CASE(agent__killed_before_it_left_them__a_sweep_ends_its_servers),
	    CASE(agent__left_its_servers__they_stay_until_they_end),
	    CASE(tool_find__what_is_installed__by_its_version),
	};
	newest = live_postgres_newest();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

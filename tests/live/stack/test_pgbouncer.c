#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/child.h"
#include "base/file.h"
#include "stack/engine/engine.h"
#include "stack/pgbouncer/pgbouncer.h"
#include "stack/postgres/postgres.h"
#include "tests/support/live_postgres.h"
#include "tests/support/scratch.h"

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err why = ERR_INIT;                                                         \
		if ((call) < 0)                                                                    \
			fail_msg("%s", why.msg);                                                   \
	} while (0)

/* One PostgreSQL for all: the sandbox's. What production's configuration names does not exist. */
static struct live_postgres postgres;
static char *scram_of_app; /* secret of role app, for PgBouncer's userlist */

static struct pg *superuser(void)
{
	char url[512];
	struct pg *pg;
	live_postgres_socket_url(&postgres, "postgres", "postgres", url, sizeof url);
	const struct pg_opts opts = {.url = url, .connect_timeout_ms = 10000};
	OK(pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(60000), &pg, &why));
	return pg;
}

static int start_postgres(void **state)
{
	(void)state;
	OK(live_postgres_start(&postgres, NULL, &why));
	struct pg *pg = superuser();
	static const char *const statements[] = {
	    "CREATE ROLE app LOGIN PASSWORD 'app''s own'",
	    "CREATE ROLE asked LOGIN PASSWORD 'by query'",
	    "CREATE ROLE asker LOGIN PASSWORD 'asker' SUPERUSER",
	    "CREATE DATABASE hdms_db OWNER app", "CREATE DATABASE other OWNER app"};
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		OK(pg_exec(pg, statements[i], deadline_in(30000), &why));
	OK(pg_value(pg, "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = 'app'",
		    &scram_of_app, &why));
	assert_non_null(strstr(scram_of_app, "SCRAM-SHA-256$"));
	pg_free(pg);
	return 0;
}

static int stop_postgres(void **state)
{
	(void)state;
	live_postgres_stop(&postgres);
	free(scram_of_app);
	return 0;
}

/* ---- production's PgBouncer ---- */

struct production {
	char *dir, *ini;
	unsigned port;
	struct child *server;
	struct identity user;
};

static void put(struct production *p, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void put(struct production *p, const char *name, const char *fmt, ...)
{
	char text[8192];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	scratch_file(p->dir, name, text);
}

static int setup(void **state)
{
	static struct production p;
	p = (struct production){.dir = scratch_new(), .port = live_free_port()};
	OK(identity_find("postgres", &p.user, &why));
	p.ini = scratch_path(p.dir, "conf/pgbouncer.ini");
	put(&p, "conf/pgbouncer.ini",
	    "%%include databases.ini\n"
	    "[pgbouncer]\n"
	    "listen_addr = 127.0.0.1\nlisten_port = %u\nunix_socket_dir =\n"
	    "pool_mode = transaction\nauth_type = hba\nauth_file = userlist.txt\n"
	    "auth_hba_file = %s/conf/hba.conf\nauth_user = asker\n"
	    "auth_query = SELECT rolname, rolpassword FROM pg_catalog.pg_authid "
	    "WHERE rolname = $1\n"
	    "admin_users = boss\nstats_users = watcher\n"
	    "pidfile = %s/production.pid\nlogfile = %s/production.log\n",
	    p.port, p.dir, p.dir, p.dir);
	put(&p, "conf/databases.ini",
	    "[databases]\n"
	    "; production's server\n"
	    "hdms_db = host=pg.invalid port=5432 dbname=hdms_db\n"
	    "by_socket = host=/nowhere dbname=hdms_db user=app password='app''s own'\n"
	    "renamed = dbname=other host=a.invalid,b.invalid\n"
	    "* = host=192.0.2.1\n");
	put(&p, "conf/userlist.txt",
	    "\"app\" \"%s\"\n\"boss\" \"boss\"\n\"watcher\" \"watcher\"\n"
	    "\"asker\" \"asker\"\n",
	    scram_of_app);
	/* Nobody from here, but for the console. */
	put(&p, "conf/hba.conf",
	    "host pgbouncer all 127.0.0.1/32 scram-sha-256\n"
	    "host @names all 10.0.0.0/8 scram-sha-256\nhost all all all reject\n");
	put(&p, "conf/names", "hdms_db, by_socket\nrenamed\nother");
	*state = &p;
	return 0;
}

static void start(struct production *p)
{
	char *folder = scratch_path(p->dir, "conf");
	if (geteuid() == 0)
		assert_int_equal(chown(p->dir, p->user.uid, p->user.gid), 0);
	OK(child_start(
	    &(struct child_opts){.argv = (const char *const[]){"pgbouncer", "-q", p->ini, NULL},
				 .cwd = folder,
				 .run_as = geteuid() == 0 ? &p->user : NULL},
	    &p->server, &why));
	free(folder);
}

static int teardown(void **state)
{
	struct production *p = *state;
	child_free(p->server);
	scratch_free(p->dir);
	free(p->ini);
	return 0;
}

static struct pgbouncer_opts opts_of(struct production *p, const char *user, const char *password,
				     char url[256])
{
	snprintf(url, 256, "postgresql://%s:%s@127.0.0.1:%u/hdms_db", user, password, p->port);
	return (struct pgbouncer_opts){.url = url, .connect_timeout_ms = 10000};
}

/* Until it listens. */
static int describe(struct production *p, const char *user, const char *password, json_t **ret,
		    struct err *err)
{
	char url[256];
	const struct pgbouncer_opts opts = opts_of(p, user, password, url);
	for (int i = 0;; i++) {
		err_clear(err);
		if (pgbouncer_describe(&opts, ret, err) == 0)
			return 0;
		if (err->code != ERR_UNREACHABLE || i > 500 || p->server == NULL)
			return -1;
		usleep(10000);
	}
}

/* ---- the console ---- */

static void describe__admin_and_stats_user__configuration_without_passwords(void **state)
{
	struct production *p = *state;
	start(p);
	for (int i = 0; i < 2; i++) {
		const char *user = i == 0 ? "boss" : "watcher";
		json_t *made = NULL;
		struct err err = ERR_INIT;
		if (describe(p, user, user, &made, &err) < 0)
			fail_msg("%s", err.msg);
		assert_non_null(strstr(json_str_or(made, "version", ""), "PgBouncer 1."));
		assert_string_equal(json_str_or(made, "conffile", ""), p->ini);
		assert_string_equal(json_str_or(made, "pool_mode", ""), "transaction");
		json_t *list, *pools;
		OK(json_get_arr(made, "databases", &list, &why));
		OK(json_get_arr(made, "pools", &pools, &why));
		bool found = false;
		size_t k;
		json_t *db;
		json_array_foreach(list, k, db)
		{
			found = found || (strcmp(json_str_or(db, "name", ""), "hdms_db") == 0 &&
					  strcmp(json_str_or(db, "host", ""), "pg.invalid") == 0);
		}
		assert_true(found);
		char *text;
		OK(json_text(made, false, &text, &why));
		assert_null(strstr(text, "app's own"));
		free(text);
		json_decref(made);
	}
}

static void describe__anybody_else__denied_with_what_to_do(void **state)
{
	struct production *p = *state;
	start(p);
	json_t *made = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(describe(p, "app", "app%27s%20own", &made, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.msg, "PgBouncer's console: "));
	assert_non_null(strstr(err.msg, "not allowed"));
	assert_non_null(strstr(err.hint, "stats_users or admin_users"));
	assert_int_equal(describe(p, "boss", "wrong-secret", &made, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(strstr(err.msg, "wrong-secret"));
	assert_null(made);
}

static void describe__admin_url__is_used_for_the_console(void **state)
{
	struct production *p = *state;
	start(p);
	char url[256], admin[256];
	json_t *made = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(describe(p, "boss", "boss", &made, &err), 0); /* it listens */
	json_decref(made);
	made = NULL;
	struct pgbouncer_opts opts = opts_of(p, "app", "wrong", url);
	snprintf(admin, sizeof admin, "postgresql://watcher:watcher@127.0.0.1:%u", p->port);
	opts.admin_url = admin;
	OK(pgbouncer_describe(&opts, &made, &why));
	json_decref(made);
}

static void describe__nobody_listens__unreachable(void **state)
{
	struct production *p = *state;
	json_t *made = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(describe(p, "boss", "boss", &made, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "PgBouncer's console: "));
	assert_null(made);
}

/* ---- the sandbox ---- */

static int read_file(void *ctx, const char *path, struct buf *out, struct err *err)
{
	(void)ctx;
	return file_read_all(path, out, err);
}

/* As a restore would have it: the files lie in another folder now. */
static int restored(void *ctx, const char *path, char **ret, struct err *err)
{
	const struct production *p = ctx;
	size_t len = strlen(p->dir);
	*ret = NULL;
	if (strncmp(path, p->dir, len) != 0)
		return 0;
	return str_printf(ret, err, "%s/restored/%s", p->dir, path + len + strlen("/conf/"));
}

struct sandbox {
	struct engine *engine;
	struct server *server;
};

static struct sandbox sandbox_start(struct production *p)
{
	struct sandbox s;
	char *volumes = scratch_path(p->dir, "volumes"), *text, *rules;
	static const char *const files[] = {"userlist.txt", "hba.conf", "names"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *from = scratch_path("conf", "%s", files[i]);
		char *content = scratch_read(p->dir, from);
		char *to = scratch_path("restored", "%s", files[i]);
		scratch_file(p->dir, to, content);
		free(from);
		free(to);
		free(content);
	}
	OK(engine_open(&(struct engine_opts){.kind = "local",
					     .stack = "hdms",
					     .volumes_dir = volumes,
					     .run_as = "postgres",
					     .run_id = "x",
					     .purpose = "drill"},
		       &s.engine, &why));
	OK(engine_server_new(s.engine, "pgbouncer", 0, &s.server, &why));
	char *hba_path = scratch_path(server_work_dir(s.server), "hba");
	const struct pgbouncer_sandbox box = {.hba_path = hba_path,
					      .pg_host = "127.0.0.1",
					      .pg_port = postgres.port,
					      .pg_socket_dir = postgres.dir,
					      .listen_addr = server_host(s.server),
					      .listen_port = server_port(s.server),
					      .work_dir = server_work_dir(s.server),
					      .restored = restored,
					      .ctx = p};
	OK(pgbouncer_rewrite(p->ini, NULL, read_file, NULL, &box, &text, &why));
	OK(pgbouncer_rewrite_hba(p->ini, NULL, read_file, NULL, &box, &rules, &why));
	const struct server_spec spec = {.settings =
					     (const char *const[]){text, "hba", rules, NULL}};
	OK(server_start(s.server, &spec, &why));
	free(volumes);
	free(hba_path);
	free(rules);
	free(text);
	return s;
}

static int alive(void *ctx, struct err *err)
{
	return server_check(ctx, err);
}

static void sandbox_answers(struct sandbox *s, const char *user, const char *password,
			    const char *db, const char *sql, const char *want)
{
	char url[512], *got;
	struct pg *pg;
	snprintf(url, sizeof url, "host=%s port=%u user=%s password='%s' dbname='%s'",
		 server_host(s->server), server_port(s->server), user, password, db);
	const struct pg_opts opts = {.url = url, .connect_timeout_ms = 10000, .plain = true};
	struct err err = ERR_INIT;
	if (pg_wait_ready(&opts, NULL, alive, s->server, deadline_in(20000), &pg, &err) < 0)
		fail_msg("%s\n%s", err.msg, server_log_tail(s->server));
	OK(pg_value(pg, sql, &got, &why));
	assert_string_equal(got, want);
	free(got);
	pg_free(pg);
}

static void rewrite__run_by_pgbouncer__every_entry_leads_to_the_sandbox(void **state)
{
	struct production *p = *state;
	struct sandbox s = sandbox_start(p);
	struct pg *direct = superuser();
	char *identity;
	OK(pg_value(direct, "SELECT system_identifier FROM pg_control_system()", &identity, &why));
	pg_free(direct);
	const char *who = "SELECT system_identifier FROM pg_control_system()";
	sandbox_answers(&s, "app", "app\\'s own", "hdms_db", who, identity);
	sandbox_answers(
	    &s, "app", "app\\'s own", "by_socket",
	    "SELECT coalesce(inet_server_addr()::text, 'socket') || ' ' || current_user",
	    "socket app");
	sandbox_answers(&s, "app", "app\\'s own", "renamed", "SELECT current_database()", "other");
	sandbox_answers(&s, "app", "app\\'s own", "other", who, identity); /* '*' */
	sandbox_answers(&s, "asked", "by query", "hdms_db", "SELECT current_user", "asked");
	free(identity);
	/* The pooler has left nothing where production's configuration says. */
	assert_false(scratch_has(p->dir, "production.pid"));
	assert_false(scratch_has(p->dir, "production.log"));
	char *work = strdup(server_work_dir(s.server));
	long pid = server_pid(s.server);
	OK(server_stop(s.server, 10000, &why));
	assert_int_equal(kill((pid_t)pid, 0), -1);
	server_free(s.server);
	assert_false(file_exists(work));
	engine_free(s.engine);
	free(work);
}

static void rewrite__after_a_kill__starts_again_on_its_port(void **state)
{
	struct production *p = *state;
	struct sandbox s = sandbox_start(p);
	sandbox_answers(&s, "app", "app\\'s own", "hdms_db", "SELECT 1", "1");
	kill((pid_t)server_pid(s.server), SIGKILL);
	struct err err = ERR_INIT;
	while (server_check(s.server, &err) == 0)
		usleep(1000);
	assert_non_null(strstr(err.msg, "was killed by SIGKILL"));
	assert_int_equal(server_stop(s.server, 1000, &err), -1);
	/* Its pid file and sockets are still there. */
	char *ini = scratch_path(server_work_dir(s.server), "pgbouncer.ini"), *text;
	struct buf b;
	buf_init(&b, 1 << 20);
	OK(file_read_all(ini, &b, &why));
	OK(buf_take(&b, &text, &why));
	const struct server_spec spec = {.settings = (const char *const[]){text, NULL}};
	OK(server_start(s.server, &spec, &why));
	sandbox_answers(&s, "app", "app\\'s own", "hdms_db", "SELECT 1", "1");
	server_free(s.server);
	engine_free(s.engine);
	free(ini);
	free(text);
}

static void rewrite__configuration_that_pgbouncer_refuses__check_says_why(void **state)
{
	struct production *p = *state;
	put(p, "conf/databases.ini", "[databases]\nx = nonsense=1\n");
	struct sandbox s = sandbox_start(p);
	struct err err = ERR_INIT;
	while (server_check(s.server, &err) == 0)
		usleep(1000);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "unrecognized connection parameter: nonsense"));
	server_free(s.server);
	engine_free(s.engine);
}

static void collect__production__every_file_that_it_loads(void **state)
{
	struct production *p = *state;
	json_t *files = NULL;
	OK(pgbouncer_collect(p->ini, NULL, read_file, NULL, &files, &why));
	static const char *const want[] = {"pgbouncer.ini", "databases.ini", "userlist.txt",
					   "hba.conf", "names"};
	assert_int_equal(json_array_size(files), 5);
	for (size_t i = 0; i < 5; i++) {
		char *path = scratch_path(p->dir, "conf/%s", want[i]);
		assert_string_equal(json_str_or(json_array_get(files, i), "path", ""), path);
		free(path);
	}
	json_decref(files);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(describe__admin_and_stats_user__configuration_without_passwords),
	    CASE(describe__anybody_else__denied_with_what_to_do),
	    CASE(describe__admin_url__is_used_for_the_console),
	    CASE(describe__nobody_listens__unreachable),
	    CASE(collect__production__every_file_that_it_loads),
	    CASE(rewrite__run_by_pgbouncer__every_entry_leads_to_the_sandbox),
	    CASE(rewrite__after_a_kill__starts_again_on_its_port),
	    CASE(rewrite__configuration_that_pgbouncer_refuses__check_says_why),
	};
	return cmocka_run_group_tests(tests, start_postgres, stop_postgres);
}

/* The door to PostgreSQL, when it leads to a pooler: it must notice, and change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "stack/postgres/postgres.h"
#include "tests/support/live_postgres.h"

static struct live_postgres server;
static struct child *pooler;
static unsigned pooler_port;

#define ASSERT_OK(call)                                                                            \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s", err.msg);                                                   \
	} while (0)

static char *pooler_url(const char *user, const char *password, const char *db, char out[256])
{
	snprintf(out, 256, "postgresql://%s:%s@127.0.0.1:%u/%s", user, password, pooler_port, db);
	return out;
}

static int start_pooler(struct err *err)
{
	char ini[256], users[256], text[2048];
	pooler_port = live_free_port();
	snprintf(ini, sizeof ini, "%s/pgbouncer.ini", server.dir);
	snprintf(users, sizeof users, "%s/users.txt", server.dir);
	snprintf(text, sizeof text,
		 "[databases]\npostgres = host=127.0.0.1 port=%u password=secret\n"
		 "dead = host=127.0.0.1 port=%u\n"
		 "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %u\nauth_type = plain\n"
		 "auth_file = %s\npool_mode = transaction\ndefault_pool_size = 1\n"
		 "unix_socket_dir = %s\n",
		 server.port, live_free_port(), pooler_port, users, server.dir);
	if (file_write_all(ini, 0644, text, strlen(text), err) < 0 ||
	    file_write_all(users, 0644, "\"postgres\" \"secret\"\n", 20, err) < 0)
		return -1;
	const char *argv[] = {"pgbouncer", "-q", ini, NULL};
	return child_start(&(struct child_opts){.argv = argv,
						.run_as = server.as_other ? &server.identity : NULL,
						.death_signal = SIGKILL},
			   &pooler, err);
}

static int set_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char url[256];
	CLEANUP(pg_freep) struct pg *direct = NULL, *through = NULL;
	if (live_postgres_start(&server, NULL, &err) == 0 && start_pooler(&err) == 0) {
		live_postgres_url(&server, "postgres", "secret", "postgres", url, sizeof url);
		if (pg_wait_ready(&(struct pg_opts){.url = url}, NULL, NULL, NULL,
				  deadline_in(60000), &direct, &err) == 0 &&
		    pg_wait_ready(
			&(struct pg_opts){.url = pooler_url("postgres", "secret", "postgres", url),
					  .plain = true},
			NULL, NULL, NULL, deadline_in(60000), &through, &err) == 0)
			return 0;
	}
	print_error("%s\n", err.msg);
	return -1;
}

static int tear_down(void **state)
{
	(void)state;
	child_free(pooler);
	live_postgres_stop(&server);
	return 0;
}

static void pg_connect__to_a_pooler__noticed_and_nothing_set(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pg_freep) struct pg *p = NULL, *other = NULL;
	CLEANUP(freep) char *first = NULL, *second = NULL, *path = NULL, *style = NULL;
	char url[256];
	bool pooled = false;
	struct pg_opts opts = {.url = pooler_url("postgres", "secret", "postgres", url),
			       .connect_timeout_ms = 20000};
	ASSERT_OK(pg_connect(&opts, NULL, &p, &err));
	ASSERT_OK(pg_is_pooled(p, &pooled, &err));
	assert_true(pooled);
	/* The pool has one connection: whoever comes next gets the one that we had. */
	opts.plain = true;
	ASSERT_OK(pg_connect(&opts, NULL, &other, &err));
	pooled = false;
	ASSERT_OK(pg_is_pooled(other, &pooled, &err));
	assert_true(pooled);
	ASSERT_OK(pg_value(p, "SELECT pg_catalog.pg_backend_pid()", &first, &err));
	ASSERT_OK(pg_value(other, "SELECT pg_catalog.pg_backend_pid()", &second, &err));
	assert_string_equal(first, second);
	ASSERT_OK(pg_value(other, "SHOW search_path", &path, &err));
	assert_string_equal(path, "\"$user\", public");
	ASSERT_OK(pg_value(other, "SHOW extra_float_digits", &style, &err));
	assert_string_equal(style, "1");
	struct rows_digest d;
	assert_int_equal(pg_table_digest(p, "pg_catalog", "pg_class", "", &d, &err), -1);
	assert_string_equal(err.msg, "table 'pg_catalog.pg_class': through a pooler rows may print "
				     "differently");
}

static void refused(const char *url, int64_t timeout_ms, bool plain, enum err_code code,
		    const char *words, const char *hint)
{
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	struct pg_opts opts = {.url = url, .connect_timeout_ms = timeout_ms, .plain = plain};
	assert_int_equal(pg_connect(&opts, NULL, &p, &err), -1);
	if (strstr(err.msg, words) == NULL)
		fail_msg("%s", err.msg);
	assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, code);
}

static void pg_connect__refused_by_a_pooler__kinds(void **state)
{
	(void)state;
	char url[256];
	refused(pooler_url("postgres", "wrong", "postgres", url), 20000, true, ERR_DENIED,
		"FATAL: password authentication failed",
		"Check user and password in [pgbouncer] url.");
	refused(pooler_url("nobody", "wrong", "postgres", url), 20000, false, ERR_DENIED,
		"FATAL: password authentication failed",
		"Check user and password in [postgres] url.");
	refused(pooler_url("postgres", "secret", "gone", url), 20000, true, ERR_ABSENT,
		"FATAL: no such database: gone", "Check the database's name in [pgbouncer] url.");
}

/* A pooler lets clients in and has them wait for a server that is not there. */
static void pg_connect__pooler_without_its_server__ends_in_time(void **state)
{
	(void)state;
	char url[256];
	refused(pooler_url("postgres", "secret", "dead", url), 500, false, ERR_UNREACHABLE,
		"as 'postgres' (database 'dead'): no answer in time",
		"Check host and port in [postgres] url, the firewalls on the way, and the server's "
		"load.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg_connect__to_a_pooler__noticed_and_nothing_set),
	    cmocka_unit_test(pg_connect__refused_by_a_pooler__kinds),
	    cmocka_unit_test(pg_connect__pooler_without_its_server__ends_in_time),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

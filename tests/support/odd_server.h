/*
 * A throw-away server with the database `odd` and its roles (odd_database.h), for live tests of the
 * door to PostgreSQL. Include after cmocka.h; set_up and tear_down are for the group.
 */
#ifndef LIFEBOAT_TESTS_ODD_SERVER_H
#define LIFEBOAT_TESTS_ODD_SERVER_H

#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres.h"
#include "tests/support/live_postgres.h"
#include "tests/support/odd_database.h"

static struct live_postgres server;
static char super_url[256], evil_url[256], reader_url[256], plain_url[256];

#define ASSERT_OK(call)                                                                            \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s", err.msg);                                                   \
	} while (0)

static inline struct pg *connect_to(const char *url, const char *db)
{
	struct err err = ERR_INIT;
	struct pg *p = NULL;
	ASSERT_OK(
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, db, &p, &err));
	return p;
}

static inline int set_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char *const settings[] = {"max_connections=20", "work_mem=5MB", NULL};
	if (live_postgres_start(&server, settings, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	live_postgres_url(&server, "postgres", "secret", "postgres", super_url, sizeof super_url);
	live_postgres_url(&server, "evil", "evil", "odd", evil_url, sizeof evil_url);
	live_postgres_url(&server, "reader", "reader", "odd", reader_url, sizeof reader_url);
	live_postgres_url(&server, "plain", "plain", "odd", plain_url, sizeof plain_url);
	CLEANUP(pg_freep) struct pg *p = NULL;
	struct pg_opts opts = {.url = super_url};
	if (pg_wait_ready(&opts, NULL, NULL, NULL, deadline_in(60000), &p, &err) < 0 ||
	    pg_exec(p, "CREATE DATABASE odd TEMPLATE template0", DEADLINE_NEVER, &err) < 0 ||
	    pg_exec(p, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
		    DEADLINE_NEVER, &err) < 0 ||
	    pg_script(p, odd_roles_sql, NULL, NULL, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	CLEANUP(pg_freep) struct pg *odd = connect_to(super_url, "odd");
	for (size_t i = 0; odd_database_sql[i] != NULL; i++)
		if (pg_script(odd, odd_database_sql[i], NULL, NULL, &err) < 0) {
			print_error("%s\n", err.msg);
			return -1;
		}
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	live_postgres_stop(&server);
	return 0;
}

#endif

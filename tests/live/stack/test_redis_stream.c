#include "tests/support/redis_ask.h"

#include <signal.h>

/* Opens the stream of a door and reads it to its end into a fresh reader. */
static int take(struct redisdoor *r, struct rdb **ret, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	assert_int_equal(rdb_new(&(struct rdb_opts){.need_checksum = true}, ret, err), 0);
	if (redisdoor_stream(r, 20000, &from, err) < 0)
		return -1;
	return read_rdb(from, *ret, err);
}

static void fill(struct redisdoor *r)
{
	/* Values that don't compress, so that the stream is many blocks long. */
	static char big[300001];
	uint64_t x = 88172645463325252U;
	for (size_t i = 0; i + 1 < sizeof big; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		big[i] = (char)('!' + x % 90);
	}
	for (int db = 0; db < 3; db++) {
		char text[16];
		snprintf(text, sizeof text, "%d", db);
		do_it(r, "SELECT", text, NULL, NULL);
		for (int i = 0; i <= db * 10; i++) {
			snprintf(text, sizeof text, "key%d", i);
			do_it(r, "SET", text, big, NULL);
		}
		do_it(r, "SETEX", "soon", "1000", "gone");
	}
}

static void check_filled(const struct rdb *rdb)
{
	const struct rdb_summary *s = rdb_summary(rdb);
	assert_true(s->complete && s->counted && s->crc_checked);
	assert_int_equal(s->databases, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s->db[i].number, i);
		assert_int_equal(s->db[i].keys, i * 10 + 2);
		assert_int_equal(s->db[i].expiring, 1);
		assert_int_equal(s->db[i].hint_keys, i * 10 + 2);
	}
	assert_true(s->bytes > 9000000);
}

static void redisdoor_stream__diskless__brings_all_and_touches_no_file(void **state)
{
	(void)state;
	struct live_redis l;
	struct err err = ERR_INIT;
	live_redis_start(&l, (const char *const[]){"--repl-diskless-sync", "yes",
						   "--repl-diskless-sync-delay", "0", NULL});
	struct redisdoor *r = open_url(l.url);
	fill(r);
	char *before = ask(r, "LASTSAVE", NULL, NULL, NULL);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	if (take(r, &rdb, &err) < 0)
		fail_msg("%s", err.msg);
	check_filled(rdb);
	/* The door is used up. */
	char *text = NULL;
	assert_int_equal(redisdoor_command(r, &text, &err, 1, (const char *const[]){"PING"}), -1);
	redisdoor_free(r);
	r = open_url(l.url);
	char *after = ask(r, "LASTSAVE", NULL, NULL, NULL);
	assert_string_equal(before, after);
	free(before);
	free(after);
	const char *risk;
	assert_int_equal(redisdoor_stream_risk(r, 0, &risk, &err), 0);
	assert_null(risk);
	redisdoor_free(r);
	live_redis_stop(&l);
}

static void redisdoor_stream__by_disk__brings_all_by_length(void **state)
{
	(void)state;
	struct live_redis l;
	struct err err = ERR_INIT;
	live_redis_start(&l, (const char *const[]){"--repl-diskless-sync", "no", NULL});
	struct redisdoor *r = open_url(l.url);
	fill(r);
	const char *risk;
	assert_int_equal(redisdoor_stream_risk(r, 0, &risk, &err), 0);
	assert_non_null(strstr(risk, "0 MiB are free under"));
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	if (take(r, &rdb, &err) < 0)
		fail_msg("%s", err.msg);
	check_filled(rdb);
	redisdoor_free(r);
	live_redis_stop(&l);
}

static void redisdoor_stream__least_rights__are_enough(void **state)
{
	(void)state;
	struct live_redis l;
	struct err err = ERR_INIT;
	char url[512];
	live_redis_start(&l, (const char *const[]){"--repl-diskless-sync-delay", "0", NULL});
	struct redisdoor *r = open_url(l.url);
	do_it(r, "SET", "a", "1", NULL);
	/* What the hint of a refusal tells the user to give. */
	const char *const user[] = {"ACL",     "SETUSER",     "backup",  "on",        ">pw",
				    "-@all",   "+ping",       "+info",   "+time",     "+dbsize",
				    "+select", "+config|get", "+bgsave", "+lastsave", "+sync",
				    "+psync",  "+replconf"};
	char *text;
	assert_int_equal(redisdoor_command(r, &text, &err, 17, user), 0);
	free(text);
	redisdoor_free(r);
	r = open_url(url_of(&l, "redis://backup:pw@127.0.0.1:*/1", url));
	struct redis_save save;
	uint64_t n;
	assert_int_equal(redisdoor_dbsize(r, 0, &n, &err), 0);
	assert_int_equal(n, 1);
	CLEANUP(json_freep) json_t *j = NULL;
	assert_int_equal(redisdoor_describe(r, &j, &err), 0);
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	if (take(r, &rdb, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(keys_in(rdb, 0), 1);
	redisdoor_free(r);
	live_redis_stop(&l);
}

static void redisdoor_stream__without_the_right__is_denied(void **state)
{
	(void)state;
	static const struct {
		const char *right, *want;
	} cases[] = {{"+sync", "refused REPLCONF: NOPERM"}, {"+replconf", "refused SYNC: NOPERM"}};
	struct live_redis l;
	char url[512];
	live_redis_start(&l, NULL);
	for (int i = 0; i < 2; i++) {
		struct err err = ERR_INIT;
		struct redisdoor *r = open_url(l.url);
		const char *const user[] = {"ACL", "SETUSER", "few",     "reset",       "on",
					    ">pw", "+info",   "+select", cases[i].right};
		char *text;
		assert_int_equal(redisdoor_command(r, &text, &err, 9, user), 0);
		free(text);
		redisdoor_free(r);
		r = open_url(url_of(&l, "redis://few:pw@127.0.0.1:*", url));
		CLEANUP(rdb_freep) struct rdb *rdb = NULL;
		assert_int_equal(take(r, &rdb, &err), -1);
		assert_int_equal(err.code, ERR_DENIED);
		if (strstr(err.msg, cases[i].want) == NULL)
			fail_msg("%s", err.msg);
		assert_non_null(strstr(err.hint, "+replconf"));
		redisdoor_free(r);
	}
	live_redis_stop(&l);
}

static void redisdoor_stream__server_killed_in_the_middle__is_never_an_end(void **state)
{
	(void)state;
	for (int by_disk = 0; by_disk < 2; by_disk++) {
		struct live_redis l;
		struct err err = ERR_INIT;
		live_redis_start(
		    &l, (const char *const[]){"--repl-diskless-sync", by_disk ? "no" : "yes",
					      "--repl-diskless-sync-delay", "0", NULL});
		struct redisdoor *r = open_url(l.url);
		fill(r);
		CLEANUP(source_freep) struct source *from = NULL;
		if (redisdoor_stream(r, 20000, &from, &err) < 0)
			fail_msg("%s", err.msg);
		static uint8_t block[100000];
		size_t n;
		assert_int_equal(source_read(from, block, sizeof block, &n, &err), 0);
		live_redis_kill(&l);
		while (source_read(from, block, sizeof block, &n, &err) == 0)
			assert_true(n > 0);
		if (err.code != ERR_CORRUPT && err.code != ERR_UNREACHABLE)
			fail_msg("%s", err.msg);
		redisdoor_free(r);
		live_redis_stop(&l);
	}
}

static void redisdoor_stream__cancelled__ends(void **state)
{
	(void)state;
	struct live_redis l;
	struct err err = ERR_INIT;
	live_redis_start(&l, (const char *const[]){"--repl-diskless-sync", "yes",
						   "--repl-diskless-sync-delay", "3600", NULL});
	struct redisdoor *r = open_url(l.url);
	CLEANUP(source_freep) struct source *from = NULL;
	assert_int_equal(cancel_install(&err), 0);
	cancel_request(SIGTERM);
	assert_int_equal(redisdoor_stream(r, 20000, &from, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	cancel_hold();
	redisdoor_free(r);
	live_redis_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor_stream__diskless__brings_all_and_touches_no_file),
	    cmocka_unit_test(redisdoor_stream__by_disk__brings_all_by_length),
	    cmocka_unit_test(redisdoor_stream__least_rights__are_enough),
	    cmocka_unit_test(redisdoor_stream__without_the_right__is_denied),
	    cmocka_unit_test(redisdoor_stream__server_killed_in_the_middle__is_never_an_end),
	    /* The last one: the flag stays set. */
	    cmocka_unit_test(redisdoor_stream__cancelled__ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/support/redis_ask.h"

static void redisdoor_command__kinds_of_reply__become_text(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, NULL);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	struct err err = ERR_INIT;
	static const struct {
		const char *argv[4], *want;
	} cases[] = {
	    {{"SET", "k", "two\r\nlines", NULL}, "OK"}, {{"GET", "k", NULL, NULL}, "two\r\nlines"},
	    {{"GET", "none", NULL, NULL}, ""},          {{"RPUSH", "l", "a", "b"}, "2"},
	    {{"LRANGE", "l", "0", "-1"}, "a\nb"},       {{"KEYS", "nothing*", NULL, NULL}, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const *a = cases[i].argv;
		char *text = ask(r, a[0], a[1], a[2], a[3]);
		assert_string_equal(text, cases[i].want);
		free(text);
	}
	char *text = NULL;
	assert_int_equal(redisdoor_command(r, &text, &err, 1, (const char *const[]){"GET"}), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "refused GET: ERR wrong number of arguments"));
	assert_null(text);
	live_redis_stop(&l);
}

static void redisdoor_info_and_config__fields__are_found(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, NULL);
	CLEANUP(redisdoor_freep)
	struct redisdoor *r = open_url(url_of(&l, "redis://127.0.0.1:*/3", url));
	struct err err = ERR_INIT;
	char *text = NULL;
	uint64_t n;
	assert_int_equal(redisdoor_info(r, "persistence", "loading", &text, &err), 0);
	assert_string_equal(text, "0");
	free(text);
	assert_int_equal(redisdoor_info(r, "server", "no_such_field", &text, &err), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(redisdoor_config(r, "dir", &text, &err), 0);
	assert_string_equal(text, l.data);
	free(text);
	assert_int_equal(redisdoor_config(r, "no-such-setting", &text, &err), 0);
	assert_string_equal(text, "");
	free(text);
	/* The url selected database 3; asking for others leaves it selected. */
	do_it(r, "SET", "a", "1", NULL);
	assert_int_equal(redisdoor_dbsize(r, 0, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(redisdoor_dbsize(r, 3, &n, &err), 0);
	assert_int_equal(n, 1);
	do_it(r, "SET", "b", "1", NULL);
	assert_int_equal(redisdoor_dbsize(r, 3, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(redisdoor_dbsize(r, 99, &n, &err), -1);
	assert_non_null(strstr(err.msg, "refused SELECT: ERR DB index is out of range"));
	assert_null(redisdoor_warning(r));
	live_redis_stop(&l);
}

static void redisdoor_connect__passwords__are_told_apart(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, (const char *const[]){"--requirepass", "p@ss word", NULL});
	redisdoor_free(open_url(url_of(&l, "redis://:p%40ss word@127.0.0.1:*", url)));
	redisdoor_free(open_url(url_of(&l, "redis://default:p@ss%20word@127.0.0.1:*", url)));
	refuse_url(url_of(&l, "redis://:sesame@127.0.0.1:*", url), ERR_DENIED,
		   "refused AUTH: WRONGPASS");
	refuse_url(url_of(&l, "redis://nobody:sesame@127.0.0.1:*", url), ERR_DENIED,
		   "refused AUTH: WRONGPASS");
	refuse_url(l.url, ERR_DENIED, "refused INFO: NOAUTH Authentication required.");
	live_redis_stop(&l);
}

static void redisdoor_connect__password_nobody_asked_for__is_a_warning(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, NULL);
	CLEANUP(redisdoor_freep)
	struct redisdoor *r = open_url(url_of(&l, "redis://:sesame@127.0.0.1:*", url));
	do_it(r, "PING", NULL, NULL, NULL);
	assert_non_null(strstr(redisdoor_warning(r), "asks for none"));
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	assert_int_equal(redisdoor_describe(r, &j, &err), 0);
	assert_string_equal(json_str_or(j, "warning", ""), redisdoor_warning(r));
	live_redis_stop(&l);
}

static void redisdoor_connect__unix_socket__works(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, (const char *const[]){"--requirepass", "pw", NULL});
	snprintf(url, sizeof url, "unix://:pw@%s?db=5", l.socket);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(url);
	do_it(r, "SET", "k", "v", NULL);
	uint64_t n;
	struct err err = ERR_INIT;
	assert_int_equal(redisdoor_dbsize(r, 5, &n, &err), 0);
	assert_int_equal(n, 1);
	live_redis_stop(&l);
	refuse_url(url, ERR_UNREACHABLE, "can't connect to Redis at");
}

static void redisdoor_connect__nobody_there__is_unreachable(void **state)
{
	(void)state;
	char url[64];
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)live_redis_free_port());
	refuse_url(url, ERR_UNREACHABLE, "Connection refused");
	refuse_url("redis://no-such-host.invalid", ERR_UNREACHABLE,
		   "can't connect to Redis at 'no-such-host.invalid:6379': ");
	refuse_url("nonsense", ERR_CONFIG, "the url of Redis begins with");
}

static void redisdoor__server_killed__next_request_is_unreachable(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, NULL);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	live_redis_kill(&l);
	struct err err = ERR_INIT;
	char *text = NULL;
	assert_int_equal(redisdoor_command(r, &text, &err, 1, (const char *const[]){"PING"}), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_int_equal(redisdoor_command(r, &text, &err, 1, (const char *const[]){"PING"}), -1);
	assert_non_null(strstr(err.msg, "was given up before"));
	live_redis_stop(&l);
}

/* ---- describe ---- */

static const char *missing(const json_t *j, const char *what)
{
	size_t i;
	const json_t *m;
	json_array_foreach(json_object_get(j, "missing"), i, m)
	{
		if (strcmp(json_str_or(m, "what", ""), what) == 0)
			return json_str_or(m, "why", "");
	}
	return NULL;
}

static void redisdoor_describe__a_server__is_told_without_secrets(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, (const char *const[]){"--requirepass", "sesame", "--masterauth",
						   "sesame2", "--tls-key-file-pass", "sesame3",
						   "--maxmemory", "100mb", NULL});
	CLEANUP(redisdoor_freep)
	struct redisdoor *r = open_url(url_of(&l, "redis://:sesame@127.0.0.1:*", url));
	do_it(r, "SET", "a", "1", NULL);
	do_it(r, "SELECT", "7", NULL, NULL);
	do_it(r, "MSET", "a", "1", NULL);
	do_it(r, "SETEX", "b", "1000", "v");
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(redisdoor_describe(r, &j, &err), 0);
	assert_int_equal(json_text(j, true, &text, &err), 0);
	assert_null(strstr(text, "sesame"));
	assert_string_equal(json_str_or(j, "role", ""), "master");
	assert_int_equal(strlen(json_str_or(j, "run_id", "")), 40);
	assert_true(json_u64_or(j, "major", 0) >= 6);
	assert_true(strtoul(json_str_or(j, "version", ""), NULL, 10) == json_u64_or(j, "major", 0));
	assert_non_null(strstr(json_str_or(j, "executable", ""), "redis"));
	const json_t *config = json_object_get(j, "config");
	assert_string_equal(json_str_or(config, "maxmemory", ""), "104857600");
	assert_string_equal(json_str_or(config, "dir", ""), l.data);
	assert_null(json_object_get(config, "requirepass"));
	assert_null(json_object_get(config, "masterauth"));
	const json_t *dbs = json_object_get(j, "databases");
	assert_int_equal(json_array_size(dbs), 2);
	assert_int_equal(json_u64_or(json_array_get(dbs, 0), "keys", 9), 1);
	assert_int_equal(json_u64_or(json_array_get(dbs, 1), "number", 9), 7);
	assert_int_equal(json_u64_or(json_array_get(dbs, 1), "keys", 9), 2);
	assert_int_equal(json_u64_or(json_array_get(dbs, 1), "expiring", 9), 1);
	assert_string_equal(
	    json_str_or(json_object_get(j, "persistence"), "rdb_last_bgsave_status", ""), "ok");
	assert_int_equal(json_array_size(json_object_get(j, "missing")), 0);
	live_redis_stop(&l);
}

static void redisdoor_describe__what_is_out_of_reach__is_named(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, NULL);
	struct redisdoor *r = open_url(l.url);
	const char *const user[] = {"ACL", "SETUSER", "shop", "on", ">pass", "+@all", "~shop*"};
	const char *const few[] = {"ACL", "SETUSER", "few", "on", ">pw", "-@all", "+info", "+ping"};
	struct err err = ERR_INIT;
	char *text;
	assert_int_equal(redisdoor_command(r, &text, &err, 7, user), 0);
	free(text);
	assert_int_equal(redisdoor_command(r, &text, &err, 8, few), 0);
	free(text);
	CLEANUP(json_freep) json_t *j = NULL;
	assert_int_equal(redisdoor_describe(r, &j, &err), 0);
	assert_non_null(missing(j, "ACL users"));
	assert_non_null(strstr(missing(j, "ACL users"), "few, shop: there is no aclfile"));
	redisdoor_free(r);
	json_decref(j);
	j = NULL;
	r = open_url(url_of(&l, "redis://few:pw@127.0.0.1:*", url));
	assert_int_equal(redisdoor_describe(r, &j, &err), 0);
	assert_non_null(strstr(missing(j, "settings"), "NOPERM"));
	assert_non_null(strstr(missing(j, "ACL users"), "+acl|users"));
	assert_int_equal(redisdoor_config(r, "dir", &text, &err), 0);
	assert_string_equal(text, "");
	free(text);
	redisdoor_free(r);
	live_redis_stop(&l);
}

/* ---- waiting for a start ---- */

static int dead(void *ctx, struct err *err)
{
	(void)ctx;
	return err_set(err, ERR_FAILED, "it has died");
}

static int count_down(void *ctx, struct err *err)
{
	int *left = ctx;
	return (*left)-- > 0 ? 0 : err_set(err, ERR_FAILED, "it has died");
}

static void redisdoor_wait_ready__loading_server__is_waited_for(void **state)
{
	(void)state;
	struct live_redis l, again;
	live_redis_start(&l, (const char *const[]){"--enable-debug-command", "yes", NULL});
	struct redisdoor *r = open_url(l.url);
	do_it(r, "DEBUG", "POPULATE", "20000", NULL);
	do_it(r, "SAVE", NULL, NULL, NULL);
	redisdoor_free(r);
	live_redis_kill(&l);
	/* Slowed down, it takes about a second to load; its helper does not wait for that. */
	live_redis_start_in(&again, l.data, (const char *const[]){"--key-load-delay", "50", NULL});
	struct err err = ERR_INIT;
	uint64_t n;
	assert_int_equal(redisdoor_wait_ready(&(struct redis_opts){.url = again.url}, NULL, NULL,
					      deadline_in(60000), &r, &err),
			 0);
	assert_int_equal(redisdoor_dbsize(r, 0, &n, &err), 0);
	assert_int_equal(n, 20000);
	redisdoor_free(r);
	live_redis_stop(&again);
	live_redis_stop(&l);
}

static void redisdoor_wait_ready__hopeless_cases__end(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	struct redis_opts opts = {.url = url};
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)live_redis_free_port());
	assert_int_equal(redisdoor_wait_ready(&opts, dead, NULL, deadline_in(60000), &r, &err), -1);
	assert_string_equal(err.msg, "it has died");
	int left = 2;
	assert_int_equal(
	    redisdoor_wait_ready(&opts, count_down, &left, deadline_in(60000), &r, &err), -1);
	assert_string_equal(err.msg, "it has died");
	assert_int_equal(redisdoor_wait_ready(&opts, NULL, NULL, deadline_in(120), &r, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err.msg, "Redis was not ready in time: can't connect"));
	live_redis_start(&l, (const char *const[]){"--requirepass", "x", NULL});
	url_of(&l, "redis://:sesame@127.0.0.1:*", url);
	assert_int_equal(redisdoor_wait_ready(&opts, NULL, NULL, deadline_in(60000), &r, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	live_redis_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor_command__kinds_of_reply__become_text),
	    cmocka_unit_test(redisdoor_info_and_config__fields__are_found),
	    cmocka_unit_test(redisdoor_connect__passwords__are_told_apart),
	    cmocka_unit_test(redisdoor_connect__password_nobody_asked_for__is_a_warning),
	    cmocka_unit_test(redisdoor_connect__unix_socket__works),
	    cmocka_unit_test(redisdoor_connect__nobody_there__is_unreachable),
	    cmocka_unit_test(redisdoor__server_killed__next_request_is_unreachable),
	    cmocka_unit_test(redisdoor_describe__a_server__is_told_without_secrets),
	    cmocka_unit_test(redisdoor_describe__what_is_out_of_reach__is_named),
	    cmocka_unit_test(redisdoor_wait_ready__loading_server__is_waited_for),
	    cmocka_unit_test(redisdoor_wait_ready__hopeless_cases__end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

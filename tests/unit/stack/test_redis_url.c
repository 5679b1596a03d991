#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_url.h"

static void same(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got != NULL ? got : "(null)", want);
}

static void redis_url_parse__good_urls__are_taken_apart(void **state)
{
	(void)state;
	static const struct {
		const char *url, *name, *user, *password;
		unsigned db;
		bool tls;
	} cases[] = {
	    {"redis://localhost", "localhost:6379", NULL, "", 0, false},
	    {"redis://localhost/", "localhost:6379", NULL, "", 0, false},
	    {"redis://10.0.0.1:7000/12", "10.0.0.1:7000", NULL, "", 12, false},
	    {"redis://:pw@redis:6379/0", "redis:6379", NULL, "pw", 0, false},
	    {"redis://:@redis:6379/0", "redis:6379", NULL, "", 0, false},
	    {"redis://backup:s%3aecret%40@redis", "redis:6379", "backup", "s:ecret@", 0, false},
	    {"redis://a%20b:p:q@redis", "redis:6379", "a b", "p:q", 0, false},
	    {"redis://:p@ss/w?rd@redis:1/2", "redis:1", NULL, "p@ss/w?rd", 2, false},
	    {"redis://[::1]:7000/3", "[::1]:7000", NULL, "", 3, false},
	    {"redis://[fe80::1%25eth0]", "[fe80::1%eth0]:6379", NULL, "", 0, false},
	    {"rediss://:pw@redis?verify=no", "redis:6379", NULL, "pw", 0, true},
	    {"rediss://redis/1?verify=yes&db=4&", "redis:6379", NULL, "", 4, true},
	    {"unix:///run/redis.sock", "/run/redis.sock", NULL, "", 0, false},
	    {"unix:///run/redis@1/s@/k?db=2", "/run/redis@1/s@/k", NULL, "", 2, false},
	    {"unix://:p@w@/run/a%20b", "/run/a b", NULL, "p@w", 0, false},
	    {"unix://u:pw@/run/r.sock?db=15", "/run/r.sock", "u", "pw", 15, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct redis_url u;
		struct err err = ERR_INIT;
		if (redis_url_parse(cases[i].url, &u, &err) < 0)
			fail_msg("%s: %s", cases[i].url, err.msg);
		char *name;
		assert_int_equal(redis_url_name(&u, &name, &err), 0);
		assert_string_equal(name, cases[i].name);
		free(name);
		same(u.user, cases[i].user);
		assert_string_equal(secret_text(&u.password), cases[i].password);
		assert_int_equal(u.db, cases[i].db);
		assert_int_equal(u.tls, cases[i].tls);
		redis_url_done(&u);
	}
}

static void redis_url_parse__tls_options__are_kept(void **state)
{
	(void)state;
	struct redis_url u;
	struct err err = ERR_INIT;
	assert_int_equal(
	    redis_url_parse("rediss://:p@h:1/0?cacert=/a%20b/c@.pem&cert=/x&key=/y", &u, &err), 0);
	assert_string_equal(u.cacert, "/a b/c@.pem");
	assert_string_equal(u.cert, "/x");
	assert_string_equal(u.key, "/y");
	assert_string_equal(u.host, "h");
	assert_false(u.no_verify);
	redis_url_done(&u);
	assert_int_equal(redis_url_parse("rediss://h?cacert=/a&cacert=/b&verify=no", &u, &err), 0);
	assert_string_equal(u.cacert, "/b");
	assert_true(u.no_verify);
	redis_url_done(&u);
}

static void redis_url_parse__bad_urls__say_why_and_never_the_password(void **state)
{
	(void)state;
	static const struct {
		const char *url, *why;
	} cases[] = {
	    {"", "begins with none of"},
	    {"localhost:6379", "begins with none of"},
	    {"http://localhost", "begins with none of"},
	    {"redis://", "has no host"},
	    {"redis://:sesame@", "has no host"},
	    {"redis://:sesame@:6379", "has no host"},
	    {"redis://sesame@host", "no ':' and password"},
	    {"redis://sesame:@host", "has a user without a password"},
	    {"redis://:ses%ame@host", "has a '%' that is not followed by two hex digits"},
	    {"redis://:sesame%4@host", "has a '%' that is not followed by two hex digits"},
	    {"redis://:sesame%00@host", "has a '%' that is not followed by two hex digits"},
	    {"redis://host:port", "has a port that is not a number"},
	    {"redis://host:0", "has a port that is not a number"},
	    {"redis://host:65536", "has a port that is not a number"},
	    {"redis://host:", "has a port that is not a number"},
	    {"redis://[::1", "has a '[' without ']'"},
	    {"redis://[::1]x", "has a port that is not a number"},
	    {"redis://host/one", "has a database that is not a number"},
	    {"redis://host/-1", "has a database that is not a number"},
	    {"redis://host/99999999999", "has a database that is not a number"},
	    {"redis://host?db=x", "has a database that is not a number"},
	    {"redis://host?cacert=/x", "has options of TLS, but is not rediss://"},
	    {"rediss://host?cert=/x", "has only one of 'cert' and 'key'"},
	    {"rediss://host?verify=maybe", "has a 'verify' that is neither yes nor no"},
	    {"rediss://host?verify", "has an option without '='"},
	    {"rediss://host?timeout=3", "has an unknown option 'timeout'"},
	    {"unix://relative/path", "has no absolute path of a socket"},
	    {"unix://:sesame@relative", "has no absolute path of a socket"},
	    {"unix:///", "has no absolute path of a socket"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct redis_url u = {.port = 77};
		struct err err = ERR_INIT;
		if (redis_url_parse(cases[i].url, &u, &err) == 0)
			fail_msg("%s was taken", cases[i].url);
		assert_int_equal(err.code, ERR_CONFIG);
		if (strstr(err.msg, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].url, err.msg);
		assert_null(strstr(err.msg, "sesame"));
		assert_true(err.hint[0] != '\0');
		assert_int_equal(u.port, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redis_url_parse__good_urls__are_taken_apart),
	    cmocka_unit_test(redis_url_parse__tls_options__are_kept),
	    cmocka_unit_test(redis_url_parse__bad_urls__say_why_and_never_the_password),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

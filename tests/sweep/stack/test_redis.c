/* One visit to a server, from connect to the end of the stream: its answers are cut at every byte,
 * and the visit is cancelled at every answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis.h"
#include "tests/support/fake_redis.h"

#define MARK   "0123456789012345678901234567890123456789"
#define SERVER "redis_version:7.0.15\r\nrun_id:0123456789abcdef0123\r\nrole:master\r\n"
#define DATA                                                                                       \
	"loading:0\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\ndb0:keys=1,"        \
	"expires=0\r\n"

/* How often each rule has answered is kept in it, so every visit gets its own. */
static const struct fake_rule script[] = {
    {.request = "AUTH", .reply = "+OK\r\n"},
    {.request = "INFO server", .reply = SERVER, .bulk = 1},
    {.request = "SELECT", .reply = "+OK\r\n"},
    {.request = "CONFIG GET *",
     .reply = "*4\r\n$3\r\ndir\r\n$5\r\n/data\r\n$11\r\nrequirepass\r\n$1\r\nx\r\n"},
    {.request = "INFO modules", .reply = "module:name=bf,ver=1\r\n", .bulk = 1},
    {.request = "ACL USERS", .reply = "*2\r\n$7\r\ndefault\r\n$4\r\nshop\r\n"},
    {.request = "TIME", .reply = "*2\r\n$4\r\n1000\r\n$6\r\n500000\r\n"},
    {.request = "INFO", .reply = SERVER DATA "rdb_last_save_time:900\r\n", .bulk = 1, .times = 2},
    {.request = "INFO", .reply = SERVER DATA "rdb_last_save_time:1000\r\n", .bulk = 1},
    {.request = "BGSAVE", .reply = "+Background saving started\r\n"},
    {.request = "CONFIG GET dir", .reply = "*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n"},
    {.request = "CONFIG GET dbf", .reply = "*2\r\n$10\r\ndbfilename\r\n$5\r\nd.rdb\r\n"},
    {.request = "REPLCONF", .reply = "+OK\r\n"},
    {.request = "SYNC", .reply = "\n\n$EOF:" MARK "\r\nREDIS0011, say" MARK},
};
enum { RULES = sizeof script / sizeof *script };

static int whole_stream(struct redisdoor *r, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	uint8_t block[64];
	size_t n = 1, total = 0;
	if (redisdoor_stream(r, 20000, &from, err) < 0)
		return -1;
	for (; n > 0; total += n)
		if (source_read(from, block, sizeof block, &n, err) < 0)
			return -1;
	assert_int_equal(total, strlen("REDIS0011, say"));
	return 0;
}

static int visit(const char *url, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	CLEANUP(json_freep) json_t *j = NULL;
	struct redis_save save;
	if (redisdoor_connect(&(struct redis_opts){.url = url}, &r, err) < 0 ||
	    redisdoor_describe(r, &j, err) < 0 ||
	    redisdoor_bgsave(r, deadline_in(20000), &save, err) < 0)
		return -1;
	assert_string_equal(save.path, "/data/d.rdb");
	return whole_stream(r, err);
}

/* The url with a password and a database, so that AUTH and SELECT are part of it. */
static int visit_fake(size_t cut_after, unsigned call_at, struct fake_redis *f, struct err *err)
{
	struct fake_rule rules[RULES];
	char url[96];
	memcpy(rules, script, sizeof rules);
	fake_redis_start(f, rules, RULES);
	f->cut_after = cut_after;
	f->call_at = call_at;
	f->call = cancel_release;
	snprintf(url, sizeof url, "redis://:pw@%.*s/3", (int)(strrchr(f->url, '/') - f->url - 8),
		 f->url + 8);
	int rc = visit(url, err);
	fake_redis_stop(f);
	return rc;
}

static void redisdoor__answers_cut_at_every_byte__is_an_error(void **state)
{
	(void)state;
	struct fake_redis f;
	struct err err = ERR_INIT;
	if (visit_fake(0, 0, &f, &err) < 0)
		fail_msg("%s", err.msg);
	size_t whole = f.sent;
	assert_true(whole > 500);
	for (size_t cut = 1; cut < whole; cut++) {
		err_clear(&err);
		assert_int_equal(visit_fake(cut, 0, &f, &err), -1);
		if (err.code != ERR_UNREACHABLE && err.code != ERR_CORRUPT)
			fail_msg("cut after %zu: %s: %s", cut, err_code_name(err.code), err.msg);
	}
}

static void redisdoor__cancelled_at_every_answer__ends(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(cancel_install(&err), 0);
	cancel_hold();
	cancel_request(15);
	unsigned cancelled = 0;
	for (unsigned nth = 1; nth < 50; nth++) {
		struct fake_redis f;
		err_clear(&err);
		int rc = visit_fake(0, nth, &f, &err);
		if (f.answers < nth) {
			assert_int_equal(rc, 0);
			break;
		}
		cancel_hold();
		if (rc < 0) {
			assert_int_equal(err.code, ERR_CANCELLED);
			cancelled++;
		}
	}
	assert_true(cancelled >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor__answers_cut_at_every_byte__is_an_error),
	    cmocka_unit_test(redisdoor__cancelled_at_every_answer__ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

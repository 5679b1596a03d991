/* The door against a server that says what real ones say only now and then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis.h"
#include "tests/support/fake_redis.h"

#define HELLO                                                                                      \
	{                                                                                          \
		.request = "INFO server", .reply = "redis_version:7.0.15\r\n" RUN_ID, .bulk = 1    \
	}
#define RUN_ID       "run_id:0123456789abcdef0123\r\n"
#define MARK         "0123456789012345678901234567890123456789"
#define COUNT(rules) (sizeof(rules) / sizeof *(rules))

static struct redisdoor *open_fake(const struct fake_redis *f)
{
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	if (redisdoor_connect(&(struct redis_opts){.url = f->url, .connect_timeout_ms = 5000}, &r,
			      &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static void refuse(struct fake_rule *rules, size_t count, int64_t timeout_ms, enum err_code code,
		   const char *msg, const char *hint)
{
	struct fake_redis f;
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	fake_redis_start(&f, rules, count);
	assert_int_equal(
	    redisdoor_connect(&(struct redis_opts){.url = f.url, .connect_timeout_ms = timeout_ms},
			      &r, &err),
	    -1);
	fake_redis_stop(&f);
	if (err.code != code || strstr(err.msg, msg) == NULL || strstr(err.hint, hint) == NULL)
		fail_msg("%s: %s / %s", err_code_name(err.code), err.msg, err.hint);
}

static void redisdoor_connect__odd_servers__are_told(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		int hang_up;
		enum err_code code;
		const char *msg, *hint;
	} cases[] = {
	    {"HTTP/1.1 400 Bad Request\r\n", 0, ERR_UNREACHABLE, "does not speak the protocol",
	     "port"},
	    {"", 1, ERR_UNREACHABLE, "closed the connection", "rediss://"},
	    {"$100\r\nhalf", 1, ERR_UNREACHABLE, "closed the connection", "rediss://"},
	    {":12\r\n", 0, ERR_UNREACHABLE, "is not Redis", ""},
	    {"-DENIED Redis is running in protected mode\r\n", 0, ERR_DENIED, "protected mode",
	     "Set a password"},
	    {"-ERR max number of clients reached\r\n", 0, ERR_UNREACHABLE, "max number",
	     "maxclients"},
	    {"-LOADING Redis is loading\r\n", 0, ERR_FAILED, "LOADING", "try again"},
	    {"-ERR with\ttabs\r\n", 0, ERR_FAILED, "refused INFO: ERR with?tabs", ""},
	    {"$21\r\nredis_mode:sentinel\r\n\r\n", 0, ERR_CONFIG, "is a Sentinel",
	     "that it watches"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fake_rule rules[] = {
		    {.request = "INFO", .reply = cases[i].reply, .hang_up = cases[i].hang_up}};
		refuse(rules, 1, 5000, cases[i].code, cases[i].msg, cases[i].hint);
	}
}

static void redisdoor_connect__silence__is_unreachable(void **state)
{
	(void)state;
	struct fake_rule rules[] = {{.request = "INFO", .reply = ""}};
	refuse(rules, 1, 100, ERR_UNREACHABLE,
	       "it accepts connections: Redis at '127.0.0.1:", "rediss://");
}

static void redisdoor_connect__right_is_missing__is_still_a_door(void **state)
{
	(void)state;
	struct fake_rule rules[] = {{.request = "INFO", .reply = "-NOPERM no right\r\n"},
				    {.request = "PING", .reply = "+PONG\r\n", .piece = 1}};
	struct fake_redis f;
	struct err err = ERR_INIT;
	fake_redis_start(&f, rules, COUNT(rules));
	struct redisdoor *r = open_fake(&f);
	char *text = NULL;
	assert_int_equal(redisdoor_command(r, &text, &err, 1, (const char *const[]){"PING"}), 0);
	assert_string_equal(text, "PONG");
	free(text);
	assert_int_equal(redisdoor_info(r, "server", "run_id", &text, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	redisdoor_free(r);
	fake_redis_stop(&f);
}

static void redisdoor_command__too_many_words__is_refused(void **state)
{
	(void)state;
	struct fake_rule rules[] = {HELLO};
	struct fake_redis f;
	struct err err = ERR_INIT;
	const char *const argv[40] = {0};
	char *text;
	fake_redis_start(&f, rules, COUNT(rules));
	struct redisdoor *r = open_fake(&f);
	assert_int_equal(redisdoor_command(r, &text, &err, 40, argv), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	redisdoor_free(r);
	fake_redis_stop(&f);
}

/* ---- saves ---- */

/* What INFO says, by what matters for a save; the clock stands at second 1000. */
static char *info(const char *run_id, int in_progress, const char *status, int last_save,
		  char out[512])
{
	snprintf(out, 512,
		 "%sloading:0\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_bgsave_status:%s\r\n"
		 "rdb_last_save_time:%d\r\naof_rewrite_in_progress:0\r\n"
		 "db0:keys=7,expires=1\r\ndb3:keys=5,expires=0\r\n",
		 run_id, in_progress, status, last_save);
	return out;
}

#define TIME                                                                                       \
	{                                                                                          \
		.request = "TIME", .reply = "*2\r\n$4\r\n1000\r\n$6\r\n500000\r\n"                 \
	}
#define DIR                                                                                        \
	{                                                                                          \
		.request = "CONFIG GET dir", .reply = "*2\r\n$3\r\ndir\r\n$1\r\n/\r\n"             \
	}
#define FILENAME                                                                                   \
	{                                                                                          \
		.request = "CONFIG GET dbfilename",                                                \
		.reply = "*2\r\n$10\r\ndbfilename\r\n$5\r\nd.rdb\r\n"                              \
	}

/* Runs a save against the rules. */
static int save(struct fake_rule *rules, size_t count, int64_t ms, struct redis_save *ret,
		struct err *err, struct fake_redis *f)
{
	fake_redis_start(f, rules, count);
	struct redisdoor *r = open_fake(f);
	int rc = redisdoor_bgsave(r, deadline_in(ms), ret, err);
	redisdoor_free(r);
	fake_redis_stop(f);
	return rc;
}

static unsigned times_seen(const struct fake_redis *f, const char *request)
{
	unsigned n = 0;
	for (const char *p = f->seen; (p = strstr(p, request)) != NULL; p++)
		n++;
	return n;
}

static void redisdoor_bgsave__plain__is_proved(void **state)
{
	(void)state;
	char before[512], during[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 900, before), .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 1, "ok", 900, during), .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"},
	    TIME,
	    DIR,
	    FILENAME};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(got.path, "/d.rdb");
	assert_int_equal(got.began_s, 1000);
	assert_int_equal(got.dbsize_total, 12);
}

/* The clock has not left the second of the last save: nothing could be told apart in it. */
static void redisdoor_bgsave__same_second__waits_for_the_next(void **state)
{
	(void)state;
	char before[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    {.request = "TIME", .reply = "*2\r\n$3\r\n999\r\n$6\r\n999999\r\n", .times = 2},
	    TIME,
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 999, before), .times = 3},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(got.began_s, 1000);
	assert_string_equal(got.path, "");
	assert_int_equal(times_seen(&f, "TIME"), 3);
	assert_int_equal(times_seen(&f, "BGSAVE"), 1);
}

/* The server's own stamp on a file may still be of the second before. */
static void redisdoor_bgsave__second_just_begun__waits_for_its_clocks_to_agree(void **state)
{
	(void)state;
	char before[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    {.request = "TIME", .reply = "*2\r\n$4\r\n1000\r\n$5\r\n49999\r\n", .times = 2},
	    {.request = "TIME", .reply = "*2\r\n$4\r\n1000\r\n$5\r\n50000\r\n", .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 900, before), .times = 3},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(got.began_s, 1000);
	assert_int_equal(times_seen(&f, "TIME"), 3);
	assert_int_equal(times_seen(&f, "BGSAVE"), 1);
}

static void redisdoor_bgsave__clock_set_back__any_change_will_do(void **state)
{
	(void)state;
	char before[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    {.request = "INFO",
	     .bulk = 1,
	     .reply = info(RUN_ID, 0, "ok", 5000, before),
	     .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
}

static void redisdoor_bgsave__scheduled__idle_is_not_done(void **state)
{
	(void)state;
	char before[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 900, before), .times = 4},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving scheduled\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(times_seen(&f, "BGSAVE"), 1);
	assert_true(times_seen(&f, "INFO") >= 6);
}

static void redisdoor_bgsave__aborted_twice__is_begun_again(void **state)
{
	(void)state;
	char before[512], after[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    /* look, aborted, look, aborted, look, done */
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 900, before), .times = 5},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1000, after)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(times_seen(&f, "BGSAVE"), 3);
}

static void redisdoor_bgsave__time_runs_out__says_on_what(void **state)
{
	(void)state;
	char idle[512], busy[512];
	info(RUN_ID, 0, "ok", 900, idle);
	info(RUN_ID, 1, "ok", 900, busy);
	struct {
		const char *first, *then, *bgsave, *text;
		unsigned firsts;
	} cases[] = {
	    {busy, busy, "+x\r\n", "another save did not finish in time", 1},
	    {idle, busy, "-ERR Background save already in progress\r\n",
	     "another save or rewrite did not finish in time", 1},
	    {idle, busy, "+Background saving started\r\n", "BGSAVE did not finish in time", 1},
	    {idle, idle, "+Background saving started\r\n", "saves were aborted by the server", 1},
	    {idle, idle, "+Background saving scheduled\r\n", "BGSAVE did not finish in time", 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fake_rule rules[] = {HELLO,
					    TIME,
					    {.request = "INFO",
					     .bulk = 1,
					     .reply = cases[i].first,
					     .times = cases[i].firsts},
					    {.request = "INFO", .bulk = 1, .reply = cases[i].then},
					    {.request = "BGSAVE", .reply = cases[i].bgsave}};
		struct fake_redis f;
		struct redis_save got;
		struct err err = ERR_INIT;
		assert_int_equal(save(rules, COUNT(rules), 150, &got, &err, &f), -1);
		if (err.code != ERR_TIMEOUT || strstr(err.msg, cases[i].text) == NULL)
			fail_msg("%s", err.msg);
	}
}

static void redisdoor_bgsave__fork_fails__is_tried_twice_and_is_loud(void **state)
{
	(void)state;
	char before[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    DIR,
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "err", 900, before)},
	    {.request = "BGSAVE", .reply = "-ERR\r\n"},
	    {.request = "PING", .reply = "-MISCONF Redis is configured to save RDB snapshots\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	assert_int_equal(save(rules, COUNT(rules), 5000, &got, &err, &f), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "NOW REFUSES ALL WRITES (MISCONF)"));
	assert_int_equal(times_seen(&f, "BGSAVE"), 2);
	/* The setting that would hide it is the user's to change. */
	assert_int_equal(times_seen(&f, "CONFIG SET"), 0);
}

static void redisdoor_bgsave__failed_before__second_try_heals(void **state)
{
	(void)state;
	char failing[512], running[512], healed[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    {.request = "INFO",
	     .bulk = 1,
	     .reply = info(RUN_ID, 0, "err", 900, failing),
	     .times = 1},
	    {.request = "INFO",
	     .bulk = 1,
	     .reply = info(RUN_ID, 1, "err", 900, running),
	     .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = failing, .times = 2},
	    {.request = "INFO", .bulk = 1, .reply = running, .times = 1},
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 1001, healed)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	if (save(rules, COUNT(rules), 5000, &got, &err, &f) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(times_seen(&f, "BGSAVE"), 2);
}

static void redisdoor_bgsave__another_server_answers__is_a_failure(void **state)
{
	(void)state;
	char before[512], other[512];
	struct fake_rule rules[] = {
	    HELLO,
	    TIME,
	    {.request = "INFO", .bulk = 1, .reply = info(RUN_ID, 0, "ok", 900, before), .times = 1},
	    {.request = "INFO",
	     .bulk = 1,
	     .reply = info("run_id:another\r\n", 0, "ok", 1000, other)},
	    {.request = "BGSAVE", .reply = "+Background saving started\r\n"}};
	struct fake_redis f;
	struct redis_save got;
	struct err err = ERR_INIT;
	assert_int_equal(save(rules, COUNT(rules), 5000, &got, &err, &f), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "was restarted during the save"));
}

/* ---- what there is, what could go wrong ---- */

static void redisdoor_describe__lost_replica_of_a_cluster__says_what_is_missing(void **state)
{
	(void)state;
	struct fake_rule rules[] = {
	    {.request = "INFO server",
	     .reply =
		 "redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nserver_mode:cluster\r\n" RUN_ID,
	     .bulk = 1},
	    {.request = "INFO modules",
	     .reply = "# Modules\r\nmodule:name=bf,ver=1\r\nmodule:name=json,ver=2\r\n",
	     .bulk = 1},
	    {.request = "INFO",
	     .reply = "role:slave\r\nmaster_link_status:down\r\nused_memory:77\r\n"
		      "db_nonsense:1\r\ndb0:keys=3,expires=2,avg_ttl=1\r\ndb12:keys=4\r\n",
	     .bulk = 1},
	    {.request = "CONFIG", .reply = "-ERR unknown command 'CONFIG'\r\n"}};
	struct fake_redis f;
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(freep) char *text = NULL;
	fake_redis_start(&f, rules, COUNT(rules));
	struct redisdoor *r = open_fake(&f);
	if (redisdoor_describe(r, &j, &err) < 0)
		fail_msg("%s", err.msg);
	redisdoor_free(r);
	fake_redis_stop(&f);
	json_t *missing = json_object_get(j, "missing");
	assert_int_equal(json_array_size(missing), 3);
	assert_non_null(strstr(json_str_or(json_array_get(missing, 0), "why", ""),
			       "refused CONFIG GET: ERR unknown command"));
	json_object_del(j, "missing");
	assert_int_equal(json_text(j, false, &text, &err), 0);
	assert_string_equal(
	    text,
	    "{\"server\":\"valkey\",\"version\":\"9.1.2\",\"major\":9,\"run_id\":\"\","
	    "\"role\":\"slave\",\"mode\":\"cluster\",\"config_file\":\"\",\"executable\":\"\","
	    "\"config\":{},\"databases\":[{\"number\":0,\"keys\":3,\"expiring\":2},"
	    "{\"number\":12,\"keys\":4,\"expiring\":0}],\"persistence\":{\"used_memory\":77,"
	    "\"rdb_last_bgsave_status\":\"\",\"aof_last_bgrewrite_status\":\"\","
	    "\"aof_last_write_status\":\"\"},\"modules\":[\"bf\",\"json\"]}");
}

static void redisdoor_risk__states_of_a_server__are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *info;
		uint64_t free_bytes;
		const char *bgsave, *stream;
	} cases[] = {
	    {"loading:0\r\nrdb_last_bgsave_status:ok\r\nused_memory_dataset:1048576\r\n", 2 << 20,
	     NULL, NULL},
	    {"loading:0\r\nused_memory_dataset:10485760\r\n", 11 << 20,
	     "11 MiB are free under '/', and a save may need 12 MiB", "11 MiB are free under '/'"},
	    {"loading:0\r\nused_memory_dataset:10485760\r\n", UINT64_MAX, NULL, NULL},
	    {"loading:1\r\n", UINT64_MAX, "still loading", NULL},
	    {"rdb_last_bgsave_status:err\r\n", UINT64_MAX, "last save failed", NULL},
	    {"used_memory_rss:9437184\r\ntotal_system_memory:10485760\r\n", UINT64_MAX, NULL, NULL},
	    {"used_memory_rss:9437185\r\ntotal_system_memory:10485760\r\n", UINT64_MAX,
	     "the server uses 9 of 10 MiB of memory", NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake_rule rules[] = {
		    HELLO,
		    DIR,
		    {.request = "CONFIG GET repl-diskless-sync",
		     .reply = "*2\r\n$18\r\nrepl-diskless-sync\r\n$2\r\nno\r\n"},
		    {.request = "INFO", .reply = cases[i].info, .bulk = 1}};
		struct fake_redis f;
		struct err err = ERR_INIT;
		fake_redis_start(&f, rules, COUNT(rules));
		struct redisdoor *r = open_fake(&f);
		for (int stream = 0; stream < 2; stream++) {
			const char *got = "", *want = stream ? cases[i].stream : cases[i].bgsave;
			int rc = stream ? redisdoor_stream_risk(r, cases[i].free_bytes, &got, &err)
					: redisdoor_bgsave_risk(r, cases[i].free_bytes, &got, &err);
			assert_int_equal(rc, 0);
			if ((got == NULL) != (want == NULL) ||
			    (want != NULL && strstr(got, want) == NULL))
				fail_msg("case %zu: %s", i, got != NULL ? got : "no risk");
		}
		redisdoor_free(r);
		fake_redis_stop(&f);
	}
}

/* ---- the stream ---- */

enum { PATIENT_MS = 10000 };
static const char *const payload = "REDIS0011 anything\r\n$5\r\n";

/* SYNC answered by `reply`; everything that comes goes into `out`. Silence for `idle_ms` ends it.
 */
static int sync_with(const char *reply, size_t piece, int hang_up, size_t cap, unsigned idle_ms,
		     struct buf *out, struct err *err)
{
	struct fake_rule rules[] = {
	    HELLO,
	    {.request = "REPLCONF rdb-only", .reply = "-ERR Unrecognized REPLCONF option\r\n"},
	    {.request = "REPLCONF", .reply = "+OK\r\n"},
	    {.request = "SYNC", .reply = reply, .piece = piece, .hang_up = hang_up}};
	struct fake_redis f;
	struct source *from = NULL;
	fake_redis_start(&f, rules, COUNT(rules));
	struct redisdoor *r = open_fake(&f);
	int rc = redisdoor_stream(r, idle_ms, &from, err);
	uint8_t block[4096];
	size_t n = 1;
	while (rc == 0 && n > 0) {
		rc = source_read(from, block, cap, &n, err);
		if (rc == 0)
			assert_int_equal(buf_append(out, block, n, err), 0);
	}
	source_free(from);
	redisdoor_free(r);
	fake_redis_stop(&f);
	assert_non_null(strstr(f.seen, "REPLCONF version 7.0.15\nREPLCONF capa eof\n"
				       "REPLCONF rdb-only 1\nSYNC\n"));
	return rc;
}

static void redisdoor_stream__both_forms_in_all_pieces__are_whole(void **state)
{
	(void)state;
	char by_length[512], by_mark[512], empty_mark[128];
	snprintf(by_length, sizeof by_length, "\n\n\n$%zu\r\n%sand commands", strlen(payload),
		 payload);
	snprintf(by_mark, sizeof by_mark, "\n\n$EOF:%s\r\n%s%.39s%s", MARK, payload, MARK, MARK);
	snprintf(empty_mark, sizeof empty_mark, "$EOF:%s\r\n%s", MARK, MARK);
	const size_t pieces[] = {0, 1, 39, 40, 41}, caps[] = {1, 4096};
	for (size_t p = 0; p < COUNT(pieces); p++) {
		for (size_t c = 0; c < COUNT(caps); c++) {
			struct err err = ERR_INIT;
			struct buf out;
			buf_init(&out, 4096);
			if (sync_with(by_length, pieces[p], 0, caps[c], PATIENT_MS, &out, &err) < 0)
				fail_msg("%s", err.msg);
			assert_string_equal(buf_text(&out), payload);
			buf_reset(&out);
			if (sync_with(by_mark, pieces[p], 0, caps[c], PATIENT_MS, &out, &err) < 0)
				fail_msg("%s", err.msg);
			assert_int_equal(out.len, strlen(payload) + 39);
			assert_memory_equal(out.data, payload, strlen(payload));
			buf_done(&out);
		}
	}
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sync_with(empty_mark, 0, 0, 100, PATIENT_MS, &out, &err), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(sync_with("$0\r\n", 0, 0, 100, PATIENT_MS, &out, &err), 0);
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

static void redisdoor_stream__odd_answers__are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		int hang_up;
		enum err_code code;
		const char *text;
	} cases[] = {
	    {"\n\n-ERR BGSAVE failed, replication can't continue\r\n", 0, ERR_FAILED,
	     "refused SYNC: ERR BGSAVE failed, replication can't continue"},
	    {"-NOPERM this user has no permissions to run the 'sync' command\r\n", 0, ERR_DENIED,
	     "refused SYNC: NOPERM"},
	    {"-NOMASTERLINK Can't SYNC while not connected with my master\r\n", 0, ERR_FAILED,
	     "NOMASTERLINK"},
	    {"+OK\r\n", 0, ERR_FAILED, "answers SYNC with no RDB"},
	    {"$\r\n", 0, ERR_FAILED, "promises a stream of no length"},
	    {"$-1\r\n", 0, ERR_FAILED, "promises a stream of no length"},
	    {"$99999999999999999999999\r\n", 0, ERR_FAILED, "promises a stream of no length"},
	    {"$EOF:0123\r\n", 0, ERR_FAILED, "promises an end mark of 4 bytes"},
	    {"\n\n\n", 1, ERR_CORRUPT, "closed the stream before it began"},
	    {"$10\r\nREDIS", 1, ERR_CORRUPT, "closed the stream too early, after 5 bytes"},
	    {"$EOF:" MARK "\r\nREDIS" MARK "x", 1, ERR_CORRUPT,
	     "closed the stream without its end mark, after 6 bytes"},
	    {"$EOF:" MARK "\r\nREDIS", 1, ERR_CORRUPT, "without its end mark, after 0 bytes"},
	    {"$10\r\nREDIS", 0, ERR_TIMEOUT, "sent nothing for 0 s"},
	    {"\n", 0, ERR_TIMEOUT, "sent nothing for 0 s"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct buf out;
		buf_init(&out, 4096);
		assert_int_equal(
		    sync_with(cases[i].reply, 0, cases[i].hang_up, 4096, 100, &out, &err), -1);
		if (err.code != cases[i].code || strstr(err.msg, cases[i].text) == NULL)
			fail_msg("case %zu: %s: %s", i, err_code_name(err.code), err.msg);
		buf_done(&out);
	}
	/* A line without end is not waited for for ever. */
	char endless[700];
	memset(endless, 'x', sizeof endless);
	endless[sizeof endless - 1] = '\0';
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sync_with(endless, 0, 0, 4096, 100, &out, &err), -1);
	assert_non_null(strstr(err.msg, "answers SYNC with no RDB"));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor_connect__odd_servers__are_told),
	    cmocka_unit_test(redisdoor_connect__silence__is_unreachable),
	    cmocka_unit_test(redisdoor_connect__right_is_missing__is_still_a_door),
	    cmocka_unit_test(redisdoor_command__too_many_words__is_refused),
	    cmocka_unit_test(redisdoor_bgsave__plain__is_proved),
	    cmocka_unit_test(redisdoor_bgsave__same_second__waits_for_the_next),
	    cmocka_unit_test(redisdoor_bgsave__second_just_begun__waits_for_its_clocks_to_agree),
	    cmocka_unit_test(redisdoor_bgsave__clock_set_back__any_change_will_do),
	    cmocka_unit_test(redisdoor_bgsave__scheduled__idle_is_not_done),
	    cmocka_unit_test(redisdoor_bgsave__aborted_twice__is_begun_again),
	    cmocka_unit_test(redisdoor_bgsave__time_runs_out__says_on_what),
	    cmocka_unit_test(redisdoor_bgsave__fork_fails__is_tried_twice_and_is_loud),
	    cmocka_unit_test(redisdoor_bgsave__failed_before__second_try_heals),
	    cmocka_unit_test(redisdoor_bgsave__another_server_answers__is_a_failure),
	    cmocka_unit_test(redisdoor_describe__lost_replica_of_a_cluster__says_what_is_missing),
	    cmocka_unit_test(redisdoor_risk__states_of_a_server__are_judged),
	    cmocka_unit_test(redisdoor_stream__both_forms_in_all_pieces__are_whole),
	    cmocka_unit_test(redisdoor_stream__odd_answers__are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Dumps of the server of this machine: its counts, its check tool's and ours; and ten thousand
 * kinds of damage. */
#include "tests/support/redis_ask.h"

#include "base/file.h"
#include "tests/support/rdb_mutate.h"

enum { MUTANTS = 10000 };

/* Words of a request, by blanks. */
static void tell(struct redisdoor *r, const char *request)
{
	char words[512];
	const char *argv[32];
	int argc = 0;
	snprintf(words, sizeof words, "%s", request);
	for (char *w = words; *w != '\0' && argc < 32;) {
		argv[argc++] = w;
		w += strcspn(w, " ");
		if (*w == ' ')
			*w++ = '\0';
	}
	struct err err = ERR_INIT;
	char *text = NULL;
	if (redisdoor_command(r, &text, &err, argc, argv) < 0)
		fail_msg("%s: %s", request, err.msg);
	free(text);
}

static void fill(struct redisdoor *r)
{
	static const char *const requests[] = {
	    "SELECT 0",
	    "SET number 12345",
	    "SET negative -7",
	    "SETRANGE zeros 3000 end",
	    "RPUSH list a b c 1 2 3",
	    "SADD numbers 1 2 3 70000 5000000000",
	    "SADD words a b c",
	    "HSET hash a 1 b 2",
	    "ZADD zset 1.5 a -inf b inf c",
	    "XGROUP CREATE empty g $ MKSTREAM",
	    "XADD stream 1-1 a 1 b 2",
	    "XADD stream 2-1 a 3 b 4",
	    "XADD stream 3-1 c 5",
	    "XGROUP CREATE stream g 0",
	    "XGROUP CREATE stream h 0",
	    "XREADGROUP GROUP g alice COUNT 1 STREAMS stream >",
	    "XREADGROUP GROUP g bob COUNT 1 STREAMS stream >",
	    "XACK stream g 1-1",
	    "XDEL stream 2-1",
	    "PFADD hll a b c d",
	    "SELECT 3",
	    "SETEX later 100000 v",
	    "SET soon v PX 1",
	    "SET stays v",
	    "SELECT 15",
	    "SETBIT bits 40000 1",
	    "EXPIRE bits 100000",
	    "CONFIG SET hash-max-listpack-entries 1",
	    "CONFIG SET zset-max-listpack-entries 1",
	    "CONFIG SET set-max-intset-entries 1",
	    "HSET hash a 1 b 2 c 3",
	    "ZADD zset 1 a 2 b 3 c",
	    "SADD set 1 2 3",
	};
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		tell(r, requests[i]);
	do_it(r, "FUNCTION", "LOAD",
	      "#!lua name=lib\nredis.register_function('f', function() return 1 end)", NULL);
}

static void feed(const uint8_t *data, size_t len, const struct rdb_opts *opts, struct rdb **ret,
		 bool *ret_accepted)
{
	struct err err = ERR_INIT;
	CLEANUP(sink_freep) struct sink *to = NULL;
	assert_int_equal(rdb_new(opts, ret, &err), 0);
	assert_int_equal(rdb_sink(*ret, &to, &err), 0);
	*ret_accepted = sink_write(to, data, len, &err) == 0 && sink_close(to, &err) == 0;
	assert_int_equal(rdb_summary(*ret)->complete, *ret_accepted);
}

/* What redis-check-rdb says of "keys read", "expires" or "already expired". */
static uint64_t checked(const struct buf *out, const char *what)
{
	const char *at = strstr(buf_text(out), what);
	assert_non_null(at);
	while (at[-1] != ']')
		at--;
	return strtoull(at, NULL, 10);
}

static void check_tool_agrees(const char *path, uint64_t keys, uint64_t expiring, uint64_t expired)
{
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 1 << 16);
	const char *const check[] = {"redis-check-rdb", path, NULL};
	if (child_run(&(struct child_opts){.argv = check}, &out, deadline_in(60000), &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(checked(&out, " keys read"), keys);
	assert_int_equal(checked(&out, " expires"), expiring);
	assert_int_equal(checked(&out, " already expired"), expired);
	buf_done(&out);
}

static void rdb__dump_of_the_server__is_counted_alike_and_no_damage_passes(void **state)
{
	(void)state;
	struct live_redis l;
	struct err err = ERR_INIT;
	struct redis_save save;
	live_redis_start(&l, (const char *const[]){"--enable-debug-command", "yes", NULL});
	struct redisdoor *r = open_url(l.url);
	do_it(r, "DEBUG", "SET-ACTIVE-EXPIRE", "0", NULL);
	fill(r);
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);

	struct buf file;
	buf_init(&file, 1 << 20);
	assert_int_equal(file_read_all(save.path, &file, &err), 0);
	const struct rdb_opts opts = {.need_checksum = true, .expired_at_ms = {clock_wall_ms()}};
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	bool accepted;
	feed(file.data, file.len, &opts, &rdb, &accepted);
	assert_true(accepted);
	const struct rdb_summary *s = rdb_summary(rdb);
	assert_true(s->counted && s->crc_checked && s->created_s >= save.began_s);
	assert_int_equal(s->functions, 1);
	uint64_t keys = 0, expiring = 0, expired = 0;
	for (size_t i = 0; i < s->databases; i++) {
		const struct rdb_database *db = &s->db[i];
		uint64_t n;
		assert_int_equal(redisdoor_dbsize(r, db->number, &n, &err), 0);
		assert_int_equal(db->keys, n);
		assert_true(db->hinted);
		assert_int_equal(db->hint_keys, db->keys);
		assert_int_equal(db->hint_expiring, db->expiring);
		keys += db->keys;
		expiring += db->expiring;
		expired += db->expired[0];
	}
	assert_int_equal(save.dbsize_total, keys);
	assert_int_equal(expired, 1);
	check_tool_agrees(save.path, keys, expiring, expired);

	uint8_t *mutant = malloc(file.len + RDB_MUTATE_ROOM);
	assert_non_null(mutant);
	for (uint64_t seed = 0; seed < MUTANTS; seed++) {
		memcpy(mutant, file.data, file.len);
		size_t len = rdb_mutate(mutant, file.len, seed);
		bool changed = len != file.len || memcmp(mutant, file.data, len) != 0;
		CLEANUP(rdb_freep) struct rdb *of_mutant = NULL;
		feed(mutant, len, &opts, &of_mutant, &accepted);
		if (accepted && changed)
			fail_msg("seed %llu was accepted", (unsigned long long)seed);
	}
	free(mutant);
	buf_done(&file);
	redisdoor_free(r);
	live_redis_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rdb__dump_of_the_server__is_counted_alike_and_no_damage_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

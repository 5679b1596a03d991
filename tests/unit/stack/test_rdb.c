#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "stack/redis/rdb.h"
#include "tests/support/rdb_build.h"

enum { MAX_FILE = 1 << 22 };

static int setup(void **state)
{
	static struct buf b;
	buf_init(&b, MAX_FILE);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	buf_done(*state);
	return 0;
}

/* Feeds `len` bytes in blocks and closes. */
static int feed(const struct rdb_opts *opts, const void *data, size_t len, size_t block,
		struct rdb **ret, struct err *err)
{
	assert_int_equal(rdb_new(opts, ret, err), 0);
	CLEANUP(sink_freep) struct sink *s = NULL;
	assert_int_equal(rdb_sink(*ret, &s, err), 0);
	const uint8_t *p = data;
	for (size_t at = 0; at < len; at += block)
		if (sink_write(s, p + at, len - at < block ? len - at : block, err) < 0)
			return -1;
	return sink_close(s, err);
}

static void accept_blocks(const struct buf *b, const struct rdb_opts *opts, size_t block,
			  struct rdb **ret)
{
	struct err err = ERR_INIT;
	if (feed(opts, b->data, b->len, block, ret, &err) < 0)
		fail_msg("blocks of %zu: %s", block, err.msg);
	assert_true(rdb_summary(*ret)->complete);
	assert_int_equal(rdb_summary(*ret)->bytes, b->len);
}

static void reject(const struct buf *b, const struct rdb_opts *opts, enum err_code code,
		   const char *text)
{
	const size_t blocks[] = {1, 7, MAX_FILE};
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(rdb_freep) struct rdb *r = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(feed(opts, b->data, b->len, blocks[i], &r, &err), -1);
		assert_int_equal(err.code, code);
		if (strstr(err.msg, text) == NULL)
			fail_msg("'%s' is not in '%s'", text, err.msg);
		assert_false(rdb_summary(r)->complete);
	}
}

static void crc64__known_vectors__match(void **state)
{
	(void)state;
	assert_true(rdb_crc64(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
	uint8_t data[300];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof data; len++) {
		assert_true(rdb_crc64(0, data, len) == rb_crc64(data, len));
		uint64_t head = rdb_crc64(0, data, len);
		assert_true(rdb_crc64(head, data + len, sizeof data - len) ==
			    rb_crc64(data, sizeof data));
	}
}

static void rdb__every_record__is_counted(void **state)
{
	struct buf *b = *state;
	const char *const magics[] = {"REDIS0005", "REDIS0009", "REDIS0012", "VALKEY080"};
	for (size_t m = 0; m < 4; m++) {
		unsigned keys;
		rb_everything(b, magics[m], &keys);
		const struct rdb_opts opts = {.expired_at_ms = {1700000000000, 1700000000001},
					      .need_checksum = true};
		for (size_t block = 1; block < 40; block++) {
			CLEANUP(rdb_freep) struct rdb *r = NULL;
			accept_blocks(b, &opts, block == 39 ? MAX_FILE : block, &r);
			const struct rdb_summary *s = rdb_summary(r);
			assert_string_equal(s->magic, magics[m]);
			assert_string_equal(s->redis_version, m == 3 ? "9.1.2" : "8.0.6");
			assert_int_equal(s->created_s, 1700000000);
			assert_true(s->counted && s->crc_checked && s->has_modules);
			assert_true(s->crc64 == rb_crc64(b->data, b->len - 8));
			assert_int_equal(s->functions, 1);
			assert_int_equal(s->databases, 3);
			assert_int_equal(s->db[0].number, 0);
			assert_int_equal(s->db[0].keys, keys - 5);
			assert_false(s->db[0].hinted);
			assert_int_equal(s->db[1].number, 2);
			assert_int_equal(s->db[1].keys, 4);
			assert_int_equal(s->db[1].expiring, 3);
			assert_int_equal(s->db[1].expired[0], 2);
			assert_int_equal(s->db[1].expired[1], 3);
			assert_true(s->db[1].hinted);
			assert_int_equal(s->db[1].hint_keys, 4);
			assert_int_equal(s->db[1].hint_expiring, 3);
			assert_int_equal(s->db[2].number, 9);
			assert_int_equal(s->db[2].keys, 1);
		}
	}
}

static void rdb__each_type_alone__is_one_key(void **state)
{
	struct buf *b = *state;
	for (int valkey = 0; valkey < 2; valkey++) {
		for (unsigned type = 0; type <= 25; type++) {
			if (type == 6 || type == 8 || (valkey && type > 22))
				continue;
			rb_start(b, valkey ? "VALKEY080" : "REDIS0012");
			rb_key(b, type, "key");
			rb_value(b, type, valkey);
			rb_end(b);
			CLEANUP(rdb_freep) struct rdb *r = NULL;
			accept_blocks(b, NULL, 5, &r);
			assert_true(rdb_summary(r)->counted);
			assert_int_equal(rdb_summary(r)->databases, 1);
			assert_int_equal(rdb_summary(r)->db[0].number, 0);
			assert_int_equal(rdb_summary(r)->db[0].keys, 1);
		}
	}
}

/* The fields of all hashes with times expire at 1700000000000, as far as the file says when. */
static void rdb__fields_expire__hash_may_go_with_them(void **state)
{
	struct buf *b = *state;
	const struct {
		unsigned type;
		int valkey, before, after;
	} cases[] = {{4, 0, 0, 0},  {16, 0, 0, 0}, {22, 0, 1, 1}, {23, 0, 1, 1},
		     {24, 0, 0, 1}, {25, 0, 0, 1}, {22, 1, 1, 1}};
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		unsigned type = cases[i / 2].type;
		int valkey = cases[i / 2].valkey;
		int hollow = i % 2 == 0 ? cases[i / 2].before : cases[i / 2].after;
		const struct rdb_opts opts = {
		    .expired_at_ms = {1, 1699999999999 + (int64_t)(i % 2)}};
		rb_start(b, valkey ? "VALKEY080" : "REDIS0012");
		rb_key(b, type, "lasts");
		rb_value(b, type, valkey);
		rb_byte(b, 252);
		rb_u64(b, 1800000000000);
		rb_key(b, type, "expires");
		rb_value(b, type, valkey);
		rb_end(b);
		CLEANUP(rdb_freep) struct rdb *r = NULL;
		accept_blocks(b, &opts, 5, &r);
		const struct rdb_database *db = &rdb_summary(r)->db[0];
		assert_int_equal(db->keys, 2);
		assert_int_equal(db->expiring, 1);
		assert_int_equal(db->hollow, hollow);
		assert_int_equal(db->expired[0], 0);
		assert_int_equal(db->expired[1], hollow);
	}
}

static void rdb__no_keys__is_complete(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	rb_end(b);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 1, &r);
	assert_int_equal(rdb_summary(r)->databases, 0);
}

static void rdb__empty_collections__are_keys(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	const unsigned types[] = {1, 2, 3, 4, 5, 14, 18, 22};
	for (size_t i = 0; i < 8; i++) {
		rb_key(b, types[i], "");
		rb_len(b, 0);
	}
	rb_key(b, 21, "");
	for (int i = 0; i < 10; i++)
		rb_len(b, 0);
	rb_end(b);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 1, &r);
	assert_int_equal(rdb_summary(r)->db[0].keys, 9);
}

static void rdb__database_twice__is_added_up(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	for (int i = 0; i < 2; i++) {
		rb_select(b, 3);
		rb_resize(b, 1, 0);
		rb_key(b, 0, "k");
		rb_value(b, 0, 0);
		rb_select(b, 1);
	}
	rb_end(b);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 3, &r);
	assert_int_equal(rdb_summary(r)->databases, 2);
	assert_int_equal(rdb_summary(r)->db[0].keys, 2);
	assert_int_equal(rdb_summary(r)->db[0].hint_keys, 2);
	assert_int_equal(rdb_summary(r)->db[1].keys, 0);
}

static void rdb__lengths_in_every_form__are_read(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	const size_t lengths[] = {0, 1, 63, 64, 16383, 16384, 70000};
	for (size_t i = 0; i < 7; i++) {
		rb_key(b, 0, "k");
		rb_len(b, lengths[i]);
		rb_zeros(b, lengths[i]);
	}
	rb_key(b, 0, "64 bits although few would do");
	rb_byte(b, 0x81);
	for (unsigned i = 0; i < 8; i++)
		rb_byte(b, i == 7 ? 5 : 0);
	rb_zeros(b, 5);
	rb_end(b);
	const size_t blocks[] = {1, 2, 1000, MAX_FILE};
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(rdb_freep) struct rdb *r = NULL;
		accept_blocks(b, NULL, blocks[i], &r);
		assert_int_equal(rdb_summary(r)->db[0].keys, 8);
	}
}

static void rdb__length_of_2_63__is_cut_not_overflowed(void **state)
{
	struct buf *b = *state;
	const unsigned types[] = {0, 4, 21};
	for (size_t i = 0; i < 3; i++) {
		rb_start(b, "REDIS0011");
		rb_key(b, types[i], "k");
		rb_byte(b, 0x81);
		for (int k = 0; k < 8; k++)
			rb_byte(b, k == 0 ? 0x80 : 0xff);
		rb_zeros(b, 100);
		reject(b, NULL, ERR_CORRUPT, "in the middle of a record");
	}
}

static void rdb__unknown_type__is_not_counted_but_checked(void **state)
{
	struct buf *b = *state;
	const unsigned bytes[] = {6, 8, 26, 100, 242, 243, 246};
	for (size_t i = 0; i < 7; i++) {
		rb_start(b, "REDIS0013");
		rb_key(b, 0, "k");
		rb_value(b, 0, 0);
		size_t at = b->len;
		rb_byte(b, bytes[i]);
		rb_raw(b, "what nobody knows", 17);
		rb_end(b);
		for (size_t block = 1; block < 40; block++) {
			CLEANUP(rdb_freep) struct rdb *r = NULL;
			accept_blocks(b, NULL, block, &r);
			const struct rdb_summary *s = rdb_summary(r);
			assert_false(s->counted);
			assert_true(s->crc_checked);
			assert_int_equal(s->unknown_at, at);
			assert_int_equal(s->unknown_type, bytes[i]);
			assert_true(s->crc64 == rb_crc64(b->data, b->len - 8));
		}
		b->data[at + 3] ^= 1;
		reject(b, NULL, ERR_CORRUPT,
		       "opens nothing that is known: the RDB's checksum is wrong");
		b->data[at + 3] ^= 1;
		b->data[b->len - 9] = 0;
		rb_fix(b);
		reject(b, NULL, ERR_CORRUPT, "without its end mark and checksum");
	}
}

static void rdb__unknown_encodings__are_not_counted_but_checked(void **state)
{
	struct buf *b = *state;
	const unsigned bytes[] = {0x82, 0xbf, 0xc4, 0xff};
	for (size_t i = 0; i < 4; i++) {
		rb_start(b, "REDIS0011");
		rb_byte(b, 0);
		rb_byte(b, bytes[i]);
		rb_raw(b, "what nobody knows", 17);
		rb_end(b);
		for (size_t block = 1; block < 40; block++) {
			CLEANUP(rdb_freep) struct rdb *r = NULL;
			accept_blocks(b, NULL, block, &r);
			assert_false(rdb_summary(r)->counted);
			assert_int_equal(rdb_summary(r)->unknown_at, 10);
			assert_int_equal(rdb_summary(r)->unknown_type, bytes[i]);
		}
	}
}

static void rdb__module_with_unknown_kind__is_not_counted_but_checked(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	rb_key(b, 7, "m");
	rb_len(b, 42);
	rb_len(b, 6);
	rb_raw(b, "what nobody knows", 17);
	rb_end(b);
	for (size_t block = 1; block < 40; block++) {
		CLEANUP(rdb_freep) struct rdb *r = NULL;
		accept_blocks(b, NULL, block, &r);
		assert_false(rdb_summary(r)->counted);
		assert_int_equal(rdb_summary(r)->unknown_type, 6);
	}
}

static void rdb__valkey_slot_import__is_passed_over(void **state)
{
	struct buf *b = *state;
	rb_start(b, "VALKEY080");
	rb_byte(b, 243);
	rb_str(b, "job");
	rb_len(b, 1);
	rb_len(b, 100);
	rb_len(b, 16000);
	rb_key(b, 22, "h");
	rb_value(b, 22, 1);
	rb_end(b);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 2, &r);
	assert_true(rdb_summary(r)->counted);
	assert_int_equal(rdb_summary(r)->db[0].keys, 1);
}

static void rdb__no_checksum__is_said(void **state)
{
	struct buf *b = *state;
	unsigned keys;
	rb_everything(b, "REDIS0012", &keys);
	memset(b->data + b->len - 8, 0, 8);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 3, &r);
	assert_false(rdb_summary(r)->crc_checked);
	assert_true(rdb_summary(r)->counted);
	reject(b, &(struct rdb_opts){.need_checksum = true}, ERR_CORRUPT,
	       "the RDB has no checksum, and it must have one");
}

static void rdb__no_checksum_and_unknown_type__could_not_verify(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0013");
	rb_byte(b, 99);
	rb_raw(b, "what nobody knows", 17);
	rb_byte(b, 255);
	rb_zeros(b, 8);
	reject(b, NULL, ERR_UNVERIFIED, "nothing can vouch for it");
}

static void rdb__wrong_checksum__is_corrupt(void **state)
{
	struct buf *b = *state;
	unsigned keys;
	rb_everything(b, "REDIS0012", &keys);
	b->data[b->len - 1] ^= 0x80;
	reject(b, NULL, ERR_CORRUPT, "the RDB's checksum is wrong: it says");
}

static void rdb__bytes_behind_the_checksum__are_corrupt(void **state)
{
	struct buf *b = *state;
	unsigned keys;
	rb_everything(b, "REDIS0012", &keys);
	rb_byte(b, 0);
	reject(b, NULL, ERR_CORRUPT, "bytes follow the RDB's checksum at offset");
}

static void rdb__wrong_beginnings__are_refused(void **state)
{
	struct buf *b = *state;
	static const struct {
		const char *magic, *text;
	} cases[] = {
	    {"", "the RDB is empty"},
	    {"REDIS", "the RDB ended after 5 bytes, inside its first line"},
	    {"*2\r\n$6\r\nSELECT", "begins with neither REDIS nor VALKEY"},
	    {"REDIS00x1", "the RDB's version is not a number"},
	    {"VALKEY 80", "the RDB's version is not a number"},
	    {"REDIS0004", "RDB version 4 has no checksum"},
	    {"REDIS0000", "RDB version 0 has no checksum"},
	    {"REDIS0011", "the RDB ended after 9 bytes, before its end mark"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		rb_start(b, cases[i].magic);
		reject(b, NULL, ERR_CORRUPT, cases[i].text);
	}
}

static void rdb__odd_databases__are_refused(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	rb_select(b, UINT64_C(1) << 31);
	rb_end(b);
	reject(b, NULL, ERR_CORRUPT, "the RDB selects database 2147483648");
	rb_start(b, "REDIS0011");
	for (unsigned i = 0; i <= RDB_MAX_DATABASES; i++)
		rb_select(b, i);
	rb_end(b);
	reject(b, NULL, ERR_LIMIT, "the RDB has more than 1024 databases");
}

static void rdb_json__summary__has_its_fields(void **state)
{
	struct buf *b = *state;
	rb_start(b, "REDIS0011");
	rb_aux(b, "redis-ver", "7.2.4");
	rb_select(b, 5);
	rb_key(b, 0, "k");
	rb_value(b, 0, 0);
	rb_end(b);
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	accept_blocks(b, NULL, 100, &r);
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	assert_int_equal(rdb_json(r, &j, &err), 0);
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(json_text(j, false, &text, &err), 0);
	char want[512];
	snprintf(
	    want, sizeof want,
	    "{\"magic\":\"REDIS0011\",\"version\":11,\"redis_version\":\"7.2.4\",\"created\":0,"
	    "\"crc64\":\"%016llx\",\"crc_checked\":true,\"counted\":true,\"functions\":0,"
	    "\"modules\":false,\"bytes\":%zu,\"databases\":[{\"number\":5,\"keys\":1,\"expiring\":"
	    "0}]}",
	    (unsigned long long)rb_crc64(b->data, b->len - 8), b->len);
	assert_string_equal(text, want);
}

static void rdb_load_refusal__versions__follow_the_table(void **state)
{
	(void)state;
	static const struct {
		const char *magic, *server;
		bool valkey, loads;
	} cases[] = {
	    {"REDIS0009", "6.0.16", false, true},    {"REDIS0009", "4.0.14", false, false},
	    {"REDIS0010", "6.0.16", false, false},   {"REDIS0010", "7.0.15", false, true},
	    {"REDIS0010", "8.1.1", true, true},      {"REDIS0011", "7.0.15", false, false},
	    {"REDIS0011", "7.2.0", false, true},     {"REDIS0011", "9.1.2", true, true},
	    {"REDIS0012", "7.0.15", false, false},   {"REDIS0012", "8.0.6", false, true},
	    {"REDIS0012", "9.1.2", true, false},     {"REDIS0013", "8.0.6", false, false},
	    {"REDIS0013", "8.6.0", false, true},     {"REDIS0099", "10.0.0", false, true},
	    {"REDIS0099", "10.0.0", true, false},    {"VALKEY080", "8.0.6", false, false},
	    {"VALKEY080", "8.1.1", true, false},     {"VALKEY080", "9.1.2", true, true},
	    {"REDIS0007", "10.0.0", false, true},    {"PGDMP", "8.0.6", false, false},
	    {"REDIS0009", "nonsense", false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *why =
		    rdb_load_refusal(cases[i].magic, cases[i].server, cases[i].valkey);
		if ((why == NULL) != cases[i].loads)
			fail_msg("%s on %s: %s", cases[i].magic, cases[i].server,
				 why != NULL ? why : "loads");
	}
	assert_string_equal(rdb_load_refusal("REDIS0011", "7.0.15", false),
			    "RDB version 11 needs Redis 7.2 or newer, or Valkey");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(crc64__known_vectors__match),
	    TEST(rdb__every_record__is_counted),
	    TEST(rdb__each_type_alone__is_one_key),
	    TEST(rdb__fields_expire__hash_may_go_with_them),
	    TEST(rdb__no_keys__is_complete),
	    TEST(rdb__empty_collections__are_keys),
	    TEST(rdb__database_twice__is_added_up),
	    TEST(rdb__lengths_in_every_form__are_read),
	    TEST(rdb__length_of_2_63__is_cut_not_overflowed),
	    TEST(rdb__unknown_type__is_not_counted_but_checked),
	    TEST(rdb__unknown_encodings__are_not_counted_but_checked),
	    TEST(rdb__module_with_unknown_kind__is_not_counted_but_checked),
	    TEST(rdb__valkey_slot_import__is_passed_over),
	    TEST(rdb__no_checksum__is_said),
	    TEST(rdb__no_checksum_and_unknown_type__could_not_verify),
	    TEST(rdb__wrong_checksum__is_corrupt),
	    TEST(rdb__bytes_behind_the_checksum__are_corrupt),
	    TEST(rdb__wrong_beginnings__are_refused),
	    TEST(rdb__odd_databases__are_refused),
	    TEST(rdb_json__summary__has_its_fields),
	    TEST(rdb_load_refusal__versions__follow_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

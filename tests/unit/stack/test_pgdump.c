#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>
#include "stack/postgres/pgdump.h"
#include "tests/support/fake_dump.h"

/* Feeds it in pieces of `step` bytes and closes. */
static int read_dump(struct pgdump *d, const struct fake_dump *f, size_t step, struct err *err)
{
	CLEANUP(sink_freep) struct sink *sink = NULL;
	assert_int_equal(pgdump_sink(d, &sink, err), 0);
	for (size_t at = 0; at < f->out.len; at += step) {
		size_t n = f->out.len - at < step ? f->out.len - at : step;
		if (sink_write(sink, f->out.data + at, n, err) < 0)
			return -1;
	}
	return sink_close(sink, err);
}

/* Reads a dump that is wrong: the code and the text of the error. */
static void assert_refused(struct fake_dump *f, enum err_code code, const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(read_dump(d, f, SIZE_MAX, &err), -1);
	assert_string_equal(err.msg, text);
	assert_int_equal(err.code, code);
	fake_dump_done(f);
}

static void digest_of(const char *const *rows, char out[ROWS_DIGEST_BYTES])
{
	struct rows_digest d = {0};
	for (; *rows != NULL; rows++)
		rows_digest_add(&d, *rows, strlen(*rows));
	rows_digest_hex(&d, out);
}

static void assert_digest(const struct rows_digest *d, uint64_t rows, const char *const *texts)
{
	char is[ROWS_DIGEST_BYTES], must_be[ROWS_DIGEST_BYTES];
	rows_digest_hex(d, is);
	digest_of(texts, must_be);
	assert_int_equal(d->rows, rows);
	assert_string_equal(is, must_be);
}

static void pgdump__sample_in_any_pieces__same_contents(void **state)
{
	(void)state;
	static const int minors[] = {14, 15, 16};
	static const size_t steps[] = {1, 2, 3, 7, 64, 1000, SIZE_MAX};
	for (size_t i = 0; i < 3 * 7; i++) {
		struct fake_dump f;
		struct err err = ERR_INIT;
		CLEANUP(pgdump_freep) struct pgdump *d = NULL;
		fake_dump_sample(&f, minors[i % 3]);
		assert_int_equal(pgdump_new(&d, &err), 0);
		assert_int_equal(read_dump(d, &f, steps[i / 3], &err), 0);
		size_t count;
		const struct pgdump_entry *e = pgdump_entries(d, &count);
		assert_int_equal(count, 6);
		assert_int_equal(pgdump_info(d)->format_minor, minors[i % 3]);
		assert_string_equal(pgdump_info(d)->dbname, "hdms_db");
		assert_string_equal(pgdump_info(d)->server_version, "15.20 (Debian)");
		assert_string_equal(pgdump_info(d)->client_version, "15.19");
		assert_string_equal(e[1].tag, "users");
		assert_string_equal(e[1].owner, "app");
		assert_null(e[1].copy);
		assert_string_equal(e[2].schema, "public");
		assert_true(e[2].data_seen);
		assert_digest(&e[2].data, 3,
			      (const char *const[]){"3\t\\N", "1\tada", "2\tgrace", NULL});
		assert_int_equal(e[2].data_bytes, 24);
		assert_digest(&e[3].data, 0, (const char *const[]){NULL});
		assert_digest(&e[4].data, 2,
			      (const char *const[]){"3000000000:", "16400:large object", NULL});
		assert_string_equal(e[5].definition,
				    "SELECT pg_catalog.setval('public.s', 42, true);\n");
		fake_dump_done(&f);
	}
}

/* A dump of one table whose data the test writes. */
static void one_table(struct fake_dump *f)
{
	fake_dump_init(f, 14);
	fake_dump_header(f, 1);
	fake_dump_entry(f, &(struct fake_entry){.id = 9,
						.has_data = true,
						.desc = "TABLE DATA",
						.tag = "t",
						.schema = "s",
						.copy = "COPY s.t (a) FROM stdin;\n"});
}

/* A dump made of a part of another one, read anew. */
static void assert_part(const struct fake_dump *f, const struct pgdump *whole, int32_t id)
{
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	struct fake_dump part = {.minor = f->minor};
	size_t count, all;
	const struct pgdump_entry *e = pgdump_entries(whole, &all), *found;
	buf_init(&part.out, f->out.max);
	while (e->id != id)
		e++;
	assert_int_equal(pgdump_part(whole, f->out.data, &id, 1, &part.out, &err), 0);
	assert_true(part.out.len < pgdump_head_bytes(whole));
	assert_int_equal(
	    buf_append(&part.out, f->out.data + e->block_at, (size_t)e->block_bytes, &err), 0);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(read_dump(d, &part, SIZE_MAX, &err), 0);
	found = pgdump_entries(d, &count);
	while (found->id != id)
		found++;
	assert_string_equal(found->tag, e->tag);
	assert_string_equal(found->copy, e->copy);
	assert_int_equal(found->data_bytes, e->data_bytes);
	assert_memory_equal(&found->data, &e->data, sizeof e->data);
	assert_int_equal(found->block_at, pgdump_head_bytes(d));
	assert_true(count < all);
	fake_dump_done(&part);
}

static void pgdump__blocks__lie_where_it_says_in_any_pieces(void **state)
{
	(void)state;
	static const size_t steps[] = {1, 2, 5, 7, 64, SIZE_MAX};
	for (size_t i = 0; i < 3 * 6; i++) {
		struct fake_dump f;
		struct err err = ERR_INIT;
		CLEANUP(pgdump_freep) struct pgdump *d = NULL;
		size_t count;
		fake_dump_sample(&f, 14 + (int)i % 3);
		assert_int_equal(pgdump_new(&d, &err), 0);
		assert_int_equal(pgdump_head_bytes(d), 0);
		assert_int_equal(read_dump(d, &f, steps[i / 3], &err), 0);
		const struct pgdump_entry *e = pgdump_entries(d, &count);
		uint64_t blocks = 0, first = UINT64_MAX;
		for (size_t k = 0; k < count; k++) {
			blocks += e[k].block_bytes;
			if (!e[k].has_data) {
				assert_int_equal(e[k].block_at, 0);
				assert_int_equal(e[k].block_bytes, 0);
				continue;
			}
			assert_true(e[k].block_bytes >= PGDUMP_BLOCK_MIN);
			if (e[k].block_at < first)
				first = e[k].block_at;
			/* Its kind, and its id as pg_dump writes numbers. */
			const uint8_t *head = f.out.data + e[k].block_at;
			bool blobs = strcmp(e[k].desc, "BLOBS") == 0;
			assert_int_equal(head[0], blobs ? 3 : 1);
			assert_int_equal(head[2] | head[3] << 8, e[k].id);
			if (!blobs)
				assert_part(&f, d, e[k].id);
		}
		assert_int_equal(first, pgdump_head_bytes(d));
		assert_int_equal(first + blocks, f.out.len);
		fake_dump_done(&f);
	}
}

static void pgdump_part__before_the_contents_are_read__fails(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	struct buf out;
	buf_init(&out, 1000);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(pgdump_part(d, (const uint8_t *)"", NULL, 0, &out, &err), -1);
	assert_string_equal(err.msg, "the dump's table of contents is not read yet");
	assert_int_equal(err.code, ERR_FAILED);
}

static void pgdump__rows_across_chunks__hashed_as_whole_rows(void **state)
{
	(void)state;
	struct fake_dump f;
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	CLEANUP(freep) char *longest = malloc(300001);
	assert_non_null(longest);
	memset(longest, 'x', 300000);
	longest[300000] = '\0';
	one_table(&f);
	fake_dump_block(&f, 1, 9);
	fake_dump_chunk(&f, "a");
	fake_dump_chunk(&f, "b\nc\n\n");
	fake_dump_chunk(&f, longest);
	fake_dump_chunk(&f, "\n\\");
	fake_dump_chunk(&f, ".\n");
	fake_dump_chunk(&f, "\n\n");
	fake_dump_int(&f, 0);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(read_dump(d, &f, 4096, &err), 0);
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	assert_digest(&e[0].data, 4, (const char *const[]){"ab", "c", "", longest, NULL});
	fake_dump_done(&f);
}

static void pgdump__database_in_another_encoding__names_in_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *definition, *tag, *expected;
	} cases[] = {
	    {"SET client_encoding = 'LATIN1';\n", "gr\xf6\xdf", "größ"},
	    {"SET client_encoding = 'WIN1251';\n", "\xff", "я"},
	    {"SET client_encoding = 'EUC_JP';\n", "\xc6\xfc", "日"},
	    {"SET client_encoding = 'UTF8';\n", "größ", "größ"},
	    {"SET client_encoding = 'SQL_ASCII';\n", "gr\xf6", "gr\xf6"},
	    {"SET client_encoding = 'NEW';\n", "gr\xf6", "gr\xf6"},
	    {"SET client_encoding = 'EUC_JP';\n", "half \xc6", "half \xc6"},
	    {"no quote", "x", "x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fake_dump f;
		struct err err = ERR_INIT;
		CLEANUP(pgdump_freep) struct pgdump *d = NULL;
		fake_dump_init(&f, 16);
		fake_dump_header(&f, 2);
		fake_dump_entry(&f, &(struct fake_entry){.id = 1,
							 .desc = "ENCODING",
							 .definition = cases[i].definition});
		fake_dump_entry(
		    &f, &(struct fake_entry){.id = 2, .desc = "TABLE", .tag = cases[i].tag});
		assert_int_equal(pgdump_new(&d, &err), 0);
		assert_int_equal(read_dump(d, &f, 3, &err), 0);
		size_t count;
		assert_string_equal(pgdump_entries(d, &count)[1].tag, cases[i].expected);
		assert_string_equal(pgdump_entries(d, &count)[1].owner, "app");
		fake_dump_done(&f);
	}
}

static void pgdump__no_entries__is_whole(void **state)
{
	(void)state;
	struct fake_dump f;
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	fake_dump_init(&f, 16);
	fake_dump_header(&f, 0);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(read_dump(d, &f, 5, &err), 0);
	fake_dump_done(&f);
}

static void pgdump__entries_before_the_end_of_contents__none(void **state)
{
	(void)state;
	struct fake_dump f;
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	CLEANUP(sink_freep) struct sink *sink = NULL;
	fake_dump_sample(&f, 14);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(pgdump_sink(d, &sink, &err), 0);
	assert_int_equal(sink_write(sink, f.out.data, 300, &err), 0);
	size_t count = 1;
	pgdump_entries(d, &count);
	assert_int_equal(count, 0);
	struct sink *second;
	assert_int_equal(pgdump_sink(d, &second, &err), -1);
	assert_string_equal(err.msg, "a reader of dumps reads one dump");
	fake_dump_done(&f);
}

static void pgdump__foreign_headers__refused_by_name(void **state)
{
	(void)state;
	struct fake_dump f;
	fake_dump_init(&f, 14);
	fake_dump_bytes(&f, "--\n-- PostgreSQL database dump\n", 31);
	assert_refused(&f, ERR_CORRUPT,
		       "not a dump in pg_dump's custom format: 'PGDMP' is missing");

	fake_dump_sample(&f, 17);
	assert_refused(&f, ERR_CORRUPT,
		       "pg_dump wrote format 1.17, and 1.14 to 1.16 (PostgreSQL 13 to 18) are "
		       "known");
	fake_dump_sample(&f, 13);
	assert_refused(&f, ERR_CORRUPT,
		       "pg_dump wrote format 1.13, and 1.14 to 1.16 (PostgreSQL 13 to 18) are "
		       "known");
	fake_dump_sample(&f, 14);
	f.out.data[10] = 3;
	assert_refused(&f, ERR_CORRUPT, "dump is not in the custom format (-Fc): its format is 3");
	fake_dump_sample(&f, 14);
	f.out.data[8] = 8;
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: integers of 8 bytes");
	fake_dump_sample(&f, 14);
	f.out.data[9] = 5;
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: offsets of 5 bytes");
	for (int minor = 14; minor <= 15; minor++) {
		fake_dump_sample(&f, minor);
		f.out.data[minor == 14 ? 12 : 11] = 1;
		assert_refused(&f, ERR_CORRUPT,
			       "the dump is compressed by pg_dump, so its rows can't be read");
	}
}

static void pgdump__contents_that_ask_for_too_much__limit(void **state)
{
	(void)state;
	struct fake_dump f;
	fake_dump_init(&f, 14);
	fake_dump_header(&f, 4000001);
	assert_refused(&f, ERR_LIMIT, "dump has 4000001 entries, and 4000000 is the most");
	fake_dump_init(&f, 14);
	fake_dump_header(&f, -1);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: it counts -1 entries");
	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_int(&f, 1);
	fake_dump_int(&f, 0);
	fake_dump_int(&f, (256 << 20) + 1);
	assert_refused(&f, ERR_LIMIT,
		       "a text of 268435457 bytes in the dump's table of contents is too long");
}

static void pgdump__entries_that_lie__corrupt(void **state)
{
	(void)state;
	struct fake_dump f;
	struct fake_entry e = {.id = 5, .desc = "TABLE", .tag = "t"};
	fake_dump_init(&f, 14);
	fake_dump_header(&f, 2);
	fake_dump_entry(&f, &e);
	fake_dump_entry(&f, &e);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: two entries have id 5");

	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_entry(&f, &e);
	f.out.data[f.out.len - 9] = 1;
	assert_refused(&f, ERR_CORRUPT,
		       "dump is damaged: entry 5 says both that it has data and that it has none");

	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_entry(&f, &(struct fake_entry){.id = 0, .desc = "TABLE"});
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: an entry's id is 0");

	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_entry(&f, &(struct fake_entry){.id = 3});
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: entry 3 has no kind");

	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_entry(&f, &(struct fake_entry){.id = 3, .has_data = true, .desc = "TEAPOT"});
	assert_refused(&f, ERR_CORRUPT, "entry 3 of the dump, a TEAPOT, has data: unknown");

	fake_dump_init(&f, 14);
	fake_dump_header(&f, 1);
	fake_dump_entry(&f, &(struct fake_entry){
				.id = 3, .has_data = true, .desc = "TABLE DATA", .tag = "users"});
	assert_refused(&f, ERR_CORRUPT,
		       "the data of table 'users' is not COPY text, so its rows can't be read");
}

static void pgdump__text_with_a_zero_byte__corrupt(void **state)
{
	(void)state;
	struct fake_dump f;
	fake_dump_sample(&f, 14);
	uint8_t *at = memmem(f.out.data, f.out.len, "users", 5);
	assert_non_null(at);
	at[2] = 0;
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: a text holds a zero byte");
}

static void pgdump__blocks_that_lie__corrupt(void **state)
{
	(void)state;
	struct fake_dump f;
	const char *const rows[] = {"1\n", NULL};
	one_table(&f);
	fake_dump_block(&f, 2, 9);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: a data block of kind 2");
	one_table(&f);
	fake_dump_block(&f, 1, 10);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: data of entry 10, which promised none");
	one_table(&f);
	fake_dump_block(&f, 3, 9);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: table 's.t' in a block of kind 3");
	one_table(&f);
	fake_dump_table(&f, 9, rows);
	fake_dump_table(&f, 9, rows);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: table 's.t' comes twice");
	one_table(&f);
	fake_dump_block(&f, 1, 9);
	fake_dump_chunk(&f, "1\n");
	fake_dump_int(&f, 0);
	assert_refused(&f, ERR_CORRUPT, "dump is damaged: the data of table 's.t' has no end mark");
	one_table(&f);
	fake_dump_block(&f, 1, 9);
	fake_dump_chunk(&f, "\\.\n2\n");
	assert_refused(&f, ERR_CORRUPT,
		       "dump is damaged: rows of table 's.t' after their end mark");
	one_table(&f);
	fake_dump_block(&f, 1, 9);
	fake_dump_int(&f, -5);
	assert_refused(&f, ERR_CORRUPT,
		       "dump is damaged: a chunk of -5 bytes in the data of table 's.t'");
}

static void pgdump__cut__says_where(void **state)
{
	(void)state;
	struct fake_dump f;
	fake_dump_sample(&f, 14);
	f.out.len = 20;
	assert_refused(&f, ERR_CORRUPT, "dump ends inside its header");
	fake_dump_sample(&f, 14);
	f.out.len = 400;
	assert_refused(&f, ERR_CORRUPT,
		       "dump ends inside its table of contents, after 1 of 6 entries");
	fake_dump_sample(&f, 14);
	f.out.len -= 1;
	assert_refused(&f, ERR_CORRUPT,
		       "dump ends inside the data of the large objects, after 12 bytes of it");
	one_table(&f);
	assert_refused(&f, ERR_CORRUPT, "dump ends before the data of table 's.t'");
	one_table(&f);
	fake_dump_byte(&f, 1);
	assert_refused(&f, ERR_CORRUPT, "dump ends inside the head of a data block");
	one_table(&f);
	fake_dump_block(&f, 1, 9);
	fake_dump_chunk(&f, "1\n2\n");
	assert_refused(&f, ERR_CORRUPT,
		       "dump ends inside the data of table 's.t', after 4 bytes of it");
}

static void rows_digest__known_rows__stays_what_manifests_hold(void **state)
{
	(void)state;
	char hex[ROWS_DIGEST_BYTES];
	digest_of((const char *const[]){NULL}, hex);
	assert_string_equal(hex, "00000000000000000000000000000000");
	/* XXH3-128 of nothing, from the reference implementation's documentation. */
	digest_of((const char *const[]){"", NULL}, hex);
	assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
	char once[ROWS_DIGEST_BYTES], swapped[ROWS_DIGEST_BYTES], twice[ROWS_DIGEST_BYTES];
	digest_of((const char *const[]){"a", "b", NULL}, once);
	digest_of((const char *const[]){"b", "a", NULL}, swapped);
	digest_of((const char *const[]){"a", "b", "b", NULL}, twice);
	assert_string_equal(once, swapped);
	assert_string_not_equal(once, twice);
}

static void rows_digest__sum_overflows__carries(void **state)
{
	(void)state;
	struct rows_digest d = {.low = UINT64_MAX, .high = UINT64_MAX};
	rows_digest_add_hash(&d, 2, 0);
	assert_int_equal(d.low, 1);
	assert_int_equal(d.high, 0);
	assert_int_equal(d.rows, 1);
	rows_digest_merge(&d, &(struct rows_digest){.rows = 5, .low = UINT64_MAX, .high = 7});
	assert_int_equal(d.low, 0);
	assert_int_equal(d.high, 8);
	assert_int_equal(d.rows, 6);
}

static void assert_columns(const char *copy, const char *columns)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *got = NULL;
	assert_int_equal(pgdump_copy_columns(copy, &got, &err), 0);
	assert_string_equal(got, columns);
	assert_true(pgdump_columns_are_valid(columns));
}

static void pgdump_copy_columns__statements_of_pg_dump__the_list(void **state)
{
	(void)state;
	assert_columns("COPY public.users (id, \"Name\", c$1) FROM stdin;\n",
		       "(id, \"Name\", c$1)");
	assert_columns("COPY \"odd \"\". name\".\"t)\" (\"a)\", \"b\"\", c\", größe) FROM stdin;\n",
		       "(\"a)\", \"b\"\", c\", größe)");
	assert_columns("COPY public.none  FROM stdin;\n", "");
	assert_columns("COPY \"line\nbreak\" (\"x\ny\") FROM stdin;\n", "(\"x\ny\")");
}

static void pgdump_copy_columns__other_text__corrupt(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "",
	    "INSERT INTO t",
	    "COPY ",
	    "COPY public. (a) FROM stdin;\n",
	    "COPY t (a, ) FROM stdin;\n",
	    "COPY t (a FROM stdin;\n",
	    "COPY t (a b) FROM stdin;\n",
	    "COPY t (1a) FROM stdin;\n",
	    "COPY t (\"\") FROM stdin;\n",
	    "COPY t (a) FROM stdin; DROP TABLE t;\n",
	    "COPY t (a) FROM '/etc/passwd';\n",
	    "COPY \"t (a) FROM stdin;\n",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		char *got = NULL;
		assert_int_equal(pgdump_copy_columns(wrong[i], &got, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_memory_equal(err.msg, "not a COPY statement of pg_dump: '", 34);
		assert_null(got);
	}
	assert_false(pgdump_columns_are_valid("(a) TO PROGRAM 'sh'"));
	assert_false(pgdump_columns_are_valid("a"));
	assert_false(pgdump_columns_are_valid("()"));
	assert_true(pgdump_columns_are_valid(""));
}

static void pgdump_loads_elsewhere__rows_through_a_root__seen(void **state)
{
	(void)state;
	static const struct {
		const char *schema, *tag, *copy;
		bool elsewhere;
	} cases[] = {
	    {"public", "t", "COPY public.t (a) FROM stdin;\n", false},
	    {"public", "t_1", "COPY public.t (a) FROM stdin;\n", true},
	    {"public", "t", "COPY public.t_1 (a) FROM stdin;\n", true},
	    {"a", "t", "COPY b.t  FROM stdin;\n", true},
	    {"a.b", "c\"d", "COPY \"a.b\".\"c\"\"d\" (a) FROM stdin;\n", false},
	    {"a.b", "c\"d", "COPY \"a.b\".\"c\"\"\" (a) FROM stdin;\n", true},
	    {NULL, "t", "COPY t (a) FROM stdin;\n", false},
	    {"public", "t", NULL, false},
	    {"public", NULL, "COPY public.t (a) FROM stdin;\n", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(
		    pgdump_loads_elsewhere(&(struct pgdump_entry){
			.schema = cases[i].schema, .tag = cases[i].tag, .copy = cases[i].copy}),
		    cases[i].elsewhere);
}

static void assert_sequence(const char *text, int64_t value, bool called)
{
	struct err err = ERR_INIT;
	int64_t got = 0;
	bool got_called = !called;
	assert_int_equal(pgdump_sequence_value(text, &got, &got_called, &err), 0);
	assert_int_equal(got, value);
	assert_int_equal(got_called, called);
}

static void pgdump_sequence_value__statements_of_pg_dump__value(void **state)
{
	(void)state;
	assert_sequence("SELECT pg_catalog.setval('public.s', 42, true);\n", 42, true);
	assert_sequence("SELECT pg_catalog.setval('public.s', 1, false);\n", 1, false);
	assert_sequence("SELECT pg_catalog.setval('public.\"it''s, 9\"', -7, true);\n", -7, true);
	assert_sequence("SELECT pg_catalog.setval(E'public.\"a\\\\b''\"', 9, true);\n", 9, true);
	assert_sequence("SELECT pg_catalog.setval('s', 9223372036854775807, true);\n", INT64_MAX,
			true);
	assert_sequence("SELECT pg_catalog.setval('s', -9223372036854775808, true);\n", INT64_MIN,
			true);
}

static void pgdump_sequence_value__other_text__corrupt(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "",
	    "SELECT setval('s', 1, true);\n",
	    "SELECT pg_catalog.setval('s, 1, true);\n",
	    "SELECT pg_catalog.setval('s', x, true);\n",
	    "SELECT pg_catalog.setval('s', 1);\n",
	    "SELECT pg_catalog.setval('s', 1, maybe);\n",
	    "SELECT pg_catalog.setval('s', 9223372036854775808, true);\n",
	    "SELECT pg_catalog.setval(s, 1, true);\n",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		int64_t value = 77;
		bool called = true;
		assert_int_equal(pgdump_sequence_value(wrong[i], &value, &called, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_memory_equal(err.msg, "not a setval statement of pg_dump: '", 36);
		assert_int_equal(value, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pgdump__sample_in_any_pieces__same_contents),
	    cmocka_unit_test(pgdump__blocks__lie_where_it_says_in_any_pieces),
	    cmocka_unit_test(pgdump_part__before_the_contents_are_read__fails),
	    cmocka_unit_test(pgdump__rows_across_chunks__hashed_as_whole_rows),
	    cmocka_unit_test(pgdump__database_in_another_encoding__names_in_utf8),
	    cmocka_unit_test(pgdump__no_entries__is_whole),
	    cmocka_unit_test(pgdump__entries_before_the_end_of_contents__none),
	    cmocka_unit_test(pgdump__foreign_headers__refused_by_name),
	    cmocka_unit_test(pgdump__contents_that_ask_for_too_much__limit),
	    cmocka_unit_test(pgdump__entries_that_lie__corrupt),
	    cmocka_unit_test(pgdump__text_with_a_zero_byte__corrupt),
	    cmocka_unit_test(pgdump__blocks_that_lie__corrupt),
	    cmocka_unit_test(pgdump__cut__says_where),
	    cmocka_unit_test(rows_digest__known_rows__stays_what_manifests_hold),
	    cmocka_unit_test(rows_digest__sum_overflows__carries),
	    cmocka_unit_test(pgdump_copy_columns__statements_of_pg_dump__the_list),
	    cmocka_unit_test(pgdump_copy_columns__other_text__corrupt),
	    cmocka_unit_test(pgdump_loads_elsewhere__rows_through_a_root__seen),
	    cmocka_unit_test(pgdump_sequence_value__statements_of_pg_dump__value),
	    cmocka_unit_test(pgdump_sequence_value__other_text__corrupt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

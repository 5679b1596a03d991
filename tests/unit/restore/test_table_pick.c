#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "restore/table_pick.h"
#include "tests/support/fake_dump.h"

/* As pg_dump 15 writes them; the blocks of data are left out, for they are not looked at. */
static const struct fake_entry entries[] = {
    {1, true, "TABLE DATA", "plain", "public", NULL, "COPY public.plain (id, name) FROM stdin;\n"},
    {2, true, "TABLE DATA", "a \"b\".c", "odd.d", NULL,
     "COPY \"odd.d\".\"a \"\"b\"\".c\" (id) FROM stdin;\n"},
    {3, true, "TABLE DATA", "empty", "public", NULL, "COPY public.empty  FROM stdin;\n"},
    {4, false, "TABLE ATTACH", "meter_old", "public",
     "ALTER TABLE ONLY public.meter ATTACH PARTITION public.meter_old FOR VALUES FROM (1) TO "
     "(2);\n",
     NULL},
    {5, false, "TABLE ATTACH", "Meter 1", "odd.d",
     "ALTER TABLE ONLY public.meter_old ATTACH PARTITION \"odd.d\".\"Meter 1\" FOR VALUES IN "
     "(1);\n",
     NULL},
    {6, true, "TABLE DATA", "Meter 1", "odd.d", NULL,
     "COPY \"odd.d\".\"Meter 1\" (at) FROM stdin;\n"},
    {7, false, "TABLE ATTACH", "meter_new", "public",
     "ALTER TABLE ONLY public.meter ATTACH PARTITION public.meter_new DEFAULT;\n", NULL},
    {8, true, "TABLE DATA", "meter_new", "public", NULL,
     "COPY public.meter_new (at) FROM stdin;\n"},
    /* By the hash of an enum: through the root. */
    {9, false, "TABLE ATTACH", "moods_0", "public",
     "ALTER TABLE ONLY public.moods ATTACH PARTITION public.moods_0 FOR VALUES WITH (modulus 2, "
     "remainder 0);\n",
     NULL},
    {10, true, "TABLE DATA", "moods_0", "public", NULL, "COPY public.moods (m) FROM stdin;\n"},
    {11, false, "TABLE ATTACH", "moods_1", "public",
     "ALTER TABLE ONLY public.moods ATTACH PARTITION public.moods_1 FOR VALUES WITH (modulus 2, "
     "remainder 1);\n",
     NULL},
    {12, true, "TABLE DATA", "moods_1", "public", NULL, "COPY public.moods (m) FROM stdin;\n"},
    {13, false, "CONSTRAINT", "plain plain_pkey", "public",
     "ALTER TABLE ONLY public.plain\n    ADD CONSTRAINT plain_pkey PRIMARY KEY (id);\n", NULL},
    {14, false, "INDEX", "i", "odd.d",
     "CREATE INDEX \"i ON public.plain \" ON \"odd.d\".\"a \"\"b\"\".c\" USING btree (id);\n",
     NULL},
    {15, false, "INDEX", "u", "public",
     "CREATE UNIQUE INDEX u ON public.plain USING btree (name);\n", NULL},
    {16, false, "INDEX", "meter_i", "public",
     "CREATE INDEX meter_i ON ONLY public.meter USING btree (at);\n", NULL},
    {17, false, "INDEX", "Meter 1_i", "odd.d",
     "CREATE INDEX \"Meter 1_i\" ON \"odd.d\".\"Meter 1\" USING btree (at);\n", NULL},
    {18, false, "INDEX ATTACH", "Meter 1_i", "odd.d",
     "ALTER INDEX public.meter_i ATTACH PARTITION \"odd.d\".\"Meter 1_i\";\n", NULL},
    {19, false, "FK CONSTRAINT", "plain plain_fk", "public",
     "ALTER TABLE ONLY public.plain\n    ADD CONSTRAINT plain_fk FOREIGN KEY (id) REFERENCES "
     "public.empty(id);\n",
     NULL},
    /* What nobody writes. */
    {20, false, "INDEX", "bad", "public", "CREATE INDEX \"bad ON public.plain USING btree (id);\n",
     NULL},
    {21, false, "TABLE ATTACH", "bad", "public", "ALTER TABLE ONLY public.plain ATTACH", NULL},
    {22, false, "CONSTRAINT", "bad", "public", NULL, NULL},
    {23, false, "TABLE", "plain", "public", "CREATE TABLE public.plain (id integer);\n", NULL},
};
enum { ENTRIES = sizeof entries / sizeof *entries };

static struct pgdump *read_entries(void)
{
	struct err err = ERR_INIT;
	struct pgdump *d;
	struct fake_dump f;
	CLEANUP(sink_freep) struct sink *to = NULL;
	fake_dump_init(&f, 15);
	fake_dump_header(&f, ENTRIES);
	for (size_t i = 0; i < ENTRIES; i++)
		fake_dump_entry(&f, &entries[i]);
	assert_int_equal(pgdump_new(&d, &err), 0);
	assert_int_equal(pgdump_sink(d, &to, &err), 0);
	assert_int_equal(sink_write(to, f.out.data, f.out.len, &err), 0);
	fake_dump_done(&f);
	return d;
}

/* The table's data entries, then its keys and indexes, as a list of their numbers. */
static void assert_picked(const char *table, const char *expected)
{
	struct err err = ERR_INIT;
	CLEANUP(pgdump_freep) struct pgdump *d = read_entries();
	CLEANUP(table_pick_done) struct table_pick p = {.count = 0};
	char text[200] = "";
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	assert_int_equal(table_pick(d, table, &p, &err), 0);
	for (size_t i = 0; i < p.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%d ", p.ids[i]);
	snprintf(text + strlen(text), sizeof text - strlen(text), "|");
	for (size_t i = 0; i < count; i++) {
		bool ours = false;
		assert_int_equal(table_pick_is_ours(&p, &e[i], &ours, &err), 0);
		if (ours)
			snprintf(text + strlen(text), sizeof text - strlen(text), " %d", e[i].id);
	}
	assert_string_equal(text, expected);
}

static void table__with_rows_of_its_own__is_its_entry_and_its_indexes(void **state)
{
	(void)state;
	assert_picked("public.plain", "1 | 13 15");
	assert_picked("odd.d.a \"b\".c", "2 | 14");
	assert_picked("public.empty", "3 |");
	assert_picked("public.meter_new", "8 |");
}

static void table__that_is_partitioned__is_all_below_it(void **state)
{
	(void)state;
	assert_picked("public.meter", "6 8 | 16 17 18");
	/* The index of a partition is not tied to one that is not made. */
	assert_picked("public.meter_old", "6 | 17");
	assert_picked("odd.d.Meter 1", "6 | 17");
}

static void partition__loaded_through_its_root__brings_its_sisters(void **state)
{
	(void)state;
	assert_picked("public.moods_0", "10 12 |");
	assert_picked("public.moods", "10 12 |");
}

static void table__that_is_not_there__is_nothing(void **state)
{
	(void)state;
	assert_picked("public.nope", "|");
	assert_picked("plain", "|");
	assert_picked("public.plai", "|");
	assert_picked("public.plain2", "|");
	assert_picked("\"odd.d\".\"Meter 1\"", "|");
	assert_picked("", "|");
	assert_picked(".", "|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table__with_rows_of_its_own__is_its_entry_and_its_indexes),
	    cmocka_unit_test(table__that_is_partitioned__is_all_below_it),
	    cmocka_unit_test(partition__loaded_through_its_root__brings_its_sisters),
	    cmocka_unit_test(table__that_is_not_there__is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

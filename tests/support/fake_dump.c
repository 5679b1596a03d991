#include "tests/support/fake_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "fake dump: %s\n", err->msg);
	abort();
}

void fake_dump_init(struct fake_dump *d, int minor)
{
	buf_init(&d->out, (size_t)64 << 20);
	d->minor = minor;
}

void fake_dump_done(struct fake_dump *d)
{
	buf_done(&d->out);
}

void fake_dump_bytes(struct fake_dump *d, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;
	must(buf_append(&d->out, bytes, len, &err), &err);
}

void fake_dump_byte(struct fake_dump *d, unsigned value)
{
	fake_dump_bytes(d, &(uint8_t){(uint8_t)value}, 1);
}

void fake_dump_int(struct fake_dump *d, int64_t value)
{
	uint64_t n = (uint64_t)(value < 0 ? -value : value);
	fake_dump_byte(d, value < 0);
	for (unsigned shift = 0; shift < 32; shift += 8)
		fake_dump_byte(d, (unsigned)(n >> shift) & 0xFF);
}

void fake_dump_text(struct fake_dump *d, const char *text)
{
	if (text == NULL) {
		fake_dump_int(d, -1);
		return;
	}
	fake_dump_int(d, (int64_t)strlen(text));
	fake_dump_bytes(d, text, strlen(text));
}

void fake_dump_header(struct fake_dump *d, int entries)
{
	fake_dump_bytes(d, "PGDMP", 5);
	fake_dump_byte(d, 1);
	fake_dump_byte(d, (unsigned)d->minor);
	fake_dump_byte(d, 0);
	fake_dump_byte(d, 4); /* bytes of an integer */
	fake_dump_byte(d, 8); /* of an offset */
	fake_dump_byte(d, 1); /* the custom format */
	if (d->minor >= 15)
		fake_dump_byte(d, 0);
	else
		fake_dump_int(d, 0);
	static const int made[] = {5, 0, 2, 23, 10, 126, 0};
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		fake_dump_int(d, made[i]);
	fake_dump_text(d, "hdms_db");
	fake_dump_text(d, "15.20 (Debian)");
	fake_dump_text(d, "15.19");
	fake_dump_int(d, entries);
}

void fake_dump_entry(struct fake_dump *d, const struct fake_entry *e)
{
	fake_dump_int(d, e->id);
	fake_dump_int(d, e->has_data);
	fake_dump_text(d, "1259");
	fake_dump_text(d, "16384");
	fake_dump_text(d, e->tag);
	fake_dump_text(d, e->desc);
	fake_dump_int(d, 3);
	fake_dump_text(d, e->definition);
	fake_dump_text(d, "DROP TABLE t;\n");
	fake_dump_text(d, e->copy);
	fake_dump_text(d, e->schema);
	fake_dump_text(d, "");
	fake_dump_text(d, "heap");
	if (d->minor >= 16)
		fake_dump_int(d, 'r');
	fake_dump_text(d, "app");
	fake_dump_text(d, "false");
	fake_dump_text(d, "7");
	fake_dump_text(d, "12");
	fake_dump_text(d, NULL);
	fake_dump_byte(d, e->has_data ? 1 : 3);
	fake_dump_bytes(d, "\0\0\0\0\0\0\0\0", 8);
}

void fake_dump_block(struct fake_dump *d, unsigned kind, int id)
{
	fake_dump_byte(d, kind);
	fake_dump_int(d, id);
}

void fake_dump_chunk(struct fake_dump *d, const char *text)
{
	fake_dump_text(d, text);
}

void fake_dump_table(struct fake_dump *d, int id, const char *const *chunks)
{
	fake_dump_block(d, 1, id);
	for (; *chunks != NULL; chunks++)
		fake_dump_chunk(d, *chunks);
	fake_dump_chunk(d, "\\.\n\n\n");
	fake_dump_int(d, 0);
}

void fake_dump_sample(struct fake_dump *d, int minor)
{
	fake_dump_init(d, minor);
	fake_dump_header(d, 6);
	fake_dump_entry(d, &(struct fake_entry){.id = 1,
						.desc = "ENCODING",
						.tag = "ENCODING",
						.definition = "SET client_encoding = 'UTF8';\n"});
	fake_dump_entry(d, &(struct fake_entry){.id = 200,
						.desc = "TABLE",
						.tag = "users",
						.schema = "public",
						.definition = "CREATE TABLE public.users (id int, "
							      "name text);\n"});
	fake_dump_entry(d, &(struct fake_entry){.id = 3300,
						.has_data = true,
						.desc = "TABLE DATA",
						.tag = "users",
						.schema = "public",
						.copy = "COPY public.users (id, name) FROM "
							"stdin;\n"});
	fake_dump_entry(d, &(struct fake_entry){.id = 3301,
						.has_data = true,
						.desc = "TABLE DATA",
						.tag = "empty",
						.schema = "public",
						.copy = "COPY public.empty  FROM stdin;\n"});
	fake_dump_entry(
	    d, &(struct fake_entry){.id = 3302, .has_data = true, .desc = "BLOBS", .tag = "BLOBS"});
	fake_dump_entry(d, &(struct fake_entry){.id = 3303,
						.desc = "SEQUENCE SET",
						.tag = "s",
						.schema = "public",
						.definition = "SELECT pg_catalog.setval("
							      "'public.s', 42, true);\n"});
	fake_dump_table(d, 3300, (const char *const[]){"1\tada\n", "2\tgrace\n", "3\t\\N\n", NULL});
	fake_dump_table(d, 3301, (const char *const[]){NULL});
	fake_dump_block(d, 3, 3302);
	fake_dump_int(d, 16400);
	fake_dump_chunk(d, "large");
	fake_dump_chunk(d, " object");
	fake_dump_int(d, 0);
	fake_dump_int(d, -1294967296); /* oid 3000000000, as WriteInt prints it */
	fake_dump_int(d, 0);
	fake_dump_int(d, 0);
}

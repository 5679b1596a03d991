/* Writes dumps in pg_dump's custom format, right ones and wrong ones. Failures end the test. */
#ifndef LIFEBOAT_TESTS_FAKE_DUMP_H
#define LIFEBOAT_TESTS_FAKE_DUMP_H

#include <stdint.h>
#include "base/buf.h"

struct fake_dump {
	struct buf out;
	int minor;
};

struct fake_entry {
	int id;
	bool has_data;
	const char *desc, *tag, *schema, *definition, *copy;
};

void fake_dump_init(struct fake_dump *d, int minor);
void fake_dump_done(struct fake_dump *d);

void fake_dump_byte(struct fake_dump *d, unsigned value);
void fake_dump_int(struct fake_dump *d, int64_t value);
void fake_dump_text(struct fake_dump *d, const char *text); /* NULL: none */
void fake_dump_bytes(struct fake_dump *d, const void *bytes, size_t len);

void fake_dump_header(struct fake_dump *d, int entries);
void fake_dump_entry(struct fake_dump *d, const struct fake_entry *e);
void fake_dump_block(struct fake_dump *d, unsigned kind, int id);
void fake_dump_chunk(struct fake_dump *d, const char *text);
void fake_dump_table(struct fake_dump *d, int id, const char *const *chunks); /* with its end */

/* A small dump with tables, a sequence and large objects. */
void fake_dump_sample(struct fake_dump *d, int minor);

#endif

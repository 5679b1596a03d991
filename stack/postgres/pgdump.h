/*
 * Reads pg_dump's custom format (-Fc -Z0) as it streams past: a sink to tee a dump into.
 *
 *  1. pgdump_new(&d, err); pgdump_sink(d, &sink, err); source_tee(dump, sink, …)
 *  2. sink_close checks that the dump is whole: every entry that promised data has had it
 *  3. pgdump_entries, pgdump_tables, … say what was in it
 *  4. pgdump_part makes a smaller dump out of some of it: its head, then the blocks of those
 * entries
 *
 * Formats 1.14 to 1.16 (PostgreSQL 13 to 18). Source of the format:
 * src/bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc) and pg_backup_custom.c of PostgreSQL.
 * Compressed data is ERR_CORRUPT: our dumps are not.
 *
 * A table's digest: the sum modulo 2^128 of XXH3-128 over each row as COPY's text format prints it,
 * without the newline; 32 hex digits. It does not depend on the order of rows (docs/manifest.md
 * says why). The same digest over a large object's bytes, prefixed by its oid in decimal and ':'.
 */
#ifndef LIFEBOAT_STACK_POSTGRES_PGDUMP_H
#define LIFEBOAT_STACK_POSTGRES_PGDUMP_H

#include <stdint.h>
#include "base/buf.h"
#include "base/flow/sink.h"

enum { ROWS_DIGEST_BYTES = 33 };

/* The digest itself, shared with the proof, which feeds it what COPY … TO STDOUT sends. */
struct rows_digest {
	uint64_t rows;
	uint64_t low, high; /* the sum */
};
void rows_digest_add(struct rows_digest *d, const void *row, size_t len);
/* A row whose XXH3-128 was computed elsewhere. */
void rows_digest_add_hash(struct rows_digest *d, uint64_t low, uint64_t high);
/* Adds all rows of `more`. */
void rows_digest_merge(struct rows_digest *d, const struct rows_digest *more);
void rows_digest_hex(const struct rows_digest *d, char out[ROWS_DIGEST_BYTES]);
/* Reads what rows_digest_hex wrote into the sum; rows stay. -1 when it is something else. */
int rows_digest_parse(const char *text, struct rows_digest *ret) MUST_USE;

/* One entry of the table of contents. Strings belong to the pgdump; NULL where the dump has none.
 * They are in UTF-8, whatever the database's encoding is, unless that is SQL_ASCII. */
struct pgdump_entry {
	int32_t id;
	const char *desc;   /* "TABLE DATA", "SEQUENCE SET", "INDEX", … */
	const char *tag;    /* the name */
	const char *schema; /* namespace */
	const char *owner;
	const char *definition; /* SQL */
	const char *copy;       /* COPY statement of a TABLE DATA */
	bool has_data;          /* a data block was promised */
	bool data_seen;
	struct rows_digest data; /* TABLE DATA: rows and digest. BLOBS: objects and digest */
	uint64_t data_bytes;
	/* Where its data block lies in the dump, from its head to its end mark; 0: not seen yet. */
	uint64_t block_at, block_bytes;
	uint64_t toc_at; /* where the entry itself does */
};

struct pgdump_info {
	int format_major, format_minor; /* 1.14 */
	char dbname[256];
	char server_version[64]; /* "15.20 (Debian …)" */
	char client_version[64];
};

struct pgdump;
int pgdump_new(struct pgdump **ret, struct err *err) MUST_USE;
void pgdump_free(struct pgdump *d);
DEFINE_CLEANUP(struct pgdump, pgdump_free)
/* The sink borrows d. */
int pgdump_sink(struct pgdump *d, struct sink **ret, struct err *err) MUST_USE;

/* After the header and the table of contents have passed; count 0 before. */
const struct pgdump_info *pgdump_info(const struct pgdump *d);
const struct pgdump_entry *pgdump_entries(const struct pgdump *d, size_t *ret_count);
/* Length of header and table of contents together: there the first data block begins. 0 before. */
uint64_t pgdump_head_bytes(const struct pgdump *d);

/* The head of a dump that has the entries `ids` (sorted) of this one and what it says of encoding
 * and quoting, and no other: with their blocks behind it, in the order of the old one, it is a dump
 * of its own that pg_restore reads. `head`: the first pgdump_head_bytes bytes of this one. Appends.
 */
int pgdump_part(const struct pgdump *d, const uint8_t *head, const int32_t *ids, size_t count,
		struct buf *out, struct err *err) MUST_USE;
/* What every data block begins with and ends with at least. */
enum { PGDUMP_BLOCK_MIN = 11 };

/* The column list of a COPY statement, "(a, \"B\", c)" or "" for a table without columns, as a new
 * string; ERR_CORRUPT when the statement is not one that pg_dump writes. */
int pgdump_copy_columns(const char *copy, char **ret, struct err *err) MUST_USE;
/* Is it such a column list and nothing else? For one that comes from outside. */
bool pgdump_columns_are_valid(const char *columns);
/* Does the COPY of a TABLE DATA name another table than its own? pg_dump loads the rows of a table
 * that is partitioned by the hash of an enum through its root, since they may belong to another
 * partition then: only the sum over all partitions of one root (one COPY target) stays the same. */
bool pgdump_loads_elsewhere(const struct pgdump_entry *e);
/* "SELECT pg_catalog.setval('public.s', 42, true);" of a SEQUENCE SET. */
int pgdump_sequence_value(const char *definition, int64_t *ret_value, bool *ret_called,
			  struct err *err) MUST_USE;

#endif

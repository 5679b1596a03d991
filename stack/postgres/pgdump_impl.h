/* The inside of a pgdump: shared by stack/postgres/pgdump*.c alone. */
#ifndef LIFEBOAT_STACK_POSTGRES_PGDUMP_IMPL_H
#define LIFEBOAT_STACK_POSTGRES_PGDUMP_IMPL_H

#include <iconv.h>
#include <string.h>
#include <xxhash.h>
#include "stack/postgres/pgdump.h"

enum {
	PGDUMP_INT_BYTES = 5, /* a sign and four bytes: pg_dump's WriteInt */
	PGDUMP_ENTRIES_MAX = 4000000,
	PGDUMP_TEXT_MAX = 256 << 20, /* one string of the table of contents */
	PGDUMP_TOTAL_MAX = 1 << 30   /* the table of contents in memory */
};

enum pgdump_phase {
	PGDUMP_HEADER,
	PGDUMP_ENTRY,  /* the table of contents */
	PGDUMP_BLOCK,  /* between blocks: the dump may end here */
	PGDUMP_OBJECT, /* between large objects of a block */
	PGDUMP_CHUNK,  /* before the length of a chunk */
	PGDUMP_BYTES   /* inside a chunk */
};

/* Memory for the strings of the table of contents; freed as one. */
struct pgdump_arena {
	struct pgdump_arena *next;
	size_t used, size;
	char data[];
};

/* A value that arrives in pieces. */
struct pgdump_partial {
	uint8_t bytes[16];
	size_t have;
	bool in_text; /* the length is known, `left` bytes of it are to come */
	size_t left;
	struct buf text;
};

struct pgdump {
	struct pgdump_info info;
	struct pgdump_entry *entries;
	uint32_t *by_id; /* indices of entries, sorted by their id */
	size_t count, cap, promised;
	struct pgdump_arena *arena;
	size_t kept_bytes;
	uint64_t seen;       /* bytes of the dump, to the end of what is being read */
	uint64_t at;         /* behind the value that was read last */
	uint64_t head_bytes; /* header and table of contents; 0: not yet known */

	enum pgdump_phase phase;
	unsigned field; /* which one of the header or of the entry comes next */
	unsigned off_size;
	bool has_sink;
	struct pgdump_partial partial;
	struct pgdump_entry entry; /* the one that is being read */
	iconv_t to_utf8;           /* (iconv_t)-1: names are as they are */
	struct buf converted;

	/* The block that is being read. */
	struct pgdump_entry *current;
	bool is_blobs;
	size_t left;   /* of the chunk */
	bool row_open; /* bytes of a row have been seen, its end has not: they are in `row` */
	bool marked;   /* the line "\." has been seen */
	uint64_t row_bytes;
	uint8_t row_head[2];
	XXH3_state_t *row;
};

/* Reads header and table of contents from [*p, end), moving *p; sets phase PGDUMP_BLOCK when both
 * are complete. */
int pgdump_toc_read(struct pgdump *d, const uint8_t **p, const uint8_t *end, struct err *err)
    MUST_USE;
void pgdump_toc_free(struct pgdump *d);
/* NULL when there is none. */
struct pgdump_entry *pgdump_toc_find(struct pgdump *d, int32_t id);

/* Takes note of the definition of the entry ENCODING. */
void pgdump_encoding_set(struct pgdump *d, const char *definition);
/* Points *text at the same in UTF-8, valid until the next call, if that can be done. */
int pgdump_encoding_convert(struct pgdump *d, const char **text, size_t *len, struct err *err)
    MUST_USE;

/* `need` bytes in one piece, or NULL until they have come. */
static inline const uint8_t *pgdump_take(struct pgdump_partial *v, const uint8_t **p,
					 const uint8_t *end, size_t need)
{
	const uint8_t *at = *p;
	if (v->have == 0 && (size_t)(end - at) >= need) {
		*p = at + need;
		return at;
	}
	size_t n = need - v->have;
	if (n > (size_t)(end - at))
		n = (size_t)(end - at);
	memcpy(v->bytes + v->have, at, n);
	*p = at + n;
	v->have += n;
	if (v->have < need)
		return NULL;
	v->have = 0;
	return v->bytes;
}

/* pg_dump's WriteInt: a sign byte, then the magnitude, low byte first. INT64_MIN for what it never
 * writes: another sign than 0 and 1, and a zero below zero. */
static inline int64_t pgdump_int(const uint8_t at[PGDUMP_INT_BYTES])
{
	uint32_t n =
	    (uint32_t)at[1] | (uint32_t)at[2] << 8 | (uint32_t)at[3] << 16 | (uint32_t)at[4] << 24;
	if (at[0] == 0)
		return (int64_t)n;
	return at[0] == 1 && n > 0 ? -(int64_t)n : INT64_MIN;
}

#endif

/*
 * The data blocks of a dump: _StartData, _StartLOs, _PrintData and their kin in
 * src/bin/pg_dump/pg_backup_custom.c of PostgreSQL.
 *
 *   block   byte kind, int id of its entry, then
 *   data    runs of <int length><bytes>, ended by length 0
 *   blobs   runs of <int oid><data>, ended by oid 0
 *
 * There is no end mark: the dump is whole when every entry that promised data has had it.
 */
#include "stack/postgres/pgdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/pgdump_impl.h"

/* BLK_DATA and BLK_BLOBS in pg_backup_archiver.h. */
enum { BLOCK_DATA = 1, BLOCK_BLOBS = 3, BLOCK_HEAD_BYTES = 1 + PGDUMP_INT_BYTES };

int pgdump_new(struct pgdump **ret, struct err *err)
{
	CLEANUP(pgdump_freep) struct pgdump *d = mem_zalloc(sizeof *d, "a reader of dumps", err);
	if (d == NULL)
		return -1;
	buf_init(&d->partial.text, PGDUMP_TEXT_MAX);
	buf_init(&d->converted, (size_t)PGDUMP_TEXT_MAX * 4);
	d->to_utf8 = (iconv_t)-1;
	d->row = XXH3_createState();
	if (d->row == NULL)
		return err_nomem(err, "a digest");
	*ret = d;
	d = NULL;
	return 0;
}

void pgdump_free(struct pgdump *d)
{
	if (d == NULL)
		return;
	pgdump_toc_free(d);
	XXH3_freeState(d->row);
	free(d);
}

const struct pgdump_info *pgdump_info(const struct pgdump *d)
{
	return &d->info;
}

uint64_t pgdump_head_bytes(const struct pgdump *d)
{
	return d->head_bytes;
}

const struct pgdump_entry *pgdump_entries(const struct pgdump *d, size_t *ret_count)
{
	*ret_count = d->phase > PGDUMP_ENTRY ? d->count : 0;
	return d->entries;
}

/* "table 'public.users'" or "the large objects", for messages. */
static const char *entry_name(const struct pgdump_entry *e, char *out, size_t cap)
{
	if (strcmp(e->desc, "BLOBS") == 0)
		snprintf(out, cap, "the large objects");
	else
		snprintf(out, cap, "table '%.200s%s%.200s'", e->schema != NULL ? e->schema : "",
			 e->schema != NULL ? "." : "", e->tag != NULL ? e->tag : "?");
	return out;
}

enum { NAME_BYTES = 512 };

/* ---- rows ---- */

/* Part of a row whose end has not come yet. */
static void row_part(struct pgdump *d, const uint8_t *p, size_t n)
{
	if (!d->row_open) {
		XXH3_128bits_reset(d->row);
		d->row_open = true;
		d->row_bytes = 0;
	}
	for (size_t i = 0; d->row_bytes + i < 2 && i < n; i++)
		d->row_head[d->row_bytes + i] = p[i];
	d->row_bytes += n;
	XXH3_128bits_update(d->row, p, n);
}

/* The row that came in parts has ended. */
static void row_end(struct pgdump *d, struct rows_digest *rows)
{
	d->row_open = false;
	if (d->row_bytes == 2 && memcmp(d->row_head, "\\.", 2) == 0) {
		d->marked = true;
		return;
	}
	XXH128_hash_t h = XXH3_128bits_digest(d->row);
	rows_digest_add_hash(rows, h.low64, h.high64);
}

/* COPY text: a row is a line, since COPY escapes newlines inside of it; "\." ends it. */
static int read_rows(struct pgdump *d, const uint8_t *p, size_t n, struct err *err)
{
	struct rows_digest *rows = &d->current->data;
	const uint8_t *end = p + n;
	while (p < end && !d->marked) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL) {
			row_part(d, p, (size_t)(end - p));
			return 0;
		}
		size_t len = (size_t)(newline - p);
		if (d->row_open) {
			row_part(d, p, len);
			row_end(d, rows);
		} else if (len == 2 && p[0] == '\\' && p[1] == '.') {
			d->marked = true;
		} else {
			rows_digest_add(rows, p, len);
		}
		p = newline + 1;
	}
	for (; p < end; p++)
		if (*p != '\n') {
			char name[NAME_BYTES];
			return err_set(err, ERR_CORRUPT,
				       "dump is damaged: rows of %s after their end mark",
				       entry_name(d->current, name, sizeof name));
		}
	return 0;
}

/* ---- large objects ---- */

static void end_block(struct pgdump *d)
{
	d->current->block_bytes = d->at - d->current->block_at;
	d->phase = PGDUMP_BLOCK;
}

static int start_object(struct pgdump *d, int64_t number, struct err *err)
{
	if (number == 0) {
		end_block(d);
		return 0;
	}
	if (number < INT32_MIN || number > INT32_MAX)
		return err_set(err, ERR_CORRUPT, "dump is damaged: a large object's oid is %lld",
			       (long long)number);
	/* An oid goes through WriteInt as a signed number: large ones look negative. */
	char prefix[16];
	int n = snprintf(prefix, sizeof prefix, "%u:", (unsigned)number);
	XXH3_128bits_reset(d->row);
	XXH3_128bits_update(d->row, prefix, (size_t)n);
	d->phase = PGDUMP_CHUNK;
	return 0;
}

static void end_object(struct pgdump *d)
{
	XXH128_hash_t h = XXH3_128bits_digest(d->row);
	rows_digest_add_hash(&d->current->data, h.low64, h.high64);
	d->phase = PGDUMP_OBJECT;
}

/* ---- blocks ---- */

static int start_block(struct pgdump *d, const uint8_t head[BLOCK_HEAD_BYTES], struct err *err)
{
	int64_t id = pgdump_int(head + 1);
	if (head[0] != BLOCK_DATA && head[0] != BLOCK_BLOBS)
		return err_set(err, ERR_CORRUPT, "dump is damaged: a data block of kind %u",
			       head[0]);
	struct pgdump_entry *e = id > 0 && id <= INT32_MAX ? pgdump_toc_find(d, (int32_t)id) : NULL;
	if (e == NULL || !e->has_data)
		return err_set(err, ERR_CORRUPT,
			       "dump is damaged: data of entry %lld, which promised none",
			       (long long)id);
	char name[NAME_BYTES];
	if (e->data_seen)
		return err_set(err, ERR_CORRUPT, "dump is damaged: %s comes twice",
			       entry_name(e, name, sizeof name));
	d->is_blobs = head[0] == BLOCK_BLOBS;
	if (d->is_blobs != (strcmp(e->desc, "BLOBS") == 0))
		return err_set(err, ERR_CORRUPT, "dump is damaged: %s in a block of kind %u",
			       entry_name(e, name, sizeof name), head[0]);
	e->data_seen = true;
	e->block_at = d->at - BLOCK_HEAD_BYTES;
	d->current = e;
	d->marked = false;
	d->row_open = false;
	d->phase = d->is_blobs ? PGDUMP_OBJECT : PGDUMP_CHUNK;
	return 0;
}

static int end_data(struct pgdump *d, struct err *err)
{
	if (d->is_blobs) {
		end_object(d);
		return 0;
	}
	char name[NAME_BYTES];
	if (!d->marked)
		return err_set(err, ERR_CORRUPT, "dump is damaged: the data of %s has no end mark",
			       entry_name(d->current, name, sizeof name));
	end_block(d);
	return 0;
}

static int start_chunk(struct pgdump *d, const uint8_t at[PGDUMP_INT_BYTES], struct err *err)
{
	int64_t length = pgdump_int(at);
	if (length == 0)
		return end_data(d, err);
	char name[NAME_BYTES];
	if (length < 0 || length > INT32_MAX)
		return err_set(err, ERR_CORRUPT,
			       "dump is damaged: a chunk of %lld bytes in the data of %s",
			       (long long)length, entry_name(d->current, name, sizeof name));
	d->left = (size_t)length;
	d->phase = PGDUMP_BYTES;
	return 0;
}

static int read_chunk(struct pgdump *d, const uint8_t **p, const uint8_t *end, struct err *err)
{
	size_t n = d->left < (size_t)(end - *p) ? d->left : (size_t)(end - *p);
	if (d->is_blobs)
		XXH3_128bits_update(d->row, *p, n);
	else if (read_rows(d, *p, n, err) < 0)
		return -1;
	d->current->data_bytes += n;
	*p += n;
	d->left -= n;
	if (d->left == 0)
		d->phase = PGDUMP_CHUNK;
	return 0;
}

/* NULL: more must come first. */
static const uint8_t *take_head(struct pgdump *d, const uint8_t **p, const uint8_t *end,
				size_t need)
{
	const uint8_t *at = pgdump_take(&d->partial, p, end, need);
	if (at != NULL)
		d->at = d->seen - (size_t)(end - *p);
	return at;
}

static int read_data(struct pgdump *d, const uint8_t **p, const uint8_t *end, struct err *err)
{
	const uint8_t *at;
	switch (d->phase) {
	case PGDUMP_BLOCK:
		at = take_head(d, p, end, BLOCK_HEAD_BYTES);
		return at != NULL ? start_block(d, at, err) : 0;
	case PGDUMP_OBJECT:
		at = take_head(d, p, end, PGDUMP_INT_BYTES);
		return at != NULL ? start_object(d, pgdump_int(at), err) : 0;
	case PGDUMP_CHUNK:
		at = take_head(d, p, end, PGDUMP_INT_BYTES);
		return at != NULL ? start_chunk(d, at, err) : 0;
	case PGDUMP_BYTES:
		return read_chunk(d, p, end, err);
	case PGDUMP_HEADER:
	case PGDUMP_ENTRY:
		break;
	}
	return pgdump_toc_read(d, p, end, err);
}

/* ---- the sink ---- */

static int dump_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct pgdump *d = self;
	const uint8_t *p = data, *end = data + len;
	d->seen += len;
	while (p < end)
		if (read_data(d, &p, end, err) < 0)
			return -1;
	return 0;
}

/* Where a dump that was cut stopped. */
static int ends_inside(const struct pgdump *d, struct err *err)
{
	char name[NAME_BYTES];
	switch (d->phase) {
	case PGDUMP_HEADER:
		return err_set(err, ERR_CORRUPT, "dump ends inside its header");
	case PGDUMP_ENTRY:
		return err_set(err, ERR_CORRUPT,
			       "dump ends inside its table of contents, after %zu of %zu entries",
			       d->count, d->promised);
	case PGDUMP_BLOCK:
		return err_set(err, ERR_CORRUPT, "dump ends inside the head of a data block");
	case PGDUMP_OBJECT:
	case PGDUMP_CHUNK:
	case PGDUMP_BYTES:
		break;
	}
	return err_set(err, ERR_CORRUPT, "dump ends inside the data of %s, after %llu bytes of it",
		       entry_name(d->current, name, sizeof name),
		       (unsigned long long)d->current->data_bytes);
}

static int dump_close(void *self, struct err *err)
{
	struct pgdump *d = self;
	if (d->phase != PGDUMP_BLOCK || d->partial.have > 0)
		return ends_inside(d, err);
	char name[NAME_BYTES];
	for (size_t i = 0; i < d->count; i++)
		if (d->entries[i].has_data && !d->entries[i].data_seen)
			return err_set(err, ERR_CORRUPT, "dump ends before the data of %s",
				       entry_name(&d->entries[i], name, sizeof name));
	return 0;
}

static const struct sink_ops dump_ops = {.write = dump_write, .close = dump_close};

int pgdump_sink(struct pgdump *d, struct sink **ret, struct err *err)
{
	if (d->has_sink)
		return err_set(err, ERR_FAILED, "a reader of dumps reads one dump");
	if (sink_new(&dump_ops, d, ret, err) < 0)
		return -1;
	d->has_sink = true;
	return 0;
}

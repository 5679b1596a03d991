/*
 * Header and table of contents. Both are runs of fields; a table says what each is, so that reading
 * can stop after any byte and go on with the next.
 *
 * Source: ReadHead, ReadToc, ReadInt and ReadStr in src/bin/pg_dump/pg_backup_archiver.c and
 * _ReadExtraToc in pg_backup_custom.c of PostgreSQL.
 */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/pgdump_impl.h"

enum kind { KIND_BYTE, KIND_MAGIC, KIND_INT, KIND_TEXT, KIND_OFFSET };

struct field {
	enum kind kind;
	int min_minor, max_minor; /* 0: any */
	bool kept;                /* a text that is wanted */
};

struct value {
	const uint8_t *bytes;
	int64_t number;
	const char *text; /* NULL: none */
	size_t len;
};

/* archCustom in pg_backup.h; offsets' "no data" in pg_backup_archiver.h. */
enum { FORMAT_CUSTOM = 1, OFFSET_NO_DATA = 3 };

enum header_field {
	H_MAGIC,
	H_MAJOR,
	H_MINOR,
	H_REVISION,
	H_INT_SIZE,
	H_OFF_SIZE,
	H_FORMAT,
	H_ALGORITHM,
	H_LEVEL,
	H_SECOND,
	H_MINUTE,
	H_HOUR,
	H_DAY,
	H_MONTH,
	H_YEAR,
	H_DST,
	H_DBNAME,
	H_SERVER,
	H_CLIENT,
	H_COUNT,
	H_FIELDS
};
static const struct field header_fields[H_FIELDS] = {
    [H_MAGIC] = {.kind = KIND_MAGIC},
    [H_MAJOR] = {.kind = KIND_BYTE},
    [H_MINOR] = {.kind = KIND_BYTE},
    [H_REVISION] = {.kind = KIND_BYTE},
    [H_INT_SIZE] = {.kind = KIND_BYTE},
    [H_OFF_SIZE] = {.kind = KIND_BYTE},
    [H_FORMAT] = {.kind = KIND_BYTE},
    [H_ALGORITHM] = {.kind = KIND_BYTE, .min_minor = 15},
    [H_LEVEL] = {.kind = KIND_INT, .max_minor = 14},
    [H_SECOND] = {.kind = KIND_INT},
    [H_MINUTE] = {.kind = KIND_INT},
    [H_HOUR] = {.kind = KIND_INT},
    [H_DAY] = {.kind = KIND_INT},
    [H_MONTH] = {.kind = KIND_INT},
    [H_YEAR] = {.kind = KIND_INT},
    [H_DST] = {.kind = KIND_INT},
    [H_DBNAME] = {.kind = KIND_TEXT, .kept = true},
    [H_SERVER] = {.kind = KIND_TEXT, .kept = true},
    [H_CLIENT] = {.kind = KIND_TEXT, .kept = true},
    [H_COUNT] = {.kind = KIND_INT},
};

enum entry_field {
	E_ID,
	E_HAS_DATA,
	E_TABLE_OID,
	E_OID,
	E_TAG,
	E_DESC,
	E_SECTION,
	E_DEFINITION,
	E_DROP,
	E_COPY,
	E_SCHEMA,
	E_TABLESPACE,
	E_ACCESS_METHOD,
	E_RELKIND,
	E_OWNER,
	E_WITH_OIDS,
	E_DEPENDENCY, /* again until one is NULL */
	E_OFFSET,
	E_FIELDS
};
static const struct field entry_fields[E_FIELDS] = {
    [E_ID] = {.kind = KIND_INT},
    [E_HAS_DATA] = {.kind = KIND_INT},
    [E_TABLE_OID] = {.kind = KIND_TEXT},
    [E_OID] = {.kind = KIND_TEXT},
    [E_TAG] = {.kind = KIND_TEXT, .kept = true},
    [E_DESC] = {.kind = KIND_TEXT, .kept = true},
    [E_SECTION] = {.kind = KIND_INT},
    [E_DEFINITION] = {.kind = KIND_TEXT, .kept = true},
    [E_DROP] = {.kind = KIND_TEXT},
    [E_COPY] = {.kind = KIND_TEXT, .kept = true},
    [E_SCHEMA] = {.kind = KIND_TEXT, .kept = true},
    [E_TABLESPACE] = {.kind = KIND_TEXT},
    [E_ACCESS_METHOD] = {.kind = KIND_TEXT},
    [E_RELKIND] = {.kind = KIND_INT, .min_minor = 16},
    [E_OWNER] = {.kind = KIND_TEXT, .kept = true},
    [E_WITH_OIDS] = {.kind = KIND_TEXT},
    [E_DEPENDENCY] = {.kind = KIND_TEXT},
    [E_OFFSET] = {.kind = KIND_OFFSET},
};

/* ---- values ---- */

enum { PARTIAL = 0, COMPLETE = 1 };

/* The bytes of a string whose length is known. */
static int read_text(struct pgdump *d, const uint8_t **p, const uint8_t *end, bool kept,
		     struct value *ret, struct err *err)
{
	struct pgdump_partial *v = &d->partial;
	size_t n = v->left < (size_t)(end - *p) ? v->left : (size_t)(end - *p);
	if (kept && buf_append(&v->text, *p, n, err) < 0)
		return -1;
	*p += n;
	v->left -= n;
	if (v->left > 0)
		return PARTIAL;
	v->in_text = false;
	ret->text = buf_text(&v->text);
	ret->len = v->text.len;
	if (memchr(ret->text, 0, ret->len) != NULL)
		return err_set(err, ERR_CORRUPT, "dump is damaged: a text holds a zero byte");
	return pgdump_encoding_convert(d, &ret->text, &ret->len, err) < 0 ? -1 : COMPLETE;
}

static int read_value(struct pgdump *d, const struct field *f, const uint8_t **p,
		      const uint8_t *end, struct value *ret, struct err *err)
{
	struct pgdump_partial *v = &d->partial;
	*ret = (struct value){0};
	if (v->in_text)
		return read_text(d, p, end, f->kept, ret, err);
	static const size_t sizes[] = {[KIND_BYTE] = 1,
				       [KIND_MAGIC] = 5,
				       [KIND_INT] = PGDUMP_INT_BYTES,
				       [KIND_TEXT] = PGDUMP_INT_BYTES,
				       [KIND_OFFSET] = 1};
	size_t need = sizes[f->kind] + (f->kind == KIND_OFFSET ? d->off_size : 0);
	ret->bytes = pgdump_take(v, p, end, need);
	if (ret->bytes == NULL)
		return PARTIAL;
	if (f->kind == KIND_INT || f->kind == KIND_TEXT)
		ret->number = pgdump_int(ret->bytes);
	else
		ret->number = ret->bytes[0];
	if (ret->number == INT64_MIN)
		return err_set(err, ERR_CORRUPT, "dump is damaged: a number has no valid sign");
	if (f->kind != KIND_TEXT || ret->number == -1)
		return COMPLETE;
	if (ret->number < 0)
		return err_set(err, ERR_CORRUPT, "dump is damaged: a text of %lld bytes",
			       (long long)ret->number);
	if (ret->number > PGDUMP_TEXT_MAX)
		return err_set(err, ERR_LIMIT,
			       "a text of %lld bytes in the dump's table of contents is too long",
			       (long long)ret->number);
	v->in_text = true;
	v->left = (size_t)ret->number;
	buf_reset(&v->text);
	return read_text(d, p, end, f->kept, ret, err);
}

/* ---- memory ---- */

static int charge(struct pgdump *d, size_t bytes, struct err *err)
{
	if (bytes > PGDUMP_TOTAL_MAX - d->kept_bytes)
		return err_set(err, ERR_LIMIT,
			       "the dump's table of contents needs more than %d MiB",
			       PGDUMP_TOTAL_MAX >> 20);
	d->kept_bytes += bytes;
	return 0;
}

static int keep(struct pgdump *d, const struct value *v, const char **ret, struct err *err)
{
	if (v->text == NULL)
		return 0;
	size_t need = v->len + 1;
	struct pgdump_arena *a = d->arena;
	if (a == NULL || a->size - a->used < need) {
		size_t size = need > 65536 ? need : 65536;
		if (charge(d, size, err) < 0)
			return -1;
		a = mem_zalloc(sizeof *a + size, "the dump's table of contents", err);
		if (a == NULL)
			return -1;
		a->size = size;
		/* A block of its own for a long text does not end the one that has room left. */
		if (d->arena != NULL && d->arena->size - d->arena->used > size - need) {
			a->next = d->arena->next;
			d->arena->next = a;
		} else {
			a->next = d->arena;
			d->arena = a;
		}
	}
	char *copy = a->data + a->used;
	memcpy(copy, v->text, v->len);
	copy[v->len] = '\0';
	a->used += need;
	*ret = copy;
	return 0;
}

/* Schemas, owners and kinds repeat from entry to entry: the previous copy serves again. */
static int keep_again(struct pgdump *d, const struct value *v, const char *previous,
		      const char **ret, struct err *err)
{
	if (v->text != NULL && previous != NULL && strcmp(previous, v->text) == 0) {
		*ret = previous;
		return 0;
	}
	return keep(d, v, ret, err);
}

void pgdump_toc_free(struct pgdump *d)
{
	for (struct pgdump_arena *a = d->arena, *next; a != NULL; a = next) {
		next = a->next;
		free(a);
	}
	free(d->entries);
	free(d->by_id);
	buf_done(&d->partial.text);
	buf_done(&d->converted);
	if (d->to_utf8 != (iconv_t)-1)
		iconv_close(d->to_utf8);
}

/* ---- header ---- */

static int check_version(const struct pgdump_info *i, struct err *err)
{
	if (i->format_major == 1 && i->format_minor >= 14 && i->format_minor <= 16)
		return 0;
	err_set(err, ERR_CORRUPT,
		"pg_dump wrote format %d.%d, and 1.14 to 1.16 (PostgreSQL 13 to 18) are known",
		i->format_major, i->format_minor);
	if (i->format_major > 1 || i->format_minor > 16)
		err_hint(err, "A newer Lifeboat may know this format.");
	return -1;
}

static int refuse_compressed(struct err *err)
{
	err_set(err, ERR_CORRUPT, "the dump is compressed by pg_dump, so its rows can't be read");
	return err_hint(err, "Dump with -Z0: the archive compresses by itself.");
}

static int copy_text(const struct value *v, const char *what, char *out, size_t cap,
		     struct err *err)
{
	if (v->len >= cap)
		return err_set(err, ERR_CORRUPT, "dump is damaged: %s of %zu bytes", what, v->len);
	memcpy(out, v->text != NULL ? v->text : "", v->len);
	out[v->len] = '\0';
	return 0;
}

static int start_entries(struct pgdump *d, int64_t count, struct err *err)
{
	if (count < 0)
		return err_set(err, ERR_CORRUPT, "dump is damaged: it counts %lld entries",
			       (long long)count);
	if (count > PGDUMP_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "dump has %lld entries, and %d is the most",
			       (long long)count, PGDUMP_ENTRIES_MAX);
	d->promised = (size_t)count;
	d->phase = count > 0 ? PGDUMP_ENTRY : PGDUMP_BLOCK;
	d->head_bytes = count > 0 ? 0 : d->at;
	return 0;
}

static int take_header_field(struct pgdump *d, const struct value *v, struct err *err)
{
	struct pgdump_info *i = &d->info;
	switch ((enum header_field)d->field) {
	case H_MAGIC:
		if (memcmp(v->bytes, "PGDMP", 5) != 0)
			return err_set(err, ERR_CORRUPT,
				       "not a dump in pg_dump's custom format: 'PGDMP' is missing");
		return 0;
	case H_MAJOR:
		i->format_major = (int)v->number;
		return 0;
	case H_MINOR:
		i->format_minor = (int)v->number;
		return check_version(i, err);
	case H_INT_SIZE:
		return v->number == 4
			   ? 0
			   : err_set(err, ERR_CORRUPT, "dump is damaged: integers of %lld bytes",
				     (long long)v->number);
	case H_OFF_SIZE:
		d->off_size = (unsigned)v->number;
		return v->number == 4 || v->number == 8
			   ? 0
			   : err_set(err, ERR_CORRUPT, "dump is damaged: offsets of %lld bytes",
				     (long long)v->number);
	case H_FORMAT:
		return v->number == FORMAT_CUSTOM
			   ? 0
			   : err_set(err, ERR_CORRUPT,
				     "dump is not in the custom format (-Fc): its format is %lld",
				     (long long)v->number);
	case H_ALGORITHM:
	case H_LEVEL:
		return v->number == 0 ? 0 : refuse_compressed(err);
	case H_DBNAME:
		return copy_text(v, "a database name", i->dbname, sizeof i->dbname, err);
	case H_SERVER:
		return copy_text(v, "a version", i->server_version, sizeof i->server_version, err);
	case H_CLIENT:
		return copy_text(v, "a version", i->client_version, sizeof i->client_version, err);
	case H_COUNT:
		return start_entries(d, v->number, err);
	case H_REVISION:
	case H_SECOND:
	case H_MINUTE:
	case H_HOUR:
	case H_DAY:
	case H_MONTH:
	case H_YEAR:
	case H_DST:
	case H_FIELDS:
		break;
	}
	return 0;
}

/* ---- entries ---- */

static int check_entry(const struct pgdump_entry *e, struct err *err)
{
	if (e->desc == NULL)
		return err_set(err, ERR_CORRUPT, "dump is damaged: entry %d has no kind", e->id);
	if (!e->has_data || strcmp(e->desc, "BLOBS") == 0)
		return 0;
	if (strcmp(e->desc, "TABLE DATA") != 0)
		return err_set(err, ERR_CORRUPT, "entry %d of the dump, a %s, has data: unknown",
			       e->id, e->desc);
	if (e->copy != NULL && strncmp(e->copy, "COPY ", 5) == 0)
		return 0;
	err_set(err, ERR_CORRUPT,
		"the data of table '%s' is not COPY text, so its rows can't be read",
		e->tag != NULL ? e->tag : "?");
	return err_hint(err, "Dump without --inserts, --column-inserts and --rows-per-insert.");
}

static int add_entry(struct pgdump *d, struct err *err)
{
	if (check_entry(&d->entry, err) < 0)
		return -1;
	if (d->count == d->cap) {
		size_t cap = d->cap < 64 ? 64 : d->cap * 2;
		if (cap > d->promised)
			cap = d->promised;
		if (charge(d, (cap - d->cap) * sizeof *d->entries, err) < 0)
			return -1;
		struct pgdump_entry *grown = realloc(d->entries, cap * sizeof *grown);
		if (grown == NULL)
			return err_nomem(err, "the dump's table of contents");
		d->entries = grown;
		d->cap = cap;
	}
	d->entries[d->count++] = d->entry;
	if (strcmp(d->entry.desc, "ENCODING") == 0 && d->entry.definition != NULL)
		pgdump_encoding_set(d, d->entry.definition);
	return 0;
}

static int take_entry_field(struct pgdump *d, const struct value *v, struct err *err)
{
	struct pgdump_entry *e = &d->entry;
	static const struct pgdump_entry nothing;
	const struct pgdump_entry *previous = d->count > 0 ? &d->entries[d->count - 1] : &nothing;
	switch ((enum entry_field)d->field) {
	case E_ID:
		*e = (struct pgdump_entry){.id = (int32_t)v->number,
					   .toc_at = d->at - PGDUMP_INT_BYTES};
		if (v->number <= 0 || v->number > INT32_MAX)
			return err_set(err, ERR_CORRUPT, "dump is damaged: an entry's id is %lld",
				       (long long)v->number);
		return 0;
	case E_HAS_DATA:
		e->has_data = v->number != 0;
		return 0;
	case E_TAG:
		return keep(d, v, &e->tag, err);
	case E_DESC:
		return keep_again(d, v, previous->desc, &e->desc, err);
	case E_DEFINITION:
		return keep(d, v, &e->definition, err);
	case E_COPY:
		return keep(d, v, &e->copy, err);
	case E_SCHEMA:
		return keep_again(d, v, previous->schema, &e->schema, err);
	case E_OWNER:
		return keep_again(d, v, previous->owner, &e->owner, err);
	case E_OFFSET:
		if ((v->number == OFFSET_NO_DATA) == e->has_data)
			return err_set(err, ERR_CORRUPT,
				       "dump is damaged: entry %d says both that it has data and "
				       "that it has none",
				       e->id);
		return add_entry(d, err);
	case E_TABLE_OID:
	case E_OID:
	case E_SECTION:
	case E_DROP:
	case E_TABLESPACE:
	case E_ACCESS_METHOD:
	case E_RELKIND:
	case E_WITH_OIDS:
	case E_DEPENDENCY:
	case E_FIELDS:
		break;
	}
	return 0;
}

/* ---- by id ---- */

static int compare_ids(const void *a, const void *b, void *ctx)
{
	const struct pgdump_entry *entries = ctx;
	uint32_t ia, ib;
	memcpy(&ia, a, sizeof ia);
	memcpy(&ib, b, sizeof ib);
	int32_t left = entries[ia].id, right = entries[ib].id;
	return left < right ? -1 : left > right;
}

static int index_entries(struct pgdump *d, struct err *err)
{
	if (charge(d, d->count * sizeof *d->by_id, err) < 0)
		return -1;
	d->by_id = mem_zalloc(d->count * sizeof *d->by_id, "the dump's table of contents", err);
	if (d->by_id == NULL)
		return -1;
	for (size_t i = 0; i < d->count; i++)
		d->by_id[i] = (uint32_t)i;
	qsort_r(d->by_id, d->count, sizeof *d->by_id, compare_ids, d->entries);
	for (size_t i = 1; i < d->count; i++)
		if (d->entries[d->by_id[i]].id == d->entries[d->by_id[i - 1]].id)
			return err_set(err, ERR_CORRUPT, "dump is damaged: two entries have id %d",
				       d->entries[d->by_id[i]].id);
	return 0;
}

struct pgdump_entry *pgdump_toc_find(struct pgdump *d, int32_t id)
{
	size_t low = 0, high = d->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct pgdump_entry *e = &d->entries[d->by_id[middle]];
		if (e->id == id)
			return e;
		if (e->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- the run of fields ---- */

static int next_field(struct pgdump *d, const struct value *v, struct err *err)
{
	if (d->phase == PGDUMP_HEADER) {
		d->field++;
		return 0;
	}
	if (d->field == E_DEPENDENCY && v->text != NULL)
		return 0;
	if (++d->field < E_FIELDS)
		return 0;
	d->field = 0;
	if (d->count < d->promised)
		return 0;
	d->phase = PGDUMP_BLOCK;
	d->head_bytes = d->at;
	buf_done(&d->partial.text);
	buf_done(&d->converted);
	return index_entries(d, err);
}

static bool is_in_format(const struct pgdump *d, const struct field *f)
{
	int minor = d->info.format_minor;
	return minor >= f->min_minor && (f->max_minor == 0 || minor <= f->max_minor);
}

int pgdump_toc_read(struct pgdump *d, const uint8_t **p, const uint8_t *end, struct err *err)
{
	while (*p < end && d->phase <= PGDUMP_ENTRY) {
		bool in_header = d->phase == PGDUMP_HEADER;
		const struct field *f =
		    in_header ? &header_fields[d->field] : &entry_fields[d->field];
		if (!is_in_format(d, f)) {
			d->field++;
			continue;
		}
		struct value v;
		int rc = read_value(d, f, p, end, &v, err);
		if (rc == PARTIAL)
			continue;
		if (rc < 0)
			return -1;
		d->at = d->seen - (size_t)(end - *p);
		rc = in_header ? take_header_field(d, &v, err) : take_entry_field(d, &v, err);
		if (rc < 0)
			return -1;
		if (in_header && d->phase != PGDUMP_HEADER)
			d->field = 0;
		else if (next_field(d, &v, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * A dump of some entries of another one. The entries are copied as they are; only the number of
 * them, which stands right before the first, is another.
 */
#include <stdlib.h>
#include "stack/postgres/pgdump_impl.h"

/* What says how all the others are to be read. */
static bool is_setting(const struct pgdump_entry *e)
{
	return strcmp(e->desc, "ENCODING") == 0 || strcmp(e->desc, "STDSTRINGS") == 0 ||
	       strcmp(e->desc, "SEARCHPATH") == 0;
}

static int compare_ids(const void *a, const void *b)
{
	int32_t left, right;
	memcpy(&left, a, sizeof left);
	memcpy(&right, b, sizeof right);
	return left < right ? -1 : left > right;
}

static bool is_wanted(const struct pgdump_entry *e, const int32_t *ids, size_t count)
{
	return is_setting(e) ||
	       (count > 0 && bsearch(&e->id, ids, count, sizeof *ids, compare_ids) != NULL);
}

int pgdump_part(const struct pgdump *d, const uint8_t *head, const int32_t *ids, size_t count,
		struct buf *out, struct err *err)
{
	uint8_t number[PGDUMP_INT_BYTES] = {0};
	uint32_t kept = 0;
	if (d->phase <= PGDUMP_ENTRY || d->count == 0)
		return err_set(err, ERR_FAILED, "the dump's table of contents is not read yet");
	for (size_t i = 0; i < d->count; i++)
		kept += is_wanted(&d->entries[i], ids, count);
	for (size_t i = 0; i < 4; i++)
		number[1 + i] = (uint8_t)(kept >> (8 * i));
	if (buf_append(out, head, (size_t)d->entries[0].toc_at - PGDUMP_INT_BYTES, err) < 0 ||
	    buf_append(out, number, sizeof number, err) < 0)
		return -1;
	for (size_t i = 0; i < d->count; i++) {
		const struct pgdump_entry *e = &d->entries[i];
		uint64_t end = i + 1 < d->count ? e[1].toc_at : d->head_bytes;
		if (is_wanted(e, ids, count) &&
		    buf_append(out, head + e->toc_at, (size_t)(end - e->toc_at), err) < 0)
			return -1;
	}
	return 0;
}

#include "storage/archive/reader.h"

#include <stdlib.h>
#include <string.h>
#include "storage/archive/manifest.h"
#include "storage/archive/reader_parts.h"

/* The first range read. Holds the seek table of an archive of 80 GB in parts of 8 MiB, and the
 * whole of a small archive. */
#define TAIL_BYTES ((size_t)128 << 10)

void reader_free(struct reader *r)
{
	if (r == NULL)
		return;
	index_done(&r->index);
	seek_table_done(&r->frames);
	json_decref(r->manifest);
	free(r->object);
	free(r);
}

const json_t *reader_manifest(const struct reader *r)
{
	return r->manifest;
}

bool reader_was_rebuilt(const struct reader *r)
{
	return r->rebuilt;
}

uint64_t reader_fetched_bytes(const struct reader *r)
{
	return atomic_load(&r->fetched_bytes);
}

uint64_t reader_object_bytes(const struct reader *r)
{
	return r->object_bytes;
}

int reader_fetch(struct reader *r, uint64_t offset, size_t len, uint8_t *out, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	size_t n;
	if (store_get(r->store, r->object, offset, len, &from, err) < 0 ||
	    source_read_full(from, out, len, &n, err) < 0)
		return -1;
	if (n != len)
		return err_set(err, ERR_CORRUPT, "'%s' ended after %zu of %zu bytes", r->object, n,
			       len);
	atomic_fetch_add(&r->fetched_bytes, n);
	return 0;
}

/* The seek table, from the last bytes of the object. */
static int fetch_seek_table(struct reader *r, struct seek_table *ret, struct err *err)
{
	size_t tail = r->object_bytes < TAIL_BYTES ? (size_t)r->object_bytes : TAIL_BYTES;
	CLEANUP(freep) uint8_t *data = mem_zalloc(tail + 1, "the seek table", err);
	size_t len;
	if (data == NULL)
		return -1;
	if (tail < SEEK_TABLE_FOOT_BYTES)
		return err_set(err, ERR_CORRUPT, "it has only %zu bytes", tail);
	if (reader_fetch(r, r->object_bytes - tail, tail, data, err) < 0 ||
	    seek_table_foot(data + tail - SEEK_TABLE_FOOT_BYTES, r->object_bytes, &len, err) < 0)
		return -1;
	if (len <= tail)
		return seek_table_parse(data + tail - len, len, r->object_bytes, ret, err);
	CLEANUP(freep) uint8_t *all = malloc(len);
	if (all == NULL)
		return err_nomem(err, "the seek table");
	if (reader_fetch(r, r->object_bytes - len, len, all, err) < 0)
		return -1;
	return seek_table_parse(all, len, r->object_bytes, ret, err);
}

static void unpacker_freep(ZSTD_DCtx **ctx)
{
	ZSTD_freeDCtx(*ctx);
}

int reader_last_frame(struct reader *r, const struct seek_table *frames, struct sha256 *digest,
		      uint8_t **ret_raw, size_t *ret_len, struct err *err)
{
	const struct seek_frame *f = &frames->frames[frames->count - 1];
	if (f->raw_bytes > MANIFEST_FRAME_MAX)
		return err_set(err, ERR_LIMIT, "the manifest's frame unpacks to %u bytes",
			       f->raw_bytes);
	if (f->stored_bytes > ZSTD_compressBound(f->raw_bytes))
		return err_set(err, ERR_CORRUPT, "the manifest's frame of %u bytes unpacks to %u",
			       f->stored_bytes, f->raw_bytes);
	CLEANUP(freep) uint8_t *stored = malloc((size_t)f->stored_bytes + 1);
	CLEANUP(freep) uint8_t *raw = malloc((size_t)f->raw_bytes + 1);
	CLEANUP(unpacker_freep) ZSTD_DCtx *ctx = ZSTD_createDCtx();
	if (stored == NULL || raw == NULL || ctx == NULL)
		return err_nomem(err, "the manifest");
	if (reader_fetch(r, f->offset, f->stored_bytes, stored, err) < 0)
		return -1;
	if (digest != NULL)
		sha256_update(digest, stored, f->stored_bytes);
	if (digest != NULL && frame_checksum(stored, f->stored_bytes) != f->checksum)
		return err_set(err, ERR_CORRUPT,
			       "the seek table has another checksum for the manifest's frame");
	if (frame_unpack(ctx, stored, f->stored_bytes, raw, f->raw_bytes, err) < 0)
		return err_wrap(err, "the manifest's frame at byte %llu",
				(unsigned long long)f->offset);
	*ret_raw = raw;
	*ret_len = f->raw_bytes;
	raw = NULL;
	return 0;
}

/* By the seek table, as everyday archives are read. *ret_raw: the manifest's frame, unpacked. */
static int open_by_seek_table(struct reader *r, uint8_t **ret_raw, const char **ret_text,
			      size_t *ret_len, struct err *err)
{
	CLEANUP(seek_table_done) struct seek_table frames = {.count = 0};
	CLEANUP(freep) uint8_t *raw = NULL;
	size_t len = 0;
	if (fetch_seek_table(r, &frames, err) < 0 ||
	    reader_last_frame(r, &frames, NULL, &raw, &len, err) < 0 ||
	    manifest_find(raw, len, ret_text, ret_len, err) < 0)
		return -1;
	r->frames = frames;
	frames = (struct seek_table){.count = 0};
	*ret_raw = raw;
	raw = NULL;
	return 0;
}

/* Where the tail contradicts itself or is damaged, what is really there decides. */
static int open_by_pass(struct reader *r, const struct err *damage, struct err *err)
{
	if (damage->code != ERR_CORRUPT && damage->code != ERR_LIMIT) {
		*err = *damage;
		return -1;
	}
	r->rebuilt = true;
	r->damage = *damage;
	json_decref(r->manifest);
	r->manifest = NULL;
	seek_table_done(&r->frames);
	return reader_rebuild(r, &r->frames, &r->manifest, err);
}

static int open_object(struct reader *r, struct err *err)
{
	struct store_object object;
	struct err why = ERR_INIT;
	CLEANUP(freep) uint8_t *raw = NULL;
	const char *text = NULL;
	size_t len = 0;
	if (store_stat(r->store, r->object, &object, err) < 0)
		return -1;
	r->object_bytes = object.bytes;
	if (open_by_seek_table(r, &raw, &text, &len, &why) < 0)
		return open_by_pass(r, &why, err);
	/* Its checksum holds: what is wrong with it now can't be found better elsewhere. */
	if (manifest_parse(text, len, &r->manifest, err) < 0)
		return err_wrap(err, "the manifest of '%s'", r->object);
	if (index_compare_frames(r->manifest, &r->frames, &why) < 0)
		return open_by_pass(r, &why, err);
	return 0;
}

int reader_open(struct store *s, const char *object, struct reader **ret, struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = mem_zalloc(sizeof *r, "a reader", err);
	if (r == NULL)
		return -1;
	r->store = s;
	if (str_dup(object, &r->object, err) < 0 || open_object(r, err) < 0)
		return -1;
	if (index_parse(r->manifest, &r->frames, &r->index, err) < 0)
		return err_wrap(err, "the manifest of '%s'", object);
	*ret = r;
	r = NULL;
	return 0;
}

/*
 * The sequential pass: walks the frames of an archive whose tail is damaged.
 *
 * Frames are found by their own headers, so one that is damaged inside does not hide the ones
 * behind it. Their content runs through libarchive for as long as it is sound, only to be able to
 * say how many members are whole when there is no manifest any more.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/reader_parts.h"
#include "storage/archive/tar_member.h"

#define SKIPPABLE_MAGIC 0x184D2A50U /* to 0x184D2A5F, RFC 8878 section 3.1.2 */
enum { FIRST_READ = 64 << 10 };

struct pass {
	struct reader *r;
	struct source *from;
	ZSTD_DCtx *ctx;
	struct seek_table frames;
	uint8_t *buf; /* buf[start..len) was read and is not yet told apart */
	size_t start, len, room;
	bool source_ended;
	bool over;     /* no further frame: the end, or damage */
	uint8_t *last; /* the last whole frame, as stored */
	size_t last_len;
	uint64_t last_raw;
	uint8_t *raw;                         /* the same frame, unpacked for libarchive */
	size_t members;                       /* whole ones */
	char member[MEMBER_NAME_SHOWN_BYTES]; /* the last of them */
	struct err *err; /* for what is no damage: the store, memory, cancellation */
	bool failed;
};

static int fail(struct pass *p)
{
	p->failed = true;
	p->over = true;
	return -1;
}

/* Doubles what is known of the frame at the front of the buffer. */
static int read_more(struct pass *p)
{
	size_t n;
	if (cancel_check(p->err) < 0)
		return fail(p);
	p->len -= p->start;
	if (p->len > 0)
		memmove(p->buf, p->buf + p->start, p->len);
	p->start = 0;
	size_t want = p->len < FIRST_READ ? FIRST_READ : p->len;
	if (p->len + want > p->room) {
		uint8_t *bigger = realloc(p->buf, p->len + want);
		if (bigger == NULL) {
			err_nomem(p->err, "a frame");
			return fail(p);
		}
		p->buf = bigger;
		p->room = p->len + want;
	}
	if (source_read_full(p->from, p->buf + p->len, want, &n, p->err) < 0)
		return fail(p);
	p->source_ended = n < want;
	p->len += n;
	atomic_fetch_add(&p->r->fetched_bytes, n);
	return 0;
}

/* Takes the whole frame of `stored` bytes off the front and keeps it as the last one. */
static int take_frame(struct pass *p, size_t stored, uint64_t raw)
{
	uint8_t *frame = malloc(stored);
	if (frame == NULL) {
		err_nomem(p->err, "a frame");
		return fail(p);
	}
	memcpy(frame, p->buf + p->start, stored);
	p->start += stored;
	free(p->last);
	p->last = frame;
	p->last_len = stored;
	p->last_raw = raw;
	if (seek_table_add(&p->frames, (uint32_t)stored, (uint32_t)raw,
			   frame_checksum(frame, stored), p->err) < 0)
		return fail(p);
	return 0;
}

/* Finds the next frame. False: there is none. */
static bool next_frame(struct pass *p)
{
	while (!p->over) {
		size_t stored = 0, known = p->len - p->start;
		const uint8_t *at = known > 0 ? p->buf + p->start : NULL;
		uint64_t raw = 0;
		bool skippable =
		    known >= 4 && (seek_table_le32(at) & 0xFFFFFFF0U) == SKIPPABLE_MAGIC;
		struct err damage = ERR_INIT;
		/* A skippable frame can only be the seek table, and that is the end. */
		if (skippable || (known == 0 && p->source_ended) ||
		    (known > 0 &&
		     frame_shape(at, known, MANIFEST_FRAME_MAX, &stored, &raw, &damage) < 0))
			p->over = true;
		else if (stored > 0)
			return take_frame(p, stored, raw) == 0;
		else if (p->source_ended || known > ZSTD_compressBound(MANIFEST_FRAME_MAX))
			p->over = true; /* it is cut */
		else if (read_more(p) < 0)
			return false;
	}
	return false;
}

/* libarchive reads the tar file through this, one frame at a time. */
static la_ssize_t read_frame(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	struct pass *p = ctx;
	struct err damage = ERR_INIT;
	if (!next_frame(p))
		return p->failed ? -1 : 0;
	free(p->raw);
	p->raw = malloc((size_t)p->last_raw + 1);
	if (p->raw == NULL) {
		err_nomem(p->err, "a frame");
		return fail(p);
	}
	if (frame_unpack(p->ctx, p->last, p->last_len, p->raw, (size_t)p->last_raw, &damage) < 0)
		return -1;
	*ret = p->raw;
	return (la_ssize_t)p->last_raw;
}

static void tar_freep(struct archive **a)
{
	archive_read_free(*a);
}

/* Counts members for as long as the tar file is sound. What is wrong with it is no error here. */
static void count_members(struct pass *p)
{
	CLEANUP(tar_freep) struct archive *a = NULL;
	struct archive_entry *entry = NULL;
	struct err ignored = ERR_INIT;
	if (tar_member_reader(read_frame, p, &a, &ignored) < 0)
		return;
	while (tar_member_next(a, &entry, &ignored) == 0 && entry != NULL) {
		CLEANUP(freep) char *name = NULL;
		const void *data;
		size_t n;
		la_int64_t at;
		int rc;
		if (tar_member_name(entry, &name, &ignored) < 0)
			return;
		do
			rc = archive_read_data_block(a, &data, &n, &at);
		while (rc == ARCHIVE_OK);
		if (rc != ARCHIVE_EOF || strcmp(name, MANIFEST_NAME) == 0)
			return;
		p->members++;
		member_name_shown(name, p->member);
	}
}

/* The text of the manifest, if the last frame holds it. Borrowed from *raw, which free() frees. */
static int last_as_manifest(struct pass *p, uint8_t **raw, const char **ret_text, size_t *ret_len,
			    struct err *err)
{
	if (p->last == NULL)
		return err_set(err, ERR_CORRUPT, "no frame is whole");
	*raw = malloc((size_t)p->last_raw + 1);
	if (*raw == NULL)
		return err_nomem(err, "the manifest");
	if (frame_unpack(p->ctx, p->last, p->last_len, *raw, (size_t)p->last_raw, err) < 0)
		return -1;
	return manifest_find(*raw, (size_t)p->last_raw, ret_text, ret_len, err);
}

static int no_manifest(const struct pass *p, struct err *err)
{
	const char *object = p->r->object;
	if (p->frames.count == 0) {
		err_set(err, ERR_CORRUPT, "'%s' is no archive: not one frame of it is whole",
			object);
		return err_hint(err, "Restore another backup.");
	}
	if (p->members == 0)
		err_set(err, ERR_CORRUPT, "'%s' has no manifest and no whole member", object);
	else
		err_set(err, ERR_CORRUPT,
			"'%s' has no manifest: it ends, or is damaged, after %zu whole members "
			"(the last is '%s')",
			object, p->members, p->member);
	return err_hint(err, "Restore another backup. What is left of this one can be unpacked by "
			     "hand: zstd -dc FILE | tar -xf -; its first member, RESTORE.md, says "
			     "how to load it.");
}

static void pass_done(struct pass *p)
{
	source_free(p->from);
	ZSTD_freeDCtx(p->ctx);
	seek_table_done(&p->frames);
	free(p->buf);
	free(p->last);
	free(p->raw);
}

int reader_rebuild(struct reader *r, struct seek_table *ret_frames, json_t **ret_manifest,
		   struct err *err)
{
	CLEANUP(pass_done) struct pass p = {.r = r, .err = err, .ctx = ZSTD_createDCtx()};
	struct err why = ERR_INIT;
	if (p.ctx == NULL)
		return err_nomem(err, "decompression");
	if (store_get(r->store, r->object, 0, r->object_bytes, &p.from, err) < 0)
		return -1;
	count_members(&p);
	while (next_frame(&p))
		;
	if (p.failed)
		return -1;
	CLEANUP(freep) uint8_t *raw = NULL;
	const char *text = NULL;
	size_t len = 0;
	if (last_as_manifest(&p, &raw, &text, &len, &why) < 0) {
		if (why.code == ERR_CORRUPT || why.code == ERR_LIMIT)
			return no_manifest(&p, err);
		*err = why;
		return -1;
	}
	if (manifest_parse(text, len, ret_manifest, err) < 0)
		return err_wrap(err, "the manifest of '%s'", r->object);
	*ret_frames = p.frames;
	p.frames = (struct seek_table){.count = 0};
	return 0;
}

#include "storage/archive/writer.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "storage/archive/index.h"
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/part_pipe.h"
#include "storage/archive/tar_member.h"

enum {
	DEFAULT_PART_BYTES = 8 << 20,
	SMALLEST_PART_BYTES = 64 << 10,
	MAX_LEVEL = 19,
	/* Before the data of a part: its tar header is as long as its name makes it and is put
	 * there when the size is known, so that the data never moves. */
	HEADROOM = 4096
};

struct writer {
	struct part_pipe *pipe;
	size_t part_bytes;
	int64_t mtime_s;
	struct index index;
	struct sha256 **digests; /* of the streams, by number */
	size_t digest_room;

	uint8_t *buffer;     /* of the pipe; NULL: none is being filled */
	size_t filled;       /* members in the buffer */
	uint64_t raw_offset; /* of the buffer's first byte in the tar file */
	size_t frame_count;  /* submitted */
	uint64_t raw_bytes;

	const char *open_stream; /* its name, or NULL */
	struct err failed;
};

int writer_open(struct sink *out, const struct writer_opts *opts, struct writer **ret,
		struct err *err)
{
	size_t part = opts->part_bytes != 0 ? opts->part_bytes : DEFAULT_PART_BYTES;
	if (part < SMALLEST_PART_BYTES || part > FRAME_PART_MAX || opts->level < 1 ||
	    opts->level > MAX_LEVEL) {
		sink_free(out);
		return err_set(err, ERR_CONFIG,
			       "a part has 64 KiB to 64 MiB and a level is 1 to %d; these are "
			       "%zu bytes and %d",
			       MAX_LEVEL, part, opts->level);
	}
	struct writer *w = mem_zalloc(sizeof *w, "an archive", err);
	if (w == NULL) {
		sink_free(out);
		return -1;
	}
	w->part_bytes = part;
	w->mtime_s = clock_wall_ms() / 1000;
	const struct part_pipe_opts pipe = {
	    .level = opts->level,
	    .threads = opts->threads != 0 ? opts->threads : part_pipe_default_threads(),
	    .raw_bytes = HEADROOM + part + TAR_BLOCK_BYTES,
	};
	if (part_pipe_open(out, &pipe, &w->pipe, err) < 0) {
		writer_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

void writer_free(struct writer *w)
{
	if (w == NULL)
		return;
	part_pipe_free(w->pipe);
	for (size_t i = 0; i < w->digest_room; i++)
		sha256_free(w->digests[i]);
	free(w->digests);
	index_done(&w->index);
	free(w);
}

/* What is half written can't be taken back: after a failure there is no archive any more. */
static int fail(struct writer *w, const struct err *err)
{
	if (w->failed.code == ERR_NONE)
		w->failed = *err;
	return -1;
}

static int check_usable(const struct writer *w, struct err *err)
{
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (w->failed.code != ERR_NONE) {
		*err = w->failed;
		return -1;
	}
	if (w->open_stream != NULL)
		return err_set(err, ERR_FAILED, "stream '%s' is still open",
			       member_name_shown(w->open_stream, shown));
	return 0;
}

static int submit(struct writer *w, const struct part_pipe_job *job, struct err *err)
{
	if (part_pipe_submit(w->pipe, job, err) < 0)
		return -1;
	w->buffer = NULL;
	w->raw_offset += job->len;
	w->frame_count++;
	return 0;
}

/* ---- members: one behind the other, cut into frames of part_bytes ---- */

static int flush_members(struct writer *w, struct err *err)
{
	if (w->filled == 0)
		return 0;
	const struct part_pipe_job job = {.len = w->filled};
	w->filled = 0;
	return submit(w, &job, err);
}

static int add_bytes(void *ctx, const void *data, size_t len, struct err *err)
{
	struct writer *w = ctx;
	for (const uint8_t *p = data; len > 0;) {
		if (w->buffer == NULL && part_pipe_buffer(w->pipe, &w->buffer, err) < 0)
			return -1;
		size_t n = w->part_bytes - w->filled;
		if (n > len)
			n = len;
		memcpy(w->buffer + w->filled, p, n);
		w->filled += n;
		p += n;
		len -= n;
		if (w->filled == w->part_bytes && flush_members(w, err) < 0)
			return -1;
	}
	return 0;
}

static void entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* The entry as it goes into the archive: a clean name, nothing that only meant something on the
 * disk it came from, no data behind a hard link. */
static int clean_entry(struct archive_entry *given, struct archive_entry **ret, struct err *err)
{
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_clone(given);
	CLEANUP(freep) char *name = NULL, *link = NULL;
	if (e == NULL)
		return err_nomem(err, "a tar header");
	const char *given_name = archive_entry_pathname(e), *target = archive_entry_hardlink(e);
	if (given_name == NULL)
		return err_set(err, ERR_FAILED, "a member without a name");
	if (member_name_clean(given_name, &name, err) < 0 ||
	    (target != NULL && member_name_clean(target, &link, err) < 0))
		return -1;
	archive_entry_copy_pathname(e, name);
	if (link != NULL)
		archive_entry_copy_hardlink(e, link);
	if (tar_member_type(e) != 'f')
		archive_entry_set_size(e, 0);
	archive_entry_set_dev(e, 0);
	archive_entry_set_ino64(e, 0);
	archive_entry_set_nlink(e, 0);
	archive_entry_unset_birthtime(e);
	*ret = e;
	e = NULL;
	return 0;
}

static int add_member(struct writer *w, struct archive_entry *entry, struct index_member *m,
		      struct source *content, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *digest = NULL;
	bool file = m->type == 'f';
	if (file && sha256_new(&digest, err) < 0)
		return -1;
	m->at = w->raw_offset + w->filled;
	if (tar_member_write(entry, file ? content : NULL, digest, add_bytes, w, err) < 0)
		return -1;
	if (file)
		sha256_hex(digest, m->sha256);
	w->raw_bytes += m->bytes;
	return index_add_member(&w->index, m, err);
}

int writer_member(struct writer *w, struct archive_entry *entry, struct source *content,
		  struct err *err)
{
	CLEANUP(source_freep) struct source *from = content;
	CLEANUP(entry_freep) struct archive_entry *clean = NULL;
	CLEANUP(freep) char *name = NULL;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (check_usable(w, err) < 0 || clean_entry(entry, &clean, err) < 0 ||
	    tar_member_name(clean, &name, err) < 0)
		return -1;
	struct index_member m = {.name = name, .type = tar_member_type(clean)};
	member_name_shown(name, shown);
	if (m.type == 0)
		return err_set(err, ERR_FAILED, "'%s' is of a type that tar can't hold", shown);
	if (m.type == 'f')
		m.bytes = (uint64_t)archive_entry_size(clean);
	if (m.bytes > 0 && from == NULL)
		return err_set(err, ERR_FAILED, "'%s' has no content", shown);
	if (add_member(w, clean, &m, from, err) < 0) {
		err_wrap(err, "'%s'", shown);
		return fail(w, err);
	}
	return 0;
}

int writer_file(struct writer *w, const char *name, unsigned mode, const void *data, size_t len,
		struct err *err)
{
	CLEANUP(entry_freep) struct archive_entry *entry = archive_entry_new();
	struct source *content;
	if (entry == NULL)
		return err_nomem(err, "a tar header");
	archive_entry_copy_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, (__LA_MODE_T)mode);
	archive_entry_set_mtime(entry, (time_t)w->mtime_s, 0);
	archive_entry_set_size(entry, (la_int64_t)len);
	if (source_memory(data, len, &content, err) < 0)
		return -1;
	return writer_member(w, entry, content, err);
}

/* ---- streams ---- */

struct stream {
	struct writer *w;
	size_t number; /* in the index */
	size_t parts, filled;
	struct sha256 *digest; /* the writer's */
	char name[MEMBER_NAME_MAX + 1];
};

/* Puts the tar header before the data and zeros behind it, and sends it off. */
static int send_part(struct stream *s, struct err *err)
{
	struct writer *w = s->w;
	char name[MEMBER_NAME_MAX + 32];
	CLEANUP(buf_done) struct buf head;
	buf_init(&head, HEADROOM);
	snprintf(name, sizeof name, "%s/%06zu", s->name, s->parts);
	if (w->buffer == NULL && part_pipe_buffer(w->pipe, &w->buffer, err) < 0)
		return -1;
	if (tar_member_header(name, w->mtime_s, s->filled, &head, err) < 0)
		return -1;
	size_t from = HEADROOM - head.len, padding = tar_member_padding(s->filled);
	memcpy(w->buffer + from, head.data, head.len);
	memset(w->buffer + HEADROOM + s->filled, 0, padding);
	const struct part_pipe_job job = {
	    .from = from,
	    .len = head.len + s->filled + padding,
	    .digest = s->digest,
	    .digest_from = HEADROOM,
	    .digest_len = s->filled,
	};
	if (index_add_part(&w->index, s->number, w->frame_count, (uint32_t)s->filled, err) < 0 ||
	    submit(w, &job, err) < 0)
		return -1;
	w->raw_bytes += s->filled;
	s->filled = 0;
	s->parts++;
	return 0;
}

/* What is left of the part. */
static int stream_lend(void *self, uint8_t **ret, size_t *ret_cap, struct err *err)
{
	struct stream *s = self;
	struct writer *w = s->w;
	if (w->buffer == NULL && part_pipe_buffer(w->pipe, &w->buffer, err) < 0)
		return fail(w, err);
	*ret = w->buffer + HEADROOM + s->filled;
	*ret_cap = w->part_bytes - s->filled;
	return 0;
}

static int stream_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct stream *s = self;
	struct writer *w = s->w;
	while (len > 0) {
		uint8_t *at;
		size_t n;
		if (stream_lend(s, &at, &n, err) < 0)
			return -1;
		if (n > len)
			n = len;
		if (data != at)
			memcpy(at, data, n);
		s->filled += n;
		data += n;
		len -= n;
		if (s->filled == w->part_bytes && send_part(s, err) < 0)
			return fail(w, err);
	}
	return 0;
}

/* A stream of no bytes has one empty part, so that unpacking it by hand finds a member. */
static int stream_close(void *self, struct err *err)
{
	struct stream *s = self;
	if ((s->filled > 0 || s->parts == 0) && send_part(s, err) < 0)
		return fail(s->w, err);
	s->w->open_stream = NULL;
	return 0;
}

static void stream_free(void *self)
{
	struct stream *s = self;
	struct err err = ERR_INIT;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (s->w->open_stream == s->name) {
		err_set(&err, ERR_FAILED, "stream '%s' was not ended",
			member_name_shown(s->name, shown));
		fail(s->w, &err);
		s->w->open_stream = NULL;
	}
	free(s);
}

static const struct sink_ops stream_ops = {
    .write = stream_write, .lend = stream_lend, .close = stream_close, .free = stream_free};

static int new_digest(struct writer *w, size_t number, struct err *err)
{
	if (number >= w->digest_room) {
		size_t room = number + 16;
		struct sha256 **digests = reallocarray(w->digests, room, sizeof *digests);
		if (digests == NULL)
			return err_nomem(err, "a stream");
		memset(digests + w->digest_room, 0, (room - w->digest_room) * sizeof *digests);
		w->digests = digests;
		w->digest_room = room;
	}
	return sha256_new(&w->digests[number], err);
}

int writer_stream(struct writer *w, const char *name, struct sink **ret, struct err *err)
{
	CLEANUP(freep) char *clean = NULL;
	if (check_usable(w, err) < 0 || member_name_clean(name, &clean, err) < 0)
		return -1;
	json_t *text = json_string(clean);
	json_decref(text);
	if (text == NULL || strlen(clean) + 16 > MEMBER_NAME_MAX)
		return err_set(err, ERR_FAILED,
			       "the name of a stream is at most %d bytes of UTF-8, not '%s'",
			       MEMBER_NAME_MAX - 16, clean);
	struct stream *s = mem_zalloc(sizeof *s, "a stream", err);
	if (s == NULL)
		return -1;
	s->w = w;
	memcpy(s->name, clean, strlen(clean) + 1);
	if (flush_members(w, err) < 0 || new_digest(w, w->index.stream_count, err) < 0 ||
	    index_add_stream(&w->index, clean, &s->number, err) < 0) {
		fail(w, err);
		free(s);
		return -1;
	}
	s->digest = w->digests[s->number];
	w->open_stream = s->name;
	return sink_new(&stream_ops, s, ret, err);
}

/* ---- the end ---- */

static int finish_index(struct writer *w, json_t *manifest, struct err *err)
{
	const struct seek_table *frames = part_pipe_frames(w->pipe);
	for (size_t i = 0; i < w->index.stream_count; i++)
		sha256_hex(w->digests[i], w->index.streams[i].sha256);
	if (index_set_frames(&w->index, frames->count, err) < 0)
		return -1;
	return index_put(&w->index, frames, manifest, err);
}

static int write_tail(struct writer *w, json_t *manifest, struct err *err)
{
	CLEANUP(buf_done) struct buf frame;
	CLEANUP(buf_done) struct buf table;
	char sha256[SHA256_HEX_BYTES];
	buf_init(&frame, MANIFEST_FRAME_MAX);
	buf_init(&table, SIZE_MAX / 2);
	if (manifest_check(manifest, err) < 0 || finish_index(w, manifest, err) < 0 ||
	    manifest_frame(manifest, w->mtime_s, &frame, err) < 0 ||
	    part_pipe_frame(w->pipe, frame.data, frame.len, err) < 0 ||
	    part_pipe_sha256(w->pipe, sha256, err) < 0 ||
	    seek_table_write(part_pipe_frames(w->pipe), sha256, &table, err) < 0)
		return -1;
	/* What a reader would refuse is not published. */
	if (index_check(&w->index, part_pipe_frames(w->pipe), err) < 0)
		return -1;
	return part_pipe_bytes(w->pipe, table.data, table.len, err);
}

int writer_close(struct writer *w, json_t *manifest, struct writer_totals *ret, struct err *err)
{
	if (check_usable(w, err) < 0)
		return -1;
	if (flush_members(w, err) < 0 || part_pipe_drain(w->pipe, err) < 0 ||
	    write_tail(w, manifest, err) < 0)
		return fail(w, err);
	struct writer_totals totals = {
	    .stored_bytes = part_pipe_stored_bytes(w->pipe),
	    .raw_bytes = w->raw_bytes,
	};
	if (part_pipe_sha256(w->pipe, totals.sha256, err) < 0 || part_pipe_close(w->pipe, err) < 0)
		return fail(w, err);
	*ret = totals;
	return 0;
}

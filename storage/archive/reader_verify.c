/*
 * Reads back every byte of an archive in one pass, and holds it against all that is known of it:
 * frames against their checksums and the seek table, the tar file against the index, content
 * against its hashes. What is in the archive and not in the index is a fault too.
 *
 * A part of a stream is a frame of its own, so damage in one says nothing of the others. Members
 * lie one behind the other in runs of frames: reader_verify_members.c goes through these.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/reader_verify.h"

/* What was seen of a stream so far. */
struct verify_stream {
	struct sha256 *sha;
	size_t bad_parts;
	char *why; /* of the first */
};

static void verify_done(struct verify *v)
{
	unpack_pipe_free(v->pipe);
	sha256_free(v->object);
	for (size_t i = 0; v->streams != NULL && i < v->r->index.stream_count; i++) {
		sha256_free(v->streams[i].sha);
		free(v->streams[i].why);
	}
	free(v->streams);
}

static void report_progress(const struct verify *v)
{
	if (v->watch->progress != NULL)
		v->watch->progress(v->watch->ctx, reader_fetched_bytes(v->r) - v->fetched_before,
				   v->wanted_bytes);
}

int verify_next(struct verify *v, struct err *err)
{
	if (unpack_pipe_next(v->pipe, &v->now, err) < 0)
		return -1;
	v->ended = v->now.data == NULL && v->now.damage == NULL;
	report_progress(v);
	return 0;
}

int verify_note(struct verify *v, const struct reader_damage *d, struct err *why, struct err *err)
{
	if (why->code != ERR_CORRUPT && why->code != ERR_LIMIT) {
		*err = *why;
		return -1;
	}
	if (v->first.code == ERR_NONE)
		v->first = *why;
	if (d != NULL && v->watch->damaged != NULL)
		v->watch->damaged(v->watch->ctx, d);
	return 0;
}

/* ---- the stored bytes ---- */

/* Seal and seek table as they are against those that these frames and stored bytes have. */
static int check_seal(struct verify *v, struct err *err)
{
	CLEANUP(buf_done) struct buf expected;
	char sha256[SHA256_HEX_BYTES];
	buf_init(&expected, SIZE_MAX / 2);
	uint64_t at = seek_table_stored_bytes(&v->r->frames);
	if (sha256_so_far(v->object, sha256, err) < 0 ||
	    seek_table_write(&v->r->frames, sha256, &expected, err) < 0)
		return -1;
	CLEANUP(freep) uint8_t *found = malloc(expected.len);
	if (found == NULL)
		return err_nomem(err, "the seek table");
	if (v->r->object_bytes - at != expected.len)
		return err_set(err, ERR_CORRUPT, "%llu bytes follow the last frame, not %zu",
			       (unsigned long long)(v->r->object_bytes - at), expected.len);
	if (reader_fetch(v->r, at, expected.len, found, err) < 0)
		return -1;
	sha256_update(v->object, found, expected.len);
	if (memcmp(found, expected.data, SEEK_TABLE_SEAL_BYTES) != 0)
		return err_set(err, ERR_CORRUPT,
			       "the SHA-256 of what is stored is %.16s…, the seal says otherwise",
			       sha256);
	if (memcmp(found, expected.data, expected.len) != 0)
		return err_set(err, ERR_CORRUPT, "the seek table is not that of the frames");
	return 0;
}

/* ---- streams ---- */

int verify_hash(struct sha256 *sha, const char *expected, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	sha256_hex(sha, hex);
	if (strcmp(hex, expected) != 0)
		return err_set(err, ERR_CORRUPT, "its SHA-256 is %.16s…, the manifest says %.16s…",
			       hex, expected);
	return 0;
}

/* All parts of a stream have passed. */
static int end_stream(struct verify *v, size_t number, struct err *err)
{
	const struct index_stream *stream = &v->r->index.streams[number];
	struct verify_stream *s = &v->streams[number];
	struct err why = ERR_INIT;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	struct reader_damage d = {.name = stream->name,
				  .is_stream = true,
				  .bad_parts = s->bad_parts,
				  .parts = stream->parts,
				  .why = s->why};
	if (s->bad_parts == 0) {
		if (verify_hash(s->sha, stream->sha256, &why) == 0)
			return 0;
		d.why = why.msg;
	} else {
		err_set(&why, ERR_CORRUPT, "%s", s->why);
	}
	CLEANUP(freep) char *text = NULL;
	if (str_dup(d.why, &text, err) < 0)
		return -1;
	d.why = text;
	err_wrap(&why, "stream '%s'", member_name_shown(stream->name, shown));
	return verify_note(v, &d, &why, err);
}

static int verify_part(struct verify *v, struct err *err)
{
	const struct index_frame *part = &v->r->index.frames[v->now.frame];
	struct verify_stream *s = &v->streams[part->stream - 1];
	struct tar_found found;
	struct err why = ERR_INIT;
	if (reader_open_part(v->r, &v->now, &found, &why) == 0) {
		sha256_update(s->sha, found.data, found.bytes);
	} else if (why.code != ERR_CORRUPT && why.code != ERR_LIMIT) {
		*err = why;
		return -1;
	} else if (s->bad_parts++ == 0 && str_dup(why.msg, &s->why, err) < 0) {
		return -1;
	}
	if (part->number + 1 == v->r->index.streams[part->stream - 1].parts &&
	    end_stream(v, part->stream - 1, err) < 0)
		return -1;
	return verify_next(v, err);
}

/* ---- all of it ---- */

static int prepare(struct verify *v, struct err *err)
{
	struct reader *r = v->r;
	const struct unpack_span span = {.first = 0, .count = r->index.frame_count};
	const struct unpack_pipe_opts opts = {
	    .store = r->store,
	    .object = r->object,
	    .frames = &r->frames,
	    .spans = &span,
	    .span_count = span.count > 0 ? 1 : 0,
	    .digest = v->object,
	    .fetched_bytes = &r->fetched_bytes,
	    .check_table = true,
	    .past_damage = true,
	};
	v->streams =
	    mem_zalloc((r->index.stream_count + 1) * sizeof *v->streams, "the streams", err);
	if (v->streams == NULL)
		return -1;
	for (size_t i = 0; i < r->index.stream_count; i++)
		if (sha256_new(&v->streams[i].sha, err) < 0)
			return -1;
	return unpack_pipe_open(&opts, &v->pipe, err);
}

/* The manifest's own frame: what it says was read from it before. */
static int check_manifest(struct verify *v, struct err *err)
{
	CLEANUP(freep) uint8_t *raw = NULL;
	const char *text;
	size_t len, text_len;
	struct err why = ERR_INIT;
	if (reader_last_frame(v->r, &v->r->frames, v->object, &raw, &len, &why) == 0 &&
	    manifest_find(raw, len, &text, &text_len, &why) == 0)
		return 0;
	return verify_note(v, NULL, &why, err);
}

static int check_tail(struct verify *v, const char *expected_sha256, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	if (v->r->rebuilt)
		return err_set(err, ERR_CORRUPT,
			       "all that is listed is whole, but the archive's end is damaged: %s",
			       v->r->damage.msg);
	if (check_seal(v, err) < 0)
		return -1;
	report_progress(v);
	sha256_hex(v->object, hex);
	if (expected_sha256 != NULL && strcmp(hex, expected_sha256) != 0)
		return err_set(err, ERR_CORRUPT, "its SHA-256 is %.16s…, and should be %.16s…", hex,
			       expected_sha256);
	return 0;
}

static int verify_frames(struct verify *v, struct err *err)
{
	if (fault_point("verify", err) < 0 || verify_next(v, err) < 0)
		return -1;
	while (!v->ended)
		if (v->r->index.frames[v->now.frame].stream != 0 ? verify_part(v, err) < 0
								 : verify_members(v, err) < 0)
			return -1;
	return check_manifest(v, err);
}

int reader_verify(struct reader *r, const char *expected_sha256, const struct reader_watch *watch,
		  struct reader_report *ret, struct err *err)
{
	static const struct reader_watch nobody;
	CLEANUP(verify_done)
	struct verify v = {.r = r,
			   .watch = watch != NULL ? watch : &nobody,
			   .fetched_before = reader_fetched_bytes(r),
			   .wanted_bytes = r->object_bytes};
	if (sha256_new(&v.object, err) < 0 || prepare(&v, err) < 0)
		return -1;
	if (verify_frames(&v, err) < 0)
		return err_wrap(err, "'%s'", r->object);
	/* What is stored can't have its hash, where it is damaged. */
	if (v.first.code != ERR_NONE) {
		*err = v.first;
		return err_wrap(err, "'%s'", r->object);
	}
	if (check_tail(&v, expected_sha256, err) < 0)
		return err_wrap(err, "'%s'", r->object);
	struct reader_report report = {
	    .stored_bytes = r->object_bytes,
	    .frames = r->frames.count,
	    .streams = r->index.stream_count,
	    .members = r->index.member_count,
	};
	for (size_t i = 0; i < r->index.stream_count; i++)
		report.raw_bytes += r->index.streams[i].bytes;
	for (size_t i = 0; i < r->index.member_count; i++)
		report.raw_bytes += r->index.members[i].bytes;
	*ret = report;
	return 0;
}

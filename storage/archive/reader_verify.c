/*
 * Reads back every byte of an archive in one pass, and holds it against all that is known of it:
 * frames against their checksums and the seek table, the tar file against the index, content
 * against its hashes. What is in the archive and not in the index is a fault too.
 */
#include <stdlib.h>
#include <string.h>
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/reader_parts.h"
#include "storage/archive/tar_member.h"

struct verify {
	struct reader *r;
	void (*progress)(void *ctx, uint64_t done, uint64_t of);
	void *ctx;
	uint64_t fetched_before;
	struct unpack_pipe *pipe;
	struct sha256 *object; /* of all stored bytes, in order */
	struct sha256 *member;
	struct sha256 **streams;
	uint8_t *last; /* the manifest's frame, unpacked */
	bool gave_last;
	size_t next_member, next_part; /* what is expected: the part by its frame */
	bool saw_manifest;
	bool failed;
	struct err why; /* of the pipe */
};

static void verify_done(struct verify *v)
{
	unpack_pipe_free(v->pipe);
	sha256_free(v->object);
	for (size_t i = 0; v->streams != NULL && i < v->r->index.stream_count; i++)
		sha256_free(v->streams[i]);
	free(v->streams);
	free(v->last);
}

static void report_progress(const struct verify *v)
{
	if (v->progress != NULL)
		v->progress(v->ctx, reader_fetched_bytes(v->r) - v->fetched_before,
			    v->r->object_bytes);
}

/* ---- the stored bytes ---- */

static int next_block(struct verify *v, const void **ret, size_t *ret_len, struct err *err)
{
	struct unpacked u = {.data = NULL};
	if (v->gave_last) {
		*ret_len = 0;
		return 0;
	}
	if (unpack_pipe_next(v->pipe, &u, err) < 0)
		return -1;
	report_progress(v);
	*ret = u.data;
	*ret_len = u.len;
	if (u.data != NULL)
		return 0;
	v->gave_last = true;
	if (reader_last_frame(v->r, &v->r->frames, v->object, &v->last, ret_len, err) < 0)
		return -1;
	*ret = v->last;
	return 0;
}

static la_ssize_t read_block(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	struct verify *v = ctx;
	size_t len;
	if (v->failed || next_block(v, ret, &len, &v->why) < 0) {
		v->failed = true;
		return -1;
	}
	return (la_ssize_t)len;
}

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

/* ---- the tar file ---- */

static void hash_zeros(struct sha256 *sha, uint64_t n)
{
	static const uint8_t zeros[64 << 10];
	for (; n > 0; n -= n < sizeof zeros ? n : sizeof zeros)
		sha256_update(sha, zeros, n < sizeof zeros ? (size_t)n : sizeof zeros);
}

/* The content of the member that `tar` is at; holes count as zeros. */
static int hash_content(const struct verify *v, struct archive *tar, uint64_t bytes,
			struct sha256 *sha, struct err *err)
{
	uint64_t done = 0;
	for (;;) {
		const void *data;
		size_t n;
		la_int64_t at;
		int rc = archive_read_data_block(tar, &data, &n, &at);
		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK && v->failed) {
			*err = v->why;
			return -1;
		}
		if (rc != ARCHIVE_OK || (uint64_t)at < done || (uint64_t)at > bytes ||
		    n > bytes - (uint64_t)at)
			return err_set(err, ERR_CORRUPT, "its data is damaged: %s",
				       rc == ARCHIVE_OK ? "it overlaps itself"
							: archive_error_string(tar));
		hash_zeros(sha, (uint64_t)at - done);
		sha256_update(sha, data, n);
		done = (uint64_t)at + n;
	}
	hash_zeros(sha, bytes - done);
	return 0;
}

static int check_hash(struct sha256 *sha, const char *expected, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	sha256_hex(sha, hex);
	if (strcmp(hex, expected) != 0)
		return err_set(err, ERR_CORRUPT, "its SHA-256 is %.16s…, the manifest says %.16s…",
			       hex, expected);
	return 0;
}

static int verify_member(struct verify *v, struct archive *tar, struct archive_entry *entry,
			 struct err *err)
{
	const struct index_member *m = &v->r->index.members[v->next_member++];
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	member_name_shown(m->name, shown);
	if (reader_check_entry(v->r, m, entry, err) < 0)
		return err_wrap(err, "member '%s'", shown);
	if (m->type != 'f')
		return 0;
	if (sha256_new(&sha, err) < 0)
		return -1;
	if (hash_content(v, tar, m->bytes, sha, err) < 0 || check_hash(sha, m->sha256, err) < 0)
		return err_wrap(err, "member '%s'", shown);
	return 0;
}

static int verify_part(struct verify *v, struct archive *tar, struct archive_entry *entry,
		       struct err *err)
{
	const struct index_frame *part = &v->r->index.frames[v->next_part++];
	const struct index_stream *stream = &v->r->index.streams[part->stream - 1];
	struct sha256 *sha = v->streams[part->stream - 1];
	char name[MEMBER_NAME_MAX + 32], shown[MEMBER_NAME_SHOWN_BYTES];
	snprintf(name, sizeof name, "%s/%06u", stream->name, part->number);
	const struct index_member m = {.name = name, .bytes = part->bytes, .type = 'f'};
	member_name_shown(stream->name, shown);
	if (reader_check_entry(v->r, &m, entry, err) < 0 ||
	    hash_content(v, tar, part->bytes, sha, err) < 0)
		return err_wrap(err, "stream '%s': part %u", shown, part->number);
	if (part->number + 1 == stream->parts && check_hash(sha, stream->sha256, err) < 0)
		return err_wrap(err, "stream '%s'", shown);
	return 0;
}

/* What is at this place of the tar file must be listed there. */
static int verify_entry(struct verify *v, struct archive *tar, struct archive_entry *entry,
			struct err *err)
{
	const struct reader *r = v->r;
	uint64_t at = (uint64_t)archive_read_header_position(tar);
	char shown[MEMBER_NAME_SHOWN_BYTES];
	const char *name = archive_entry_pathname(entry);
	while (v->next_part < r->index.frame_count && r->index.frames[v->next_part].stream == 0)
		v->next_part++;
	if (v->next_member < r->index.member_count && r->index.members[v->next_member].at == at)
		return verify_member(v, tar, entry, err);
	if (v->next_part < r->index.frame_count && r->frames.frames[v->next_part].raw_offset == at)
		return verify_part(v, tar, entry, err);
	if (r->frames.frames[r->index.frame_count].raw_offset == at && name != NULL &&
	    strcmp(name, MANIFEST_NAME) == 0) {
		v->saw_manifest = true;
		return 0;
	}
	return err_set(err, ERR_CORRUPT, "'%s' at byte %llu of the tar file is not listed",
		       member_name_shown(name != NULL ? name : "", shown), (unsigned long long)at);
}

static void tar_freep(struct archive **a)
{
	archive_read_free(*a);
}

static int verify_tar(struct verify *v, struct err *err)
{
	CLEANUP(tar_freep) struct archive *tar = NULL;
	int rc = tar_member_reader(read_block, v, &tar, err);
	while (rc == 0) {
		struct archive_entry *entry = NULL;
		rc = tar_member_next(tar, &entry, err);
		if (rc < 0 || entry == NULL)
			break;
		if (verify_entry(v, tar, entry, err) < 0)
			return -1;
	}
	if (v->failed)
		*err = v->why;
	if (v->failed || rc < 0)
		return -1;
	if (!v->saw_manifest)
		return err_set(err, ERR_CORRUPT, "the tar file ends before its manifest");
	return 0;
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
	};
	v->streams =
	    mem_zalloc((r->index.stream_count + 1) * sizeof *v->streams, "the streams", err);
	if (v->streams == NULL)
		return -1;
	for (size_t i = 0; i < r->index.stream_count; i++)
		if (sha256_new(&v->streams[i], err) < 0)
			return -1;
	return unpack_pipe_open(&opts, &v->pipe, err);
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

int reader_verify(struct reader *r, const char *expected_sha256,
		  void (*progress)(void *ctx, uint64_t done, uint64_t of), void *ctx,
		  struct reader_report *ret, struct err *err)
{
	CLEANUP(verify_done)
	struct verify v = {
	    .r = r, .progress = progress, .ctx = ctx, .fetched_before = reader_fetched_bytes(r)};
	if (sha256_new(&v.object, err) < 0 || prepare(&v, err) < 0)
		return -1;
	if (verify_tar(&v, err) < 0 || check_tail(&v, expected_sha256, err) < 0)
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

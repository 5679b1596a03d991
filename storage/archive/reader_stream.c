/* One stream, or a part of it: its parts, unpacked ahead, checked as they pass. */
#include <stdlib.h>
#include <string.h>
#include "storage/archive/member_name.h"
#include "storage/archive/reader_parts.h"
#include "storage/archive/tar_member.h"

struct stream {
	const struct reader *r;
	const struct index_stream *stream;
	struct unpack_pipe *pipe;
	struct sha256 *sha;  /* NULL: a part of the stream alone */
	const uint8_t *data; /* of the current part: what is left */
	size_t len;
	uint64_t bytes; /* so far */
	size_t parts;
	uint64_t skip, wanted; /* bytes of the first part that lie before, and how many follow */
	size_t wanted_parts;
};

int reader_open_part(const struct reader *r, const struct unpacked *u, struct tar_found *ret,
		     struct err *err)
{
	const struct index_frame *part = &r->index.frames[u->frame];
	char name[MEMBER_NAME_MAX + 32];
	struct tar_found found;
	snprintf(name, sizeof name, "%s/%06u", r->index.streams[part->stream - 1].name,
		 part->number);
	if (u->damage != NULL) {
		*err = *u->damage;
		return err_wrap(err, "part %u", part->number);
	}
	if (tar_member_find(u->data, u->len, name, &found, err) < 0)
		return err_wrap(err, "part %u", part->number);
	if (found.bytes != part->bytes)
		return err_set(err, ERR_CORRUPT,
			       "part %u: %u bytes are listed, its tar header says %zu",
			       part->number, part->bytes, found.bytes);
	if (found.head_bytes + found.bytes + tar_member_padding(found.bytes) != u->len)
		return err_set(err, ERR_CORRUPT, "part %u: its frame holds something else too",
			       part->number);
	*ret = found;
	return 0;
}

static int open_part(struct stream *s, const struct unpacked *u, struct err *err)
{
	struct tar_found found;
	if (reader_open_part(s->r, u, &found, err) < 0)
		return -1;
	if (s->sha != NULL)
		sha256_update(s->sha, found.data, found.bytes);
	/* Only the first part begins, and only the last one ends, with bytes of no interest. */
	s->data = found.data + s->skip;
	s->len = found.bytes - (size_t)s->skip;
	if (s->len > s->wanted - s->bytes)
		s->len = (size_t)(s->wanted - s->bytes);
	s->skip = 0;
	s->bytes += s->len;
	s->parts++;
	return 0;
}

static int check_end(struct stream *s, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	if (s->parts != s->wanted_parts || s->bytes != s->wanted)
		return err_set(err, ERR_CORRUPT, "it ended after %llu of %llu bytes",
			       (unsigned long long)s->bytes, (unsigned long long)s->wanted);
	if (s->sha == NULL)
		return 0;
	sha256_hex(s->sha, hex);
	if (strcmp(hex, s->stream->sha256) != 0)
		return err_set(err, ERR_CORRUPT, "its SHA-256 is %.16s…, the manifest says %.16s…",
			       hex, s->stream->sha256);
	return 0;
}

static int next_bytes(struct stream *s, struct err *err)
{
	while (s->len == 0) {
		struct unpacked u;
		if (unpack_pipe_next(s->pipe, &u, err) < 0)
			return -1;
		if (u.data == NULL)
			return check_end(s, err);
		if (open_part(s, &u, err) < 0)
			return -1;
	}
	return 0;
}

static int stream_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct stream *s = self;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (next_bytes(s, err) < 0)
		return err_wrap(err, "stream '%s'", member_name_shown(s->stream->name, shown));
	size_t n = s->len < cap ? s->len : cap;
	if (n > 0)
		memcpy(buf, s->data, n);
	s->data += n;
	s->len -= n;
	*ret_n = n;
	return 0;
}

static void stream_free(void *self)
{
	struct stream *s = self;
	if (s == NULL)
		return;
	unpack_pipe_free(s->pipe);
	sha256_free(s->sha);
	free(s);
}

static const struct source_ops stream_ops = {.read = stream_read, .free = stream_free};

/* The frames that hold what is wanted as runs; *ret_spans: free() it. */
static int find_spans(struct stream *s, uint64_t offset, struct unpack_span **ret_spans,
		      size_t *ret_count, struct err *err)
{
	const struct index *ix = &s->r->index;
	uint32_t id = (uint32_t)(s->stream - ix->streams) + 1;
	size_t count = 0;
	uint64_t at = 0; /* of the part in the stream */
	CLEANUP(freep)
	struct unpack_span *spans =
	    mem_zalloc((s->stream->parts + 1) * sizeof *spans, "the parts of a stream", err);
	if (spans == NULL)
		return -1;
	for (size_t i = 0; i < ix->frame_count; i++) {
		if (ix->frames[i].stream != id)
			continue;
		uint64_t begin = at;
		at += ix->frames[i].bytes;
		if (s->sha == NULL && (at <= offset || begin >= offset + s->wanted))
			continue;
		if (s->wanted_parts++ == 0)
			s->skip = offset - begin;
		if (count > 0 && spans[count - 1].first + spans[count - 1].count == i)
			spans[count - 1].count++;
		else
			spans[count++] = (struct unpack_span){.first = i, .count = 1};
	}
	*ret_spans = spans;
	*ret_count = count;
	spans = NULL;
	return 0;
}

static int open_stream(struct reader *r, struct stream *s, uint64_t offset, struct err *err)
{
	CLEANUP(freep) struct unpack_span *spans = NULL;
	size_t count;
	if (find_spans(s, offset, &spans, &count, err) < 0)
		return -1;
	const struct unpack_pipe_opts opts = {
	    .store = r->store,
	    .object = r->object,
	    .frames = &r->frames,
	    .spans = spans,
	    .span_count = count,
	    .fetched_bytes = &r->fetched_bytes,
	    .check_table = s->sha == NULL,
	};
	return unpack_pipe_open(&opts, &s->pipe, err);
}

static int find_stream(const struct reader *r, const char *name, const struct index_stream **ret,
		       struct err *err)
{
	char shown[MEMBER_NAME_SHOWN_BYTES];
	*ret = index_find_stream(&r->index, name);
	if (*ret == NULL)
		return err_set(err, ERR_ABSENT, "'%s' has no stream '%s'", r->object,
			       member_name_shown(name, shown));
	return 0;
}

int reader_stream(struct reader *r, const char *name, struct source **ret, struct err *err)
{
	const struct index_stream *stream;
	if (find_stream(r, name, &stream, err) < 0)
		return -1;
	struct stream *s = mem_zalloc(sizeof *s, "a stream", err);
	if (s == NULL)
		return -1;
	s->r = r;
	s->stream = stream;
	s->wanted = stream->bytes;
	if (sha256_new(&s->sha, err) < 0 || open_stream(r, s, 0, err) < 0) {
		stream_free(s);
		return -1;
	}
	return source_new(&stream_ops, s, ret, err);
}

int reader_range(struct reader *r, const char *name, uint64_t offset, uint64_t len,
		 struct source **ret, struct err *err)
{
	const struct index_stream *stream;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (find_stream(r, name, &stream, err) < 0)
		return -1;
	if (offset > stream->bytes || len > stream->bytes - offset)
		return err_set(err, ERR_CORRUPT,
			       "stream '%s' has %llu bytes, %llu from byte %llu are asked for",
			       member_name_shown(name, shown), (unsigned long long)stream->bytes,
			       (unsigned long long)len, (unsigned long long)offset);
	if (len == 0)
		return source_memory(NULL, 0, ret, err);
	struct stream *s = mem_zalloc(sizeof *s, "a part of a stream", err);
	if (s == NULL)
		return -1;
	s->r = r;
	s->stream = stream;
	s->wanted = len;
	if (open_stream(r, s, offset, err) < 0) {
		stream_free(s);
		return -1;
	}
	return source_new(&stream_ops, s, ret, err);
}

/* One stream: its parts, unpacked ahead, checked as they pass. */
#include <stdlib.h>
#include <string.h>
#include "storage/archive/member_name.h"
#include "storage/archive/reader_parts.h"
#include "storage/archive/tar_member.h"

struct stream {
	const struct reader *r;
	const struct index_stream *stream;
	struct unpack_pipe *pipe;
	struct sha256 *sha;
	const uint8_t *data; /* of the current part: what is left */
	size_t len;
	uint64_t bytes;
	size_t parts;
};

/* The part must be what the index says, header and all. */
static int open_part(struct stream *s, const struct unpacked *u, struct err *err)
{
	const struct index_frame *part = &s->r->index.frames[u->frame];
	char name[MEMBER_NAME_MAX + 32];
	struct tar_found found;
	snprintf(name, sizeof name, "%s/%06u", s->stream->name, part->number);
	if (tar_member_find(u->data, u->len, name, &found, err) < 0)
		return err_wrap(err, "part %u", part->number);
	if (found.bytes != part->bytes ||
	    found.head_bytes + found.bytes + tar_member_padding(found.bytes) != u->len)
		return err_set(err, ERR_CORRUPT,
			       "part %u: %u bytes are listed, its tar header says %zu",
			       part->number, part->bytes, found.bytes);
	sha256_update(s->sha, found.data, found.bytes);
	s->data = found.data;
	s->len = found.bytes;
	s->bytes += found.bytes;
	s->parts++;
	return 0;
}

static int check_end(struct stream *s, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	if (s->parts != s->stream->parts || s->bytes != s->stream->bytes)
		return err_set(err, ERR_CORRUPT, "it ended after %llu of %llu bytes",
			       (unsigned long long)s->bytes, (unsigned long long)s->stream->bytes);
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

/* The stream's frames as runs; *ret_spans: free() it. */
static int find_spans(const struct reader *r, const struct index_stream *stream,
		      struct unpack_span **ret_spans, size_t *ret_count, struct err *err)
{
	uint32_t id = (uint32_t)(stream - r->index.streams) + 1;
	size_t count = 0;
	CLEANUP(freep)
	struct unpack_span *spans =
	    mem_zalloc((stream->parts + 1) * sizeof *spans, "the parts of a stream", err);
	if (spans == NULL)
		return -1;
	for (size_t i = 0; i < r->index.frame_count; i++) {
		if (r->index.frames[i].stream != id)
			continue;
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

static int open_stream(struct reader *r, struct stream *s, struct err *err)
{
	CLEANUP(freep) struct unpack_span *spans = NULL;
	size_t count;
	if (sha256_new(&s->sha, err) < 0 || find_spans(r, s->stream, &spans, &count, err) < 0)
		return -1;
	const struct unpack_pipe_opts opts = {
	    .store = r->store,
	    .object = r->object,
	    .frames = &r->frames,
	    .spans = spans,
	    .span_count = count,
	    .fetched_bytes = &r->fetched_bytes,
	};
	return unpack_pipe_open(&opts, &s->pipe, err);
}

int reader_stream(struct reader *r, const char *name, struct source **ret, struct err *err)
{
	const struct index_stream *stream = index_find_stream(&r->index, name);
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (stream == NULL)
		return err_set(err, ERR_ABSENT, "'%s' has no stream '%s'", r->object,
			       member_name_shown(name, shown));
	struct stream *s = mem_zalloc(sizeof *s, "a stream", err);
	if (s == NULL)
		return -1;
	s->r = r;
	s->stream = stream;
	if (open_stream(r, s, err) < 0) {
		stream_free(s);
		return -1;
	}
	return source_new(&stream_ops, s, ret, err);
}

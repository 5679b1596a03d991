/* The index as JSON: rows of arrays where there may be a million of them. */
#include <stdlib.h>
#include <string.h>
#include "storage/archive/index.h"
#include "storage/archive/member_name.h"

#define MEMBER_BYTES_MAX ((uint64_t)1 << 46) /* 64 TiB: a sparse file of that size is a bomb */

/* ---- writing ---- */

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static int put_numbers(json_t *rows, const uint64_t v[3], struct err *err)
{
	json_t *row = json_array();
	if (json_push(rows, row, err) < 0)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (json_push(row, number(v[i]), err) < 0)
			return -1;
	return 0;
}

/* Parts as runs [frame, how many, bytes of each]: mostly two for a stream, whatever its size. */
static int put_runs(const struct index *ix, size_t stream, json_t *runs, struct err *err)
{
	for (size_t i = 0; i < ix->frame_count;) {
		const struct index_frame *f = &ix->frames[i];
		size_t n = 1;
		if (f->stream != stream + 1) {
			i++;
			continue;
		}
		while (i + n < ix->frame_count && ix->frames[i + n].stream == f->stream &&
		       ix->frames[i + n].bytes == f->bytes)
			n++;
		if (put_numbers(runs, (const uint64_t[3]){i, n, f->bytes}, err) < 0)
			return -1;
		i += n;
	}
	return 0;
}

static int put_streams(const struct index *ix, json_t *rows, struct err *err)
{
	for (size_t i = 0; i < ix->stream_count; i++) {
		const struct index_stream *s = &ix->streams[i];
		json_t *row = json_object(), *runs = NULL;
		if (json_push(rows, row, err) < 0 ||
		    json_put(row, "name", json_string(s->name), err) < 0 ||
		    json_put(row, "bytes", number(s->bytes), err) < 0 ||
		    json_put(row, "sha256", json_string(s->sha256), err) < 0 ||
		    json_put(row, "parts", runs = json_array(), err) < 0 ||
		    put_runs(ix, i, runs, err) < 0)
			return -1;
	}
	return 0;
}

/* JSON is UTF-8, names on a disk need not be. */
static json_t *name_value(const char *name, struct err *err)
{
	json_t *plain = json_string(name);
	if (plain != NULL)
		return plain;
	size_t n = strlen(name);
	CLEANUP(freep) char *hex = mem_zalloc(2 * n + 1, "a name", err);
	if (hex == NULL)
		return NULL;
	hex_encode(name, n, hex);
	return json_pack("{s:s}", "hex", hex);
}

static int put_members(const struct index *ix, json_t *rows, struct err *err)
{
	for (size_t i = 0; i < ix->member_count; i++) {
		const struct index_member *m = &ix->members[i];
		json_t *row = json_array();
		if (json_push(rows, row, err) < 0 ||
		    json_push(row, name_value(m->name, err), err) < 0 ||
		    json_push(row, json_stringn(&m->type, 1), err) < 0 ||
		    json_push(row, number(m->bytes), err) < 0 ||
		    json_push(row, m->type == 'f' ? json_string(m->sha256) : json_null(), err) <
			0 ||
		    json_push(row, number(m->at), err) < 0)
			return -1;
	}
	return 0;
}

static int put_frames(const struct index *ix, const struct seek_table *t, json_t *rows,
		      struct err *err)
{
	for (size_t i = 0; i < ix->frame_count; i++) {
		const struct seek_frame *f = &t->frames[i];
		const uint64_t row[3] = {f->offset, f->stored_bytes, f->raw_bytes};
		if (put_numbers(rows, row, err) < 0)
			return -1;
	}
	return 0;
}

int index_put(const struct index *ix, const struct seek_table *frames, json_t *manifest,
	      struct err *err)
{
	static const char *const keys[] = {"streams", "members", "frames"};
	json_t *rows[3];
	for (size_t i = 0; i < 3; i++) {
		rows[i] = json_array();
		if (json_put(manifest, keys[i], rows[i], err) < 0)
			return -1;
	}
	if (put_streams(ix, rows[0], err) < 0 || put_members(ix, rows[1], err) < 0)
		return -1;
	return put_frames(ix, frames, rows[2], err);
}

/* ---- reading ---- */

static bool get_number(const json_t *row, size_t i, uint64_t max, uint64_t *ret)
{
	const json_t *v = json_array_get(row, i);
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static bool get_numbers(const json_t *row, uint64_t max, uint64_t ret[3])
{
	return json_is_array(row) && json_array_size(row) == 3 &&
	       get_number(row, 0, max, &ret[0]) && get_number(row, 1, max, &ret[1]) &&
	       get_number(row, 2, max, &ret[2]);
}

static bool get_sha256(const char *text, char out[SHA256_HEX_BYTES])
{
	if (text == NULL || strlen(text) != SHA256_HEX_BYTES - 1 ||
	    strspn(text, "0123456789abcdef") != SHA256_HEX_BYTES - 1)
		return false;
	memcpy(out, text, SHA256_HEX_BYTES);
	return true;
}

int index_compare_frames(const json_t *manifest, const struct seek_table *frames, struct err *err)
{
	json_t *rows;
	if (json_get_arr(manifest, "frames", &rows, err) < 0)
		return -1;
	if (json_array_size(rows) + 1 != frames->count)
		return err_set(err, ERR_CORRUPT,
			       "'frames' lists %zu frames, before the manifest's there are %zu",
			       json_array_size(rows), frames->count - 1);
	for (size_t i = 0; i + 1 < frames->count; i++) {
		const struct seek_frame *f = &frames->frames[i];
		uint64_t v[3];
		if (!get_numbers(json_array_get(rows, i), INT64_MAX, v))
			return err_set(err, ERR_CORRUPT, "'frames' has no three numbers at %zu", i);
		if (v[0] != f->offset || v[1] != f->stored_bytes || v[2] != f->raw_bytes)
			return err_set(err, ERR_CORRUPT,
				       "'frames' says that frame %zu is %llu bytes at %llu and "
				       "unpacks to %llu, but it is %u at %llu and unpacks to %u",
				       i, (unsigned long long)v[1], (unsigned long long)v[0],
				       (unsigned long long)v[2], f->stored_bytes,
				       (unsigned long long)f->offset, f->raw_bytes);
	}
	return 0;
}

static int parse_runs(struct index *ix, size_t stream, const json_t *runs, struct err *err)
{
	size_t next = 0; /* parts of one stream are in order */
	for (size_t i = 0; i < json_array_size(runs); i++) {
		uint64_t v[3];
		if (!get_numbers(json_array_get(runs, i), UINT32_MAX, v) || v[1] == 0)
			return err_set(err, ERR_CORRUPT, "'parts' is no list of runs");
		if (v[0] < next || v[0] + v[1] > ix->frame_count)
			return err_set(err, ERR_CORRUPT, "no part can be in frame %llu",
				       (unsigned long long)(v[0] < next ? v[0] : v[0] + v[1] - 1));
		next = (size_t)(v[0] + v[1]);
		for (size_t frame = (size_t)v[0]; frame < next; frame++) {
			if (ix->frames[frame].stream != 0)
				return err_set(err, ERR_CORRUPT, "frame %zu has two owners", frame);
			if (index_add_part(ix, stream, frame, (uint32_t)v[2], err) < 0)
				return -1;
		}
	}
	return 0;
}

static int parse_stream(struct index *ix, const json_t *row, struct err *err)
{
	const char *name, *sha256;
	uint64_t bytes;
	json_t *runs;
	size_t stream;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (json_get_str(row, "name", &name, err) < 0)
		return -1;
	member_name_shown(name, shown);
	if (json_get_u64(row, "bytes", &bytes, err) < 0 ||
	    json_get_str(row, "sha256", &sha256, err) < 0 ||
	    json_get_arr(row, "parts", &runs, err) < 0 ||
	    index_add_stream(ix, name, &stream, err) < 0 || parse_runs(ix, stream, runs, err) < 0)
		return err_wrap(err, "stream '%s'", shown);
	struct index_stream *s = &ix->streams[stream];
	if (!get_sha256(sha256, s->sha256))
		return err_set(err, ERR_CORRUPT, "stream '%s': its SHA-256 is none", shown);
	if (s->bytes != bytes || s->parts == 0)
		return err_set(err, ERR_CORRUPT,
			       "stream '%s' is said to have %llu bytes, its %zu parts have %llu",
			       shown, (unsigned long long)bytes, s->parts,
			       (unsigned long long)s->bytes);
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;
	return p == NULL ? -1 : (int)(p - digits);
}

/* A string, or {"hex": "..."}. */
static bool get_name(const json_t *v, char out[MEMBER_NAME_MAX + 1])
{
	const char *text = json_string_value(v);
	const char *hex = json_string_value(json_object_get(v, "hex"));
	size_t n = strlen(text != NULL ? text : hex != NULL ? hex : "");
	if (text != NULL && n <= MEMBER_NAME_MAX) {
		memcpy(out, text, n + 1);
		return true;
	}
	if (hex == NULL || n % 2 != 0 || n > 2 * MEMBER_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
		if (high < 0 || low < 0 || (high | low) == 0)
			return false;
		out[i / 2] = (char)(high << 4 | low);
	}
	out[n / 2] = '\0';
	return true;
}

static int parse_member(struct index *ix, const json_t *row, struct err *err)
{
	char name[MEMBER_NAME_MAX + 1];
	struct index_member m = {.name = name};
	const char *type = json_string_value(json_array_get(row, 1));
	if (!json_is_array(row) || json_array_size(row) != 5 ||
	    !get_name(json_array_get(row, 0), name))
		return err_set(err, ERR_CORRUPT, "it has no name of at most %d bytes",
			       MEMBER_NAME_MAX);
	if (type == NULL || strlen(type) != 1 || strchr("fdlhcbp", *type) == NULL)
		return err_set(err, ERR_CORRUPT, "its type is unknown");
	m.type = *type;
	const json_t *sha256 = json_array_get(row, 3);
	bool file = m.type == 'f';
	if (!get_number(row, 2, file ? MEMBER_BYTES_MAX : 0, &m.bytes) ||
	    !get_number(row, 4, INT64_MAX, &m.at) ||
	    !(file ? get_sha256(json_string_value(sha256), m.sha256) : json_is_null(sha256)))
		return err_set(err, ERR_CORRUPT, "its size, hash or place is none");
	return index_add_member(ix, &m, err);
}

static int parse_all(const json_t *manifest, struct index *ix, struct err *err)
{
	json_t *streams, *members;
	if (json_get_arr(manifest, "streams", &streams, err) < 0 ||
	    json_get_arr(manifest, "members", &members, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(streams); i++)
		if (parse_stream(ix, json_array_get(streams, i), err) < 0)
			return -1;
	for (size_t i = 0; i < json_array_size(members); i++)
		if (parse_member(ix, json_array_get(members, i), err) < 0)
			return err_wrap(err, "member %zu", i);
	return 0;
}

int index_parse(const json_t *manifest, const struct seek_table *frames, struct index *ret,
		struct err *err)
{
	CLEANUP(index_done) struct index ix = {.stream_count = 0};
	if (index_compare_frames(manifest, frames, err) < 0 ||
	    index_set_frames(&ix, frames->count - 1, err) < 0 ||
	    parse_all(manifest, &ix, err) < 0 || index_check(&ix, frames, err) < 0)
		return -1;
	*ret = ix;
	ix = (struct index){.stream_count = 0};
	return 0;
}

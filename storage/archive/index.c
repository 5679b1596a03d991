#include "storage/archive/index.h"

#include <stdlib.h>
#include <string.h>
#include "storage/archive/frame.h"
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/tar_member.h"

enum { FIRST_ROOM = 16 };

void index_done(struct index *ix)
{
	for (size_t i = 0; i < ix->stream_count; i++)
		free(ix->streams[i].name);
	for (size_t i = 0; i < ix->member_count; i++)
		free(ix->members[i].name);
	free(ix->streams);
	free(ix->members);
	free(ix->frames);
	free(ix->names);
	*ix = (struct index){.stream_count = 0};
}

/* Room for one more item of `size` bytes. */
static int grow(void **items, size_t needed, size_t *room, size_t size, struct err *err)
{
	if (needed <= *room)
		return 0;
	size_t more = *room == 0 ? FIRST_ROOM : *room * 2;
	if (more < needed)
		more = needed;
	void *p = reallocarray(*items, more, size);
	if (p == NULL)
		return err_nomem(err, "the index");
	*items = p;
	*room = more;
	return 0;
}

int index_add_stream(struct index *ix, const char *name, size_t *ret_stream, struct err *err)
{
	void *items = ix->streams;
	int rc = grow(&items, ix->stream_count + 1, &ix->stream_room, sizeof *ix->streams, err);
	ix->streams = items;
	char *copy;
	if (rc < 0 || str_dup(name, &copy, err) < 0)
		return -1;
	ix->streams[ix->stream_count] = (struct index_stream){.name = copy};
	*ret_stream = ix->stream_count++;
	return 0;
}

int index_add_member(struct index *ix, const struct index_member *m, struct err *err)
{
	void *items = ix->members;
	int rc = grow(&items, ix->member_count + 1, &ix->member_room, sizeof *ix->members, err);
	ix->members = items;
	char *copy;
	if (rc < 0 || str_dup(m->name, &copy, err) < 0)
		return -1;
	ix->members[ix->member_count] = *m;
	ix->members[ix->member_count++].name = copy;
	return 0;
}

int index_set_frames(struct index *ix, size_t frame_count, struct err *err)
{
	void *items = ix->frames;
	int rc = grow(&items, frame_count, &ix->frame_room, sizeof *ix->frames, err);
	ix->frames = items;
	if (rc < 0)
		return -1;
	for (; ix->frame_count < frame_count; ix->frame_count++)
		ix->frames[ix->frame_count] = (struct index_frame){.stream = 0};
	return 0;
}

int index_add_part(struct index *ix, size_t stream, size_t frame, uint32_t bytes, struct err *err)
{
	if (frame >= ix->frame_count && index_set_frames(ix, frame + 1, err) < 0)
		return -1;
	struct index_stream *s = &ix->streams[stream];
	ix->frames[frame] = (struct index_frame){.stream = (uint32_t)stream + 1, .bytes = bytes};
	s->bytes += bytes;
	s->parts++;
	return 0;
}

const struct index_stream *index_find_stream(const struct index *ix, const char *name)
{
	for (size_t i = 0; i < ix->stream_count; i++)
		if (strcmp(ix->streams[i].name, name) == 0)
			return &ix->streams[i];
	return NULL;
}

/* ---- checking ---- */

static int check_part(struct index *ix, size_t i, const struct seek_frame *f, uint32_t *numbers,
		      struct err *err)
{
	struct index_frame *part = &ix->frames[i];
	uint64_t body = part->bytes + tar_member_padding(part->bytes);
	part->number = numbers[part->stream - 1]++;
	if (f->raw_bytes < body + TAR_BLOCK_BYTES || f->raw_bytes > body + FRAME_HEAD_MAX) {
		char shown[MEMBER_NAME_SHOWN_BYTES];
		return err_set(err, ERR_CORRUPT,
			       "part %u of stream '%s' is said to have %u bytes, its frame %zu "
			       "unpacks to %u",
			       part->number,
			       member_name_shown(ix->streams[part->stream - 1].name, shown),
			       part->bytes, i, f->raw_bytes);
	}
	return 0;
}

static int check_frames(struct index *ix, const struct seek_table *t, struct err *err)
{
	if (t->count != ix->frame_count + 1)
		return err_set(err, ERR_CORRUPT, "it speaks of %zu frames, there are %zu",
			       ix->frame_count + 1, t->count);
	CLEANUP(freep)
	uint32_t *numbers = mem_zalloc((ix->stream_count + 1) * sizeof *numbers, "the index", err);
	if (numbers == NULL)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const struct seek_frame *f = &t->frames[i];
		bool last = i == ix->frame_count;
		uint64_t most = last ? MANIFEST_FRAME_MAX : FRAME_RAW_MAX;
		if (f->raw_bytes > most)
			return err_set(err, ERR_LIMIT,
				       "frame %zu unpacks to %u bytes, more than the %llu allowed",
				       i, f->raw_bytes, (unsigned long long)most);
		if (f->raw_bytes < TAR_BLOCK_BYTES ||
		    f->stored_bytes > ZSTD_compressBound(f->raw_bytes))
			return err_set(err, ERR_CORRUPT,
				       "frame %zu of %u bytes unpacks to %u bytes", i,
				       f->stored_bytes, f->raw_bytes);
		if (!last && ix->frames[i].stream != 0 && check_part(ix, i, f, numbers, err) < 0)
			return -1;
	}
	return 0;
}

static int misplaced(const struct index_member *m, struct err *err)
{
	char shown[MEMBER_NAME_SHOWN_BYTES];
	return err_set(err, ERR_CORRUPT, "member '%s' can't begin at byte %llu of the tar file",
		       member_name_shown(m->name, shown), (unsigned long long)m->at);
}

/* Members of frames [first, last) lie one behind the other and leave no gap. */
static int check_run(struct index *ix, const struct seek_table *t, size_t first, size_t last,
		     size_t *member, struct err *err)
{
	uint64_t begin = t->frames[first].raw_offset, end = t->frames[last].raw_offset;
	if (*member == ix->member_count)
		return err_set(err, ERR_CORRUPT, "nothing is listed for frame %zu", first);
	if (ix->members[*member].at != begin)
		return misplaced(&ix->members[*member], err);
	for (size_t k = *member; *member < ix->member_count; (*member)++) {
		struct index_member *m = &ix->members[*member];
		if (m->at >= end)
			break;
		if (*member > k) {
			struct index_member *before = m - 1;
			if (m->at < before->at + TAR_BLOCK_BYTES ||
			    (m->at - begin) % TAR_BLOCK_BYTES != 0)
				return misplaced(m, err);
			before->end = m->at;
		}
		m->end = end;
	}
	return 0;
}

static int check_members(struct index *ix, const struct seek_table *t, struct err *err)
{
	size_t member = 0;
	for (size_t i = 0; i < ix->frame_count;) {
		size_t first = i;
		while (i < ix->frame_count && ix->frames[i].stream == 0)
			i++;
		if (i > first && check_run(ix, t, first, i, &member, err) < 0)
			return -1;
		i += i == first;
	}
	return member < ix->member_count ? misplaced(&ix->members[member], err) : 0;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b)
{
	const struct index_name *x = a, *y = b;
	return strcmp(x->text, y->text);
}

static const struct index_name *find_name(const struct index *ix, const char *text)
{
	struct index_name key = {.text = text};
	if (ix->name_count == 0)
		return NULL;
	return bsearch(&key, ix->names, ix->name_count, sizeof *ix->names, compare_names);
}

const struct index_member *index_find_member(const struct index *ix, const char *name)
{
	const struct index_name *found = find_name(ix, name);
	return found == NULL ? NULL : found->member;
}

/* Nothing may lie below what is no folder: not below a stream, and not below a symbolic link, which
 * would lead whoever unpacks it elsewhere. */
static bool has_bad_parent(const struct index *ix, const char *text)
{
	char parent[MEMBER_NAME_MAX + 1];
	for (const char *slash = strchr(text, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - text);
		memcpy(parent, text, n);
		parent[n] = '\0';
		const struct index_name *found = find_name(ix, parent);
		if (found != NULL && (found->member == NULL || found->member->type != 'd'))
			return true;
	}
	return false;
}

static const char *name_fault(const struct index *ix, size_t i)
{
	const char *text = ix->names[i].text, *fault = member_name_fault(text);
	if (fault != NULL)
		return fault;
	if (strcmp(text, MANIFEST_NAME) == 0)
		return "is the manifest's own";
	if (i > 0 && strcmp(ix->names[i - 1].text, text) == 0)
		return "is there twice";
	return has_bad_parent(ix, text) ? "lies below something that is no folder" : NULL;
}

static int check_names(struct index *ix, struct err *err)
{
	size_t count = ix->stream_count + ix->member_count;
	free(ix->names);
	ix->name_count = 0;
	ix->names = mem_zalloc((count + 1) * sizeof *ix->names, "the index", err);
	if (ix->names == NULL)
		return -1;
	for (size_t i = 0; i < ix->stream_count; i++)
		ix->names[ix->name_count++].text = ix->streams[i].name;
	for (size_t i = 0; i < ix->member_count; i++)
		ix->names[ix->name_count++] =
		    (struct index_name){.text = ix->members[i].name, .member = &ix->members[i]};
	qsort(ix->names, count, sizeof *ix->names, compare_names);
	for (size_t i = 0; i < count; i++) {
		const char *fault = name_fault(ix, i);
		char shown[MEMBER_NAME_SHOWN_BYTES];
		if (fault != NULL)
			return err_set(err, ERR_CORRUPT, "the name '%s' %s",
				       member_name_shown(ix->names[i].text, shown), fault);
	}
	return 0;
}

int index_check(struct index *ix, const struct seek_table *frames, struct err *err)
{
	if (check_frames(ix, frames, err) < 0 || check_members(ix, frames, err) < 0)
		return -1;
	return check_names(ix, err);
}

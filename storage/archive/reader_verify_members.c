/*
 * A run of frames with members, from the first to the last: what libarchive finds in it must be
 * what is listed, at the listed places, and nothing else.
 *
 * Behind a damaged frame it begins anew with the next member that begins in a later one.
 */
#include <string.h>
#include "storage/archive/member_name.h"
#include "storage/archive/reader_verify.h"

struct run {
	struct verify *v;
	uint64_t start, end; /* in the tar file */
	uint64_t begin;      /* where libarchive began */
	uint64_t behind;     /* of the tar file: what was given to it ends there */
	bool given;          /* v->now was given to libarchive */
	bool broken;         /* by a frame: why says more */
	struct err why;
};

static const struct seek_frame *frame_of(const struct verify *v)
{
	return &v->r->frames.frames[v->now.frame];
}

/* Is the current frame one of this run's? */
static bool is_inside(const struct run *run)
{
	return !run->v->ended && frame_of(run->v)->raw_offset < run->end;
}

static la_ssize_t give(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	struct run *run = ctx;
	struct verify *v = run->v;
	if (run->broken || (run->given && verify_next(v, &run->why) < 0)) {
		run->broken = true;
		return -1;
	}
	run->given = false;
	if (!is_inside(run))
		return 0;
	run->given = true;
	run->behind = frame_of(v)->raw_offset + frame_of(v)->raw_bytes;
	if (v->now.damage != NULL) {
		run->why = *v->now.damage;
		run->broken = true;
		return -1;
	}
	size_t skip = run->begin > frame_of(v)->raw_offset
			  ? (size_t)(run->begin - frame_of(v)->raw_offset)
			  : 0;
	*ret = v->now.data + skip;
	return (la_ssize_t)(v->now.len - skip);
}

/* ---- content ---- */

static void hash_zeros(struct sha256 *sha, uint64_t n)
{
	static const uint8_t zeros[64 << 10];
	for (; n > 0; n -= n < sizeof zeros ? n : sizeof zeros)
		sha256_update(sha, zeros, n < sizeof zeros ? (size_t)n : sizeof zeros);
}

/* The content of the member that `tar` is at; holes count as zeros. */
static int hash_content(const struct run *run, struct archive *tar, uint64_t bytes,
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
		if (rc != ARCHIVE_OK && run->broken) {
			*err = run->why;
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

static int check_member(struct run *run, const struct index_member *m, struct archive *tar,
			struct archive_entry *entry, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	if (reader_check_entry(run->v->r, m, entry, err) < 0)
		return -1;
	if (m->type != 'f')
		return 0;
	if (sha256_new(&sha, err) < 0 || hash_content(run, tar, m->bytes, sha, err) < 0)
		return -1;
	return verify_hash(sha, m->sha256, err);
}

/* ---- the run ---- */

static int note_member(struct run *run, const struct index_member *m, const struct err *cause,
		       struct err *err)
{
	struct err why = *cause;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	const struct reader_damage d = {.name = m->name, .why = cause->msg};
	err_wrap(&why, "member '%s'", member_name_shown(m->name, shown));
	return verify_note(run->v, &d, &why, err);
}

/* Nothing is known of members that begin in what libarchive was given until it gave up. */
static int note_rest(struct run *run, const struct err *cause, struct err *err)
{
	struct verify *v = run->v;
	const struct index *ix = &v->r->index;
	bool any = false;
	while (v->next_member < ix->member_count && ix->members[v->next_member].at < run->end &&
	       (ix->members[v->next_member].at < run->behind || !is_inside(run))) {
		if (note_member(run, &ix->members[v->next_member++], cause, err) < 0)
			return -1;
		any = true;
	}
	struct err why = *cause;
	return any ? 0 : verify_note(v, NULL, &why, err);
}

static int not_listed(struct archive_entry *entry, uint64_t at, struct err *err)
{
	char shown[MEMBER_NAME_SHOWN_BYTES];
	const char *name = archive_entry_pathname(entry);
	return err_set(err, ERR_CORRUPT, "'%s' at byte %llu of the tar file is not listed",
		       member_name_shown(name != NULL ? name : "", shown), (unsigned long long)at);
}

/* One member after the other until the run ends (0) or it can't go on (-1, why). */
static int walk(struct run *run, struct archive *tar, struct err *why, struct err *err)
{
	struct verify *v = run->v;
	const struct index *ix = &v->r->index;
	for (;;) {
		struct archive_entry *entry = NULL;
		if (tar_member_next(tar, &entry, why) < 0)
			return -1;
		uint64_t at = run->begin + (uint64_t)archive_read_header_position(tar);
		if (entry == NULL && at == run->end)
			return 0;
		if (entry == NULL)
			return err_set(why, ERR_CORRUPT,
				       "the tar file ends at byte %llu, before its manifest",
				       (unsigned long long)at);
		if (v->next_member == ix->member_count || ix->members[v->next_member].at != at)
			return not_listed(entry, at, why);
		const struct index_member *m = &ix->members[v->next_member++];
		struct err cause = ERR_INIT;
		if (check_member(run, m, tar, entry, &cause) == 0)
			continue;
		if (run->broken)
			cause = run->why;
		if (note_member(run, m, &cause, err) < 0)
			return -2;
		/* Its content was read to the end: what follows can be told. */
		if (run->broken || archive_errno(tar) != 0) {
			*why = cause;
			return -1;
		}
	}
}

/* To the frame in which the next member of the run begins; past all of them if there is none. */
static int go_on(struct run *run, struct err *err)
{
	struct verify *v = run->v;
	const struct index *ix = &v->r->index;
	run->begin = run->end;
	if (v->next_member < ix->member_count && ix->members[v->next_member].at < run->end)
		run->begin = ix->members[v->next_member].at;
	while (is_inside(run) && (run->begin == run->end ||
				  frame_of(v)->raw_offset + frame_of(v)->raw_bytes <= run->begin))
		if (verify_next(v, err) < 0)
			return -1;
	return 0;
}

static void tar_freep(struct archive **a)
{
	archive_read_free(*a);
}

static int walk_anew(struct run *run, struct err *err)
{
	CLEANUP(tar_freep) struct archive *tar = NULL;
	struct err why = ERR_INIT;
	run->given = run->broken = false;
	run->behind = run->begin;
	int rc = tar_member_reader(give, run, &tar, &why);
	if (rc == 0)
		rc = walk(run, tar, &why, err);
	if (rc == -2)
		return -1;
	if (rc < 0 && run->broken)
		why = run->why;
	if (rc < 0 && note_rest(run, &why, err) < 0)
		return -1;
	return go_on(run, err);
}

int verify_members(struct verify *v, struct err *err)
{
	const struct index *ix = &v->r->index;
	size_t last = v->now.frame;
	while (last + 1 < ix->frame_count && ix->frames[last + 1].stream == 0)
		last++;
	struct run run = {.v = v, .start = frame_of(v)->raw_offset};
	run.end = v->r->frames.frames[last].raw_offset + v->r->frames.frames[last].raw_bytes;
	run.begin = run.start;
	while (is_inside(&run))
		if (walk_anew(&run, err) < 0)
			return -1;
	return 0;
}

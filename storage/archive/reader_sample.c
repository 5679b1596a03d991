/* A sample of an archive: some of its frames, chosen by chance. */
#include <stdlib.h>
#include "storage/archive/member_name.h"
#include "storage/archive/reader_verify.h"

#define WHOLE_PPM UINT64_C(1000000)

/* splitmix64 (public domain, Sebastiano Vigna): the choice must be the same everywhere. */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9E3779B97F4A7C15U;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
	return x ^ (x >> 31);
}

struct choice {
	const struct reader *r;
	uint64_t random;
	bool *chosen; /* by frame */
	struct unpack_span *spans;
	size_t span_count;
	struct reader_report report;
};

static void choice_done(struct choice *c)
{
	free(c->chosen);
	free(c->spans);
}

static void choose(struct choice *c, size_t frame)
{
	if (c->chosen[frame])
		return;
	c->chosen[frame] = true;
	c->report.frames++;
	c->report.stored_bytes += c->r->frames.frames[frame].stored_bytes;
	c->report.raw_bytes += c->r->frames.frames[frame].raw_bytes;
}

/* One frame of each stream, and one of the members: each is as likely as its neighbours. */
static int choose_of_each(struct choice *c, struct err *err)
{
	const struct index *ix = &c->r->index;
	struct pick {
		size_t seen, frame;
	};
	CLEANUP(freep)
	struct pick *picks =
	    mem_zalloc((ix->stream_count + 1) * sizeof *picks, "a choice of frames", err);
	if (picks == NULL)
		return -1;
	for (size_t i = 0; i < ix->frame_count; i++) {
		struct pick *p = &picks[ix->frames[i].stream];
		if (draw(&c->random) % ++p->seen == 0)
			p->frame = i;
	}
	for (size_t i = 0; i <= ix->stream_count; i++)
		if (picks[i].seen > 0)
			choose(c, picks[i].frame);
	for (size_t i = 1; i <= ix->stream_count; i++)
		c->report.streams += picks[i].seen > 0;
	return 0;
}

/* As many of all as the share asks for, in the order of a shuffled deck. */
static int choose_share(struct choice *c, uint32_t share_ppm, struct err *err)
{
	size_t count = c->r->index.frame_count;
	uint64_t all = 0;
	CLEANUP(freep)
	size_t *deck = mem_zalloc((count + 1) * sizeof *deck, "a choice of frames", err);
	if (deck == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		deck[i] = i;
		all += c->r->frames.frames[i].stored_bytes;
	}
	uint64_t wanted = all / WHOLE_PPM * share_ppm + all % WHOLE_PPM * share_ppm / WHOLE_PPM;
	for (size_t i = 0; i < count && c->report.stored_bytes < wanted; i++) {
		size_t k = i + (size_t)(draw(&c->random) % (count - i));
		size_t frame = deck[k];
		deck[k] = deck[i];
		choose(c, frame);
	}
	return 0;
}

static int make_spans(struct choice *c, struct err *err)
{
	size_t count = c->r->index.frame_count;
	c->spans = mem_zalloc(((size_t)c->report.frames + 1) * sizeof *c->spans,
			      "a choice of frames", err);
	if (c->spans == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!c->chosen[i])
			continue;
		if (i > 0 && c->chosen[i - 1])
			c->spans[c->span_count - 1].count++;
		else
			c->spans[c->span_count++] = (struct unpack_span){.first = i, .count = 1};
	}
	return 0;
}

/* ---- looking at them ---- */

static int check_part(struct verify *v, struct err *err)
{
	const struct index_frame *part = &v->r->index.frames[v->now.frame];
	const struct index_stream *stream = &v->r->index.streams[part->stream - 1];
	char shown[MEMBER_NAME_SHOWN_BYTES];
	struct tar_found found;
	struct err why = ERR_INIT;
	if (reader_open_part(v->r, &v->now, &found, &why) == 0)
		return 0;
	struct err cause = why;
	const struct reader_damage d = {.name = stream->name,
					.is_stream = true,
					.bad_parts = 1,
					.parts = stream->parts,
					.why = cause.msg};
	err_wrap(&why, "stream '%s'", member_name_shown(stream->name, shown));
	return verify_note(v, &d, &why, err);
}

/* All members that have something in a damaged frame. */
static int note_members(struct verify *v, struct err *err)
{
	const struct index *ix = &v->r->index;
	const struct seek_frame *f = &v->r->frames.frames[v->now.frame];
	for (size_t i = 0; i < ix->member_count; i++) {
		const struct index_member *m = &ix->members[i];
		struct err why = *v->now.damage;
		char shown[MEMBER_NAME_SHOWN_BYTES];
		if (m->end <= f->raw_offset || m->at >= f->raw_offset + f->raw_bytes)
			continue;
		const struct reader_damage d = {.name = m->name, .why = v->now.damage->msg};
		err_wrap(&why, "member '%s'", member_name_shown(m->name, shown));
		if (verify_note(v, &d, &why, err) < 0)
			return -1;
	}
	return 0;
}

static int check_chosen(struct verify *v, struct err *err)
{
	if (verify_next(v, err) < 0)
		return -1;
	while (!v->ended) {
		bool member = v->r->index.frames[v->now.frame].stream == 0;
		if (!member && check_part(v, err) < 0)
			return -1;
		if (member && v->now.damage != NULL && note_members(v, err) < 0)
			return -1;
		if (verify_next(v, err) < 0)
			return -1;
	}
	return 0;
}

static int check(struct choice *c, struct verify *v, struct err *err)
{
	const struct unpack_pipe_opts opts = {
	    .store = v->r->store,
	    .object = v->r->object,
	    .frames = &v->r->frames,
	    .spans = c->spans,
	    .span_count = c->span_count,
	    .fetched_bytes = &v->r->fetched_bytes,
	    .check_table = true,
	    .past_damage = true,
	};
	CLEANUP(unpack_pipe_freep) struct unpack_pipe *pipe = NULL;
	if (unpack_pipe_open(&opts, &pipe, err) < 0)
		return -1;
	v->pipe = pipe;
	if (check_chosen(v, err) < 0)
		return -1;
	if (v->first.code == ERR_NONE && v->r->rebuilt)
		err_set(&v->first, ERR_CORRUPT, "the archive's end is damaged: %s",
			v->r->damage.msg);
	if (v->first.code == ERR_NONE)
		return 0;
	*err = v->first;
	return -1;
}

int reader_sample(struct reader *r, uint32_t share_ppm, uint64_t seed,
		  const struct reader_watch *watch, struct reader_report *ret, struct err *err)
{
	static const struct reader_watch nobody;
	CLEANUP(choice_done) struct choice c = {.r = r, .random = seed};
	struct verify v = {.r = r,
			   .watch = watch != NULL ? watch : &nobody,
			   .fetched_before = reader_fetched_bytes(r)};
	c.chosen = mem_zalloc(r->index.frame_count + 1, "a choice of frames", err);
	if (c.chosen == NULL || choose_of_each(&c, err) < 0 ||
	    choose_share(&c, share_ppm, err) < 0 || make_spans(&c, err) < 0)
		return -1;
	v.wanted_bytes = c.report.stored_bytes;
	if (check(&c, &v, err) < 0)
		return err_wrap(err, "'%s'", r->object);
	*ret = c.report;
	return 0;
}

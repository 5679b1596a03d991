#include "storage/archive/reader_parts.h"
#include "tests/support/small_archive.h"

enum { STREAM_BYTES = 5 * SMALL_PART_BYTES + 100, BIG_BYTES = 3 * SMALL_PART_BYTES };

/* What was told to be damaged. */
struct told {
	char text[4096];
	size_t count;
};

static void tell(void *ctx, const struct reader_damage *d)
{
	struct told *t = ctx;
	size_t len = strlen(t->text);
	if (d->is_stream)
		snprintf(t->text + len, sizeof t->text - len, "%s %zu/%zu; ", d->name, d->bad_parts,
			 d->parts);
	else
		snprintf(t->text + len, sizeof t->text - len, "%s; ", d->name);
	t->count++;
	assert_non_null(d->why);
}

struct fixture {
	struct memory_store *m;
	struct store *store;
	struct reader *r;
	struct told told;
};

/* Members of all sizes before, between and behind two streams. */
static void open_archive(struct fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.r = NULL};
	memory_store_open(&f->m, &f->store);
	uint8_t *data = malloc(STREAM_BYTES);
	small_fill(data, STREAM_BYTES, 7);
	struct writer *w = small_open(f->store, SMALL_OBJECT);
	must_be_ok(writer_file(w, "RESTORE.md", 0644, "by hand\n", 8, &err), err);
	small_put_stream(w, "one/dump", data, STREAM_BYTES);
	small_put_entry(w, small_entry("m/first", AE_IFREG), data, 1000);
	small_put_entry(w, small_entry("m/big", AE_IFREG), data, BIG_BYTES);
	small_put_entry(w, small_entry("m/small", AE_IFREG), data, 1000);
	small_put_entry(w, small_entry("m/middle", AE_IFREG), data, 60000);
	small_put_entry(w, small_entry("m/last", AE_IFREG), data, 60000);
	small_put_stream(w, "two/dump", data, STREAM_BYTES - SMALL_PART_BYTES);
	small_put_entry(w, small_entry("z/alone", AE_IFREG), data, 10);
	small_close(w);
	free(data);
	must_be_ok(reader_open(f->store, SMALL_OBJECT, &f->r, &err), err);
}

static void close_archive(struct fixture *f)
{
	reader_free(f->r);
	store_free(f->store);
}

/* One byte in the middle of a frame is another; again: it is as it was. */
static void flip(struct fixture *f, size_t frame)
{
	const struct seek_frame *s = &f->r->frames.frames[frame];
	size_t len;
	const uint8_t *object = memory_store_bytes(f->m, SMALL_OBJECT, &len);
	uint8_t *copy = malloc(len);
	memcpy(copy, object, len);
	copy[s->offset + s->stored_bytes / 2] ^= 0x10;
	memory_store_set(f->m, SMALL_OBJECT, copy, len);
	free(copy);
}

static int verify(struct fixture *f, struct err *err)
{
	const struct reader_watch watch = {.damaged = tell, .ctx = &f->told};
	struct reader_report report;
	f->told = (struct told){.count = 0};
	return reader_verify(f->r, NULL, &watch, &report, err);
}

static int drain(void *ctx, struct archive_entry *entry, struct source *content, struct err *err)
{
	(void)ctx, (void)entry;
	CLEANUP(sink_freep) struct sink *to = NULL;
	return sink_null(&to, err) < 0 ? -1 : flow_copy(content, to, NULL, err);
}

/* Can it be read, whatever else is damaged? */
static bool is_readable(struct fixture *f, const char *name, bool stream)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, STREAM_BYTES);
	return stream ? small_read_stream(f->r, name, &out, &err) == 0
		      : reader_members(f->r, name, drain, NULL, &err) == 0;
}

/* Each frame in turn: exactly what lies in it is told as damaged, and all else can be read. */
static void verify__of_any_damaged_frame__tells_exactly_what_it_held(void **state)
{
	(void)state;
	struct fixture f;
	open_archive(&f);
	const struct index *ix = &f.r->index;
	for (size_t i = 0; i < ix->frame_count; i++) {
		struct err err = ERR_INIT;
		const struct seek_frame *s = &f.r->frames.frames[i];
		char expected[4096] = "", frame[40];
		if (ix->frames[i].stream != 0) {
			const struct index_stream *stream = &ix->streams[ix->frames[i].stream - 1];
			snprintf(expected, sizeof expected, "%s 1/%zu; ", stream->name,
				 stream->parts);
		}
		for (size_t k = 0; k < ix->member_count; k++) {
			const struct index_member *m = &ix->members[k];
			size_t len = strlen(expected);
			if (m->at < s->raw_offset + s->raw_bytes && m->end > s->raw_offset)
				snprintf(expected + len, sizeof expected - len, "%s; ", m->name);
		}
		flip(&f, i);
		assert_int_equal(verify(&f, &err), -1);
		assert_string_equal(f.told.text, expected);
		assert_int_equal(err.code, ERR_CORRUPT);
		snprintf(frame, sizeof frame, "frame %zu of '", i);
		assert_non_null(strstr(err.msg, frame));
		for (size_t k = 0; k < ix->stream_count; k++)
			assert_int_equal(is_readable(&f, ix->streams[k].name, true),
					 strstr(expected, ix->streams[k].name) == NULL);
		flip(&f, i);
	}
	struct err err = ERR_INIT;
	must_be_ok(verify(&f, &err), err);
	assert_int_equal(f.told.count, 0);
	close_archive(&f);
}

static void verify__of_several_damaged_frames__tells_all_and_fails_with_the_first(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	open_archive(&f);
	flip(&f, 2);
	flip(&f, 4);
	flip(&f, f.r->index.frame_count - 2);
	assert_int_equal(verify(&f, &err), -1);
	assert_string_equal(f.told.text, "one/dump 2/6; two/dump 1/5; ");
	assert_non_null(
	    strstr(err.msg, "'" SMALL_OBJECT "': stream 'one/dump': part 1: frame 2 of '"));
	assert_false(is_readable(&f, "one/dump", true));
	assert_true(is_readable(&f, "m/", false));
	assert_true(is_readable(&f, "z/", false));
	close_archive(&f);
}

static void verify__of_a_store_that_fails__is_no_damage(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	open_archive(&f);
	memory_store_fail_read(f.m, 1);
	assert_int_equal(verify(&f, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(f.told.count, 0);
	close_archive(&f);
}

/* ---- samples ---- */

static int sample(struct fixture *f, uint32_t ppm, uint64_t seed, struct reader_report *ret,
		  struct err *err)
{
	const struct reader_watch watch = {.damaged = tell, .ctx = &f->told};
	f->told = (struct told){.count = 0};
	return reader_sample(f->r, ppm, seed, &watch, ret, err);
}

static void sample__of_nothing__has_one_frame_of_each_stream_and_of_the_members(void **state)
{
	(void)state;
	struct fixture f;
	open_archive(&f);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct err err = ERR_INIT;
		struct reader_report report;
		uint64_t before = memory_store_got(f.m);
		must_be_ok(sample(&f, 0, seed, &report, &err), err);
		assert_int_equal(report.frames, 3);
		assert_int_equal(report.streams, 2);
		assert_int_equal(memory_store_got(f.m) - before, report.stored_bytes);
	}
	close_archive(&f);
}

static void sample__of_any_share__fetches_about_that_share(void **state)
{
	(void)state;
	struct fixture f;
	open_archive(&f);
	uint64_t all = seek_table_stored_bytes(&f.r->frames) -
		       f.r->frames.frames[f.r->frames.count - 1].stored_bytes;
	for (uint32_t ppm = 300000; ppm <= 1000000; ppm += 100000) {
		struct err err = ERR_INIT;
		struct reader_report report;
		must_be_ok(sample(&f, ppm, 1, &report, &err), err);
		assert_true(report.stored_bytes * 1000000 >= all / 1000000 * ppm);
		assert_true(report.stored_bytes <= all * ppm / 1000000 + SMALL_PART_BYTES);
	}
	close_archive(&f);
}

/* Whether a sample meets the damage is chance, and the same chance for the same seed. */
static void sample__with_the_same_seed__finds_the_same(void **state)
{
	(void)state;
	struct fixture f;
	size_t found = 0;
	open_archive(&f);
	flip(&f, 3);
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct reader_report report;
		struct err first = ERR_INIT, second = ERR_INIT;
		int rc = sample(&f, 1, seed, &report, &first);
		assert_int_equal(sample(&f, 1, seed, &report, &second), rc);
		assert_string_equal(first.msg, second.msg);
		found += rc < 0;
		if (rc == 0)
			continue;
		assert_string_equal(f.told.text, "one/dump 1/6; ");
		assert_non_null(strstr(first.msg, "stream 'one/dump': part 2: frame 3 of '"));
		assert_int_equal(first.code, ERR_CORRUPT);
	}
	/* One of six. */
	assert_in_range(found, 3, 20);
	close_archive(&f);
}

static void sample__that_meets_damaged_members__names_them(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	struct reader_report report;
	open_archive(&f);
	size_t frame = 0;
	while (f.r->index.members[4].at >=
	       f.r->frames.frames[frame].raw_offset + f.r->frames.frames[frame].raw_bytes)
		frame++;
	flip(&f, frame);
	assert_int_equal(sample(&f, 1000000, 0, &report, &err), -1);
	assert_non_null(strstr(f.told.text, "m/middle; "));
	assert_null(strstr(f.told.text, "dump"));
	close_archive(&f);
}

/* What a reader is asked for to show an archive: its last bytes. */
static void open__of_a_large_archive__fetches_its_tail_alone(void **state)
{
	(void)state;
	enum { BYTES = 4 << 20 };
	struct err err = ERR_INIT;
	struct memory_store *m;
	CLEANUP(store_freep) struct store *store = NULL;
	CLEANUP(reader_freep) struct reader *r = NULL;
	memory_store_open(&m, &store);
	small_write(store, BYTES);
	must_be_ok(reader_open(store, SMALL_OBJECT, &r, &err), err);
	const struct seek_frame *last = &r->frames.frames[r->frames.count - 1];
	assert_true(reader_object_bytes(r) > 1 << 20);
	assert_int_equal(memory_store_gets(m), 2);
	assert_int_equal(memory_store_got(m), (128 << 10) + last->stored_bytes);
	assert_int_equal(reader_fetched_bytes(r), memory_store_got(m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(verify__of_any_damaged_frame__tells_exactly_what_it_held),
	    cmocka_unit_test(verify__of_several_damaged_frames__tells_all_and_fails_with_the_first),
	    cmocka_unit_test(verify__of_a_store_that_fails__is_no_damage),
	    cmocka_unit_test(sample__of_nothing__has_one_frame_of_each_stream_and_of_the_members),
	    cmocka_unit_test(sample__of_any_share__fetches_about_that_share),
	    cmocka_unit_test(sample__with_the_same_seed__finds_the_same),
	    cmocka_unit_test(sample__that_meets_damaged_members__names_them),
	    cmocka_unit_test(open__of_a_large_archive__fetches_its_tail_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

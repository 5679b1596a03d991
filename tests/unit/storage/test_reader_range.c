#include "tests/support/small_archive.h"

enum { STREAM_BYTES = 3 * SMALL_PART_BYTES + 1000 };

struct fixture {
	struct memory_store *m;
	struct store *store;
	struct reader *r;
	uint8_t *data;
};

static void open_small(struct fixture *f)
{
	struct err err = ERR_INIT;
	memory_store_open(&f->m, &f->store);
	small_write(f->store, STREAM_BYTES);
	f->data = malloc(STREAM_BYTES);
	small_fill(f->data, STREAM_BYTES, 1);
	must_be_ok(reader_open(f->store, SMALL_OBJECT, &f->r, &err), err);
}

static void close_small(struct fixture *f)
{
	reader_free(f->r);
	store_free(f->store);
	free(f->data);
}

static int read_range(struct reader *r, const char *name, uint64_t offset, uint64_t len,
		      struct buf *out, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (reader_range(r, name, offset, len, &from, err) < 0 || sink_buf(out, &to, err) < 0)
		return -1;
	return flow_copy(from, to, NULL, err);
}

static void range__at_every_boundary__exactly_those_bytes(void **state)
{
	(void)state;
	struct fixture f;
	open_small(&f);
	size_t places[4 * 3 + 2], count = 0;
	for (size_t part = 0; part < 4; part++)
		for (size_t k = 0; k < 3; k++)
			if (part + k > 0) /* one before, at, and one behind the beginning of each */
				places[count++] = part * SMALL_PART_BYTES + k - 1;
	places[count++] = STREAM_BYTES - 1;
	places[count++] = STREAM_BYTES;
	places[count++] = 0;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < count; k++) {
			struct err err = ERR_INIT;
			CLEANUP(buf_done) struct buf out;
			size_t from = places[i], to = places[k];
			if (from > to)
				continue;
			buf_init(&out, STREAM_BYTES + 1);
			must_be_ok(read_range(f.r, SMALL_STREAM, from, to - from, &out, &err), err);
			assert_int_equal(out.len, to - from);
			if (out.len > 0)
				assert_memory_equal(out.data, f.data + from, out.len);
		}
	close_small(&f);
}

static void range__inside_one_part__fetches_its_frame_alone(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out;
	open_small(&f);
	buf_init(&out, STREAM_BYTES);
	uint64_t before = reader_fetched_bytes(f.r), memory = memory_store_got(f.m);
	unsigned gets = memory_store_gets(f.m);
	must_be_ok(read_range(f.r, SMALL_STREAM, SMALL_PART_BYTES + 5, 100, &out, &err), err);
	uint64_t fetched = reader_fetched_bytes(f.r) - before;
	assert_int_equal(memory_store_gets(f.m) - gets, 1);
	assert_int_equal(memory_store_got(f.m) - memory, fetched);
	assert_in_range(fetched, 1, SMALL_PART_BYTES);
	close_small(&f);
}

static void range__behind_the_end__is_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t offset, len;
	} cases[] = {{0, STREAM_BYTES + 1}, {STREAM_BYTES, 1}, {STREAM_BYTES + 1, 0},
		     {UINT64_MAX, 1},       {1, UINT64_MAX},   {UINT64_MAX, UINT64_MAX}};
	struct fixture f;
	open_small(&f);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		char text[200];
		struct source *from = NULL;
		assert_int_equal(
		    reader_range(f.r, SMALL_STREAM, cases[i].offset, cases[i].len, &from, &err),
		    -1);
		snprintf(text, sizeof text,
			 "stream '%s' has %d bytes, %llu from byte %llu are asked for",
			 SMALL_STREAM, STREAM_BYTES, (unsigned long long)cases[i].len,
			 (unsigned long long)cases[i].offset);
		assert_string_equal(err.msg, text);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_null(from);
	}
	close_small(&f);
}

static void range__of_an_absent_stream__is_absent(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	struct source *from = NULL;
	open_small(&f);
	assert_int_equal(reader_range(f.r, "nope", 0, 1, &from, &err), -1);
	assert_string_equal(err.msg, "'" SMALL_OBJECT "' has no stream 'nope'");
	assert_int_equal(err.code, ERR_ABSENT);
	close_small(&f);
}

/* The last byte of a frame is its checksum's. */
static void range__of_a_damaged_frame__is_found_out_and_others_are_not(void **state)
{
	(void)state;
	struct fixture f;
	size_t len;
	open_small(&f);
	uint64_t seen[2];
	CLEANUP(buf_done) struct buf out;
	struct err err = ERR_INIT;
	buf_init(&out, STREAM_BYTES * 4);
	/* Where the second part's frame lies, told from what is fetched. */
	must_be_ok(read_range(f.r, SMALL_STREAM, 0, 1, &out, &err), err);
	seen[0] = memory_store_last_offset(f.m);
	must_be_ok(read_range(f.r, SMALL_STREAM, SMALL_PART_BYTES, 1, &out, &err), err);
	seen[1] = memory_store_last_offset(f.m);
	const uint8_t *object = memory_store_bytes(f.m, SMALL_OBJECT, &len);
	uint8_t *copy = malloc(len);
	memcpy(copy, object, len);
	copy[(seen[0] + seen[1]) / 2] ^= 1;
	memory_store_set(f.m, SMALL_OBJECT, copy, len);
	free(copy);
	assert_int_equal(read_range(f.r, SMALL_STREAM, SMALL_PART_BYTES - 1, 2, &out, &err), -1);
	assert_non_null(strstr(err.msg, "stream '" SMALL_STREAM "': frame "));
	assert_int_equal(err.code, ERR_CORRUPT);
	err_clear(&err);
	must_be_ok(read_range(f.r, SMALL_STREAM, SMALL_PART_BYTES, STREAM_BYTES - SMALL_PART_BYTES,
			      &out, &err),
		   err);
	close_small(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(range__at_every_boundary__exactly_those_bytes),
	    cmocka_unit_test(range__inside_one_part__fetches_its_frame_alone),
	    cmocka_unit_test(range__behind_the_end__is_refused),
	    cmocka_unit_test(range__of_an_absent_stream__is_absent),
	    cmocka_unit_test(range__of_a_damaged_frame__is_found_out_and_others_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

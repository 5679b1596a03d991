/*
 * Every cut, every flipped bit, every failing call: an archive is either read exactly as it was
 * written, or it is an error that says so.
 */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include "base/clock.h"

enum { STREAM_BYTES = 600 };

static struct memory_store *memory;
static struct store *store;
static struct writer_totals totals;
static uint8_t *good;
static size_t good_len;
static uint8_t stream[STREAM_BYTES];

static int setup(void **state)
{
	(void)state;
	memory_store_open(&memory, &store);
	totals = small_write(store, STREAM_BYTES);
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &good_len);
	good = malloc(good_len);
	memcpy(good, data, good_len);
	small_fill(stream, STREAM_BYTES, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsigned open = memory_store_open_puts(memory);
	store_free(store);
	free(good);
	return open == 0 ? 0 : -1;
}

/* What a member must be: name, type and content follow from its number. */
static int check_member(void *ctx, struct archive_entry *entry, struct source *content,
			struct err *err)
{
	static const struct {
		const char *name, *content;
		unsigned type;
	} members[] = {
	    {"RESTORE.md", "by hand\n", AE_IFREG},      {"volumes/media/./", "", AE_IFDIR},
	    {"volumes/media/a.txt", "first", AE_IFREG}, {"volumes/media/empty", "", AE_IFREG},
	    {"volumes/media/link", "", AE_IFLNK},       {"volumes/media/hard", "", 0},
	};
	unsigned *n = ctx;
	uint8_t got[64];
	size_t len;
	assert_true(*n < sizeof members / sizeof *members);
	assert_string_equal(archive_entry_pathname(entry), members[*n].name);
	assert_int_equal(archive_entry_filetype(entry), members[*n].type);
	if (source_read_full(content, got, sizeof got, &len, err) < 0)
		return -1;
	assert_int_equal(len, strlen(members[*n].content));
	assert_memory_equal(got, members[*n].content, len);
	++*n;
	return 0;
}

static void is_a_fitting_error(const struct err *err, const char *what, size_t at)
{
	if ((err->code != ERR_CORRUPT && err->code != ERR_LIMIT) || *err->msg == '\0')
		fail_msg("%s %zu: %s: %s", what, at, err_code_name(err->code), err->msg);
}

/* Reads everything there is. Returns whether all of it could be read; then it was exact. */
static bool read_all(struct reader *r, const char *what, size_t at)
{
	struct err err = ERR_INIT;
	struct buf got;
	unsigned members = 0;
	bool all = true;
	buf_init(&got, 1 << 20);
	if (small_read_stream(r, SMALL_STREAM, &got, &err) == 0) {
		assert_int_equal(got.len, STREAM_BYTES);
		assert_memory_equal(got.data, stream, STREAM_BYTES);
	} else {
		is_a_fitting_error(&err, what, at);
		all = false;
	}
	buf_reset(&got);
	if (small_read_stream(r, SMALL_EMPTY, &got, &err) == 0) {
		assert_int_equal(got.len, 0);
	} else {
		is_a_fitting_error(&err, what, at);
		all = false;
	}
	if (reader_members(r, "", check_member, &members, &err) == 0) {
		assert_int_equal(members, 6);
	} else {
		is_a_fitting_error(&err, what, at);
		all = false;
	}
	buf_done(&got);
	return all;
}

/* The object as it now is must not pass for sound. Returns whether it could be read all the same.
 */
static bool must_be_found_out(const char *what, size_t at, bool know_sha256)
{
	struct err err = ERR_INIT;
	struct reader *r;
	struct reader_report report;
	if (reader_open(store, SMALL_OBJECT, &r, &err) < 0) {
		is_a_fitting_error(&err, what, at);
		return false;
	}
	if (reader_verify(r, know_sha256 ? totals.sha256 : NULL, NULL, &report, &err) == 0)
		fail_msg("%s %zu: verified", what, at);
	is_a_fitting_error(&err, what, at);
	bool all = read_all(r, what, at);
	reader_free(r);
	return all;
}

static void archive__cut_at_every_length__is_found_out(void **state)
{
	(void)state;
	size_t readable = 0;
	for (size_t len = 0; len < good_len; len++) {
		memory_store_set(memory, SMALL_OBJECT, good, len);
		readable += must_be_found_out("cut at", len, false);
	}
	/* Only seal and seek table are missing, or a part of them: for 5 frames these are 137
	 * bytes. */
	assert_int_equal(readable, 48 + 8 + 12 * 6 + 9);
}

static void archive__cut_before_its_manifest__says_how_far_it_goes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct reader *r;
	size_t last = 0;
	for (size_t len = 0; len < good_len; len++) {
		memory_store_set(memory, SMALL_OBJECT, good, len);
		if (reader_open(store, SMALL_OBJECT, &r, &err) == 0) {
			reader_free(r);
			continue;
		}
		const char *after = strstr(err.msg, "after ");
		size_t members = after == NULL ? 0 : strtoul(after + 6, NULL, 10);
		assert_true(members >= last);
		last = members;
		assert_non_null(strstr(err.hint, "Restore another backup"));
	}
	assert_int_equal(last, 8);
}

/* Without the object's hash from the sidecar: the archive tells by itself. */
static void archive__with_any_bit_flipped__is_found_out(void **state)
{
	(void)state;
	uint8_t *bad = malloc(good_len);
	memcpy(bad, good, good_len);
	for (size_t at = 0; at < good_len; at++) {
		bad[at] ^= (uint8_t)(1U << (at % 8));
		memory_store_set(memory, SMALL_OBJECT, bad, good_len);
		must_be_found_out("bit flipped in byte", at, false);
		bad[at] = good[at];
	}
	free(bad);
}

static void archive__with_a_byte_changed__is_found_out(void **state)
{
	(void)state;
	uint8_t *bad = malloc(good_len);
	memcpy(bad, good, good_len);
	for (size_t at = 0; at < good_len; at += 3) {
		bad[at] = (uint8_t)~bad[at];
		memory_store_set(memory, SMALL_OBJECT, bad, good_len);
		must_be_found_out("changed byte", at, true);
		bad[at] = good[at];
	}
	free(bad);
}

/* ---- failing neighbours ---- */

static int write_all(struct err *err)
{
	struct sink *out, *to;
	CLEANUP(writer_freep) struct writer *w = NULL;
	CLEANUP(json_freep) json_t *manifest = small_manifest();
	struct writer_totals ret;
	uint8_t data[3 * SMALL_PART_BYTES];
	const struct writer_opts opts = {.level = 1, .part_bytes = SMALL_PART_BYTES, .threads = 2};
	small_fill(data, sizeof data, 3);
	if (store_put(store, SMALL_OBJECT, &out, err) < 0 || writer_open(out, &opts, &w, err) < 0 ||
	    writer_file(w, "RESTORE.md", 0644, data, 1000, err) < 0 ||
	    writer_stream(w, SMALL_STREAM, &to, err) < 0)
		return -1;
	int rc = sink_write(to, data, sizeof data, err) < 0 ? -1 : sink_close(to, err);
	sink_free(to);
	if (rc < 0 || writer_file(w, "large", 0600, data, sizeof data, err) < 0)
		return -1;
	return writer_close(w, manifest, &ret, err);
}

static void store__whose_nth_write_fails__gets_no_archive(void **state)
{
	(void)state;
	size_t len;
	unsigned nth = 1;
	for (;; nth++) {
		struct err err = ERR_INIT;
		const uint8_t *before = memory_store_bytes(memory, SMALL_OBJECT, &len);
		memory_store_fail_write(memory, nth);
		int rc = write_all(&err);
		memory_store_fail_write(memory, 0);
		assert_int_equal(memory_store_open_puts(memory), 0);
		if (rc == 0)
			break;
		assert_int_equal(err.code, ERR_NOSPACE);
		assert_non_null(strstr(err.msg, "the store in memory is full"));
		/* The archive of that name from before is untouched. */
		assert_ptr_equal(memory_store_bytes(memory, SMALL_OBJECT, &len), before);
	}
	assert_true(nth > 8);
}

static int read_part(struct reader *r, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (reader_range(r, SMALL_STREAM, 100, 200, &from, err) < 0 || sink_null(&to, err) < 0)
		return -1;
	return flow_copy(from, to, NULL, err);
}

static void store__whose_nth_read_fails__is_an_error_and_no_damage(void **state)
{
	(void)state;
	memory_store_chop_reads(memory, 200);
	unsigned nth = 1;
	for (;; nth++) {
		struct err err = ERR_INIT;
		struct reader_report report;
		struct buf got;
		unsigned members = 0;
		struct reader *r = NULL;
		buf_init(&got, 1 << 20);
		memory_store_fail_read(memory, nth);
		bool good_read = reader_open(store, SMALL_OBJECT, &r, &err) == 0 &&
				 small_read_stream(r, SMALL_STREAM, &got, &err) == 0 &&
				 reader_members(r, "", check_member, &members, &err) == 0 &&
				 read_part(r, &err) == 0 &&
				 reader_sample(r, 300000, nth, NULL, &report, &err) == 0 &&
				 reader_verify(r, totals.sha256, NULL, &report, &err) == 0;
		memory_store_fail_read(memory, 0);
		reader_free(r);
		buf_done(&got);
		if (good_read)
			break;
		assert_int_equal(err.code, ERR_IO);
		assert_non_null(strstr(err.msg, "the store in memory can't be read"));
	}
	assert_true(nth > 20);
}

/* The same during the pass that a missing seek table costs. */
static void pass__whose_nth_read_fails__is_an_error_and_no_damage(void **state)
{
	(void)state;
	memory_store_set(memory, SMALL_OBJECT, good, good_len - 10);
	memory_store_chop_reads(memory, 200);
	unsigned nth = 1;
	for (;; nth++) {
		struct err err = ERR_INIT;
		struct reader *r = NULL;
		memory_store_fail_read(memory, nth);
		int rc = reader_open(store, SMALL_OBJECT, &r, &err);
		memory_store_fail_read(memory, 0);
		reader_free(r);
		if (rc == 0)
			break;
		assert_int_equal(err.code, ERR_IO);
		assert_non_null(strstr(err.msg, "the store in memory can't be read"));
	}
	assert_true(nth > 15);
}

/* ---- cancelled at any time ---- */

/* From the nth call of the store on, the signal counts; the flag itself can't be taken back. */
static void writer__cancelled_at_any_write__leaves_nothing(void **state)
{
	(void)state;
	size_t len;
	unsigned nth = 1, cancelled = 0;
	cancel_hold();
	cancel_request(15);
	for (;; nth++) {
		struct err err = ERR_INIT;
		const uint8_t *before = memory_store_bytes(memory, SMALL_OBJECT, &len);
		memory_store_slow_writes(memory, 1);
		memory_store_at_write(memory, nth, cancel_release);
		int rc = write_all(&err);
		bool released = cancel_check(&err) < 0;
		memory_store_at_write(memory, 0, NULL);
		assert_int_equal(memory_store_open_puts(memory), 0);
		if (released)
			cancel_hold();
		if (rc < 0) {
			assert_int_equal(err.code, ERR_CANCELLED);
			assert_string_equal(err.msg, "cancelled by SIGTERM");
			assert_ptr_equal(memory_store_bytes(memory, SMALL_OBJECT, &len), before);
			cancelled++;
		}
		if (!released)
			break;
	}
	assert_true(cancelled > 3 && nth > 8);
}

static void reader__cancelled_at_any_read__says_so(void **state)
{
	(void)state;
	unsigned nth = 1, cancelled = 0;
	memory_store_chop_reads(memory, 200);
	for (;; nth++) {
		struct err err = ERR_INIT, ignored = ERR_INIT;
		struct reader_report report;
		struct buf got;
		unsigned members = 0;
		struct reader *r = NULL;
		buf_init(&got, 1 << 20);
		memory_store_at_read(memory, nth, cancel_release);
		bool good_read = reader_open(store, SMALL_OBJECT, &r, &err) == 0 &&
				 small_read_stream(r, SMALL_STREAM, &got, &err) == 0 &&
				 reader_members(r, "", check_member, &members, &err) == 0 &&
				 reader_verify(r, totals.sha256, NULL, &report, &err) == 0;
		bool released = cancel_check(&ignored) < 0;
		memory_store_at_read(memory, 0, NULL);
		if (released)
			cancel_hold();
		reader_free(r);
		buf_done(&got);
		if (!good_read) {
			assert_int_equal(err.code, ERR_CANCELLED);
			cancelled++;
		}
		if (!released)
			break;
	}
	assert_true(cancelled > 3 && nth > 20);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(archive__cut_at_every_length__is_found_out),
	    TEST(archive__cut_before_its_manifest__says_how_far_it_goes),
	    TEST(archive__with_any_bit_flipped__is_found_out),
	    TEST(archive__with_a_byte_changed__is_found_out),
	    TEST(store__whose_nth_write_fails__gets_no_archive),
	    TEST(store__whose_nth_read_fails__is_an_error_and_no_damage),
	    TEST(pass__whose_nth_read_fails__is_an_error_and_no_damage),
	    /* Last: from here on the flag is set, and held. */
	    TEST(writer__cancelled_at_any_write__leaves_nothing),
	    TEST(reader__cancelled_at_any_read__says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

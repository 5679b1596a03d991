/* What others say of our archives: zstd, GNU tar, sha256sum, and nothing of our own reading. */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include "base/child.h"
#include "base/digest.h"
#include "tests/support/temp_dir.h"

enum { STREAM_BYTES = 5 * SMALL_PART_BYTES + 77 };

static struct temp_dir dir;
static struct memory_store *memory;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	size_t len;
	temp_dir_make(&dir);
	memory_store_open(&memory, &store);
	small_write(store, STREAM_BYTES);
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	temp_dir_write(&dir, SMALL_OBJECT, data, len);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	temp_dir_remove(&dir);
	return 0;
}

/* Runs a line of shell in the folder. Must exit 0, and say nothing on stderr. */
static void run(const char *line, struct buf *out)
{
	struct err err = ERR_INIT;
	struct child *c;
	const char *const argv[] = {"sh", "-c", line, NULL};
	const struct child_opts opts = {.argv = argv, .cwd = dir.path, .pipe_stdout = true};
	uint8_t block[65536];
	size_t n = 1;
	must_be_ok(child_start(&opts, &c, &err), err);
	while (n > 0) {
		must_be_ok(child_read(c, block, sizeof block, &n, deadline_in(60000), &err), err);
		must_be_ok(buf_append(out, block, n, &err), err);
	}
	must_be_ok(child_wait(c, deadline_in(60000), &err), err);
	assert_string_equal(child_stderr(c), "");
	child_free(c);
}

static void zstd__tests_every_frame(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 1 << 20);
	run("zstd -tq " SMALL_OBJECT, &out);
	assert_string_equal(buf_text(&out), "");
}

static void tar__lists_all_members_without_a_word(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 1 << 20);
	run("tar --zstd -tf " SMALL_OBJECT, &out);
	assert_string_equal(buf_text(&out), "RESTORE.md\n" SMALL_STREAM "/000000\n" SMALL_STREAM
					    "/000001\n" SMALL_STREAM "/000002\n" SMALL_STREAM
					    "/000003\n" SMALL_STREAM "/000004\n" SMALL_STREAM
					    "/000005\n" SMALL_EMPTY "/000000\n"
					    "volumes/media/./\n"
					    "volumes/media/a.txt\n"
					    "volumes/media/empty\n"
					    "volumes/media/link\n"
					    "volumes/media/hard\n"
					    "manifest.json\n");
}

static void tar__gives_back_a_stream(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf out;
	uint8_t *expected = malloc(STREAM_BYTES);
	small_fill(expected, STREAM_BYTES, 1);
	buf_init(&out, 1 << 20);
	run("zstd -dcq " SMALL_OBJECT " | tar -xOf - --wildcards '" SMALL_STREAM "/*'", &out);
	assert_int_equal(out.len, STREAM_BYTES);
	assert_memory_equal(out.data, expected, STREAM_BYTES);
	buf_reset(&out);
	run("tar --zstd -xOf " SMALL_OBJECT " --wildcards '" SMALL_EMPTY "/*'", &out);
	assert_int_equal(out.len, 0);
	free(expected);
}

static void tar__unpacks_files_with_attributes(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 1 << 20);
	run("mkdir out && tar --zstd -xpf " SMALL_OBJECT
	    " -C out --strip-components=2 'volumes/media/' && cd out && stat -c '%n %a %Y %h' . "
	    "a.txt hard && readlink link && cat hard",
	    &out);
	assert_string_equal(buf_text(&out), ". 750 1790000000 2\n"
					    "a.txt 640 1790000000 2\n"
					    "hard 640 1790000000 2\n"
					    "a.txt\nfirst");
}

/* By the published layout alone: the frames that the table lists are found where it says. */
static void seek_table__leads_zstd_to_every_frame(void **state)
{
	(void)state;
	size_t len;
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	const uint8_t *foot = data + len - 9;
	size_t count = (size_t)foot[0] | (size_t)foot[1] << 8;
	const uint8_t *entry = foot - 12 * count;
	size_t offset = 0, raw_total = 0;
	assert_memory_equal(foot + 4, "\x80\xB1\xEA\x92\x8F", 5);
	assert_memory_equal(entry - 8, "\x5E\x2A\x4D\x18", 4);
	for (size_t i = 0; i < count; i++, entry += 12) {
		CLEANUP(buf_done) struct buf out;
		char line[200];
		size_t stored = (size_t)entry[0] | (size_t)entry[1] << 8 | (size_t)entry[2] << 16;
		size_t raw = (size_t)entry[4] | (size_t)entry[5] << 8 | (size_t)entry[6] << 16;
		buf_init(&out, 1 << 20);
		snprintf(line, sizeof line,
			 "tail -c +%zu " SMALL_OBJECT " | head -c %zu | zstd -dcq", offset + 1,
			 stored);
		run(line, &out);
		assert_int_equal(out.len, raw);
		/* A frame ends with the checksum that its entry has; the seal has no content. */
		if (raw > 0)
			assert_memory_equal(data + offset + stored - 4, entry + 8, 4);
		offset += stored;
		raw_total += raw;
	}
	assert_ptr_equal(data + offset, foot - 12 * count - 8);
	CLEANUP(buf_done) struct buf all;
	buf_init(&all, 1 << 20);
	run("zstd -dcq " SMALL_OBJECT, &all);
	assert_int_equal(all.len, raw_total);
}

/* The seal, checked as docs/archive-format.md says it can be. */
static void seal__is_checked_by_hand(void **state)
{
	(void)state;
	size_t len;
	const uint8_t *data = memory_store_bytes(memory, SMALL_OBJECT, &len);
	CLEANUP(buf_done) struct buf out;
	char line[200], hex[65];
	size_t count = (size_t)data[len - 9] | (size_t)data[len - 8] << 8;
	size_t seal = len - 9 - 12 * count - 8 - 48;
	buf_init(&out, 1 << 20);
	snprintf(line, sizeof line, "head -c %zu " SMALL_OBJECT " | sha256sum", seal);
	run(line, &out);
	hex_encode(data + seal + 16, 32, hex);
	assert_memory_equal(out.data, hex, 64);
	assert_memory_equal(data + seal + 8, "lifeboat", 8);
}

/* A name that is not ASCII needs a word that GNU tar does not know: it says so and goes on. */
static void tar__reads_odd_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out;
	size_t len;
	struct writer *w = small_open(store, "odd.tar.zst");
	must_be_ok(writer_file(w,
			       "volumes/b\xC3\xBC"
			       "cher",
			       0600, "x", 1, &err),
		   err);
	struct archive_entry *e = small_entry("volumes/fraction", AE_IFREG);
	archive_entry_set_mtime(e, 1790000000, 5);
	small_put_entry(w, e, "y", 1);
	small_put_stream(w,
			 "postgres/b\xC3\xBC"
			 "cher/dump",
			 "abc", 3);
	small_close(w);
	const uint8_t *data = memory_store_bytes(memory, "odd.tar.zst", &len);
	temp_dir_write(&dir, "odd.tar.zst", data, len);
	buf_init(&out, 1 << 20);
	run("tar --zstd --quoting-style=literal -tf odd.tar.zst 2>said; sort -u said", &out);
	assert_string_equal(buf_text(&out), "volumes/b\xC3\xBC"
					    "cher\n"
					    "volumes/fraction\n"
					    "postgres/b\xC3\xBC"
					    "cher/dump/000000\n"
					    "manifest.json\n"
					    "tar: Ignoring unknown extended header keyword "
					    "'hdrcharset'\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zstd__tests_every_frame),
	    cmocka_unit_test(tar__lists_all_members_without_a_word),
	    cmocka_unit_test(tar__gives_back_a_stream),
	    cmocka_unit_test(tar__unpacks_files_with_attributes),
	    cmocka_unit_test(seek_table__leads_zstd_to_every_frame),
	    cmocka_unit_test(seal__is_checked_by_hand),
	    cmocka_unit_test(tar__reads_odd_names),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

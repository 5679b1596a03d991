/*
 * Hundreds of megabytes that can't be compressed go through writer and reader, and memory stays
 * where it is. Sanitizers keep memory of their own, so the figure counts without them only.
 */
#include "tests/support/small_archive.h"

#include <stdio.h>
#include "tests/support/temp_dir.h"

#define STREAM_BYTES ((uint64_t)320 << 20)
enum { BLOCK = 1 << 20, LIMIT_MIB = 105 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURED = 0 };
#else
enum { MEASURED = 1 };
#endif

/* VmHWM of this process. */
static unsigned long peak_mib(void)
{
	char line[200];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtoul(line + 6, NULL, 10);
	fclose(f);
	return kib >> 10;
}

/* Block number n, which zstd can do nothing with. */
static void fill(uint8_t *block, uint64_t n)
{
	uint64_t x = n * 0x9E3779B97F4A7C15U + 1;
	for (size_t i = 0; i < BLOCK; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(block + i, &x, 8);
	}
}

static void write_stream(struct store *s, uint64_t bytes)
{
	struct err err = ERR_INIT;
	struct sink *out, *to;
	struct writer *w;
	struct writer_totals totals;
	static uint8_t block[BLOCK];
	const struct writer_opts opts = {.level = 3, .threads = 4};
	json_t *manifest = small_manifest();
	must_be_ok(store_put(s, SMALL_OBJECT, &out, &err), err);
	must_be_ok(writer_open(out, &opts, &w, &err), err);
	must_be_ok(writer_stream(w, SMALL_STREAM, &to, &err), err);
	for (uint64_t n = 0; n < bytes / BLOCK; n++) {
		fill(block, n);
		must_be_ok(sink_write(to, block, BLOCK, &err), err);
	}
	must_be_ok(sink_close(to, &err), err);
	sink_free(to);
	must_be_ok(writer_close(w, manifest, &totals, &err), err);
	assert_true(totals.stored_bytes > bytes);
	json_decref(manifest);
	writer_free(w);
}

static void read_stream(struct store *s, uint64_t bytes)
{
	struct err err = ERR_INIT;
	struct reader *r;
	struct source *from;
	struct reader_report report;
	static uint8_t block[BLOCK], expected[BLOCK];
	size_t n;
	must_be_ok(reader_open(s, SMALL_OBJECT, &r, &err), err);
	must_be_ok(reader_stream(r, SMALL_STREAM, &from, &err), err);
	for (uint64_t i = 0; i < bytes / BLOCK; i++) {
		must_be_ok(source_read_full(from, block, BLOCK, &n, &err), err);
		assert_int_equal(n, BLOCK);
		fill(expected, i);
		assert_memory_equal(block, expected, BLOCK);
	}
	must_be_ok(source_read_full(from, block, BLOCK, &n, &err), err);
	assert_int_equal(n, 0);
	source_free(from);
	must_be_ok(reader_verify(r, NULL, NULL, &report, &err), err);
	reader_free(r);
}

static void archive__of_incompressible_data__needs_bounded_memory(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct temp_dir dir;
	struct store *s;
	char url[TEMP_DIR_BYTES + 16];
	/* Enough to fill every buffer; a sanitized build has nothing to measure. */
	uint64_t bytes = MEASURED ? STREAM_BYTES : STREAM_BYTES / 8;
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s/store", dir.path);
	must_be_ok(store_open(&(struct store_opts){.name = "local", .url = url}, &s, &err), err);
	write_stream(s, bytes);
	unsigned long after_write = peak_mib();
	read_stream(s, bytes);
	print_message("peak memory: %lu MiB after writing, %lu MiB after reading\n", after_write,
		      peak_mib());
	if (MEASURED) {
		assert_true(after_write <= LIMIT_MIB);
		assert_true(peak_mib() <= LIMIT_MIB);
	}
	store_free(s);
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(archive__of_incompressible_data__needs_bounded_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

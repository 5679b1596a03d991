/*
 * An archive from anywhere. The first byte says what the rest is: the object as it is; bytes to be
 * changed in a good archive; or bytes to be changed in a good manifest, around which everything
 * else is then made right. No crash, no hang; what verify vouches for is what was written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "storage/archive/manifest.h"
#include "storage/archive/member_name.h"
#include "storage/archive/reader.h"
#include "storage/archive/seek_table.h"
#include "storage/archive/tar_member.h"
#include "storage/archive/writer.h"
#include "tests/support/memory_store.c"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME   "a.tar.zst"
#define STREAM "db/dump"
enum { STREAM_BYTES = 100000 };

static struct memory_store *memory;
static struct store *store;
static uint8_t content[STREAM_BYTES], *good;
static size_t good_len;
static struct seek_table good_table;
static char *good_text; /* of the manifest */
static size_t good_text_len;

static void good_or_die(int rc)
{
	if (rc < 0)
		abort();
}

static void put_member(struct writer *w, const char *name, mode_t type, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_copy_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0700);
	if (type == AE_IFLNK)
		archive_entry_copy_symlink(e, "x");
	good_or_die(writer_member(w, e, NULL, err));
	archive_entry_free(e);
}

static void take_apart(void)
{
	struct err err = ERR_INIT;
	size_t len = 0;
	const uint8_t *data = memory_store_bytes(memory, NAME, &good_len);
	good = must(malloc(good_len));
	memcpy(good, data, good_len);
	good_or_die(seek_table_foot(good + good_len - 9, good_len, &len, &err));
	good_or_die(seek_table_parse(good + good_len - len, len, good_len, &good_table, &err));
	const struct seek_frame *last = &good_table.frames[good_table.count - 1];
	uint8_t *raw = must(malloc(last->raw_bytes));
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	const char *text;
	good_or_die(
	    frame_unpack(ctx, good + last->offset, last->stored_bytes, raw, last->raw_bytes, &err));
	good_or_die(manifest_find(raw, last->raw_bytes, &text, &good_text_len, &err));
	good_text = must(malloc(good_text_len));
	memcpy(good_text, text, good_text_len);
	ZSTD_freeDCtx(ctx);
	free(raw);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct err err = ERR_INIT;
	struct sink *out, *to;
	struct writer *w;
	struct writer_totals totals;
	const struct writer_opts opts = {.level = 1, .part_bytes = 64 << 10, .threads = 1};
	for (size_t i = 0; i < STREAM_BYTES; i++)
		content[i] = (uint8_t)(i % 1000 < 990 ? 'x' : i >> 9);
	memory_store_open(&memory, &store);
	good_or_die(store_put(store, NAME, &out, &err));
	good_or_die(writer_open(out, &opts, &w, &err));
	good_or_die(writer_file(w, "RESTORE.md", 0600, "by hand", 7, &err));
	good_or_die(writer_stream(w, STREAM, &to, &err));
	good_or_die(sink_write(to, content, STREAM_BYTES, &err));
	good_or_die(sink_close(to, &err));
	sink_free(to);
	put_member(w, "v/.", AE_IFDIR, &err);
	put_member(w, "v/link", AE_IFLNK, &err);
	good_or_die(writer_file(w, "v/\xFF", 0600, "odd", 3, &err));
	json_t *manifest = json_pack("{s:s, s:i, s:s, s:s}", "format", "lifeboat-archive",
				     "format_version", 1, "id", "i", "stack", "s");
	good_or_die(writer_close(w, manifest, &totals, &err));
	json_decref(manifest);
	writer_free(w);
	take_apart();
	return 0;
}

/* Three bytes of input change one byte of `out`: where, and by what. A whole number of a manifest
 * stays one more often when a digit is replaced by a digit. */
static void change(uint8_t *out, size_t len, const uint8_t *data, size_t size)
{
	for (; size >= 3; data += 3, size -= 3) {
		size_t at = ((size_t)data[0] << 8 | data[1]) % len;
		bool digit = out[at] >= '0' && out[at] <= '9';
		if (digit && data[2] < 200)
			out[at] = (uint8_t)('0' + data[2] % 10);
		else
			out[at] = data[2];
	}
}

/* Frames, the changed manifest, seal and seek table to match. */
static void put_manifest(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct buf raw, out;
	uint8_t *text = must(malloc(good_text_len));
	size_t last = good_table.count - 1, packed_len = 0;
	struct seek_table t = {.count = 0};
	static const uint8_t zeros[2048];
	char sha256[SHA256_HEX_BYTES];
	memcpy(text, good_text, good_text_len);
	change(text, good_text_len, data, size);
	buf_init(&raw, 1 << 20);
	buf_init(&out, 1 << 20);
	good_or_die(tar_member_header(MANIFEST_NAME, 0, good_text_len, &raw, &err));
	good_or_die(buf_append(&raw, text, good_text_len, &err));
	good_or_die(buf_append(&raw, zeros, tar_member_padding(good_text_len) + 1024, &err));
	good_or_die(buf_append(&out, good, good_table.frames[last].offset, &err));
	size_t cap = ZSTD_compressBound(raw.len);
	good_or_die(buf_reserve(&out, cap, &err));
	ZSTD_CCtx *ctx = frame_packer(1);
	good_or_die(frame_pack(ctx, raw.data, raw.len, out.data + out.len, cap, &packed_len, &err));
	ZSTD_freeCCtx(ctx);
	out.len += packed_len;
	for (size_t i = 0; i < last; i++) {
		const struct seek_frame *f = &good_table.frames[i];
		good_or_die(seek_table_add(&t, f->stored_bytes, f->raw_bytes, f->checksum, &err));
	}
	good_or_die(seek_table_add(&t, (uint32_t)packed_len, (uint32_t)raw.len,
				   frame_checksum(out.data, out.len), &err));
	good_or_die(sha256_of(out.data, out.len, sha256, &err));
	good_or_die(seek_table_write(&t, sha256, &out, &err));
	memory_store_set(memory, NAME, out.data, out.len);
	seek_table_done(&t);
	buf_done(&raw);
	buf_done(&out);
	free(text);
}

static int visit(void *ctx, struct archive_entry *entry, struct source *from, struct err *err)
{
	(void)ctx;
	uint8_t block[1000];
	size_t n, total = 0;
	char *name = NULL;
	good_or_die(tar_member_name(entry, &name, err));
	if (member_name_fault(name) != NULL)
		abort();
	free(name);
	do {
		if (source_read(from, block, sizeof block, &n, err) < 0)
			return -1;
		total += n;
	} while (n > 0 && total < 1 << 20);
	return 0;
}

/* All that a reader can be asked. */
static void read_all(void)
{
	struct err err = ERR_INIT;
	struct reader *r = NULL;
	struct reader_report report;
	if (reader_open(store, NAME, &r, &err) < 0) {
		if (r != NULL || err.msg[0] == '\0')
			abort();
		return;
	}
	struct source *from = NULL;
	struct sink *to = NULL;
	struct buf got;
	buf_init(&got, 4 << 20);
	good_or_die(sink_buf(&got, &to, &err));
	bool whole =
	    reader_stream(r, STREAM, &from, &err) == 0 && flow_copy(from, to, NULL, &err) == 0;
	if (whole && got.len == STREAM_BYTES && memcmp(got.data, content, STREAM_BYTES) != 0)
		abort();
	source_free(from);
	sink_free(to);
	buf_done(&got);
	err_clear(&err);
	int members = reader_members(r, "", visit, NULL, &err);
	if (reader_verify(r, NULL, NULL, &report, &err) == 0 && members < 0)
		abort();
	reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] % 3 == 0) {
		memory_store_set(memory, NAME, data + 1, size - 1);
	} else if (data[0] % 3 == 1) {
		uint8_t *bad = must(malloc(good_len));
		memcpy(bad, good, good_len);
		change(bad, good_len, data + 1, size - 1);
		memory_store_set(memory, NAME, bad, good_len);
		free(bad);
	} else {
		put_manifest(data + 1, size - 1);
	}
	read_all();
	return 0;
}

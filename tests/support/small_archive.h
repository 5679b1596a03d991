/*
 * A small archive for tests of the writer, the reader and what stands between: a stream in several
 * parts, an empty stream, and members of every type.
 *
 * Functions of a header, because only programs that link the storage room can use them.
 */
#ifndef LIFEBOAT_TESTS_SMALL_ARCHIVE_H
#define LIFEBOAT_TESTS_SMALL_ARCHIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "storage/archive/reader.h"
#include "storage/archive/writer.h"
#include "tests/support/memory_store.h"

#define SMALL_OBJECT "hdms-20261123T020000Z-3f9c.tar.zst"
#define SMALL_STREAM "postgres/hdms_db/dump"
#define SMALL_EMPTY  "postgres/empty/dump"
enum { SMALL_PART_BYTES = 64 << 10 };

/* What must go well in a test, or the test ends with the error's text. */
#define must_be_ok(rc, err) small_must((rc), &(err), __FILE__, __LINE__)
static inline void small_must(int rc, const struct err *err, const char *file, int line)
{
	if (rc == 0)
		return;
	print_error("%s:%d: %s\n", file, line, err->msg);
	_fail(file, line);
}

/* Bytes that compress a little, and tell their place. */
static inline void small_fill(uint8_t *p, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761U + 1;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525U + 1013904223U;
		p[i] = (uint8_t)(i % 64 == 0 ? x >> 24 : 'a' + (x >> 28));
	}
}

static inline json_t *small_manifest(void)
{
	return json_pack("{s:s, s:i, s:s, s:s}", "format", "lifeboat-archive", "format_version", 1,
			 "id", "20261123T020000Z-3f9c", "stack", "hdms");
}

static inline void small_put_stream(struct writer *w, const char *name, const void *data,
				    size_t len)
{
	struct err err = ERR_INIT;
	struct sink *to;
	must_be_ok(writer_stream(w, name, &to, &err), err);
	must_be_ok(sink_write(to, data, len, &err), err);
	must_be_ok(sink_close(to, &err), err);
	sink_free(to);
}

/* An entry without content: a folder, a link. */
static inline struct archive_entry *small_entry(const char *name, unsigned type)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_copy_pathname(e, name);
	archive_entry_set_filetype(e, (__LA_MODE_T)type);
	archive_entry_set_perm(e, type == AE_IFDIR ? 0750 : 0640);
	archive_entry_set_uid(e, 999);
	archive_entry_set_gid(e, 998);
	archive_entry_set_mtime(e, 1790000000, 0);
	return e;
}

static inline void small_put_entry(struct writer *w, struct archive_entry *e, const void *data,
				   size_t len)
{
	struct err err = ERR_INIT;
	struct source *content = NULL;
	if (archive_entry_filetype(e) == AE_IFREG && archive_entry_hardlink(e) == NULL) {
		archive_entry_set_size(e, (la_int64_t)len);
		must_be_ok(source_memory(data, len, &content, &err), err);
	}
	must_be_ok(writer_member(w, e, content, &err), err);
	archive_entry_free(e);
}

static inline struct writer *small_open(struct store *s, const char *object)
{
	struct err err = ERR_INIT;
	struct sink *out;
	struct writer *w;
	const struct writer_opts opts = {.level = 3, .part_bytes = SMALL_PART_BYTES, .threads = 2};
	must_be_ok(store_put(s, object, &out, &err), err);
	must_be_ok(writer_open(out, &opts, &w, &err), err);
	return w;
}

/* Closes and frees. */
static inline struct writer_totals small_close(struct writer *w)
{
	struct err err = ERR_INIT;
	struct writer_totals totals;
	json_t *manifest = small_manifest();
	must_be_ok(writer_close(w, manifest, &totals, &err), err);
	json_decref(manifest);
	writer_free(w);
	return totals;
}

/* RESTORE.md, a stream of `stream_bytes`, an empty one, a folder of files and links. */
static inline struct writer_totals small_write(struct store *s, size_t stream_bytes)
{
	struct err err = ERR_INIT;
	uint8_t *data = malloc(stream_bytes + 1);
	small_fill(data, stream_bytes, 1);
	struct writer *w = small_open(s, SMALL_OBJECT);
	must_be_ok(writer_file(w, "RESTORE.md", 0644, "by hand\n", 8, &err), err);
	small_put_stream(w, SMALL_STREAM, data, stream_bytes);
	small_put_stream(w, SMALL_EMPTY, "", 0);
	small_put_entry(w, small_entry("volumes/media/.", AE_IFDIR), NULL, 0);
	small_put_entry(w, small_entry("volumes/media/a.txt", AE_IFREG), "first", 5);
	small_put_entry(w, small_entry("volumes/media/empty", AE_IFREG), "", 0);
	struct archive_entry *e = small_entry("volumes/media/link", AE_IFLNK);
	archive_entry_copy_symlink(e, "a.txt");
	small_put_entry(w, e, NULL, 0);
	e = small_entry("volumes/media/hard", AE_IFREG);
	archive_entry_copy_hardlink(e, "volumes/media/a.txt");
	small_put_entry(w, e, NULL, 0);
	free(data);
	return small_close(w);
}

/* All of a stream, to its vouched end. */
static inline int small_read_stream(struct reader *r, const char *name, struct buf *out,
				    struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (reader_stream(r, name, &from, err) < 0 || sink_buf(out, &to, err) < 0)
		return -1;
	return flow_copy(from, to, NULL, err);
}

#endif

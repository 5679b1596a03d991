/*
 * Tar members by libarchive: the header, the data and the padding of one member at a time.
 *
 * libarchive is never allowed to end an archive by itself (it would turn half of one into one that
 * reads as whole): each member has a writer of its own, which is cut off before it is freed.
 * Headers are ustar where that is enough; a name that is not ASCII, a long one, a time with a
 * fraction or extended attributes get a pax header.
 */
#ifndef LIFEBOAT_ARCHIVE_TAR_MEMBER_H
#define LIFEBOAT_ARCHIVE_TAR_MEMBER_H

#include <archive.h>
#include <archive_entry.h>
#include "base/buf.h"
#include "base/digest.h"
#include "base/flow/source.h"

enum { TAR_BLOCK_BYTES = 512, TAR_END_BYTES = 1024 };

/* Zero bytes that follow `bytes` of data, up to a whole block. */
size_t tar_member_padding(uint64_t bytes);

/* Appends the header alone of a regular file, root's, mode 0600. */
int tar_member_header(const char *name, int64_t mtime_s, uint64_t bytes, struct buf *out,
		      struct err *err) MUST_USE;

typedef int tar_member_emit(void *ctx, const void *data, size_t len, struct err *err);
/* Gives header, content and padding to `emit`. Content (NULL: none) must be as long as the entry
 * says; every byte of it goes into `digest` (NULL: none). */
int tar_member_write(struct archive_entry *entry, struct source *content, struct sha256 *digest,
		     tar_member_emit *emit, void *ctx, struct err *err) MUST_USE;

/* 'f' file, 'd' folder, 'l' symbolic link, 'h' hard link, 'c' and 'b' devices, 'p' named pipe; 0
 * for anything else. */
char tar_member_type(struct archive_entry *entry);

/* A reader for tar from `read`, and nothing but tar. archive_read_free() it. */
int tar_member_reader(archive_read_callback *read, void *ctx, struct archive **ret, struct err *err)
    MUST_USE;
/* The next member; *ret_entry is NULL at the end. */
int tar_member_next(struct archive *a, struct archive_entry **ret_entry, struct err *err) MUST_USE;
/* Its name without a folder's trailing slash; free() it. */
int tar_member_name(struct archive_entry *entry, char **ret, struct err *err) MUST_USE;

/* What `raw` begins with must be a regular file of that name. Borrows its content. */
struct tar_found {
	const uint8_t *data;
	size_t head_bytes, bytes;
};
int tar_member_find(const uint8_t *raw, size_t len, const char *name, struct tar_found *ret,
		    struct err *err) MUST_USE;

#endif

/*
 * Trees: files with their attributes, libarchive's entry as the currency. Readers call a tree_fn,
 * writers fill a fresh volume.
 */
#ifndef LIFEBOAT_STACK_ENGINE_TREE_WRITER_H
#define LIFEBOAT_STACK_ENGINE_TREE_WRITER_H

#include <archive_entry.h>
#include "base/flow/source.h"

/* Called per file: first for "." (the root folder itself, for its owner and mode), then folders
 * before what is in them, names relative to the tree's root, without a leading slash; `content` is
 * NULL for what has none. A sparse file's holes read as zeros and are recorded in the entry. */
typedef int tree_fn(void *ctx, struct archive_entry *entry, struct source *content,
		    struct err *err);

struct tree_writer; /* fills a fresh volume */
/* Names that escape the volume ("..", a leading "/", through a symbolic link) are ERR_CORRUPT.
 * Owner, mode, times, links, xattrs and holes are put back (owner: as root only). Borrows both. */
int tree_writer_add(struct tree_writer *t, struct archive_entry *entry, struct source *content,
		    struct err *err) MUST_USE;
/* A regular file from memory, owned by the volume's user. */
int tree_writer_file(struct tree_writer *t, const char *name, unsigned mode, const void *data,
		     size_t len, struct err *err) MUST_USE;
/* A regular file of unknown length from a source (not taken), owned by the volume's user. */
int tree_writer_stream(struct tree_writer *t, const char *name, unsigned mode, struct source *from,
		       struct err *err) MUST_USE;
/* Everything is on the disk, fsynced. */
int tree_writer_close(struct tree_writer *t, struct err *err) MUST_USE;
void tree_writer_free(struct tree_writer *t);
DEFINE_CLEANUP(struct tree_writer, tree_writer_free)

#endif

/*
 * Trees of files on this machine's disk, with libarchive's entry as the currency (see tree_fn and
 * struct tree_writer in engine.h).
 *
 *  1. tree_name_check        is this name one that stays inside a tree?
 *  2. tree_disk_read         walks a folder; tree_disk_file opens one file
 *  3. tree_disk_writer       fills a folder
 */
#ifndef LIFEBOAT_STACK_ENGINE_TREE_H
#define LIFEBOAT_STACK_ENGINE_TREE_H

#include "base/child.h"
#include "stack/engine/engine.h"

/* 0 for "a", "a/b", "./a", "a/", "."; ERR_CORRUPT for what is absolute, empty, too long, or has a
 * ".." in it. NULL is empty. */
int tree_name_check(const char *name, struct err *err) MUST_USE;

/* Calls fn for "." first, then for everything below. Stays on the folder's file system (a mounted
 * folder comes as an empty one), follows no symbolic links, leaves sockets out; the second and
 * further names of one file come as hard links to the first. A file that is no longer as long as it
 * was, or gone, is ERR_FAILED. The process's working directory stays where it is. */
int tree_disk_read(const char *root, tree_fn *fn, void *ctx, struct err *err) MUST_USE;

/* One regular file; symbolic links are followed. *ret_entry may be NULL. ERR_ABSENT, ERR_DENIED. */
int tree_disk_file(const char *path, struct source **ret, struct archive_entry **ret_entry,
		   struct err *err) MUST_USE;

/* Files of tree_writer_file and _stream belong to `owner` (NULL: us). `root` must exist. */
int tree_disk_writer(const char *root, const struct identity *owner, struct tree_writer **ret,
		     struct err *err) MUST_USE;

/* Drops extended attributes that another machine would not take; `with_rights` keeps capabilities,
 * which only root can set. ACLs are not among them. */
int tree_keep_portable(struct archive_entry *e, bool with_rights, struct err *err) MUST_USE;

#endif

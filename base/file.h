/*
 * Files that are either whole or absent.
 *
 *  1. file_new_open("dir/name", 0600, …)      writes to "dir/name.part", exclusively locked (flock)
 *  2. file_new_write(…)                        as often as wanted
 *  3. file_new_close(…)                        fsync, rename, fsync of the folder: it is there
 *     file_new_free(…) without close           the partial file is removed: it never was
 *
 * A writer that is killed leaves "name.part" without a lock: that is how leftovers are told from a
 * file that somebody is still writing (file_is_leftover).
 *
 * Files, folders and locks that root makes belong to the owner of the folder that they are made in:
 * a backup taken by hand must not lock out the agent, which runs as a user of its own.
 */
#ifndef LIFEBOAT_BASE_FILE_H
#define LIFEBOAT_BASE_FILE_H

#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"

#define FILE_PART_SUFFIX ".part"

struct file_new;
int file_new_open(const char *path, mode_t mode, struct file_new **ret, struct err *err) MUST_USE;
int file_new_write(struct file_new *f, const void *data, size_t len, struct err *err) MUST_USE;
int file_new_close(struct file_new *f, struct err *err) MUST_USE; /* f is still to be freed */
/* The same where no file of that name is there; else ERR_EXISTS, and that one stays. */
int file_new_close_fresh(struct file_new *f, struct err *err) MUST_USE;
void file_new_free(struct file_new *f);
DEFINE_CLEANUP(struct file_new, file_new_free)

/* Is "….part" a leftover: nobody holds its lock? False also when it is gone. */
bool file_is_leftover(const char *part_path);
/* Removes it if it is one, while holding its lock, so that no writer loses a file it has begun.
 * *ret_removed says whether it was. */
int file_remove_leftover(const char *part_path, bool *ret_removed, struct err *err) MUST_USE;

/* One durable step for small files. */
int file_write_all(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
    MUST_USE;
/* Appends the whole file to `out`, or nothing; ERR_ABSENT, ERR_LIMIT beyond out's maximum. */
int file_read_all(const char *path, struct buf *out, struct err *err) MUST_USE;

/* write(2) until all is out, on a blocking descriptor. `name` is for the message. */
int file_write_fd(int fd, const void *data, size_t len, const char *name, struct err *err) MUST_USE;

/* mkdir -p; `mode` for every folder that it makes. */
int dir_make(const char *path, mode_t mode, struct err *err) MUST_USE;
/* fsync of a folder, so that names in it survive a power cut. */
int dir_sync(const char *path, struct err *err) MUST_USE;
/* rm -r, never through a symbolic link and never across to another file system. Absent is fine. */
int dir_remove(const char *path, struct err *err) MUST_USE;
/* Names in a folder except . and .., sorted. ERR_ABSENT. */
int dir_list(const char *path, struct strlist *ret, struct err *err) MUST_USE;
/* Bytes that an ordinary user may still write below `path`. */
int dir_free_bytes(const char *path, uint64_t *ret, struct err *err) MUST_USE;

bool file_exists(const char *path);

/* An advisory lock on a file that is made if needed and stays. ERR_LOCKED when somebody has it; the
 * message names the holder's pid and start time as it wrote them. *ret_fd: close it to unlock; a
 * process that dies unlocks. */
int file_lock(const char *path, int *ret_fd, struct err *err) MUST_USE;

/* close(2) for CLEANUP; -1 is fine. */
void fd_closep(int *fd);

#endif

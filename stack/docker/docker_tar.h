/*
 * The tar stream that the Docker Engine makes of a path: POSIX pax interchange format (IEEE Std
 * 1003.1, pax), of which Go's archive/tar writes a part. Names are taken byte for byte, which
 * libarchive does only where the archive says so.
 *
 *  1. docker_tar_open            over the answer of GET archive
 *  2. docker_tar_next            per entry; what was not read of the one before is passed over
 *     docker_tar_read            its content
 *  3. docker_tar_free
 *
 * The end is vouched for: two blocks of zeros came, and then the stream's own end. Docker answers
 * 200 before it reads the files, and when one becomes shorter it can only break off.
 */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_TAR_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_TAR_H

#include <archive_entry.h>
#include "base/buf.h"
#include "base/flow/source.h"

enum { DOCKER_TAR_BLOCK = 512, DOCKER_TAR_PAX_MAX = 4 << 20 };

struct docker_tar;
/* Takes `from`, also on failure. `what` is for messages. */
int docker_tar_open(struct source *from, const char *what, struct docker_tar **ret, struct err *err)
    MUST_USE;
/* *ret_entry is new (archive_entry_free), or NULL at the vouched end. */
int docker_tar_next(struct docker_tar *t, struct archive_entry **ret_entry, struct err *err)
    MUST_USE;
/* Content of the entry that next has given. *ret_n is 0 when all of its size has come. */
int docker_tar_read(struct docker_tar *t, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
    MUST_USE;
void docker_tar_free(struct docker_tar *t);
DEFINE_CLEANUP(struct docker_tar, docker_tar_free)

/* ---- heads, for who follows a stream without taking it apart ---- */

struct docker_tar_head {
	char type;     /* '0' … '6', 'x', 'g', 'L', 'K' */
	uint64_t size; /* of the content that follows */
};
/* One block that is not all zeros. Checks its sum. ERR_CORRUPT. */
int docker_tar_head(const uint8_t block[DOCKER_TAR_BLOCK], struct docker_tar_head *ret,
		    struct err *err) MUST_USE;
bool docker_tar_is_zero(const uint8_t block[DOCKER_TAR_BLOCK]);
/* Has an entry of this type content? Links, folders and devices have none, whatever size says. */
bool docker_tar_has_content(char type);

struct docker_tar_record {
	const char *key; /* NUL-terminated in place */
	const uint8_t *value;
	size_t len;
};
/* The next record of a pax head's content, which is changed: "=" becomes NUL. *at moves on;
 * ret->key is NULL at the end. */
int docker_tar_pax_next(uint8_t *data, size_t len, size_t *at, struct docker_tar_record *ret,
			struct err *err) MUST_USE;
/* A whole decimal number. ERR_CORRUPT. */
int docker_tar_pax_number(const struct docker_tar_record *r, uint64_t *ret, struct err *err)
    MUST_USE;

#endif

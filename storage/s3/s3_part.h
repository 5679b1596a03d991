/*
 * How an upload is cut into parts. S3 takes at most 10,000 parts of 5 MiB to 5 GiB each and 5 TiB
 * in all ("Amazon S3 multipart upload limits"), and how long an archive will be is not known when
 * it begins: parts are 16 MiB at first, and from 24 GiB on the 1550th of what was sent.
 */
#ifndef LIFEBOAT_STORAGE_S3_S3_PART_H
#define LIFEBOAT_STORAGE_S3_S3_PART_H

#include <stddef.h>
#include <stdint.h>

enum { S3_PART_BYTES = 16 << 20, S3_PARTS_MAX = 10000, S3_BUFFERS_BYTES = 64 << 20 };

/* The size of the next part, once `sent` bytes are in others. Whole MiB. */
size_t s3_part_bytes(uint64_t sent);
/* How many buffers of that size there may be, with the one that is being filled: as many as
 * S3_BUFFERS_BYTES hold, two while that is not more than 512 MiB, else one. */
unsigned s3_part_buffers(size_t part_bytes);

#endif

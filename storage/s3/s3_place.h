/* Where a bucket is: its url, endpoint and addressing, taken apart. */
#ifndef LIFEBOAT_STORAGE_S3_S3_PLACE_H
#define LIFEBOAT_STORAGE_S3_S3_PLACE_H

#include "storage/s3/s3.h"

/* Fills base, host, root, bucket, prefix and region. *ret_where: for messages. ERR_CONFIG. */
int s3_place(struct s3 *s, const struct store_opts *o, char **ret_where, struct err *err) MUST_USE;

#endif

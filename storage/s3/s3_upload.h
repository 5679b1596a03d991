/*
 * An upload in parts ("Multipart upload"), several of them on their way at a time.
 *
 *  1. s3_upload_begin                    asks for it
 *  2. s3_upload_part                     hands over a full buffer, gets an empty one; waits while
 *                                        as many are on their way as memory is there for
 *  3. s3_upload_commit                   all parts have come: the object is there
 *  4. s3_upload_free                     before that: stops what is on its way and aborts
 *
 * A part is sent with its SHA-256 and tried again by itself. The first that fails for good stops
 * the others.
 */
#ifndef LIFEBOAT_STORAGE_S3_S3_UPLOAD_H
#define LIFEBOAT_STORAGE_S3_S3_UPLOAD_H

#include "storage/s3/s3.h"

struct s3_upload;
int s3_upload_begin(struct s3 *s, const char *name, const char *token, struct s3_upload **ret,
		    struct err *err) MUST_USE;
int s3_upload_part(struct s3_upload *u, struct buf *part, struct err *err) MUST_USE;
/* `fresh`: not over an object that is there. */
int s3_upload_commit(struct s3_upload *u, bool fresh, struct err *err) MUST_USE;
void s3_upload_free(struct s3_upload *u);

#endif

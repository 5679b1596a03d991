/*
 * Signature Version 4 of AWS ("Authenticating Requests: Using the Authorization Header"): a pure
 * function of a request, a time and a key.
 *
 * libcurl has a signer too; the one in Debian 12 signs queries and bodies in ways that S3 servers
 * refuse (docs/store-s3.md), so this one is our own.
 */
#ifndef LIFEBOAT_STORAGE_S3_S3_SIGN_H
#define LIFEBOAT_STORAGE_S3_S3_SIGN_H

#include <stdint.h>
#include "base/err.h"

struct s3_sign {
	const char *method;
	/* As they are sent: percent-encoded, the query sorted by name and each of its names with
	 * an "=". "" where there is none. */
	const char *path, *query;
	/* "Name: value", NULL-terminated. All of them are signed, so Host must be there. Each name
	 * once. */
	const char *const *headers;
	const char *payload_sha256; /* hexadecimal */
	const char *region, *service;
	const char *access_key, *secret_key;
	int64_t time_ms; /* wall clock; whole seconds count */
};

enum { S3_SIGN_HEADERS_MAX = 32 };

/* The value of the header Authorization; free() it. */
int s3_sign(const struct s3_sign *q, char **ret, struct err *err) MUST_USE;

/* Percent-encodes all but unreserved characters and "/". Appends. */
struct buf;
int s3_sign_path(struct buf *b, const char *text, struct err *err) MUST_USE;

#endif

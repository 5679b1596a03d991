/*
 * Replaces ${NAME} and its relatives in a text. Nothing is ever run.
 *
 *  ${NAME}               the value; what is not defined is an error (strict) or empty
 *  ${NAME:-text}         text when not defined or empty;  ${NAME-text}: when not defined
 *  ${NAME:+text}         text when defined and not empty; ${NAME+text}: when defined
 *  ${NAME:?text}         an error that says text when not defined or empty; ${NAME?text}
 *  $$                    a dollar
 *  $NAME                 as ${NAME}; an error when strict, as is any other lone dollar
 *
 * `text` may hold further ${…}. Source: Compose specification, "Interpolation".
 */
#ifndef LIFEBOAT_BASE_EXPAND_H
#define LIFEBOAT_BASE_EXPAND_H

#include <stddef.h>
#include "base/buf.h"

enum { EXPAND_MAX_BYTES = 1 << 16 };

struct expand_opts {
	/* The value of a name, NULL when it is not defined; borrowed until the next call. */
	const char *(*lookup)(void *ctx, const char *name);
	void *ctx;
	bool strict;
	bool url; /* values inside a URL's userinfo are percent-encoded: see expand_userinfo */
};

/* ERR_CONFIG; messages name the variable, never a value. free() the result, or secret_wipe it. */
int expand(const char *text, const struct expand_opts *opts, char **ret, struct err *err) MUST_USE;

/* Where "user:password" stands in a URL that still has its ${…}: [*ret_from, *ret_to). False when
 * it has none. A '/', '@' or '#' inside ${…} does not end it. */
bool expand_userinfo(const char *url, size_t *ret_from, size_t *ret_to);

/* Appends `value` with everything but unreserved characters (RFC 3986, section 2.3) as %XX. */
int expand_percent_encode(const char *value, struct buf *out, struct err *err) MUST_USE;

#endif

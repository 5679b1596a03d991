/*
 * Secrets: text that is zeroed when it goes, and never printed.
 *
 * There is no formatting helper on purpose: the one way out is secret_text, which is easy to find
 * in review. A secret reaches children through the environment or a 0600 file, never through argv.
 */
#ifndef LIFEBOAT_BASE_SECRET_H
#define LIFEBOAT_BASE_SECRET_H

#include "base/err.h"

struct secret {
	char *text; /* NULL: not set */
};

int secret_set(struct secret *s, const char *text, struct err *err) MUST_USE;
/* "" when not set. Valid until the secret changes. */
const char *secret_text(const struct secret *s);
bool secret_is_set(const struct secret *s);
/* Zeroes and frees. */
void secret_done(struct secret *s);
/* Zeroes and frees a heap string that held one; NULL is fine. */
void secret_wipe(char *text);

struct strlist;
/* Zeroes and frees a list of which items may hold one. For CLEANUP. */
void secret_wipe_list(struct strlist *l);

#endif

/*
 * A [store LABEL] section: what belongs together in it, and the way from there to an open store.
 *
 *  1. config_load calls config_store_complete once all keys are read
 *  2. config_store_open is how every command opens a store
 */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_STORE_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_STORE_H

#include "agent/config/config.h"
#include "storage/store/store.h"

/* Has its url one of these schemes, separated by spaces? */
bool config_store_uses(const struct config_store *s, const char *schemes);

/* Checks keys against each other, and gives an s3:// store without keys those of the environment:
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and its region AWS_REGION.
 * `lookup` gives the value of a variable or NULL. */
int config_store_complete(struct config_store *s, const char *(*lookup)(void *ctx, const char *),
			  void *ctx, struct err *err) MUST_USE;

/* Borrows from `s`. */
struct store_opts config_store_opts(const struct config_store *s);
int config_store_open(const struct config_store *s, struct store **ret, struct err *err) MUST_USE;

#endif

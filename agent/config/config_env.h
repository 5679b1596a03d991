/* The environment's say in the configuration: LIFEBOAT_<SECTION>_<KEY> and …_FILE. */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_ENV_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_ENV_H

#include "base/buf.h"

/* "LIFEBOAT_STORE_LOCAL_URL": upper case, everything but letters and digits as '_'. `label` may be
 * NULL. free() it. */
int config_env_name(const char *section, const char *label, const char *key, char **ret,
		    struct err *err) MUST_USE;

/* The value of `name`, or what stands in the file that `name`_FILE names, without its last newline;
 * *ret stays NULL when neither is set. Both is ERR_CONFIG. secret_wipe it. */
int config_env_value(const char *name, char **ret, struct err *err) MUST_USE;

/* No settings, but what the commands of hooks and notifiers find in their environment.
 * NULL-terminated. */
extern const char *const config_env_hook[], *const config_env_notify[];

/* ERR_CONFIG for a LIFEBOAT_ variable that is neither in `known` nor, with _FILE taken off, with
 * the nearest one. */
int config_env_check(const struct strlist *known, struct err *err) MUST_USE;

#endif

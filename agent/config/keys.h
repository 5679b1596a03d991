/* The keys of [archive]: for whom archives are encrypted, and what opens them. */
#ifndef LIFEBOAT_AGENT_CONFIG_KEYS_H
#define LIFEBOAT_AGENT_CONFIG_KEYS_H

#include "agent/config/config.h"
#include "base/flow/age.h"

/* None where none is configured. ERR_CONFIG names the key, or the file and its line. */
int keys_recipients(const struct config *c, struct age_recipients *ret, struct err *err) MUST_USE;
int keys_identities(const struct config *c, struct age_identities *ret, struct err *err) MUST_USE;
/* Does one of the identities open what is encrypted to these recipients? By trying. ERR_DENIED. */
int keys_try(const struct age_recipients *r, const struct age_identities *i, struct err *err)
    MUST_USE;

#endif

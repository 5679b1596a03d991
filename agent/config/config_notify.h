/* What the table of keys can't say of [notify NAME]: kinds that follow from the url, words of `on`,
 * and keys that belong together. */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_NOTIFY_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_NOTIFY_H

#include <stdint.h>
#include "base/secret.h"

struct config_notify { /* [notify LABEL] */
	char *label;
	char *kind;        /* as written, or as the url tells; never NULL once it is loaded */
	struct secret url; /* who has it can write there */
	char *command;
	char *on;
	unsigned events; /* what `on` says: bits 1 << enum alarm_event (alarm_event.h) */
	char *template;  /* JSON with {placeholders}; NULL: the kind's own body */
	char *after;     /* of pings: "proof" or "backup" */
	char *from, *to; /* of mails, as all that follows */
	char *user;
	struct secret password;
	char *tls; /* "required" or "off" */
	char *ca_file;
	int64_t remind_ms; /* 0: never */
	int64_t unproven_after_ms;
	int64_t timeout_ms;
	unsigned retries;
};

/* "slack" for https://hooks.slack.com/… and the like; NULL where a url tells nothing. */
const char *config_notify_kind(const char *url);

/* Sets `kind` and `events`. ERR_CONFIG without the place, and without the url. */
int config_notify_complete(struct config_notify *n, struct err *err) MUST_USE;

#endif

/*
 * A notice: what is told, as one JSON object that a webhook gets as it is, and the bodies that
 * others want in its place.
 *
 *   event      one of enum alarm_event, or "test"
 *   stack
 *   job        or null: it is about agent.conf
 *   outcome    of the run, or null
 *   backup     its id, or null
 *   title      one line: "hdms: backup failed"
 *   message    what is known, in sentences and lines
 *   time       when it was made
 *   since      when the state began, or null
 *   reminder   true: it was told before
 */
#ifndef LIFEBOAT_AGENT_NOTICE_H
#define LIFEBOAT_AGENT_NOTICE_H

#include "agent/daemon/alarm.h"

struct notice_opts {
	enum alarm_event event;
	enum job_kind job;
	const char *stack;
	const json_t *facts; /* of the run; NULL */
	int64_t since_ms;    /* 0: not known */
	int64_t now_ms;
	bool reminder;
};
/* A new reference; NULL without memory. */
json_t *notice_new(const struct notice_opts *opts);
/* That of `lifeboat notify --test`. */
json_t *notice_test(const char *stack, int64_t now_ms);

/* The body for kinds that take JSON: "webhook", "slack", "discord", "teams". free() it. */
int notice_body(const json_t *notice, const char *kind, char **ret, struct err *err) MUST_USE;
/* `text` with each {placeholder} replaced by what the notice says, as notice_calm gives it and
 * escaped for a JSON string; other braces stay. free() it. */
int notice_fill(const json_t *notice, const char *kind, const char *text, char **ret,
		struct err *err) MUST_USE;
/* `text` for a chat, where it calls nobody: of "slack" (and Mattermost, Rocket.Chat) & < > are
 * entities, and there and in "discord" no @ begins a name. Other kinds: as it is. free() it. */
int notice_calm(const char *kind, const char *text, char **ret, struct err *err) MUST_USE;

#endif

/* Sends one notice through one notifier, once. */
#ifndef LIFEBOAT_AGENT_NOTIFY_SEND_H
#define LIFEBOAT_AGENT_NOTIFY_SEND_H

#include "base/json.h"

struct config_notify;

/* `retryable` in the error says whether it is worth another try, *ret_wait_ms how long the receiver
 * asks to wait before it (0: it does not say; set also on failure). All of it takes no longer than
 * the notifier's timeout. Messages never have the url. */
int notify_send(const struct config_notify *n, const json_t *notice, int64_t *ret_wait_ms,
		struct err *err) MUST_USE;

/* Where a ping goes: "" for success, "/start", "/fail" behind the url's path. free() it as a
 * secret. */
int notify_ping_url(const char *url, const char *path, char **ret, struct err *err) MUST_USE;

#endif

/*
 * One mail by SMTP (RFC 5321) with libcurl: smtps://host:port with TLS from the start, smtp://
 * with STARTTLS.
 *
 * Errors: ERR_UNREACHABLE and ERR_TIMEOUT, and refusals for the moment (4yz), are retryable;
 * ERR_DENIED for a wrong password or certificate. Of several recipients those that are refused keep
 * it from nobody else; that is ERR_FAILED nevertheless, and not retryable.
 */
#ifndef LIFEBOAT_FLOW_MAIL_H
#define LIFEBOAT_FLOW_MAIL_H

#include <stdint.h>
#include "base/err.h"

struct mail {
	const char *server; /* smtp://host:port or smtps://host:port */
	bool clear;         /* without TLS by smtp:// */
	const char *user;   /* NULL: no login */
	const char *password;
	const char *ca_file; /* NULL: the system's */
	const char *from;
	const char *to;      /* addresses, separated by commas */
	const char *subject; /* one line */
	const char *text;    /* UTF-8 */
	int64_t timeout_ms;  /* of the whole */
};

int mail_send(const struct mail *m, struct err *err) MUST_USE;

/* "Name <a@b>" or "a@b" as the envelope wants it: "<a@b>". free() it. ERR_CONFIG for what is no
 * address, or would be more than one line. */
int mail_address(const char *text, char **ret, struct err *err) MUST_USE;

/* "Subject: text", or of addresses "From: Name <a@b>", where what is not ASCII is encoded (RFC
 * 2047). free() it. */
int mail_header(const char *name, const char *text, bool addresses, char **ret, struct err *err)
    MUST_USE;

#endif

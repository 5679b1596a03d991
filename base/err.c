#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Ends a text that was cut in an ellipsis, on a character boundary. */
static void end_in_ellipsis(char *out, size_t out_bytes)
{
	size_t cut = out_bytes - sizeof "…";
	while (cut > 0 && ((unsigned char)out[cut] & 0xC0U) == 0x80U)
		cut--;
	memcpy(out + cut, "…", sizeof "…");
}

/* Formats into a bounded field. */
PRINTF_LIKE(3, 0)
static void format_cut(char *out, size_t out_bytes, const char *fmt, va_list args)
{
	int needed = vsnprintf(out, out_bytes, fmt, args);
	if (needed < 0)
		out[0] = '\0';
	else if ((size_t)needed >= out_bytes)
		end_in_ellipsis(out, out_bytes);
}

void err_set_message(struct err *err, enum err_code code, const char *fmt, ...)
{
	/* The message may be built from the old one, so it is formatted aside first. */
	char text[ERR_MSG_BYTES];
	va_list args;
	va_start(args, fmt);
	format_cut(text, sizeof text, fmt, args);
	va_end(args);
	err_clear(err);
	err->code = code;
	memcpy(err->msg, text, sizeof text);
}

void err_set_sys(struct err *err, enum err_code code, int sys_errno, const char *fmt, ...)
{
	char text[ERR_MSG_BYTES];
	va_list args;
	va_start(args, fmt);
	format_cut(text, sizeof text, fmt, args);
	va_end(args);
	if (sys_errno == ENOSPC || sys_errno == EDQUOT)
		code = ERR_NOSPACE;
	else if (sys_errno == ENOMEM)
		code = ERR_NOMEM;
	err_set_message(err, code, "%s: %s", text, strerror(sys_errno));
	err->sys_errno = sys_errno;
}

void err_add_context(struct err *err, const char *fmt, ...)
{
	char context[ERR_MSG_BYTES / 2], old[ERR_MSG_BYTES];
	va_list args;
	va_start(args, fmt);
	format_cut(context, sizeof context, fmt, args);
	va_end(args);
	memcpy(old, err->msg, sizeof old);
	int needed = snprintf(err->msg, sizeof err->msg, "%s: %s", context, old);
	if (needed >= (int)sizeof err->msg)
		end_in_ellipsis(err->msg, sizeof err->msg);
}

void err_set_hint(struct err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	format_cut(err->hint, sizeof err->hint, fmt, args);
	va_end(args);
}

void err_set_nomem(struct err *err, const char *what)
{
	err_set_message(err, ERR_NOMEM, "out of memory for %s", what);
}

void err_clear(struct err *err)
{
	err->code = ERR_NONE;
	err->sys_errno = 0;
	err->retryable = false;
	err->msg[0] = '\0';
	err->hint[0] = '\0';
}

static const struct {
	const char *name;
	int exit_status;
} codes[ERR_CODES] = {
    [ERR_NONE] = {"none", 0},        [ERR_FAILED] = {"failed", 1},
    [ERR_CORRUPT] = {"corrupt", 1},  [ERR_ABSENT] = {"absent", 1},
    [ERR_EXISTS] = {"exists", 1},    [ERR_IO] = {"io", 1},
    [ERR_NOSPACE] = {"no-space", 1}, [ERR_LIMIT] = {"limit", 1},
    [ERR_CLOSED] = {"closed", 1},    [ERR_DENIED] = {"denied", 1},
    [ERR_TIMEOUT] = {"timeout", 1},  [ERR_CANCELLED] = {"cancelled", 1},
    [ERR_NOMEM] = {"no-memory", 1},  [ERR_UNVERIFIED] = {"could-not-verify", 2},
    [ERR_USAGE] = {"usage", 64},     [ERR_UNREACHABLE] = {"unreachable", 69},
    [ERR_LOCKED] = {"locked", 75},   [ERR_CONFIG] = {"configuration", 78},
};

const char *err_code_name(enum err_code code)
{
	return (unsigned)code < ERR_CODES ? codes[code].name : "unknown";
}

int err_exit_status(enum err_code code)
{
	return (unsigned)code < ERR_CODES ? codes[code].exit_status : 1;
}

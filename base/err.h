/*
 * Errors: a code for the program, a sentence for the person.
 *
 *  1. A function that can fail takes `struct err *err` as its last argument, returns int, and
 *     reports with `return err_set(err, ERR_…, "…")`, which is always -1. Outputs stay untouched.
 *  2. A caller adds what it knows while it unwinds: `return err_wrap(err, "dump of '%s'", name)`
 *     turns "connection refused" into "dump of 'hdms_db': connection refused".
 *  3. Where a next step is known, err_hint adds one sentence, printed as "HINT: …".
 *
 * The struct is plain data and lives on the caller's stack: reporting an error never allocates.
 * `err` must not be NULL. Text that does not fit is cut, and ends in "…".
 */
#ifndef LIFEBOAT_BASE_ERR_H
#define LIFEBOAT_BASE_ERR_H

#include <stdbool.h>
#include "base/attr.h"

/* What kind of failure it is. docs/exit-status.md lists each with its exit status. */
enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,      /* the operation was tried and did not succeed */
	ERR_CORRUPT,     /* bytes are not what they must be: cut, flipped, lying */
	ERR_ABSENT,      /* the named thing does not exist */
	ERR_EXISTS,      /* the named thing exists and must not */
	ERR_IO,          /* the system refused to read or write */
	ERR_NOSPACE,     /* no room left where something must be written */
	ERR_LIMIT,       /* more than a bound allows: outside bytes asked for too much */
	ERR_CLOSED,      /* the reader of what we write has had enough, and ended well */
	ERR_DENIED,      /* wrong password, missing right */
	ERR_TIMEOUT,     /* a deadline passed */
	ERR_CANCELLED,   /* a signal asked the job to end */
	ERR_NOMEM,       /* allocation failed */
	ERR_UNVERIFIED,  /* could not verify: neither passed nor failed */
	ERR_USAGE,       /* the command line is wrong */
	ERR_UNREACHABLE, /* a server or store does not answer */
	ERR_LOCKED,      /* somebody else holds the lock; try later */
	ERR_CONFIG,      /* the configuration is wrong */
	ERR_CODES        /* how many there are */
};

enum { ERR_MSG_BYTES = 2048, ERR_HINT_BYTES = 512 };

struct err {
	enum err_code code;
	int sys_errno;  /* errno behind it, or 0 */
	bool retryable; /* the same call may succeed later without anyone changing anything */
	char msg[ERR_MSG_BYTES];
	char hint[ERR_HINT_BYTES];
};

/* A fresh, empty error: `struct err err = ERR_INIT;` */
#define ERR_INIT                                                                                   \
	{                                                                                          \
		.code = ERR_NONE                                                                   \
	}

/*
 * Each of these is -1 as an expression, in a way that the compiler can see: it then knows that an
 * output that was not set is not used.
 *
 *  err_set(err, code, fmt, …)             sets code and message, forgetting what was there
 *  err_sys(err, code, sys_errno, fmt, …)  the same with ": " and the text of `sys_errno`; ENOSPC
 * and EDQUOT become ERR_NOSPACE, ENOMEM becomes ERR_NOMEM err_wrap(err, fmt, …) puts "context: "
 * before the message; keeps code and hint err_hint(err, fmt, …)                  sets the hint: a
 * sentence that says what to do err_nomem(err, what)                   out of memory, while doing
 * what `what` says
 */
#define err_set(...)   (err_set_message(__VA_ARGS__), err_minus_one())
#define err_sys(...)   (err_set_sys(__VA_ARGS__), err_minus_one())
#define err_wrap(...)  (err_add_context(__VA_ARGS__), err_minus_one())
#define err_hint(...)  (err_set_hint(__VA_ARGS__), err_minus_one())
#define err_nomem(...) (err_set_nomem(__VA_ARGS__), err_minus_one())

void err_set_message(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void err_set_sys(struct err *err, enum err_code code, int sys_errno, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void err_add_context(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_set_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_set_nomem(struct err *err, const char *what);
static inline int err_minus_one(void)
{
	return -1;
}

/* Back to empty. */
void err_clear(struct err *err);

/* "corrupt", "timeout", …: the word used in JSON output. Never NULL. */
const char *err_code_name(enum err_code code);

/* Exit status of the program for a code: 0, 1, 2, 64, 69, 75 or 78 (sysexits(3) where one fits). */
int err_exit_status(enum err_code code);

#endif

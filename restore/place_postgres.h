/*
 * Files that production's PostgreSQL finds by their paths, and where they are in the sandbox: those
 * of its data folder in the restored volume, others in the volume beside it. Inside restore/.
 */
#ifndef LIFEBOAT_RESTORE_PLACE_POSTGRES_H
#define LIFEBOAT_RESTORE_PLACE_POSTGRES_H

#include "base/buf.h"
#include "restore/sandbox.h"

/* Where the sandbox's server finds what production has at `path`, which is as seen from the file or
 * folder `from`, a path without an end after its last slash. *ret NULL: it is not in the backup. A
 * new string. */
int place_postgres_path(struct sandbox *sb, const json_t *section, const char *from,
			const char *path, char **ret, struct err *err) MUST_USE;
/* Appends the pg_hba.conf `text` that production has at `path`: the files that it names are those
 * in the sandbox. */
int place_postgres_hba(struct sandbox *sb, const json_t *section, const char *path,
		       const char *text, struct buf *out, struct err *err) MUST_USE;
/* Adds the settings by which TLS finds its files; off when one of them is not in the backup. */
int place_postgres_tls(struct sandbox *sb, const json_t *section, struct strlist *settings,
		       struct err *err) MUST_USE;

#endif

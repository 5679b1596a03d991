/*
 * Files that production's PostgreSQL finds by their paths, and where they are in the sandbox: those
 * of its data folder in the restored volume, others in the volume beside it. Inside restore/.
 */
#ifndef LIFEBOAT_RESTORE_PLACE_POSTGRES_H
#define LIFEBOAT_RESTORE_PLACE_POSTGRES_H

#include "restore/sandbox.h"

/* What the sandbox runs on: production's pg_hba.conf behind lines that let us in as `superuser`,
 * and production's postgresql.conf if that leads out of its folder. What they name is what is in
 * the sandbox. Into sb->postgres_hba and sb->postgres_conf. */
int place_postgres_config(struct sandbox *sb, const json_t *section, const char *superuser,
			  struct err *err) MUST_USE;
/* Adds the settings by which TLS finds its files; off when one of them is not in the backup. */
int place_postgres_tls(struct sandbox *sb, const json_t *section, struct strlist *settings,
		       struct err *err) MUST_USE;

#endif

#include "agent/config/config_keys.h"

#include <string.h>
#include "agent/config/config_notify.h"

/* In the order of agent.conf(5): by usefulness. */
const struct config_section config_sections[] = {
    {.name = "stack",
     .offset = offsetof(struct config, stack),
     .help = "What is protected together, and where it runs."},
    {.name = "postgres",
     .component = true,
     .offset = offsetof(struct config, postgres),
     .enabled_offset = offsetof(struct config_postgres, enabled),
     .help = "The PostgreSQL server: all its databases, roles and settings. Without this section "
	     "it is no part of the stack."},
    {.name = "redis",
     .component = true,
     .offset = offsetof(struct config, redis),
     .enabled_offset = offsetof(struct config_redis, enabled),
     .help = "The Redis or Valkey server. Without this section it is no part of the stack."},
    {.name = "pgbouncer",
     .component = true,
     .offset = offsetof(struct config, pgbouncer),
     .enabled_offset = offsetof(struct config_pgbouncer, enabled),
     .help = "PgBouncer's configuration. Without this section it is no part of the stack."},
    {.name = "volume",
     .labelled = true,
     .component = true,
     .offset = offsetof(struct config, volumes),
     .count_offset = offsetof(struct config, volume_count),
     .item_bytes = sizeof(struct config_volume),
     .help = "A further volume, file by file: uploaded media and the like. One section for each."},
    {.name = "store",
     .labelled = true,
     .offset = offsetof(struct config, stores),
     .count_offset = offsetof(struct config, store_count),
     .item_bytes = sizeof(struct config_store),
     .help = "Where archives are kept. One section for each store. A backup is written to the "
	     "first one and copied to the others from there; the first is also the one that is "
	     "read where a command is given no --store."},
    {.name = "check",
     .labelled = true,
     .offset = offsetof(struct config, checks),
     .count_offset = offsetof(struct config, check_count),
     .item_bytes = sizeof(struct config_check),
     .help = "A question of your own that every restored database must answer rightly before a "
	     "drill passes. One section for each."},
    {.name = "archive",
     .offset = offsetof(struct config, archive),
     .help = "How archives are written."},
    {.name = "suspicious",
     .offset = offsetof(struct config, suspicious),
     .help = "When a backup looks wrong: smaller than so many percent of what is normal, which is "
	     "the median of the backups before it. It is kept and told, and takes no other's place "
	     "in keep rules. lifeboat trust says that it is right."},
    {.name = "health",
     .offset = offsetof(struct config, health),
     .help = "How long a restored server may take until it is healthy: as many attempts as "
	     "retries says, each of them timeout long, with interval between them."},
    {.name = "agent",
     .offset = offsetof(struct config, agent),
     .help = "Of lifeboat run and lifeboat status: what it keeps, where its status page is and who "
	     "may see it, and how old is too old."},
    {.name = "schedule",
     .offset = 0,
     .help = "When lifeboat run does what. Times are five fields as in crontab(5): minute, hour, "
	     "day of the month, month, day of the week, with names, ranges, steps and lists; or "
	     "@hourly, @daily, @weekly, @monthly, @yearly. Without a line nothing of that kind "
	     "runs by itself."},
    {.name = "hook",
     .offset = offsetof(struct config, hook),
     .help = "Commands for the shell, before and after a job, whether lifeboat run starts it or "
	     "you do. They find its facts in the environment: LIFEBOAT_JOB, LIFEBOAT_STACK; after "
	     "it also LIFEBOAT_OUTCOME (success, failure, unverified, ...), LIFEBOAT_ERROR, "
	     "LIFEBOAT_BACKUP_ID and LIFEBOAT_DURATION_MS. A before that fails stops the job; an "
	     "after always runs, and what it does changes nothing about how the job ended. Write "
	     "$$ for a dollar sign of the shell."},
    {.name = "notify",
     .labelled = true,
     .offset = offsetof(struct config, notifiers),
     .count_offset = offsetof(struct config, notifier_count),
     .item_bytes = sizeof(struct config_notify),
     .help = "Who is told by lifeboat run when something is wrong, and when it is right again. One "
	     "section for each. lifeboat notify --test tries them all."},
};
const size_t config_section_count = sizeof config_sections / sizeof config_sections[0];

const struct config_section *config_section_find(const char *name)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (strcmp(config_sections[i].name, name) == 0)
			return &config_sections[i];
	return NULL;
}

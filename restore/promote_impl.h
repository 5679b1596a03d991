/* The parts of a promotion that are no steps of the engine. Inside restore/ only. */
#ifndef LIFEBOAT_RESTORE_PROMOTE_IMPL_H
#define LIFEBOAT_RESTORE_PROMOTE_IMPL_H

#include "restore/promote.h"

/* The one of `sources` (engine_promotion_sources) that the job means; borrowed. ERR_ABSENT and
 * ERR_USAGE name what there is. */
int promote_choose(const struct promote_job *job, const json_t *sources, const json_t **ret,
		   struct err *err) MUST_USE;
/* As the application logs in: to the servers whose volumes moved, and through PgBouncer where
 * PostgreSQL's did. What did not run before is not asked. Adds "logins" to the plan. */
int promote_log_in(const struct promote_job *job, json_t *plan, struct err *err) MUST_USE;

#endif

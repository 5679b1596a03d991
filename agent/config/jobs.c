#include "agent/config/jobs.h"

#include <stddef.h>
#include <string.h>

static const char *const kinds[JOB_KINDS] = {"backup", "copy", "drill", "verify", "prune"};
static const char *const outcomes[JOB_OUTCOMES] = {"success",   "failure", "unverified", "locked",
						   "cancelled", "timeout", "crashed",    "lost"};
static const char *const triggers[JOB_TRIGGERS] = {"schedule", "catch-up", "retry", "signal"};

static size_t find(const char *const *names, size_t count, const char *name)
{
	size_t i = 0;
	while (i < count && (name == NULL || strcmp(names[i], name) != 0))
		i++;
	return i;
}

const char *job_kind_name(enum job_kind kind)
{
	return kind < JOB_KINDS ? kinds[kind] : "?";
}

const char *job_outcome_name(enum job_outcome outcome)
{
	return outcome < JOB_OUTCOMES ? outcomes[outcome] : "?";
}

const char *job_trigger_name(enum job_trigger trigger)
{
	return trigger < JOB_TRIGGERS ? triggers[trigger] : "?";
}

enum job_kind job_kind_find(const char *name)
{
	return (enum job_kind)find(kinds, JOB_KINDS, name);
}

enum job_outcome job_outcome_find(const char *name)
{
	return (enum job_outcome)find(outcomes, JOB_OUTCOMES, name);
}

enum job_trigger job_trigger_find(const char *name)
{
	return (enum job_trigger)find(triggers, JOB_TRIGGERS, name);
}

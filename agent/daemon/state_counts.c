/* How often each job ran and failed, since the state file was begun: counters that a restart does
 * not set back. What is not in them is 0. */
#include <string.h>
#include "agent/daemon/state.h"

static const char *const groups[] = {"runs", "failures"};

static int add_one(json_t *counts, const char *group, const char *name, struct err *err)
{
	json_t *of = json_object_get(counts, group);
	return json_put(of, name, json_integer((json_int_t)json_u64_or(of, name, 0) + 1), err);
}

/* Numbers, whatever their names: a later version may know more of them. */
static int check(const json_t *counts, struct err *err)
{
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		const char *name;
		json_t *of, *value;
		if (json_get_obj(counts, groups[i], &of, err) < 0)
			return -1;
		json_object_foreach(of, name, value)
		{
			uint64_t n;
			if (json_get_u64(of, name, &n, err) < 0)
				return -1;
			if (n > UINT32_MAX)
				return err_set(err, ERR_CORRUPT, "field '%.40s' is too large",
					       name);
		}
	}
	return 0;
}

int state_counts_read(struct state *s, enum job_kind kind, json_t *counts, struct err *err)
{
	if (counts == NULL || json_is_null(counts))
		return 0;
	if (check(counts, err) < 0)
		return err_wrap(err, "counts");
	s->counts[kind] = json_incref(counts);
	return 0;
}

/* What went wrong, in one word. */
static const char *kind_of(enum job_outcome outcome, const json_t *run)
{
	if (outcome == JOB_CRASHED || outcome == JOB_LOST)
		return job_outcome_name(outcome);
	return json_str_or(json_object_get(run, "error"), "code", err_code_name(ERR_FAILED));
}

int state_counts_add(struct state *s, enum job_kind kind, const json_t *run, struct err *err)
{
	enum job_outcome outcome = job_outcome_find(json_str_or(run, "outcome", NULL));
	if (s->counts[kind] == NULL)
		s->counts[kind] = json_pack("{s:{}, s:{}}", groups[0], groups[1]);
	if (s->counts[kind] == NULL)
		return err_nomem(err, "counts");
	if (add_one(s->counts[kind], groups[0], job_outcome_name(outcome), err) < 0)
		return -1;
	/* That somebody wanted it to end, or that another host does it, is no failure. */
	if (outcome == JOB_SUCCEEDED || outcome == JOB_CANCELLED || outcome == JOB_LOCKED)
		return 0;
	return add_one(s->counts[kind], groups[1], kind_of(outcome, run), err);
}

/* Which volumes are meant. */
#include <stdio.h>
#include <string.h>
#include "restore/promote_impl.h"

enum { LISTED_BYTES = 1024 };

static bool is_kind(const struct promote_job *job, const json_t *source)
{
	return strcmp(json_str_or(source, "kind", ""), job->back ? "promotion" : "restore") == 0;
}

/* How a person names it. */
static const char *name_of(const struct promote_job *job, const json_t *source)
{
	const char *suffix = json_str_or(source, "suffix", "");
	return job->back || suffix[0] == '\0' ? json_str_or(source, "run", "?") : suffix;
}

/* 2: exactly that one; 1: the beginning of its backup's id, or of its own; 0: another. */
static int fits(const struct promote_job *job, const json_t *source)
{
	const char *which = job->which, *backup = json_str_or(source, "backup", "");
	const char *run = json_str_or(source, "run", "");
	if (which == NULL || strcmp(which, "latest") == 0)
		return 1;
	if (strcmp(which, name_of(job, source)) == 0 || strcmp(which, run) == 0)
		return 2;
	return strncmp(which, job->back ? run : backup, strlen(which)) == 0 ? 1 : 0;
}

static void list_names(const struct promote_job *job, const json_t *sources,
		       char text[LISTED_BYTES])
{
	size_t i, len = 0;
	json_t *s;
	text[0] = '\0';
	json_array_foreach(sources, i, s)
	{
		if (!is_kind(job, s) || len > LISTED_BYTES - 250)
			continue;
		len += (size_t)snprintf(text + len, LISTED_BYTES - len, "%s'%.200s'",
					len > 0 ? ", " : "", name_of(job, s));
	}
}

static int none_fits(const struct promote_job *job, const json_t *sources, struct err *err)
{
	const char *what = job->back ? "promotion" : "restore";
	char names[LISTED_BYTES];
	list_names(job, sources, names);
	if (names[0] != '\0') {
		err_set(err, ERR_ABSENT, "there is no %s '%s'; there are: %s", what, job->which,
			names);
		return -1;
	}
	if (job->back) {
		err_set(err, ERR_ABSENT, "there is no promotion to take back");
		return err_hint(err, "Promotions that were pruned can't be taken back.");
	}
	err_set(err, ERR_ABSENT, "there is no restore to promote");
	return err_hint(err, "Make one with `lifeboat restore`.");
}

static int check_volumes(const struct promote_job *job, const json_t *source, struct err *err)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(source, "volumes"), i, v)
	{
		const char *caution = json_str_or(v, "caution", NULL);
		/* What has no place in production is no matter of courage. */
		bool has_place = json_str_or(v, "of", NULL) != NULL;
		if (caution == NULL || (has_place && job->force))
			continue;
		err_set(err, ERR_FAILED, "volume '%s' is not fit for production: %s",
			json_str_or(v, "name", "?"), caution);
		return has_place ? err_hint(err, "--force promotes it nevertheless.") : -1;
	}
	return 0;
}

int promote_choose(const struct promote_job *job, const json_t *sources, const json_t **ret,
		   struct err *err)
{
	bool any = job->which == NULL || strcmp(job->which, "latest") == 0;
	const json_t *best = NULL, *second = NULL;
	int best_fit = 0;
	size_t i;
	json_t *s;
	json_array_foreach(sources, i, s)
	{
		int fit = is_kind(job, s) ? fits(job, s) : 0;
		if (fit > best_fit) {
			best = s;
			second = NULL;
			best_fit = fit;
		} else if (fit > 0 && fit == best_fit && second == NULL) {
			second = s;
		}
	}
	if (best == NULL)
		return none_fits(job, sources, err);
	if (second != NULL && !any) {
		err_set(err, ERR_USAGE, "'%s' may be '%s' or '%s'", job->which, name_of(job, best),
			name_of(job, second));
		return err_hint(err, "Name it by more of it.");
	}
	if (check_volumes(job, best, err) < 0)
		return -1;
	*ret = best;
	return 0;
}

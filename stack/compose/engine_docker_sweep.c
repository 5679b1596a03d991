/* What killed runs left behind. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "stack/compose/engine_docker_sweep.h"

struct sweep {
	struct engine_docker *e;
	bool dry_run;
	struct strlist *lines;
	struct strlist unclear; /* runs of which nobody can tell from here */
	struct strlist failed;  /* runs of which something could not be removed */
	struct strlist swept;   /* runs of which something was found */
	int rc;
	struct err *err; /* the first error */
};

/* One thing that can't be removed must not keep the rest. */
static void failed(struct sweep *s, const char *run, const struct err *why)
{
	struct err full = ERR_INIT;
	log_debug("sweep: %s", why->msg);
	if (s->rc == 0)
		*s->err = *why;
	s->rc = -1;
	if (strlist_push(&s->failed, run, &full) < 0)
		err_clear(&full);
}

static const char *purpose_of(const struct docker_thing *t)
{
	return t->purpose[0] != '\0' ? t->purpose : "run";
}

/* ---- left over? ---- */

static int unclear(struct sweep *s, const struct docker_thing *t, struct err *err)
{
	if (strlist_has(&s->unclear, t->run))
		return 0;
	if (strlist_push(&s->unclear, t->run, err) < 0)
		return -1;
	return strlist_pushf(s->lines, err,
			     "%s %s: can't tell from here whether it still works; left alone",
			     purpose_of(t), t->run);
}

static int mark_there(struct engine_docker *e, const char *run, bool *ret, struct err *err)
{
	struct err why = ERR_INIT;
	*ret = docker_get(e->d, NULL, &why, "/volumes/lifeboat-run-%s", run) == 0;
	if (!*ret && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	return 0;
}

static bool is_run_id(const char *run)
{
	return run[0] != '\0' && strspn(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					     "0123456789_.-") == strlen(run);
}

static int is_left_over(struct sweep *s, const struct docker_thing *t, bool *ret, struct err *err)
{
	enum maker_state state;
	*ret = false;
	if (!is_run_id(t->run) || strcmp(t->run, s->e->run_id) == 0)
		return 0;
	if (docker_maker_state(s->e, t->maker, &state, err) < 0)
		return -1;
	/* What was finished is not asked about: without a mark it stays whoever made it. */
	if (mark_there(s->e, t->run, ret, err) < 0)
		return -1;
	/* Drills and helpers finish nothing: theirs is left over also when somebody has removed the
	 * mark, as `docker volume prune` does. */
	if (strcmp(t->purpose, "drill") == 0 || strcmp(t->kind, "helper") == 0)
		*ret = true;
	if (*ret && state == MAKER_UNKNOWN && unclear(s, t, err) < 0)
		return -1;
	*ret = *ret && state == MAKER_DEAD;
	return 0;
}

/* ---- folders of servers' sockets ---- */

static int sweep_folders(struct sweep *s, const char *run, struct err *err)
{
	CLEANUP(strlist_done) struct strlist bases = {0};
	CLEANUP(freep) char *prefix = NULL;
	int rc = 0;
	if (s->e->self != NULL)
		return 0;
	if (docker_run_bases(&bases, err) < 0 || str_printf(&prefix, err, "lifeboat-%s-", run) < 0)
		return -1;
	for (size_t i = 0; i < bases.count; i++) {
		CLEANUP(strlist_done) struct strlist names = {0};
		struct err why = ERR_INIT;
		if (dir_list(bases.items[i], &names, &why) < 0)
			continue;
		for (size_t k = 0; k < names.count && rc == 0; k++) {
			CLEANUP(freep) char *path = NULL;
			struct stat st;
			if (strncmp(names.items[k], prefix, strlen(prefix)) != 0)
				continue;
			rc = str_printf(&path, err, "%s/%s", bases.items[i], names.items[k]);
			/* Anybody may make such a name in /tmp. */
			if (rc == 0 && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
			    st.st_uid == geteuid())
				rc = dir_remove(path, err);
		}
	}
	return rc;
}

/* ---- the sweep ---- */

static const char *word_of(enum thing_type type)
{
	switch (type) {
	case THING_CONTAINER:
		return "container";
	case THING_NETWORK:
		return "network";
	case THING_VOLUME:
		return "volume";
	}
	return "";
}

static int sweep_thing(struct sweep *s, const struct docker_thing *t, struct err *err)
{
	bool left;
	if (is_left_over(s, t, &left, err) < 0)
		return -1;
	if (!left)
		return 0;
	if (strlist_pushf(s->lines, err, "%s '%s' of %s %s", word_of(t->type), t->name,
			  purpose_of(t), t->run) < 0 ||
	    (!strlist_has(&s->swept, t->run) && strlist_push(&s->swept, t->run, err) < 0))
		return -1;
	return s->dry_run ? 0 : docker_thing_remove(s->e, t, err);
}

/* When nothing of its run is left. */
static int sweep_mark(struct sweep *s, const struct docker_thing *mark, struct err *err)
{
	enum maker_state state;
	bool there;
	if (!is_run_id(mark->run) || strcmp(mark->run, s->e->run_id) == 0 ||
	    strlist_has(&s->failed, mark->run))
		return 0;
	if (docker_maker_state(s->e, mark->maker, &state, err) < 0)
		return -1;
	if (state == MAKER_UNKNOWN)
		return unclear(s, mark, err);
	if (state == MAKER_LIVES)
		return 0;
	/* It may have finished, and ended, since the marks were listed. */
	if (mark_there(s->e, mark->run, &there, err) < 0)
		return -1;
	if (!there)
		return 0;
	if (!strlist_has(&s->swept, mark->run) &&
	    strlist_pushf(s->lines, err, "mark of %s %s", purpose_of(mark), mark->run) < 0)
		return -1;
	if (s->dry_run)
		return 0;
	return sweep_folders(s, mark->run, err) < 0 ? -1 : docker_thing_remove(s->e, mark, err);
}

/* A container of production that a killed run left paused or stopped. */
static int sweep_hold(struct sweep *s, const struct docker_thing *mark, struct err *err)
{
	enum maker_state state;
	if (strcmp(mark->run, s->e->run_id) == 0)
		return 0;
	if (docker_maker_state(s->e, mark->maker, &state, err) < 0)
		return -1;
	if (state == MAKER_UNKNOWN)
		return unclear(s, mark, err);
	if (state == MAKER_LIVES)
		return 0;
	bool stopped = strcmp(json_str_or(mark->labels, LABEL_HOLD, ""), "stop") == 0;
	if (strlist_pushf(s->lines, err, "container '%s', which run %s left %s",
			  json_str_or(mark->labels, LABEL_NAME, "?"), mark->run,
			  stopped ? "stopped" : "paused") < 0)
		return -1;
	return s->dry_run ? 0 : docker_hold_undo(s->e, mark, err);
}

static void sweep_all(struct sweep *s, const struct docker_things *things,
		      int (*one)(struct sweep *s, const struct docker_thing *t, struct err *err))
{
	for (size_t i = 0; i < things->count; i++) {
		struct err why = ERR_INIT;
		if (one(s, &things->items[i], &why) < 0)
			failed(s, things->items[i].run, &why);
	}
}

int docker_sweep(struct engine *base, bool dry_run, struct strlist *ret, struct err *err)
{
	CLEANUP(docker_things_done) struct docker_things things = {0}, marks = {0}, holds = {0};
	struct sweep s = {
	    .e = (struct engine_docker *)base, .dry_run = dry_run, .lines = ret, .err = err};
	/* Marks first: a run that begins after this has its things in neither list or in one, and
	 * its maker lives. */
	if (docker_marks_list(s.e, "hold", &holds, err) < 0 ||
	    docker_marks_list(s.e, "run", &marks, err) < 0 ||
	    docker_things_list(s.e, NULL, &things, err) < 0)
		return err_wrap(err, "sweep");
	/* Production comes first. */
	sweep_all(&s, &holds, sweep_hold);
	sweep_all(&s, &things, sweep_thing);
	sweep_all(&s, &marks, sweep_mark);
	strlist_done(&s.unclear);
	strlist_done(&s.failed);
	strlist_done(&s.swept);
	return s.rc < 0 ? err_wrap(err, "sweep") : 0;
}

/*
 * The marks of a promotion, and the way back.
 *
 * What is there when we die    what happened to production's volumes    what the way back does
 * mark                         nothing                                  starts services, drops
 * copies mark and saved mark          anything                                 refills them first
 * saved mark alone             it was committed, or undone in full      drops the mark
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "stack/compose/engine_docker_promote.h"
#include "stack/compose/engine_docker_sweep.h"

static int mark_name(const json_t *plan, const char *tail, char **ret, struct err *err)
{
	return str_printf(ret, err, "lifeboat-promote-%s%s", plan_str(plan, "id"), tail);
}

static int drop_mark(struct engine_docker *e, const json_t *plan, const char *tail, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (mark_name(plan, tail, &name, err) < 0 ||
	    docker_delete(e->d, err, "/volumes/%s", name) < 0)
		return err_wrap(err, "mark of promotion '%s'", plan_str(plan, "id"));
	return 0;
}

static bool is_kind(const json_t *volume, const char *kind)
{
	return strcmp(promote_label(volume, LABEL_KIND), kind) == 0;
}

/* ---- begin ---- */

/* Somebody else's mark: two promotions at once would undo each other. */
static int check_alone(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(json_freep) json_t *volumes = NULL;
	size_t i;
	json_t *v;
	if (promote_volumes(e, &volumes, err) < 0)
		return -1;
	json_array_foreach(volumes, i, v)
	{
		const char *id = promote_label(v, LABEL_PROMOTION);
		if (!is_kind(v, KIND_PROMOTE) || strcmp(id, plan_str(plan, "id")) == 0)
			continue;
		err_set(err, ERR_LOCKED, "promotion '%s' is under way", id);
		return err_hint(err, "If it was killed, the next start of Lifeboat on the machine "
				     "that it ran on takes it back.");
	}
	return 0;
}

int promote_begin(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(freep) char *name = NULL, *text = NULL;
	json_t *labels;
	if ((plan_is_fast(plan) && promote_fast_check(e, plan, err) < 0) ||
	    check_alone(e, plan, err) < 0 || mark_name(plan, "", &name, err) < 0 ||
	    json_text(plan, false, &text, err) < 0 ||
	    promote_labels(e, plan, KIND_PROMOTE, &labels, err) < 0)
		return -1;
	if (json_put(labels, LABEL_PLAN, json_string(text), err) < 0 ||
	    json_put(labels, LABEL_MAKER, json_string(e->maker), err) < 0) {
		json_decref(labels);
		return -1;
	}
	if (promote_make_volume(e, name, labels, err) < 0)
		return -1;
	if (check_alone(e, plan, err) == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (drop_mark(e, plan, "", &ignored) < 0)
		log_debug("%s", ignored.msg);
	return -1;
}

int promote_mark_saved(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	json_t *labels;
	if (mark_name(plan, "-saved", &name, err) < 0 ||
	    promote_labels(e, plan, KIND_SAVED, &labels, err) < 0)
		return -1;
	return promote_make_volume(e, name, labels, err);
}

/* What a fast promotion did is written down in the labels of an empty volume: nothing else of it
 * stays, and a rollback must know. */
static int record_switch(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(freep) char *name = NULL, *text = NULL;
	json_t *labels;
	if (str_printf(&name, err, "lifeboat-switch-%s", plan_str(plan, "id")) < 0 ||
	    json_text(plan, false, &text, err) < 0 ||
	    promote_labels(e, plan, KIND_SWITCH, &labels, err) < 0)
		return -1;
	if (json_put(labels, LABEL_PLAN, json_string(text), err) < 0) {
		json_decref(labels);
		return -1;
	}
	return promote_make_volume(e, name, labels, err);
}

/* Only the first mark decides: whoever dies after it is gone has committed. */
int promote_commit(struct engine_docker *e, const json_t *plan, struct err *err)
{
	if (plan_is_fast(plan) && record_switch(e, plan, err) < 0)
		return -1;
	if (drop_mark(e, plan, "", err) < 0)
		return -1;
	struct err ignored = ERR_INIT;
	if (fault_point("promote-committed", &ignored) < 0 ||
	    drop_mark(e, plan, "-saved", &ignored) < 0)
		log_debug("%s", ignored.msg); /* the next sweep's */
	return 0;
}

/* ---- undo ---- */

/* Copies that are not needed: production has these contents itself. */
static int drop_befores(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(json_freep) json_t *volumes = NULL;
	size_t i;
	json_t *v;
	if (promote_volumes(e, &volumes, err) < 0)
		return -1;
	json_array_foreach(volumes, i, v)
	{
		if (!(is_kind(v, KIND_BEFORE) || is_kind(v, KIND_SWITCH)) ||
		    strcmp(promote_label(v, LABEL_PROMOTION), plan_str(plan, "id")) != 0)
			continue;
		if (docker_delete(e->d, err, "/volumes/%s", plan_str(v, "Name")) < 0)
			return err_wrap(err, "volume '%s'", plan_str(v, "Name"));
	}
	return 0;
}

static int put_back(struct engine_docker *e, const json_t *plan, bool saved, struct err *err)
{
	if (promote_end_helpers(e, plan, err) < 0)
		return -1;
	if (!saved)
		return promote_start(e, plan, err);
	if (promote_stop(e, plan, err) < 0)
		return -1;
	if (plan_is_fast(plan))
		return promote_fast_switch(e, plan, true, err);
	if (promote_move_back(e, plan, err) < 0)
		return -1;
	return promote_start(e, plan, err);
}

int promote_undo(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(freep) char *mark = NULL, *saved_name = NULL;
	CLEANUP(json_freep) json_t *begun = NULL;
	CLEANUP(json_freep) json_t *saved = NULL;
	struct err sickness = ERR_INIT;
	if (mark_name(plan, "", &mark, err) < 0 || promote_find_volume(e, mark, &begun, err) < 0)
		return -1;
	/* The daemon may have done what it could no longer tell us. */
	if (begun == NULL)
		return err_set(err, ERR_EXISTS, "it was committed: production has moved");
	if (mark_name(plan, "-saved", &saved_name, err) < 0 ||
	    promote_find_volume(e, saved_name, &saved, err) < 0 ||
	    put_back(e, plan, saved != NULL, err) < 0)
		return -1;
	if (promote_wait(e, plan, &sickness) < 0 ||
	    promote_check_mounts(e, plan, true, &sickness) < 0) {
		/* It may have been as ill before. The copies stay, and a person looks at it. */
		if (saved != NULL) {
			if (drop_mark(e, plan, "", err) < 0 ||
			    drop_mark(e, plan, "-saved", err) < 0)
				return -1;
			*err = sickness;
			return -1;
		}
		log_debug("after the way back: %s", sickness.msg);
	}
	/* From here on production's volumes are as they were: a later undo must not fill them from
	 * copies that may be gone. */
	if (drop_mark(e, plan, "-saved", err) < 0 || fault_point("promote-undone", err) < 0 ||
	    drop_befores(e, plan, err) < 0)
		return -1;
	return drop_mark(e, plan, "", err);
}

/* ---- what the dead left ---- */

/* Two that put back at once would write over each other: whoever makes the next claim does it.
 * Makes none while the maker of one lives. */
static int claim(struct engine_docker *e, const json_t *plan, struct err *err)
{
	for (unsigned n = 1;; n++) {
		CLEANUP(freep) char *name = NULL;
		CLEANUP(json_freep) json_t *there = NULL;
		enum maker_state state;
		json_t *labels;
		if (str_printf(&name, err, "lifeboat-promote-%s-claim-%u", plan_str(plan, "id"),
			       n) < 0 ||
		    promote_find_volume(e, name, &there, err) < 0)
			return -1;
		if (there == NULL) {
			if (promote_labels(e, plan, KIND_CLAIM, &labels, err) < 0)
				return -1;
			if (json_put(labels, LABEL_MAKER, json_string(e->maker), err) < 0) {
				json_decref(labels);
				return -1;
			}
			return promote_make_volume(e, name, labels, err);
		}
		if (docker_maker_state(e, promote_label(there, LABEL_MAKER), &state, err) < 0)
			return -1;
		if (state != MAKER_DEAD)
			return err_set(err, ERR_LOCKED, "another process is doing that");
	}
}

static int take_back(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(json_freep) json_t *mark = NULL;
	if (claim(e, plan, err) < 0 || mark_name(plan, "", &name, err) < 0 ||
	    promote_find_volume(e, name, &mark, err) < 0)
		return -1;
	/* Somebody else may have finished it since it was seen. */
	return mark == NULL ? 0 : promote_undo(e, plan, err);
}

static int say_dead(struct strlist *ret, const json_t *plan, const char *what, struct err *err)
{
	CLEANUP(freep) char *names = NULL;
	struct buf b;
	size_t i;
	json_t *s;
	buf_init(&b, 4096);
	json_array_foreach(json_object_get(plan, "services"), i, s)
	{
		if (buf_printf(&b, err, "%s'%s'", i > 0 ? ", " : "", plan_str(s, "service")) < 0)
			break;
	}
	int rc = str_dup(buf_text(&b), &names, err);
	buf_done(&b);
	if (rc < 0)
		return -1;
	return strlist_pushf(ret, err, "%s '%s' of production (services %s): %s",
			     strcmp(plan_str(plan, "kind"), "rollback") == 0 ? "rollback"
									     : "promotion",
			     plan_str(plan, "id"), names[0] != '\0' ? names : "none", what);
}

static int sweep_mark(struct engine_docker *e, const json_t *mark, bool dry_run,
		      struct strlist *ret, struct err *err)
{
	const char *id = promote_label(mark, LABEL_PROMOTION);
	const char *text = promote_label(mark, LABEL_PLAN);
	CLEANUP(json_freep) json_t *plan = NULL;
	enum maker_state state;
	if (docker_maker_state(e, promote_label(mark, LABEL_MAKER), &state, err) < 0)
		return -1;
	if (state == MAKER_LIVES)
		return 0;
	if (json_parse(text, strlen(text), &plan, err) < 0)
		return err_wrap(err, "the mark '%s'", plan_str(mark, "Name"));
	if (state == MAKER_UNKNOWN)
		return say_dead(
		    ret, plan, "can't tell from here whether it is still at work; left alone", err);
	if (dry_run)
		return say_dead(ret, plan,
				"cut short, and production may stand still; the next backup, "
				"restore, drill, promote or prune brings the old state back",
				err);
	cancel_hold();
	int rc = take_back(e, plan, err);
	cancel_release();
	if (rc < 0)
		return err_wrap(err, "bringing back the state before promotion '%s'", id);
	return say_dead(ret, plan, "it was cut short, and the old state is back", err);
}

/* A mark beside the first one, which is gone, says nothing any more. */
static int sweep_rest(struct engine_docker *e, const json_t *rest, const json_t *volumes,
		      struct err *err)
{
	size_t i;
	json_t *v;
	json_array_foreach(volumes, i, v)
	{
		if (is_kind(v, KIND_PROMOTE) && strcmp(promote_label(v, LABEL_PROMOTION),
						       promote_label(rest, LABEL_PROMOTION)) == 0)
			return 0;
	}
	return docker_delete(e->d, err, "/volumes/%s", plan_str(rest, "Name"));
}

int promote_sweep(struct engine *base, bool dry_run, struct strlist *ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *before = NULL;
	CLEANUP(json_freep) json_t *after = NULL;
	size_t i;
	json_t *v;
	if (promote_volumes(e, &before, err) < 0)
		return err_wrap(err, "sweep");
	json_array_foreach(before, i, v)
	{
		if (is_kind(v, KIND_PROMOTE) && sweep_mark(e, v, dry_run, ret, err) < 0)
			return -1;
	}
	if (dry_run)
		return 0;
	if (promote_volumes(e, &after, err) < 0)
		return err_wrap(err, "sweep");
	json_array_foreach(after, i, v)
	{
		if ((is_kind(v, KIND_SAVED) || is_kind(v, KIND_CLAIM)) &&
		    sweep_rest(e, v, after, err) < 0)
			return err_wrap(err, "sweep");
	}
	return 0;
}
